"""Advisory rows over HTTP and gRPC, each with the mutant that it must catch.

docs/advisories.md has all rows. Those whose subject is inside have their tests and mutants in the unit tests of their folder.
"""
import json
import os
import pathlib
import re
import secrets
import socket
import time

import harness
from advisory import SURFACES, Rows, add_rows, canary, expect, method_with, root


def b5_mounts_are_not_revealed(surface, test):
    paths = ["secret/data/x", "cubbyhole/x", "auth/token/lookup-self", "sys/mounts"] + [f"{secrets.token_hex(4)}/{secrets.token_hex(3)}" for _ in range(50)]
    answers = {surface.call("GET", path) for path in paths}
    expect(len(answers) == 1, f"unauthenticated answers differ: {sorted(answers)[:4]}")
    expect(next(iter(answers))[0] == 403, f"unauthenticated: {answers}")


def b6_no_address_in_answers(surface, test):
    private = re.compile(rb"(?<![\d.])(10\.\d+|127\.0|192\.168|172\.(1[6-9]|2\d|3[01]))\.\d+\.\d+|localhost")
    for head in (b"GET /v1/secret/data/x HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"GET //v1/x HTTP/1.1\r\nHost: a\r\n\r\n", b"BAD\r\n\r\n",
                 b"GET /v1/%zz HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{x}",
                 b"GET /v1/sys/health HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", 8200), timeout=10) as connection:
            connection.sendall(head)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        expect(answer.startswith(b"HTTP/1."), f"no answer to {head!r}")
        expect(not private.search(answer), f"an address in {answer!r}")


EXTREMES = ["-9223372036854775808", "-1", "9223372036854775808", "NaN", "1e9", "0x10", ""]


def c5_numbers_have_bounds(surface, test):
    surface.call("POST", "secret/data/c5", "root", {"data": {"a": 1}})
    for value in EXTREMES[:-1]:
        status, body = surface.call("GET", "secret/data/c5", "root", parameters={"version": value})
        expect(400 <= status < 500 or value == "-1", f"version={value} is answered with {status} {body}")
        status, body = surface.call("POST", "secret/metadata/c5", "root", {"max_versions": value})
        expect(status == 400, f"max_versions={value} is answered with {status} {body}")
        status, body = surface.call("POST", "auth/token/create", "root", {"num_uses": value})
        expect(status == 400, f"num_uses={value} is answered with {status} {body}")


def d1_one_spelling(surface, test):
    surface.call("PUT" if surface.name == "http" else "POST", "sys/policies/acl/d1", "root",
                 {"policy": 'path "secret/*" { capabilities = ["create", "update", "read", "list", "delete"] }\n'
                            'path "secret/data/admin" { capabilities = ["deny"] }\npath "secret/data/admin/*" { capabilities = ["deny"] }'})
    _, body = surface.call("POST", "auth/token/create", "root", {"policies": ["d1"]}) if surface.name == "http" else (0, "")
    token = json.loads(body)["auth"]["client_token"] if body else test.token("d1")
    surface.call("POST", "secret/data/admin", "root", {"data": {"owner": "root"}})
    for spelling in ("secret//data/admin", "secret/data//admin", "secret/data/x/../admin", "secret/data/./admin", "secret/data/admin//", "secret/./data/admin"):
        status, _ = surface.call("POST", spelling, token, {"data": {"owner": "other"}})
        expect(status in (400, 403), f"{spelling} is answered with {status}")
    if surface.name == "http":
        for spelling in ("secret/data/%2e%2e/data/admin", "secret/data%2Fadmin", "secret/data/x/%2e%2e/admin", "secret/data/%2fadmin", "secret/data/admin%00",
                         "secret/data/admin%5c", "secret/data/%252e%252e/admin", "secret/data%2F%2Fadmin"):
            status, _ = surface.call("POST", spelling, token, {"data": {"owner": "other"}})
            expect(status in (400, 403), f"{spelling} is answered with {status}")
    status, body = harness.http("GET", "/v1/secret/data/admin", "root")
    expect(body["data"]["data"] == {"owner": "root"}, "the denied secret was written")
    for spelling in ("secret/data/ADMIN", "secret/data/admin "):  # other names, not other spellings of this one
        if surface.name == "grpc" or " " not in spelling:
            surface.call("POST", spelling, token, {"data": {"owner": "other"}})
    expect(harness.http("GET", "/v1/secret/data/admin", "root")[1]["data"]["data"] == {"owner": "root"}, "names are folded together")


