"""No value of a request reaches a log, an audit line, a metric, a span or an error (advisories H1, H5, H7).

Endpoints are taken from the path tables in the sources, and each one's fields from its own help, so that a new endpoint or field is covered
without anyone remembering it. Each field gets values of its own, of every type. Then everything that the server wrote is searched for them.
"""
import http.server
import json
import os
import pathlib
import re
import secrets
import sys
import threading
import unittest

import harness

MUTANTS = str(harness.BINARY_FOLDER / "coffer_mutants")
# A text in the sources that may be a row's pattern; the server's help says whether it is.
PATTERN = re.compile(r'"([a-z][a-z0-9_-]*(?:/[:*]?[a-z0-9_?-]+)*(?:/\*\w+\??)?)"')
FIELD = re.compile(r"^    (\w+) \((.+)\)$", re.M)
# What ends the test, or the server.
SKIPPED = re.compile(r"^auth/token/revoke-self$|^sys/(seal|unseal|init|step-down|rekey|generate-root|monitor|rotate)\b")
# What names things is readable by design (docs/formats/audit_line.md): policies, kinds of mounts, paths, and how often a token may be used.
READABLE = {"policies", "token_policies", "allowed_policies", "num_uses", "token_num_uses", "type", "plugin_name", "path", "paths", "reads", "requests"}
AUDIT = "/var/log/vault_audit.log"


def mounts_of(source):
    """Where the table of a source file is mounted, by the file's place."""
    name = source.parent.name
    if name == "core":
        return ["auth/token/"] if "token" in source.name else ["sys/"]
    return {"kv": ["secret/", "kv1/"], "cubbyhole": ["cubbyhole/"], "identity": ["identity/"]}.get(name, [f"auth/{name}/", f"{name}/"])


def endpoints():
    out = set()
    for source in [*harness.ROOT.glob("core/*.cc"), *harness.ROOT.glob("engines/*/*.cc")]:
        text = source.read_text()
        for pattern in PATTERN.findall(text) if "PathSpec" in text else ():
            for mount in mounts_of(source):
                out.add(mount + re.sub(r"[:*]\w+\??", "cny", pattern))
    return sorted(path for path in out if not SKIPPED.match(path))


class Collector:
    def __init__(self):
        self.bodies = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 4318), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


CONFIG = """
storage "inmem" {}
log_level = "trace"
listener "tcp" {
  address = "127.0.0.1:8200"
  tls_disable = true
}
tracing { endpoint = "http://127.0.0.1:4318" }
"""


class Canary(harness.Contract):
    def canary(self, what):
        """(text, number): both are searched for. `what` field they are for."""
        text, number = "canary" + secrets.token_hex(12), str(10**17 + secrets.randbelow(9 * 10**17))
        self.canaries[text] = self.canaries[number] = what
        return text, number

    def call(self, method, path, body=None, token=None):
        status, content, _ = harness.http(method, "/v1/" + path, token or self.token, body, raw=True)
        if status >= 400:
            self.errors.append((f"{method} {path.partition('?')[0]}", content.decode(errors="replace")))
        return status, content

    def besiege(self, path):
        """Every field of the endpoint with values of every type; nothing of the answers but errors is looked at."""
        status, content = self.call("GET", path + "?help=1")
        if status != 200 or b"Matching Route" not in content:
            return 0
        fields = [name for name, _ in FIELD.findall(json.loads(content)["help"])]
        whole = {}
        for field in fields or ["value"]:
            text, number = self.canary(field)
            whole[field] = text
            for value in (text, [text, "x"], {"k": text}, {"a": {"b": [text]}}, int(number)):
                self.call("POST", path, {field: value})
        self.call("POST", path, whole)
        text, _ = self.canary("a body that ends early")
        self.call("POST", path, b'{"a":"' + text.encode())
        self.call("GET", f"{path}?{(fields or ['value'])[0]}={text}")
        self.call("LIST", path)
        self.call("PATCH", path, whole)
        guess, _ = self.canary("a token")
        self.call("POST", path, whole, token=guess)
        return 1 + len(fields)

    def besieged(self, binary, mutant=None):
        """Everything that the server wrote, by where."""
        self.canaries, self.errors = {}, []
        for old in pathlib.Path("/var/log").iterdir():
            old.unlink()
        collector = Collector()
        self.addCleanup(collector.close)
        config = self.folder / "server.hcl"
        config.write_text(CONFIG)
        server = self.start(f"-config={config}", binary=binary, env={"COFFER_MUTANT": mutant} if mutant else {})
        server.wait_for_http()
        _, made = harness.http("PUT", "/v1/sys/init", body={"secret_shares": 1, "secret_threshold": 1})
        self.token = made["root_token"]
        harness.http("PUT", "/v1/sys/unseal", body={"key": made["keys"][0]})
        for path, kind in (("secret", {"type": "kv", "options": {"version": "2"}}), ("kv1", {"type": "kv"})):
            harness.http("POST", f"/v1/sys/mounts/{path}", self.token, kind)
        for folder in sorted((harness.ROOT / "engines").iterdir()):
            if folder.is_dir() and folder.name not in ("kv", "cubbyhole", "identity"):
                for table in ("auth", "mounts"):
                    harness.http("POST", f"/v1/sys/{table}/{folder.name}", self.token, {"type": folder.name})
        assert harness.http("POST", "/v1/sys/audit/file", self.token, {"type": "file", "options": {"file_path": AUDIT}})[0] == 204
        found = {path: self.besiege(path) for path in endpoints()}
        text = {name: harness.http("GET", f"/v1/sys/metrics{query}", self.token, raw=True)[1].decode()
                for name, query in (("metrics", "?format=prometheus"), ("metrics as JSON", ""))}
        server.stop()
        collector.close()
        text["log"] = server.output()
        text["audit file"] = pathlib.Path(AUDIT).read_text()
        text["spans"] = b"".join(collector.bodies).decode()
        text["errors"] = "\n".join(f"{what}: {content}" for what, content in self.errors)
        return found, text

    def leaks(self, text):
        out = []
        for where, content in text.items():
            for canary, field in self.canaries.items():
                at = content.find(canary)
                if at >= 0 and not (field in READABLE and where in ("audit file", "errors")):
                    out.append(f"{where}: {field}: …{content[max(0, content.rfind(chr(10), 0, at)):at + len(canary)][-200:]}")
        return out

    def test_no_value_is_told(self):
        found, text = self.besieged(harness.VAULT)
        reached = [path for path, fields in found.items() if fields]
        self.assertGreater(len(reached), 40, f"too few endpoints were found: {reached}")
        self.assertGreater(text["audit file"].count("hmac-sha256:"), len(self.canaries))
        self.assertIn("vault_route_", text["metrics"])
        self.assertIn("traceId", text["spans"])
        leaks = self.leaks(text)
        self.assertFalse(leaks, f"{len(leaks)} of {len(self.canaries)} values were told:\n" + "\n".join(leaks[:40]))

    def test_the_test_finds_planted_leaks(self):
        if not os.path.exists(MUTANTS):
            self.skipTest("coffer_mutants is not built")
        for mutant, where in (("h1_audit_token_in_clear", "audit file"), ("h1_metrics_hold_texts", "metrics"), ("h1_trace_holds_texts", "spans"),
                              ("h7_error_echoes_value", "errors")):
            with self.subTest(mutant=mutant):
                _, text = self.besieged(MUTANTS, mutant)
                self.assertTrue([leak for leak in self.leaks(text) if leak.startswith(where)], f"{mutant} was not found")


if __name__ == "__main__":
    harness.main()
