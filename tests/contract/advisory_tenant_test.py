"""Advisory rows about namespaces: whoever asks in one does nothing to what another holds. Over HTTP and gRPC, each with its mutant.

Endpoints come from the path tables, and whatever of their fields or path segments may name an object gets ids of another namespace, so that a new
endpoint is covered without anyone remembering it (advisory F3).
"""
import json
import random
import threading
import time

import endpoints
import harness
from advisory import SURFACES, Rows, add_rows, canary, expect, root

CHURN_SECONDS = 6
OWN = ("read", "create", "update", "delete", "list", "patch", "sudo")


def tenant(test, name="a"):
    """A namespace and a token that may do everything in it."""
    root("POST", f"sys/namespaces/{name}")
    rule = 'path "*" { capabilities = ["%s"] }' % '", "'.join(OWN)
    root("POST", f"{name}/sys/policies/acl/chief", {"policy": rule})
    return root("POST", f"{name}/auth/token/create", {"policies": ["chief"]})["auth"]["client_token"]


class Victim:
    """What the root namespace holds, and how it looks."""

    def __init__(self):
        self.word = canary()
        made = root("POST", "auth/token/create", {"policies": ["default"], "meta": {"note": self.word}, "ttl": "1h"})["auth"]
        self.token, self.accessor = made["client_token"], made["accessor"]
        self.lease = "auth/token/create/" + self.only_lease()  # those of other namespaces are not among them
        self.entity = root("POST", "identity/entity", {"name": "victim", "metadata": {"note": self.word}})["data"]["id"]
        self.group = root("POST", "identity/group", {"name": "victims", "metadata": {"note": self.word}, "member_entity_ids": [self.entity]})["data"]["id"]
        root("POST", "sys/auth/userpass", {"type": "userpass"})
        mount = root("GET", "sys/auth/userpass")["data"]["accessor"]
        self.alias = root("POST", "identity/entity-alias", {"name": "victim", "mount_accessor": mount, "canonical_id": self.entity})["data"]["id"]
        _, answer = harness.http("POST", "/v1/sys/wrapping/wrap", "root", {"note": self.word}, headers={"X-Vault-Wrap-TTL": "1h"})
        self.wrapping = answer["wrap_info"]["token"]
        self.look = self.looks()

    def only_lease(self):
        keys = root("LIST", "sys/leases/lookup/auth/token/create")["data"]["keys"]
        assert len(keys) == 1, keys
        return keys[0]

    def ids(self, field):
        if field in ("token",):
            return (self.token, self.wrapping)
        if field == "accessor":
            return (self.accessor,)
        if "lease" in field:
            return (self.lease,)
        if field in ("prefix", "path"):
            return ("auth/token/create",)
        if field.endswith("ids"):
            return ([self.entity], [self.group], [self.alias])
        if field.endswith("id"):
            return (self.entity, self.group, self.alias)
        return ()

    def segments(self):
        return (self.entity, self.group, self.alias, self.accessor, self.lease)

    def looks(self):
        """Everything that may be seen of it, without what time changes."""
        out = {}
        for what, (method, path, body) in {
            "token": ("POST", "auth/token/lookup-accessor", {"accessor": self.accessor}),
            "lease": ("POST", "sys/leases/lookup", {"lease_id": self.lease}),
            "entity": ("GET", f"identity/entity/id/{self.entity}", None),
            "group": ("GET", f"identity/group/id/{self.group}", None),
            "alias": ("GET", f"identity/entity-alias/id/{self.alias}", None),
            "wrapping": ("POST", "sys/wrapping/lookup", {"token": self.wrapping}),
        }.items():
            status, answer = harness.http(method, "/v1/" + path, "root", body)
            data = dict((answer or {}).get("data") or {})
            data.pop("ttl", None)
            out[what] = (status, json.dumps(data, sort_keys=True))
        return out

    def expect_untouched(self, after):
        now = self.looks()
        for what, was in self.look.items():
            expect(now[what] == was, f"{after} changed the {what} of another namespace: {was} is {now[what]}")


