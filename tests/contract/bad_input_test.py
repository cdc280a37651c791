"""Values of wrong type, size and encoding in every field of every gRPC call, of every endpoint over gRPC, and in every flag of every command: refused in
words that name what is wrong and not what was sent, without harm and without a change of state.

Calls come from the services' descriptions, endpoints from the path tables, commands and flags from the command line's own help: what is new is
covered without anyone remembering it. tests/core/bad_input_test.cc does the same to the path tables themselves.
"""
import concurrent.futures
import json
import re
import subprocess
import sys

import endpoints
import harness
import services

sys.path.insert(0, str(harness.ROOT / "tools"))
import grpc  # noqa: E402

CANARY = "canary7f3a91"
LARGE = "v" * 100_000
Code = grpc.StatusCode
# What is the client's mistake, or no mistake at all.
FINE = {Code.OK, Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.ALREADY_EXISTS, Code.PERMISSION_DENIED, Code.UNAUTHENTICATED,
        Code.RESOURCE_EXHAUSTED, Code.OUT_OF_RANGE, Code.ABORTED, Code.UNIMPLEMENTED}
# What ends the test, or the server.
ENDING_CALLS = {"Seal", "Init", "Unseal"}


def committed():
    """Grows with every change of state."""
    gauges = harness.http("GET", "/v1/sys/metrics", "root")[1]["Gauges"]
    return next(gauge["Value"] for gauge in gauges if gauge["Name"] == "vault.raft.committed_index")


