"""What deploy/ holds works as the articles use it: the unit, stop and start by it, a rolling restart under load. S0-18, S0-19b, S0-34, S0-41, S1-10."""
import json
import re
import shutil
import threading

import cluster_test
import harness

DEPLOY = harness.ROOT / "deploy"
UNIT = DEPLOY / "systemd/vault.service"
SYSTEMCTL = """#!/bin/bash
# Stands in for systemd: start and stop of the unit "vault" as its file says it.
set -euo pipefail
unit="{unit}" state="{state}"
value() {{ sed -n "s/^$1=//p" "$unit" | head -1; }}
[ "$2" = vault ] || [ "$2" = coffer ]
case "$1" in
  start)
    command="$(value ExecStart)"
    $command >>"$state/journal" 2>&1 &
    echo $! >"$state/pid" ;;
  stop)
    pid="$(cat "$state/pid")"
    kill -s "$(value KillSignal)" "$pid"
    # Over when it is gone, or waits to be reaped.
    for _ in $(seq "$(value TimeoutStopSec)0"); do
      if ! grep -qv ") Z " "/proc/$pid/stat" 2>/dev/null; then exit 0; fi
      read -rt 0.1 <> <(:) || true
    done
    exit 1 ;;
esac
"""


class Unit(harness.Contract):
    def setUp(self):
        super().setUp()
        self.unit = self.folder / "vault.service"
        self.unit.write_text(UNIT.read_text().replace("/usr/bin/vault", harness.VAULT))

    def tearDown(self):
        if (self.folder / "pid").exists():
            self.shell("sudo systemctl stop vault", code=None)
        super().tearDown()

    def test_S0_18_the_unit(self):
        text = UNIT.read_text()
        self.assertIn("Alias=coffer.service", text)
        self.assertIn("StandardOutput=journal", text)
        if shutil.which("systemd-analyze"):
            self.shell(f"systemd-analyze verify {self.unit} 2>&1 | grep -F vault.service | grep -v -e documentation -e 'Unknown user'", code=1)

    def test_S1_10_stop_and_start(self):
        tools = self.folder / "tools"
        tools.mkdir()
        (tools / "systemctl").write_text(SYSTEMCTL.format(unit=self.unit, state=self.folder))
        (tools / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
        for tool in tools.iterdir():
            tool.chmod(0o755)
        self.environment["PATH"] = f"{tools}:{self.environment['PATH']}"
        self.environment["VAULT_ADDR"] = "http://127.0.0.1:8200"
        self.shell("rm -rf /opt/vault/data && mkdir -p /etc/vault.d /opt/vault/data")
        with open("/etc/vault.d/vault.hcl", "w", encoding="utf-8") as file:
            file.write('storage "raft" {\n path = "/opt/vault/data"\n node_id = "n1"\n min_free_bytes = 0\n}\n'
                       'listener "tcp" {\n address = "127.0.0.1:8200"\n tls_disable = true\n}\ndisable_mlock = true\n')

        def answers():
            try:
                return harness.http("GET", "/v1/sys/seal-status")[0] == 200
            except OSError:
                return False
        self.shell("sudo systemctl start vault")
        harness.wait_until(answers, "it serves")
        made = json.loads(self.shell("vault operator init -key-shares=1 -key-threshold=1 -format=json"))
        self.environment["VAULT_TOKEN"] = made["root_token"]
        unseal = f"vault operator unseal {made['unseal_keys_b64'][0]}"
        self.shell(f"{unseal} && vault secrets enable -version=2 kv && vault kv put kv/a x=1")
        self.shell("sudo systemctl stop vault")
        self.assertFalse(answers())
        self.shell("sudo systemctl start vault")
        harness.wait_until(answers, "it serves again")
        self.shell(unseal)
        self.assertEqual(self.shell("vault kv get -field=x kv/a"), "1")
        for line in (self.folder / "journal").read_text().splitlines():
            self.assertNotRegex(line, r"\[ERROR\]")

    def test_examples_can_be_read(self):
        dashboard = json.loads((DEPLOY / "grafana/coffer.json").read_text())
        rules = (DEPLOY / "prometheus/alerts.yml").read_text()
        self.dev()
        text = harness.http("GET", "/v1/sys/metrics?format=prometheus", "root", raw=True)[1].decode()
        told = set(re.findall(r"(?m)^([a-z_A-Z]+)", text))
        # Of a cluster alone, or only after something happened.
        later = re.compile(r"autopilot|follower|storage_free_bytes|failure|commitTime|log_request|login_request")
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]] + re.findall(r"expr: (.*)", rules)
        for name in set(re.findall(r"vault_[A-Za-z_]+", " ".join(queries))):
            self.assertTrue(name in told or later.search(name), name)


class RollingRestart(cluster_test.Nodes):
    def test_S0_34_S0_19b_S0_41_no_acknowledged_write_is_lost(self):
        """Step-down, stop and start of each node, while a client writes that tries again at the next node."""
        keys = self.cluster()
        self.vault(1, "secrets enable -version=1 kv")
        acknowledged, failures, stop = [], [], threading.Event()

        def write(i):
            for attempt in range(400):
                try:
                    status, answer = self.status(1 + attempt % 3, f"kv/k{i}", "POST", self.token, {"x": str(i)})
                except OSError:
                    status = 0
                if status == 204:
                    return True
                if 400 <= status < 500:
                    failures.append((i, status, answer))
                    return False
                stop.wait(0.02)
            failures.append((i, "not within 400 tries"))
            return False

        def loop():
            i = 0
            while not stop.is_set():
                if write(i):
                    acknowledged.append(i)
                i += 1
        writer = threading.Thread(target=loop)
        writer.start()
        try:
            for n in (1, 2, 3):
                if self.leader((n,)):
                    self.shell("timeout 10s vault operator step-down || true", env={"VAULT_ADDR": f"http://127.0.0.1:8{n}00", "VAULT_TOKEN": self.token})
                    harness.wait_until(lambda: self.leader({1, 2, 3} - {n}), "another node leads", 20)
                self.assertEqual(self.nodes[n].stop(), 0)
                self.node(n)
                self.unseal(n, keys)
                other = n % 3 + 1
                harness.wait_until(lambda: self.caught_up(other, n), "it has caught up", 40)
        finally:
            stop.set()
            writer.join()
        self.assertEqual(failures, [])
        self.assertGreater(len(acknowledged), 20)
        for i in acknowledged:
            self.assertEqual(self.status(1, f"kv/k{i}", token=self.token)[1]["data"], {"x": str(i)})

    def caught_up(self, at, n):
        status, answer = self.status(at, "sys/storage/raft/autopilot/state", token=self.token)
        return status == 200 and answer["data"]["servers"].get(f"n{n}", {}).get("healthy")


if __name__ == "__main__":
    harness.main()
