"""What headers ask for and tell: logins inside a request, wrapping tokens as JWTs, states, tuned headers and audit keys, and the paths of the web page.

Checks with mutants as in advisory.py.
"""
import base64
import json
import pathlib
import socket

import advisory
import harness
from advisory import expect, sure

HTTP = advisory.SURFACES[:1]
BARE = (403, {"errors": ["permission denied"]})


def write(path, body, token="root", **headers):
    return harness.http("POST", "/v1/" + path, token, body, headers=headers)


def read(path, token="root", **headers):
    return harness.http("GET", "/v1/" + path, token, headers=headers)


def encoded(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).decode().rstrip("=")


def inline(user="alice", password="p", path=None, **more):
    headers = {"X-Vault-Inline-Auth-Path": path or f"auth/userpass/login/{user}",
               "X-Vault-Inline-Auth-Parameter-one": encoded({"key": "password", "value": password})}
    headers.update({"X-Vault-Inline-Auth-" + name: value for name, value in more.items()})
    return headers


def prepare_users():
    write("sys/policies/acl/p", {"policy": 'path "secret/*" { capabilities = ["create", "read", "update"] }\n'
                                 'path "auth/token/create" { capabilities = ["update"] }\npath "cubbyhole/*" { capabilities = ["create", "update", "read"] }'})
    write("sys/auth/userpass", {"type": "userpass"})
    write("auth/userpass/users/alice", {"password": "p", "token_policies": ["p"]})
    write("secret/data/x", {"data": {"k": 1}})


def accessors():
    return harness.http("LIST", "/v1/auth/token/accessors", "root")[1]["data"]["keys"]


@sure
def a1_only_a_login_logs_in(surface, test):
    prepare_users()
    expect(read("secret/data/x", None, **inline())[1]["data"]["data"] == {"k": 1}, "a login in the request")
    for path in ("sys/wrapping/unwrap", "sys/wrapping/lookup", "auth/token/create", "auth/token/lookup-self", "secret/data/x", "auth/userpass/users/alice", "none/login", "sys/health",
                 "sys/internal/ui/mounts", "sys/unseal"):
        answer = read("secret/data/x", None, **inline(path=path))
        expect(answer == BARE, f"{path} is answered with {answer}")


@sure
def a1_no_token_is_left(surface, test):
    prepare_users()
    before = accessors()
    told = read("auth/token/lookup-self", None, **inline())
    expect(read("secret/data/x", None, **inline())[0] == 200, "a read")
    expect(write("secret/data/x", {"data": {"k": 2}}, None, **inline())[1]["data"]["version"] == 2, "a write")
    expect(accessors() == before, f"a token is left: {accessors()}")
    expect(told[0] == 200 and told[1]["data"]["type"] == "batch" and told[1]["data"]["ttl"] <= 180, f"{told}")


