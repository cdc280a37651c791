"""Real servers, each in a network namespace of its own on one bridge, that can be killed, paused, cut off from each other and given bad disks and clocks.

Runs inside tests/contract/sandbox.sh: all namespaces end with it.
"""
import http.client
import json
import mmap
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/contract")]
from harness import wait_until  # noqa: E402

CAUGHT_UP_SECONDS_MAX = 20
BUILD = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build/release"))
CONFIG = '''
storage "raft" {{
  path = "{folder}/data"
  node_id = "n{number}"
  min_free_bytes = 0
{joins}}}
listener "tcp" {{
  address = "{address}:8200"
  cluster_address = "{address}:8201"
  tls_disable = true
}}
seal "aesgcm" {{
  keys = ["Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="]
}}
api_addr = "http://{address}:8200"
cluster_addr = "https://{address}:8201"
disable_mlock = true
'''


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


class Node:
    """One server. Its faults end with clear_faults(); what is cut is the cluster's."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.address = f"10.9.0.{number}"
        self.folder = cluster.folder / f"n{number}"
        (self.folder / "data").mkdir(parents=True)
        self.process = None
        self.starts = 0
        self.paused = False
        with open(self.folder / "faults", "wb") as file:
            file.write(bytes(32))
        with open(self.folder / "faults", "r+b") as file:
            self.faults = mmap.mmap(file.fileno(), 32)
        self.space = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        wait_until(lambda: os.readlink(f"/proc/{self.space.pid}/ns/net") != os.readlink("/proc/self/ns/net"), "a network namespace", 5)
        run("ip", "link", "add", f"v{number}", "type", "veth", "peer", "name", f"e{number}")
        run("ip", "link", "set", f"e{number}", "netns", str(self.space.pid))
        run("ip", "link", "set", f"v{number}", "master", "br0", "up")
        for words in (("addr", "add", f"{self.address}/24", "dev", f"e{number}"), ("link", "set", f"e{number}", "up"), ("link", "set", "lo", "up")):
            self.ip(*words)
        joins = "".join(f'  retry_join {{\n    leader_api_addr = "http://10.9.0.{other}:8200"\n  }}\n'
                        for other in range(1, cluster.size + 1) if other != number)
        (self.folder / "server.hcl").write_text(CONFIG.format(folder=self.folder, number=number, address=self.address, joins=joins))

    def ip(self, *words):
        run("nsenter", "--target", str(self.space.pid), "--net", "ip", *words)

    def start(self):
        environment = dict(os.environ, COFFER_FAULTS=str(self.folder / "faults"), LD_PRELOAD=str(BUILD / "libcoffer_faulty.so"), **self.cluster.environment)
        self.starts += 1
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(["nsenter", "--target", str(self.space.pid), "--net", self.cluster.binary, "server",
                                             f"-config={self.folder}/server.hcl"], stdout=log, stderr=log, env=environment)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        if self.alive():
            self.process.send_signal(number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.paused = False

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.process.wait(20)

    def pause(self):
        self.paused = True
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)
        self.paused = False

    def set_faults(self, wall_offset_seconds=0, sync_delay_seconds=0, syncs_fail=False, disk_full=False):
        self.faults[:] = struct.pack("<qqqq", int(wall_offset_seconds * 1e9), int(sync_delay_seconds * 1e6), syncs_fail, disk_full)

    def wipe(self):
        shutil.rmtree(self.folder / "data")
        (self.folder / "data").mkdir()

    def log_tail(self):
        return (self.folder / "server.log").read_text(errors="replace")[-2500:]

    def request(self, method, path, token=None, body=None, timeout=5.0):
        connection = http.client.HTTPConnection(self.address, 8200, timeout=timeout)
        try:
            return ask(connection, method, path, token, body)
        finally:
            connection.close()

    def health(self):
        """0 when it does not answer."""
        try:
            return self.request("GET", "/v1/sys/health", timeout=1.0)[0]
        except (OSError, http.client.HTTPException):
            return 0


def ask(connection, method, path, token=None, body=None):
    connection.request(method, path, headers={"X-Vault-Token": token} if token else {}, body=None if body is None else json.dumps(body))
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, (json.loads(content) if content else {})


class Cluster:
    """`size` nodes, initialised, unsealed by themselves and all of them voters. `environment` is the servers'."""

    def __init__(self, folder, size, environment=None, binary="coffer"):
        self.folder, self.size = pathlib.Path(folder), size
        self.environment = environment or {}
        self.binary = str(BUILD / binary)
        run("ip", "link", "add", "br0", "type", "bridge")
        run("ip", "addr", "add", "10.9.0.254/24", "dev", "br0")
        run("ip", "link", "set", "br0", "up")
        self.nodes = [Node(self, number) for number in range(1, size + 1)]
        self.token = None

    def begin(self):
        first = self.nodes[0]
        first.start()
        wait_until(lambda: first.health() == 501, lambda: "the first node\n" + first.log_tail(), 10)
        status, made = first.request("PUT", "/v1/sys/init", body={"recovery_shares": 1, "recovery_threshold": 1})
        if status != 200:
            raise SystemExit(f"init was answered with {status} {made}")
        self.token = made["root_token"]
        for node in self.nodes[1:]:
            node.start()
        self.wait_whole(30)

    def leader(self):
        return next((node for node in self.nodes if node.alive() and not node.paused and node.health() == 200), None)

    def voters(self):
        """How many vote, by the word of the leader; 0 when there is none."""
        for node in self.nodes:
            try:
                status, told = node.request("GET", "/v1/sys/storage/raft/configuration", self.token, timeout=2.0)
            except (OSError, http.client.HTTPException, ValueError):
                continue
            if status == 200:
                return sum(server["voter"] for server in told["data"]["config"]["servers"])
        return 0

    def wait_whole(self, seconds):
        """Every node answers, all vote, one leads, each takes a write, and all have what the one that leads has: a disk that is lost before
        the last one is made good would be one more than a majority can bear."""
        def each_takes_a_write():
            try:
                return all(node.request("PUT", "/v1/sys/policies/acl/whole", self.token, {"policy": f"# {node.number}"}, timeout=5.0)[0] == 204
                           for node in self.nodes)
            except (OSError, http.client.HTTPException, ValueError):
                return False

        def all_told():
            return [node.request("GET", "/v1/sys/leader", self.token, timeout=5.0)[1] for node in self.nodes]

        def all_have_all():
            try:
                goal = max(told["raft_committed_index"] for told in all_told())
                return all(self.reaches(node, goal) for node in self.nodes) and not any(told.get("raft_catching_up") for told in all_told())
            except (OSError, KeyError, http.client.HTTPException, ValueError):
                return False

        def told():
            return "\n".join(f"n{node.number}: health {node.health()}, {'runs' if node.alive() else 'ended'}\n{node.log_tail()}" for node in self.nodes)

        wait_until(lambda: all(node.health() in (200, 429, 473) for node in self.nodes), lambda: "every node answers\n" + told(), seconds)
        wait_until(lambda: self.voters() == self.size, lambda: f"{self.size} voters\n" + told(), seconds)
        wait_until(each_takes_a_write, lambda: "a write through each\n" + told(), seconds)
        wait_until(all_have_all, lambda: "what the leader has at each\n" + told(), seconds)

    def reaches(self, node, index):
        """Soon: clients go on writing, so that it is behind by a few at any moment."""
        wait_until(lambda: node.request("GET", "/v1/sys/leader", self.token, timeout=5.0)[1]["raft_applied_index"] >= index,
                   lambda: f"entry {index} at n{node.number}\n{node.log_tail()}", CAUGHT_UP_SECONDS_MAX)
        return True

    def cut(self, a, b):
        """What `a` sends to `b` is lost, until heal()."""
        a.ip("route", "add", "blackhole", f"{b.address}/32")

    def heal(self):
        for node in self.nodes:
            node.ip("route", "flush", "type", "blackhole")

    def end(self):
        for node in self.nodes:
            node.resume()
            if node.alive():
                node.kill()
