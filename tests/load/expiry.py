#!/usr/bin/env python3
"""What it costs that many tokens or leases end at the same moment: a server is given so many whose time is over together; meanwhile one client reads a
secret, one request after the other. Printed: memory each, the reader's slowest answers before and meanwhile, and how long it took until none was left.
Leases are those of the engine in tests/lab.

usage: expiry.py [--tokens N | --leases N] [--seconds UNTIL_THEY_END]
"""
import argparse
import http.client
import json
import pathlib
import socket
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/contract")]
import harness  # noqa: E402

PIPELINE = 64
CONNECTIONS = 4


def resident_bytes(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) << 10
    return 0


def token_request(ttl):
    body = json.dumps({"policies": ["default"], "ttl": f"{ttl}s"}).encode()
    return b"POST /v1/auth/token/create HTTP/1.1\r\nHost: a\r\nX-Vault-Token: root\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def lease_request(ttl):
    return b"GET /v1/fake/inside/r?ttl=%ds HTTP/1.1\r\nHost: a\r\nX-Vault-Token: root\r\n\r\n" % ttl


class Filler(threading.Thread):
    def __init__(self, request, count, end):
        super().__init__(daemon=True)
        self.request, self.count, self.end = request, count, end

    def run(self):
        with socket.create_connection(("127.0.0.1", 8200)) as connection:
            file = connection.makefile("rb")
            for at in range(0, self.count, PIPELINE):
                number = min(PIPELINE, self.count - at)
                ttl = max(1, int(self.end - time.time()))
                connection.sendall(self.request(ttl) * number)
                for _ in range(number):
                    length = 0
                    line = file.readline()
                    assert b" 200 " in line, line
                    while line.strip():
                        line = file.readline()
                        if line.lower().startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    file.read(length)


class Reader:
    def __init__(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", 8200, timeout=60)

    def times(self, until):
        out = []
        while not until():
            begun = time.perf_counter()
            self.connection.request("GET", "/v1/secret/data/a", headers={"X-Vault-Token": "root"})
            self.connection.getresponse().read()
            out.append(time.perf_counter() - begun)
        return sorted(out)


def told(times):
    return f"p50 {times[len(times) // 2] * 1e3:.2f} ms, p99 {times[len(times) * 99 // 100] * 1e3:.1f} ms, most {times[-1] * 1e3:.1f} ms"


class Expiry(harness.Contract):
    count = 2000
    seconds = 20
    of_tokens = True

    def test_many_end_at_once(self):
        self.environment["COFFER_LAB_USERS"] = str(self.folder)
        server = self.start("-dev", "-dev-root-token-id=root", binary=str(harness.BINARY_FOLDER / "coffer_lab"))
        server.wait_for_http()
        server.wait_for_line(r"^Root Token: ")
        pid = server.process.pid
        what, request, folder = ("tokens", token_request, "auth/token/create") if self.of_tokens else ("leases", lease_request, "fake/inside/r")
        if not self.of_tokens:
            harness.http("POST", "/v1/sys/mounts/fake", "root", {"type": "fake"})
        harness.http("POST", "/v1/secret/data/a", "root", {"data": {"a": "b"}})
        before = resident_bytes(pid)
        end = time.time() + self.seconds
        fillers = [Filler(request, self.count // CONNECTIONS, end) for _ in range(CONNECTIONS)]
        for one in fillers:
            one.start()
        for one in fillers:
            one.join()
        grown = resident_bytes(pid) - before
        assert time.time() < end - 1, f"the {what} were not made in time: give it fewer, or more seconds"
        reader = Reader()
        calm = reader.times(lambda: time.time() > end - 0.5)
        gone = [0.0]

        def none_left():
            while True:
                status, answer = harness.http("LIST", f"/v1/sys/leases/lookup/{folder}?limit=1", "root")
                if status == 404:
                    gone[0] = time.time()
                    return
                threading.Event().wait(0.2)

        watcher = threading.Thread(target=none_left, daemon=True)
        watcher.start()
        storm = reader.times(lambda: gone[0] != 0)
        print(f"{self.count} {what} that end at once: {grown / self.count:.0f} bytes of memory each; a reader before: {told(calm)}; "
              f"meanwhile: {told(storm)}; none left after {gone[0] - end:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--tokens", type=int, default=2000)
    kind.add_argument("--leases", type=int)
    parser.add_argument("--seconds", type=int, default=20)
    arguments, rest = parser.parse_known_args()
    Expiry.of_tokens = arguments.leases is None
    Expiry.count, Expiry.seconds = arguments.leases or arguments.tokens, arguments.seconds
    sys.argv[1:] = rest
    harness.main()
