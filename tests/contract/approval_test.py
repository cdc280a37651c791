"""What policies say beyond capabilities: versions and ends of policies, bounds of lists, refusals that explain themselves, control groups.

Checks with mutants as in advisory.py.
"""
import json
import time

import advisory
import harness
from advisory import expect, sure

HTTP = advisory.SURFACES[:1]
MERGE = {"Content-Type": "application/merge-patch+json"}
RULES = 'path "secret/*" { capabilities = ["read", "list"] }'
LISTING = '''path "secret/metadata/*" { capabilities = ["list", "scan"] %s }'''
DENIED = "1 error occurred:\n\t* permission denied\n\n"
GROUPED = '''path "secret/data/top" {
  capabilities = ["create", "read", "update"]
  control_group = {
    ttl = "4h"
    factor "ops" {
      controlled_capabilities = ["read", "create", "update"]
      identity { group_names = ["managers"] approvals = 2 }
    }
  }
}
path "sys/control-group/*" { capabilities = ["update"] }
path "sys/batch" { capabilities = ["update"] }
'''


def write(path, body, token="root", **headers):
    return harness.http("POST", "/v1/" + path, token, body, headers=headers)


def read(path, token="root", **headers):
    return harness.http("GET", "/v1/" + path, token, headers=headers)


def patch(path, body):
    return harness.http("PATCH", "/v1/" + path, "root", body, headers=MERGE)


def token_of(rules, name="t"):
    expect(write(f"sys/policies/acl/{name}", {"policy": rules})[0] == 204, f"policy {rules}")
    return write("auth/token/create", {"policies": [name], "no_default_policy": True})[1]["auth"]["client_token"]


def names(method, path, token):
    status, body = harness.http(method, "/v1/" + path, token)
    return (body["data"]["keys"] if status == 200 else status)


@sure
def d16_what_is_not_patched_stays(surface, test):
    path = "sys/policies/acl/a"
    write(path, {"policy": RULES, "cas_required": True, "cas": -1, "ttl": "1h"})
    before = read(path)[1]["data"]
    expect(patch(path, {"cas": 1})[0] == 200, "a patch that only counts")
    after = read(path)[1]["data"]
    expect(after["version"] == 2 and after["modified"] != before["modified"], f"{after}")
    for field in ("cas_required", "expiration", "policy"):
        expect(after.get(field) == before[field], f"{field} is {after.get(field)} after a patch of nothing")


@sure
def c5_pages_have_bounds(surface, test):
    for name in ("a", "b", "c/x", "c/y", "d"):
        write("secret/data/" + name, {"data": {"k": 1}})
    token = token_of(LISTING % "pagination_limit = 2")
    expect(names("LIST", "secret/metadata", token) == ["a", "b"], "the limit is not set where none is asked for")
    expect(names("LIST", "secret/metadata?limit=0", token) == ["a", "b"], "limit=0")
    expect(names("LIST", "secret/metadata?limit=1", token) == ["a"], "limit=1")
    expect(names("LIST", "secret/metadata?after=b", token) == ["c/", "d"], "the next page")
    expect(len(names("SCAN", "secret/metadata", token)) == 2, "a scan is longer")
    for limit in ("3", "-1", "x", "", "1e1", "9223372036854775808", "0x2"):
        expect(names("LIST", f"secret/metadata?limit={limit}", token) == 403, f"limit={limit}")
        expect(names("SCAN", f"secret/metadata?limit={limit}", token) == 403, f"scan, limit={limit}")
    token = token_of(LISTING % 'pagination_limit = 2 required_parameters = ["limit"]')
    expect(names("LIST", "secret/metadata", token) == 403, "no limit where one is required")
    expect(names("LIST", "secret/metadata?limit=2", token) == ["a", "b"], "a limit where one is required")


