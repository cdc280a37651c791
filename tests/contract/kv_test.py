"""Contracts of the key-value store beyond the first steps: S4-08, S4-40, S4-41, S4-43…S4-50, S4-131, D-6, D-8, D-9; the upgrade of version 1, and every command
of `kv` with its words and exit codes."""
import json
import os
import pty
import signal
import subprocess
import threading
from http import server as web

import harness
from harness import http, masked

VERSION_1 = (
    "====== Version 1 ======\n"
    "Key              Value\n"
    "---              -----\n"
    "created_time     <time>\n"
    "deletion_time    n/a\n"
    "destroyed        false\n")


class Kv(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()

    def ran(self, command, stdout, code=0, env=None):
        """The whole of stdout."""
        self.shell(command, code=code, env=env)
        self.assertEqual(masked(self.stdout), stdout, f"$ {command}\n{self.stderr}")

    def failed(self, command, text, code=2, env=None):
        """The whole of stderr."""
        self.shell(command, code=code, env=env)
        self.assertEqual(self.stdout, "")
        self.assertEqual(masked(self.stderr), text)

    def data(self, path, version=""):
        flag = f"-version={version} " if version else ""
        return json.loads(self.shell(f"vault kv get {flag}-format=json {path}"))["data"]["data"]

    def policy(self, name, text):
        http("PUT", f"/v1/sys/policies/acl/{name}", "root", {"policy": text})
        return http("POST", "/v1/auth/token/create", "root", {"policies": [name]})[1]["auth"]["client_token"]

    # The guide.

    def test_S4_08_D6_list_of_a_leaf(self):
        self.shell('vault kv put secret/my-app/database username="app_user"')
        self.ran("vault kv list secret/my-app/database", "Keys\n----\n1\n")
        self.shell('vault kv put secret/my-app/database username="app_user"')
        self.ran("vault kv list secret/my-app/database", "Keys\n----\n1\n2\n")
        self.assertEqual(http("LIST", "/v1/secret/metadata/my-app/database", "root"), (404, {"errors": []}))
        self.failed("vault kv list secret/none", "No value found at secret/metadata/none\n")

    def test_S4_40_S4_41_teams(self):
        for path in ("team-alpha", "team-beta", "shared"):
            self.ran(f"vault secrets enable -path={path} -version=2 kv", f"Success! Enabled the kv secrets engine at: {path}/\n")
        metadata = ("======= Metadata =======\nKey                Value\n---                -----\ncreated_time       <time>\ncustom_metadata    <nil>\n"
                    "deletion_time      n/a\ndestroyed          false\nversion            1\n")
        self.ran('vault kv put team-alpha/api-key key="a1b2c3"', "===== Secret Path =====\nteam-alpha/data/api-key\n\n" + metadata)
        self.ran('vault kv put team-beta/api-key key="d4e5f6"', "===== Secret Path =====\nteam-beta/data/api-key\n\n" + metadata)
        self.ran('vault kv put shared/ca-certificate cert="-----BEGIN CERTIFICATE-----..."',
                 "======= Secret Path =======\nshared/data/ca-certificate\n\n" + metadata)
        self.ran("vault kv get -field=cert shared/ca-certificate", "-----BEGIN CERTIFICATE-----...")

    def shared(self):
        self.shell('vault secrets enable -path=shared -version=2 kv && vault kv put shared/ca-certificate cert="-----BEGIN CERTIFICATE-----..."')

    def test_S4_43_S4_44_S4_45_delete_undelete_destroy(self):
        self.shared()
        self.ran("vault kv metadata delete shared/ca-certificate", "Success! Data deleted (if it existed) at: shared/metadata/ca-certificate\n")
        self.failed("vault kv get shared/ca-certificate", "No value found at shared/data/ca-certificate\n")
        self.failed("vault kv metadata get shared/ca-certificate", "No value found at shared/metadata/ca-certificate\n")
        self.failed("vault kv list shared", "No value found at shared/metadata\n")
        self.ran("vault kv undelete -versions=1 shared/ca-certificate", "Success! Data written to: shared/undelete/ca-certificate\n")
        self.ran("vault kv get -field=cert shared/ca-certificate", "-----BEGIN CERTIFICATE-----...")
        self.ran("vault kv destroy -versions=1 shared/ca-certificate", "Success! Data written to: shared/destroy/ca-certificate\n")
        status, body = http("GET", "/v1/shared/data/ca-certificate", "root")
        self.assertEqual((status, body["data"]["data"], body["data"]["metadata"]["destroyed"]), (404, None, True))

    def test_S4_46_D8_metadata_destroy(self):
        self.shared()
        self.shell("vault kv metadata delete shared/ca-certificate && vault kv undelete -versions=1 shared/ca-certificate && vault kv get shared/ca-certificate")
        self.ran("vault kv metadata destroy shared/ca-certificate", "Success! Data deleted (if it existed) at: shared/metadata/ca-certificate\n")
        self.ran("vault kv undelete -versions=1 shared/ca-certificate", "Success! Data written to: shared/undelete/ca-certificate\n")
        self.failed("vault kv get shared/ca-certificate", "No value found at shared/data/ca-certificate\n")
        # Deleted first, then destroyed.
        self.shell("vault kv put shared/x a=1 && vault kv metadata delete shared/x && vault kv metadata destroy shared/x && vault kv undelete -versions=1 shared/x")
        self.failed("vault kv get shared/x", "No value found at shared/data/x\n")
        # The same over HTTP.
        self.shell("vault kv put shared/y a=1")
        self.assertEqual(http("DELETE", "/v1/shared/metadata/y?destroy=true", "root"), (204, None))
        http("POST", "/v1/shared/undelete/y", "root", {"versions": [1]})
        self.assertEqual(http("GET", "/v1/shared/data/y", "root"), (404, {"errors": []}))

    def test_D8_put_and_retention(self):
        self.shared()
        self.shell("vault kv put shared/ca-certificate a=2 && vault kv metadata delete shared/ca-certificate")
        self.assertIn("version            1", self.shell("vault kv put shared/ca-certificate a=3"))
        self.shell("vault kv get -version=2 shared/ca-certificate", code=2)
        config = json.loads(self.shell("vault read -format=json shared/config"))["data"]
        self.assertEqual(config, {"cas_required": False, "delete_version_after": "0s", "deleted_metadata_retention": "72h0m0s", "max_versions": 0,
                                  "metadata_cas_required": False})
        self.shell("vault write shared/config deleted_metadata_retention=1s && vault kv metadata delete shared/ca-certificate")
        # Over is over: undelete says the same and brings nothing back.
        def gone():
            self.shell("vault kv undelete -versions=1 shared/ca-certificate")
            back = http("GET", "/v1/shared/data/ca-certificate", "root")[0] == 200
            if back:
                self.shell("vault kv metadata delete shared/ca-certificate")
            return not back
        self.shell("vault write shared/config deleted_metadata_retention=0 && vault kv put shared/now a=1 && vault kv metadata delete shared/now")
        self.shell("vault kv undelete -versions=1 shared/now")
        self.assertEqual(http("GET", "/v1/shared/data/now", "root")[0], 404)
        harness.wait_until(gone, "the retention's end")

    def test_S4_47_to_S4_50_D9_cas_required(self):
        self.shell("vault secrets enable -path=team-alpha -version=2 kv")
        self.ran("vault secrets tune -cas-required=true team-alpha", "Success! Tuned the secrets engine at: team-alpha/\n")
        metadata = ("======= Metadata =======\nKey                Value\n---                -----\ncreated_time       <time>\ncustom_metadata    <nil>\n"
                    "deletion_time      n/a\ndestroyed          false\nversion            {}\n")
        path = "===== Secret Path =====\nteam-alpha/data/config\n\n"
        self.ran('vault kv put team-alpha/config setting="value1"', path + metadata.format(1))
        self.failed('vault kv put team-alpha/config setting="value2"',
                    "Error writing data to team-alpha/data/config: Error making API request.\n\n"
                    "URL: PUT http://localhost:8200/v1/team-alpha/data/config\nCode: 400. Errors:\n\n"
                    "* check-and-set parameter required for this call\n")
        self.ran('vault kv put -cas=1 team-alpha/config setting="value2"', path + metadata.format(2))
        self.failed('vault kv put -cas=1 team-alpha/config setting="value3"',
                    "Error writing data to team-alpha/data/config: Error making API request.\n\n"
                    "URL: PUT http://localhost:8200/v1/team-alpha/data/config\nCode: 400. Errors:\n\n"
                    "* check-and-set parameter did not match the current version\n")
        self.assertEqual(self.data("team-alpha/config"), {"setting": "value2"})
        # Configured in the store, the rule holds for the first write too.
        self.shell("vault secrets enable -path=strict -version=2 kv && vault write strict/config cas_required=true")
        self.assertIn("check-and-set parameter required for this call", self.shell("vault kv put strict/a x=1", code=2))
        self.shell("vault kv put -cas=0 strict/a x=1")
        self.shell("vault secrets tune -cas-required=false team-alpha && vault kv put team-alpha/config setting=free")

    def test_S4_131_fields_as_files(self):
        self.shell("vault kv put secret/my-app/database password='P@ss' && vault kv put secret/my-app/api-key api-key='k-1'")
        self.shell("vault kv get -field=password secret/my-app/database > db-password; vault kv get -field=api-key secret/my-app/api-key > api-key")
        self.assertEqual((self.folder / "db-password").read_bytes(), b"P@ss")
        self.assertEqual((self.folder / "api-key").read_bytes(), b"k-1")

    # Commands and their flags.

    def test_mount_flag_everywhere(self):
        self.shell("vault kv put -mount=secret app a=1 b=2")
        for command in ("get -mount=secret app", "get -mount=secret -version=1 app", "metadata get -mount=secret app", "list -mount=secret", "list -mount=secret -r",
                        "scan -mount=secret", "delete -mount=secret app", "undelete -mount=secret -versions=1 app", "patch -mount=secret app a=2",
                        "rollback -mount=secret -version=1 app", "metadata put -mount=secret -max-versions=5 app",
                        "metadata patch -mount=secret -max-versions=6 app", "diff -mount=secret app", "mv -mount=secret app app2", "cp -mount=secret app2 app",
                        "search -mount=secret app", "export -mount=secret app", "destroy -mount=secret -versions=1 app",
                        "metadata delete -mount=secret app", "metadata destroy -mount=secret app2"):
            self.shell(f"vault kv {command}")

    def test_patch(self):
        self.shell("vault kv put secret/p a=1 b=2")
        for method in ("patch", "rw"):
            self.shell(f"vault kv patch -method={method} secret/p a={method}")
            self.assertEqual(self.data("secret/p"), {"a": method, "b": "2"})
        self.shell("vault kv patch -remove-data=b secret/p c=3")
        self.assertEqual(self.data("secret/p"), {"a": "rw", "c": "3"})
        self.assertIn("check-and-set parameter did not match the current version", self.shell("vault kv patch -cas=1 secret/p a=x", code=2))
        self.shell("vault kv patch -cas=4 secret/p a=x")
        self.failed("vault kv patch -method=merge secret/p a=x", "Unsupported method provided to -method flag: merge\n")
        self.failed("vault kv patch secret/p", "Must supply data\n", code=1)
        self.failed("vault kv patch -method=rw secret/none a=1", "No value found at secret/data/none\n")

    def test_rollback(self):
        self.shell("vault kv put secret/r a=1 && vault kv put secret/r a=2 && vault kv rollback -version=1 secret/r")
        self.assertEqual(self.data("secret/r"), {"a": "1"})
        self.failed("vault kv rollback secret/r", "Version flag must be specified\n", code=1)
        self.failed("vault kv rollback -version=0 secret/r", "Invalid value 0 for the version flag\n", code=1)
        self.shell("vault kv delete -versions=2 secret/r")
        self.failed("vault kv rollback -version=2 secret/r", "Cannot roll back to a version that has been deleted\n")
        self.shell("vault kv destroy -versions=2 secret/r")
        self.shell("vault kv rollback -version=2 secret/r", code=2)

    def test_metadata(self):
        self.ran("vault kv metadata put -max-versions=5 -cas-required -delete-version-after=3h25m19s -custom-metadata=a=1 -custom-metadata=b=2 secret/m",
                 "Success! Data written to: secret/metadata/m\n")
        self.ran("vault kv metadata patch -custom-metadata=c=3 -remove-custom-metadata=a -cas-required=false secret/m",
                 "Success! Data written to: secret/metadata/m\n")
        self.ran("vault kv metadata get secret/m", (
            "= Metadata Path =\nsecret/metadata/m\n\n"
            "========== Metadata ==========\n"
            "Key                     Value\n"
            "---                     -----\n"
            "cas_required            false\n"
            "created_time            <time>\n"
            "current_version         0\n"
            "custom_metadata         map[b:2 c:3]\n"
            "delete_version_after    3h25m19s\n"
            "max_versions            5\n"
            "oldest_version          0\n"
            "updated_time            <time>\n"))
        data = json.loads(self.shell("vault kv metadata get -format=json secret/m"))["data"]
        self.assertEqual((data["current_metadata_version"], data["metadata_cas_required"]), (2, False))
        self.failed("vault kv metadata patch secret/none", "Error writing data to secret/metadata/none: Error making API request.\n\n"
                    "URL: PATCH http://localhost:8200/v1/secret/metadata/none\nCode: 404. Errors:\n\n\n")

    def test_versions_are_deleted_after_their_time(self):
        self.shell("vault kv metadata put -delete-version-after=1s secret/short && vault kv put secret/short a=1")
        self.assertEqual(http("GET", "/v1/secret/data/short", "root")[0], 200)
        harness.wait_until(lambda: http("GET", "/v1/secret/data/short", "root")[0] == 404, "the version's end")

    def test_delete_versions(self):
        self.shell("for i in 1 2 3; do vault kv put secret/d n=$i; done")
        self.ran("vault kv delete -versions=1,2 secret/d", "Success! Data deleted (if it existed) at: secret/data/d\n")
        self.assertEqual(self.data("secret/d"), {"n": "3"})
        self.assertEqual(http("GET", "/v1/secret/data/d?version=1", "root")[0], 404)

    def test_enable_versioning(self):
        self.shell("vault secrets enable -path=old -version=1 kv && vault kv put old/a x=1 ttl=30m && vault kv put old/f/b y=2")
        status, body = http("GET", "/v1/old/a", "root")
        self.assertEqual((status, body["lease_duration"], body["data"]), (200, 1800, {"x": "1", "ttl": "30m"}))
        self.ran("vault kv scan old", "Keys\n----\na\nf/b\n")
        self.ran("vault kv enable-versioning old", "Success! Tuned the secrets engine at: old/\n")
        def done():
            status, body = http("GET", "/v1/old/data/a", "root")
            if status == 200:
                return True
            self.assertEqual((status, body["errors"]), (400, [
                "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly."]))
            return False
        harness.wait_until(done, "the upgrade")
        self.assertEqual(self.data("old/a"), {"x": "1", "ttl": "30m"})
        self.assertEqual(self.data("old/f/b"), {"y": "2"})
        self.assertEqual(http("GET", "/v1/sys/mounts/old", "root")[1]["data"]["options"], {"version": "2"})
        status, body = http("POST", "/v1/sys/mounts/old/tune", "root", {"options": {"version": "1"}})
        self.assertEqual((status, body), (400, {"errors": ["cannot downgrade mount from version 2"]}))
        self.assertEqual(http("POST", "/v1/sys/mounts/old/tune", "root", {"options": {"version": "3"}})[0], 400)
        self.assertEqual(http("POST", "/v1/sys/mounts/old/tune", "root", {"options": {"upgrading": "true"}})[0], 400)

    def test_upgrade_warns(self):
        self.shell("vault secrets enable -path=old -version=1 kv")
        status, body = http("POST", "/v1/sys/mounts/old/tune", "root", {"options": {"version": "2"}})
        self.assertEqual((status, body["warnings"]), (200, [
            "Upgrading mount from version 1 to version 2. This mount will be unavailable for a brief period and will resume service shortly."]))

    def test_scan_and_recursive_list(self):
        self.shell("for p in a f/b f/g/c; do vault kv put secret/$p n=1; done")
        for command in ("scan", "list -r", "list -recursive"):
            self.ran(f"vault kv {command} secret", "Keys\n----\na\nf/b\nf/g/c\n")
        self.ran("vault kv scan secret/f", "Keys\n----\nb\ng/c\n")
        self.ran("vault kv scan -format=json secret/f", '[\n  "b",\n  "g/c"\n]\n')
        self.failed("vault kv scan secret/none", "No entries found at secret/metadata/none\n")
        self.assertEqual(http("SCAN", "/v1/secret/metadata/f", "root")[1]["data"], {"keys": ["b", "g/c"]})
        self.assertEqual(http("GET", "/v1/secret/metadata/?scan=true&limit=1&after=a", "root")[1]["data"], {"keys": ["f/b"]})
        # Without the capability the command lists folder by folder.
        token = self.policy("lister", 'path "secret/metadata/*" { capabilities = ["list"] }')
        self.assertEqual(http("SCAN", "/v1/secret/metadata/f", token)[0], 403)
        self.ran("vault kv scan secret", "Keys\n----\na\nf/b\nf/g/c\n", env={"VAULT_TOKEN": token})
        token = self.policy("scanner", 'path "secret/metadata/f/*" { capabilities = ["scan"] }')
        self.assertEqual(http("SCAN", "/v1/secret/metadata/f", token)[0], 200)
        self.assertEqual(http("LIST", "/v1/secret/metadata/f", token)[0], 403)

    def test_detailed_list_and_pages(self):
        self.shell("for p in a b f/c; do vault kv put secret/$p n=1; done")
        data = http("LIST", "/v1/secret/detailed-metadata/", "root")[1]["data"]
        self.assertEqual(data["keys"], ["a", "b", "f/"])
        self.assertEqual((data["key_info"]["f/"], data["key_info"]["a"]["current_version"]), ({}, 1))
        self.assertEqual(http("GET", "/v1/secret/metadata/?list=true&limit=1&after=a", "root")[1]["data"], {"keys": ["b"]})
        self.assertEqual(http("SCAN", "/v1/secret/detailed-metadata/", "root")[1]["data"]["keys"], ["a", "b", "f/c"])

    def test_filtered_list(self):
        self.shell("for p in team/a other/b top hidden; do vault kv put secret/$p n=1; done")
        token = self.policy("filtered", 'path "secret/metadata/*" { capabilities = ["list", "scan"] }\npath "secret/data/team/*" { capabilities = ["read"] }\n'
                            'path "secret/data/top" { capabilities = ["read"] }\npath "secret/data/hidden" { capabilities = ["deny"] }')
        self.assertEqual(http("LIST", "/v1/secret/metadata/", token)[1]["data"]["keys"], ["hidden", "other/", "team/", "top"])
        self.shell("vault secrets tune -options=filter_list=acl secret")
        self.assertEqual(http("LIST", "/v1/secret/metadata/", token)[1]["data"]["keys"], ["team/", "top"])
        self.assertEqual(http("SCAN", "/v1/secret/metadata/", token)[1]["data"]["keys"], ["team/a", "top"])
        self.assertEqual(http("LIST", "/v1/secret/metadata/", "root")[1]["data"]["keys"], ["hidden", "other/", "team/", "top"])
        self.assertEqual(http("POST", "/v1/sys/mounts/secret/tune", "root", {"options": {"filter_list": "some"}})[0], 400)

    def test_search(self):
        self.shell("for p in app/Database app/api other; do vault kv put secret/$p n=needle; done; vault kv metadata put -custom-metadata=owner='database team' secret/other;"
                   "vault secrets enable -path=more -version=2 kv; vault kv put more/database a=1; vault secrets enable -path=one -version=1 kv")
        self.ran("vault kv search -mount=secret database", "Keys\n----\nsecret/app/Database\nsecret/other\n")
        self.ran("vault kv search database", "Keys\n----\nmore/database\nsecret/app/Database\nsecret/other\n")
        self.failed("vault kv search needle", "No secrets found\n")
        token = self.policy("searcher", 'path "sys/search" { capabilities = ["read"] }\npath "secret/search" { capabilities = ["read"] }\n'
                            'path "secret/data/app/*" { capabilities = ["read"] }\npath "more/*" { capabilities = ["read"] }')
        self.ran("vault kv search -mount=secret database", "Keys\n----\nsecret/app/Database\n", env={"VAULT_TOKEN": token})
        self.ran("vault kv search database", "Keys\n----\nmore/database\nsecret/app/Database\n", env={"VAULT_TOKEN": token})
        self.assertEqual(http("GET", "/v1/sys/search?q=x", self.policy("nothing", ""))[0], 403)
        self.assertEqual(http("GET", "/v1/secret/search", "root")[0], 400)

    def test_batch(self):
        self.shell("vault kv put secret/a n=1 && vault kv put secret/b n=2 && vault write cubbyhole/mine x=1")
        token = self.policy("batcher", 'path "sys/batch" { capabilities = ["update"] }\npath "secret/data/a" { capabilities = ["read"] }')
        status, body = http("POST", "/v1/sys/batch", token, {"paths": ["secret/data/a", "secret/data/b", "none/x", "sys/mounts", "cubbyhole/mine"]})
        answers = body["data"]["answers"]
        self.assertEqual(status, 200)
        self.assertEqual((answers["secret/data/a"]["status"], answers["secret/data/a"]["data"]["data"]), (200, {"n": "1"}))
        denied = {"data": None, "errors": ["1 error occurred:\n\t* permission denied\n\n"], "lease_duration": 0, "status": 403, "warnings": []}
        for path in ("secret/data/b", "none/x", "sys/mounts"):
            self.assertEqual(answers[path], denied)
        self.assertEqual(answers["cubbyhole/mine"]["status"], 404)  # each token's own
        answers = http("POST", "/v1/sys/batch", "root", {"paths": ["secret/data/b", "secret/data/none", "secret/config", "cubbyhole/mine"]})[1]["data"]["answers"]
        self.assertEqual([answers[p]["status"] for p in answers], [200, 404, 200, 200])
        for bad in ({}, {"paths": []}, {"paths": ["a/b"] * 2}, {"paths": [f"secret/data/{n}" for n in range(129)]}, {"paths": ["secret/data/../x"]},
                    {"paths": "secret/metadata/"}, {"paths": [1]}, {"paths": {}}):
            self.assertEqual(http("POST", "/v1/sys/batch", "root", bad)[0], 400, bad)
        self.assertEqual(http("POST", "/v1/sys/batch", self.policy("nothing", ""), {"paths": ["secret/data/a"]})[0], 403)

    def test_move_and_copy(self):
        self.shell("vault kv put secret/app/db a=1 && vault kv put secret/app/db a=2 && vault kv metadata put -custom-metadata=o=me secret/app/db && vault kv put secret/app/web b=1")
        self.ran("vault kv cp secret/app/db secret/copy", "Success! Copied secret/app/db to: secret/copy\n")
        self.assertEqual(self.data("secret/copy", 1), {"a": "1"})
        self.failed("vault kv cp secret/app/db secret/copy",
                    "Error writing data to secret/copy/app/db: Error making API request.\n\nURL: PUT http://localhost:8200/v1/secret/copy/app/db\n"
                    'Code: 400. Errors:\n\n* there is a secret already where this one goes; "overwrite" replaces it\n')
        self.ran("vault kv cp -overwrite secret/app/db secret/copy", "Success! Copied secret/app/db to: secret/copy\n")
        self.shell("vault secrets enable -path=team -version=2 kv")
        self.ran("vault kv mv -r secret/app team/new", "Success! Moved secret/app/db to: team/new/db\nSuccess! Moved secret/app/web to: team/new/web\n")
        self.assertEqual(self.data("team/new/db", 2), {"a": "2"})
        self.assertEqual(json.loads(self.shell("vault kv metadata get -format=json team/new/db"))["data"]["custom_metadata"], {"o": "me"})
        self.failed("vault kv list secret/app", "No value found at secret/metadata/app\n")
        self.ran("vault kv mv team/new/db team/", "Success! Moved team/new/db to: team/db\n")
        self.failed("vault kv mv secret/none secret/x", "No value found at secret/data/none\n")
        self.failed("vault kv mv -r secret secret/below", "A folder cannot go into itself\n", code=1)
        self.shell("vault secrets enable -path=one -version=1 kv")
        self.failed("vault kv mv team/db one/db", "K/V engine mount must be version 2 for move support\n")

    def test_move_needs_every_capability(self):
        self.shell("vault kv put secret/a n=1; vault secrets enable -path=team -version=2 kv")
        rules = {'secret/move/a': "update", "secret/data/a": "read", "secret/metadata/a": "read\", \"delete", "team/data/b": "create", "team/metadata/b": "create"}
        def text(rules):
            return "\n".join(f'path "{path}" {{ capabilities = ["{caps}"] }}' for path, caps in rules.items())
        body = {"to": "b", "mount": "team"}
        for left_out in rules:
            token = self.policy("m", text({p: c for p, c in rules.items() if p != left_out}))
            self.assertEqual(http("POST", "/v1/secret/move/a", token, body)[0], 403, left_out)
            self.assertEqual(http("GET", "/v1/secret/data/a", "root")[0], 200)
            self.assertEqual(http("GET", "/v1/team/data/b", "root")[0], 404)
        token = self.policy("m", text(rules))
        self.assertEqual(http("POST", "/v1/secret/move/a", token, body)[0], 200)
        self.assertEqual(http("GET", "/v1/team/data/b", "root")[0], 200)
        self.assertEqual(http("GET", "/v1/secret/data/a", "root")[0], 404)

    def test_export_import(self):
        self.shell("vault kv put secret/app a=1 && vault kv put secret/app/db user=u password='p\"$`\\ #x' && vault kv put secret/app/n/k text=$'line 1\\nline 2\\n'")
        expected = {".": {"a": "1"}, "db": {"user": "u", "password": 'p"$`\\ #x'}, "n/k": {"text": "line 1\nline 2\n"}}
        self.assertEqual(json.loads(self.shell("vault kv export secret/app")), expected)
        self.shell("vault kv export -file=out.yaml secret/app && vault kv export -file=out.json secret/app")
        self.assertEqual(oct((self.folder / "out.yaml").stat().st_mode & 0o777), "0o600")
        for name in ("yaml", "json"):
            self.ran(f"vault kv import secret/{name} out.{name}",
                     f"Success! Data written to: secret/data/{name}\nSuccess! Data written to: secret/data/{name}/db\nSuccess! Data written to: secret/data/{name}/n/k\n")
            self.assertEqual(json.loads(self.shell(f"vault kv export secret/{name}")), expected)
        self.assertIn("check-and-set parameter did not match", self.shell("vault kv import secret/json out.json", code=2))
        self.shell("vault kv import -overwrite secret/json out.json")
        self.shell("vault kv export -as=dotenv -file=db.env secret/app/db")
        self.shell('. ./db.env; printf "%s" "$password"')
        self.assertEqual(self.stdout, 'p"$`\\ #x')
        self.shell("vault kv import secret/env db.env")
        self.assertEqual(self.data("secret/env"), expected["db"])
        self.shell("vault kv import -as=json secret/bad -", stdin='{"a":1}', code=1)
        self.failed("vault kv export secret/none", "No value found at secret/metadata/none\n")

    def test_an_exported_file_is_private_and_whole(self):
        self.shell("vault kv put secret/e a=canary")
        path = self.folder / "out.yaml"
        path.write_text("old")
        path.chmod(0o644)
        self.shell("vault kv export -file=out.yaml secret/e")
        self.assertEqual(path.stat().st_mode & 0o7777, 0o600)
        self.assertIn("canary", path.read_text())
        (self.folder / "link.yaml").symlink_to("elsewhere")
        self.shell("vault kv export -file=link.yaml secret/e")
        self.assertFalse((self.folder / "elsewhere").exists())
        self.assertFalse((self.folder / "link.yaml").is_symlink())
        for where in ("-file=/dev/full secret/e", "secret/e >/dev/full", "-file=/nowhere/x secret/e"):
            self.assertIn("Error writing", self.shell(f"vault kv export {where}", code=2))

    def test_a_page_that_fails_is_not_the_end(self):
        class Failing(web.BaseHTTPRequestHandler):
            def do_GET(self):
                body = {"request_id": "x", "data": {"keys": [f"app{n:05}" for n in range(10000)]}}
                code = 200
                if "ui/mounts" in self.path:
                    body["data"] = {"path": "secret/", "options": {"version": "2"}, "type": "kv"}
                elif "after=" in self.path:
                    code, body = 500, {"errors": ["storage is behind"]}
                elif "/data/" in self.path:
                    body["data"] = {"data": {"a": "b"}, "metadata": {"version": 1}}
                text = json.dumps(body).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass
        server = web.ThreadingHTTPServer(("127.0.0.1", 0), Failing)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = {"VAULT_ADDR": f"http://127.0.0.1:{server.server_address[1]}"}
        for command in ("kv scan secret/", "kv export secret/", "kv cp -r secret/ secret/other/"):
            with self.subTest(command=command):
                self.shell(f"vault {command}", code=2 if command != "kv cp -r secret/ secret/other/" else None, env=address)
                self.assertIn("storage is behind", self.stderr)

    def test_nothing_of_an_edit_is_left(self):
        self.shell("vault kv put secret/d a=canary")
        backup = self.folder / "editor"
        backup.write_text('#!/bin/sh\ncp "$1" "$1~"; mkdir "$(dirname "$1")/more"; cp "$1" "$(dirname "$1")/more/.swp"; sed -i s/canary/other/ "$1"\n')
        backup.chmod(0o755)
        self.shell("vault kv edit secret/d", env={"EDITOR": str(backup)})

        def left():
            return [name for name in os.listdir("/dev/shm") if name.startswith("edit-")]
        self.assertEqual(left(), [])
        started, editor = self.folder / "started", self.folder / "waits"
        editor.write_text(f'#!/bin/sh\necho $$ > {started}.new; mv {started}.new {started}\nexec sleep 60\n')
        editor.chmod(0o755)
        for how in (signal.SIGTERM, signal.SIGHUP):
            started.unlink(missing_ok=True)
            command = subprocess.Popen([harness.VAULT, "kv", "edit", "secret/d"], env=dict(self.environment, EDITOR=f"exec {editor}"), stderr=subprocess.DEVNULL)
            harness.wait_until(started.exists, "the editor")
            self.assertEqual(len(left()), 1)
            command.send_signal(signal.SIGINT)  # the editor's own affair
            command.send_signal(how)
            self.assertEqual(command.wait(timeout=20), 2)
            self.assertEqual(left(), [])

    def test_diff_and_edit(self):
        self.shell("vault kv put secret/d a=1 b=2 c=3 && vault kv put secret/d a=1 b=9 d=4")
        self.ran("vault kv diff secret/d", "Key    Version 1    Version 2\n---    ---------    ---------\nb      2            9\nc      3            <none>\nd      <none>       4\n")
        self.ran("vault kv diff -versions=2,2 secret/d", "No differences\n")
        self.assertEqual(json.loads(self.shell("vault kv diff -format=json secret/d"))["b"], {"before": "2", "after": "9"})
        self.failed("vault kv diff -versions=1 secret/d", 'The "-versions" flag takes two versions, as in -versions=1,2.\n', code=1)
        editor = {"EDITOR": "sed -i s/9/10/"}
        self.shell("vault kv edit secret/d", env=editor)
        self.assertEqual(self.data("secret/d"), {"a": "1", "b": "10", "d": "4"})
        self.ran("vault kv edit secret/d", "No changes\n", env={"EDITOR": "true"})
        self.shell("vault kv edit secret/d", env={"EDITOR": "false"}, code=2)
        self.shell("vault kv edit secret/d", env={"EDITOR": "echo x >"}, code=2)
        self.assertEqual(self.data("secret/d"), {"a": "1", "b": "10", "d": "4"})
        self.shell("vault kv edit secret/fresh", env={"EDITOR": "sh -c 'echo {\\\"n\\\":1} > \"$1\"' x"})
        self.assertEqual(self.data("secret/fresh"), {"n": 1})
        self.assertEqual([name for name in os.listdir("/dev/shm") if name.startswith("edit-")] if os.path.isdir("/dev/shm") else [], [])

    def test_put_warns_of_lost_keys_at_a_terminal(self):
        self.shell("vault kv put secret/g a=1 b=2")
        def put(arguments):
            ours, theirs = pty.openpty()
            done = subprocess.run(["vault", "kv", "put", *arguments], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=self.environment, timeout=30)
            os.close(theirs)
            text = b""
            try:
                while chunk := os.read(ours, 4096):
                    text += chunk
            except OSError:
                pass
            os.close(ours)
            self.assertEqual(done.returncode, 0)
            return text.decode()
        self.assertIn("no longer in the secret: b.", put(["secret/g", "a=1"]))
        self.assertEqual(put(["secret/g", "a=2"]), "")
        self.assertEqual(put(["-replace", "secret/g", "x=1"]), "")
        self.shell("vault kv put secret/g y=1")
        self.assertEqual(self.stderr, "")

    def test_who_wrote(self):
        self.shell("vault kv put secret/w a=1")
        versions = http("GET", "/v1/secret/metadata/w", "root")[1]["data"]["versions"]
        self.assertEqual(versions["1"]["created_by"]["display_name"], "root")
        self.shell("vault kv metadata get secret/w")
        self.assertTrue(masked(self.stdout).endswith(VERSION_1))

    def test_metadata_cas(self):
        self.assertEqual(http("POST", "/v1/secret/metadata/c", "root", {"max_versions": 3, "metadata_cas": 0})[0], 204)
        self.assertEqual(http("POST", "/v1/secret/metadata/c", "root", {"max_versions": 4, "metadata_cas": 0}),
                         (400, {"errors": ["metadata check-and-set parameter does not match the current version"]}))
        self.assertEqual(http("POST", "/v1/secret/config", "root", {"metadata_cas_required": True})[0], 204)
        self.assertEqual(http("POST", "/v1/secret/metadata/c", "root", {"max_versions": 4}),
                         (400, {"errors": ["metadata check-and-set parameter required for this call"]}))
        self.assertEqual(http("POST", "/v1/secret/metadata/c", "root", {"max_versions": 4, "metadata_cas": 1})[0], 204)

    def test_in_a_namespace(self):
        def call(method, path, body=None):
            return http(method, f"/v1/{path}", "root", body, headers={"X-Vault-Namespace": "team"})
        self.assertEqual(http("POST", "/v1/sys/namespaces/team", "root", {})[0], 200)
        self.assertEqual(call("POST", "sys/mounts/kv", {"type": "kv"})[0], 204)
        self.assertEqual(call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})[0], 204)
        self.shell("vault kv put secret/outside needle=1")
        call("POST", "kv/needle", {"a": 1})
        self.assertEqual(call("POST", "sys/mounts/kv/tune", {"options": {"version": "2"}})[0], 200)
        harness.wait_until(lambda: call("GET", "kv/data/needle")[0] == 200, "the upgrade in a namespace")
        call("POST", "secret/data/needle/x", {"data": {"a": 2}})
        self.assertEqual(call("GET", "sys/search?q=needle")[1]["data"]["keys"], ["kv/needle", "secret/needle/x"])
        self.assertEqual(call("POST", "secret/move/needle/x", {"to": "y", "mount": "kv"})[0], 200)
        answers = call("POST", "sys/batch", {"paths": ["kv/data/y", "secret/data/outside"]})[1]["data"]["answers"]
        self.assertEqual([answers[p]["status"] for p in answers], [200, 404])
        self.assertEqual(http("GET", "/v1/secret/data/y", "root")[0], 404)
        call("DELETE", "kv/metadata/y")
        self.assertEqual(call("GET", "kv/data/y")[0], 404)
        call("POST", "kv/undelete/y", {"versions": [1]})
        self.assertEqual(call("GET", "kv/data/y")[1]["data"]["data"], {"a": 2})

    def test_S4_147_read_with_a_token_flag(self):
        self.transcript("read_with_a_token")
        self.shell("vault kv put secret/my-app/config a=1")
        token = self.policy("myapp-policy", 'path "secret/data/my-app/config" { capabilities = ["read"] }')
        self.shell('vault read -address="$VAULT_ADDR" -token="$APP_TOKEN" -format=json secret/data/my-app/config', env={"VAULT_TOKEN": "", "APP_TOKEN": token})
        self.assertEqual(json.loads(self.stdout)["data"]["data"], {"a": "1"})

    def test_subkeys(self):
        http("POST", "/v1/secret/data/s", "root", {"data": {"a": {"b": {"c": 1}}, "d": 2}})
        http("POST", "/v1/secret/data/s", "root", {"data": {"x": 1}})
        self.assertEqual(http("GET", "/v1/secret/subkeys/s?version=1", "root")[1]["data"]["subkeys"], {"a": {"b": {"c": None}}, "d": None})
        self.assertEqual(http("GET", "/v1/secret/subkeys/s?version=1&depth=1", "root")[1]["data"]["subkeys"], {"a": None, "d": None})
        self.assertEqual(http("GET", "/v1/secret/subkeys/s", "root")[1]["data"]["subkeys"], {"x": None})


