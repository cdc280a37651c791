#!/usr/bin/env python3
"""A server under siege: what it costs in memory, and what a well-behaved client notices. Rows K1 and K8 of the advisories, at full size.

bodies:  many connections announce 32 MiB bodies and send them as fast as they are taken, without a token and with a guessed one (K1).
silence: many connections to the gRPC and the HTTP listener say nothing or stop in the middle of a request's head (K8).

While each lasts, a client that was there before and new clients must be answered, and the server's resident memory must stay within 256 MiB of what
it was (asserted). Latencies of the well-behaved client before and meanwhile are printed; the besiegers run at the lowest priority, on the
same machine.

usage: flood.py [--bodies N] [--silent N] [--seconds N]
"""
import argparse
import http.client
import json
import os
import pathlib
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/contract")]
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402
import harness  # noqa: E402

HTTP, GRPC = ("127.0.0.1", 8200), ("127.0.0.1", 8210)
TOKEN = "root"
BODY_BYTES = 32 << 20
RESIDENT_GROWTH_BYTES_MAX = 256 << 20


def besiege(kind, target, count, seconds):
    """Runs in a process of its own. Prints a line when all connections stand, then goes on for `seconds`."""
    os.nice(19)
    head = (f"POST /v1/secret/data/k1 HTTP/1.1\r\nHost: a\r\n{'X-Vault-Token: hvs.guessed' + chr(13) + chr(10) if kind == 'guessed' else ''}"
            f"Content-Length: {BODY_BYTES}\r\n").encode()
    piece = b'{"data":{"a":"' + b"x" * (256 << 10)
    poll, sent = selectors.DefaultSelector(), 0

    def connect():
        s = socket.socket()
        s.setblocking(False)
        s.connect_ex(target)
        poll.register(s, selectors.EVENT_WRITE if kind in ("tokenless", "guessed") else selectors.EVENT_READ, [False])
        return s

    for number in range(count):
        connection = connect()
        if kind == "slow":
            connection.setblocking(True)
            connection.sendall(head[:40])
            connection.setblocking(False)
        if number % 200 == 199:
            threading.Event().wait(0.01)
    print("standing", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in poll.select(0.1):
            begun = key.data
            try:
                if kind in ("tokenless", "guessed"):
                    sent += key.fileobj.send(piece if begun[0] else head + b"\r\n")
                    begun[0] = True
                elif not key.fileobj.recv(4096):
                    raise ConnectionError
            except BlockingIOError:
                pass
            except OSError:  # refused and closed: the next one takes its place
                poll.unregister(key.fileobj)
                key.fileobj.close()
                connect()
    print(f"{sent >> 20} MiB sent", flush=True)


def resident(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


class GoodClients:
    """One connection over HTTP and one over gRPC that stay, and new ones now and then; every answer is checked and timed."""

    def __init__(self):
        logical, services = coffer_grpc.load("logical")
        self.message, self.services = logical, services
        self.kept = http.client.HTTPConnection(*HTTP, timeout=10)
        self.channel = grpc.insecure_channel("%s:%d" % GRPC)
        self.stub = services.LogicalStub(self.channel)

    def http(self, connection):
        started = time.perf_counter()
        connection.request("GET", "/v1/secret/data/good", headers={"X-Vault-Token": TOKEN})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        assert answer.status == 200 and body["data"]["data"] == {"a": "b"}, body
        return time.perf_counter() - started

    def grpc(self, stub):
        started = time.perf_counter()
        stub.Read(self.message.ReadRequest(path="secret/data/good"), metadata=[("x-vault-token", TOKEN)], timeout=10)
        return time.perf_counter() - started

    def measure(self, seconds):
        """Milliseconds: (median, 99th percentile) over HTTP and over gRPC, slowest of new clients."""
        over_http, over_grpc, fresh = [], [], []
        end, pause = time.monotonic() + seconds, threading.Event()
        while time.monotonic() < end:
            over_http.append(self.http(self.kept))
            over_grpc.append(self.grpc(self.stub))
            if len(over_http) % 100 == 1:
                fresh.append(self.http(http.client.HTTPConnection(*HTTP, timeout=10)))
                with grpc.insecure_channel("%s:%d" % GRPC, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                    fresh.append(self.grpc(self.services.LogicalStub(channel)))
            pause.wait(0.001)
        cut = [statistics.quantiles(times, n=100) for times in (over_http, over_grpc)]
        return [round(q[i] * 1000, 2) for q in cut for i in (49, 98)] + [round(max(fresh) * 1000, 1)]


def siege(kind, target, count, seconds, good, pid):
    base, calm = resident(pid), good.measure(2)
    besieger = subprocess.Popen([sys.executable, __file__, "--besiege", kind, str(target[1]), str(count), str(seconds + 30)],
                                stdout=subprocess.PIPE, text=True)
    most, over = [base], threading.Event()

    def watch():
        while not over.wait(0.02):
            most[0] = max(most[0], resident(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        if besieger.stdout.readline() != "standing\n":
            raise SystemExit(f"{kind}: the besieger ended before its connections stood")
        meanwhile = good.measure(seconds)
        if besieger.poll() is not None:
            raise SystemExit(f"{kind}: the besieger did not last")
    finally:
        besieger.kill()
        besieger.wait()
        over.set()
        watcher.join()
    grown = most[0] - base
    print(f"{kind:9} {count} connections to {target[1]}: resident +{grown >> 20} MiB; HTTP p50/p99, gRPC p50/p99, slowest new client, in ms: "
          f"before {calm}, meanwhile {meanwhile}", flush=True)
    if grown > RESIDENT_GROWTH_BYTES_MAX:
        raise SystemExit(f"{kind}: resident memory grew by {grown >> 20} MiB, at most {RESIDENT_GROWTH_BYTES_MAX >> 20} MiB are allowed")
    return grown >> 20, meanwhile[1] / calm[1], meanwhile[3] / calm[3]


def main():
    if sys.argv[1:2] == ["--besiege"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        return besiege(sys.argv[2], ("127.0.0.1", int(sys.argv[3])), int(sys.argv[4]), float(sys.argv[5]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=100)
    parser.add_argument("--silent", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    server = harness.Server(["-dev", f"-dev-root-token-id={TOKEN}"], binary=harness.COFFER)
    try:
        server.wait_for_line(r"^Root Token: ")
        status, answer = harness.http("POST", "/v1/secret/data/good", TOKEN, {"data": {"a": "b"}})
        assert status == 200, answer
        good = GoodClients()
        figures = [siege(kind, target, count, options.seconds, good, server.process.pid)
                   for kind, target, count in (("tokenless", HTTP, options.bodies), ("guessed", HTTP, options.bodies),
                                               ("silent", GRPC, options.silent), ("slow", HTTP, options.silent))]
    finally:
        server.stop()
    print(f"{options.bodies} bodies of 32 MiB and {options.silent} silent connections at a time: resident memory grew by at most "
          f"{max(f[0] for f in figures)} MiB, every good client was answered; its p99 was "
          + ", ".join(f"{f[1]:.1f} and {f[2]:.1f}" for f in figures)
          + " times that of calm over HTTP and gRPC (tokenless, guessed token, silent gRPC, slow HTTP)")


if __name__ == "__main__":
    main()