@sure
def pol12_names_that_lead_nowhere_are_left_out(surface, test):
    for name in ("a", "b", "c/x", "c/y", "d"):
        write("secret/data/" + name, {"data": {"k": 1}})
    token = token_of(LISTING % 'list_scan_response_keys_filter_path = "secret/data/{{ .key }}"' +
                     ' path "secret/data/a" { capabilities = ["read"] } path "secret/data/c/x" { capabilities = ["read"] }'
                     ' path "secret/data/d" { capabilities = ["create"] }')
    expect(names("LIST", "secret/metadata", token) == ["a"], f"{names('LIST', 'secret/metadata', token)}")
    expect(sorted(names("SCAN", "secret/metadata", token)) == ["a", "c/x"], f"{names('SCAN', 'secret/metadata', token)}")
    hidden = harness.http("LIST", "/v1/secret/metadata/c", token)
    expect(hidden == harness.http("LIST", "/v1/secret/metadata/nothing", token) == (404, {"errors": []}), f"{hidden}")
    detailed = token_of('path "secret/detailed-metadata/*" { capabilities = ["list"] list_scan_response_keys_filter_path = "secret/data/{{.key}}" }'
                        ' path "secret/data/a" { capabilities = ["read"] }', "u")
    told = harness.http("LIST", "/v1/secret/detailed-metadata/", detailed)[1]["data"]
    expect(told["keys"] == ["a"] and list(told["key_info"]) == ["a"], f"{told}")
    write("sys/policies/acl/s", {"policy": 'path "secret/search" { capabilities = ["read"] } ' + LISTING %
                                 'list_scan_response_keys_filter_path = "secret/data/{{.key}}"'})
    searcher = write("auth/token/create", {"policies": ["s"], "no_default_policy": True})[1]["auth"]["client_token"]
    found = read("secret/search?q=a", searcher)
    expect(not (found[1].get("data") or {}).get("keys"), f"a search shows what a list hides: {found}")


@sure
def pol12_rules_end(surface, test):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    token = token_of(f'path "secret/data/x" {{ capabilities = ["read"] expiration = "{soon}" }} '
                     f'path "secret/data/*" {{ capabilities = ["deny"] expiration = "{soon}" }}')
    write("secret/data/x", {"data": {"k": 1}})
    expect(read("secret/data/x", token)[0] == 200, "before the end")
    harness.wait_until(lambda: read("secret/data/x", token)[0] == 403, "the rule's end", 10)
    write("sys/policies/acl/v", {"policy": RULES, "ttl": "2s"})
    token = write("auth/token/create", {"policies": ["v"], "no_default_policy": True})[1]["auth"]["client_token"]
    expect(read("secret/data/x", token)[0] == 200, "before the policy's end")
    harness.wait_until(lambda: read("secret/data/x", token)[0] == 403, "the policy's end", 10)


@sure
def explain_tells_no_existence(surface, test):
    write("secret/data/there", {"data": {"k": 1}})
    token = token_of(RULES)
    expect(write("secret/data/there", {"data": {}}, token) == (403, {"errors": [DENIED]}), "told without being asked")
    wish = {"X-Vault-Explain": "true"}
    told = [write(path, {"data": {}}, token, **wish) for path in ("secret/data/there", "secret/data/gone", "secret/data/../x", "secret/data/there")]
    expect(told[0] == told[1] == told[3], f"existence shows: {told}")
    expect(told[0] == (403, {"errors": [DENIED, 'policy "t", line 1: path "secret/*" grants list, read, not create or update']}), f"{told[0]}")
    nowhere = [read(path, token, **wish) for path in ("cubbyhole/x", "none/x", "auth/userpass/users")]
    expect(all(answer == nowhere[0] for answer in nowhere), f"a mount shows: {nowhere}")
    expect(nowhere[0][1]["errors"][1:] == ["no rule of the policies t matches"], f"{nowhere[0]}")
    stranger = harness.http("GET", "/v1/secret/data/there", None, headers=wish)
    expect(stranger == (403, {"errors": ["permission denied"]}), f"{stranger}")