STORED = """
storage "file" {
  path = "/vault/data"
}
listener "tcp" {
  address     = "127.0.0.1:8200"
  tls_disable = true
}
"""


class Killed(harness.Contract):
    """What goes on in the background goes on after kill -9."""

    def begin(self):
        server = self.configured(STORED)
        for key in self.keys:
            http("POST", "/v1/sys/unseal", body={"key": key})
        harness.wait_until(lambda: http("GET", "/v1/sys/health")[0] == 200, "the node")
        return server

    def test_upgrade(self):
        server = self.configured(STORED)
        first = http("POST", "/v1/sys/init", body={"secret_shares": 1, "secret_threshold": 1})[1]
        self.keys, token = first["keys_base64"], first["root_token"]
        http("POST", "/v1/sys/unseal", body={"key": self.keys[0]})
        harness.wait_until(lambda: http("GET", "/v1/sys/health")[0] == 200, "the node")
        self.assertEqual(http("POST", "/v1/sys/mounts/old", token, {"type": "kv"})[0], 204)
        count = 2000
        for number in range(count):
            self.assertEqual(http("POST", f"/v1/old/f{number % 7}/s{number}", token, {"n": number})[0], 204)
        http("POST", "/v1/sys/mounts/old/tune", token, {"options": {"version": "2"}})
        seen = 0
        while True:
            server.stop(signal.SIGKILL)
            server = self.begin()
            status, body = http("GET", "/v1/old/metadata/?list=true", token)
            if status == 200:
                break
            seen += 1
            self.assertEqual(status, 400, body)
            self.assertLess(seen, 30)
            self.assertTrue(body["errors"][0].startswith("Upgrading from non-versioned to versioned data."))
        self.assertGreater(seen, 0, "the upgrade was over before the first kill")
        self.assertEqual(len(http("SCAN", "/v1/old/metadata/", token)[1]["data"]["keys"]), count)
        for number in range(0, count, 97):
            self.assertEqual(http("GET", f"/v1/old/data/f{number % 7}/s{number}", token)[1]["data"]["data"], {"n": number})


if __name__ == "__main__":
    harness.main()
