"""Servers whose root key Azure Key Vault or Google Cloud KMS guards: the blocks of the texts (S4-151, S4-152), with the services behind their own names."""
import json

import cloud_stub
import harness
import rekey_test

S4_151 = '''
seal "azurekeyvault" {
  tenant_id  = "abc123-..."
  vault_name = "vault-unseal-kv"
  key_name   = "vault-unseal-key"
}
'''
S4_152 = '''
seal "gcpckms" {
  project    = "my-project"
  region     = "global"
  key_ring   = "vault"
  crypto_key = "vault-unseal"
}
'''


class Sealed(harness.Contract):
    server = rekey_test.Rekey.server

    def cloud(self, kind):
        cloud = kind(self.folder)
        self.addCleanup(cloud.stop)
        return cloud

    def unsealed_by_itself(self):
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/health")[0] == 200, "unsealed by itself")

    def initialized(self, seal):
        server = self.server(seal)
        made = json.loads(self.shell("vault operator init -recovery-shares=3 -recovery-threshold=2 -format=json"))
        self.environment["VAULT_TOKEN"] = made["root_token"]
        self.unsealed_by_itself()
        self.shell("vault secrets enable -path=secret kv-v2 && vault kv put secret/a value=one")
        return server

    def opens_again(self, server, seal):
        self.assertEqual(server.stop(), 0)
        server = self.server(seal)
        self.unsealed_by_itself()
        self.assertEqual(self.shell("vault kv get -field=value secret/a").strip(), "one")
        return server

    def away_and_back(self, cloud, server, seal, word, said):
        """The service refuses at the start, and then does not any more."""
        self.assertEqual(server.stop(), 0)
        cloud.word = word
        server = self.server(seal)
        harness.wait_until(lambda: said in server.output(), lambda: f"the refusal is told: {server.output()}")
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 503)
        cloud.word = None
        self.unsealed_by_itself()
        self.assertNotIn("a text of the service's own", server.output())
        return server

    def refused_start(self, seal, said):
        path = self.folder / "wrong.hcl"
        path.write_text('storage "inmem" {}\nlistener "tcp" {\n  tls_disable = true\n}\n' + seal)
        told = self.shell(f"vault server -config={path}", code=1)
        self.assertIn(said, told)
        return told


class Azure(Sealed):
    def test_S4_151_S2_37_the_machine_s_identity_and_a_rotation(self):
        cloud = self.cloud(cloud_stub.Azure)
        server = self.initialized(S4_151)
        self.assertEqual(set(cloud.tokens.values()), {"managed"})
        self.assertRegex(self.shell("vault status"), r"Seal Type +azurekeyvault")
        cloud.rotate()  # S2-37: the service's own rotation; what is stored names its version
        server = self.opens_again(server, S4_151)
        server = self.away_and_back(cloud, server, S4_151, (403, "Forbidden"), "403 Forbidden: these credentials may not get, wrapKey and unwrapKey with key_name")
        cloud.tokens.clear()  # all were revoked: another is fetched
        self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=None)
        self.assertIn("Check Seal", self.stdout)
        cloud.disabled.update(cloud.versions)
        self.assertIn("the key of key_name is not enabled", self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=4))

    def test_a_client_with_a_secret(self):
        cloud = self.cloud(cloud_stub.Azure)
        cloud.managed = False
        seal = S4_151.replace("}", f'  client_id = "{cloud.CLIENT}"\n  client_secret = "{cloud.SECRET}"\n}}')
        server = self.opens_again(self.initialized(seal), seal)
        self.assertEqual(set(cloud.tokens.values()), {"client"})
        server.stop()
        wrong = seal.replace(cloud.SECRET, "of-another-client")
        server = self.server(wrong)
        server.wait_for_line("401 invalid_client: tenant_id, client_id or client_secret is wrong or has ended")
        self.assertNotIn("of-another-client", server.output())
        server.stop()
        self.environment.update(AZURE_CLIENT_SECRET=cloud.SECRET)  # the environment goes first
        server = self.server(wrong)
        self.unsealed_by_itself()
        self.assertNotIn(cloud.SECRET, server.output())

    def test_a_workload_and_a_block_of_variables(self):
        cloud = self.cloud(cloud_stub.Azure)
        cloud.managed = False
        cloud.federated = "a.token.of-the-workload"
        (self.folder / "federated").write_text(cloud.federated)
        self.environment.update(VAULT_SEAL_TYPE="azurekeyvault", AZURE_TENANT_ID=cloud.TENANT, AZURE_CLIENT_ID=cloud.CLIENT,
                                AZURE_FEDERATED_TOKEN_FILE=str(self.folder / "federated"), VAULT_AZUREKEYVAULT_VAULT_NAME=cloud.VAULT,
                                VAULT_AZUREKEYVAULT_KEY_NAME=cloud.KEY)
        self.opens_again(self.initialized(""), "")

    def test_nobody_gives_a_token(self):
        cloud = self.cloud(cloud_stub.Azure)
        cloud.managed = False
        self.server(S4_151)
        self.assertIn("managed identity gives no token: give it one, or client_id and client_secret", self.shell("vault operator init", code=2))
        cloud.managed = True
        self.shell("vault operator init")

    def test_settings_that_are_wrong(self):
        for change, said in ((('"vault-unseal-kv"', '"a/b"'), "vault_name must be"), (("key_name", "key_nam"), "key_name is missing"),
                             (('"abc123-..."', '"a/b"'), "tenant_id must be"), (("}", '  client_secret = "SECRET-B"\n}'), "client_id is missing"),
                             (("}", '  environment = "Mars"\n}'), "environment must be"), (("}", '  resource = "https://x"\n}'), "resource must be"),
                             (("}", '  endpoint = "http://vault.example.com"\n}'), "on this machine only")):
            self.assertNotIn("SECRET-B", self.refused_start(S4_151.replace(*change), said))


