"""What every contract test needs: servers started from the built binary, the command line, and transcripts.

A test runs inside tests/contract/sandbox.sh, so port 8200 and the paths of the text are its own. Nothing sleeps: waiting is polling of a
real condition with a deadline.
"""
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY_FOLDER = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build/release"))
VAULT = str(BINARY_FOLDER / "vault")
COFFER = str(BINARY_FOLDER / "coffer")
START_SECONDS_MAX = 30


def wait_until(condition, what, seconds=START_SECONDS_MAX):
    """Polls `condition` until it is true; a failure names `what`, a text or a function that gives one then."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what() if callable(what) else what}: not within {seconds} s")
        pause.wait(0.02)


def http(method, path, token=None, body=None, address="http://127.0.0.1:8200", headers=None, context=None, raw=False):
    """One request; returns (status, decoded body or None). `raw` gives the bytes and headers too."""
    data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
    request = urllib.request.Request(address + path, data=data, method=method, headers=headers or {})
    if token:
        request.add_header("X-Vault-Token", token)
    try:
        answer = urllib.request.urlopen(request, timeout=30, context=context)
    except urllib.error.HTTPError as error:
        answer = error
    content = answer.read()
    if raw:
        return answer.status, content, dict(answer.headers)
    return answer.status, (json.loads(content) if content else None)


class Server:
    """One server process with its own folder; output is collected and searchable."""

    def __init__(self, arguments, env=None, binary=VAULT, cwd=None, limits=None):
        """`limits`: (soft, hard) by resource.RLIMIT_…"""
        def limit():
            for what, value in (limits or {}).items():
                resource.setrlimit(what, value)
        self.lines = []
        self.killed = False
        self.expected_code = 0  # of a server that the test itself ends by a signal
        self.environment = dict(os.environ, **(env or {}))
        self.process = subprocess.Popen([binary, "server", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=self.environment, cwd=cwd, preexec_fn=limit if limits else None)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def output(self):
        return "\n".join(self.lines)

    def wait_for_line(self, pattern):
        def found():
            match = re.search(pattern, self.output(), re.M)
            if not match and self.process.poll() is not None:
                self.reader.join()
                match = re.search(pattern, self.output(), re.M)
                if not match:
                    raise AssertionError(f"server ended with {self.process.returncode}:\n{self.output()}")
            return match
        return wait_until(found, f"line {pattern!r} in\n{self.output()}")

    def wait_for_http(self, address="http://127.0.0.1:8200"):
        def up():
            if self.process.poll() is not None:
                self.reader.join()
                raise AssertionError(f"server ended with {self.process.returncode}:\n{self.output()}")
            try:
                return http("GET", "/v1/sys/seal-status", address=address)[0] == 200
            except OSError:
                return False
        return wait_until(up, f"server at {address}")

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.killed = self.killed or how == signal.SIGKILL
            self.process.send_signal(how)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not end within 15 s")
        self.reader.join()
        self.process.stdout.close()
        return self.process.returncode

    def bad_end(self):
        """Why the server's end was none that it may come to, or nothing: 0, 1 with a word about it, or a kill by the test."""
        code = self.process.returncode
        if code in (0, self.expected_code) or (code == -signal.SIGKILL and self.killed):
            return None
        if code == 1 and re.search(r"Error|\[ERROR\]|\"error\"|refus|must|cannot", self.output()):
            return None
        return f"a server ended with {code}:\n{self.output()}"


