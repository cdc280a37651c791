"""Contracts of auth methods, logins and tokens: S4-23…S4-31, S4-66…S4-69, S4-133, S4-142…S4-147, S4-155, and lock-out.

Where a whole transcript is expected, ids, times, tokens and accessors are masked.
"""
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import time
import unittest

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

ALICE = 'vault write auth/userpass/users/alice password="Password123!" token_ttl="1h" token_max_ttl="24h"'
WARNING = """WARNING! The VAULT_TOKEN environment variable is set! Its value goes before
the stored token; unset it, or change its value, if that is not what you want.

"""
STORED = """Success! You are now authenticated. The token below is stored, and later
commands use it: there is no need to run "vault login" again.

"""
ALICES_TOKEN = """Key                    Value
---                    -----
token                  <token>
token_accessor         <accessor>
token_duration         1h
token_renewable        true
token_policies         ["default"]
identity_policies      []
policies               ["default"]
token_meta_username    alice
"""
AUTH_LIST = """Path         Type        Accessor                  Description                Version
----         ----        --------                  -----------                -------
token/       token       auth_token_<id>       token based credentials    n/a
userpass/    userpass    auth_userpass_<id>    n/a                        n/a
"""
ERROR = """{lead}: Error making API request.

URL: {call}
Code: {code}. Errors:

* {text}
"""


def masked(text):
    """Without tokens, accessors, uuids, times, and the ids in mounts' accessors."""
    text = re.sub(r"(token_accessor\s+|wrapping_accessor:\s+|wrapped_accessor:\s+)\S+", r"\1<accessor>", harness.masked(text))
    return re.sub(r"(auth_[a-z]+_)[0-9a-f]{8}", r"\1<id>", text)


def api_error(lead, call, code, text):
    return ERROR.format(lead=lead, call=call.replace(" ", " http://localhost:8200/v1/", 1), code=code, text=text)


