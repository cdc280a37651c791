"""Advisory rows about who is let in, in which order things are looked at, and what is told: over HTTP and gRPC, each with its mutant."""
import pathlib
import re
import socket

import endpoints
import harness
from advisory import SURFACES, Rows, add_rows, canary, expect, method_with, root

HTTP = SURFACES[:1]


def users():
    method_with("userpass", "users/alice", {"password": "one"})
    method_with("approle", "role/app", {"role_id": "app"})
    root("POST", "auth/approle/role/app/custom-secret-id", {"secret_id": "secret"})


LOGINS = (("auth/userpass/login/alice", {"password": "one"}), ("auth/approle/login", {"role_id": "app", "secret_id": "secret"}))


def a1_only_a_write_logs_in(surface, test):
    users()
    for path, body in LOGINS:
        for verb in ("GET", "LIST", "DELETE", "PATCH"):
            status, answer = surface.call(verb, path, data=body if verb == "PATCH" else None, parameters=body if verb in ("GET", "LIST") else None)
            expect(status >= 400 and "client_token" not in answer, f"{verb} {path} is answered with {status} {answer}")
        status, answer = surface.call("POST", path, data=body)
        expect(status == 200, f"{path} is answered with {status} {answer}")


def a2_a_refused_login_leaves_no_token(surface, test):
    users()
    path, body = LOGINS[0]
    root("POST", "sys/quotas/lease-count/few", {"path": "auth/userpass/", "max_leases": 2})

    def accessors():
        return len(root("LIST", "auth/token/accessors")["data"]["keys"])

    def refused():
        return surface.call("POST", path, data=body)[0] == 429
    harness.wait_until(refused, "the quota of leases", 10)
    before = accessors()
    for _ in range(3):
        expect(refused(), "the quota is not kept")
    expect(accessors() == before, f"refused logins left {accessors() - before} tokens")


def b2_nobody_learns_who_is_there(surface, test):
    users()

    def told(path, body):
        status, answer = surface.call("POST", path, data=body)
        return status, re.sub(r'"request_id":"[^"]*"', "", answer)
    for path, other, wrong in (("auth/userpass/login/alice", "auth/userpass/login/nobody", {"password": "wrong"}),):
        expect(told(path, wrong) == told(other, wrong), f"a user: {told(path, wrong)}, nobody: {told(other, wrong)}")
    here, nowhere = ({"role_id": role, "secret_id": "wrong"} for role in ("app", "nobody"))
    expect(told("auth/approle/login", here) == told("auth/approle/login", nowhere), "a role is told from none")


# What answers without a token; whoever adds to it has thought about it.
OPEN = {
    "auth/approle/login", "auth/userpass/login/cny", "sys/health", "sys/leader", "sys/seal-status", "sys/seal-backend-status", "sys/wrapping/lookup",
    "sys/internal/ui/mounts", "sys/internal/ui/mounts/cny", "sys/internal/specs/openapi", "sys/internal/ui/namespaces",
    "sys/internal/ui/version", "sys/internal/ui/feature-flags", "sys/internal/ui/default-auth-methods", "sys/wrapping/pubkey",
    # What holders of shares do; to begin and to end a rekey is another matter (J8), tried with their own verbs.
    "sys/rekey/init", "sys/rekey/update", "sys/rekey/verify",
    "sys/rekey-recovery-key/init", "sys/rekey-recovery-key/update", "sys/rekey-recovery-key/verify",
    "sys/generate-root/attempt", "sys/generate-root/update", "sys/decode-token",
    # How a node gets into a cluster: it shows that it can open the seal.
    "sys/storage/raft/bootstrap/challenge", "sys/storage/raft/bootstrap/answer",
    # And how one that is a member is told which certificates the others have: it shows the same.
    "sys/storage/raft/bootstrap/certificates-challenge", "sys/storage/raft/bootstrap/certificates",
}


def b7_what_is_open_is_known(surface, test):
    endpoints.prepare("root")
    found = set()
    for path in endpoints.paths():
        for verb in ("GET", "POST"):
            if surface.call(verb, path, data={} if verb == "POST" else None)[0] != 403:
                found.add(path)
    expect(found <= OPEN, f"open without a token: {sorted(found - OPEN)}")
    expect(len(found) > 4, f"hardly anything was found: {found}")


