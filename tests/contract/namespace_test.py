"""Namespaces: S0-37, and the commands around them, as transcripts."""
import re

import harness

MASKS = [(r"(?m)^(id|uuid)( +)\S+$", r"\1\2<MASKED>")]


def masked(text):
    for pattern, to in MASKS:
        text = re.sub(pattern, to, text)
    return text


class Namespaces(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()
        self.shell("vault namespace create team && vault namespace create other && vault namespace create -namespace=team inner")

    def token(self, namespace, rules):
        self.shell(f"vault policy write -namespace={namespace} p -", stdin=rules)
        return self.shell(f"vault token create -namespace={namespace} -policy=p -field=token").strip()

    def status(self, method, path, token, namespace=None, body=None):
        headers = {"X-Vault-Namespace": namespace} if namespace else None
        return harness.http(method, "/v1/" + path, token, body, headers=headers)[0]

    def test_create_lookup_list(self):
        created = masked(self.shell("vault namespace create -custom-metadata=owner=web -custom-metadata=cost=7 new"))
        shown = (
            "Key                Value\n"
            "---                -----\n"
            "custom_metadata    map[cost:7 owner:web]\n"
            "id                 <MASKED>\n"
            "locked             false\n"
            "path               new/\n"
            "tainted            false\n"
            "uuid               <MASKED>\n"
        )
        self.assertEqual(created, shown)
        self.assertEqual(masked(self.shell("vault namespace lookup new")), shown)
        self.assertEqual(self.shell("vault namespace list"), "Keys\n----\nnew/\nother/\nteam/\n")
        self.assertEqual(self.shell("vault namespace list -ns=team"), "Keys\n----\ninner/\n")
        patched = self.shell("vault namespace patch -custom-metadata=owner=ops -remove-custom-metadata=cost new")
        self.assertIn("custom_metadata    map[owner:ops]\n", patched)
        self.assertEqual(self.shell("vault namespace delete new"), "Success! Namespace deleted at: new/\n")
        self.shell("vault namespace lookup new", code=2)
        self.assertEqual(self.stderr, "Namespace not found\n")

    def test_S0_37_one_path_is_two_secrets(self):
        for namespace in ("team", "other"):
            self.shell(f"vault secrets enable -namespace={namespace} -path=secret kv-v2")
            self.shell(f"vault kv put -namespace={namespace} secret/app owner={namespace}")
        for namespace in ("team", "other"):
            self.assertEqual(self.shell(f"vault kv get -namespace={namespace} -field=owner secret/app"), namespace)
            self.assertEqual(self.shell("vault kv get -field=owner secret/app", env={"VAULT_NAMESPACE": namespace}), namespace)
        self.shell("vault kv get secret/app", code=2)
        rules = 'path "secret/*" { capabilities = ["read", "list"] }'
        token = self.token("team", rules)
        self.token("other", rules)
        self.assertEqual(self.status("GET", "secret/data/app", token, "team"), 200)
        self.assertEqual(self.status("GET", "team/secret/data/app", token), 200)
        for namespace in ("other", None, "team/inner"):
            self.assertEqual(self.status("GET", "secret/data/app", token, namespace), 403)
        self.assertEqual(self.status("GET", "other/secret/data/app", token), 403)

    def test_mounts_and_auth_methods_are_the_namespaces_own(self):
        self.shell("vault secrets enable -namespace=team -path=kv kv")
        listed = self.shell("vault secrets list -namespace=team")
        self.assertEqual([line.split()[0] for line in listed.splitlines()[2:]], ["cubbyhole/", "identity/", "kv/", "sys/"])
        self.assertNotIn("kv/", self.shell("vault secrets list"))
        self.shell("vault auth enable -namespace=team userpass")
        self.shell("vault write -namespace=team auth/userpass/users/bob password=b")
        token = self.shell("vault login -namespace=team -method=userpass -token-only username=bob password=b").strip()
        self.assertEqual(self.status("GET", "auth/token/lookup-self", token, "team"), 200)
        self.assertEqual(self.status("GET", "auth/token/lookup-self", token), 403)
        self.assertEqual(self.status("POST", "auth/userpass/login/bob", None, "other", {"password": "b"}), 403)

    def test_lock(self):
        self.shell("vault secrets enable -namespace=team -path=kv kv && vault kv put -namespace=team kv/x a=1")
        key = self.shell("vault namespace lock -field=unlock_key team").strip()
        self.shell("vault kv get -namespace=team kv/x", code=2)
        self.assertIn('API access to this namespace has been locked by an administrator - "team/" must be unlocked to gain access.', self.stderr)
        self.shell("vault namespace unlock -unlock-key=wrong team", code=2)
        self.assertIn("* incorrect unlock key\n", self.stderr)
        self.assertEqual(self.shell(f"vault namespace unlock -unlock-key={key} team"), "")
        self.assertEqual(self.shell("vault kv get -namespace=team -field=a kv/x"), "1")

    def test_scan_and_answers_of_a_deletion(self):
        self.assertEqual(self.shell("vault namespace scan").splitlines()[2:], ["other/", "team/", "team/inner/"])
        self.assertEqual(harness.http("DELETE", "/v1/sys/namespaces/none", "root")[1]["warnings"],
                         ["requested namespace does not exist"])
        self.assertEqual(harness.http("DELETE", "/v1/team/sys/namespaces/inner", "root")[1]["data"],
                         {"status": "in-progress"})

    def test_moves_between_namespaces(self):
        self.shell("vault secrets enable -namespace=team -path=moved kv && vault kv put -namespace=team moved/a b=c")
        self.shell("vault secrets move team/moved/ other/arrived/")
        self.assertIn("Success! Finished moving secrets engine team/moved/ to other/arrived/", self.stdout)
        self.assertEqual(self.shell("vault kv get -namespace=other -field=b arrived/a"), "c")
        self.shell("vault kv get -namespace=team -field=b moved/a", code=2)

    def test_what_is_refused(self):
        for name in ("sys", "root", "auth", "identity", "cubbyhole", "audit"):
            self.shell(f"vault namespace create {name}", code=2)
            self.assertIn(f'* "{name}" is a reserved name of a namespace\n', self.stderr)
        self.shell("vault namespace delete team", code=2)
        self.assertIn('* cannot delete namespace "team/": it contains child namespaces\n', self.stderr)
        self.shell("vault audit list -namespace=team", code=2)
        self.assertIn("operation only available in root namespace", self.stderr)
        self.shell("vault secrets enable -path=team/x kv", code=2)
        self.assertIn("* path is already in use at team/\n", self.stderr)

    def test_deleting_takes_everything(self):
        self.shell("vault secrets enable -namespace=other -path=kv kv && vault kv put -namespace=other kv/x a=1")
        token = self.token("other", 'path "*" { capabilities = ["read"] }')
        self.shell("vault namespace delete other")
        self.assertEqual(self.status("GET", "kv/x", token, "other"), 403)
        harness.wait_until(lambda: self.status("POST", "sys/namespaces/other", "root", None, {}) == 200, "the old one is gone")
        self.assertEqual(self.status("GET", "kv/x", "root", "other"), 404)
        self.assertEqual(self.status("GET", "auth/token/lookup-self", token, "other"), 403)


if __name__ == "__main__":
    harness.main()
