"""Advisory rows about leases, over HTTP and gRPC, each with its mutant: against the server with an engine that leases users of a system outside, which is a
folder with a file for each (tests/lab)."""
import pathlib
import shutil

import harness
from advisory import SURFACES, Rows, add_rows, expect, root

USERS = pathlib.Path("/opt/users")


def users():
    return sorted(path.name for path in USERS.iterdir())


def mounted(namespace=""):
    root("POST", f"{namespace}sys/mounts/fake", {"type": "fake"})


def leased(surface, path, token="root", parameters=None):
    """The id of the lease that a read of `path` made."""
    before = set(leases_of(path))
    status, answer = surface.call("GET", path, token, parameters=parameters)
    expect(status == 200, f"{path} is answered with {status} {answer}")
    made = set(leases_of(path)) - before
    expect(len(made) == 1, f"{path} made the leases {made}")
    return f"{path}/{made.pop()}"


def leases_of(path):
    status, answer = harness.http("LIST", f"/v1/{below(path)}sys/leases/lookup/{path.removeprefix(below(path))}", "root")
    return [key for key in answer["data"]["keys"] if not key.endswith("/")] if status == 200 else []


def below(path):
    """The namespaces at the beginning of a path: their names are n1, n2…"""
    parts = path.split("/")
    count = next(i for i, part in enumerate(parts) if not (part.startswith("n") and part[1:].isdigit()))
    return "".join(part + "/" for part in parts[:count])


def gone(what, condition, seconds=10):
    try:
        harness.wait_until(condition, what, seconds)
    except AssertionError as late:
        raise AssertionError(f"{what} is still there") from late


def f2_leases_of_others_are_none(surface, test):
    root("POST", "sys/namespaces/n1")
    mounted()
    lease = leased(surface, "fake/creds/a")
    for old in ("sys/leases/", "sys/"):
        for verb, path, body in (("POST", "revoke", {"lease_id": lease, "sync": True}), ("POST", f"revoke/{lease}", {"sync": True}),
                                 ("POST", "revoke-prefix/fake", {"sync": True}), ("POST", f"revoke-prefix/{lease}", {"sync": True}), ("POST", "revoke-force/fake", {}),
                                 ("POST", "renew", {"lease_id": lease}), ("POST", f"renew/{lease}", {})):
            status, answer = surface.call(verb, f"n1/{old}{path}", "root", body)
            expect("renew" not in path or status == 400, f"a renewal from elsewhere is answered with {status} {answer}")
    status, answer = surface.call("POST", "n1/sys/leases/lookup", "root", {"lease_id": lease})
    expect(status == 400, f"a lookup from elsewhere is answered with {status} {answer}")
    expect(len(users()) == 1, "a lease was revoked from elsewhere")
    expect(surface.call("POST", "sys/leases/lookup", "root", {"lease_id": lease})[0] == 200, "the lease is gone")


def f6_a_mount_revokes_before_it_goes(surface, test):
    for namespace in ("", "n1/"):
        if namespace:
            root("POST", "sys/namespaces/n1")
        mounted(namespace)
        for _ in range(5):
            surface.call("GET", f"{namespace}fake/creds/a", "root")
        expect(len(users()) == 5, f"{len(users())} users were made")
        status, _ = surface.call("DELETE", f"{namespace}sys/mounts/fake", "root")
        expect(status in (200, 204), f"disabling is answered with {status}")
        gone("a user of a mount that was disabled", lambda: not users())
    mounted("n1/")
    surface.call("GET", "n1/fake/creds/a", "root")
    surface.call("DELETE", "sys/namespaces/n1", "root")
    gone("a user of a namespace that was deleted", lambda: not users())


def g5_leases_end_with_their_token(surface, test):
    """F7 too: at every depth."""
    namespace = ""
    for depth in range(4):
        mounted(namespace)
        root("POST", f"{namespace}sys/policies/acl/all", {"policy": 'path "*" { capabilities = ["read", "create", "update"] }'})
        once = root("POST", f"{namespace}auth/token/create", {"policies": ["all"], "num_uses": 1})["auth"]["client_token"]
        status, answer = surface.call("GET", f"{namespace}fake/creds/once", once)
        expect(status == 400 and not users(), f"a last use is answered with {status} {answer}, and made {users()}")
        twice = root("POST", f"{namespace}auth/token/create", {"policies": ["all"], "num_uses": 2})["auth"]["client_token"]
        surface.call("GET", f"{namespace}fake/creds/twice", twice)
        expect(len(users()) == 1, f"{len(users())} users were made")
        surface.call("GET", f"{namespace}fake/creds/twice", twice)
        gone("a user of a token that is used up", lambda: not users())
        token = root("POST", f"{namespace}auth/token/create", {"policies": ["all"]})["auth"]["client_token"]
        for _ in range(3):
            surface.call("GET", f"{namespace}fake/creds/a", token)
        expect(len(users()) == 3, f"{len(users())} users were made")
        surface.call("POST", f"{namespace}auth/token/revoke-self", token)
        gone("a user of a token that was revoked", lambda: not users())
        root("POST", f"{namespace}sys/namespaces/n{depth}")
        namespace += f"n{depth}/"