class People:
    """`req` asks, `m1` and `m2` are managers, `no` is not."""

    def __init__(self):
        write("sys/policies/acl/cg", {"policy": GROUPED})
        write("sys/auth/userpass", {"type": "userpass"})
        self.token, self.entity = {}, {}
        for who in ("req", "m1", "m2", "no"):
            write(f"auth/userpass/users/{who}", {"password": "p", "token_policies": ["cg"]})
            auth = write(f"auth/userpass/login/{who}", {"password": "p"}, None)[1]["auth"]
            self.token[who], self.entity[who] = auth["client_token"], auth["entity_id"]
        write("identity/group", {"name": "managers", "member_entity_ids": [self.entity["m1"], self.entity["m2"], self.entity["req"]]})
        write("secret/data/top", {"data": {"k": 1}})

    def authorize(self, who, wrap):
        return write("sys/control-group/authorize", {"accessor": wrap["accessor"]}, self.token[who])

    def state(self, wrap, who="m1"):
        return write("sys/control-group/request", {"accessor": wrap["accessor"]}, self.token[who])[1]["data"]

    def unwrap(self, wrap, who="req"):
        return write("sys/wrapping/unwrap", {"token": wrap["token"]}, self.token[who])


@sure
def control_groups_hold_back(surface, test):
    people = People()
    status, body = read("secret/data/top", people.token["req"])
    wrap = body["wrap_info"]
    expect(status == 200 and body["data"] is None and wrap and wrap["ttl"] == 14400, f"{body}")
    expect(wrap["creation_path"] == "secret/data/top", f"{wrap}")
    expect(people.unwrap(wrap) == (400, {"errors": ["request needs further approval"]}), f"{people.unwrap(wrap)}")
    told = people.state(wrap)
    expect((told["approved"], told["authorizations"], told["request_path"], told["request_operation"], told["request_entity"]["id"]) ==
           (False, [], "secret/data/top", "read", people.entity["req"]), f"{told}")
    expect(people.authorize("no", wrap)[1]["data"] == {"approved": False} and not people.state(wrap)["authorizations"], "a stranger counts")
    own = people.authorize("req", wrap)
    expect(own[0] == 400 and not people.state(wrap)["authorizations"], f"the requester agrees with itself: {own}")
    expect(people.authorize("m1", wrap)[1]["data"] == {"approved": False}, "one of two")
    again = people.authorize("m1", wrap)
    expect(again[0] == 400 and people.state(wrap)["approved"] is False, f"one person counts twice: {again}")
    expect(people.unwrap(wrap)[0] == 400, "unwrapped with one of two")
    expect(people.authorize("m2", wrap)[1]["data"] == {"approved": True}, "two of two")
    for other in ("m1", "no"):
        expect(people.unwrap(wrap, other)[0] in (400, 403), f"{other} unwraps what {'req'} asked for")
    for bare in (write("sys/wrapping/unwrap", {}, wrap["token"]), write("sys/wrapping/lookup", {"token": wrap["token"]}), write("sys/wrapping/rewrap", {"token": wrap["token"]}),
                 read("secret/data/top", wrap["token"]), read("cubbyhole/response", wrap["token"])):
        expect(bare[0] in (400, 403), f"the wrapping token alone does something: {bare}")
    status, body = people.unwrap(wrap)
    expect(status == 200 and body["data"]["data"] == {"k": 1}, f"{body}")
    expect(people.unwrap(wrap)[0] == 400, "unwrapped twice")
    expect(write("sys/control-group/request", {"accessor": wrap["accessor"]})[0] == 400, "it is still known")


@sure
def control_groups_write_once(surface, test):
    people = People()
    status, body = write("secret/data/top", {"data": {"k": 2}}, people.token["req"])
    expect(body["data"] is None and body["wrap_info"], f"{body}")
    expect(read("secret/data/top")[1]["data"]["metadata"]["version"] == 1, "written before anybody agreed")
    wrap = body["wrap_info"]
    expect("request_data" not in people.state(wrap), "what is to be written shows")
    for who in ("m1", "m2"):
        people.authorize(who, wrap)
    # One who has left the group does not count any more.
    write("identity/group/name/managers", {"member_entity_ids": [people.entity["m1"]]})
    expect(people.unwrap(wrap)[0] == 400, "who left still counts")
    write("identity/group/name/managers", {"member_entity_ids": [people.entity["m1"], people.entity["m2"]]})
    expect(people.unwrap(wrap)[1]["data"]["version"] == 2, "not written when agreed to")
    expect(people.unwrap(wrap)[0] == 400, "written twice")
    # Neither inside of another request.
    inner = write("sys/batch", {"paths": ["secret/data/top"]}, people.token["req"])
    expect("2" not in json.dumps(inner[1].get("data", {}).get("answers", {}).get("secret/data/top", {}).get("data")), f"{inner}")


