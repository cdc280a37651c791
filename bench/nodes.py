"""Servers of Coffer or of its peer, OpenBao, on this machine, as the comparisons of clusters start them."""
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from load import ROOT, call, free_port, run_wrk

KEYS = 10000
PATIENCE_SECONDS = 120


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while True:
        try:
            value = condition()
        except (OSError, ValueError):
            value = None
        if value:
            return value
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {PATIENCE_SECONDS} s: {what}")
        pause.wait(0.005)


class Node:
    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.folder = cluster.folder / f"n{number}"
        for part in ("data", "conf", "audit"):
            (self.folder / part).mkdir(parents=True)
        self.address = f"http://127.0.0.1:{free_port()}"
        self.cluster_port = free_port()
        self.audit = self.folder / "audit/audit.log"
        self.process = None

    def start(self):
        audit = f'audit "file" "file" {{\n  options = {{\n    file_path = "{self.audit}"\n  }}\n}}\n'
        (self.folder / "conf/server.hcl").write_text(f"""
storage "raft" {{
  path = "{self.folder}/data"
  node_id = "n{self.number}"
}}
listener "tcp" {{
  address = "{self.address.removeprefix('http://')}"
  cluster_address = "127.0.0.1:{self.cluster_port}"
  tls_disable = true
}}
api_addr = "{self.address}"
cluster_addr = "https://127.0.0.1:{self.cluster_port}"
disable_mlock = true
{audit}""")
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen([self.cluster.binary, "server", f"-config={self.folder}/conf/server.hcl"], stdout=log, stderr=log)
        wait_until(lambda: call(self.address, "GET", "/v1/sys/seal-status"), f"a server at {self.address}")

    def unseal(self):
        call(self.address, "PUT", "/v1/sys/unseal", body={"key": self.cluster.key})

    def kill(self):
        self.process.kill()
        self.process.wait()

    def leads(self):
        return self.process.poll() is None and call(self.address, "GET", "/v1/sys/leader")["is_self"]

    def applied(self):
        return call(self.address, "GET", "/v1/sys/leader")["raft_applied_index"]


class Cluster:
    def __init__(self, name, binary, nodes=3):
        self.name, self.binary = name, binary
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"cluster-{name}-", dir=ROOT / "build"))
        self.nodes = [Node(self, number) for number in range(1, nodes + 1)]
        self.token = self.key = None

    def begin(self):
        """Returns the seconds from the start of the first process to all of them voters."""
        begun = time.monotonic()
        first = self.nodes[0]
        first.start()
        made = call(first.address, "PUT", "/v1/sys/init", body={"secret_shares": 1, "secret_threshold": 1})
        self.token, self.key = made["root_token"], made["keys_base64"][0]
        first.unseal()
        wait_until(first.leads, "a leader")
        for node in self.nodes[1:]:
            node.start()
            wait_until(lambda: call(node.address, "PUT", "/v1/sys/storage/raft/join", body={"leader_api_addr": first.address}), "a join")
            wait_until(lambda: node.unseal() or True, "an unseal")
        wait_until(lambda: self.voters() == len(self.nodes), "all of them voters")
        return time.monotonic() - begun

    def voters(self):
        told = call(self.nodes[0].address, "GET", "/v1/sys/storage/raft/configuration", self.token)
        return sum(server["voter"] for server in told["data"]["config"]["servers"])

    def leader(self):
        return wait_until(lambda: next((node for node in self.nodes if node.process.poll() is None and node.leads()), None), "a leader")

    def mount(self):
        leader = self.leader()
        call(leader.address, "POST", "/v1/sys/mounts/secret", self.token, {"type": "kv", "options": {"version": "2"}})
        wait_until(lambda: call(leader.address, "POST", "/v1/secret/data/first", self.token, {"data": {"a": "b"}}), "a mount")
        return leader

    def fill(self):
        leader = self.mount()
        host = leader.address.removeprefix("http://")

        def work(offset):
            connection = http.client.HTTPConnection(host)
            for number in range(1 + offset, KEYS + 1, 8):
                connection.request("POST", f"/v1/secret/data/k{number}", headers={"X-Vault-Token": self.token},
                                   body=json.dumps({"data": {"username": "app", "password": f"p-{number}-0123456789abcdef"}}))
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise SystemExit(f"{self.name}: a write was answered with {answer.status}")

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def load(self, work, seconds):
        leader = self.leader()
        node = leader if work == "kv_write" else next(node for node in self.nodes if node is not leader)
        result = run_wrk(self.folder, node.address, self.token, work, KEYS, seconds)
        if result["errors"]:
            raise SystemExit(f"{self.name} {work}: {result['errors']} requests failed, the figure does not count")
        for node in self.nodes:
            if node.audit.exists():
                os.truncate(node.audit, 0)
        return result

    def settle(self):
        """All answer, and all have what the leader has."""
        for node in self.nodes:
            if node.process.poll() is not None:
                node.start()
                node.unseal()
        leader = self.leader()
        for node in self.nodes:
            wait_until(lambda: node.applied() >= leader.applied() - 2, "all caught up")

    def stop(self):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.send_signal(signal.SIGTERM)
        for node in self.nodes:
            if node.process is not None:
                try:
                    node.process.wait(20)
                except subprocess.TimeoutExpired:
                    node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