def d3_list_is_denied_with_and_without_slash(surface, test):
    surface.call("POST", "secret/data/d3/hidden/x", "root", {"data": {"a": 1}})
    test.policy("d3", 'path "secret/metadata/*" { capabilities = ["list"] }\npath "secret/metadata/d3/hidden/*" { capabilities = ["deny"] }')
    token = test.token("d3")
    for path in ("secret/metadata/d3/hidden", "secret/metadata/d3/hidden/"):
        status, _ = surface.call("LIST", path, token)
        expect(status == 403, f"LIST {path} is answered with {status}")


def d11_child_has_no_more_policies(surface, test):
    test.policy("maker", 'path "auth/token/create" { capabilities = ["update"] }')
    test.policy("other", 'path "secret/*" { capabilities = ["read"] }')
    token = test.token("maker", "-no-default-policy")
    for wanted in (["other"], ["maker", "other"], ["root"], ["default"]):
        status, _ = surface.call("POST", "auth/token/create", token, {"policies": wanted})
        expect(status in (400, 403), f"a child with {wanted} is answered with {status}")


def g1_never_beyond_the_maximum(surface, test):
    token = test.token("default", "-ttl=2s -explicit-max-ttl=3s")
    for _ in range(3):
        surface.call("POST", "auth/token/renew-self", token, {"increment": "1h"})
        status, body = harness.http("GET", "/v1/auth/token/lookup-self", token)
        if status == 200:
            expect(0 < body["data"]["ttl"] <= 3, f"ttl {body['data']['ttl']} of at most 3 s")
    def gone():
        return harness.http("GET", "/v1/auth/token/lookup-self", token)[0] == 403
    try:
        harness.wait_until(gone, "the token to end", 6)
    except AssertionError as late:
        raise AssertionError("the token outlived its maximum") from late


def audited(surface, test, data, read=True):
    """The audit file's text after a write and a read of `data` by a token of its own."""
    test.shell("vault audit enable file file_path=/var/log/canary.log")
    token = test.token("root")
    surface.call("POST", "secret/data/canary", token, {"data": data})
    surface.call("GET", "secret/data/canary", token)
    surface.call("GET", "auth/token/lookup-self", token)
    return token, pathlib.Path("/var/log/canary.log").read_text()


def h1_no_token_in_the_audit(surface, test):
    token, text = audited(surface, test, {"a": "b"})
    accessor = harness.http("GET", "/v1/auth/token/lookup-self", token)[1]["data"]["accessor"]
    expect(token not in text, "the token stands in the audit file")
    expect(accessor not in text, "the accessor stands in the audit file")


def h5_every_type_is_hashed(surface, test):
    number = int("9" + "".join(secrets.choice("0123456789") for _ in range(24)))
    words = [canary() for _ in range(5)]
    data = {"string": words[0], "number": number, "list": [words[1], {"deep": words[2]}], "map": {"a": {"b": words[3]}}, "text": "x" + words[4] + "y"}
    _, text = audited(surface, test, data)
    for word in [*words, str(number)]:
        expect(word not in text, "a value stands in the audit file in clear")


def h7_errors_do_not_echo(surface, test):
    for path, field in [("secret/data/h7", "options"), ("secret/metadata/h7", "max_versions"), ("secret/metadata/h7", "cas_required"),
                        ("secret/metadata/h7", "custom_metadata"), ("auth/token/create", "num_uses"), ("auth/token/create", "ttl"),
                        ("secret/destroy/h7", "versions"), ("sys/mounts/h7", "config"), ("secret/metadata/h7", "delete_version_after")]:
        word = canary()
        status, body = surface.call("POST", path, "root", {field: word})
        expect(word not in body, f"{path} echoes the value of {field}: {body}")
        expect(status in (400, 404), f"{path} with a bad {field} is answered with {status}")
    word = canary()
    _, body = surface.call("POST", "secret/data/h7", "root", ('{"data": {"a": "%s"' % word).encode())
    expect(word not in body, f"a syntax error echoes the body: {body}")


