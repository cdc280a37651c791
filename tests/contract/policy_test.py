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
        self.shell(f"vault policy write team-alpha-admin - <<'EOF'\n{ADMIN}\nEOF")
        self.assertEqual(self.stdout, "Success! Uploaded policy: team-alpha-admin\n")
        self.shell(f"vault policy write team-alpha-reader - <<'EOF'\n{READER}\nEOF")
        self.assertEqual(self.stdout, "Success! Uploaded policy: team-alpha-reader\n")
        self.shell("vault policy list")
        self.assertEqual(sorted(self.stdout.splitlines()), ["default", "root", "team-alpha-admin", "team-alpha-reader"])
        self.shell("vault policy read team-alpha-admin")
        self.assertEqual(self.stdout, ADMIN + "\n")

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