def cpu_seconds(test):
    fields = pathlib.Path(f"/proc/{test.server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def begin_body(size, token="root"):
    """The answer's first line to a head that announces a body, of which a little is sent."""
    with socket.create_connection(("127.0.0.1", 8200), timeout=3) as connection:
        connection.sendall(f"POST /v1/secret/data/c4 HTTP/1.1\r\nHost: a\r\nX-Vault-Token: {token}\r\nContent-Length: {size}\r\n\r\n".encode() + b'{"data":' * 64)
        try:
            return connection.recv(4096).split(b"\r\n")[0].decode()
        except TimeoutError:
            return "nothing"


def c4_quota_before_all_else(surface, test):
    """Quota, size, depth, parsing, route, policy: whoever has spent the quota learns that and nothing else, and costs next to nothing."""
    test.policy("none", 'path "secret/data/other" { capabilities = ["read"] }')
    poor = test.token("none")
    deep = b'{"data":' + b'{"a":' * 200 + b"1" + b"}" * 201
    asked = (("root", "secret/data/c4", b'{"data":', 400), ("root", "secret/data/c4", deep, 413), ("root", "secret/nowhere", b'{"a":1}', 404),
             (poor, "secret/data/c4", b'{"data":{"a":1}}', 403), ("guess", "secret/data/c4", b'{"data":{"a":1}}', 403))
    for token, path, body, status in asked:
        was = surface.call("POST", path, token, body)[0]
        expect(was in (status, 400), f"{path} is answered with {was}, not {status}")
    root("POST", "sys/quotas/rate-limit/kv", {"path": "secret/", "rate": 1, "interval": "1h"})
    surface.call("GET", "secret/data/c4", "root")
    for token, path, body, _ in asked:
        was = surface.call("POST", path, token, body)[0]
        expect(was == 429, f"beyond the quota {path} is answered with {was}, not 429")
    # A group by entity needs the token, and no body either.
    root("POST", "sys/quotas/rate-limit/kv", {"path": "secret/", "rate": 1, "interval": "1h", "group_by": "entity_then_ip"})
    surface.call("GET", "secret/data/c4", "root")
    expect(surface.call("POST", "secret/data/c4", "root", b"{")[0] == 429, "a quota of entities is looked at after the body")
    if surface.name != "http":
        return
    before = cpu_seconds(test)
    for size in [30 << 20] * 200 + [1 << 40]:
        line = begin_body(size)
        expect(line == "HTTP/1.1 429 Too Many Requests", f"a body of {size} bytes is answered with {line!r}")
    spent = cpu_seconds(test) - before
    expect(spent < 1, f"200 bodies beyond the quota cost {spent:.1f} s")


def c6_exempt_paths_stay_exempt(surface, test):
    root("POST", "sys/quotas/config", {"rate_limit_exempt_paths": ["secret/data/free"]})
    root("POST", "sys/quotas/rate-limit/kv", {"path": "secret/", "rate": 1, "interval": "1h"})
    for _ in range(4):
        status, _ = surface.call("GET", "secret/data/free", "root")
        expect(status == 404, f"an exempt path is answered with {status}")
    surface.call("GET", "secret/data/other", "root")
    expect(surface.call("GET", "secret/data/other", "root")[0] == 429, "no quota is kept")


def alice_with(test, metadata, policy):
    """Alice's token; her entity has this metadata and this policy."""
    users()
    test.policy("templated", policy)
    login = root("POST", LOGINS[0][0], LOGINS[0][1])
    root("POST", f"identity/entity/id/{login['auth']['entity_id']}", {"metadata": metadata, "policies": ["templated"]})
    return login["auth"]["client_token"]


def d4_a_value_is_one_segment(surface, test):
    root("POST", "secret/data/team/own", {"data": {"a": 1}})
    root("POST", "secret/data/other/own", {"data": {"a": 1}})
    token = alice_with(test, {"team": "team"}, 'path "secret/data/{{identity.entity.metadata.team}}/*" { capabilities = ["read"] }')
    expect(surface.call("GET", "secret/data/team/own", token)[0] == 200, "a template is not filled")
    entity = root("POST", LOGINS[0][0], LOGINS[0][1])["auth"]["entity_id"]
    for value in ("+", "*", "other/*", "team/../other", "te*m", "", "team/own", "other/own*"):
        root("POST", f"identity/entity/id/{entity}", {"metadata": {"team": value}})
        for path in ("secret/data/other/own", "secret/data/team/own"):
            status, _ = surface.call("GET", path, token)
            expect(status == 403, f"{value!r} opens {path}: {status}")


def d5_a_deny_without_its_value_denies(surface, test):
    token = alice_with(test, {}, 'path "secret/*" { capabilities = ["read"] }\n'
                                 'path "secret/data/{{identity.entity.metadata.team}}/*" { capabilities = ["deny"] }')
    status, _ = surface.call("GET", "secret/data/team/own", token)
    expect(status == 403, f"a deny rule that cannot be filled is answered with {status}")


def d6_names_of_policies_are_names(surface, test):
    users()
    for name in ("../root", "a/../root", "x/root", "..", "a\u0000b", "a b/../c"):
        for path, field in (("auth/token/create", "policies"), ("auth/userpass/users/alice", "token_policies"), ("auth/approle/role/app", "token_policies"),
                            ("identity/entity", "policies"), ("identity/group", "policies"), ("auth/token/roles/r", "allowed_policies")):
            status, body = surface.call("POST", path, "root", {field: [name]})
            expect(status == 400, f"policy {name!r} at {path} is answered with {status} {body}")


def d13_a_policy_holds_at_once(surface, test):
    root("POST", "secret/data/d13", {"data": {"a": 1}})
    token = test.token("d13")
    for word, status in (("read", 200), ("deny", 403), ("read", 200), ("list", 403)) * 10:
        root("POST", "sys/policies/acl/d13", {"policy": 'path "secret/data/d13" { capabilities = ["%s"] }' % word})
        was, _ = surface.call("GET", "secret/data/d13", token)
        expect(was == status, f"with {word} the next request is answered with {was}")


def h17_what_is_sensitive_is_not_read_back(surface, test):
    """Passwords and secret ids are written; what reads their objects shows none of them, nor their hashes."""
    users()
    words = [canary() for _ in range(2)]
    root("POST", "auth/userpass/users/alice", {"password": words[0]})
    root("POST", "auth/approle/role/app/custom-secret-id", {"secret_id": words[1]})
    accessors = root("LIST", "auth/approle/role/app/secret-id")["data"]["keys"]
    endpoints.prepare("root")
    told = 0
    for path in endpoints.paths():
        if not path.startswith("auth/"):
            continue
        for name in {path.replace("cny", segment, 1) for segment in ("alice", "app")}:
            for verb in ("GET", "LIST"):
                status, answer = surface.call(verb, name, "root")
                told += status == 200
                expect(not any(word in answer for word in words) and "$2" not in answer, f"{verb} {name} tells a secret: {answer}")
    for accessor in accessors:
        status, answer = surface.call("POST", "auth/approle/role/app/secret-id-accessor/lookup", "root", {"secret_id_accessor": accessor})
        expect(status == 200 and words[1] not in answer, f"a lookup tells a secret id: {answer}")
    expect(told > 5, f"only {told} reads were answered")


def h2_each_device_has_its_own_options(surface, test):
    for name in ("clear", "hashed"):
        pathlib.Path(f"/var/log/{name}.log").unlink(missing_ok=True)
    for name, raw in (("clear", True), ("hashed", False)):
        root("POST", f"sys/audit/{name}", {"type": "file", "options": {"file_path": f"/var/log/{name}.log", "log_raw": raw}})
    word = canary()
    surface.call("POST", "secret/data/h2", "root", {"data": {"a": word}})
    # An answer waits for one device; the other may write a moment later.
    for name in ("clear", "hashed"):
        harness.wait_until(lambda: pathlib.Path(f"/var/log/{name}.log").read_text().count('"path":"secret/data/h2"') >= 2, f"lines in {name}.log")
    expect(word in pathlib.Path("/var/log/clear.log").read_text(), "log_raw does not hold")
    expect(word not in pathlib.Path("/var/log/hashed.log").read_text(), "another device's log_raw holds for this one")


def h6_audited_headers_are_there(surface, test):
    pathlib.Path("/var/log/headers.log").unlink(missing_ok=True)
    users()
    root("POST", "sys/audit/headers", {"type": "file", "options": {"file_path": "/var/log/headers.log"}})
    root("POST", "sys/config/auditing/request-headers/x-trace", {"hmac": False})
    for token, path, body in (("root", "secret/data/a", None), (None, *LOGINS[0])):
        word = canary()
        harness.http("POST" if body else "GET", "/v1/" + path, token, body, headers={"X-Trace": word})
        lines = pathlib.Path("/var/log/headers.log").read_text().splitlines()
        expect(sum(word in line for line in lines) == 2, f"the header is missing of {path}")


def h20_nothing_is_cached(surface, test):
    users()
    for method, path, token in (("GET", "secret/data/a", "root"), ("GET", "sys/mounts", "root"), ("GET", "sys/health", None), ("GET", "secret/data/a", None),
                                ("GET", "nowhere", "root"), ("GET", "sys/metrics", "root")):
        status, _, headers = harness.http(method, "/v1/" + path, token, raw=True)
        expect(headers.get("Cache-Control") == "no-store", f"{path}, answered with {status}, may be cached")


ROWS = [
    ("A1", "a1_login_by_any_operation", a1_only_a_write_logs_in, SURFACES),
    ("A2", "a2_failed_login_keeps_token", a2_a_refused_login_leaves_no_token, SURFACES),
    ("B2", "b2_refusal_tells_ghosts", b2_nobody_learns_who_is_there, SURFACES),
    ("B7", "b7_path_left_open", b7_what_is_open_is_known, SURFACES),
    ("C4", "c4_quota_after_body", c4_quota_before_all_else, SURFACES),
    ("C6", "c6_quota_exemptions_lost", c6_exempt_paths_stay_exempt, SURFACES),
    ("D4", "d4_acl_template_raw", d4_a_value_is_one_segment, SURFACES),
    ("D5", "d5_acl_template_deny_dropped", d5_a_deny_without_its_value_denies, SURFACES),
    ("D6", "d6_policy_name_unchecked", d6_names_of_policies_are_names, SURFACES),
    ("D13", "d13_policy_change_missed", d13_a_policy_holds_at_once, SURFACES),
    ("H17", "h17_hash_read_back", h17_what_is_sensitive_is_not_read_back, SURFACES),
    ("H2", "h2_device_options_shared", h2_each_device_has_its_own_options, SURFACES),
    ("H6", "h6_audited_headers_lost", h6_audited_headers_are_there, HTTP),
    ("H20", "h20_answer_may_be_cached", h20_nothing_is_cached, HTTP),
]


class Door(Rows):
    pass


add_rows(Door, ROWS)


if __name__ == "__main__":
    harness.main()
