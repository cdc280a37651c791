"""No value of a request reaches a log, an audit line, a metric, a span or an error (advisories H1, H5, H7).

Endpoints are taken from the path tables in the sources, and each one's fields from its own help; over gRPC besides those every call of every
service, and its fields from its description: a new endpoint, call or field is covered without anyone remembering it. Each field gets values of its
own, of every type. Then everything that the server wrote is searched for them.
"""
import http.server
import json
import os
import pathlib
import re
import secrets
import threading

import endpoints
import harness
import services

MUTANTS = str(harness.BINARY_FOLDER / "coffer_mutants")
# What names things is readable by design (docs/formats/audit_line.md): policies, kinds of mounts, paths, and how often a token may be used.
READABLE = {"policies", "token_policies", "allowed_policies", "num_uses", "token_num_uses", "type", "plugin_name", "path", "paths", "reads", "requests",
            "remove_custom_metadata", "role"}
METERED = {"max_leases"}  # a quota's limit is a metric beside what it counts (T13)
PATHS = re.compile(r'"path":"(?:[^"\\]|\\.)*"|no handler for route .*?route entry not found')
NAMESPACES = re.compile(r'namespace="[^"]*"|"namespace":"[^"]*"')  # whose figures they are
AUDIT = "/var/log/vault_audit.log"


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
listener "grpc" {
  address = "127.0.0.1:8210"
  tls_disable = true
}
tracing { endpoint = "http://127.0.0.1:4318" }
"""


class Canary(harness.Contract):
    def canary(self, what):
        """(text, number): both are searched for. `what` field they are for. A double holds the number exactly: one told as a double is found too."""
        text, number = "canary" + secrets.token_hex(12), str(1024 * (10**14 + secrets.randbelow(8 * 10**14)))
        self.canaries[text] = self.canaries[number] = what
        return text, number

    grpc = None  # a connection while requests go that way

    def call_grpc(self, method, path, body, token):
        path, _, query = path.partition("?")
        data = None if body is None else body if isinstance(body, (bytes, str)) else json.dumps(body)
        status, content = self.grpc.logical(method, path, token or self.token, data, dict([query.split("=", 1)]) if query else None)
        if not 200 <= status < 400:
            self.errors.append((f"gRPC {method} {path}", content))
        return status, content.encode()

    def besiege_calls(self):
        """Every field of every typed call with words of its own."""
        done = 0
        for call in services.calls():
            if call.method.name in ("Seal", "Init", "Unseal") or call.service == "Logical":
                continue
            message = call.request()
            for field in call.fields():
                text, number = self.canary(field.name)
                entry = {"k": text}  # names of pairs are readable, as names of fields are
                for value in (text, text.encode(), int(number), [text], [int(number)], entry,
                              json.dumps({"a": text, "b": [text, int(number)]})):
                    one = call.request()
                    if services.put(one, field, value):
                        self.note(call, self.grpc.make(call, one, self.token))
                        services.put(message, field, value)
                        done += 1
            self.note(call, self.grpc.make(call, message, self.token))
            guess, _ = self.canary("a token")
            self.note(call, self.grpc.make(call, message, guess))
        return done

    def note(self, call, outcome):
        code, details, trailers, _ = outcome
        if details or trailers:
            self.errors.append((f"gRPC {call.name} {code}", details + "\n" + trailers))

    def call(self, method, path, body=None, token=None):
        if self.grpc is not None:
            return self.call_grpc(method, path, body, token)
        status, content, _ = harness.http(method, "/v1/" + path, token or self.token, body, raw=True)
        if status >= 400:
            self.errors.append((f"{method} {path.partition('?')[0]}", content.decode(errors="replace")))
        return status, content

    def besiege(self, path):
        """Every field of the endpoint with values of every type; nothing of the answers but errors is looked at."""
        fields = endpoints.fields_of(path, self.token)
        if fields is None:
            return 0
        whole = {}
        for field in fields or ["value"]:
            text, number = self.canary(field)
            whole[field] = text
            for value in (text, [text, "x"], {"k": text}, {"a": {"b": [text]}}, int(number)) if self.grpc is None else (text, {"a": [text, int(number)]}):
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

    def besieged(self, binary, mutant=None, grpc=False, only=""):
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
        endpoints.prepare(self.token)
        assert harness.http("POST", "/v1/sys/audit/file", self.token, {"type": "file", "options": {"file_path": AUDIT}})[0] == 204
        if grpc:
            self.grpc = services.Connection()
            self.addCleanup(self.grpc.close)
        found = {path: self.besiege(path) for path in endpoints.paths() if path.startswith(only)}
        if grpc:
            found["calls"] = self.besiege_calls()
            self.grpc.close()
            self.grpc = None
        text = {name: NAMESPACES.sub("", harness.http("GET", f"/v1/sys/metrics{query}", self.token, raw=True)[1].decode())
                for name, query in (("metrics", "?format=prometheus"), ("metrics as JSON", ""))}
        server.stop()
        collector.close()
        text["log"] = server.output()
        # Of a typed call the fields that name things make the path, which is readable by design; so is what says that nothing is there.
        text["audit file"] = PATHS.sub("", pathlib.Path(AUDIT).read_text())
        text["spans"] = b"".join(collector.bodies).decode()
        text["errors"] = "\n".join(f"{what}: {services.NAMED.sub('', content)}" for what, content in self.errors)
        return found, text

    def leaks(self, text):
        out = []
        for where, content in text.items():
            for canary, field in self.canaries.items():
                at = content.find(canary)
                by_design = METERED if where.startswith("metrics") else READABLE if where in ("audit file", "errors") else ()
                if at >= 0 and field not in by_design:
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

    def test_no_value_is_told_over_grpc(self):
        found, text = self.besieged(harness.VAULT, grpc=True)
        self.assertGreater(len([path for path, fields in found.items() if fields]), 40)
        self.assertGreater(found["calls"], 100)
        self.assertGreater(len(self.errors), 100)
        leaks = self.leaks(text)
        self.assertFalse(leaks, f"{len(leaks)} of {len(self.canaries)} values were told:\n" + "\n".join(leaks[:40]))
        if os.path.exists(MUTANTS):
            _, text = self.besieged(MUTANTS, "h7_error_echoes_value", grpc=True, only="auth/token/")
            self.assertTrue([leak for leak in self.leaks(text) if leak.startswith("errors: ")], "a planted leak was not found")

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
