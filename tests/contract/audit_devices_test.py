"""Audit devices beyond the file: syslog, sockets, rotation, filters, chains, the configuration's own. S4-121, S4-122, S4-161, S4-174, S4-180."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import threading
import time

import harness

LOG = "/var/log/vault_audit.log"


class Receiver:
    """Collects what comes to a socket of the test's own."""

    def __init__(self, kind, address=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address if address is not None else ("127.0.0.1", 0))
        self.got = b""
        self.messages = []
        self.peers = []
        if kind == socket.SOCK_STREAM:
            self.socket.listen()
        self.thread = threading.Thread(target=self._accept if kind == socket.SOCK_STREAM else self._receive, daemon=True)
        self.thread.start()

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def _receive(self):
        while True:
            try:
                self.messages.append(self.socket.recv(1 << 20))
            except OSError:
                return

    def _accept(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.peers.append(peer)
            threading.Thread(target=self._stream, args=(peer,), daemon=True).start()

    def _stream(self, peer):
        while True:
            try:
                piece = peer.recv(1 << 16)
            except OSError:
                return
            if not piece:
                return
            self.got += piece

    def drop_peers(self):
        for peer in self.peers:
            peer.shutdown(socket.SHUT_RDWR)
            peer.close()
        self.peers = []

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


class Devices(harness.Contract):
    def setUp(self):
        super().setUp()
        for old in pathlib.Path("/var/log").iterdir():
            old.unlink()

    def syslog(self):
        if os.path.exists("/dev/log"):
            os.unlink("/dev/log")
        receiver = Receiver(socket.SOCK_DGRAM, "/dev/log")
        self.addCleanup(receiver.close)
        return receiver

    def entries(self, path=LOG):
        return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]

    def test_S4_121_S4_122_S4_161_S4_180_every_kind(self):
        self.dev()
        log = self.syslog()
        tcp = Receiver(socket.SOCK_STREAM)
        self.addCleanup(tcp.close)
        self.shell("vault audit list", code=2)
        self.assertEqual(self.stdout + self.stderr, "No audit devices are enabled.\n")
        self.shell(f"vault audit enable file file_path={LOG}")
        self.shell('vault audit enable syslog facility="AUTH" tag="vault" format="json"')
        self.assertEqual(self.stdout, "Success! Enabled the syslog audit device at: syslog/\n")
        self.shell("vault audit list")
        self.assertEqual(harness.masked(self.stdout), "Path       Type      Description\n----       ----      -----------\n"
                                                      "file/      file      n/a\nsyslog/    syslog    n/a\n")
        output = self.shell('vault audit enable syslog tag="vault" facility="AUTH"', code=2)
        self.assertEqual(output, "Error enabling audit device: Error making API request.\n\nURL: PUT http://localhost:8200/v1/sys/audit/syslog\n"
                                 "Code: 400. Errors:\n\n* path already in use\n")
        self.shell(f"vault audit enable socket address=127.0.0.1:{tcp.port} socket_type=tcp write_timeout=2s")
        self.assertEqual(self.stdout, "Success! Enabled the socket audit device at: socket/\n")
        self.shell("vault kv put secret/x a=canary-value")
        harness.wait_until(lambda: tcp.got.count(b"secret/data/x") >= 2, "lines over TCP")
        harness.wait_until(lambda: sum(b"secret/data/x" in m for m in log.messages) >= 2, "syslog messages")
        message = next(m for m in log.messages if b"secret/data/x" in m).decode()
        head = re.match(r"<38>([A-Z][a-z]{2}) [ \d]\d \d\d:\d\d:\d\d vault\[\d+\]: (\{.*\})$", message)
        self.assertTrue(head, message)
        self.assertEqual(json.loads(head.group(2))["request"]["path"], "secret/data/x")
        for line in tcp.got.decode().splitlines():
            json.loads(line)
        for text in (tcp.got.decode(), b"".join(log.messages).decode(), pathlib.Path(LOG).read_text()):
            self.assertNotIn("canary-value", text)
        self.shell("vault audit list -detailed")
        self.assertIn("facility=AUTH", self.stdout)
        for path in ("socket", "syslog", "file"):
            self.shell(f"vault audit disable {path}")
        self.shell("vault audit list", code=2)

    def test_S4_161_on_a_fresh_server(self):
        self.dev()
        self.syslog()
        self.shell('vault audit enable syslog tag="vault" facility="AUTH"')
        self.assertEqual(self.stdout, "Success! Enabled the syslog audit device at: syslog/\n")

    def test_socket_reconnects_and_datagrams(self):
        self.dev()
        tcp = Receiver(socket.SOCK_STREAM)
        udp = Receiver(socket.SOCK_DGRAM)
        unix = Receiver(socket.SOCK_STREAM, "/tmp/audit.sock")
        for receiver in (tcp, udp, unix):
            self.addCleanup(receiver.close)
        self.shell(f"vault audit enable -path=tcp socket address=127.0.0.1:{tcp.port}")
        self.shell(f"vault audit enable -path=udp socket address=127.0.0.1:{udp.port} socket_type=udp")
        self.shell("vault audit enable -path=unix socket address=/tmp/audit.sock socket_type=unix")
        harness.http("POST", "/v1/secret/data/one", "root", {"data": {"a": 1}})
        harness.wait_until(lambda: tcp.got.count(b"secret/data/one") >= 2 and unix.got.count(b"secret/data/one") >= 2
                           and sum(b"secret/data/one" in m for m in udp.messages) >= 2, "lines at all three")
        tcp.drop_peers()
        self.assertEqual(harness.http("POST", "/v1/secret/data/two", "root", {"data": {"a": 1}})[0], 200)
        harness.wait_until(lambda: tcp.got.count(b"secret/data/two") >= 2, "lines over a new connection")
        for message in udp.messages:
            json.loads(message)

    @staticmethod
    def login(password="right"):
        return harness.http("POST", "/v1/auth/userpass/login/alice", None, {"password": password})[0]

    def test_S4_174_fail_closed(self):
        server = self.dev()
        tcp = Receiver(socket.SOCK_STREAM)
        self.shell(f"vault audit enable socket address=127.0.0.1:{tcp.port}")
        self.assertEqual(harness.http("POST", "/v1/secret/data/kept", "root", {"data": {"a": 1}})[0], 200)
        self.shell("vault auth enable userpass && vault write auth/userpass/users/alice password=right")
        self.accessor = harness.http("GET", "/v1/sys/auth", "root")[1]["data"]["userpass/"]["accessor"]
        self.assertEqual([self.login("wrong") for _ in range(5)], [400] * 5)
        self.assertEqual(self.login(), 403)
        port = tcp.port
        tcp.close()
        tcp.drop_peers()
        status, body = harness.http("POST", "/v1/secret/data/lost", "root", {"data": {"a": 1}})
        self.assertEqual((status, body["errors"]), (500, ["no audit device accepted the request"]))
        server.wait_for_line(r"audit log write failed")
        # Nor is anything changed in the server's memory that nobody is told of.
        for method, path, given in (("POST", "loggers", {"level": "debug"}), ("POST", "loggers/core", {"level": "debug"}),
                                    ("POST", f"locked-users/{self.accessor}/unlock/alice", None)):
            self.assertEqual(harness.http(method, "/v1/sys/" + path, "root", given)[0], 500, path)
        self.assertEqual([self.login() for _ in range(2)], [500, 500])
        again = Receiver(socket.SOCK_STREAM, ("127.0.0.1", port))
        self.addCleanup(again.close)
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/loggers", "root")[0] == 200, "the device is back")
        self.assertEqual(set(harness.http("GET", "/v1/sys/loggers", "root")[1]["data"].values()), {"info"})
        self.assertEqual(self.login(), 403)  # still locked out
        self.assertEqual(harness.http("POST", "/v1/sys/loggers", "root", {"level": "warn"})[0], 204)
        self.assertEqual(set(harness.http("GET", "/v1/sys/loggers", "root")[1]["data"].values()), {"warn"})
        self.assertEqual(harness.http("DELETE", "/v1/sys/loggers/core", "root")[0], 204)
        self.assertEqual(harness.http("GET", "/v1/sys/loggers", "root")[1]["data"]["core"], "info")
        self.assertEqual(harness.http("POST", f"/v1/sys/locked-users/{self.accessor}/unlock/alice", "root")[0], 204)
        self.assertEqual(self.login(), 200)

    def test_S4_174_a_device_that_hangs_does_not_hold_the_others(self):
        self.dev()
        self.shell(f"vault audit enable file file_path={LOG}")
        stuck = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stuck.bind("/tmp/stuck.sock")
        stuck.listen()
        self.addCleanup(stuck.close)
        self.shell("vault audit enable socket address=/tmp/stuck.sock socket_type=unix write_timeout=1m")
        peers = [stuck.accept()[0]]
        self.addCleanup(lambda: [peer.close() for peer in peers])
        body = {"data": {"a": "x" * 20000}}
        for number in range(60):  # more than its buffer takes
            self.assertEqual(harness.http("POST", f"/v1/secret/data/n{number}", "root", body)[0], 200)
        self.assertEqual(sum(e["type"] == "response" and "/n" in e["request"]["path"] for e in self.entries()), 60)

    def test_probe_says_the_same_whatever_stands_there(self):
        server = self.dev()
        pathlib.Path("/tmp/there").write_text("not ours")
        os.chmod("/tmp/there", 0o755)
        answers = set()
        for path in ("/tmp/there", "/tmp/there/x", "/tmp", "/etc/passwd", "/proc/x", "/dev/null", "/root", "/etc/passwd/deeper/x"):
            status, body = harness.http("POST", "/v1/sys/audit/probe", "root", {"type": "file", "options": {"file_path": path}})
            answers.add((status, json.dumps(body)))
        self.assertEqual(len(answers), 1, answers)
        self.assertEqual(next(iter(answers))[0], 400)
        server.wait_for_line(r"audit device probe/ was not enabled: .*")
        answers = set()
        for path in ("/tmp/there", "/tmp/nowhere.sock", "/etc/passwd", "/nowhere/x"):
            status, body = harness.http("POST", "/v1/sys/audit/probe", "root", {"type": "socket", "options": {"address": path, "socket_type": "unix"}})
            answers.add((status, json.dumps(body)))
        self.assertEqual(len(answers), 1, answers)

    def test_S4_71_policy_writes_and_rotations_are_audited(self):
        self.dev()
        self.shell(f"vault audit enable file file_path={LOG}")
        self.shell("vault policy write team -", stdin='path "secret/*" { capabilities = ["read"] }')
        self.shell("vault operator rotate")
        self.shell(f"grep -c sys/policies/acl/ {LOG}")
        self.assertEqual(self.stdout, "2\n")
        found = [(e["type"], e["request"]["operation"], e["request"]["path"]) for e in self.entries()]
        for path in ("sys/policies/acl/team", "sys/rotate"):
            self.assertEqual([row for row in found if row[2] == path], [("request", "update", path), ("response", "update", path)])

    def test_sighup_and_rename(self):
        server = self.dev()
        self.shell(f"vault audit enable file file_path={LOG}")
        os.rename(LOG, LOG + ".1")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("reload triggered")

        def moved():
            harness.http("GET", "/v1/secret/data/after", "root")
            return os.path.exists(LOG) and "secret/data/after" in pathlib.Path(LOG).read_text()
        harness.wait_until(moved, "lines in the new file")
        # Without a signal the name is looked at each second.
        os.unlink(LOG)
        harness.wait_until(moved, "the file is made anew")

    def test_rotation(self):
        self.dev()
        self.shell(f"vault audit enable file file_path={LOG} rotate_bytes=8192 rotate_max_files=3")
        for number in range(100):
            self.assertEqual(harness.http("GET", f"/v1/secret/data/n{number}", "root")[0], 404)
        rotated = sorted(pathlib.Path("/var/log").glob("vault_audit.log.*"))
        self.assertEqual(len(rotated), 3)
        for path in [*rotated, pathlib.Path(LOG)]:
            self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
            for line in path.read_text().splitlines():
                json.loads(line)

    def test_chain_and_verify(self):
        self.dev()
        self.shell(f"vault audit enable file file_path={LOG} hash_chain=true")
        for number in range(20):
            harness.http("GET", f"/v1/secret/data/n{number}", "root")
        entries = self.entries()
        self.assertEqual([e["chain"]["sequence"] for e in entries], list(range(1, len(entries) + 1)))
        chained = pathlib.Path(LOG).read_text().splitlines()
        good = self.folder / "good.log"
        good.write_text("".join(line + "\n" for line in chained))
        self.shell(f"vault audit verify -device=file {good}")
        self.assertRegex(self.stdout, r"^Success! Verified \d+ lines of 1 chain, made by this server\nLast line: \d+ [0-9a-f]{64}\n$")
        self.shell(f"vault audit verify {LOG}")
        for name, lines in {"changed": [*chained[:5], chained[5].replace("read", "list"), *chained[6:]], "dropped": chained[:5] + chained[6:],
                            "moved": [chained[1], chained[0], *chained[2:]], "twice": chained[:3] + chained[2:],
                            "bare": [*chained[:2], '{"time":"2026"}', *chained[2:]]}.items():
            with self.subTest(name=name):
                bad = self.folder / f"{name}.log"
                bad.write_text("".join(line + "\n" for line in lines))
                output = self.shell(f"vault audit verify {bad}", code=1)
                self.assertRegex(output, r"Error verifying .*: line \d+ ")
        self.shell("vault audit enable -path=other file file_path=/var/log/other.log")
        self.shell(f"vault audit verify -device=other {good}", code=1)

    def test_a_forged_beginning(self):
        """Anybody can write lines whose hashes fit; no one but the server can mark them."""
        self.dev()
        self.shell(f"vault audit enable file file_path={LOG} hash_chain=true")
        for number in range(3):
            harness.http("GET", f"/v1/secret/data/n{number}", "root")
        real = pathlib.Path(LOG).read_text().splitlines()
        # The real lines as a chain of their own, twice: the second begins in the middle.
        two = self.folder / "two.log"
        two.write_text("".join(line + "\n" for line in [*real[:4], *real]))
        self.assertIn("begins a new chain in the middle of the file", self.shell(f"vault audit verify {two}", code=1))
        self.assertIn("A chain is not tied to the one before it", self.shell(f"vault audit verify -allow-restarts -device=file {two}"))
        self.assertIn("of 2 chains, made by this server", self.stdout)
        # The same with a mark that is not the server's at the end of the first chain: what tells is the mark, not the hash.
        changed = re.sub(r'"mark":"hmac-sha256:[0-9a-f]{64}"', '"mark":"hmac-sha256:' + "0" * 64 + '"', real[3])
        self.assertNotEqual(changed, real[3])
        two.write_text("".join(line + "\n" for line in [*real[:3], changed, *real]))
        self.shell(f"vault audit verify -allow-restarts {two}")
        self.assertIn("is not that of the device", self.shell(f"vault audit verify -allow-restarts -device=file {two}", code=1))

    def test_a_line_cut_short_by_a_crash(self):
        self.dev()
        self.shell(f"vault audit enable file file_path={LOG}")
        os.truncate(LOG, os.stat(LOG).st_size - 40)
        self.servers[0].process.send_signal(signal.SIGHUP)
        self.servers[0].wait_for_line("reload triggered")
        harness.wait_until(lambda: harness.http("GET", "/v1/secret/data/after", "root")[0] == 404 and pathlib.Path(LOG).read_bytes().count(b"/after"), "a line")
        lines = pathlib.Path(LOG).read_text().splitlines()
        self.assertTrue(all(line.count('{"time":') == 1 for line in lines), lines)
        for line in lines:
            if "/after" in line:
                json.loads(line)

    def test_a_full_disk_and_a_log_that_is_moved_away(self):
        server = self.dev()
        small = pathlib.Path("/mnt/small")
        small.mkdir(parents=True)
        self.shell(f"mount -t tmpfs -o size=64k none {small}")
        log = small / "audit.log"
        self.shell(f"vault audit enable file file_path={log}")
        for _ in range(200):
            status, _ = harness.http("GET", "/v1/sys/mounts", "root")
            if status == 500:
                break
        self.assertEqual(status, 500)
        shutil.move(log, "/tmp/moved.log")
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/mounts", "root")[0] == 200, "room for a new file")
        self.assertTrue(log.read_bytes().startswith(b'{"time":"'), log.read_bytes()[:40])
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("reload triggered")
        for _ in range(3):
            self.assertEqual(harness.http("GET", "/v1/sys/mounts", "root")[0], 200, server.output())
        for line in log.read_text().splitlines():
            json.loads(line)

    def test_one_file_is_of_one_device(self):
        server = self.dev()
        self.shell(f"vault audit enable file file_path={LOG} hash_chain=true")
        output = self.shell(f"vault audit enable -path=again file file_path={LOG} hash_chain=true", code=2)
        self.assertIn("another device writes to this file", output)
        # By another name of the same file nobody learns more than that it does not work.
        os.symlink("/var/log", "/tmp/logs")
        output = self.shell("vault audit enable -path=again file file_path=/tmp/logs/vault_audit.log", code=2)
        self.assertNotIn("another device", output)
        server.wait_for_line("audit device again/ was not enabled: .*another device writes to this file")
        self.shell(f"vault audit verify -device=file {LOG}")

    def test_an_address_that_does_not_answer_holds_nobody_up(self):
        self.dev()
        self.shell("vault auth enable userpass")
        self.shell("vault write auth/userpass/users/alice password=one")
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        self.addCleanup(full.close)
        waiting = []
        for _ in range(4):  # its backlog is full: who connects now waits
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(full.getsockname())
            waiting.append(one)
        self.addCleanup(lambda: [one.close() for one in waiting])
        options = {"type": "socket", "options": {"address": f"127.0.0.1:{full.getsockname()[1]}"}}
        answers = []
        probes = [threading.Thread(target=lambda n=n: answers.append(harness.http("PUT", f"/v1/sys/audit/s{n}", "root", options)[0])) for n in range(4)]
        for probe in probes:
            probe.start()
        slowest = 0
        while any(probe.is_alive() for probe in probes):
            began = time.monotonic()
            self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 200)
            self.assertEqual(harness.http("POST", "/v1/auth/userpass/login/alice", body={"password": "one"})[0], 200)
            slowest = max(slowest, time.monotonic() - began)
        self.assertEqual(answers, [400] * 4)
        self.assertLess(slowest, 1.5)

    def test_filter_fallback_and_exclude(self):
        self.dev()
        self.shell("""vault audit enable -path=kv file file_path=/var/log/kv.log filter='mount_type == "kv"'""")
        self.shell("vault audit enable -path=rest file file_path=/var/log/rest.log fallback=true")
        output = self.shell("vault audit enable -path=rest2 file file_path=/var/log/rest2.log fallback=true", code=2)
        self.assertIn("fallback", output)
        output = self.shell("vault audit enable -path=bad file file_path=/var/log/bad.log filter='canary == 1'", code=2)
        self.assertIn("filter: unknown name at offset 0", output)
        harness.http("POST", "/v1/secret/data/x", "root", {"data": {"a": 1}})
        harness.http("GET", "/v1/sys/mounts", "root")
        harness.http("POST", "/v1/auth/token/create", "root", {})
        kv = {e["request"]["path"] for e in self.entries("/var/log/kv.log")[1:]}
        rest = {e["request"]["path"] for e in self.entries("/var/log/rest.log")[1:]}
        self.assertEqual(kv, {"secret/data/x"})
        self.assertNotIn("secret/data/x", rest)
        self.assertLessEqual({"sys/mounts", "auth/token/create"}, rest)

    def test_exclude(self):
        self.dev()
        self.shell("""vault audit enable -path=slim file file_path=/var/log/slim.log exclude='[{"fields":["/request/data","/response/data"]}]'""")
        harness.http("POST", "/v1/secret/data/x", "root", {"data": {"a": 1}})
        slim = [e for e in self.entries("/var/log/slim.log") if e["request"]["path"] == "secret/data/x"]
        self.assertEqual(len(slim), 2)
        for entry in slim:
            self.assertNotIn("data", entry["request"])
            self.assertNotIn("data", entry.get("response", {}))

    def test_only_a_filter_lets_others_pass(self):
        self.dev()
        self.shell("vault audit enable file file_path=/var/log/kv.log filter='mount_type == kv'")
        self.assertEqual(harness.http("GET", "/v1/sys/mounts", "root")[0], 200)
        self.assertEqual(harness.http("POST", "/v1/auth/token/create", "root", {})[0], 200)
        self.assertEqual([e["request"]["path"] for e in self.entries("/var/log/kv.log")], ["sys/audit/test"])

    def test_declared_in_the_configuration(self):
        os.makedirs("/opt/vault/data", exist_ok=True)
        text = """
storage "file" { path = "/opt/vault/data" }
listener "tcp" {
  address = "127.0.0.1:8200"
  tls_disable = true
}
audit "file" "from-config" {
  description = "always there"
  options {
    file_path = "/var/log/declared.log"
    mode = "0640"
  }
}
"""
        server = self.configured(text)
        _, made = harness.http("PUT", "/v1/sys/init", body={"secret_shares": 1, "secret_threshold": 1})
        token = made["root_token"]
        harness.http("PUT", "/v1/sys/unseal", body={"key": made["keys"][0]})
        self.environment["VAULT_TOKEN"] = token
        self.shell("vault audit list")
        self.assertEqual(harness.masked(self.stdout), "Path            Type    Description\n----            ----    -----------\n"
                                                      "from-config/    file    always there\n")
        self.assertEqual(os.stat("/var/log/declared.log").st_mode & 0o7777, 0o640)
        first = self.entries("/var/log/declared.log")[0]
        self.assertEqual((first["type"], first["request"]["path"]), ("request", "sys/audit"))
        output = self.shell("vault audit disable from-config", code=2)
        self.assertIn("declared in the server's configuration", output)
        output = self.shell("vault audit enable -path=from-config file file_path=/var/log/x.log", code=2)
        self.assertIn("path already in use", output)
        _, hashed = harness.http("POST", "/v1/sys/audit-hash/from-config", token, {"input": "x"})
        server.stop()
        server = self.configured(text)
        harness.http("PUT", "/v1/sys/unseal", body={"key": made["keys"][0]})
        _, again = harness.http("POST", "/v1/sys/audit-hash/from-config", token, {"input": "x"})
        self.assertEqual(hashed["data"], again["data"])
        server.stop()
        bad = self.folder / "bad.hcl"
        bad.write_text(text.replace("0640", "0777"))
        output = self.shell(f"timeout 20 vault server -config={bad}", code=1)
        self.assertIn("mode: must hold read and write permissions only", output)


if __name__ == "__main__":
    harness.main()