class Grpc(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()
        self.connection = services.Connection()
        self.addCleanup(self.connection.close)
        self.wrong = []
        self.token = None

    def caller(self):
        """A root token other than the test's own: one of the calls may end it."""
        if not self.token or harness.http("GET", "/v1/auth/token/lookup-self", self.token)[0] != 200:
            self.token = harness.http("POST", "/v1/auth/token/create", "root", {"policies": ["root"]})[1]["auth"]["client_token"]
        return self.token

    def judge(self, what, refused, failed_inside, text, before, again, told=True):
        """`before` is where the state was; returns where it is. `again` makes the same request, to tell its changes from those of the server's own work."""
        if failed_inside:
            self.wrong.append(f"failed inside: {what}: {text[:200]}")
        if refused and told and len(text) < 8:
            self.wrong.append(f"says nothing: {what}: {text!r}")
        if refused and CANARY in services.NAMED.sub("", text):
            self.wrong.append(f"tells what was sent: {what}: {text[:300]}")
        now = committed()
        if refused and now != before:
            steps = [now]
            for _ in range(30):  # as often as the server's own work may come between
                again()
                steps.append(committed())
            if all(a != b for a, b in zip(steps, steps[1:])):
                self.wrong.append(f"changed the state: {what}: {text[:200]}")
            now = steps[-1]
        return now

    def values(self, field):
        texts = [CANARY, "", "../" + CANARY, "a\u0000b", "\u202e\U0001f600", LARGE, '{"a":', "[" * 500, "-1", "NaN"]
        numbers = [-(2**63), -1, 2**31, 2**63 - 1]
        if services.is_map(field):
            return [{"": ""}, {CANARY: CANARY}, {"k": LARGE}, {f"k{i}": "v" for i in range(2000)}]
        whole = (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT32, field.CPPTYPE_UINT64)
        one = numbers if field.cpp_type in whole else [text.encode() for text in texts] if field.type == field.TYPE_BYTES else texts
        return [[value] for value in one] + [[one[0]] * 3000] if services.repeated(field) else one

    def test_every_field_of_every_call(self):
        made = 0
        before = committed()
        for call in services.calls():
            if call.method.name in ENDING_CALLS or call.service == "Logical":
                continue
            for field in call.fields():
                for value in self.values(field):
                    message = call.request()
                    if not services.put(message, field, value):
                        continue
                    made += 1
                    known = self.token
                    if self.caller() != known:
                        before = committed()

                    def ask(call=call, message=message):
                        return self.connection.make(call, message, self.token, timeout=10)
                    code, details, trailers, _ = ask()
                    late_stream = call.streams and code == Code.DEADLINE_EXCEEDED  # it listens, and nothing happens
                    what = f"{call.name} {field.name} = {str(value)[:60]!r}: {code.name}"
                    before = self.judge(what, code != Code.OK and not late_stream, code not in FINE and not late_stream, details + trailers, before, ask,
                                        told=not late_stream)
        self.assertGreater(made, 500)
        self.assertEqual(self.wrong, [], "\n".join(self.wrong[:40]))
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 200)

    WRONG = {
        "string": [{CANARY: 1}, [{"a": CANARY}], True],
        "int": [CANARY, {CANARY: 1}, [{"a": CANARY}], 1.5, "0x10", " 1", 10**19],
        "bool": [CANARY, {CANARY: 1}, 7, "yes please"],
        "duration (sec)": [CANARY, {CANARY: 1}, "5 parsecs", "1e400h", 10**20],
        "slice": [{CANARY: 1}, [[CANARY]], True],
        "keypair": [CANARY, [{"a": CANARY}], 7],
        "any": [],
    }
    LARGE = {"string": ["", "a\u0000b\u001f", LARGE], "int": [2**63 - 1, -(2**63), -1], "duration (sec)": [2**63 - 1, -(2**63), -1],
             "slice": [[""], ["a\u0000b"], [LARGE]], "keypair": [{"": {}}, {"k": LARGE}], "bool": [], "any": ["", LARGE]}
    # Of reads and lists that share a row with a write, which does not look at them.
    QUERY = {"after", "limit", "version", "depth", "destroy"}

    def test_every_endpoint(self):
        endpoints.prepare("root")
        fields = 0
        before = committed()
        for path in endpoints.paths():
            for name, kind in endpoints.typed_fields_of(path, "root") or ():
                fields += 1
                for value, wrong in [(value, True) for value in self.WRONG[kind]] + [(value, False) for value in self.LARGE[kind]]:
                    for verb in ("POST", "PATCH"):
                        def ask(verb=verb, path=path, body=json.dumps({name: value})):
                            return self.connection.logical(verb, path, "root", body)
                        status, text = ask()
                        what = f"{verb} {path} {name} = {str(value)[:60]!r}: {status}"
                        # What nobody said in an answer is the status alone: no such thing, no such method.
                        before = self.judge(what, not 200 <= status < 400, status >= 500 or status == 0, text, before, ask, told=status == 400)
        self.assertGreater(fields, 150)
        self.assertEqual(self.wrong, [], "\n".join(self.wrong[:40]))

    def test_bodies_and_paths_that_are_none(self):
        before = committed()
        for body in ('{"a":', "[]", '"a"', "7", "null x", '{"a":1,"a":2}', "{" * 2000, '{"a":"\\ud800"}', '{"a":"\\x"}', "\u0000"):
            for path in ("secret/data/a", "auth/token/create", "sys/policies/acl/a", "identity/entity"):
                def ask(path=path, body=body):
                    return self.connection.logical("POST", path, "root", body)
                status, text = ask()
                before = self.judge(f"{path} {body[:20]!r}: {status}", True, status not in (400, 413), text, before, ask)
        for path in ("", "/", "..", "secret/../sys/seal", "secret//data/a", "secret/data/\u0000", "x" * 5000, "secret/data/a/" + "y/" * 300, "\u202e"):
            def ask(path=path):
                return self.connection.logical("POST", path, "root", "{}")
            status, text = ask()
            before = self.judge(f"{path[:30]!r}: {status}", True, not 400 <= status < 500, text, before, ask)
        self.assertEqual(self.wrong, [])


COMMAND = re.compile(r"^    (\S+)(?:,\s\S+)?\s{2,}\S", re.M)
FLAG = re.compile(r"^  -([\w-]+)(?:=<([^>]*)>)?$", re.M)
TYPED = {"int": ["x" + CANARY, "1.5", "", "9" * 40, "0x", "-", "1e9"], "duration": ["x" + CANARY, "5 parsecs", "9" * 40 + "h", "-", "1e400h"],
         "*bool": ["x" + CANARY, "7", "maybe", "truely"], "key=value": ["x" + CANARY, ""]}
BOOL = ["x" + CANARY, "7", "maybe"]
TEXTS = [b"", b"\xff\xfe\x80", b"a\nb", "\u202e\U0001f600".encode(), b"../../" + CANARY.encode(), b"%s%n${HOME}$(x)", LARGE.encode()]
# They go on until they are told to end, or end what the test needs: only values that are refused at once are given.
ENDLESS = {"server", "monitor", "debug", "operator seal", "agent", "proxy"}
HTTP_FLAGS = {"address", "agent-address", "ca-cert", "ca-path", "client-cert", "client-key", "disable-redirects", "header", "mfa", "namespace", "non-interactive",
              "output-curl-string", "output-policy", "policy-override", "tls-server-name", "tls-skip-verify", "wrap-ttl", "token", "format", "field"}