@sure
def d12_merged_people_are_one(surface, test):
    people = People()
    write("sys/auth/second", {"type": "userpass"})
    write("auth/second/users/m1", {"password": "p", "token_policies": ["cg"]})
    auth = write("auth/second/login/m1", {"password": "p"}, None)[1]["auth"]
    people.token["again"] = auth["client_token"]
    write("identity/group/name/managers", {"member_entity_ids": [people.entity["m1"], auth["entity_id"]]})
    wrap = read("secret/data/top", people.token["req"])[1]["wrap_info"]
    for who in ("m1", "again"):
        people.authorize(who, wrap)
    expect(people.state(wrap, "no")["approved"], "two of two")
    merged = write("identity/entity/merge", {"from_entity_ids": [auth["entity_id"]], "to_entity_id": people.entity["m1"]})
    expect(merged[0] in (200, 204), f"{merged}")
    expect(people.state(wrap, "no")["approved"] is False and people.unwrap(wrap)[0] == 400, "one person with two ids is two")


# row, mutant, check, surfaces on which the row can be seen
ROWS = [
    ("D16", "d16_policy_patch_drops_fields", d16_what_is_not_patched_stays, HTTP),
    ("C5", "c5_pagination_unchecked", c5_pages_have_bounds, HTTP),
    ("POL12", "pol12_list_filter_ignored", pol12_names_that_lead_nowhere_are_left_out, HTTP),
    ("POL12", "pol12_acl_expiration_ignored", pol12_rules_end, HTTP),
    ("B5", "explain_tells_existence", explain_tells_no_existence, HTTP),
    ("D12", "control_group_approval_skipped", control_groups_write_once, HTTP),
    ("D12", "control_group_requester_approves", control_groups_hold_back, HTTP),
    ("D12", "d12_approver_counted_twice", d12_merged_people_are_one, HTTP),
]


class Rows(advisory.Rows):
    """One method a row, made below."""


advisory.add_rows(Rows, ROWS)


