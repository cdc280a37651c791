"""Contracts of the hands-on guide's first steps: dev server, KV v2, tokens (S4-02…S4-07, S4-09…S4-13, S4-20…S4-22, S4-134, S4-160, S4-170)."""
import json

import harness
from harness import masked

# What both put and get print of the first version.
WRITTEN = (
    "======= Secret Path =======\n"
    "secret/data/my-app/database\n"
    "\n"
    "======= Metadata =======\n"
    "Key                Value\n"
    "---                -----\n"
    "created_time       <time>\n"
    "custom_metadata    <nil>\n"
    "deletion_time      n/a\n"
    "destroyed          false\n"
    "version            1\n")
PUT = 'vault kv put secret/my-app/database username="app_user" password="P@ssw0rd!2026" host="postgres.internal" port="5432"'


class DevKv(harness.Contract):
    def setUp(self):
        super().setUp()
        self.server = self.dev()

    def test_S4_02_S4_03_status(self):
        self.transcript("first_steps")
        status = json.loads(self.shell("vault status -format=json"))
        self.assertTrue(status["version"].startswith("1.21.0+coffer."))  # D-13
        self.assertEqual(status["storage_type"], "inmemory")  # D-5

    def test_S4_04_put(self):
        self.shell(PUT)
        self.assertEqual(masked(self.stdout), WRITTEN)

    def test_S4_05_S4_06_get(self):
        self.shell(PUT)
        self.shell("vault kv get secret/my-app/database")
        self.assertEqual(masked(self.stdout), WRITTEN + (
            "\n"
            "====== Data ======\n"
            "Key         Value\n"
            "---         -----\n"
            "host        postgres.internal\n"
            "password    P@ssw0rd!2026\n"
            "port        5432\n"
            "username    app_user\n"))
        self.shell("vault kv get -field=password secret/my-app/database")
        self.assertEqual(self.stdout, "P@ssw0rd!2026")

    def test_S4_07_metadata(self):
        self.shell(PUT)
        self.shell("vault kv metadata get secret/my-app/database")
        self.assertEqual(masked(self.stdout), (
            "======== Metadata Path ========\n"
            "secret/metadata/my-app/database\n"
            "\n"
            "========== Metadata ==========\n"
            "Key                     Value\n"
            "---                     -----\n"
            "cas_required            false\n"
            "created_time            <time>\n"
            "current_version         1\n"
            "custom_metadata         <nil>\n"
            "delete_version_after    0s\n"
            "max_versions            0\n"
            "oldest_version          0\n"
            "updated_time            <time>\n"
            "\n"
            "====== Version 1 ======\n"
            "Key              Value\n"
            "---              -----\n"
            "created_time     <time>\n"
            "deletion_time    n/a\n"
            "destroyed        false\n"))

    def test_S4_09_S4_10_versions(self):
        self.shell(PUT)
        self.shell('vault kv put secret/my-app/database password="NewP@ss!2026"')
        self.assertIn("version            2", self.stdout)
        first = json.loads(self.shell("vault kv get -version=1 -format=json secret/my-app/database"))
        self.assertEqual(first["data"]["data"], {"username": "app_user", "password": "P@ssw0rd!2026", "host": "postgres.internal", "port": "5432"})
        second = json.loads(self.shell("vault kv get -version=2 -format=json secret/my-app/database"))
        self.assertEqual(second["data"]["data"], {"password": "NewP@ss!2026"})

    def test_S4_11_undelete(self):
        self.shell(PUT)
        for _ in range(2):  # also when nothing was deleted
            self.shell("vault kv undelete -versions=1 secret/my-app/database")
            self.assertEqual(self.stdout, "Success! Data written to: secret/undelete/my-app/database\n")
        self.shell("vault kv delete secret/my-app/database")
        self.assertEqual(self.stdout, "Success! Data deleted (if it existed) at: secret/data/my-app/database\n")
        self.shell("vault kv get -field=password secret/my-app/database", code=2)
        self.shell("vault kv undelete -versions=1 secret/my-app/database")
        self.shell("vault kv get -field=password secret/my-app/database")
        self.assertEqual(self.stdout, "P@ssw0rd!2026")

    def test_S4_12_ten_versions(self):
        self.transcript("ten_versions")

    def test_S4_13_nothing_survives_a_restart(self):
        self.shell(PUT)
        self.assertEqual(self.server.stop(), 0)
        self.server = self.dev()
        self.transcript("after_restart")

    def test_S4_20_token_create(self):
        self.transcript("token_of_default")
        token = self.shell("vault token create -ttl=24h -policy=default -field=token").strip()
        self.assertTrue(token.startswith("hvs.CAES"), token)

    def test_S4_21_S4_22_S4_170_default_token(self):
        self.shell(PUT)
        token = self.shell("vault token create -ttl=24h -policy=default -field=token").strip()
        self.assertTrue(token.startswith("hvs.CAES"))
        output = self.shell("vault kv get secret/my-app/database", code=2, env={"VAULT_TOKEN": token})
        self.assertIn("Code: 403", output)
        self.assertIn("permission denied", output)
        status, body = harness.http("GET", "/v1/secret/data/my-app/database", token)
        self.assertEqual((status, body), (403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}))
        lookup = json.loads(self.shell("vault token lookup -format=json", env={"VAULT_TOKEN": token}))
        self.assertEqual(lookup["data"]["policies"], ["default"])
        self.shell(f'vault token revoke "{token}"')
        self.assertEqual(self.stdout, "Success! Revoked token (if it existed)\n")
        self.assertEqual(harness.http("GET", "/v1/auth/token/lookup-self", token)[0], 403)

    def test_S4_134_curl(self):
        self.shell(PUT)
        self.shell('curl -s --header "X-Vault-Token: $VAULT_TOKEN" "$VAULT_ADDR/v1/secret/data/my-app/database" | jq -r \'.data.data.password\'')
        self.assertEqual(self.stdout, "P@ssw0rd!2026\n")

    def test_S4_160_S0_07_health(self):
        self.transcript("health")
        health = json.loads(self.shell("curl -sSf http://127.0.0.1:8200/v1/sys/health"))
        self.assertIs(type(health["server_time_utc"]), int)
        self.assertRegex(health["version"], r"^1\.\d+\.\d+")

    def test_kv_breadth(self):
        self.shell("vault kv put secret/a x=1 && vault kv put secret/b/c y=2")
        self.shell("vault kv list secret")
        self.assertEqual(self.stdout, "Keys\n----\na\nb/\n")
        self.shell("vault kv patch secret/a z=3")
        self.assertEqual(json.loads(self.shell("vault kv get -format=json secret/a"))["data"]["data"], {"x": "1", "z": "3"})
        output = self.shell("vault kv put -cas=1 secret/a x=9", code=2)
        self.assertIn("check-and-set parameter did not match the current version", output)
        self.shell("vault kv put -cas=2 secret/a x=9")
        self.shell("vault kv destroy -versions=1,2 secret/a")
        self.assertEqual(self.stdout, "Success! Data written to: secret/destroy/a\n")
        metadata = json.loads(self.shell("vault kv metadata get -format=json secret/a"))["data"]["versions"]
        self.assertEqual([metadata[v]["destroyed"] for v in ("1", "2", "3")], [True, True, False])
        self.shell("vault kv metadata put -custom-metadata=owner=me -max-versions=3 secret/a")
        metadata = json.loads(self.shell("vault kv metadata get -format=json secret/a"))["data"]
        self.assertEqual((metadata["custom_metadata"], metadata["max_versions"]), ({"owner": "me"}, 3))
        self.shell("vault kv metadata delete secret/a")
        self.assertEqual(self.stdout, "Success! Data deleted (if it existed) at: secret/metadata/a\n")
        self.shell("vault kv get secret/a", code=2)

    def test_mounts_enable_list_disable(self):
        self.shell("vault secrets enable -path=team-alpha -version=2 kv")
        self.assertEqual(self.stdout, "Success! Enabled the kv secrets engine at: team-alpha/\n")
        output = self.shell("vault secrets enable -path=team-alpha -version=2 kv", code=2)
        self.assertIn("path is already in use at team-alpha/", output)
        self.shell("vault secrets list")
        self.assertRegex(self.stdout.splitlines()[0], r"^Path +Type +Accessor +Description$")
        self.assertRegex(self.stdout, r"(?m)^team-alpha/ +kv +kv_[0-9a-f]{8} +n/a$")
        self.shell("vault kv put team-alpha/k v=1")
        self.shell("vault secrets disable team-alpha")
        self.assertEqual(self.stdout, "Success! Disabled the secrets engine (if it existed) at: team-alpha/\n")
        self.shell("vault kv get team-alpha/k", code=2)
        self.shell("vault secrets enable -path=team-alpha -version=2 kv")
        self.shell("vault kv get team-alpha/k", code=2)

    def test_wrapping(self):
        self.shell("vault kv put secret/w a=b")
        token = self.shell("vault kv get -wrap-ttl=60s -field=wrapping_token secret/w").strip()
        self.assertEqual(json.loads(self.shell(f"vault unwrap -format=json {token}"))["data"]["data"], {"a": "b"})
        output = self.shell(f"vault unwrap {token}", code=2)
        self.assertIn("wrapping token is not valid or does not exist", output)


if __name__ == "__main__":
    harness.main()