# Tables of which no row takes an id of an object.
PLAIN = ("secret/", "kv1/", "cubbyhole/", "auth/userpass/", "auth/approle/", "userpass/", "approle/", "sys/mounts", "sys/auth", "sys/policies", "sys/policy",
         "sys/audit", "sys/quotas", "sys/config", "sys/namespaces", "sys/raw", "sys/loggers", "sys/internal/ui", "sys/plugins", "sys/metrics")


def f_ids_of_others_are_nobodys(surface, test):
    chief = tenant(test)
    victim = Victim()
    asked = 0
    for path in endpoints.paths():
        if path.startswith(PLAIN):
            continue
        fields = endpoints.fields_of(path, "root")
        if fields is None:
            continue
        bodies = [{field: value} for field in fields for value in victim.ids(field)] or [{}]
        named = [path.replace("cny", segment, 1) for segment in victim.segments()] if "cny" in path else [path]
        for name in named:
            for verb in ("POST", "GET", "DELETE"):
                for body in bodies if verb == "POST" else [None]:
                    # What ends tokens by default ends the caller's: by that of the root namespace, which reaches into this one, nothing ends.
                    status, answer = surface.call(verb, f"a/{name}", chief if verb == "GET" else "root", body)
                    expect(victim.word not in answer, f"{verb} {name} {body} tells of another namespace's: {answer}")
                    asked += 1
        victim.expect_untouched(f"{path} in another namespace")
    expect(asked > 150, f"only {asked} requests were made")
    # And in its own namespace all of it is there.
    status, answer = surface.call("POST", "sys/wrapping/unwrap", "root", {"token": victim.wrapping})
    expect(status == 200 and victim.word in answer, f"what was wrapped is gone: {status} {answer}")


def e6_a_batch_deletes_its_own(surface, test):
    chief = tenant(test)
    victim = Victim()
    own = root("POST", "a/identity/entity", {"name": "own"})["data"]["id"]
    status, answer = surface.call("POST", "a/identity/entity/batch-delete", chief, {"entity_ids": [victim.entity, own]})
    expect(status in (200, 204), f"a batch is answered with {status} {answer}")
    victim.expect_untouched("a batch")
    expect(harness.http("GET", f"/v1/a/identity/entity/id/{own}", "root")[0] == 404, "its own entity is still there")


def d14_a_token_stays_in_its_namespace(surface, test):
    chief = tenant(test)
    tenant(test, "b")
    for path in ("sys/mounts", "b/sys/mounts", "b/auth/token/accessors/", "secret/data/x", "b/identity/entity/id/"):
        verb = "LIST" if path.endswith("/") else "GET"
        status, _ = surface.call(verb, path, chief)
        expect(status == 403, f"{path} with a token of a is answered with {status}")
    expect(surface.call("GET", "a/sys/mounts", chief)[0] == 200, "it is good for nothing")