def enable(surface, options, name="x"):
    return surface.call("POST", f"sys/audit/{name}", "root", {"type": "file", "options": options})


def i1_audit_file_stays_out(surface, test):
    os.makedirs("/etc/vault.d", exist_ok=True)
    pathlib.Path("/var/log/foreign.sh").write_text("#!/bin/sh\n")
    os.symlink("/var/log/foreign.sh", "/var/log/link.log")
    for options in ({"file_path": "/var/log/foreign.sh"}, {"file_path": "/var/log/link.log"}, {"file_path": "/proc/self/mem"},
                    {"file_path": "/var/log/p.log", "prefix": "#!/bin/sh\n"}):
        status, body = enable(surface, options)
        expect(status == 400, f"{options} is answered with {status} {body}")


def i2_no_executable_mode(surface, test):
    for mode in ("0777", "04755", "010644", "0001", "99999", "0x1ff", "-1"):
        status, body = enable(surface, {"file_path": "/var/log/mode.log", "mode": mode})
        expect(status == 400, f"mode {mode} is answered with {status} {body}")
        expect(not os.path.exists("/var/log/mode.log"), f"mode {mode} made a file")


def i3_every_alias_is_checked(surface, test):
    for option in ("file_path", "path"):
        status, body = enable(surface, {option: "/var/log/../log/alias.log"})
        expect(status == 400, f"`..` in {option} is answered with {status} {body}")


def k1_bodies_are_bounded(surface, test):
    """Many unauthenticated bodies under way hold little memory."""
    before = test.resident_mib()
    connections = []
    with socket.create_connection(("127.0.0.1", 8200), timeout=3) as connection:
        connection.sendall(b"POST /v1/secret/data/k1 HTTP/1.1\r\nHost: a\r\nContent-Length: 33000000\r\n\r\n")
        try:
            answer = connection.recv(64)
        except TimeoutError:
            answer = b""
        expect(answer.startswith(b"HTTP/1.1 413"), f"33 MB without a token are answered with {answer!r}")
    head = b"POST /v1/secret/data/k1 HTTP/1.1\r\nHost: a\r\nContent-Length: 33000000\r\n\r\n"
    try:
        for _ in range(100):
            connection = socket.create_connection(("127.0.0.1", 8200), timeout=5)
            connection.setblocking(False)
            connections.append(connection)
            try:
                connection.send(head)
            except OSError:
                pass
        piece = b'"' + b"x" * (1 << 18)
        for _ in range(16):
            for connection in connections:
                try:
                    connection.send(piece)
                except OSError:
                    pass
        status, _ = harness.http("GET", "/v1/sys/health")
        expect(status == 200, "a good client is not served meanwhile")
        grown = test.resident_mib() - before
        expect(grown < 200, f"the server grew by {grown:.0f} MiB")
    finally:
        for connection in connections:
            connection.close()


def k2_json_is_bounded(surface, test):
    deep = b'{"data":' + b'{"a":' * 200 + b"1" + b"}" * 201
    status, _ = surface.call("POST", "secret/data/k2", "root", deep)
    expect(status in (400, 413), f"depth 200 is answered with {status}")
    many = json.dumps({"data": {f"k{i}": "v" for i in range(5000)}}).encode()
    status, _ = surface.call("POST", "secret/data/k2", "root", many)
    expect(status in (400, 413), f"10,000 strings are answered with {status}")


def k2_duplicates_are_refused(surface, test):
    status, _ = surface.call("POST", "secret/data/k2", "root", b'{"data":{"a":1,"a":2}}')
    expect(status == 400, f"a key twice is answered with {status}")


