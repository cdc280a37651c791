"""A request or an answer that asks for more memory than there is fails alone."""
import contextlib
import resource
import socket
import sys

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

ROOM_BYTES = 8 << 20
NUMBERS = 1_800_000  # in memory far more than ROOM_BYTES, and below the limit of a JSON body
BODY = b'{"data":{"a":[' + b"1," * NUMBERS + b"1]}}"


class Memory(harness.Contract):
    @contextlib.contextmanager
    def little_room(self, server, room_bytes=ROOM_BYTES):
        pid = server.process.pid
        with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
            size = int(statm.read().split()[0]) * resource.getpagesize()
        if size > 1 << 40:
            self.skipTest("a sanitizer has an address space of its own")
        resource.prlimit(pid, resource.RLIMIT_AS, (size + room_bytes, resource.RLIM_INFINITY))
        yield
        resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def test_a_body_beyond_the_memory(self):
        server = self.dev("-dev-grpc-listen-address=")
        head = f"POST /v1/secret/data/a HTTP/1.1\r\nHost: a\r\nX-Vault-Token: root\r\nContent-Length: {len(BODY)}\r\n\r\n"
        with self.little_room(server):
            with socket.create_connection(("127.0.0.1", 8200)) as client:
                client.settimeout(20)
                client.sendall(head.encode() + BODY)
                answer = client.recv(4096)
            self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), (answer, server.output()))
            self.assertEqual(harness.http("POST", "/v1/secret/data/a", "root", {"data": {"a": [1]}})[0], 200)
        status, _ = harness.http("POST", "/v1/secret/data/a", "root", BODY)
        self.assertNotEqual(status, 503)

    def test_a_message_beyond_the_memory(self):
        messages, services = coffer_grpc.load("logical")
        server = self.dev()
        metadata = (("x-vault-token", "root"),)
        with grpc.insecure_channel("127.0.0.1:8210") as channel:
            stub = services.LogicalStub(channel)

            def write(data):
                stub.Write(messages.WriteRequest(path="secret/data/a", data_json=data), metadata=metadata, timeout=20)
            write(b'{"data":{"a":1}}')
            # gRPC itself needs room for the message; what it became must not find any.
            with self.little_room(server, ROOM_BYTES + 2 * len(BODY)):
                with self.assertRaises(grpc.RpcError) as caught:
                    write(BODY)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE, caught.exception.details())
                self.assertEqual(caught.exception.details(), "the server is out of memory")
                write(b'{"data":{"a":1}}')

    def test_an_answer_beyond_the_memory(self):
        # What is freed goes back, and no thread has room of its own in reserve: else either would do for the answer.
        self.environment.update(MALLOC_MMAP_THRESHOLD_="65536", MALLOC_ARENA_MAX="1")
        server = self.dev("-dev-grpc-listen-address=")
        text = "x" * 700_000
        self.assertEqual(harness.http("POST", "/v1/secret/data/large", "root", {"data": {"a": text}})[0], 200)
        # A little less room each time: the text of the answer comes on top of all else and is the first to find none.
        for room_bytes in range(16 << 20, 0, -256 << 10):
            with self.little_room(server, room_bytes):
                status, answer = harness.http("GET", "/v1/secret/data/large", "root")
                self.assertEqual(harness.http("GET", "/v1/sys/seal-status")[0], 200)
            if status != 200:
                break
        self.assertEqual((status, answer), (503, {"errors": ["the server is out of memory"]}))
        status, answer = harness.http("GET", "/v1/secret/data/large", "root")
        self.assertEqual((status, answer["data"]["data"]), (200, {"a": text}))


if __name__ == "__main__":
    harness.main()