class Flags(harness.Contract):
    def run_vault(self, arguments):
        """(exit code, standard error)."""
        done = subprocess.run([harness.VAULT, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, env=self.environment, cwd=self.folder)
        return done.returncode, done.stderr.decode(errors="replace")

    def help_of(self, words):
        done = subprocess.run([harness.VAULT, *words, "-help"], capture_output=True, text=True, timeout=30, env=self.environment)
        return done.stdout + done.stderr

    def commands(self, words=()):
        """Every command that runs, as a tuple of words, with its help."""
        text = self.help_of(words)
        names = COMMAND.findall(text.split("\n\n", 1)[1] if "\n\n" in text else "") if not FLAG.search(text) else []
        if not names:
            return [(words, text)] if words else []
        return [one for name in names for one in self.commands((*words, name))]

    def setUp(self):
        super().setUp()
        self.dev()
        harness.http("POST", "/v1/secret/data/x1", "root", {"data": {"a": "b"}})
        self.all = self.commands()
        self.wrong = []

    def test_every_typed_flag_of_every_command(self):
        tried = []
        seen = set()
        for words, text in self.all:
            for name, kind in FLAG.findall(text):
                values = TYPED.get(kind, []) if kind else BOOL
                if name in HTTP_FLAGS and (name, kind) in seen:
                    values = values[:1]  # one parser: once in full, then one for each command
                seen.add((name, kind))
                tried += [(words, name, value) for value in values if not (kind == "*bool" and value == "")]

        def one(work):
            words, name, value = work
            code, told = self.run_vault([*words, f"-{name}={value}", "x1", "x1"])
            if code != 1 or f"-{name}" not in told or "invalid" not in told:
                return f"{' '.join(words)} -{name}={value[:30]}: exit code {code}: {told[:200]}"
            return None
        before = committed()
        self.assertGreater(len(self.all), 60, [words for words, _ in self.all])
        self.assertGreater(len(tried), 500)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            wrong = [why for why in pool.map(one, tried) if why]
        self.assertEqual(wrong, [], "\n".join(wrong[:40]))
        self.assertEqual(committed(), before)

    def test_every_text_flag_of_every_command(self):
        tried, seen = 0, set()
        before = committed()
        for words, text in self.all:
            if " ".join(words) in ENDLESS:
                continue
            for name, kind in FLAG.findall(text):
                if kind in TYPED or not kind:
                    continue
                first = name not in seen
                seen.add(name)
                if name in HTTP_FLAGS and not first:
                    continue
                for value in TEXTS if first else TEXTS[:2]:
                    tried += 1
                    code, told = self.run_vault([*(word.encode() for word in words), b"-" + name.encode() + b"=" + value, b"x1", b"x1"])
                    what = f"{' '.join(words)} -{name}={value[:30]!r}: exit code {code}: {told[:200]}"
                    if code not in (0, 1, 2):
                        self.wrong.append("ended oddly: " + what)
                    if code and not told.strip():
                        self.wrong.append("says nothing: " + what)
                    now = committed()
                    if code and now != before:
                        self.wrong.append("changed the state: " + what)
                    before = now
        self.assertGreater(tried, 200)
        self.assertEqual(self.wrong, [], "\n".join(self.wrong[:40]))
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 200)

    def test_flags_that_there_are_not(self):
        before = committed()
        for words, _ in self.all:
            for arguments, message in ((["-no-such-flag"], "flag provided but not defined: -no-such-flag"), (["-=x"], "bad flag syntax: -=x"),
                                       (["---x"], "bad flag syntax: ---x")):
                code, told = self.run_vault([*words, *arguments, "x1"])
                if code != 1 or message not in told:
                    self.wrong.append(f"{' '.join(words)} {arguments}: exit code {code}: {told[:200]}")
        self.assertEqual(self.wrong, [], "\n".join(self.wrong[:40]))
        self.assertEqual(committed(), before)


if __name__ == "__main__":
    harness.main()
