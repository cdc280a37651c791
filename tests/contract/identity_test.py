"""identity/: entities, aliases and groups by the command line and over HTTP, and what they mean for tokens and audit lines."""
import json
import sys

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

messages, services = coffer_grpc.load("identity")

IDS = r"[0-9a-f]{8}-[0-9a-f-]{27}"


class Identity(harness.Contract):
    def setUp(self):
        super().setUp()
        self.dev()
        self.shell("""vault auth enable userpass && vault auth enable -path=other userpass
vault write auth/userpass/users/alice password=Password123!
vault policy write reader - <<'EOF2'
path "secret/data/*" { capabilities = ["read"] }
EOF2
vault kv put secret/k a=1""".replace("EOF2", "EOF"))
        self.accessor = self.call("GET", "sys/auth")["data"]["userpass/"]["accessor"]
        self.other = self.call("GET", "sys/auth")["data"]["other/"]["accessor"]

    def call(self, method, path, body=None, token="root", status=(200, 204)):
        code, content = harness.http(method, "/v1/" + path, token, body)
        self.assertIn(code, (status,) if isinstance(status, int) else status, content)
        return content

    def login(self):
        return self.call("POST", "auth/userpass/login/alice", {"password": "Password123!"}, token=None)["auth"]

    def reads(self, token):
        return harness.http("GET", "/v1/secret/data/k", token)[0]

    def test_IDN_01_command_line(self):
        self.shell("vault write identity/entity name=bob policies=reader,extra metadata=team=alpha metadata=site=x")
        rows = self.table(self.stdout)
        self.assertRegex(rows["id"], IDS)
        self.assertEqual((rows["aliases"], rows["name"]), ("<nil>", "bob"))
        self.shell("vault write identity/entity/name/bob disabled=true")
        self.assertEqual(self.stdout, "Success! Data written to: identity/entity/name/bob\n")
        entity = json.loads(self.shell("vault read -format=json identity/entity/name/BOB"))["data"]
        self.assertEqual(sorted(entity), ["aliases", "creation_time", "direct_group_ids", "disabled", "group_ids", "id", "inherited_group_ids",
                                          "last_update_time", "merged_entity_ids", "metadata", "name", "namespace_id", "policies"])
        self.assertEqual((entity["disabled"], entity["policies"], entity["namespace_id"]), (True, ["extra", "reader"], "root"))
        self.assertEqual(entity["metadata"], {"site": "x", "team": "alpha"})
        self.shell("vault list identity/entity/name")
        self.assertEqual(self.stdout.split()[-1], "bob")
        self.shell("vault delete identity/entity/name/bob")
        self.shell("vault read identity/entity/name/bob", code=2)

    def test_IDN_02_alias(self):
        entity = self.login()["entity_id"]
        made = self.call("POST", "identity/entity-alias", {"name": "al", "mount_accessor": self.other, "canonical_id": entity,
                                                           "custom_metadata": {"a": "b"}})["data"]
        self.assertEqual(made["canonical_id"], entity)
        told = self.call("GET", "identity/entity-alias/id/" + made["id"])["data"]
        self.assertEqual({k: told[k] for k in ("name", "mount_path", "mount_type", "custom_metadata", "local", "namespace_id")},
                         {"name": "al", "mount_path": "auth/other/", "mount_type": "userpass", "custom_metadata": {"a": "b"}, "local": False,
                          "namespace_id": "root"})
        # Older names of the same.
        for path in ("alias", "persona"):
            self.assertEqual(self.call("GET", f"identity/{path}/id/{made['id']}")["data"], told)
            self.assertIn(made["id"], self.call("LIST", f"identity/{path}/id")["data"]["keys"])
        info = self.call("LIST", "identity/entity-alias/id")["data"]["key_info"][made["id"]]
        self.assertEqual((info["canonical_id"], info["name"]), (entity, "al"))
        self.call("POST", "identity/entity-alias/id/" + made["id"], {"name": "renamed"})
        query = {"alias_name": "RENAMED", "alias_mount_accessor": self.other}
        self.assertEqual(self.call("POST", "identity/lookup/entity", query)["data"]["id"], entity)
        self.call("DELETE", "identity/entity-alias/id/" + made["id"])
        self.assertIsNone(self.call("POST", "identity/lookup/entity", query, status=204))

    def test_IDN_03_groups_count_at_once(self):
        auth = self.login()
        self.assertEqual(self.reads(auth["client_token"]), 403)
        inner = self.call("POST", "identity/group", {"name": "inner", "member_entity_ids": [auth["entity_id"]]})["data"]["id"]
        self.call("POST", "identity/group", {"name": "outer", "policies": ["reader"], "member_group_ids": [inner]})
        self.assertEqual(self.reads(auth["client_token"]), 200)
        self.assertEqual(self.login()["identity_policies"], ["reader"])
        self.assertEqual(self.login()["policies"], ["default", "reader"])
        told = self.call("GET", "auth/token/lookup-self", token=auth["client_token"])["data"]
        self.assertEqual((told["policies"], told["identity_policies"], told["external_namespace_policies"]), (["default"], ["reader"], {}))
        group = self.call("GET", "identity/group/name/inner")["data"]
        self.assertEqual(sorted(group), ["alias", "creation_time", "id", "last_update_time", "member_entity_ids", "member_group_ids", "metadata",
                                         "modify_index", "name", "namespace_id", "parent_group_ids", "policies", "type"])
        self.assertEqual((group["member_entity_ids"], group["type"], group["alias"]), ([auth["entity_id"]], "internal", {}))
        self.call("DELETE", "identity/group/name/outer")
        self.assertEqual(self.reads(auth["client_token"]), 403)

    def test_IDN_04_lookup_refuses_what_it_cannot_tell_apart(self):
        for body, text in (({}, "query parameter not supplied"),
                           ({"name": "a", "id": "b"}, "query parameter conflict; please supply distinct set of query parameters"),
                           ({"alias_name": "a"}, "both 'alias_name' and 'alias_mount_accessor' needs to be set")):
            for kind in ("entity", "group"):
                self.assertEqual(self.call("POST", "identity/lookup/" + kind, body, status=400), {"errors": [text]})

    def test_disabled_entity_and_audit(self):
        self.shell("mkdir -p audit && chmod 700 audit && vault audit enable file file_path=$PWD/audit/log")
        auth = self.login()
        self.call("POST", "identity/entity/id/" + auth["entity_id"], {"policies": "reader"})
        self.assertEqual(self.reads(auth["client_token"]), 200)
        line = [json.loads(text) for text in (self.folder / "audit/log").read_text().splitlines()][-1]
        self.assertEqual((line["auth"]["entity_id"], line["auth"]["identity_policies"], line["auth"]["policies"], line["auth"]["token_policies"]),
                         (auth["entity_id"], ["reader"], ["default", "reader"], ["default"]))
        self.call("POST", "identity/entity/id/" + auth["entity_id"], {"disabled": True})
        self.assertEqual(self.reads(auth["client_token"]), 403)
        self.assertEqual(self.call("POST", "auth/userpass/login/alice", {"password": "Password123!"}, token=None, status=403),
                         {"errors": ["permission denied"]})

    def test_POL_09_templates(self):
        self.shell(r"""vault policy write own - <<'EOF'
path "secret/data/{{identity.entity.aliases.%s.name}}/*" { capabilities = ["create", "update", "read"] }
EOF""" % self.accessor)
        auth = self.login()
        self.call("POST", "identity/entity/id/" + auth["entity_id"], {"policies": "own"})
        self.call("POST", "secret/data/alice/x", {"data": {"a": "b"}}, token=auth["client_token"])
        self.call("POST", "secret/data/bob/x", {"data": {"a": "b"}}, token=auth["client_token"], status=403)
        # The default policy lets everybody see their own entity.
        self.call("GET", "identity/entity/id/" + auth["entity_id"], token=auth["client_token"])

    def test_merge(self):
        auth = self.login()
        bob = self.call("POST", "identity/entity", {"name": "bob", "policies": "reader"})["data"]["id"]
        self.call("POST", "identity/entity/merge", {"from_entity_ids": [auth["entity_id"]], "to_entity_id": bob})
        self.assertEqual(self.reads(auth["client_token"]), 200)
        self.assertEqual(self.login()["entity_id"], bob)
        self.call("POST", "identity/entity/batch-delete", {"entity_ids": [bob, "00000000-0000-4000-8000-000000000000"]})
        self.assertEqual(self.reads(auth["client_token"]), 403)

    def test_grpc(self):
        root = [("x-vault-token", "root")]
        with grpc.insecure_channel("127.0.0.1:8210") as channel:
            stub = services.IdentityStub(channel)
            entity = stub.PutEntity(messages.PutEntityRequest(name="bob", policies=messages.StringSet(values=["a"]), metadata={"k": "v"}),
                                    metadata=root)
            group = stub.PutGroup(messages.PutGroupRequest(name="g", member_entity_ids=messages.StringSet(values=[entity.id])), metadata=root)
            alias = stub.PutAlias(messages.PutAliasRequest(name="al", mount_accessor=self.other, canonical_id=entity.id), metadata=root)
            told = stub.GetEntity(messages.IdentityQuery(name="BOB"), metadata=root)
            self.assertEqual((told.id, list(told.policies), list(told.direct_group_ids), dict(told.metadata), told.aliases[0].id),
                             (entity.id, ["a"], [group.id], {"k": "v"}, alias.id))
            self.assertEqual(list(stub.GetGroup(messages.IdentityQuery(id=group.id), metadata=root).member_entity_ids), [entity.id])
            why = stub.Explain(messages.ExplainRequest(path="secret/data/k", policies=["reader"]), metadata=root)
            self.assertEqual((why.allowed, why.explanation), (True, 'policy "reader", line 1: path "secret/data/*" grants read'))
            stub.DeleteEntity(messages.IdentityId(id=entity.id), metadata=root)
            with self.assertRaises(grpc.RpcError) as failed:
                stub.GetEntity(messages.IdentityQuery(id=entity.id), metadata=root)
            self.assertEqual(failed.exception.code(), grpc.StatusCode.NOT_FOUND)


if __name__ == "__main__":
    harness.main()
