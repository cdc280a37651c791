#!/usr/bin/env python3
"""kill -9 of a real server at random moments, under 32 writers, on the real disk.

Each writer owns some keys and writes the numbers 1, 2, 3 … into them, so that a key's version is its number. After each restart, for
every key touched since the last one: the number read is the last one acknowledged or the one in flight, its version says the same, and the version
before it still holds its own number (the data is large enough that it moves to a record of its own: a request writes both records or
neither). At the end every key that was ever acknowledged is read back.
Every tenth kill comes while the server is still starting.

usage: kill9.py [--kills N] [--writers N] [--between N] [--state FOLDER] [--seed N]
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build/release")) / "coffer"
HOST = "127.0.0.1:8200"
RESTART_SECONDS_MAX = 2.0
PAD = "x" * 1100  # more than a secret's head keeps of older versions
CONFIG = '''
storage "raft" {{
  path = "{folder}/data"
  node_id = "n1"
}}
listener "tcp" {{
  address = "127.0.0.1:8200"
  tls_disable = true
}}
listener "grpc" {{
  address = "127.0.0.1:8210"
  tls_disable = true
}}
seal "aesgcm" {{
  keys = ["Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="]
}}
api_addr = "http://127.0.0.1:8200"
cluster_addr = "http://127.0.0.1:8201"
disable_mlock = true
'''


def call(connection, method, path, token=None, body=None):
    connection.request(method, path, headers={"X-Vault-Token": token} if token else {}, body=None if body is None else json.dumps(body))
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, (json.loads(content) if content else None)


class Storm:
    def __init__(self, options, folder):
        self.options = options
        self.folder = folder
        self.random = random.Random(options.seed)
        self.token = None
        self.process = None
        self.acknowledged = {}   # key -> number
        self.attempted = {}      # key -> highest number sent
        self.touched = set()
        self.writes = 0
        self.slowest_start = 0.0
        self.lock = threading.Lock()
        (folder / "data").mkdir()
        (folder / "server.hcl").write_text(CONFIG.format(folder=folder))

    def launch(self):
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen([BINARY, "server", f"-config={self.folder}/server.hcl"], stdout=self.log, stderr=self.log)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def wait_ready(self, path="/v1/sys/health", good=(200,)):
        started = time.monotonic()
        pause = threading.Event()
        while time.monotonic() - started < 30:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended with {self.process.returncode} at start:\n{(self.folder / 'server.log').read_text()[-3000:]}")
            try:
                status, _ = call(http.client.HTTPConnection(HOST, timeout=5), "GET", path)
                if status in good:
                    return time.monotonic() - started
            except OSError:
                pass
            pause.wait(0.01)
        raise SystemExit("the server did not come up within 30 s")

    def setup(self):
        self.launch()
        self.wait_ready(good=(200, 501))
        connection = http.client.HTTPConnection(HOST)
        _, made = call(connection, "PUT", "/v1/sys/init", body={"recovery_shares": 1, "recovery_threshold": 1})
        self.token = made["root_token"]
        self.wait_ready()
        status, _ = call(connection, "POST", "/v1/sys/mounts/secret", self.token, {"type": "kv", "options": {"version": "2"}})
        assert status == 204, status

    def writer(self, number, stop):
        connection = http.client.HTTPConnection(HOST, timeout=10)
        picks = random.Random(self.options.seed * 1000 + number + self.writes)
        while not stop.is_set():
            key = f"w{number}-{picks.randrange(8)}"
            value = self.attempted.get(key, 0) + 1
            self.attempted[key] = value
            self.touched.add(key)
            try:
                status, answer = call(connection, "POST", f"/v1/secret/data/{key}", self.token, {"data": {"n": value, "copy": value, "pad": PAD}})
            except (OSError, http.client.HTTPException, ValueError):
                return  # the server is gone
            if status != 200:
                raise SystemExit(f"a write was answered with {status}: {answer}")
            if answer["data"]["version"] != value:
                raise SystemExit(f"{key}: write {value} became version {answer['data']['version']}")
            with self.lock:
                self.acknowledged[key] = value
                self.writes += 1

    def check(self, keys):
        connection = http.client.HTTPConnection(HOST)
        for key in sorted(keys):
            acknowledged = self.acknowledged.get(key, 0)
            status, answer = call(connection, "GET", f"/v1/secret/data/{key}", self.token)
            if status == 404 and acknowledged == 0:
                self.attempted[key] = 0
                continue
            if status != 200:
                raise SystemExit(f"LOST: {key} was acknowledged at {acknowledged} and is answered with {status}")
            number, copy, version = (answer["data"]["data"]["n"], answer["data"]["data"]["copy"], answer["data"]["metadata"]["version"])
            if number < acknowledged or number > self.attempted[key]:
                raise SystemExit(f"LOST: {key} was acknowledged at {acknowledged}, sent up to {self.attempted[key]}, and reads {number}")
            if number != copy or number != version:
                raise SystemExit(f"HALF: {key} reads n={number} copy={copy} version={version}")
            if number > 1:
                status, answer = call(connection, "GET", f"/v1/secret/data/{key}?version={number - 1}", self.token)
                if status != 200 or answer["data"]["data"]["n"] != number - 1:
                    raise SystemExit(f"HALF: {key} version {number - 1} is answered with {status} {answer}")
            self.acknowledged[key] = self.attempted[key] = number

    def cycle(self, number):
        if number % 10 == 9:  # a kill while it starts, then a start that must succeed
            self.launch()
            threading.Event().wait(self.random.uniform(0, 0.15))
            self.kill()
        self.launch()
        self.slowest_start = max(self.slowest_start, self.wait_ready())
        self.check(self.touched)
        self.touched.clear()
        stop = threading.Event()
        goal = self.writes + self.options.between + self.random.randrange(self.options.between)
        threads = [threading.Thread(target=self.writer, args=(i, stop)) for i in range(self.options.writers)]
        for t in threads:
            t.start()
        pause = threading.Event()
        while self.writes < goal:
            if not any(t.is_alive() for t in threads):
                raise SystemExit("all writers ended before the kill")
            pause.wait(self.random.uniform(0.0005, 0.005))
        self.kill()
        stop.set()
        for t in threads:
            t.join()

    def run(self):
        self.setup()
        self.kill()
        started = time.monotonic()
        for number in range(self.options.kills):
            self.cycle(number)
            if (number + 1) % 10 == 0:
                print(f"{number + 1}/{self.options.kills} kills, {self.writes} acknowledged writes, slowest restart {self.slowest_start:.2f} s, "
                      f"{time.monotonic() - started:.0f} s", flush=True)
        self.launch()
        self.slowest_start = max(self.slowest_start, self.wait_ready())
        self.check(set(self.acknowledged))
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(15) != 0:
            raise SystemExit("the server did not end with 0 on SIGTERM")
        if self.slowest_start > RESTART_SECONDS_MAX:
            raise SystemExit(f"the slowest restart took {self.slowest_start:.2f} s, at most {RESTART_SECONDS_MAX} s is allowed")
        print(f"{self.options.kills} kills, {self.writes} acknowledged writes, 0 lost, 0 half-applied, slowest restart {self.slowest_start:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--between", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--state", help="folder for a failing run's files")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    # beside the build and not in /tmp, which may be memory: the point is the real disk
    base = BINARY.parent
    folder = pathlib.Path(tempfile.mkdtemp(prefix="kill9-", dir=base))
    storm = Storm(options, folder)
    try:
        storm.run()
    except SystemExit:
        if storm.process and storm.process.poll() is None:
            storm.process.kill()
        print(f"the failing state is kept in {folder}", file=sys.stderr)
        raise
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
