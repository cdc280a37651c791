"""What is to be found of secrets outside a request: in an image of the process's memory, in a core file, in its log and on disk (advisories H1, H10, H19)."""
import base64
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys

import harness
from advisory import canary

CONFIG = """
storage "{storage}" {{
  path = "/opt/vault/data"
  node_id = "a"
}}
log_level = "trace"
listener "tcp" {{
  address = "127.0.0.1:8200"
  tls_disable = true
}}
seal "static" {{
  current_key = "{key}"
  current_key_id = "one"
}}
{more}
"""
# Tries, as the same user and without privileges, all that shows another process's memory; prints what it got.
ATTACK = """
import ctypes, os, subprocess, sys
pid = int(sys.argv[1])
got = []
for name in ("mem", "maps", "environ", "auxv", "pagemap", "syscall", "stack"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as file:
            if name == "mem":
                continue
            if file.read(16):
                got.append(name)
    except OSError:
        pass
try:
    open(f"/proc/{pid}/mem", "rb").close()
    got.append("mem")
except OSError:
    pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16906, pid, 0, 0) == 0:  # PTRACE_SEIZE
    got.append("ptrace")
buffer = ctypes.create_string_buffer(16)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]
local, remote = Vector(ctypes.addressof(buffer), 16), Vector(0x400000, 16)
if libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) >= 0 or ctypes.get_errno() == 14:  # EFAULT: it was looked at
    got.append("process_vm_readv")
print(" ".join(got))
"""


