"""A server whose root key AWS KMS guards (`seal "awskms"`): a stand-in for the service that checks every request's signature."""
import concurrent.futures
import json
import re
import subprocess
import time

import harness
import kms_stub
import rekey_test

S0_20 = '''
storage "raft" {{
  path = "{folder}/data"
  node_id = "vault-1"
}}
listener "tcp" {{
  address = "0.0.0.0:8200"
  tls_disable = 0
  tls_cert_file = "{folder}/cert.pem"
  tls_key_file = "{folder}/key.pem"
}}
seal "awskms" {{
  region = "ap-northeast-1"
  kms_key_id = "{key}"
}}
api_addr = "https://localhost:8200"
cluster_addr = "https://localhost:8201"
ui = true
'''


class AwsKms(harness.Contract):
    server = rekey_test.Rekey.server

    def service(self, **how):
        service = kms_stub.Service(**how)
        self.addCleanup(service.stop)
        self.environment.update(AWS_ACCESS_KEY_ID=kms_stub.ACCESS_KEY, AWS_SECRET_ACCESS_KEY=kms_stub.SECRET_KEY, AWS_KMS_ENDPOINT=service.endpoint)
        return service

    def unsealed_by_itself(self):
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/health")[0] == 200, "unsealed by itself")

    def initialized(self, seal):
        server = self.server(seal)
        made = json.loads(self.shell("vault operator init -recovery-shares=3 -recovery-threshold=2 -format=json"))
        self.environment["VAULT_TOKEN"] = made["root_token"]
        self.keys = made["recovery_keys_b64"]
        self.unsealed_by_itself()
        self.shell("vault secrets enable -path=secret kv-v2 && vault kv put secret/a value=one")
        return server

    def test_S0_08_S0_20a_S0_20b_the_file_of_the_text(self):
        service = self.service(region="ap-northeast-1")
        key = service.add()
        self.certificate("localhost")
        (self.folder / "data").mkdir()
        self.environment.update(VAULT_ADDR="https://localhost:8200", VAULT_CACERT=str(self.folder / "cert.pem"))
        path = self.folder / "server.hcl"
        path.write_text(S0_20.format(folder=self.folder, key=key))
        server = self.start(f"-config={path}")
        server.wait_for_line("started")
        self.shell("vault operator init -key-shares=5 -key-threshold=3 > init.out")  # S0-08
        self.assertEqual(self.stdout, "")
        written = (self.folder / "init.out").read_text()
        self.assertNotIn("\x1b", written)
        self.assertRegex(self.shell("grep 'Unseal Key 1' init.out"), r"\AUnseal Key 1: [A-Za-z0-9+/=]{44}\n?\Z")
        self.environment["VAULT_TOKEN"] = re.search(r"^Initial Root Token: (hvs\.\S+)$", written, re.M).group(1)
        self.assertRegex(self.shell("vault status"), r"Seal Type +awskms")
        self.assertEqual({action for action in service.requests}, {"TrentService.Encrypt", "TrentService.Decrypt"})
        self.assertEqual(server.stop(), 0)
        self.start(f"-config={path}")
        harness.wait_until(lambda: subprocess.run([harness.VAULT, "status"], env=self.environment, capture_output=True, check=False).returncode == 0,
                           "unsealed by itself")

    def test_S4_150_an_alias_and_another_key_later(self):
        service = self.service()
        first = service.add("alias/vault-unseal")
        seal = 'seal "awskms" {\n  region     = "us-east-1"\n  kms_key_id = "alias/vault-unseal"\n}'
        server = self.initialized(seal)
        self.assertTrue(service.keys[first])
        self.assertEqual(server.stop(), 0)
        service.add("alias/vault-unseal")  # the alias names another key now; what is stored names the one that made it
        self.server(seal)
        self.unsealed_by_itself()
        self.assertEqual(self.shell("vault kv get -field=value secret/a").strip(), "one")

    def test_a_service_that_is_away_or_refuses_and_comes_back(self):
        service = self.service()
        service.add("alias/vault-unseal")
        seal = 'seal "awskms" {\n  kms_key_id = "alias/vault-unseal"\n}'
        server = self.initialized(seal)
        service.word = "AccessDeniedException"
        self.shell("vault kv put secret/a value=two")  # what is unsealed goes on serving
        self.assertEqual(server.stop(), 0)
        server = self.server(seal)
        harness.wait_until(lambda: "AccessDeniedException: these credentials may not use kms_key_id" in server.output(), "the refusal is told")
        self.assertNotIn("a text of the service's own", server.output())
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 503)
        service.word = None
        self.unsealed_by_itself()
        self.assertEqual(self.shell("vault kv get -field=value secret/a").strip(), "two")
        self.assertNotIn(kms_stub.SECRET_KEY, server.output())

    def others_are_served(self, service, command, done):
        """Whatever waits for the service, everybody else is answered: each connection is some thread's."""
        service.may_answer.clear()
        self.addCleanup(service.may_answer.set)
        asked = len(service.requests)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(subprocess.run, ["bash", "-c", command], env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False)
            harness.wait_until(lambda: len(service.requests) > asked, "the service is asked")
            for path in ["sys/health?sealedcode=200&uninitcode=200", "sys/seal-status"] * 16:
                began = time.monotonic()
                self.assertEqual(harness.http("GET", f"/v1/{path}")[0], 200)
                self.assertLess(time.monotonic() - began, 2)
            self.assertFalse(waiting.done())
            service.may_answer.set()
            self.assertEqual(waiting.result().returncode, 0, waiting.result().stdout + waiting.result().stderr)
        return done(waiting.result().stdout)

    def test_nobody_waits_for_a_service_that_is_silent(self):
        service = self.service()
        service.add("alias/vault-unseal")
        self.server('seal "awskms" {\n  kms_key_id = "alias/vault-unseal"\n}')
        made = self.others_are_served(service, "vault operator init -recovery-shares=1 -recovery-threshold=1 -format=json", json.loads)
        self.environment["VAULT_TOKEN"] = made["root_token"]
        self.unsealed_by_itself()
        self.shell("vault operator seal")
        told = self.others_are_served(service, f"vault operator unseal {made['recovery_keys_b64'][0]}", str)
        self.assertRegex(told, r"Sealed +false")

    def test_init_that_cannot_seal_changes_nothing(self):
        service = self.service()
        service.add("alias/vault-unseal")
        self.server('seal "awskms" {\n  kms_key_id = "alias/other"\n}')
        self.assertIn("kms_key_id names no key in this region", self.shell("vault operator init", code=2))
        service.aliases["alias/other"] = service.add()
        self.shell("vault operator init")

    def test_wrong_credentials_name_their_settings(self):
        service = self.service()
        service.add("alias/vault-unseal")
        self.environment["AWS_SECRET_ACCESS_KEY"] = "not-the-key-of-it"
        server = self.server('seal "awskms" {\n  kms_key_id = "alias/vault-unseal"\n}')
        told = self.shell("vault operator init", code=2)
        self.assertIn("InvalidSignatureException: access_key, secret_key or session_token is wrong or has ended", told)
        self.assertNotIn("not-the-key-of-it", told + server.output())
        self.assertIn("access_key, secret_key or session_token", self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=4))

    def test_credentials_come_from_one_place(self):
        service = self.service()
        service.add("alias/vault-unseal")
        self.initialized('seal "awskms" {\n  kms_key_id = "alias/vault-unseal"\n  access_key = "B"\n  secret_key = "C"\n  session_token = "D"\n}').stop()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del self.environment[name]
        self.environment["AWS_SESSION_TOKEN"] = "of-other-keys"
        server = self.server(f'seal "awskms" {{\n  kms_key_id = "alias/vault-unseal"\n  access_key = "{kms_stub.ACCESS_KEY}"\n'
                             f'  secret_key = "{kms_stub.SECRET_KEY}"\n}}')
        self.unsealed_by_itself()
        self.assertNotIn(kms_stub.SECRET_KEY, server.output())

    def test_keys_that_aws_gives_to_programs(self):
        service = self.service()
        service.add("alias/vault-unseal")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del self.environment[name]
        shared = self.folder / "shared"
        shared.write_text(f"[default]\naws_access_key_id = A\n\n[other]\naws_access_key_id={kms_stub.ACCESS_KEY}\naws_secret_access_key = {kms_stub.SECRET_KEY}\n")
        (self.folder / "token").write_text(service.web_identity + "\n")
        where = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": service.endpoint, "AWS_ENDPOINT_URL_STS": service.endpoint}
        role, file = f'role_arn = "{service.role}"', f'shared_creds_filename = "{shared}"'
        for settings, variables, asked in (
                ("", {}, "GET /latest/meta-data/iam/security-credentials/unsealer"),
                ("", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": service.endpoint + "/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN": "of-the-agent"},
                 "GET /container"),
                ("", {"AWS_WEB_IDENTITY_TOKEN_FILE": str(self.folder / "token"), "AWS_ROLE_ARN": service.role}, "sts AssumeRoleWithWebIdentity"),
                (f'{file}\n  profile = "other"', {}, "TrentService.DescribeKey"),
                (f'{file}\n  profile = "other"\n  {role}', {}, "sts AssumeRole")):
            with self.subTest(asked):
                service.requests.clear()
                (self.folder / "server.hcl").write_text('storage "inmem" {}\nlistener "tcp" {\n  tls_disable = true\n}\nseal "awskms" {\n  '
                                                        f'kms_key_id = "alias/vault-unseal"\n  {settings}\n}}\n')
                told = self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=None, env=where | variables)
                self.assertRegex(told, r"success \] Check Seal")
                self.assertIn(asked, service.requests)
                self.assertIn("TrentService.DescribeKey", service.requests)
        for settings, variables, said in (
                (f'{file}\n  profile = "none"', {}, 'profile: the shared file has no keys of "none"'),
                ("", {"AWS_WEB_IDENTITY_TOKEN_FILE": "/none", "AWS_ROLE_ARN": service.role}, "web_identity_token_file: "),
                ("", {"AWS_WEB_IDENTITY_TOKEN_FILE": str(shared), "AWS_ROLE_ARN": service.role}, "AccessDenied: web_identity_token_file or role_arn is wrong"),
                (f'{file}\n  profile = "other"\n  role_arn = "another"', {}, "AccessDenied: role_arn may not be assumed"),
                ("", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": service.endpoint + "/container"}, "the container has no role that gives keys"),
                ("", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://agent.example/x"}, "must be https://, or on this machine")):
            with self.subTest(said):
                (self.folder / "server.hcl").write_text('storage "inmem" {}\nlistener "tcp" {\n  tls_disable = true\n}\nseal "awskms" {\n  '
                                                        f'kms_key_id = "alias/vault-unseal"\n  {settings}\n}}\n')
                told = self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=None, env=where | variables)
                self.assertIn(said, told)
                self.assertNotIn(kms_stub.SECRET_KEY, told)

    def test_keys_that_end_are_fetched_anew(self):
        service = self.service()
        service.add("alias/vault-unseal")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            del self.environment[name]
        self.environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = service.endpoint
        self.initialized('seal "awskms" {\n  kms_key_id = "alias/vault-unseal"\n}')
        self.assertEqual(len(service.sessions), 1)
        service.ended.update(service.sessions)
        self.shell("vault operator rekey -recovery -init -key-shares=1 -key-threshold=1 -format=json")
        nonce = json.loads(self.stdout)["nonce"]
        for key in self.keys[:2]:
            self.shell(f"vault operator rekey -recovery -nonce={nonce} -key={key}")
        self.assertIn("Key 1:", self.stdout)
        self.assertEqual(len(service.sessions), 2)

    def test_settings_that_are_wrong(self):
        for seal, said in (('kms_key_id = "alias/a"\n  secret_key = "SECRET-B"', "access_key is missing"),
                           ('kms_key_id = "alias/a"\n  web_identity_token_file = "/none"', "role_arn is missing"),
                           ('access_key = "A"\n  secret_key = "B"', "kms_key_id is missing"),
                           ('access_key = "A"\n  kms_key_id = "alias/a"', "secret_key is missing"),
                           ('access_key = "A"\n  secret_key = "SECRET-B"\n  kms_key_id = "alias/a"\n  endpoint = "ftp://x"', "endpoint must be"),
                           ('access_key = "A"\n  secret_key = "SECRET-B"\n  kms_key_id = "alias/a"\n  endpoint = "http://kms.example.com"',
                            "on this machine only"),
                           ('access_key = "A"\n  secret_key = "SECRET-B"\n  kms_key_id = "alias/a"\n  region = "x/y"', "region must be"),
                           ('kms_key_id = "alias/a"\n  profile = ["a"]', "profile")):
            path = self.folder / "wrong.hcl"
            path.write_text('storage "inmem" {}\nlistener "tcp" {\n  tls_disable = true\n}\nseal "awskms" {\n  ' + seal + "\n}\n")
            told = self.shell(f"vault server -config={path}", code=1)
            self.assertIn(said, told)
            self.assertNotIn("SECRET-B", told)


if __name__ == "__main__":
    harness.main()
