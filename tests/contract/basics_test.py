"""Contracts of a node's life and of access in general: S0-16, S0-39, S0-40 (file), S4-182."""
import harness

CONFIG = '''
storage "{type}" {{
  path = "{folder}/{type}"
}}
listener "tcp" {{
  address = "127.0.0.1:8200"
  tls_disable = true
}}
api_addr = "http://vault.service:8200"
cluster_addr = "http://127.0.0.1:8201"
disable_mlock = true
'''


class Basics(harness.Contract):
    def health(self):
        return self.shell('curl -s -o /dev/null -w "%{http_code}\\n" http://vault.service:8200/v1/sys/health')

    def test_S0_16_codes_of_health(self):
        self.configured(CONFIG.format(type="raft", folder=self.folder))
        self.assertEqual(self.health(), "501\n")
        keys = self.shell("vault operator init -key-shares=1 -key-threshold=1").splitlines()
        self.assertEqual(self.health(), "503\n")
        key = next(line.split(": ")[1] for line in keys if line.startswith("Unseal Key 1"))
        self.shell(f"vault operator unseal {key}")
        self.assertEqual(self.health(), "200\n")

    def test_S0_40_file_storage_has_no_ha(self):
        self.configured(CONFIG.format(type="file", folder=self.folder))
        self.transcript("file_storage")

    def test_S0_39_what_is_not_granted_is_refused(self):
        self.dev()
        self.transcript("default_refuses")
        self.shell("vault kv put secret/a x=1")
        token = self.shell("vault token create -policy=default -field=token").strip()
        for method, path in (("GET", "secret/data/a"), ("POST", "secret/data/a"), ("LIST", "secret/metadata/"), ("GET", "sys/mounts"),
                             ("POST", "sys/policies/acl/x"), ("GET", "nowhere/at/all")):
            self.assertEqual(harness.http(method, "/v1/" + path, token, {} if method == "POST" else None)[0], 403, path)
        self.assertEqual(harness.http("GET", "/v1/auth/token/lookup-self", token)[0], 200)

    def test_S4_182_every_operation_is_a_path(self):
        """What commands of their own do, the four general ones do too."""
        self.dev()
        self.transcript("every_operation_is_a_path")


if __name__ == "__main__":
    harness.main()
