"""Contracts of mounts, leases and quotas: S4-40, S4-42, S4-172, D-14, and what their users know besides."""
import re

import harness


class Mounts(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()

    def test_S4_40_S4_42_enable_and_list(self):
        self.transcript("mounts")

    def test_tune_keeps_what_is_not_given(self):
        self.shell("vault secrets enable -path=kv -default-lease-ttl=1h -max-lease-ttl=2h -description=first "
                   "-audit-non-hmac-request-keys=a -audit-non-hmac-request-keys=b -listing-visibility=unauth kv")
        self.shell("vault secrets tune -max-lease-ttl=87600h kv")
        self.assertEqual(self.stdout, "Success! Tuned the secrets engine at: kv/\n")
        status, tuned = harness.http("GET", "/v1/sys/mounts/kv/tune", "root")
        self.assertEqual(status, 200)
        self.assertEqual(tuned["data"], {
            "default_lease_ttl": 3600, "max_lease_ttl": 87600 * 3600, "description": "first", "force_no_cache": False,
            "audit_non_hmac_request_keys": ["a", "b"], "listing_visibility": "unauth"})
        for body, words in (({"default_lease_ttl": "20h", "max_lease_ttl": "10h"}, "greater than given max lease TTL"),
                            ({"listing_visibility": "moon"}, "listing_visibility"),
                            ({"token_type": "batch"}, "'token_type' can only be modified on auth mounts"),
                            ({"user_lockout_config": {"lockout_threshold": 3}}, "not allowed"),
                            ({"audit_non_hmac_request_keys": 7}, "audit_non_hmac_request_keys"),
                            ({"max_lease_ttl": "soon"}, "max_lease_ttl")):
            status, answer = harness.http("POST", "/v1/sys/mounts/kv/tune", "root", body)
            self.assertEqual(status, 400, body)
            self.assertIn(words, answer["errors"][0])
        self.assertEqual(harness.http("GET", "/v1/sys/mounts/kv/tune", "root")[1]["data"], tuned["data"])
        # Without a token only what was tuned so is seen.
        status, seen = harness.http("GET", "/v1/sys/internal/ui/mounts")
        self.assertEqual((status, list(seen["data"]["secret"]), seen["data"]["auth"]), (200, ["kv/"], {}))
        self.assertEqual(set(seen["data"]["secret"]["kv/"]), {"description", "options", "type"})

    def test_tune_of_an_auth_method(self):
        self.shell("vault auth enable userpass")
        self.shell("vault auth tune -token-type=batch -user-lockout-threshold=7 -user-lockout-duration=10m userpass")
        self.assertEqual(self.stdout, "Success! Tuned the auth method at: userpass/\n")
        for path in ("/v1/sys/auth/userpass/tune", "/v1/sys/mounts/auth/userpass/tune"):
            data = harness.http("GET", path, "root")[1]["data"]
            self.assertEqual(data["token_type"], "batch")
            self.assertEqual({name: value for name, value in data.items() if name.startswith("user_lockout")},
                             {"user_lockout_threshold": 7, "user_lockout_duration": 600,
                              "user_lockout_counter_reset_duration": 0, "user_lockout_disable": False})
        listed = harness.http("GET", "/v1/sys/auth", "root")[1]["data"]
        self.assertEqual(listed["userpass/"]["config"]["user_lockout_config"]["user_lockout_threshold"], 7)
        self.assertEqual(listed["userpass/"]["deprecation_status"], "supported")
        self.assertNotIn("deprecation_status", listed["token/"])

    def test_move(self):
        self.shell("vault secrets enable -path=old kv && vault kv put old/a b=c")
        self.shell("vault secrets move old new/place")
        masked = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", self.stdout)
        lines = masked.splitlines()
        self.assertEqual(lines[0], "Started moving secrets engine old/ to new/place/, with migration ID <id>")
        self.assertEqual(lines[-1], "Success! Finished moving secrets engine old/ to new/place/, with migration ID <id>")
        self.assertEqual(self.shell("vault kv get -field=b new/place/a").strip(), "c")
        self.assertEqual(harness.http("GET", "/v1/old/a", "root")[0], 404)
        for body in ({"from": "nowhere", "to": "x"}, {"from": "sys", "to": "x"}, {"from": "new/place", "to": "sys/x"},
                     {"from": "new/place", "to": "secret"}, {"from": "new/place", "to": "auth/x"}, {"from": "new/place"},
                     {"from": "new/place", "to": "a//b"}, {"from": 1, "to": 2}):
            self.assertEqual(harness.http("POST", "/v1/sys/remount", "root", body)[0], 400, body)
        self.assertEqual(harness.http("GET", "/v1/sys/remount/status/none", "root")[0], 404)

    def test_openapi(self):
        status, document = harness.http("GET", "/v1/sys/internal/specs/openapi", "root")
        self.assertEqual((status, document["openapi"]), (200, "3.0.2"))
        paths = document["paths"]
        write = paths["/secret/data/{path}"]["post"]
        self.assertIn("options", write["requestBody"]["content"]["application/json"]["schema"]["properties"])
        self.assertEqual(write["tags"], ["secrets"])
        self.assertTrue(paths["/sys/leases/revoke-prefix/{prefix}"]["x-vault-sudo"])
        self.assertIn("/auth/token/create", paths)
        generic = harness.http("GET", "/v1/sys/internal/specs/openapi?generic_mount_paths=true", "root")[1]["paths"]
        self.assertIn("/{kv_mount_path}/data/{path}", generic)
        self.assertNotIn("/secret/data/{path}", generic)
        for path, item in paths.items():
            for name in re.findall(r"{([^}]*)}", path):
                self.assertIn(name, [p["name"] for p in item["parameters"]], path)


class Leases(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()

    def test_S4_172_dead_lease(self):
        self.transcript("dead_lease")
        self.assertEqual(harness.http("POST", "/v1/sys/leases/lookup", "root", {}),
                         (400, {"errors": ["lease_id must be specified"]}))

    def test_tokens_by_their_leases(self):
        token = self.shell("vault token create -policy=default -ttl=1h -field=token").strip()
        keys = harness.http("LIST", "/v1/sys/leases/lookup/auth/token/create", "root")[1]["data"]["keys"]
        lease = "auth/token/create/" + keys[0]
        self.shell(f"vault lease lookup {lease}")
        rows = dict(line.split(None, 1) for line in self.stdout.splitlines()[2:])
        self.assertEqual((rows["id"], rows["renewable"], rows["last_renewal"]), (lease, "true", "<nil>"))
        self.shell(f"vault lease revoke {lease}")
        self.assertEqual(self.stdout, "All revocation operations queued successfully!\n")
        self.assertEqual(harness.http("GET", "/v1/auth/token/lookup-self", token)[0], 403)
        other = self.shell("vault token create -policy=default -field=token").strip()
        self.shell("vault lease revoke -prefix -sync auth/token/create")
        self.assertEqual(self.stdout, "Success! Revoked any leases with prefix: auth/token/create\n")
        self.assertEqual(harness.http("GET", "/v1/auth/token/lookup-self", other)[0], 403)
        self.shell("vault lease revoke -sync nothing/here")
        self.assertEqual(self.stdout, "Success! Revoked lease: nothing/here\n")
        self.shell("vault lease revoke -force x", code=1)
        self.assertIn("Specifying -force requires also specifying -prefix", self.stderr)
        self.shell("vault lease revoke -force -prefix x")
        self.assertEqual(self.stdout, "Success! Force revoked any leases with prefix: x\n")
        self.assertEqual(harness.http("GET", "/v1/sys/leases?type=irrevocable", "root")[1]["data"],
                         {"lease_count": 0, "leases": []})

    def test_logins_of_a_disabled_method(self):
        self.shell("vault auth enable userpass && vault write auth/userpass/users/ann password=pw")
        login = harness.http("POST", "/v1/auth/userpass/login/ann", None, {"password": "pw"})[1]
        token = login["auth"]["client_token"]
        self.assertEqual(harness.http("GET", "/v1/auth/token/lookup-self", token)[0], 200)
        self.shell("vault lease revoke -prefix auth/userpass/login")
        self.assertEqual(harness.http("GET", "/v1/auth/token/lookup-self", token)[0], 403)
        token = harness.http("POST", "/v1/auth/userpass/login/ann", None, {"password": "pw"})[1]["auth"]["client_token"]
        self.shell("vault auth disable userpass")
        harness.wait_until(lambda: harness.http("GET", "/v1/auth/token/lookup-self", token)[0] == 403,
                           "the tokens of a disabled method are revoked")


class Quotas(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()

    def test_429_tells_when(self):
        harness.http("POST", "/v1/sys/quotas/config", "root", {"enable_rate_limit_response_headers": True})
        self.shell("vault write sys/quotas/rate-limit/kv path=secret/ rate=2 interval=1h")
        for left in ("1", "0"):
            status, _, headers = harness.http("GET", "/v1/secret/data/a", "root", raw=True)
            self.assertEqual((status, headers["X-Ratelimit-Limit"], headers["X-Ratelimit-Remaining"]), (404, "2", left))
        status, content, headers = harness.http("GET", "/v1/secret/data/a", "root", raw=True)
        self.assertEqual((status, content.strip()),
                         (429, b'{"errors":["request path \\"secret/data/a\\": rate limit quota exceeded"]}'))
        self.assertGreater(int(headers["Retry-After"]), 0)
        self.shell("vault read sys/quotas/rate-limit/kv")
        self.shell("vault list sys/quotas/rate-limit")
        self.assertIn("kv", self.stdout)
        self.shell("vault delete sys/quotas/rate-limit/kv")
        self.assertEqual(harness.http("GET", "/v1/secret/data/a", "root")[0], 404)


if __name__ == "__main__":
    harness.main()
