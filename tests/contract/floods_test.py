"""Clients without a token that send much, or keep much open: others do not feel it, and the node never ends of it."""
import contextlib
import http.client
import json
import pathlib
import resource
import select
import socket
import struct
import sys
import threading
import time

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

MIB = 1 << 20


def resident_kib(server, what="VmHWM"):
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(what)))


def begin_body(size, head, sent):
    """A connection that has sent that much of a body of `size` bytes; nothing of an answer was read."""
    connection = socket.create_connection(("127.0.0.1", 8200), timeout=10)
    connection.sendall(f"POST /v1/secret/data/x HTTP/1.1\r\nHost: a\r\n{head}Content-Length: {size}\r\n\r\n".encode())
    with contextlib.suppress(OSError):
        connection.sendall(b"a" * sent)
    return connection


class Idlers(threading.Thread):
    """So many connections that say nothing; one that is closed comes again."""

    def __init__(self, count):
        super().__init__(daemon=True)
        self.count, self.over, self.full = count, threading.Event(), threading.Event()
        self.start()

    def run(self):
        open_ones = set()
        while not self.over.is_set():
            while len(open_ones) < self.count:
                try:
                    open_ones.add(socket.create_connection(("127.0.0.1", 8200), timeout=2))
                except OSError:
                    break
            else:
                self.full.set()
            readable, _, _ = select.select(list(open_ones), [], [], 0.01)
            for one in readable:
                open_ones.discard(one)
                one.close()
        for one in open_ones:
            one.close()

    def stop(self):
        self.over.set()
        self.join()


def h2_frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def h2_begin():
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0, b"")