class Google(Sealed):
    def test_S4_152_S2_37_ambient_credentials_and_a_rotation(self):
        cloud = self.cloud(cloud_stub.Google)
        server = self.initialized(S4_152)
        self.assertEqual(set(cloud.tokens.values()), {"ambient"})
        self.assertRegex(self.shell("vault status"), r"Seal Type +gcpckms")
        cloud.rotate()  # S2-37
        server = self.opens_again(server, S4_152)
        server = self.away_and_back(cloud, server, S4_152, (403, "PERMISSION_DENIED"), "403 PERMISSION_DENIED: these credentials may not use crypto_key")
        cloud.state = "DISABLED"
        self.assertIn("the key of crypto_key is not enabled", self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=4))
        cloud.state = "ENABLED"
        # What was changed on its way is not taken.
        for field in ("plaintext", "plaintextCrc32c"):
            server.stop()
            cloud.spoils = field
            server = self.server(S4_152)
            server.wait_for_line("answer to decrypt is none, or was damaged on its way")
            cloud.spoils = None
            self.unsealed_by_itself()

    def test_a_service_account_s_key(self):
        cloud = self.cloud(cloud_stub.Google)
        cloud.ambient = False
        for field in ("ciphertext", "ciphertextCrc32c", "verifiedPlaintextCrc32c", "name"):
            cloud.spoils = field
            server = self.server(S4_152.replace("}", f'  credentials = "{cloud.credentials}"\n}}'))
            self.assertIn("answer to encrypt is none, or was damaged on its way", self.shell("vault operator init", code=2))
            server.stop()
        cloud.spoils = None
        seal = S4_152.replace("}", f'  credentials = "{cloud.credentials}"\n}}')
        server = self.opens_again(self.initialized(seal), seal)
        self.assertEqual(set(cloud.tokens.values()), {"account"})
        self.assertNotIn("PRIVATE KEY", server.output())
        server.stop()
        self.environment["GOOGLE_CREDENTIALS"] = cloud.credentials.read_text()
        server = self.server(S4_152)
        self.unsealed_by_itself()
        server.stop()
        other = json.loads(cloud.credentials.read_text()) | {"client_email": "nobody@my-project"}
        self.environment["GOOGLE_CREDENTIALS"] = json.dumps(other)
        server = self.server(S4_152)
        server.wait_for_line("400 invalid_grant: credentials is wrong or has ended")
        self.assertNotIn("PRIVATE KEY", server.output())

    def test_settings_that_are_wrong(self):
        (self.folder / "not-json").write_text("SECRET-B")
        (self.folder / "no-key").write_text(json.dumps({"type": "service_account", "client_email": "a", "private_key": "SECRET-B"}))
        for change, said in ((("project", "projekt"), "project is missing"), (('"vault"', '"a/b"'), "key_ring must be a name"),
                             (("}", '  credentials = "/none"\n}'), "credentials: "), (("}", f'  credentials = "{self.folder}/not-json"\n}}'), "credentials must be"),
                             (("}", f'  credentials = "{self.folder}/no-key"\n}}'), "private_key is no private key of RSA"),
                             (("}", '  endpoint = "ftp://x"\n}'), "endpoint must be")):
            self.assertNotIn("SECRET-B", self.refused_start(S4_152.replace(*change), said))


if __name__ == "__main__":
    harness.main()