def k6_entries_are_bounded(surface, test):
    status, _ = surface.call("POST", "cubbyhole/k6", "root", {"a": "x" * (3200 << 10)})
    expect(status in (400, 413), f"more than an entry holds is answered with {status}")
    status, _ = surface.call("GET", "sys/mounts", "root")
    expect(status == 200, "the server went down")


def b5_inner_paths_are_authorised(surface, test):
    """What one request does with several paths it may do with each of them."""
    for name in ("mine", "theirs"):
        surface.call("POST", f"secret/data/{name}", "root", {"data": {"a": name}})
    surface.call("POST", "secret/metadata/theirs", "root", {"custom_metadata": {"k": "findme"}})
    test.policy("inner", 'path "sys/batch" { capabilities = ["update"] }\npath "sys/search" { capabilities = ["read"] }\npath "secret/search" { capabilities = ["read"] }\n'
                'path "secret/data/mine" { capabilities = ["create", "update", "read"] }\npath "secret/metadata/mine" { capabilities = ["create", "update", "read"] }\n'
                'path "secret/move/*" { capabilities = ["update"] }\npath "secret/copy/*" { capabilities = ["update"] }')
    token = test.token("inner")
    status, body = surface.call("POST", "sys/batch", token, {"paths": ["secret/data/mine", "secret/data/theirs"]})
    expect(status == 200 and "theirs" not in body.replace("secret/data/theirs", ""), f"a batch reads what is denied: {body}")
    for path in ("sys/search", "secret/search"):
        status, body = surface.call("GET", path, token, parameters={"q": "findme"})
        expect(status == 200 and "theirs" not in body, f"{path} finds what is denied: {body}")
    for verb in ("copy", "move"):
        status, body = surface.call("POST", f"secret/{verb}/theirs", token, {"to": "mine", "overwrite": True})
        expect(status == 403, f"{verb} of what is denied is answered with {status} {body}")


def guesses(surface, names, count):
    return [surface.call("POST", "auth/userpass/login/" + names[i % len(names)], data={"password": "wrong"}) for i in range(count)]


def a18_restrictions_hold_in_every_flow(surface, test):
    far = {"token_bound_cidrs": "10.0.0.0/8"}
    method_with("userpass", "users/alice", {"password": "one", **far})
    method_with("approle", "role/app", {"role_id": "app", **far})
    root("POST", "auth/approle/role/app/custom-secret-id", {"secret_id": "secret"})
    for path, body in (("auth/userpass/login/alice", {"password": "one"}), ("auth/approle/login", {"role_id": "app", "secret_id": "secret"})):
        status, _ = surface.call("POST", path, data=body)
        expect(status == 400, f"{path} from elsewhere is answered with {status}")
    root("POST", "auth/token/roles/far", far)
    token = root("POST", "auth/token/create/far", {"policies": ["default"]})["auth"]["client_token"]
    status, _ = surface.call("GET", "auth/token/lookup-self", token)
    expect(status == 403, f"a token bound elsewhere is answered with {status}")


def a19_a_child_stays_where_its_parent_is(surface, test):
    test.policy("maker", 'path "auth/token/create" { capabilities = ["update"] }')
    root("POST", "auth/token/roles/near", {"token_bound_cidrs": "127.0.0.0/8", "allowed_policies": "maker"})
    parent = root("POST", "auth/token/create/near")["auth"]["client_token"]
    status, child = harness.http("POST", "/v1/auth/token/create", parent, {})
    expect(status == 200, f"a child is answered with {status}")
    status, body = surface.call("POST", "auth/token/lookup", "root", {"token": child["auth"]["client_token"]})
    expect("127.0.0.0/8" in body, "a child is bound to no network")


def b3_ghosts_take_as_long(surface, test):
    method_with("userpass", "users/alice", {"password": "one"})

    def best(name):
        times = []
        for _ in range(4):  # the fifth locks the name out
            begin = time.monotonic()
            guesses(surface, [name], 1)
            times.append(time.monotonic() - begin)
        return min(times)
    real, ghost = best("alice"), best("ghost")
    expect(ghost > 0.5 * real, f"a ghost takes {ghost * 1000:.1f} ms, a user {real * 1000:.1f} ms")