class Auth(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()

    def says(self, command, expected, code=0, env=None, stderr=""):
        """The whole transcript of a command, masked."""
        self.shell(command, code=code, env=env)
        self.assertEqual(masked(self.stdout), expected)
        if stderr is not None:
            self.assertEqual(masked(self.stderr), stderr)

    def refuses(self, command, expected, code=2, env=None):
        self.says(command, "", code, env, expected)

    def field(self, command):
        return self.shell(command).strip()

    def alice(self):
        self.shell("vault auth enable userpass")
        self.shell(ALICE)


class Userpass(Auth):
    def test_S4_23_S4_24_enable_and_user(self):
        self.says("vault auth enable userpass", "Success! Enabled userpass auth method at: userpass/\n")
        self.says(ALICE, "Success! Data written to: auth/userpass/users/alice\n")
        self.says("vault list auth/userpass/users", "Keys\n----\nalice\n")
        self.refuses("vault auth enable userpass", api_error("Error enabling userpass auth", "POST sys/auth/userpass", 400,
                                                             "path is already in use at userpass/"))
        self.refuses("vault auth enable nope", api_error("Error enabling nope auth", "POST sys/auth/nope", 400,
                                                         "plugin not found in the catalog: nope"))

    def test_S4_25_login(self):
        self.alice()
        login = "vault login -method=userpass username=alice password=Password123!"
        self.says(login, STORED + ALICES_TOKEN, stderr=WARNING)
        stored = (self.home / ".vault-token").read_text()
        self.assertTrue(stored.startswith("hvs.CAES"))
        self.assertEqual((self.home / ".vault-token").stat().st_mode & 0o777, 0o600)
        self.shell("unset VAULT_TOKEN; vault token lookup -format=json")
        self.assertEqual(json.loads(self.stdout)["data"]["display_name"], "userpass-alice")
        self.says("unset VAULT_TOKEN; " + login, STORED + ALICES_TOKEN)

    def test_login_forms(self):
        self.alice()
        (self.home / ".vault-token").unlink()  # of the dev server
        token_only = self.shell("vault login -method=userpass -token-only username=alice password=Password123!")
        self.assertRegex(token_only, r"^hvs\.CAES[\w-]+$")
        self.assertFalse((self.home / ".vault-token").exists())
        self.says("vault login -method=userpass -no-print username=alice password=Password123!", "", stderr=WARNING)
        (self.home / ".vault-token").unlink()
        self.says("vault login -method=userpass -no-store username=alice password=Password123!",
                  "Success! You are now authenticated.\n\n" + ALICES_TOKEN, stderr=None)
        self.assertFalse((self.home / ".vault-token").exists())
        self.says("vault login -method=userpass -wrap-ttl=60s username=alice password=Password123!", STORED + ALICES_TOKEN, stderr=WARNING)
        wrapping = self.shell("vault login -method=userpass -wrap-ttl=60s -token-only username=alice password=Password123!")
        self.assertIn('"username": "alice"', self.shell(f"vault unwrap -format=json {wrapping}"))
        self.shell("vault auth enable -path=team/people userpass && vault write auth/team/people/users/bob password=x")
        self.assertIn("token_meta_username    bob", self.shell("vault login -method=userpass -path=team/people username=bob password=x"))
        self.refuses("vault login -method=userpass password=x", "Error authenticating: 'username' must be specified\n")
        self.refuses("vault login -method=userpass -no-print -no-store username=a password=b",
                     "-no-store and -no-print cannot be used together\n", 1)
        self.refuses("vault login -method=nope a=b", 'Unknown auth method: nope. Use "vault auth list" to see what is enabled; some\n'
                                                     "methods can be used over the HTTP API only.\n", 1)
        self.refuses("vault login -method=userpass username=alice password=bad",
                     api_error("Error authenticating", "PUT auth/userpass/login/alice", 400, "invalid username or password"))

    def test_password_is_asked_for_and_hidden(self):
        self.alice()
        self.assertEqual(self.shell("vault login -method=userpass username=alice </dev/null", code=2),
                         "Password (will be hidden): \nError authenticating: a password can be asked for on a terminal only: "
                         "file descriptor 0 is not a terminal\n")
        master, slave = pty.openpty()
        process = subprocess.Popen(["vault", "login", "-method=userpass", "-token-only", "username=alice"], stdin=slave, stdout=slave,
                                   stderr=slave, env=self.environment, cwd=self.folder)
        os.close(slave)
        seen = b""

        def read_until(condition):
            nonlocal seen
            deadline = time.monotonic() + 20
            while not condition() and time.monotonic() < deadline:
                if select.select([master], [], [], 0.1)[0]:
                    try:
                        seen += os.read(master, 4096)
                    except OSError:
                        return
        read_until(lambda: b"(will be hidden): " in seen)
        os.write(master, b"Password123!\n")
        read_until(lambda: b"hvs." in seen)
        self.assertEqual(process.wait(timeout=20), 0)
        os.close(master)
        self.assertIn(b"hvs.CAES", seen)
        self.assertNotIn(b"Password123!", seen)

    def test_S4_26_S4_69_default_does_not_read_secrets(self):
        self.shell("vault kv put secret/my-app/database username=a password=b")
        self.alice()
        token = self.field("vault login -method=userpass -token-only username=alice password=Password123!")
        output = self.shell("vault kv get secret/my-app/database", code=2, env={"VAULT_TOKEN": token})
        self.assertIn("permission denied", output)

    def test_S4_66_S4_68_policies(self):
        self.shell("vault secrets enable -path=team-alpha -version=2 kv && vault kv put team-alpha/api-key key=1")
        self.shell("""vault policy write team-alpha-reader - <<'EOF'
path "team-alpha/data/*" { capabilities = ["read", "list"] }
EOF""")
        self.alice()
        self.says('vault write auth/userpass/users/alice token_policies="team-alpha-reader"',
                  "Success! Data written to: auth/userpass/users/alice\n")
        rows = self.table(self.shell("vault read auth/userpass/users/alice"))
        self.assertEqual((rows["token_ttl"], rows["token_max_ttl"], rows["token_policies"]), ("1h", "24h", "[team-alpha-reader]"))
        self.shell("unset VAULT_TOKEN; vault login -method=userpass username=alice password=Password123! && vault kv get team-alpha/api-key")
        self.shell("unset VAULT_TOKEN; vault kv get secret/my-app/database", code=2)

    def test_lockout(self):
        """A name is locked out after five failures, whoever it belongs to and however it is spelt."""
        self.alice()
        for names in (["alice", "Alice", "ALICE"], ["ghost"]):
            answers = [harness.http("POST", "/v1/auth/userpass/login/" + names[i % len(names)], body={"password": "wrong"}) for i in range(7)]
            self.assertEqual(answers, [(400, {"errors": ["invalid username or password"]})] * 5 + [(403, {"errors": ["permission denied"]})] * 2)
        self.refuses("vault login -method=userpass username=alice password=Password123!",
                     api_error("Error authenticating", "PUT auth/userpass/login/alice", 403, "permission denied"))
        locked = json.loads(self.shell("vault read -format=json sys/locked-users"))["data"]
        self.assertEqual(locked["total"], 2)
        mount = locked["by_namespace"][0]["mount_accessors"][0]
        self.assertEqual(mount["alias_identifiers"], ["alice", "ghost"])
        self.says(f"vault write -f sys/locked-users/{mount['mount_accessor']}/unlock/alice",
                  f"Success! Data written to: sys/locked-users/{masked(mount['mount_accessor'])}/unlock/alice\n")
        self.shell("vault login -method=userpass username=alice password=Password123!")
        self.says("vault auth tune -user-lockout-threshold=2 -user-lockout-duration=1m userpass", "Success! Tuned the auth method at: userpass/\n")
        codes = [harness.http("POST", "/v1/auth/userpass/login/bob", body={"password": "wrong"})[0] for _ in range(3)]
        self.assertEqual(codes, [400, 400, 403])

    def test_pre_hashed_password(self):
        self.alice()
        # Of "Password123!", made elsewhere.
        hashed = "$2b$04$kJxSYj77.ih.P5b79jy9qu7vWInwaVfCbpsaB7CdazJDk71lunybe"
        status, _ = harness.http("POST", "/v1/auth/userpass/users/carol", "root", {"password_hash": hashed})
        self.assertEqual(status, 204)
        self.shell("vault login -method=userpass username=carol password=Password123!")
        status, _ = harness.http("POST", "/v1/auth/userpass/users/carol", "root", {"password_hash": "no hash"})
        self.assertEqual(status, 400)


class Methods(Auth):
    def test_list(self):
        self.shell("vault auth enable userpass")
        self.says("vault auth list", AUTH_LIST.replace("_<id>  ", "_<id>  "))
        rows = self.shell("vault auth list -detailed").splitlines()
        self.assertEqual(re.split(r"\s{2,}", rows[0].strip()),
                         ["Path", "Plugin", "Accessor", "Default TTL", "Max TTL", "Token Type", "Replication", "Seal Wrap", "External Entropy Access",
                          "Options", "Description", "UUID", "Version", "Running Version", "Running SHA256", "Deprecation Status"])
        self.assertIn("default-service", rows[3])
        listed = json.loads(self.shell("vault auth list -format=json"))
        self.assertEqual(listed["userpass/"]["config"]["token_type"], "default-service")
        self.refuses("vault auth list x", "Too many arguments (expected 0, got 1)\n", 1)

    def test_enable_with_settings_tune_and_disable(self):
        self.says('vault auth enable -path=team/up -description="for people" -default-lease-ttl=1h -max-lease-ttl=2h -listing-visibility=unauth '
                  "-token-type=batch userpass", "Success! Enabled userpass auth method at: team/up/\n")
        self.says("vault auth tune -description=new -default-lease-ttl=30m -token-type=service -user-lockout-threshold=3 -user-lockout-duration=10m "
                  "-user-lockout-counter-reset-duration=5m -user-lockout-disable=true team/up", "Success! Tuned the auth method at: team/up/\n")
        rows = self.table(self.shell("vault read sys/auth/team/up/tune"))
        for name, value in {"default_lease_ttl": "30m", "max_lease_ttl": "2h", "description": "new", "listing_visibility": "unauth",
                            "token_type": "service"}.items():
            self.assertEqual(rows.get(name), value, name)
        self.says("vault auth disable team/up", "Success! Disabled the auth method (if it existed) at: team/up/\n")
        self.says("vault auth disable nope", "Success! Disabled the auth method (if it existed) at: nope/\n")
        for words in ("enable", "tune", "disable", "help"):
            self.refuses(f"vault auth {words}", "Not enough arguments (expected 1, got 0)\n", 1)
        self.refuses("vault auth move a", "Not enough arguments (expected 2, got 1)\n", 1)

    def test_move(self):
        self.alice()
        self.shell("vault auth move userpass people")
        lines = re.sub(r"migration ID \S+", "migration ID <id>", self.stdout).splitlines()
        self.assertEqual(lines[0], "Started moving auth method userpass/ to people/, with migration ID <id>")
        self.assertEqual(lines[-1], "Success! Finished moving auth method userpass/ to people/, with migration ID <id>")
        self.shell("vault login -method=userpass -path=people username=alice password=Password123!")

    def test_help(self):
        self.assertIn("Usage: vault login -method=userpass [CONFIG K=V...]", self.shell("vault auth help userpass"))
        self.shell("vault auth enable -path=team userpass")
        self.assertIn("Usage: vault login -method=userpass [CONFIG K=V...]", self.shell("vault auth help team/"))
        self.refuses("vault auth help nope", 'No auth method available on the server at "nope/"\n', 1)

    def test_token_capabilities(self):
        self.says("vault token capabilities sys/mounts", "root\n")
        self.shell("vault policy write some - <<'EOF'\npath \"secret/data/a\" { capabilities = [\"read\", \"create\"] }\nEOF")
        token = self.field("vault token create -policy=some -field=token")
        accessor = json.loads(self.shell(f"vault token lookup -format=json {token}"))["data"]["accessor"]
        self.says(f"vault token capabilities {token} secret/data/a", "create, read\n")
        self.says(f"vault token capabilities -accessor {accessor} secret/data/a", "create, read\n")
        self.says("vault token capabilities secret/data/b", "deny\n", env={"VAULT_TOKEN": token})
        batch = self.field("vault token create -type=batch -policy=some -field=token")
        self.says(f"vault token capabilities {batch} secret/data/a", "create, read\n")
        self.refuses("vault token capabilities", "Not enough arguments (expected 1-2, got 0)\n", 1)
        status, body = harness.http("POST", "/v1/sys/capabilities-self", token, {"paths": "secret/data/a,secret/data/b"})
        self.assertEqual((status, body["data"]), (200, {"secret/data/a": ["create", "read"], "secret/data/b": ["deny"]}))

    def test_token_create_flags(self):
        output = self.shell("vault token create -policy=default -ttl=1h -display-name=dn -metadata=a=b -use-limit=3 -explicit-max-ttl=2h -orphan "
                            "-no-default-policy -format=json")
        auth = json.loads(output)["auth"]
        self.assertEqual((auth["orphan"], auth["metadata"], auth["lease_duration"]), (True, {"a": "b"}, 3600))
        shown = json.loads(self.shell(f"vault token lookup -format=json {auth['client_token']}"))["data"]
        self.assertEqual((shown["num_uses"], shown["display_name"], shown["explicit_max_ttl"], shown["policies"]), (3, "token-dn", 7200, ["default"]))
        self.shell("vault write auth/token/roles/app allowed_policies=default orphan=true token_period=1h")
        auth = json.loads(self.shell("vault token create -role=app -format=json"))["auth"]
        self.assertEqual((auth["orphan"], auth["lease_duration"], auth["policies"]), (True, 3600, ["default"]))
        self.assertIn("unknown role nope", self.shell("vault token create -role=nope", code=2))
        self.assertIn("'entity_alias' is only allowed in combination with token role", self.shell("vault token create -entity-alias=x", code=2))
        self.assertIn("batch tokens cannot be root tokens", self.shell("vault token create -type=batch", code=2))
        self.assertIn("invalid 'token_type' value", self.shell("vault token create -type=nope", code=2))
        mine = self.shell("vault token create -id=my-own-token -period=1h -field=token")
        self.assertEqual(mine, "my-own-token")


class Approle(Auth):
    def setUp(self):
        super().setUp()
        self.says("vault auth enable approle", "Success! Enabled approle auth method at: approle/\n")

    def test_S4_27_to_S4_31_and_S4_67(self):
        self.says('vault write auth/approle/role/my-app secret_id_ttl="24h" token_ttl="1h" token_max_ttl="24h" policies="default"',
                  "Success! Data written to: auth/approle/role/my-app\n")
        self.says("vault read auth/approle/role/my-app/role-id", "Key        Value\n---        -----\nrole_id    <uuid>\n")
        role_id = self.field("vault read -field=role_id auth/approle/role/my-app/role-id")
        self.says("vault write -f auth/approle/role/my-app/secret-id", """Key                   Value
---                   -----
secret_id             <uuid>
secret_id_accessor    <uuid>
secret_id_num_uses    0
secret_id_ttl         24h
""")
        secret_id = self.field("vault write -f -field=secret_id auth/approle/role/my-app/secret-id")
        self.says(f'vault write auth/approle/login role_id="{role_id}" secret_id="{secret_id}"', """Key                     Value
---                     -----
token                   <token>
token_accessor          <accessor>
token_duration          1h
token_renewable         true
token_policies          ["default"]
identity_policies       []
policies                ["default"]
token_meta_role_name    my-app
""")
        self.shell(f"vault login -method=approle role_id={role_id} secret_id={secret_id}")
        self.says('vault write auth/approle/role/my-app policies="team-alpha-reader"', "Success! Data written to: auth/approle/role/my-app\n")
        rows = self.table(self.shell("vault read auth/approle/role/my-app"))
        self.assertEqual((rows["policies"], rows["token_policies"], rows["token_ttl"], rows["secret_id_ttl"]),
                         ("[team-alpha-reader]", "[team-alpha-reader]", "1h", "24h"))

    def test_S4_133_curl(self):
        self.shell("vault write auth/approle/role/my-app token_ttl=1h")
        role_id = self.field("vault read -field=role_id auth/approle/role/my-app/role-id")
        secret_id = self.field("vault write -f -field=secret_id auth/approle/role/my-app/secret-id")
        output = self.shell(r'curl -s --request POST --data "{\"role_id\":\"$ROLE_ID\",\"secret_id\":\"$SECRET_ID\"}" '
                            r'"$VAULT_ADDR/v1/auth/approle/login"', env={"ROLE_ID": role_id, "SECRET_ID": secret_id})
        answer = json.loads(output)
        self.assertEqual(set(answer["auth"]), {"client_token", "accessor", "policies", "token_policies", "metadata", "lease_duration", "renewable",
                                               "entity_id", "token_type", "orphan", "mfa_requirement", "num_uses"})
        self.assertEqual(answer["auth"]["lease_duration"], 3600)
        token = answer["auth"]["client_token"]
        self.assertEqual(harness.http("GET", "/v1/auth/token/lookup-self", token)[1]["data"]["display_name"], "approle")

    def test_S4_142_to_S4_147(self):
        self.shell("vault kv put secret/myapp/config user=a")
        self.shell("""vault policy write myapp-policy - <<'EOF'
path "database/creds/myapp-role" {
  capabilities = ["read"]
}
path "secret/data/myapp/config" {
  capabilities = ["read"]
}
EOF""")
        self.assertEqual(self.stdout, "Success! Uploaded policy: myapp-policy\n")
        self.shell("""vault write auth/approle/role/myapp-service secret_id_ttl="24h" token_ttl="1h" policies="myapp-policy"
ROLE_ID=$(vault read -field=role_id auth/approle/role/myapp-service/role-id)
SECRET_ID=$(vault write -f -field=secret_id auth/approle/role/myapp-service/secret-id)
APP_TOKEN=$(vault write -field=token auth/approle/login role_id="$ROLE_ID" secret_id="$SECRET_ID")
unset VAULT_TOKEN
vault read -address="$VAULT_ADDR" -token="$APP_TOKEN" secret/data/myapp/config""")
        self.assertIn("map[user:a]", self.stdout)

    def test_S4_155_wrapped_secret_id(self):
        self.shell("vault write auth/approle/role/my-app token_ttl=1h")
        self.shell("vault write -wrap-ttl=60s -f auth/approle/role/my-app/secret-id")
        rows = self.table(self.stdout)
        self.assertEqual(list(rows)[2:], ["wrapping_token:", "wrapping_accessor:", "wrapping_token_ttl:", "wrapping_token_creation_time:",
                                          "wrapping_token_creation_path:"])
        self.assertEqual(rows["wrapping_token_ttl:"], "1m")
        self.assertEqual(rows["wrapping_token_creation_path:"], "auth/approle/role/my-app/secret-id")
        secret_id = self.field(f"vault unwrap -field=secret_id {rows['wrapping_token:']}")
        role_id = self.field("vault read -field=role_id auth/approle/role/my-app/role-id")
        self.shell(f"vault write auth/approle/login role_id={role_id} secret_id={secret_id}")
        self.shell(f"vault unwrap {rows['wrapping_token:']}", code=2)

    def test_answers(self):
        """Vault's texts and codes of what goes wrong."""
        self.shell("vault write auth/approle/role/app secret_id_num_uses=3 secret_id_ttl=1h")
        for path, body, code, text in [
                ("login", {"role_id": "x", "secret_id": "y"}, 400, "invalid role or secret ID"),
                ("login", {"role_id": "x"}, 400, "missing secret_id"),
                ("login", {"secret_id": "x"}, 400, "missing role_id"),
                ("role/app/secret-id", {"num_uses": 4}, 400, "num_uses cannot be higher than the role's secret_id_num_uses"),
                ("role/app/secret-id", {"ttl": "2h"}, 400, "ttl cannot be longer than the role's secret_id_ttl"),
                ("role/none/secret-id", {}, 404, 'role "none" does not exist'),
                ("role/app/custom-secret-id", {}, 400, "missing secret_id"),
                ("role/app/secret-id/lookup", {}, 400, "missing secret_id"),
                ("role/app/secret-id-accessor/lookup", {"secret_id_accessor": "x"}, 404, "failed to find accessor entry for secret_id_accessor"),
                ("role/app/local-secret-ids", {}, 405, "1 error occurred:\n\t* unsupported operation\n\n"),
                ("role/none/period", {"period": "1h"}, 404, "1 error occurred:\n\t* unsupported path\n\n"),
                ("role/app", {"local_secret_ids": True}, 400, "local_secret_ids can only be modified during role creation"),
                ("role/open", {"bind_secret_id": False}, 400, "at least one constraint should be enabled on the role")]:
            with self.subTest(path=path, body=body):
                self.assertEqual(harness.http("POST", "/v1/auth/approle/" + path, "root", body), (code, {"errors": [text]}))
        status, body = harness.http("POST", "/v1/auth/approle/tidy/secret-id", "root", {})
        self.assertEqual(status, 202)
        self.assertEqual(len(body["warnings"]), 1)


class OverGrpc(Auth):
    def test_logins(self):
        messages, services = coffer_grpc.load("auth")
        with grpc.insecure_channel("127.0.0.1:8210") as channel:
            stub = services.AuthMethodsStub(channel)
            root = [("x-vault-token", "root")]
            for kind in ("userpass", "approle"):
                stub.EnableMethod(messages.EnableMethodRequest(path=kind, type=kind), metadata=root, timeout=20)
            self.assertIn("approle/", stub.ListMethods(messages.ListMethodsRequest(), metadata=root, timeout=20).mounts)
            self.shell(ALICE + " && vault write auth/approle/role/app role_id=app token_ttl=1h")
            auth = stub.LoginUserpass(messages.LoginUserpassRequest(username="alice", password="Password123!"), timeout=20)
            self.assertEqual((list(auth.policies), auth.lease_duration_seconds, auth.orphan), (["default"], 3600, True))
            made = stub.MakeSecretId(messages.MakeSecretIdRequest(role="app", num_uses=1, ttl="1h", metadata={"team": "a"}), metadata=root, timeout=20)
            self.assertEqual((made.num_uses, made.ttl_seconds), (1, 3600))
            login = messages.LoginAppRoleRequest(role_id="app", secret_id=made.secret_id)
            auth = stub.LoginAppRole(login, timeout=20)
            self.assertEqual(json.loads(auth.metadata_json), {"role_name": "app", "team": "a"})
            with self.assertRaises(grpc.RpcError) as refused:
                stub.LoginAppRole(login, timeout=20)
            self.assertEqual(refused.exception.details(), "invalid role or secret ID")
            stub.DisableMethod(messages.DisableMethodRequest(path="approle"), metadata=root, timeout=20)
            self.assertNotIn("approle/", stub.ListMethods(messages.ListMethodsRequest(), metadata=root, timeout=20).mounts)


if __name__ == "__main__":
    harness.main()
