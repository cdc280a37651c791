"""The compose file's three nodes, each in a network of its own with the very VAULT_LOCAL_CONFIG, on a bridge with names: S4-110a to S4-110e, S4-111 to S4-115, S4-173, S4-186, D-11, D-12."""
import os
import pty
import re
import select
import signal
import subprocess
import textwrap
import time

import harness

COMPOSE = harness.ROOT / "deploy/compose/vault-docker-compose.yml"
ENTRYPOINT = harness.ROOT / "deploy/entrypoint.sh"
NET = "10.77.0"


def local_configs():
    """{service: VAULT_LOCAL_CONFIG} of the compose file."""
    text = COMPOSE.read_text()
    found = re.findall(r"(?m)^  (vault-\d):\n(?:    .*\n)*?      VAULT_LOCAL_CONFIG: \|\n((?:        .*\n)+)", text)
    return {name: textwrap.dedent(block) for name, block in found}


class Compose(harness.Contract):
    @classmethod
    def setUpClass(cls):
        def run(*command):
            subprocess.run(command, check=True)
        run("ip", "link", "add", "name", "br0", "type", "bridge")
        run("ip", "addr", "add", f"{NET}.1/24", "dev", "br0")
        run("ip", "link", "set", "dev", "br0", "up")
        cls.holders = {}
        for n in (1, 2, 3):
            holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
            cls.holders[n] = holder
            own = os.readlink("/proc/self/ns/net")
            harness.wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != own, "a network of its own")
            run("ip", "link", "add", "name", f"out{n}", "type", "veth", "peer", "name", f"in{n}")
            run("ip", "link", "set", "dev", f"out{n}", "master", "br0", "up")
            run("ip", "link", "set", "dev", f"in{n}", "netns", str(holder.pid))
            inside = ["nsenter", "-t", str(holder.pid), "-n", "ip"]
            run(*inside, "link", "set", "dev", "lo", "up")
            run(*inside, "addr", "add", f"{NET}.1{n}/24", "dev", f"in{n}")
            run(*inside, "link", "set", "dev", f"in{n}", "up")
        with open("/etc/hosts", "a", encoding="utf-8") as hosts:
            hosts.writelines(f"{NET}.1{n} vault-{n}\n" for n in (1, 2, 3))

    @classmethod
    def tearDownClass(cls):
        for holder in cls.holders.values():
            holder.kill()
            holder.wait()
        subprocess.run(["ip", "link", "del", "dev", "br0"], check=True)

    def node(self, n):
        """As the image starts it: its entry point with "server", its own /vault/data."""
        data = self.folder / f"vault-{n}-data"
        data.mkdir(exist_ok=True)
        script = self.folder / f"run-{n}"
        script.write_text(f'#!/bin/sh\nexec nsenter -t {self.holders[n].pid} -n -- unshare --mount sh -c \'mount --bind {data} /vault/data && '
                          f'exec {ENTRYPOINT} "$@"\' sh "$@"\n')
        script.chmod(0o755)
        server = self.start(binary=str(script), env={"VAULT_LOCAL_CONFIG": local_configs()[f"vault-{n}"]})
        server.wait_for_http(f"http://{NET}.1{n}:8200")
        return server

    def docker_exec(self, n, command, code=0):
        return self.shell(f"nsenter -t {self.holders[n].pid} -n -- {command}", code=code)

    def typed(self, n, command, text, prompt):
        """The command on a terminal; `text` is typed at its prompt. Returns what was shown, and the exit code."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execvpe("nsenter", ["nsenter", "-t", str(self.holders[n].pid), "-n", "--", *command.split()], self.environment)
        shown, sent, deadline = b"", False, time.monotonic() + 30
        while time.monotonic() < deadline:
            if not select.select([fd], [], [], 1)[0]:
                continue
            try:
                piece = os.read(fd, 4096)
            except OSError:
                break
            shown += piece
            if not sent and prompt.encode() in shown:
                os.write(fd, text.encode() + b"\n")
                sent = True
        os.close(fd)
        return shown.decode().replace("\r", ""), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def health(self, n):
        try:
            return harness.http("GET", "/v1/sys/health", address=f"http://{NET}.1{n}:8200")[0]
        except OSError:
            return None

    def peers(self, n):
        rows = self.docker_exec(n, "vault operator raft list-peers").splitlines()
        return {row.split()[0]: row.split()[1:] for row in rows if row.startswith("vault-")}

    def unseal(self, n, keys):
        for key in keys[:3]:
            shown, code = self.typed(n, "vault operator unseal", key, "Unseal Key (will be hidden): ")
            self.assertEqual(code, 0, shown)
            self.assertIn("Unseal Key (will be hidden): ", shown)
            self.assertNotIn(key, shown)
            self.assertRegex(shown, r"(?m)^Sealed +(true|false)$")
        harness.wait_until(lambda: self.health(n) in (200, 429, 473), "it is unsealed", 40)

    def test_S4_110_to_S4_115_S4_173_S4_186_D11_D12(self):
        servers = {n: self.node(n) for n in (1, 2, 3)}
        servers[1].wait_for_line(r"service_registration.*not registered")
        self.assertRegex(servers[1].output(), rf"{NET}\.11:8201")
        # S4-111; the container knows no VAULT_ADDR and the listener speaks plain HTTP.
        self.assertNotIn("VAULT_ADDR", self.environment)
        self.docker_exec(1, "vault operator init -key-shares=5 -key-threshold=3")
        keys = re.findall(r"(?m)^Unseal Key [1-5]: (\S+)$", self.stdout)
        token = re.search(r"(?m)^Initial Root Token: (hvs\.\S+)$", self.stdout)[1]
        self.assertEqual(len(keys), 5)
        self.assertIn("http", self.stderr.lower())
        self.unseal(1, keys)
        for n in (2, 3):
            joined = self.docker_exec(n, "vault operator raft join http://vault-1:8200")
            self.assertIn("Key       Value\n---       -----\nJoined    true\n", joined)
            self.unseal(n, keys)
        # D-12: nothing is told without a token.
        self.assertIn("403", self.docker_exec(1, "vault operator raft list-peers", code=2))
        self.docker_exec(1, f"vault login {token}")
        harness.wait_until(lambda: [row[2] for row in self.peers(1).values()] == ["true"] * 3, "three voters", 40)
        self.assertEqual({name: row[0] for name, row in self.peers(1).items()}, {f"vault-{n}": f"{NET}.1{n}:8201" for n in (1, 2, 3)})
        self.assertEqual(sorted(row[1] for row in self.peers(2).values()), ["follower", "follower", "leader"])
        # S4-186: a restart leaves no node sealed.
        servers[2].stop()
        self.node(2)
        harness.wait_until(lambda: self.health(2) in (429, 473), "it is back, unsealed", 40)
        # S4-173: the leader is lost; the others say so and answer.
        servers[1].stop(signal.SIGKILL)
        harness.wait_until(lambda: 200 in (self.health(2), self.health(3)), "another one leads", 40)
        logs = "\n".join(server.output() for server in self.servers)
        self.assertRegex(logs, "entering candidate state")
        self.assertRegex(logs, "election won")
        self.assertEqual(len(self.peers(3)), 3)

    def test_S4_110_the_files_configuration(self):
        self.assertEqual(local_configs()["vault-1"], textwrap.dedent("""\
            ui = true
            listener "tcp" {
              address = "0.0.0.0:8200"
              tls_disable = true
            }
            storage "raft" {
              path = "/vault/data"
              node_id = "vault-1"
            }
            seal "aesgcm" {
              keys = ["Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="]
            }
            service_registration "consul" {
              address = "consul:8500"
            }
            """))
        self.assertEqual(len(set(text.replace(name, "") for name, text in local_configs().items())), 1)


if __name__ == "__main__":
    harness.main()
