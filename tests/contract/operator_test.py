"""Contracts of a configured node: S0-01, S0-02, S0-04, S0-06, S0-07, S4-154, S4-171, S4-175, S4-183, with D-1, and bad input at start-up."""
import base64
import json
import os
import re
import socket

import harness

CONFIG = '''
storage "{type}" {{
  path = "{folder}/data"
  {node}
}}
listener "tcp" {{
  address = "127.0.0.1:8200"
  tls_disable = true
}}
listener "grpc" {{
  address = "127.0.0.1:8210"
  tls_disable = true
}}
{more}
api_addr = "http://127.0.0.1:8200"
cluster_addr = "http://127.0.0.1:8201"
disable_mlock = true
'''


class Operator(harness.Contract):
    def server(self, more="", kind="raft"):
        (self.folder / "data").mkdir(exist_ok=True)
        node = 'node_id = "vault-1"' if kind == "raft" else ""
        return self.configured(CONFIG.format(folder=self.folder, more=more, type=kind, node=node))

    def init(self):
        output = self.shell("vault operator init -key-shares=5 -key-threshold=3")
        keys = re.findall(r"^Unseal Key ([1-5]): ([A-Za-z0-9+/=]{44})$", self.stdout, re.M)
        self.assertEqual([k for k, _ in keys], list("12345"), output)
        token = re.search(r"^Initial Root Token: (hvs\.\S+)$", self.stdout, re.M).group(1)
        return [k for _, k in keys], token

    def unseal(self, keys):
        for key in keys[:3]:
            self.shell(f"vault operator unseal {key}")

    def test_S0_01_init(self):
        self.server()
        status, _ = harness.http("GET", "/v1/sys/health")
        self.assertEqual(status, 501)
        keys, _ = self.init()
        self.assertEqual(len({base64.b64decode(k) for k in keys}), 5)
        self.assertEqual({len(base64.b64decode(k)) for k in keys}, {33})
        lines = self.stdout.splitlines()
        self.assertEqual(lines[5], "")
        self.assertTrue(lines[6].startswith("Initial Root Token: hvs."))
        paragraphs = [p for p in self.stdout.split("\n\n")[2:] if p.strip()]
        self.assertEqual(len(paragraphs), 3, self.stdout)
        self.assertRegex(self.stdout, r"5 key\s+shares")
        self.assertRegex(self.stdout, r"threshold\s+of\s+3")
        output = self.shell("vault operator init -key-shares=5 -key-threshold=3", code=2)
        self.assertIn("Error initializing: ", output)
        self.assertIn("Code: 400. Errors:", output)
        self.assertIn("* Vault is already initialized", output)

    def test_S0_02_S4_183_unseal(self):
        self.server()
        keys, token = self.init()
        output = self.shell("vault status", code=2)
        self.assertEqual(self.table(output)["Sealed"], "true")
        self.environment["VAULT_TOKEN"] = token
        output = self.shell("vault kv get secret/x", code=2)
        self.assertIn("Vault is sealed", output)  # S4-171, S4-183
        self.assertEqual(harness.http("GET", "/v1/sys/mounts", token), (503, {"errors": ["Vault is sealed"]}))
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 503)
        self.shell("curl -sSf http://127.0.0.1:8200/v1/sys/health", code=22)  # S0-07
        self.shell(f"vault operator unseal {keys[0]}")
        names = [re.split(r"\s{2,}", line)[0] for line in self.stdout.splitlines()]
        self.assertEqual(names, ["Key", "---", "Seal Type", "Initialized", "Sealed", "Total Shares", "Threshold", "Unseal Progress", "Unseal Nonce",
                                 "Version", "Build Date", "Storage Type", "HA Enabled"])
        rows = self.table(self.stdout)
        self.assertEqual((rows["Seal Type"], rows["Initialized"], rows["Sealed"], rows["Total Shares"], rows["Threshold"]),
                         ("shamir", "true", "true", "5", "3"))
        self.assertEqual((rows["Unseal Progress"], rows["Storage Type"], rows["HA Enabled"]), ("1/3", "raft", "true"))
        self.assertRegex(rows["Unseal Nonce"], r"^[0-9a-f-]{36}$")
        self.shell(f"vault operator unseal {keys[0]}")  # the same share again does not count
        self.assertEqual(self.table(self.stdout)["Unseal Progress"], "1/3")
        self.shell(f"vault operator unseal {keys[4]}")
        self.shell(f"vault operator unseal {keys[2]}")
        self.assertEqual(self.table(self.stdout)["Sealed"], "false")
        self.assertNotIn("Unseal Progress", self.stdout)
        self.shell("vault status")  # S0-06: exit code 0
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 200)

    def test_init_and_unseal_transcript(self):
        self.server()
        self.transcript("init_and_unseal")

    def test_INI_03_INI_04_yaml_and_status(self):
        self.server()
        self.assertIn("not initialized", self.shell("vault operator init -status", code=2))
        self.shell("vault operator init -format=yaml -key-shares=1 -key-threshold=1")
        self.assertRegex(self.stdout, r"(?m)^root_token: hvs\.\w{24}$")
        key = re.search(r"(?m)^unseal_keys_b64:\n\s*- ([A-Za-z0-9+/=]{44})$", self.stdout).group(1)
        self.assertIn("is initialized", self.shell("vault operator init -status"))
        self.shell(f"vault operator unseal {key}")
        self.assertRegex(self.stdout, r"Sealed +false")

    def test_SRV_12_what_the_file_sets(self):
        self.server('default_lease_ttl = "1h"\nmax_lease_ttl = "2h"\ncluster_name = "of-the-file"\ndisable_clustering = true')
        made = json.loads(self.shell("vault operator init -format=json -key-shares=1 -key-threshold=1"))
        self.shell(f"vault operator unseal {made['unseal_keys_b64'][0]}")
        self.environment["VAULT_TOKEN"] = made["root_token"]
        self.assertRegex(self.shell("vault status"), r"Cluster Name +of-the-file")
        tuned = json.loads(self.shell("vault read -format=json sys/auth/token/tune"))["data"]
        self.assertEqual((tuned["default_lease_ttl"], tuned["max_lease_ttl"]), (3600, 7200))
        self.shell("vault token create -format=json -policy=default")
        self.assertEqual(json.loads(self.stdout)["auth"]["lease_duration"], 3600)
        self.shell("vault token create -format=json -policy=default -ttl=9h")
        self.assertEqual(json.loads(self.stdout)["auth"]["lease_duration"], 7200)
        with socket.socket() as other:
            self.assertNotEqual(other.connect_ex(("127.0.0.1", 8201)), 0)  # nobody is to join

    def test_wrong_shares(self):
        self.server()
        keys, _ = self.init()
        for bad in ("notbase64!", base64.b64encode(b"short").decode()):
            output = self.shell(f"vault operator unseal '{bad}'", code=2)
            self.assertIn("Code: 400", output)
            self.assertNotIn(bad, output.replace("URL", ""))
        wrong = base64.b64encode(bytes([base64.b64decode(keys[1])[0] ^ 1]) + base64.b64decode(keys[1])[1:]).decode()
        self.shell(f"vault operator unseal {keys[0]}")
        self.shell(f"vault operator unseal {wrong}")
        output = self.shell(f"vault operator unseal {keys[2]}", code=2)
        self.assertIn("Code: 400", output)
        self.assertEqual(self.table(self.shell("vault status", code=2))["Unseal Progress"] if "Unseal Progress" in self.stdout else "0/3", "0/3")
        self.unseal(keys)
        self.shell("vault status")

    def test_J9_a_reset_names_its_attempt(self):
        self.server()
        keys, _ = self.init()
        self.shell(f"vault operator unseal {keys[0]}")
        nonce = self.table(self.stdout)["Unseal Nonce"]
        for body in ({"reset": True}, {"reset": True, "nonce": "00000000-0000-4000-8000-000000000000"}):
            status, answer = harness.http("POST", "/v1/sys/unseal", body=body)
            self.assertEqual(status, 400)
            self.assertIn("nonce", answer["errors"][0])
        self.assertEqual(harness.http("GET", "/v1/sys/seal-status")[1]["progress"], 1)
        self.assertEqual(harness.http("POST", "/v1/sys/unseal", body={"reset": True, "nonce": nonce})[1]["progress"], 0)
        self.shell(f"vault operator unseal {keys[1]}")
        self.shell("vault operator unseal -reset")
        self.assertEqual(self.table(self.stdout)["Unseal Progress"], "0/3")
        self.unseal(keys)
        self.shell("vault status")

    def test_max_request_duration(self):
        """Nothing can be done within a nanosecond, but what needs no handler is answered."""
        self.configured(f'''
storage "inmem" {{}}
listener "tcp" {{
  address = "127.0.0.1:8200"
  tls_disable = true
  max_request_duration = "1ns"
}}
disable_mlock = true
''')
        keys, token = self.init()
        self.unseal(keys)
        status, answer = harness.http("POST", "/v1/sys/mounts/late", token, {"type": "kv"})
        self.assertEqual((status, answer), (503, {"errors": ["the request took longer than it may"]}))
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 200)

    def test_S0_04_rotate(self):
        self.server()
        keys, token = self.init()
        self.unseal(keys)
        self.environment["VAULT_TOKEN"] = token
        self.shell("vault secrets enable -path=secret -version=2 kv && vault kv put secret/x a=1")
        self.shell("vault operator rotate")
        self.assertRegex(self.stdout, r"^Success! Rotated key\n\nKey Term +2\nInstall Time +\d\d \w{3} \d\d \d\d:\d\d UTC\nEncryption Count +\d+\n$")
        self.shell("vault kv get -field=a secret/x")
        self.assertEqual(self.stdout, "1")
        self.shell("vault operator key-status")
        self.assertRegex(self.stdout, r"^Key Term +2\n")
        self.shell("vault kv put secret/y b=2 && vault kv get -field=b secret/y")

    def test_seal_and_restart(self):
        server = self.server()
        keys, token = self.init()
        self.unseal(keys)
        self.environment["VAULT_TOKEN"] = token
        self.shell("vault secrets enable -path=secret -version=2 kv && vault kv put secret/x a=1")
        self.shell("vault operator seal")
        self.assertEqual(self.stdout, "Success! Vault is sealed.\n")
        self.shell("vault status", code=2)
        self.unseal(keys[1:])
        self.shell("vault kv get -field=a secret/x")
        self.assertEqual(self.stdout, "1")
        self.assertEqual(server.stop(), 0)
        self.server()
        self.shell("vault status", code=2)
        self.unseal(keys[2:])
        self.shell("vault kv get -field=a secret/x")
        self.assertEqual(self.stdout, "1")

    def test_S0_06_status_unreachable(self):
        self.shell("vault status", code=1, env={"VAULT_ADDR": "http://127.0.0.1:8299"})

    def test_storage_file(self):
        self.server(kind="file")
        keys, _ = self.init()
        self.unseal(keys)
        rows = self.table(self.shell("vault status"))
        self.assertEqual((rows["Storage Type"], rows["HA Enabled"]), ("file", "false"))

    def auto_unseal(self, seal):
        server = self.server(more=seal)
        output = self.shell("vault operator init -key-shares=5 -key-threshold=3")
        keys = re.findall(r"^(?:Unseal|Recovery) Key ([1-5]): ", output, re.M)
        self.assertTrue(set("12345") <= set(keys), output)
        self.assertIn("Unseal Key 1: ", output)
        token = re.search(r"^Initial Root Token: (hvs\.\S+)$", output, re.M).group(1)
        self.environment["VAULT_TOKEN"] = token
        self.shell("vault status")
        self.shell("vault secrets enable -path=secret -version=2 kv && vault kv put secret/x a=1")
        self.assertEqual(server.stop(), 0)
        server = self.server(more=seal)
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/health")[0] == 200, "unsealed by itself")
        self.shell("vault kv get -field=a secret/x")
        self.assertEqual(self.stdout, "1")
        status, body = harness.http("POST", "/v1/sys/init", body={"secret_shares": 5, "secret_threshold": 3, "recovery_shares": 5,
                                                                   "recovery_threshold": 3})
        self.assertEqual(status, 400, body)

    def test_D1_static_seal(self):
        self.auto_unseal('seal "aesgcm" {\n  keys = ["Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="]\n}')

    def test_D1_static_seal_by_its_own_name(self):
        key = base64.b64encode(os.urandom(32)).decode()
        self.auto_unseal(f'seal "static" {{\n  current_key = "{key}"\n  current_key_id = "a"\n}}')

    def test_static_seal_of_the_environment(self):
        self.environment["VAULT_STATIC_SEAL_CURRENT_KEY"] = base64.b64encode(os.urandom(32)).decode()
        self.environment["VAULT_STATIC_SEAL_CURRENT_KEY_ID"] = "of-the-environment"
        self.auto_unseal('seal "static" {}')

    def test_D1_json_has_recovery_keys(self):
        self.server(more='seal "aesgcm" {\n  keys = ["Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="]\n}')
        answer = json.loads(self.shell("vault operator init -key-shares=5 -key-threshold=3 -format=json"))
        self.assertEqual(len(answer["recovery_keys_b64"]), 5)
        self.assertEqual((answer["recovery_keys_shares"], answer["recovery_keys_threshold"]), (5, 3))
        self.assertTrue(answer["root_token"].startswith("hvs."))

    def test_S4_154_S4_175_tls(self):
        self.certificate("localhost")
        path = self.folder / "server.hcl"
        (self.folder / "data").mkdir()
        path.write_text(f'''
storage "raft" {{
  path = "{self.folder}/data"
  node_id = "vault-1"
}}
listener "tcp" {{
  address = "0.0.0.0:8200"
  tls_disable = 0
  tls_cert_file = "{self.folder}/cert.pem"
  tls_key_file = "{self.folder}/key.pem"
}}
api_addr = "https://localhost:8200"
cluster_addr = "https://localhost:8201"
disable_mlock = true
''')
        server = self.start(f"-config={path}")
        server.wait_for_line("started")
        self.environment["VAULT_ADDR"] = "https://localhost:8200"
        output = self.shell("vault status", code=1)
        self.assertRegex(output, r"(?i)certificate")
        server.wait_for_line(r"http: TLS handshake error from ")
        self.shell("vault status", code=2, env={"VAULT_CACERT": str(self.folder / "cert.pem")})
        self.shell("vault status", code=2, env={"VAULT_SKIP_VERIFY": "true"})
        output = self.shell("curl -s http://localhost:8200/v1/sys/health", code=None)
        self.assertIn("Client sent an HTTP request to an HTTPS server.", output)

    def test_bad_configuration(self):
        cases = [
            ('storage "raft" { path = "/opt/vault/data" ', "server.hcl"),
            ('storage "floppy" {\n}\nlistener "tcp" {\n  tls_disable = true\n}\n', "floppy"),
            ('storage "inmem" {}\nlistener "tcp" {\n  address = "127.0.0.1:8200"\n  tls_disable = "perhaps"\n}\n', "tls_disable"),
            ('storage "inmem" {}\nlistener "tcp" {\n  address = "127.0.0.1:8200"\n}\n', "tls_cert_file"),
            ('storage "inmem" {}\nlistener "tcp" {\n tls_disable = true\n}\nseal "aesgcm" {\n  keys = ["c2hvcnQ="]\n}\n', "keys"),
            ('storage "raft" { path = "/nowhere/at/all" }\nlistener "tcp" {\n tls_disable = true\n}\n', "/nowhere/at/all"),
        ]
        for text, word in cases:
            with self.subTest(word=word):
                (self.folder / "server.hcl").write_text(text)
                output = self.shell(f"vault server -config={self.folder}/server.hcl", code=1)
                self.assertIn(word, output)
                self.assertNotIn("c2hvcnQ=", output)
        output = self.shell("vault server", code=1)
        self.assertIn("-config", output)
        output = self.shell("vault server -config=/no/such/file.hcl", code=1)
        self.assertIn("/no/such/file.hcl", output)
        self.shell("vault server -dev -no-such-flag", code=1)


if __name__ == "__main__":
    harness.main()