class Stored(harness.Contract):
    """A server with storage on disk, initialised, unsealed by a key that the test knows; `words` are in it."""

    def begin(self, storage="raft", more="", **options):
        for path in sorted(pathlib.Path("/opt/vault/data").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.key = os.urandom(32)
        config = self.folder / "server.hcl"
        config.write_text(CONFIG.format(storage=storage, key=base64.b64encode(self.key).decode(), more=more))
        server = self.start(f"-config={config}", **options)
        server.wait_for_http()
        status, made = harness.http("PUT", "/v1/sys/init", body={"recovery_shares": 1, "recovery_threshold": 1})
        self.assertEqual(status, 200, made)
        self.token = made["root_token"]
        self.recovery = made["recovery_keys"][0]

        def unsealed():
            return harness.http("GET", "/v1/sys/health")[0] == 200
        harness.wait_until(unsealed, "unsealing")
        return server

    def ask(self, method, path, body=None, token=None):
        status, answer = harness.http(method, "/v1/" + path, token or self.token, body)
        self.assertLess(status, 300, (path, answer))
        return answer

    def fill(self):
        """Puts words of its own where secrets go, and reads them back; {word: what it is}."""
        words = {}

        def word(what):
            text = canary()
            words[text] = what
            return text
        self.ask("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        self.ask("POST", "sys/mounts/one", {"type": "kv"})
        self.ask("POST", "secret/data/a", {"data": {"a": word("a secret"), "b": [word("an element"), {"c": word("a deep value")}]}})
        self.ask("POST", "secret/data/a", {"data": {"a": word("a second version") + "x" * 5000}})
        self.ask("GET", "secret/data/a?version=1")
        self.ask("POST", "secret/metadata/a", {"custom_metadata": {"k": word("custom metadata")}})
        self.ask("POST", "one/a", {"a": word("an unversioned secret")})
        self.ask("GET", "one/a")
        self.ask("POST", "cubbyhole/a", {"a": word("a cubbyhole's secret")})
        self.ask("POST", "sys/auth/userpass", {"type": "userpass"})
        self.ask("POST", "sys/auth/approle", {"type": "approle"})
        password, secret_id = word("a password"), word("a secret id")
        self.ask("POST", "auth/userpass/users/alice", {"password": password})
        words[self.ask("POST", "auth/userpass/login/alice", {"password": password})["auth"]["client_token"]] = "a user's token"
        self.ask("POST", "auth/approle/role/app", {"role_id": "app"})
        self.ask("POST", "auth/approle/role/app/custom-secret-id", {"secret_id": secret_id})
        words[self.ask("POST", "auth/approle/login", {"role_id": "app", "secret_id": secret_id})["auth"]["client_token"]] = "a role's token"
        _, wrapped = harness.http("POST", "/v1/sys/wrapping/wrap", self.token, {"a": word("what is wrapped")}, headers={"X-Vault-Wrap-TTL": "1h"})
        words[wrapped["wrap_info"]["token"]] = "a wrapping token"
        self.ask("POST", "identity/entity", {"name": "e", "metadata": {"k": word("metadata of an entity")}})
        words[self.token] = "the root token"
        words[self.recovery] = "a recovery key"
        return words


class Image(Stored):
    def regions(self, pid):
        """(bytes, kept out of core files, locked) of each readable region of private memory."""
        out = []
        with open(f"/proc/{pid}/smaps", encoding="ascii") as smaps, open(f"/proc/{pid}/mem", "rb") as memory:
            for part in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", smaps.read()):
                head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", part)
                flags = re.search(r"^VmFlags: (.*)$", part, re.M)
                if not head or not head[3].startswith("rw") or not flags:
                    continue
                begin, end = int(head[1], 16), int(head[2], 16)
                try:
                    memory.seek(begin)
                    content = memory.read(end - begin)
                except OSError:
                    continue
                out.append((content, "dd" in flags[1].split(), "lo" in flags[1].split()))
        return out

    def test_H1_no_request_stays_in_memory(self):
        """The test's own privilege shows it the whole memory: what was asked, answered and stored is not there in clear once the requests are over."""
        server = self.begin()
        words = self.fill()
        # What still is under way, and buffers of the connections, are over and used again.
        for i in range(200):
            harness.http("GET", "/v1/sys/seal-status")
            harness.http("POST", "/v1/secret/data/other", self.token, {"data": {"a": "b" * 200}})
        del words[self.token]
        regions = self.regions(server.process.pid)
        self.assertGreater(sum(len(content) for content, _, _ in regions), 1 << 20)
        self.assertTrue(any(b"/opt/vault/data" in content for content, _, _ in regions), "the image does not show what is known to be there")
        found = sorted({what for word, what in words.items() for content, _, _ in regions if word.encode() in content})
        self.assertEqual(found, [])

    def test_H1_keys_are_where_no_core_file_shows_them(self):
        server = self.begin()
        self.fill()
        regions = self.regions(server.process.pid)
        self.assertTrue([1 for content, kept_out, locked in regions if self.key in content and kept_out and locked], "the key is not in locked memory")
        for form in (self.key, base64.b64encode(self.key), self.key.hex().encode()):
            self.assertFalse([1 for content, kept_out, _ in regions if form in content and not kept_out], "the seal's key is where a core file would show it")

    def test_H1_no_core_is_written(self):
        control = subprocess.Popen(["sleep", "60"], cwd=self.folder, preexec_fn=unlimited_core)
        control.send_signal(signal.SIGSEGV)
        _, status = os.waitpid(control.pid, 0)
        self.assertTrue(os.WCOREDUMP(status), "this system writes no core files: nothing can be shown")
        for left in self.folder.glob("core*"):
            left.unlink()
        for how in (signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT):
            with self.subTest(how=how.name):
                resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                server = self.begin(cwd=self.folder)
                self.assertIn("0 ", re.search(r"Max core file size\s+(.*)", pathlib.Path(f"/proc/{server.process.pid}/limits").read_text())[1][:20])
                server.process.send_signal(how)
                _, status = os.waitpid(server.process.pid, 0)
                server.process.returncode = server.expected_code = -how
                self.assertTrue(os.WIFSIGNALED(status) and os.WTERMSIG(status) == how, status)
                self.assertFalse(os.WCOREDUMP(status), "a core was written")
                self.assertEqual([path.name for path in self.folder.glob("core*")], [])
                self.assertEqual(list(pathlib.Path("/opt/vault/data").glob("core*")), [])

    def test_H1_the_same_user_cannot_look(self):
        server = self.begin()

        def attack(pid):
            done = subprocess.run(["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", sys.executable, "-c", ATTACK, str(pid)],
                                  capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout.split()
        control = subprocess.Popen(["setpriv", "--inh-caps=-all", "--bounding-set=-all", "sleep", "60"])
        self.addCleanup(control.wait)
        self.addCleanup(control.kill)

        def sleeps():
            return pathlib.Path(f"/proc/{control.pid}/comm").read_text().strip() == "sleep"
        harness.wait_until(sleeps, "the other process")
        self.assertIn("maps", attack(control.pid), "nothing can be looked at anyway")
        self.assertEqual(attack(server.process.pid), [])


def unlimited_core():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class Start(Stored):
    def test_H10_secrets_of_the_start_are_not_logged(self):
        words = {name: canary() for name in ("VAULT_TOKEN", "BAO_TOKEN", "http_proxy", "HTTPS_PROXY", "VAULT_HSM_PIN", "SOME_PASSWORD", "AWS_SECRET_ACCESS_KEY")}
        environment = {name: (f"http://user:{word}@proxy.example:3128" if name.lower().endswith("proxy") else word) for name, word in words.items()}
        words.update({name: canary() for name in ("an unknown setting", "a telemetry setting", "a header's value")})
        more = f"""
pin = "{words['an unknown setting']}"
telemetry {{
  circonus_api_token = "{words['a telemetry setting']}"
}}
"""
        def log_of(**options):
            server = self.begin(more=more, **options)
            server.process.send_signal(signal.SIGHUP)
            harness.http("GET", "/v1/sys/config/state/sanitized", self.token)
            server.stop()
            return server.output()
        output = log_of(env=environment)
        self.assertIn("unsealed", output)
        self.assertEqual([name for name, word in words.items() if word in output], [])
        for form in (base64.b64encode(self.key).decode(), self.key.hex(), self.token, self.recovery):
            self.assertNotIn(form, output)
        planted = log_of(env=dict(environment, COFFER_MUTANT="h10_environment_logged"), binary=str(harness.BINARY_FOLDER / "coffer_mutants"))
        self.assertIn(words["SOME_PASSWORD"], planted, "a planted leak was not found")

    def test_H19_nothing_is_stored_in_clear(self):
        for storage in ("raft", "file"):
            with self.subTest(storage=storage):
                server = self.begin(storage)
                words = self.fill()
                words[base64.b64encode(self.key).decode()] = "the seal's key"
                server.stop()
                contents = {path: path.read_bytes() for path in pathlib.Path("/opt/vault/data").rglob("*") if path.is_file()}
                self.assertGreater(sum(map(len, contents.values())), 20_000)
                for word, what in words.items():
                    forms = {word, base64.b64encode(word.encode()).decode().rstrip("="), word.removeprefix("hvs.")}
                    for path, content in contents.items():
                        self.assertFalse(any(form.encode() in content for form in forms), f"{what} stands in {path}")
                    self.assertFalse(any(self.key in content for content in contents.values()))


if __name__ == "__main__":
    harness.main()