class Contract(unittest.TestCase):
    """Base of all contract tests: a temporary folder, an environment as a user has it, and servers that are stopped."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-contract-"))
        self.home = self.folder / "home"
        self.home.mkdir()
        self.environment = {"PATH": f"{BINARY_FOLDER}:{os.environ['PATH']}", "HOME": str(self.home), "LANG": "C.UTF-8"}
        self.servers = []

    def tearDown(self):
        for server in self.servers:
            if server.process.poll() is None:
                server.stop()
            elif not server.process.stdout.closed:
                server.reader.join()
                server.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        # A crash at the very end is one too.
        bad = [why for why in (server.bad_end() for server in self.servers) if why]
        self.assertEqual(bad, [], "\n".join(bad))

    def start(self, *arguments, **options):
        server = Server(list(arguments), env=dict(self.environment, **options.pop("env", {})), **options)
        self.servers.append(server)
        return server

    def dev(self, *arguments):
        """A dev server with root token `root` on 8200; the environment points at it."""
        server = self.start("-dev", "-dev-root-token-id=root", *arguments)
        server.wait_for_http()
        server.wait_for_line(r"^Root Token: ")
        self.environment.update(VAULT_ADDR="http://localhost:8200", VAULT_TOKEN="root")
        return server

    def configured(self, text, name="server.hcl", address="http://127.0.0.1:8200"):
        path = self.folder / name
        path.write_text(text)
        server = self.start(f"-config={path}")
        server.wait_for_http(address)
        self.environment.update(VAULT_ADDR=address)
        return server

    def certificate(self, name):
        """A self-signed pair for this machine, key.pem and cert.pem in the test's folder."""
        key, cert = self.folder / "key.pem", self.folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
        return cert

    def shell(self, text, stdin=None, code=0, env=None):
        """Runs `text` in bash as it stands in the contract and checks the exit code; returns stdout with stderr after it."""
        done = subprocess.run(["bash", "-c", text], input=stdin, text=True, capture_output=True, timeout=60,
                              env=dict(self.environment, **(env or {})), cwd=self.folder)
        if code is not None:
            self.assertEqual(done.returncode, code, f"$ {text}\n{done.stdout}\n{done.stderr}")
        self.stdout, self.stderr = done.stdout, done.stderr
        return done.stdout + done.stderr

    def transcript(self, name, **variables):
        """Runs the commands of transcripts/<name>.txt in one shell and compares all that is printed, masked, and the exit codes.

        A command stands behind "$ ", its further lines behind "> "; then what it printed, standard output first; then its exit code unless that is 0.
        `variables` are the shell's. With COFFER_REWRITE=1 the file is written anew: its diff is to be read.
        """
        path = pathlib.Path(__file__).parent / "transcripts" / f"{name}.txt"
        expected = path.read_text()
        head = expected[:expected.index("$ ")]
        commands = [re.sub(r"(?m)^> ?", "", match[1]) for match in re.finditer(r"(?m)^\$ (.*(?:\n> .*|\n>$)*)", expected)]
        script = "".join(f"{{ {command}\n}} >out.{i} 2>err.{i} </dev/null\necho $? >code.{i}\n" for i, command in enumerate(commands))
        folder = self.folder / name
        folder.mkdir()
        subprocess.run(["bash", "-c", script], timeout=120, env=dict(self.environment, **variables), cwd=folder, check=False)
        actual = head
        for i, command in enumerate(commands):
            printed = "".join((folder / f"{kind}.{i}").read_text() for kind in ("out", "err"))
            code = (folder / f"code.{i}").read_text().strip()
            actual += "$ " + command.replace("\n", "\n> ") + "\n" + in_session(printed)
            actual += ("" if actual.endswith("\n") else "\n") + ("" if code == "0" else f"exit code {code}\n")
        if os.environ.get("COFFER_REWRITE"):
            path.write_text(actual)
        self.maxDiff = None
        self.assertEqual(actual, expected)

    def table(self, output):
        """Rows of a `Key  Value` table as a dictionary."""
        rows = {}
        for line in output.splitlines():
            parts = re.split(r"\s{2,}", line.strip(), maxsplit=1)
            if len(parts) == 2:
                rows[parts[0]] = parts[1]
        return rows


MASKS = [
    (re.compile(r"hv[sb]\.[A-Za-z0-9_\-]+(\.[A-Za-z0-9]{5})?"), "<token>"),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r"hmac-sha256:[0-9a-f]{64}"), "<hmac>"),
]


def masked(text):
    """The transcript without ids, times, tokens and hashes."""
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return re.sub(r"[ \t]+$", "", text, flags=re.M)


SESSION_MASKS = [
    (re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{43}=(?!=)|(?<![\w+/])[A-Za-z0-9+/]{44}(?![\w+/=])"), "<key>"),
    (re.compile(r"\b1\.21\.0\+coffer\.[\w.+-]+"), "<version>"),
    (re.compile(r"\bvault-cluster-[0-9a-f]{8}\b"), "<cluster>"),
    (re.compile(r"\b((?:auth_)?[a-z]+)_[0-9a-f]{8}\b"), r"\1_<accessor>"),
    (re.compile(r"(?<=Raft Committed Index    )\d+|(?<=Raft Applied Index      )\d+|(?<=\"last_wal\": )\d+"), "<number>"),
    (re.compile(r"\b\d\d [A-Z][a-z]{2} \d\d \d\d:\d\d UTC\b"), "<time>"),
    (re.compile(r"(?<=token_accessor\s{7})[A-Za-z0-9]{24}\b"), "<accessor>"),
    (re.compile(r'(?<="accessor": ")[A-Za-z0-9]{24}(?=")'), "<accessor>"),
    (re.compile(r'(?<="remote_port": )\d+|(?<="remote_port":)\d+|(?<="server_time_utc": )\d+|(?<="echo_duration_ms": )\d+|(?<="clock_skew_ms": )\d+'), "<number>"),
]


def in_session(text):
    """Masked, with what only a whole session shows: keys, versions, names that are drawn."""
    text = masked(text)
    for pattern, word in SESSION_MASKS:
        text = pattern.sub(word, text)
    return text


class Recorder(unittest.TextTestResult):
    """Leaves a line for each test that passed, so that tools/contracts.py can tell which contracts were seen."""

    def startTestRun(self):
        super().startTestRun()
        folder = BINARY_FOLDER / "ran"
        folder.mkdir(exist_ok=True)
        self.record = open(folder / os.path.basename(sys.argv[0]), "w", encoding="utf-8")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.record.write(test.id().removeprefix("__main__.") + "\n")

    def stopTestRun(self):
        self.record.close()
        super().stopTestRun()


def main():
    unittest.main(testRunner=unittest.TextTestRunner(verbosity=2, resultclass=Recorder))