class Policies(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()

    def test_POL_05_versions_and_ends(self):
        path = "sys/policies/acl/a"
        self.assertEqual(write(path, {"policy": RULES}), (204, None))
        told = read(path)[1]["data"]
        self.assertEqual(set(told), {"cas_required", "modified", "name", "policy", "version"})
        self.assertEqual((told["cas_required"], told["name"], told["policy"], told["version"]), (False, "a", RULES, 1))
        self.assertEqual(read("sys/policy/a")[1]["data"]["rules"], RULES)
        for body, error in (({"cas": 0}, "check-and-set parameter 0 did not match the current version 1"),
                            ({"cas": -1}, "check-and-set parameter set to -1 on existing entry"),
                            ({"cas_required": True}, "check-and-set parameter required for this call"),
                            ({"ttl": "1h", "expiration": "2090-01-01T00:00:00Z"}, "cannot supply both 'expiration' and 'ttl' for policies"),
                            ({"expiration": "2020-01-01T00:00:00Z"}, "refusing to update policy as expiration time has already elapsed"),
                            ({"expiration": "soon"}, 'field "expiration" must be a time such as "2030-01-02T03:04:05Z"')):
            self.assertEqual(write(path, {"policy": RULES, **body}), (400, {"errors": [error]}))
        for body in ({"cas": "x"}, {"cas": -2}, {"ttl": "-1h"}, {"ttl": "x"}, {"cas_required": 3}, {"expiration": []}):
            self.assertEqual(write(path, {"policy": RULES, **body})[0], 400, body)
        self.assertEqual(write(path, {"policy": RULES, "cas": 1, "cas_required": True, "expiration": "2090-01-01T00:00:00Z"})[0], 204)
        told = read(path)[1]["data"]
        self.assertEqual((told["version"], told["cas_required"], told["expiration"]), (2, True, "2090-01-01T00:00:00Z"))
        self.assertEqual(write(path, {"policy": RULES}), (400, {"errors": ["check-and-set parameter required for this call"]}))
        self.assertEqual(patch(path, {"cas": 2, "cas_required": False})[0], 200)
        self.assertEqual(patch("sys/policies/acl/none", {"policy": RULES}), (400, {"errors": ["policy not found"]}))
        self.assertEqual(patch(path, {"policy": "x"})[0], 400)
        listed = harness.http("LIST", "/v1/sys/policies/detailed/acl", "root")[1]["data"]
        self.assertEqual(listed["keys"], ["a", "default", "root"])
        self.assertEqual(listed["key_info"]["root"], {"cas_required": False, "name": "root", "policy": "", "version": 0})
        self.assertEqual(listed["key_info"]["a"], read(path)[1]["data"])
        self.assertEqual(names("LIST", "sys/policies/detailed/acl?after=a&limit=1", "root"), ["default"])
        self.assertEqual(harness.http("GET", "/v1/sys/policies/detailed/acl", "root")[0], 405)

    def test_POL_05_a_policy_that_is_over_is_none(self):
        self.assertEqual(write("sys/policies/acl/brief", {"policy": RULES, "ttl": "1s"})[0], 204)
        harness.wait_until(lambda: read("sys/policies/acl/brief")[0] == 404, "the end", 10)
        self.assertEqual(names("LIST", "sys/policies/acl", "root"), ["default", "root"])
        self.assertEqual(write("sys/policies/acl/brief", {"policy": RULES, "cas": -1})[0], 204)
        self.assertEqual(read("sys/policies/acl/brief")[1]["data"]["version"], 1)

    def test_POL_12_POL_11_what_is_refused(self):
        head = 'failed to parse policy: failed to parse policy: line 1, column'
        for keys, told in (("pagination_limit = -1", '"pagination_limit" must be a whole number, not negative'),
                           ('expiration = "soon"', '"expiration" must be a time'),
                           ('list_scan_response_keys_filter_path = "x"', "resulted in same path for two different keys"),
                           ('list_scan_response_keys_filter_path = "{{ .other }}{{ .key }}"', "and no other template"),
                           ('mfa_methods = ["a"]', '"mfa_methods" is not enforced by this server'),
                           ('control_group = { ttl = "1h" }', "requires at least one factor but had none"),
                           ('control_group = { factor "a" { identity { approvals = 1 } } }', "names no group"),
                           ('control_group = { factor "a" { identity { group_names = ["g"] approvals = 0 } } }', '"approvals" must be'),
                           ('control_group = { factor "a" { controlled_capabilities = ["x"] identity { group_names = ["g"] } } }', 'invalid capability "x"')):
            status, body = write("sys/policies/acl/k", {"policy": 'path "a" { capabilities = ["list"] %s }' % keys})
            self.assertEqual(status, 400, keys)
            self.assertIn(told, body["errors"][0])
            self.assertIn("line 1", body["errors"][0])

    def test_config(self):
        mode = "sys/config/group-policy-application"
        self.assertEqual(read(mode)[1]["data"], {"group_policy_application_mode": "within_namespace_hierarchy"})
        self.assertEqual(write(mode, {"group_policy_application_mode": "within_namespace_hierarchy"})[0], 204)
        self.assertEqual(write(mode, {"group_policy_application_mode": "any"})[0], 400)
        self.assertEqual(read("sys/config/control-group")[0], 404)
        self.assertEqual(write("sys/config/control-group", {"max_ttl": "1h"})[0], 204)
        self.assertEqual(read("sys/config/control-group")[1]["data"], {"max_ttl": "1h0m0s"})
        people = People()
        self.assertEqual(read("secret/data/top", people.token["req"])[1]["wrap_info"]["ttl"], 3600)
        self.assertEqual(harness.http("DELETE", "/v1/sys/config/control-group", "root")[0], 204)
        self.assertEqual(write("sys/config/control-group", {"max_ttl": "-1s"})[0], 400)


if __name__ == "__main__":
    harness.main()