def b4_ghosts_are_locked_out_alike(surface, test):
    method_with("userpass", "users/alice", {"password": "one"})
    real, ghost = guesses(surface, ["alice"], 8), guesses(surface, ["ghost"], 8)
    expect(real == ghost, f"a user: {real}, a ghost: {ghost}")
    expect(len(set(real)) == 2, f"nobody is locked out: {real}")


def c1_spellings_count_together(surface, test):
    method_with("userpass", "users/alice", {"password": "one"})
    answers = guesses(surface, ["alice", "Alice", "aLICE", "ALICE", "alicE", "aLiCe", "AlIcE", "alICe"], 16)
    expect(answers.count(answers[0]) == 5, f"{answers.count(answers[0])} guesses before the lock: {answers}")


def e1_root_is_granted_by_no_list(surface, test):
    method_with("userpass", "users/alice", {"password": "one"})
    method_with("approle", "role/app", {})
    fields = [("auth/userpass/users/alice", "token_policies"), ("auth/userpass/users/alice", "policies"),
              ("auth/userpass/users/alice/policies", "token_policies"), ("auth/userpass/users/alice/policies", "policies"),
              ("auth/approle/role/app", "token_policies"), ("auth/approle/role/app", "policies"),
              ("auth/approle/role/app/policies", "token_policies"), ("auth/token/roles/r", "allowed_policies")]
    for path, field in fields:
        for spelling in ("root", "ROOT", " root", "Root\t", "a, rOOt ", ["default", "root"]):
            status, _ = surface.call("POST", path, "root", {field: spelling})
            expect(status == 400, f"{field} = {spelling!r} at {path} is answered with {status}")


def e8_spellings_of_a_role_are_one(surface, test):
    method_with("approle", "role/MixedCase", {})
    accessor = harness.http("POST", "/v1/auth/approle/role/mixedcase/secret-id", "root", {})[1].get("data", {}).get("secret_id_accessor", "none")
    status, body = surface.call("LIST", "auth/approle/role/MIXEDCASE/secret-id", "root")
    expect(status == 200 and accessor in body, f"what was made is not listed: {status} {body}")
    status, _ = surface.call("POST", "auth/approle/role/mixedCASE/secret-id-accessor/destroy", "root", {"secret_id_accessor": accessor})
    expect(status == 204, f"what is listed is not destroyed: {status}")


def g11_accessors_stay_with_their_role(surface, test):
    method_with("approle", "role/a", {})
    root("POST", "auth/approle/role/b", {})
    accessor = root("POST", "auth/approle/role/a/secret-id", {})["data"]["secret_id_accessor"]
    for verb in ("lookup", "destroy"):
        status, _ = surface.call("POST", f"auth/approle/role/b/secret-id-accessor/{verb}", "root", {"secret_id_accessor": accessor})
        expect(status == 404, f"{verb} by way of another role is answered with {status}")
    root("POST", "auth/approle/role/a/secret-id-accessor/lookup", {"secret_id_accessor": accessor})


ROOT_SPELLINGS = ("root", "ROOT", "Root", " root", "root ", "\troot", "rOOt\n", "\u000broot")


def e2_root_is_no_policy_of_an_identity(surface, test):
    """E1, E2, E3: whatever takes policies refuses root before and after it is made one spelling."""
    for path in ("identity/entity", "identity/entity/name/e", "identity/group", "identity/group/name/g"):
        for spelling in ROOT_SPELLINGS:
            for policies in ([spelling], ["a", spelling], "a," + spelling):
                status, body = surface.call("POST", path, "root", {"policies": policies})
                expect(status == 400, f"{policies!r} at {path} is answered with {status} {body}")


