#!/usr/bin/env python3
"""How long a server with many secrets takes to answer again after kill -9: from its start to the first secret that it reads out.

Fills a server over pipelined connections, kills it without warning while it is being written to, starts it and reads a secret; several times. Each
restart takes at most two seconds; whatever was acknowledged is looked for by a sample.

usage: restart.py [--secrets N] [--restarts N]
"""
import argparse
import http.client
import pathlib
import random
import shutil
import socket
import tempfile
import threading
import time

from kill9 import BINARY, HOST, RESTART_SECONDS_MAX, Storm, call

CONNECTIONS = 16
PIPELINE = 32  # requests under way on one connection


def body(number):
    return b'{"data":{"username":"app","password":"p-%d-0123456789abcdef"}}' % number


def path(number):
    return f"/v1/secret/data/team-{number % 1000}/service-{number}"


class Filler:
    """Writes secrets FIRST, FIRST+STEP, … below END over one connection; `acknowledged` counts how many of them were answered with 200."""

    def __init__(self, token, first, end, step):
        self.token, self.numbers = token, range(first, end, step)
        self.acknowledged = 0

    def requests(self, numbers):
        out = bytearray()
        for number in numbers:
            content = body(number)
            out += (f"POST {path(number)} HTTP/1.1\r\nHost: {HOST}\r\nX-Vault-Token: {self.token}\r\n"
                    f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n").encode() + content
        return out

    def run(self):
        host, port = HOST.split(":")
        with socket.create_connection((host, int(port))) as connection:
            for at in range(0, len(self.numbers), PIPELINE):
                batch = self.numbers[at:at + PIPELINE]
                try:
                    connection.sendall(self.requests(batch))
                    if not self.take(connection, len(batch)):
                        return
                except OSError:
                    return

    def take(self, connection, count):
        """Reads `count` answers; False when the server is gone."""
        seen, rest = 0, b""
        while seen < count:
            piece = connection.recv(1 << 16)
            if not piece:
                return False
            rest += piece
            while True:
                end = rest.find(b"\r\n\r\n")
                if end < 0:
                    break
                head = rest[:end].decode().lower()
                length = int(head.split("content-length:")[1].split("\r\n")[0])
                if len(rest) < end + 4 + length:
                    break
                if not head.startswith("http/1.1 200"):
                    raise SystemExit(f"a write was answered with {head.splitlines()[0]}: {rest[end + 4:end + 4 + length]!r}")
                rest = rest[end + 4 + length:]
                seen += 1
                self.acknowledged += 1
        return True


def fill(token, first, end, kill_after=None):
    fillers = [Filler(token, first + i, end, CONNECTIONS) for i in range(CONNECTIONS)]
    threads = [threading.Thread(target=f.run) for f in fillers]
    for t in threads:
        t.start()
    pause, shown = threading.Event(), time.monotonic()
    while any(t.is_alive() for t in threads):
        done = sum(f.acknowledged for f in fillers)
        if kill_after is not None and done >= kill_after[0]:
            kill_after[1]()
            kill_after = None
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{first + done} secrets", flush=True)
        pause.wait(0.005)
    if kill_after is not None:
        kill_after[1]()
    return fillers


def check(token, fillers, sample):
    connection = http.client.HTTPConnection(HOST)
    for filler in fillers:
        kept = filler.numbers[:filler.acknowledged]
        for number in set(random.sample(kept, min(sample, len(kept))) + list(kept[-2:])):
            status, answer = call(connection, "GET", path(number), token)
            if status != 200 or answer["data"]["data"]["password"].encode() not in body(number):
                raise SystemExit(f"LOST: {path(number)} was acknowledged and is answered with {status}")


def time_restart(storm, number):
    """From the start of the process to the first secret."""
    started = time.monotonic()
    storm.launch()
    pause = threading.Event()
    while time.monotonic() - started < 60:
        try:
            status, _ = call(http.client.HTTPConnection(HOST, timeout=60), "GET", path(number), storm.token)
            if status == 200:
                return time.monotonic() - started
        except OSError:
            if storm.process.poll() is not None:
                raise SystemExit(f"the server ended with {storm.process.returncode} at start") from None
        pause.wait(0.005)
    raise SystemExit("no secret was read within 60 s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--secrets", type=int, default=20000)
    parser.add_argument("--restarts", type=int, default=5)
    options = parser.parse_args()
    options.seed = 1
    folder = pathlib.Path(tempfile.mkdtemp(prefix="restart-", dir=BINARY.parent))  # on the real disk
    storm = Storm(options, folder)
    try:
        storm.setup()
        fill(storm.token, 0, options.secrets)
        first, slowest = options.secrets, 0.0
        for _ in range(options.restarts):
            end = first + max(options.secrets // 20, 1000)
            fillers = fill(storm.token, first, end, ((end - first) * random.uniform(0.2, 0.8), storm.kill))
            first = end
            seconds = time_restart(storm, random.randrange(options.secrets))
            slowest = max(slowest, seconds)
            print(f"restart with {options.secrets} secrets and more: {seconds:.2f} s", flush=True)
            check(storm.token, fillers, 20)
        storm.kill()
    finally:
        if storm.process and storm.process.poll() is None:
            storm.process.kill()
        size = sum(f.stat().st_blocks * 512 for f in folder.rglob("*") if f.is_file()) >> 20
        shutil.rmtree(folder)
    if slowest > RESTART_SECONDS_MAX:
        raise SystemExit(f"the slowest restart took {slowest:.2f} s, at most {RESTART_SECONDS_MAX} s is allowed")
    print(f"{options.secrets} secrets, {options.restarts} restarts after kill -9 under load, slowest {slowest:.2f} s to the first secret, {size} MiB on disk")


if __name__ == "__main__":
    main()
