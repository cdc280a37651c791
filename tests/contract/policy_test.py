"""Contracts of the policy step: S0-13, S4-60…S4-65, S4-70."""
import json

import harness

TEAM_ALPHA = '''# one-line blocks and comments
path "secret/data/team-alpha/*" {
  capabilities = ["read", "list"]
}
path "secret/data/team-alpha/config" { capabilities = ["create", "read", "update", "delete", "list"] }
path "secret/metadata/team-alpha/*" { capabilities = ["list"] }
'''
ADMIN = '''path "team-alpha/*" {
  capabilities = ["create", "read", "update", "delete", "list", "patch"]
}
path "team-alpha/metadata/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}
path "sys/auth" {
  capabilities = ["read", "list"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}'''
READER = '''path "team-alpha/data/*" {
  capabilities = ["read", "list"]
}
path "team-alpha/metadata/*" {
  capabilities = ["read", "list"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}'''


class Policies(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()

    def write(self, name, text):
        self.shell(f"vault policy write {name} -", stdin=text)
        self.assertEqual(self.stdout, f"Success! Uploaded policy: {name}\n")

    def token(self, *policies):
        flags = " ".join(f"-policy={p}" for p in policies)
        return self.shell(f"vault token create {flags} -field=token").strip()

    def status(self, method, path, token, body=None):
        return harness.http(method, "/v1/" + path, token, body)[0]

    def test_policy_transcripts(self):
        for name in ("policy_file", "policy_precedence", "capabilities"):
            with self.subTest(name):
                self.transcript(name)

    def test_S0_13_file(self):
        self.shell("vault secrets enable -path=kv -version=2 kv && vault kv put kv/team/x a=1")
        self.shell("""cat > team-read.hcl <<'EOF'
path "kv/data/team/*" {
  capabilities = ["read", "list"]
}
EOF
vault policy write team-read team-read.hcl""")
        self.assertIn("Success! Uploaded policy: team-read\n", self.stdout)
        token = self.token("team-read")
        self.assertEqual(self.status("GET", "kv/data/team/x", token), 200)
        self.assertEqual(self.status("POST", "kv/data/team/x", token, {"data": {"a": "2"}}), 403)

    def test_S4_60_exact_path_beats_glob(self):
        self.write("team-alpha", TEAM_ALPHA)
        token = self.token("team-alpha")
        self.assertEqual(self.status("POST", "secret/data/team-alpha/other", token, {"data": {"a": 1}}), 403)
        self.assertEqual(self.status("POST", "secret/data/team-alpha/config", token, {"data": {"a": 1}}), 200)
        self.assertEqual(self.status("LIST", "secret/metadata/team-alpha/", token), 200)
        self.assertEqual(self.status("GET", "secret/metadata/team-alpha/config", token), 403)

    def test_S4_61_each_capability(self):
        self.shell("vault kv put secret/cap/old a=1")
        attempts = {
            "read": ("GET", "secret/data/cap/old", None, 200),
            "create": ("POST", "secret/data/cap/new-{}", {"data": {"a": 1}}, 200),
            "update": ("POST", "secret/data/cap/old", {"data": {"a": 2}}, 200),
            "patch": ("PATCH", "secret/data/cap/old", {"data": {"b": 2}}, 200),
            "list": ("LIST", "secret/metadata/cap/", None, 200),
            "delete": ("DELETE", "secret/data/cap/gone", None, 204),
        }
        for granted in attempts:
            self.write("only", f'path "secret/data/cap/*" {{ capabilities = ["{granted}"] }}\n'
                               f'path "secret/metadata/cap/*" {{ capabilities = ["{granted}"] }}\n')
            token = self.token("only")
            for wanted, (method, path, body, good) in attempts.items():
                with self.subTest(granted=granted, wanted=wanted):
                    headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
                    status, _ = harness.http(method, "/v1/" + path.format(granted), token, body, headers=headers)
                    self.assertEqual(status, good if granted == wanted else 403)

    def test_S4_61_sudo(self):
        self.write("seer", 'path "sys/audit" { capabilities = ["read"] }')
        self.assertEqual(self.status("GET", "sys/audit", self.token("seer")), 403)
        self.write("seer", 'path "sys/audit" { capabilities = ["read", "sudo"] }')
        self.assertEqual(self.status("GET", "sys/audit", self.token("seer")), 200)

    def test_S4_62_to_S4_65(self):
        self.transcript("policies_of_a_team")

    def test_S4_66_to_S4_69_policies_of_users_and_roles(self):
        self.write("team-alpha-reader", READER)
        self.shell("""vault secrets enable -path=team-alpha -version=2 kv && vault kv put team-alpha/api-key key=a1b2c3
vault kv put secret/my-app/database password=x
vault auth enable userpass && vault auth enable approle
vault write auth/userpass/users/alice password=Password123! token_ttl=1h
vault write auth/approle/role/my-app token_ttl=20m secret_id_num_uses=5""")
        self.shell('vault write auth/userpass/users/alice token_policies="team-alpha-reader"')
        self.assertEqual(self.stdout, "Success! Data written to: auth/userpass/users/alice\n")
        user = json.loads(self.shell("vault read -format=json auth/userpass/users/alice"))["data"]
        self.assertEqual((user["token_policies"], user["token_ttl"]), (["team-alpha-reader"], 3600))
        self.shell('vault write auth/approle/role/my-app policies="team-alpha-reader"')
        role = json.loads(self.shell("vault read -format=json auth/approle/role/my-app"))["data"]
        self.assertEqual((role["token_policies"], role["token_ttl"], role["secret_id_num_uses"]), (["team-alpha-reader"], 1200, 5))
        del self.environment["VAULT_TOKEN"]
        self.shell("vault login -method=userpass username=alice password=Password123!")
        self.assertIn("team-alpha-reader", self.stdout)
        self.assertIn("a1b2c3", self.shell("vault kv get team-alpha/api-key"))
        self.assertIn("permission denied", self.shell("vault kv get secret/my-app/database", code=2))

    def test_S4_71_policy_writes_are_audited(self):
        self.shell("mkdir -m 700 audit && vault audit enable file file_path=$PWD/audit/log")
        self.write("team-alpha-reader", READER)
        self.shell("grep -c sys/policies/acl/ audit/log")
        lines = [json.loads(line) for line in (self.folder / "audit/log").read_text().splitlines()]
        written = [line for line in lines if line.get("request", {}).get("path") == "sys/policies/acl/team-alpha-reader"]
        self.assertEqual([(line["type"], line["request"]["operation"]) for line in written], [("request", "update"), ("response", "update")])

    def test_S4_70_deny_wins(self):
        self.shell("vault kv put secret/both a=1")
        self.write("allow", 'path "secret/data/both" { capabilities = ["read"] }')
        self.write("refuse", 'path "secret/data/both" { capabilities = ["deny"] }')
        self.assertEqual(self.status("GET", "secret/data/both", self.token("allow")), 200)
        self.assertEqual(self.status("GET", "secret/data/both", self.token("allow", "refuse")), 403)

    def test_bad_policies(self):
        for text, word in [('path "a" { capabilities = ["fly"] }', "fly"), ('path "a" { capabilities = ', "line 1"), ('pth "a" {}', "pth")]:
            with self.subTest(text=text):
                output = self.shell("vault policy write bad -", stdin=text, code=2)
                self.assertIn("Code: 400", output)
                self.assertIn(word, output)
        self.assertNotIn("bad", self.shell("vault policy list"))

    def test_builtin_policies(self):
        output = self.shell("vault policy delete default", code=2)
        self.assertIn("Code: 400", output)
        self.assertIn("auth/token/lookup-self", self.shell("vault policy read default"))
        output = self.shell("vault policy write root -", stdin='path "a" {}', code=2)
        self.assertIn("Code: 400", output)
        listed = json.loads(self.shell("vault policy list -format=json"))
        self.assertEqual(sorted(listed), ["default", "root"])


if __name__ == "__main__":
    harness.main()
