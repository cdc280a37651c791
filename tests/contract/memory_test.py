"""A request that asks for more memory than there is fails alone."""
import resource
import socket

import harness

ROOM_BYTES = 8 << 20
NUMBERS = 1_800_000  # in memory far more than ROOM_BYTES, and below the limit of a JSON body


class Memory(harness.Contract):
    def test_a_body_beyond_the_memory(self):
        server = self.dev("-dev-grpc-listen-address=")
        body = b'{"data":{"a":[' + b"1," * NUMBERS + b"1]}}"
        head = f"POST /v1/secret/data/a HTTP/1.1\r\nHost: a\r\nX-Vault-Token: root\r\nContent-Length: {len(body)}\r\n\r\n"
        with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as statm:
            size = int(statm.read().split()[0]) * resource.getpagesize()
        if size > 1 << 40:
            self.skipTest("a sanitizer has an address space of its own")
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (size + ROOM_BYTES, resource.RLIM_INFINITY))
        with socket.create_connection(("127.0.0.1", 8200)) as client:
            client.settimeout(20)
            client.sendall(head.encode() + body)
            answer = client.recv(4096)
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), (answer, server.output()))
        self.assertEqual(harness.http("POST", "/v1/secret/data/a", "root", {"data": {"a": [1]}})[0], 200)
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        status, _ = harness.http("POST", "/v1/secret/data/a", "root", body)
        self.assertNotEqual(status, 503)


if __name__ == "__main__":
    harness.main()