class Floods(harness.Contract):
    def assert_grpc_answers(self):
        messages, services = coffer_grpc.load("logical")
        with grpc.insecure_channel("127.0.0.1:8210") as channel:
            answer = services.LogicalStub(channel).Read(messages.ReadRequest(path="sys/mounts"), metadata=(("x-vault-token", "root"),), timeout=20)
        self.assertIn("secret/", answer.data_json)

    def test_what_is_compressed_is_not_unfolded(self):
        server = self.dev()
        messages, services = coffer_grpc.load("logical")
        before = resident_kib(server)
        for algorithm in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            with grpc.insecure_channel("127.0.0.1:8210", options=[("grpc.max_send_message_length", -1)]) as channel:
                with self.assertRaises(grpc.RpcError) as caught:
                    services.LogicalStub(channel).Write(messages.WriteRequest(path="secret/data/x", data_json="a" * (300 * MIB)), timeout=60,
                                                        compression=algorithm)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED, caught.exception.details())
        self.assertLess(resident_kib(server) - before, 64 << 10, "KiB that the server took")
        self.assert_grpc_answers()

    def test_a_header_that_never_ends(self):
        server = self.dev()

        # A name, and a value of 1 GiB of which as much comes as the server takes.
        head = b"\x00\x01a\x7f" + b"\x81\xff\xff\xff\x03"
        before = resident_kib(server, "VmRSS")
        with socket.create_connection(("127.0.0.1", 8210), timeout=5) as connection:
            connection.sendall(h2_begin() + h2_frame(1, 0, 1, head))
            sent = 0
            with contextlib.suppress(OSError):  # reset, or nobody reads any more
                while sent < 64 * MIB:
                    connection.sendall(h2_frame(9, 0, 1, b"x" * 16384))
                    sent += 16384
        self.assertLess(sent, 64 * MIB)
        self.assertLess(resident_kib(server, "VmRSS") - before, 64 << 10)
        server.wait_for_line("a connection was closed that sent [0-9]+ bytes without a call that ended")
        self.assert_grpc_answers()

    def test_headers_that_made_grpc_abort(self):
        """CVE-2023-1428: values of `te`, `:scheme` and of the balancer that gRPC cannot read, then more than it takes. And what it has to say about
        them is not for the log: anybody may say that."""
        server = self.dev()

        def text(value):
            out, left = b"\x7f", len(value) - 127
            if left < 0:
                return bytes([len(value)]) + value
            while left >= 128:
                out, left = out + bytes([left % 128 + 128]), left // 128
            return out + bytes([left]) + value

        def answer(scheme, headers, more):
            head = b"".join(b"\0" + text(name) + text(value) for name, value in [
                (b":method", b"POST"), (b":scheme", scheme), (b":path", b"/coffer.v1.Sys/Health"), (b":authority", b"x"),
                (b"content-type", b"application/grpc"), *headers, (b"more", b"x" * more)])
            parts = [head[at:at + 16000] for at in range(0, len(head), 16000)]
            with socket.create_connection(("127.0.0.1", 8210), timeout=5) as connection:
                with contextlib.suppress(OSError):  # who has heard enough hangs up
                    connection.sendall(h2_begin())
                    for at, part in enumerate(parts):
                        connection.sendall(h2_frame(9 if at else 1, 4 if at == len(parts) - 1 else 0, 1, part))
                    connection.sendall(h2_frame(6, 0, 0, b"12345678"))  # a ping: its answer says that all was read
                got = b""
                with contextlib.suppress(OSError):
                    while b"12345678" not in got and (piece := connection.recv(65536)):
                        got += piece
                return got

        trailers = (b"te", b"trailers")
        for more in (0, 9000, 70000, 300000):
            for scheme, headers in ((b"http", [(b"te", b"MARK")]), (b"http", [trailers, (b"te", b"MARK")]), (b"MARK", [trailers]),
                                    (b"http", [trailers, (b"grpclb_client_stats", b"MARK")]), (b"http", [trailers, (b"grpc-encoding", b"MARK")]),
                                    (b"http", [trailers, (b"x-bin", b"!!MARK")])):
                answer(scheme, headers, more)
                self.assertIsNone(server.process.poll(), (scheme, headers, more))
        self.assert_grpc_answers()
        self.assertNotIn("MARK", server.output())

    def test_a_guess_earns_no_room_over_grpc(self):
        server = self.dev()
        messages, services = coffer_grpc.load("logical")
        with grpc.insecure_channel("127.0.0.1:8210", options=[("grpc.max_send_message_length", -1)]) as channel:
            stub = services.LogicalStub(channel)
            # No JSON at all: who is refused for the size was not parsed.
            for token in ((), (("x-vault-token", "junk"),)):
                with self.assertRaises(grpc.RpcError) as caught:
                    stub.Write(messages.WriteRequest(path="secret/data/x", data_json="x" * (2 * MIB)), metadata=token, timeout=20)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED, caught.exception.details())
            with self.assertRaises(grpc.RpcError) as caught:
                stub.Write(messages.WriteRequest(path="secret/data/x", data_json="x" * (2 * MIB)), metadata=(("x-vault-token", "root"),), timeout=20)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT, caught.exception.details())
        self.assertIsNone(server.process.poll())

    def test_guesses_do_not_take_the_turn_of_others(self):
        self.dev("-dev-grpc-listen-address=")
        with contextlib.ExitStack() as held:
            for _ in range(9):
                held.enter_context(begin_body(32 * MIB, "X-Vault-Token: junk\r\n", 31 * MIB))
            for head in ("", "X-Vault-Token: junk\r\n"):
                for _ in range(120):
                    held.enter_context(begin_body(MIB, head, MIB - 10))
            for kib in (10, 100, 300, 700):
                status, answer = harness.http("POST", "/v1/secret/data/legit", "root", {"data": {"v": "a" * (kib << 10)}})
                self.assertEqual(status, 200, (kib, answer))

    def test_a_stop_does_not_wait_for_passwords(self):
        server = self.dev("-dev-grpc-listen-address=")
        self.shell("vault auth enable userpass")
        with contextlib.ExitStack() as held:
            for number in range(200):
                one = held.enter_context(socket.create_connection(("127.0.0.1", 8200), timeout=10))
                body = json.dumps({"password": "guess"})
                one.sendall(f"POST /v1/auth/userpass/login/u{number} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            # One is answered, so the others are on their way.
            self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 200)
            began = time.monotonic()
            self.assertEqual(server.stop(), 0)
            self.assertLess(time.monotonic() - began, 8)

    def test_idle_connections_leave_files_to_the_store(self):
        data = self.folder / "data"
        path = self.folder / "server.hcl"
        path.write_text(f'storage "raft" {{\n  path = "{data}"\n  node_id = "a"\n}}\nlistener "tcp" {{\n  address = "127.0.0.1:8200"\n  tls_disable = true\n}}\n'
                        'disable_mlock = true\n')
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        server = self.start(f"-config={path}", limits={resource.RLIMIT_NOFILE: (600, 600)})
        server.wait_for_http()
        server.wait_for_line("the limit of open files, 600, allows only 344 connections of HTTP")
        self.assertGreater(hard, 1200)
        keys = harness.http("PUT", "/v1/sys/init", body={"secret_shares": 1, "secret_threshold": 1})[1]
        harness.http("PUT", "/v1/sys/unseal", body={"key": keys["keys"][0]})
        token = keys["root_token"]
        harness.wait_until(lambda: harness.http("POST", "/v1/sys/mounts/kv", token, {"type": "kv"})[0] == 204, "a mount")
        # One connection that has proven itself: others make room before it does.
        writer = http.client.HTTPConnection("127.0.0.1", 8200, timeout=20)
        self.addCleanup(writer.close)
        writer.request("GET", "/v1/sys/mounts", headers={"X-Vault-Token": token})
        writer.getresponse().read()
        idlers = Idlers(900)
        try:
            harness.wait_until(idlers.full.is_set, "a flood")
            for number in range(150):
                writer.request("POST", f"/v1/kv/x{number % 20}", json.dumps({"v": "a" * 700_000}), {"X-Vault-Token": token})
                with writer.getresponse() as answer:
                    self.assertEqual(answer.status, 204, (number, answer.read(), server.output()))
        finally:
            idlers.stop()
        self.assertNotIn("Too many open files", server.output())
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    harness.main()