@sure
def jwt_is_signed_and_used_once(surface, test):
    wish = {"X-Vault-Wrap-TTL": "60", "X-Vault-Wrap-Format": "jwt"}
    write("secret/data/x", {"data": {"k": 1}})
    wrap = read("secret/data/x", **wish)[1]["wrap_info"]
    head, body, signature = wrap["token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    expect(json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "ES512", "typ": "JWT"}, head)
    expect((claims["type"], claims["accessor"], claims["exp"] - claims["iat"], claims["nbf"]) == ("wrapping", wrap["accessor"], 60, claims["iat"] - 5), f"{claims}")
    told = write("sys/wrapping/lookup", {"token": wrap["token"]}, None)
    expect(told[0] == 200 and told[1]["data"]["creation_path"] == "secret/data/x", f"{told}")
    raw = base64.urlsafe_b64decode(signature + "==")
    swapped = encoded(raw[66:] + raw[:66])
    none = encoded({"alg": "none", "typ": "JWT"})
    hmac = encoded({"alg": "HS512", "typ": "JWT"})
    later = encoded({**claims, "exp": claims["exp"] + 3600})
    for forged in (f"{head}.{body}.{swapped}", f"{head}.{body}.", f"{none}.{body}.", f"{none}.{body}.{signature}", f"{hmac}.{body}.{signature}", f"{head}.{later}.{signature}",
                   f"{head}.{body}.{signature}A", f"{head}..{signature}", f"{head}.{encoded(b'x')}.{signature}"):
        expect(write("sys/wrapping/lookup", {"token": forged})[0] == 400, f"forged: {forged}")
        expect(write("sys/wrapping/unwrap", {"token": forged})[0] == 400, f"forged: {forged}")
        expect(write("sys/wrapping/unwrap", {}, forged)[0] in (400, 403), f"forged, as the caller's: {forged}")
    expect(read("secret/data/x", wrap["token"])[0] == 403, "a wrapping token is good for more")
    # As the caller's own token, and once.
    opened = write("sys/wrapping/unwrap", {}, wrap["token"])
    expect(opened[0] == 200 and opened[1]["data"]["data"] == {"k": 1}, f"{opened}")
    for again in (write("sys/wrapping/unwrap", {"token": wrap["token"]}), write("sys/wrapping/unwrap", {}, wrap["token"]), write("sys/wrapping/unwrap", {"token": claims["jti"]})):
        expect(again[0] in (400, 403), f"unwrapped twice: {again}")
    moved = write("sys/wrapping/rewrap", {"token": read("secret/data/x", **wish)[1]["wrap_info"]["token"]}, "root", **{"X-Vault-Wrap-Format": "jwt"})[1]["wrap_info"]["token"]
    expect(moved.count(".") == 2 and write("sys/wrapping/unwrap", {"token": moved})[0] == 200, f"{moved}")
    expect(read("secret/data/x", **{**wish, "X-Vault-Wrap-Format": "xml"})[0] == 400, "another format")
    key = read("sys/wrapping/pubkey", None)[1]["data"]["public_key"]
    expect(key.startswith("-----BEGIN PUBLIC KEY-----\n"), key)


AUDIT = "/var/log/tuned.log"


@sure
def h1_tuned_keys_are_in_clear_and_tokens_never(surface, test):
    if pathlib.Path(AUDIT).exists():
        pathlib.Path(AUDIT).unlink()
    write("sys/audit/file", {"type": "file", "options": {"file_path": AUDIT}})
    write("sys/mounts/kv1", {"type": "kv"})
    clear = "note,count,token,accessor,client_token,secret_id,other"
    expect(write("sys/mounts/kv1/tune", {"audit_non_hmac_request_keys": clear, "audit_non_hmac_response_keys": "note,count,token"})[0] == 204, "tune")
    token = write("auth/token/create", {})[1]["auth"]["client_token"]
    write("kv1/a", {"note": "seen-note", "count": 4711, "token": "unseen-token", "accessor": "unseen-accessor", "secret_id": "unseen-secret", "hidden": "unseen-hidden",
                    "other": token, "deep": {"note": "unseen-deep"}})
    read("kv1/a")
    lines = [json.loads(line) for line in pathlib.Path(AUDIT).read_text().splitlines()]
    asked = next(line["request"]["data"] for line in lines if line["request"]["path"] == "kv1/a" and "data" in line["request"])
    expect((asked["note"], asked["count"]) == ("seen-note", 4711), f"{asked}")
    told = next(line["response"]["data"] for line in lines if line["request"]["path"] == "kv1/a" and line["type"] == "response" and "data" in line.get("response", {}))
    expect(told["note"] == "seen-note", f"{told}")
    text = pathlib.Path(AUDIT).read_text()
    for unseen in ("unseen", token):
        expect(unseen not in text, f"{unseen} is in the audit")


# row, mutant, check, surfaces on which the row can be seen
ROWS = [
    ("A1", "a1_inline_login_any_path", a1_only_a_login_logs_in, HTTP),
    ("A1", "a1_inline_token_kept", a1_no_token_is_left, HTTP),
    ("WRP01", "wrap_jwt_unchecked", jwt_is_signed_and_used_once, HTTP),
    ("H1", "h1_audit_tuned_token_in_clear", h1_tuned_keys_are_in_clear_and_tokens_never, HTTP),
    ("MNT03", "audit_tuning_ignored", h1_tuned_keys_are_in_clear_and_tokens_never, HTTP),
]


class Rows(advisory.Rows):
    """One method a row, made below."""


advisory.add_rows(Rows, ROWS)


class InlineLogin(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()
        prepare_users()

    def test_API_09_refusals(self):
        wrong = read("secret/data/x", None, **inline(password="wrong"))
        self.assertEqual(wrong, harness.http("POST", "/v1/auth/userpass/login/alice", None, {"password": "wrong"}))
        self.assertEqual(read("sys/mounts", None, **inline())[0], 403)
        for headers, status in ((inline(Operation="read"), 405), (inline(Operation="resolve-role"), 405), (inline(Operation="update"), 200), (inline(Operation="alias-lookahead"), 405),
                                (inline(path="auth/userpass/login/../login/alice"), 400), (inline(path="/auth/userpass/login/alice"), 400), (inline(Namespace="../x"), 400),
                                (inline(Namespace="none"), 404), ({"X-Vault-Inline-Auth-Parameter-one": encoded({"key": "a", "value": 1})}, 400), (inline(Other="x"), 400),
                                ({**inline(), "X-Vault-Inline-Auth-Parameter-two": encoded({"key": "password", "value": "x"})}, 400),
                                ({**inline(), "X-Vault-Inline-Auth-Parameter-two": "###"}, 400), ({**inline(), "X-Vault-Inline-Auth-Parameter-two": encoded(b"[1]")}, 400),
                                ({**inline(), "X-Vault-Inline-Auth-Parameter-two": encoded({"key": 1, "value": 1})}, 400)):
            self.assertEqual(read("secret/data/x", None, **headers)[0], status, headers)
        layered = read("secret/data/x", "root", **inline())
        self.assertEqual(layered[0], 400)
        self.assertIn("cannot layer inline authentication", layered[1]["errors"][0])

    def test_API_09_nothing_outlives_the_request(self):
        self.assertIn(write("auth/token/create", {}, None, **inline())[0], (400, 403))
        self.assertIn(write("auth/userpass/login/alice", {"password": "p"}, None, **inline())[0], (400, 403))
        self.assertIn(write("cubbyhole/x", {"a": 1}, None, **inline())[0], (400, 403, 405))
        wrapped = read("secret/data/x", None, **{**inline(), "X-Vault-Wrap-TTL": "60"})[1]["wrap_info"]["token"]
        self.assertEqual(write("sys/wrapping/unwrap", {"token": wrapped})[1]["data"]["data"], {"k": 1})

    def test_API_09_is_counted_audited_and_limited(self):
        write("sys/audit/file", {"type": "file", "options": {"file_path": "/var/log/inline.log"}})
        read("secret/data/x", None, **inline())
        lines = [json.loads(line) for line in pathlib.Path("/var/log/inline.log").read_text().splitlines()]
        of = [(line["type"], line["request"]["path"]) for line in lines if line["request"]["path"] != "sys/audit/file"]
        self.assertEqual(of[-4:], [("request", "auth/userpass/login/alice"), ("response", "auth/userpass/login/alice"),
                                   ("request", "secret/data/x"), ("response", "secret/data/x")])
        self.assertEqual((lines[-1]["auth"]["display_name"], lines[-1]["auth"]["token_type"]), ("userpass-alice", "batch"))
        self.assertNotIn("hvb.", pathlib.Path("/var/log/inline.log").read_text())
        for _ in range(5):
            self.assertEqual(read("secret/data/x", None, **inline(password="wrong"))[0], 400)
        self.assertEqual(read("secret/data/x", None, **inline()), BARE)
        self.assertEqual(harness.http("POST", "/v1/auth/userpass/login/alice", None, {"password": "p"}), BARE)
        write("auth/userpass/users/bob", {"password": "p", "token_policies": ["p"]})
        self.assertEqual(read("secret/data/x", None, **inline("bob"))[0], 200)
        self.assertEqual(write("sys/quotas/rate-limit/logins", {"path": "auth/userpass/", "rate": 0.001})[0], 204)
        answers = [read("secret/data/x", None, **inline("bob"))[0] for _ in range(3)]
        self.assertEqual(answers[1:], [429, 429])


class States(harness.Contract):
    def test_API_13_a_state_is_waited_for_by_nobody(self):
        self.dev()
        status, _, headers = harness.http("POST", "/v1/secret/data/x", "root", {"data": {"k": 1}}, raw=True)
        state = headers["X-Vault-Index"]
        version, cluster, index, again, signature = base64.b64decode(state).decode().split(":")
        self.assertEqual((version, index), ("v1", again))
        self.assertEqual(read("secret/data/x", **{"X-Vault-Index": state})[0], 200)
        for way in ("fail", "retry", "forward-active-node"):
            self.assertEqual(read("secret/data/x", **{"X-Vault-Index": state, "X-Vault-Inconsistent": way})[0], 200)
        self.assertEqual(read("secret/data/x", **{"X-Vault-Inconsistent": "never"})[0], 400)
        self.assertNotIn("X-Vault-Index", harness.http("GET", "/v1/secret/data/x", "root", raw=True)[2])
        forged = base64.b64encode(f"v1:{cluster}:{int(index) + 1000}:{int(index) + 1000}:{signature}".encode()).decode()
        for text in (forged, "x", "", base64.b64encode(b"v1:a:b").decode(), state[:-4]):
            self.assertEqual(read("secret/data/x", **{"X-Vault-Index": text}), (400, {"errors": ["X-Vault-Index: not a state of this cluster"]}), text)

    def test_API_13_a_later_state(self):
        server = self.configured(
            'storage "raft" { path = "/vault/data" node_id = "n1" }\nlistener "tcp" { address = "127.0.0.1:8200" tls_disable = 1 }\n'
            'enable_response_header_hostname = true\nenable_response_header_raft_node_id = true\nintrospection_endpoint = true\n')
        made = harness.http("POST", "/v1/sys/init", None, {"secret_shares": 1, "secret_threshold": 1})[1]
        harness.http("POST", "/v1/sys/unseal", None, {"key": made["keys"][0]})
        token = made["root_token"]
        harness.wait_until(lambda: harness.http("GET", "/v1/auth/token/lookup-self", token)[0] == 200, "the node")
        harness.http("POST", "/v1/sys/mounts/kv1", token, {"type": "kv"})
        _, _, headers = harness.http("POST", "/v1/kv1/x", token, {"a": 1}, raw=True)
        self.assertEqual((headers["X-Vault-Hostname"], headers["X-Vault-Raft-Node-ID"]), (socket.gethostname(), "n1"))
        self.assertEqual(harness.http("GET", "/v1/kv1/x", token, headers={"X-Vault-Index": headers["X-Vault-Index"]})[0], 200)
        routes = harness.http("GET", "/v1/sys/internal/inspect/router/root", token)[1]["data"]["root"]
        self.assertEqual({row["mount_path"] for row in routes}, {"auth/token/", "cubbyhole/", "identity/", "kv1/", "sys/"})
        self.assertEqual(set(routes[0]), {"accessor", "mount_namespace", "mount_path", "mount_type", "storage_prefix", "tainted", "uuid"})
        for tag in ("uuid", "accessor", "storage"):
            self.assertEqual(len(harness.http("GET", f"/v1/sys/internal/inspect/router/{tag}", token)[1]["data"][tag]), 5)
        self.assertEqual(harness.http("GET", "/v1/sys/internal/inspect/router/other", token)[0], 404)
        harness.http("POST", "/v1/sys/policies/acl/weak", token, {"policy": 'path "sys/internal/inspect/*" { capabilities = ["read"] }'})
        weak = harness.http("POST", "/v1/auth/token/create", token, {"policies": ["weak"]})[1]["auth"]["client_token"]
        self.assertEqual(harness.http("GET", "/v1/sys/internal/inspect/router/root", weak)[0], 403)
        del server


class Page(harness.Contract):
    def test_API_14_API_15_API_16(self):
        self.dev()
        self.assertEqual(read("sys/internal/ui/feature-flags", None), (200, {"feature_flags": []}))
        self.assertEqual(read("sys/internal/ui/default-auth-methods", None)[1]["data"], {"backup_auth_types": [], "default_auth_type": ""})
        self.assertEqual(read("sys/internal/ui/version", None), BARE)
        weak = write("auth/token/create", {"policies": ["none"], "no_default_policy": True})[1]["auth"]["client_token"]
        self.assertRegex(read("sys/internal/ui/version", weak)[1]["data"]["version"], r"^\d+\.\d+\.\d+")
        self.assertEqual(read("sys/internal/ui/namespaces")[1]["data"], {})
        for name in ("team", "other"):
            write(f"sys/namespaces/{name}", {})
        self.assertEqual(read("sys/internal/ui/namespaces")[1]["data"], {"keys": ["other/", "team/"]})
        self.assertEqual(read("sys/internal/ui/namespaces", weak)[1]["data"], {})
        write("sys/policies/acl/team", {"policy": 'path "team/secret/*" { capabilities = ["read"] }'})
        member = write("auth/token/create", {"policies": ["team"]})[1]["auth"]["client_token"]
        self.assertEqual(read("sys/internal/ui/namespaces", member)[1]["data"], {"keys": ["team/"]})
        self.assertEqual(read("sys/internal/inspect/router/root")[0], 404)
        self.assertEqual(harness.http("LIST", "/v1/sys/well-known", "root"), (404, {"errors": []}))
        self.assertEqual(read("sys/well-known/est"), (404, {"errors": []}))

    def test_API_10_parents_and_slashes(self):
        self.dev()
        write("secret/data/x", {"data": {"k": 1}})
        for path in ("secret/data/../data/x", "secret/data/%2e%2e/data/x", "secret/./data/x", "secret/data//x", "secret/data/x%2f..", "..", "secret/data/x/.."):
            self.assertEqual(harness.http("GET", "/v1/" + path, "root")[0], 400, path)
        self.assertEqual(harness.http("GET", "/v1/sys/mounts/", "root")[0], 200)
        self.assertEqual(*[harness.http("LIST", path, "root")[1]["data"]["keys"] for path in ("/v1/secret/metadata", "/v1/secret/metadata/")])
        self.assertEqual(harness.http("GET", "/v1/secret/data/x/", "root")[0], 404)


if __name__ == "__main__":
    harness.main()
