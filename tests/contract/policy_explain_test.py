"""What policies come to: policy test, a refusal that explains itself, password policies, resultant-acl."""
import json

import harness

TEAM = '''# what the team does
path "secret/*" {
  capabilities = ["read", "list"]
}
path "secret/data/shut" { capabilities = ["deny"] }
'''
RULES = '''length = 20
rule "charset" { charset = "abc" min-chars = 1 }
'''


class Explain(harness.Contract):
    def setUp(self):
        super().setUp()
        self.server = self.dev()
        self.shell("vault policy write team -", stdin=TEAM)

    def test_policy_test(self):
        self.shell("vault policy test -policy=team secret/data/k")
        self.assertEqual(self.stdout, 'allowed: policy "team", line 2: path "secret/*" grants list, read\n')
        self.shell("vault policy test -policy=team secret/data/k update", code=2)
        self.assertEqual(self.stdout, 'denied: policy "team", line 2: path "secret/*" grants list, read, not update\n')
        self.shell("vault policy test secret/data/k delete")
        self.assertEqual(self.stdout, "allowed: the root policy allows everything\n")
        told = json.loads(self.shell("vault policy test -format=json -policy=team secret/data/shut", code=2))
        self.assertEqual(told["rule"], {"capabilities": ["deny"], "path": "secret/data/shut",
                                        "sources": [{"capabilities": ["deny"], "line": 5, "policy": "team"}]})

    def test_refusal_is_explained_in_the_log(self):
        token = self.shell("vault token create -policy=team -field=token").strip()
        self.shell(f"VAULT_TOKEN={token} vault kv put secret/k a=1", code=2)
        self.assertNotIn("line 2", self.stdout + self.stderr)
        harness.wait_until(lambda: "permission denied" in self.server.output() and "line 2" in self.server.output(), "the log line")

    def test_POL_14_password_policies(self):
        (self.folder / "rules.hcl").write_text(RULES)
        self.shell("vault write sys/policies/password/mine policy=@rules.hcl")
        self.assertEqual(self.stdout, "Success! Data written to: sys/policies/password/mine\n")
        self.assertEqual(self.shell("vault list sys/policies/password").split()[-1], "mine")
        self.assertRegex(self.shell("vault read -field=password sys/policies/password/mine/generate").strip(), "^[abc]{20}$")
        self.assertEqual(self.shell("vault read -field=policy sys/policies/password/mine").strip(), RULES.strip())
        refused = "1 error occurred:\n\t* invalid password policy: 1 error occurred:\n\t* no charset specified\n\n\n\n"
        for body, error in (({"policy": "length = 20"}, refused), ({}, "1 error occurred:\n\t* missing policy\n\n")):
            self.assertEqual(harness.http("POST", "/v1/sys/policies/password/other", "root", body), (400, {"errors": [error]}))
        missing = (404, {"errors": ["1 error occurred:\n\t* policy does not exist\n\n"]})
        self.assertEqual(harness.http("GET", "/v1/sys/policies/password/none", "root"), missing)
        self.assertEqual(harness.http("GET", "/v1/sys/policies/password/none/generate", "root"), missing)
        self.shell("vault delete sys/policies/password/mine")
        self.shell("vault list sys/policies/password", code=2)

    def test_resultant_acl_and_counters(self):
        token = self.shell("vault token create -policy=team -policy=default -field=token").strip()
        told = harness.http("GET", "/v1/sys/internal/ui/resultant-acl", token)[1]["data"]
        self.assertEqual((told["root"], told["glob_paths"]["secret/"], told["exact_paths"]["secret/data/shut"]),
                         (False, {"capabilities": ["list", "read"]}, {"capabilities": ["deny"]}))
        self.assertEqual(harness.http("GET", "/v1/sys/internal/ui/resultant-acl", "root")[1]["data"], {"root": True})
        self.assertEqual(harness.http("GET", "/v1/sys/internal/counters/entities", "root")[1]["data"], {"counters": {"entities": {"total": 0}}})


if __name__ == "__main__":
    harness.main()