def d15_an_identitys_policies_are_its_namespaces(surface, test):
    """A policy of the same name in the root namespace is another."""
    tenant(test)
    root("POST", "sys/policies/acl/wide", {"policy": 'path "*" { capabilities = ["read", "list", "sudo"] }'})
    root("POST", "a/sys/mounts/kv", {"type": "kv"})
    root("POST", "a/kv/x", {"a": "b"})
    root("POST", "a/sys/auth/userpass", {"type": "userpass"})
    root("POST", "a/auth/userpass/users/ann", {"password": "one"})
    login = root("POST", "a/auth/userpass/login/ann", {"password": "one"})["auth"]
    root("POST", f"a/identity/entity/id/{login['entity_id']}", {"policies": ["wide"]})
    status, _ = surface.call("GET", "a/kv/x", login["client_token"])
    expect(status == 403, f"a policy of another namespace counts: {status}")
    root("POST", "a/sys/policies/acl/wide", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    expect(surface.call("GET", "a/kv/x", login["client_token"])[0] == 200, "its own does not")
    expect(surface.call("GET", "a/sys/mounts", login["client_token"])[0] == 403, "the other counts too")


def f1_reserved_names(surface, test):
    tenant(test)
    for name in ("root", "ROOT", "Root", "sys", "auth", "audit", "identity", "cubbyhole", "SYS", ".", ".."):
        for above in ("", "a/"):
            status, answer = surface.call("POST", f"{above}sys/namespaces/{name}", "root")
            expect(400 <= status < 500, f"{above}{name} is answered with {status} {answer}")


def f9_the_roots_own_paths(surface, test):
    chief = tenant(test)
    for path in ("sys/audit", "sys/host-info", "sys/quotas/config", "sys/config/cors", "sys/config/auditing/request-headers", "sys/loggers", "sys/metrics",
                 "sys/in-flight-req", "sys/version-history", "sys/key-status"):
        for token in (chief, "root"):
            status, answer = surface.call("GET", f"a/{path}", token)
            expect(status in (400, 403, 404), f"a/{path} is answered with {status} {answer}")


ROWS = [
    ("D14", "d14_foreign_namespace_reached", d14_a_token_stays_in_its_namespace, SURFACES),
    ("D15", "d15_policies_of_the_root", d15_an_identitys_policies_are_its_namespaces, SURFACES),
    ("E6", "e6_batch_deletes_foreign", e6_a_batch_deletes_its_own, SURFACES),
    ("F1", "f1_reserved_namespace_name", f1_reserved_names, SURFACES),
    ("F2", "f2_identity_of_other_namespace", f_ids_of_others_are_nobodys, SURFACES),
    ("F2", "f2_wrapping_of_other_namespace", f_ids_of_others_are_nobodys, SURFACES),
    ("F3", "f3_token_lease_of_other_namespace", f_ids_of_others_are_nobodys, SURFACES),
    ("F4", "f4_accessor_of_other_namespace", f_ids_of_others_are_nobodys, SURFACES),
    ("F9", "f9_root_path_served_below", f9_the_roots_own_paths, SURFACES),
]


class Tenants(Rows):
    pass


class Churn(harness.Contract):
    def test_F10_namespaces_come_and_go(self):
        """Many at once make, use and delete namespaces and what is in them; no request takes longer than 5 s, and nothing is left half."""
        self.dev()
        end = time.monotonic() + CHURN_SECONDS
        slow, odd = [], []

        def work(number):
            pick = random.Random(number)
            while time.monotonic() < end:
                name = f"n{pick.randrange(4)}"
                method, path, body = pick.choice((
                    ("POST", f"sys/namespaces/{name}", {}), ("DELETE", f"sys/namespaces/{name}", None), ("POST", f"{name}/sys/mounts/kv", {"type": "kv"}),
                    ("DELETE", f"{name}/sys/mounts/kv", None), ("POST", f"{name}/kv/x", {"a": "b"}), ("GET", f"{name}/kv/x", None),
                    ("POST", f"{name}/sys/policies/acl/p", {"policy": 'path "*" { capabilities = ["read"] }'}), ("POST", f"{name}/auth/token/create", {"ttl": "1s"}),
                    ("LIST", "sys/namespaces", None), ("POST", f"{name}/identity/entity", {"name": "e"}), ("POST", f"{name}/sys/namespaces/inner", {})))
                begin = time.monotonic()
                status, _ = harness.http(method, "/v1/" + path, "root", body)
                if time.monotonic() - begin > 5:
                    slow.append((method, path))
                if status not in (200, 202, 204, 400, 403, 404, 503):
                    odd.append((method, path, status))
        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((slow, odd), ([], []))
        # Each is there as a whole, or not at all, and can be made.
        for number in range(4):
            def made():
                return harness.http("POST", f"/v1/sys/namespaces/n{number}", "root", {})[0] == 200
            harness.wait_until(made, f"namespace n{number}", 20)
            self.assertEqual(harness.http("GET", f"/v1/n{number}/sys/mounts", "root")[0], 200)
            self.assertEqual(harness.http("POST", f"/v1/n{number}/auth/token/create", "root", {})[0], 200)


add_rows(Tenants, ROWS)


if __name__ == "__main__":
    harness.main()