def g2_leases_expire(surface, test):
    mounted()
    leased(surface, "fake/creds/a", parameters={"ttl": "2s"})
    gone("a user whose lease is over", lambda: not users(), 15)


def g4_every_id_is_revoked_by_its_prefix(surface, test):
    mounted()
    for name in ("a.b", ".a", "a.", "h", "h.h", "a b", "é"):
        surface.call("GET", f"fake/creds/{name}", "root") if surface.name == "grpc" or name.isascii() and " " not in name else None
    expect(len(users()) >= 5, f"only {users()} were made")
    surface.call("POST", "sys/leases/revoke-prefix/fake", "root", {"sync": True})
    gone("a user of a revoked prefix", lambda: not users())


def g6_only_success_counts(surface, test):
    mounted()
    lease = leased(surface, "fake/creds/a")
    user = USERS / users()[0]
    user.unlink()
    user.mkdir()  # which cannot be dropped as a user is
    status, answer = surface.call("POST", "sys/leases/revoke", "root", {"lease_id": lease, "sync": True})
    expect(status >= 400, f"a revocation that failed is answered with {status} {answer}")
    status, _ = harness.http("LIST", "/v1/sys/leases/lookup/fake/creds/a", "root")
    expect(status == 200, "a lease whose user is still there is forgotten")
    user.rmdir()
    status, answer = surface.call("POST", "sys/leases/revoke", "root", {"lease_id": lease, "sync": True})
    expect(status == 204, f"a revocation that works again is answered with {status} {answer}")
    gone("a lease that could be revoked", lambda: not leases_of("fake/creds/a"))


def g8_the_mounts_ttl_counts(surface, test):
    root("POST", "sys/mounts/fake", {"type": "fake", "config": {"default_lease_ttl": "1h", "max_lease_ttl": "2h"}})
    for parameters, least, most in ((None, 3595, 3600), ({"ttl": "5h"}, 7195, 7200), ({"ttl": "60s"}, 55, 60)):
        lease = leased(surface, "fake/creds/a", parameters=parameters)
        ttl = root("POST", "sys/leases/lookup", {"lease_id": lease})["data"]["ttl"]
        expect(least <= ttl <= most, f"with {parameters} a lease lasts {ttl} s")
        surface.call("POST", "sys/leases/revoke", "root", {"lease_id": lease, "sync": True})


def g10_a_prefix_means_one_kind(surface, test):
    mounted()
    token = test.token("default")
    name = root("LIST", "sys/leases/lookup/auth/token/create")["data"]["keys"][0]
    lease = leased(surface, f"fake/inside/{name}")
    for path in (f"revoke-prefix/fake/inside/{name}", "revoke-force/fake"):
        surface.call("POST", f"sys/leases/{path}", "root", {"sync": True} if "force" not in path else {})
        expect(harness.http("GET", "/v1/auth/token/lookup-self", token)[0] == 200, f"{path} ended a token")
        expect(surface.call("POST", "sys/leases/lookup", "root", {"lease_id": lease})[0] == 400, f"{path} left the lease")
        lease = leased(surface, f"fake/inside/{name}")
    surface.call("POST", "sys/leases/revoke-prefix/auth/token/create", "root", {"sync": True})
    expect(harness.http("GET", "/v1/auth/token/lookup-self", token)[0] == 403, "a token's own prefix does not end it")
    expect(surface.call("POST", "sys/leases/lookup", "root", {"lease_id": lease})[0] == 200, "the prefix of tokens ended a lease of root's")


ROWS = [
    ("F2", "f2_lease_of_other_namespace", f2_leases_of_others_are_none, SURFACES),
    ("F6", "f6_mount_removed_before_leases", f6_a_mount_revokes_before_it_goes, SURFACES),
    ("G2", "g2_lease_without_expiry", g2_leases_expire, SURFACES),
    ("G4", "g4_dotted_leases_kept", g4_every_id_is_revoked_by_its_prefix, SURFACES),
    ("G5", "g5_lease_outlives_token", g5_leases_end_with_their_token, SURFACES),
    ("G6", "g6_revoke_error_ignored", g6_only_success_counts, SURFACES),
    ("G8", "g8_lease_mount_ttl_ignored", g8_the_mounts_ttl_counts, SURFACES),
    ("G10", "g10_lease_prefix_mixes_tokens", g10_a_prefix_means_one_kind, SURFACES),
]


class Leases(Rows):
    binary = str(harness.BINARY_FOLDER / "coffer_lab")
    mutants = str(harness.BINARY_FOLDER / "coffer_lab_mutants")

    def begin(self):
        shutil.rmtree(USERS, ignore_errors=True)
        USERS.mkdir()
        self.environment["COFFER_LAB_USERS"] = str(USERS)


add_rows(Leases, ROWS)


if __name__ == "__main__":
    harness.main()