def e4_an_alias_stays_with_its_entity(surface, test):
    """Who may write aliases does not thereby get what another entity may do."""
    test.policy("clerk", 'path "identity/entity-alias*" { capabilities = ["create", "update", "read"] }')
    test.shell("vault auth enable userpass && vault write auth/userpass/users/ann password=Password123!")
    accessor = json.loads(test.shell("vault auth list -format=json"))["userpass/"]["accessor"]
    chief = test.shell("vault write -field=id identity/entity name=chief policies=clerk").strip()
    own = surface.call("POST", "auth/userpass/login/ann", None, {"password": "Password123!"})
    expect(own[0] == 200, f"the login is answered with {own}")
    alias = {"name": "ann", "mount_accessor": accessor, "canonical_id": chief}
    status, body = surface.call("POST", "identity/entity-alias", test.token("clerk"), alias)
    expect(status in (400, 403), f"an alias moved to another entity is answered with {status} {body}")
    told = json.loads(test.shell(f"vault read -format=json identity/entity/id/{chief}"))["data"]
    expect(told["aliases"] == [], "the other entity has the alias")


# row, mutant, check, surfaces on which the row can be seen
ROWS = [
    ("A18", "a18_token_cidr_unchecked", a18_restrictions_hold_in_every_flow, SURFACES),
    ("A19", "a19_child_cidrs_lost", a19_a_child_stays_where_its_parent_is, SURFACES),
    ("B3", "b3_ghost_user_answers_fast", b3_ghosts_take_as_long, SURFACES),
    ("B4", "b4_lockout_tells_ghosts", b4_ghosts_are_locked_out_alike, SURFACES),
    ("C1", "c1_lockout_by_raw_name", c1_spellings_count_together, SURFACES),
    ("E1", "e1_root_policy_granted", e1_root_is_granted_by_no_list, SURFACES),
    ("E8", "e8_role_name_case_kept", e8_spellings_of_a_role_are_one, SURFACES),
    ("G11", "g11_secret_id_of_other_role", g11_accessors_stay_with_their_role, SURFACES),
    ("B5", "b5_mount_revealed", b5_mounts_are_not_revealed, SURFACES),
    ("B5", "d_inner_paths_unauthorised", b5_inner_paths_are_authorised, SURFACES),
    ("B6", "b6_http_error_names_address", b6_no_address_in_answers, SURFACES[:1]),
    ("C5", "c5_numbers_unchecked", c5_numbers_have_bounds, SURFACES),
    ("D1", "d1_path_empty_segment_kept", d1_one_spelling, SURFACES),
    ("D2", "d2_path_dots_kept", d1_one_spelling, SURFACES),
    ("D3", "d3_acl_list_slash_stripped", d3_list_is_denied_with_and_without_slash, SURFACES),
    ("D11", "d11_child_policies_unchecked", d11_child_has_no_more_policies, SURFACES),
    ("E2", "e2_entity_policies_raw", e2_root_is_no_policy_of_an_identity, SURFACES),
    ("E4", "e4_entity_alias_merges", e4_an_alias_stays_with_its_entity, SURFACES),
    ("G1", "g1_renew_beyond_maximum", g1_never_beyond_the_maximum, SURFACES),
    ("H1", "h1_audit_token_in_clear", h1_no_token_in_the_audit, SURFACES),
    ("H5", "h5_audit_only_strings_hashed", h5_every_type_is_hashed, SURFACES),
    ("H7", "h7_error_echoes_value", h7_errors_do_not_echo, SURFACES),
    ("I1", "i1_audit_file_anywhere", i1_audit_file_stays_out, SURFACES),
    ("I2", "i2_audit_file_mode_unchecked", i2_no_executable_mode, SURFACES),
    ("I3", "i3_audit_path_alias_unchecked", i3_every_alias_is_checked, SURFACES),
    ("K1", "k1_http_tokenless_body_unbounded", k1_bodies_are_bounded, SURFACES[:1]),
    ("K2", "k2_json_depth_unchecked", k2_json_is_bounded, SURFACES),
    ("K2", "k2_json_duplicate_keys", k2_duplicates_are_refused, SURFACES),
    ("K6", "k6_entry_size_unchecked", k6_entries_are_bounded, SURFACES),
]


class Advisories(Rows):
    pass


add_rows(Advisories, ROWS)


if __name__ == "__main__":
    harness.main()
