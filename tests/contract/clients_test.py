"""The same work by three clients that we did not write: Debian's python3-hvac, curl, and gRPC's own Python library.

Each walks the same list (`Work`): health, seal status, mounts, KV v2 with all its verbs, tokens, policies, wrapping. What differs is only how a
client says it. Below stand what belongs to one client alone: gRPC's typed services, error details, reflection and health.
"""
import json
import subprocess
import sys

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402
import hvac  # noqa: E402
import hvac.exceptions  # noqa: E402
import requests  # noqa: E402

logical, logical_services = coffer_grpc.load("logical")
kv, kv_services = coffer_grpc.load("kv")
tokens, token_services = coffer_grpc.load("token")
system, system_services = coffer_grpc.load("sys")
leases, lease_services = coffer_grpc.load("leases")
quotas, quota_services = coffer_grpc.load("quotas")
namespaces, namespace_services = coffer_grpc.load("namespaces")
watch, watch_services = coffer_grpc.load("watch")

ADDRESS = "http://127.0.0.1:8200"
GRPC_ADDRESS = "127.0.0.1:8210"
READER = 'path "secret/data/team/*" {\n  capabilities = ["read", "list"]\n}'


class Refused(Exception):
    """A request that failed: HTTP status (or what gRPC says of it) and the texts."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class CurlClient:
    """`call` gives the whole envelope, as all clients below."""

    name = "curl"

    def __init__(self, token):
        self.token = token

    def call(self, verb, path, data=None, wrap=None):
        command = ["curl", "-s", "--path-as-is", "-X", verb, "-w", "\n%{http_code}", "-H", f"X-Vault-Token: {self.token}"]
        if wrap:
            command += ["-H", f"X-Vault-Wrap-TTL: {wrap}"]
        if verb == "PATCH":
            command += ["-H", "Content-Type: application/merge-patch+json"]
        if data is not None:
            command += ["--data", json.dumps(data)]  # with curl's own form content type, as scripts send it
        out = subprocess.run([*command, f"{ADDRESS}/v1/{path}"], capture_output=True, text=True, check=True, timeout=30).stdout
        body, status = out.rsplit("\n", 1)
        if int(status) >= 400:
            raise Refused(int(status), body)
        return json.loads(body) if body else {}


class HvacClient:
    """hvac's adapter, which every method of hvac goes through; its typed methods are tested in Hvac."""

    name = "hvac"

    def __init__(self, token):
        self.token = token

    def call(self, verb, path, data=None, wrap=None):
        client = hvac.Client(url=ADDRESS, token=self.token)
        arguments = {"json": data} if data is not None else {}
        if verb == "PATCH":
            arguments["headers"] = {"Content-Type": "application/merge-patch+json"}
        try:
            answer = client.adapter.request(verb, f"/v1/{path}", wrap_ttl=wrap, **arguments)
        except hvac.exceptions.VaultError as error:
            codes = {"InvalidRequest": 400, "Forbidden": 403, "InvalidPath": 404, "VaultDown": 503}
            raise Refused(codes.get(type(error).__name__, 0), str(error)) from error
        finally:
            client.adapter.close()
        if isinstance(answer, requests.Response):
            return answer.json() if answer.content else {}
        return answer or {}


class GrpcClient:
    name = "grpc"
    VERBS = {"GET": "Read", "POST": "Write", "PUT": "Write", "LIST": "List", "DELETE": "Delete", "PATCH": "Patch"}

    def __init__(self, token):
        self.token = token

    def call(self, verb, path, data=None, wrap=None):
        method = self.VERBS[verb]
        path, _, query = path.partition("?")
        request = getattr(logical, method + "Request")(path=path)
        if data is not None:
            request.data_json = json.dumps(data)
        for pair in filter(None, query.split("&")):
            key, _, value = pair.partition("=")
            request.parameters[key] = value
        metadata = [("x-vault-token", self.token)] + ([("x-vault-wrap-ttl", wrap)] if wrap else [])
        with grpc.insecure_channel(GRPC_ADDRESS) as channel:
            try:
                answer = getattr(logical_services.LogicalStub(channel), method)(request, metadata=metadata, timeout=20)
            except grpc.RpcError as error:
                detail = coffer_grpc.error_of(error)
                raise Refused(detail.http_status, "\n".join(detail.errors) + detail.data_json) from error
        envelope = {"data": json.loads(answer.data_json) if answer.data_json else None}
        if answer.HasField("auth"):
            auth = answer.auth
            envelope["auth"] = {"client_token": auth.client_token, "accessor": auth.accessor, "policies": list(auth.policies),
                                "renewable": auth.renewable, "lease_duration": auth.lease_duration_seconds}
        if answer.HasField("wrap_info"):
            envelope["wrap_info"] = {"token": answer.wrap_info.token, "ttl": answer.wrap_info.ttl_seconds}
        # System paths answer at the top level too.
        return {**(envelope["data"] or {}), **envelope} if path.startswith("sys/") else envelope


class Work(harness.Contract):
    """The list. Every test runs it with each client against a fresh dev server."""

    CLIENTS = [HvacClient, CurlClient, GrpcClient]

    def setUp(self):
        super().setUp()
        self.dev("-dev-grpc-listen-address=127.0.0.1:8210")

    def each(self):
        """(a client with the root token, its class, a name for what it makes)."""
        return [(kind("root"), kind, f"{kind.name}{number}") for number, kind in enumerate(self.CLIENTS)]

    def refused(self, status, call, *arguments, **options):
        with self.assertRaises(Refused) as caught:
            call(*arguments, **options)
        self.assertEqual(caught.exception.status, status, caught.exception.text)
        return caught.exception.text

    def test_system(self):
        for client, kind, _ in self.each():
            health = client.call("GET", "sys/health")
            self.assertEqual((health["initialized"], health["sealed"], health["standby"]), (True, False, False))
            status = client.call("GET", "sys/seal-status")
            self.assertEqual((status["sealed"], status["type"], status["t"], status["n"]), (False, "shamir", 1, 1))
            self.refused(403, kind("hvs.nonsense").call, "GET", "sys/mounts")

    def test_mounts(self):
        for client, kind, name in self.each():
            client.call("POST", f"sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}, "description": "of a test"})
            mounts = client.call("GET", "sys/mounts")["data"]
            self.assertEqual((mounts[f"{name}/"]["type"], mounts[f"{name}/"]["description"]), ("kv", "of a test"))
            self.assertIn("path is already in use", self.refused(400, client.call, "POST", f"sys/mounts/{name}", {"type": "kv"}))
            client.call("POST", f"{name}/data/x", {"data": {"a": "1"}})
            client.call("DELETE", f"sys/mounts/{name}")
            self.assertNotIn(f"{name}/", client.call("GET", "sys/mounts")["data"])
            self.refused(404, client.call, "GET", f"{name}/data/x")

    def test_kv(self):
        for client, kind, name in self.each():
            path = f"secret/data/{name}/db"
            version = client.call("POST", path, {"data": {"user": "app", "port": 5432, "text": "ü✓\n\"\\"}})["data"]
            self.assertEqual((version["version"], version["destroyed"], version["deletion_time"]), (1, False, ""))
            answer = client.call("GET", path)["data"]
            self.assertEqual(answer["data"], {"user": "app", "port": 5432, "text": "ü✓\n\"\\"})
            self.assertEqual(answer["metadata"]["version"], 1)
            client.call("POST", path, {"data": {"user": "other"}, "options": {"cas": 1}})
            text = self.refused(400, client.call, "POST", path, {"data": {}, "options": {"cas": 1}})
            self.assertIn("check-and-set parameter did not match the current version", text)
            client.call("PATCH", path, {"data": {"port": 1}, "options": {"cas": 2}})
            self.assertEqual(client.call("GET", path)["data"]["data"], {"user": "other", "port": 1})
            self.assertEqual(client.call("GET", path + "?version=2")["data"]["data"], {"user": "other"})
            self.assertEqual(client.call("LIST", f"secret/metadata/{name}")["data"]["keys"], ["db"])
            self.refused(404, client.call, "LIST", f"secret/metadata/{name}/none")

    def test_kv_delete(self):
        for client, kind, name in self.each():
            path = f"secret/data/{name}/gone"
            for number in (1, 2, 3):
                client.call("POST", path, {"data": {"n": number}})
            client.call("DELETE", path)
            self.assertIn("deletion_time", self.refused(404, client.call, "GET", path))
            client.call("POST", f"secret/undelete/{name}/gone", {"versions": [3]})
            self.assertEqual(client.call("GET", path)["data"]["data"], {"n": 3})
            client.call("POST", f"secret/delete/{name}/gone", {"versions": [1]})
            client.call("POST", f"secret/destroy/{name}/gone", {"versions": [2]})
            client.call("POST", f"secret/undelete/{name}/gone", {"versions": [1, 2]})
            self.assertEqual(client.call("GET", path + "?version=1")["data"]["data"], {"n": 1})
            self.refused(404, client.call, "GET", path + "?version=2")
            client.call("POST", f"secret/metadata/{name}/gone", {"max_versions": 7, "custom_metadata": {"owner": "me"}})
            metadata = client.call("GET", f"secret/metadata/{name}/gone")["data"]
            self.assertEqual((metadata["current_version"], metadata["max_versions"], metadata["custom_metadata"]), (3, 7, {"owner": "me"}))
            self.assertEqual([metadata["versions"][v]["destroyed"] for v in "123"], [False, True, False])
            client.call("DELETE", f"secret/metadata/{name}/gone")
            self.refused(404, client.call, "GET", path)
            self.refused(404, client.call, "GET", f"secret/metadata/{name}/gone")

    def test_policies_and_tokens(self):
        for client, kind, name in self.each():
            client.call("PUT", f"sys/policies/acl/{name}", {"policy": READER})
            self.assertEqual(client.call("GET", f"sys/policies/acl/{name}")["data"]["policy"], READER)
            self.assertIn(name, client.call("LIST", "sys/policies/acl")["data"]["keys"])
            made = client.call("POST", "auth/token/create", {"policies": [name], "ttl": "1h", "display_name": "worker"})["auth"]
            self.assertTrue(made["client_token"].startswith("hvs.CAES"))
            self.assertEqual((made["policies"], made["renewable"], made["lease_duration"]), (sorted(["default", name]), True, 3600))
            worker = kind(made["client_token"])
            client.call("POST", "secret/data/team/x", {"data": {"a": "1"}})
            self.assertEqual(worker.call("GET", "secret/data/team/x")["data"]["data"], {"a": "1"})
            self.assertIn("permission denied", self.refused(403, worker.call, "POST", "secret/data/team/x", {"data": {}}))
            self.refused(403, worker.call, "GET", "secret/data/other")
            own = worker.call("GET", "auth/token/lookup-self")["data"]
            self.assertEqual((own["id"], own["accessor"], own["display_name"]), (made["client_token"], made["accessor"], "token-worker"))
            renewed = worker.call("POST", "auth/token/renew-self", {"increment": "2h"})["auth"]
            self.assertEqual((renewed["client_token"], renewed["lease_duration"]), (made["client_token"], 7200))
            looked = client.call("POST", "auth/token/lookup", {"token": made["client_token"]})["data"]
            self.assertGreater(looked["ttl"], 7000)
            client.call("POST", "auth/token/revoke", {"token": made["client_token"]})
            self.refused(403, worker.call, "GET", "auth/token/lookup-self")
            client.call("DELETE", f"sys/policies/acl/{name}")
            self.refused(404, client.call, "GET", f"sys/policies/acl/{name}")

    def test_wrapping(self):
        for client, kind, name in self.each():
            client.call("POST", f"secret/data/{name}/w", {"data": {"a": "b"}})
            wrapped = client.call("GET", f"secret/data/{name}/w", wrap="60s")
            self.assertEqual(wrapped["wrap_info"]["ttl"], 60)
            self.assertFalse(wrapped.get("data"))
            carrier = kind(wrapped["wrap_info"]["token"])
            self.assertEqual(carrier.call("POST", "sys/wrapping/unwrap")["data"]["data"], {"a": "b"})
            self.assertIn("wrapping token is not valid or does not exist", self.refused(400, carrier.call, "POST", "sys/wrapping/unwrap"))

    def test_one_server_for_all(self):
        """What one client writes, each other reads."""
        for number, writer in enumerate(self.CLIENTS):
            writer("root").call("POST", "secret/data/shared", {"data": {"by": writer.name}})
            for reader in self.CLIENTS:
                answer = reader("root").call("GET", "secret/data/shared")["data"]
                self.assertEqual((answer["data"], answer["metadata"]["version"]), ({"by": writer.name}, number + 1))


class Hvac(harness.Contract):
    """hvac's typed methods, as a program uses them."""

    def setUp(self):
        super().setUp()
        self.dev()
        self.client = self.connect("root")

    def connect(self, token):
        client = hvac.Client(url=ADDRESS, token=token)
        self.addCleanup(client.adapter.close)
        return client

    def test_system(self):
        client = self.client
        self.assertTrue(client.is_authenticated())
        self.assertTrue(client.sys.is_initialized())
        self.assertFalse(client.sys.is_sealed())
        self.assertEqual(client.sys.read_seal_status()["type"], "shamir")
        self.assertEqual(client.sys.read_health_status(method="GET")["standby"], False)
        client.sys.enable_secrets_engine("kv", path="team", options={"version": "2"})
        self.assertEqual(client.sys.list_mounted_secrets_engines()["data"]["team/"]["options"], {"version": "2"})
        client.sys.disable_secrets_engine("team")
        client.sys.create_or_update_policy("reader", READER)
        self.assertEqual(client.sys.read_policy("reader")["data"]["rules"], READER)
        self.assertIn("reader", client.sys.list_policies()["data"]["policies"])
        client.sys.delete_policy("reader")
        self.assertFalse(self.connect("hvs.wrong").is_authenticated())

    def test_kv2(self):
        v2 = self.client.secrets.kv.v2
        v2.create_or_update_secret("app/db", {"a": "1"}, cas=0)
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            v2.create_or_update_secret("app/db", {"a": "2"}, cas=0)
        v2.patch("app/db", {"b": "2"})
        self.assertEqual(v2.read_secret_version("app/db")["data"]["data"], {"a": "1", "b": "2"})
        self.assertEqual(v2.read_secret_version("app/db", version=1)["data"]["data"], {"a": "1"})
        self.assertEqual(v2.list_secrets("app")["data"]["keys"], ["db"])
        v2.delete_latest_version_of_secret("app/db")
        with self.assertRaises(hvac.exceptions.InvalidPath):
            v2.read_secret_version("app/db")
        v2.undelete_secret_versions("app/db", [2])
        v2.delete_secret_versions("app/db", [1])
        v2.destroy_secret_versions("app/db", [1])
        v2.update_metadata("app/db", max_versions=4)
        metadata = v2.read_secret_metadata("app/db")["data"]
        self.assertEqual((metadata["max_versions"], metadata["versions"]["1"]["destroyed"]), (4, True))
        v2.delete_metadata_and_all_versions("app/db")
        with self.assertRaises(hvac.exceptions.InvalidPath):
            v2.read_secret_metadata("app/db")

    def test_tokens_and_wrapping(self):
        auth = self.client.auth.token
        made = auth.create(policies=["default"], ttl="1h", wrap_ttl="1m")
        inner = self.client.sys.unwrap(made["wrap_info"]["token"])["auth"]
        worker = self.connect(inner["client_token"])
        self.assertEqual(worker.auth.token.lookup_self()["data"]["policies"], ["default"])
        self.assertEqual(worker.auth.token.renew_self(increment="2h")["auth"]["lease_duration"], 7200)
        self.assertEqual(auth.lookup(inner["client_token"])["data"]["accessor"], inner["accessor"])
        with self.assertRaises(hvac.exceptions.Forbidden):
            worker.secrets.kv.v2.read_secret_version("anything")
        auth.revoke(inner["client_token"])
        with self.assertRaises(hvac.exceptions.Forbidden):
            worker.auth.token.lookup_self()


class Grpc(harness.Contract):
    """The typed services, failures, and the services that tools look for."""

    def setUp(self):
        super().setUp()
        self.dev("-dev-grpc-listen-address=127.0.0.1:8210")
        self.channel = grpc.insecure_channel(GRPC_ADDRESS)
        self.root = [("x-vault-token", "root")]

    def tearDown(self):
        self.channel.close()  # before the server: its stop waits some seconds for connections that stay open
        super().tearDown()

    def fails(self, code, call, request, metadata=None):
        with self.assertRaises(grpc.RpcError) as caught:
            call(request, metadata=metadata if metadata is not None else self.root, timeout=20)
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        return coffer_grpc.error_of(caught.exception)

    def test_kv_trees(self):
        stub = kv_services.KVStub(self.channel)
        def do(method, request):
            return getattr(stub, method)(request, metadata=self.root, timeout=20)
        for path in ("a/one", "a/b/two"):
            do("Put", kv.KVPutRequest(mount="secret", path=path, data_json='{"x":{"y":1},"z":2}'))
        self.assertEqual(list(do("List", kv.KVListRequest(mount="secret", path="a", recursive=True)).keys), ["b/two", "one"])
        self.assertEqual(list(do("List", kv.KVListRequest(mount="secret", path="a", after="b/", limit=1)).keys), ["one"])
        self.assertEqual(json.loads(do("GetSubkeys", kv.KVSubkeysRequest(mount="secret", path="a/one", depth=1)).subkeys_json), {"x": None, "z": None})
        do("PutMetadata", kv.KVPutMetadataRequest(mount="secret", path="a/one", custom_metadata={"owner": "me", "team": "t"}, metadata_cas=0))
        do("PatchMetadata", kv.KVPutMetadataRequest(mount="secret", path="a/one", custom_metadata={"owner": "you"}, remove_custom_metadata=["team"]))
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.PutMetadata, kv.KVPutMetadataRequest(mount="secret", path="a/one", max_versions=3, metadata_cas=7))
        metadata = do("GetMetadata", kv.KVMetadataRequest(mount="secret", path="a/one"))
        self.assertEqual((dict(metadata.custom_metadata), metadata.current_metadata_version, metadata.versions[1].created_by_display_name),
                         ({"owner": "you"}, 2, "root"))
        self.assertEqual(dict(do("Search", kv.KVSearchRequest(mount="secret", text="you")).hits["a/one"].custom_metadata), {"owner": "you"})
        self.assertEqual(list(do("Search", kv.KVSearchRequest(text="YOU")).hits), ["secret/a/one"])
        do("Move", kv.KVMoveRequest(mount="secret", path="a/one", to="c/moved"))
        self.assertEqual(do("Copy", kv.KVMoveRequest(mount="secret", path="c/moved", to="c/copied")).metadata.version, 1)
        answers = do("BatchGet", kv.KVBatchGetRequest(paths=["secret/data/c/moved", "secret/data/a/one"])).answers
        self.assertEqual([answers[p].http_status for p in ("secret/data/c/moved", "secret/data/a/one")], [200, 404])
        do("PutConfig", kv.KVPutConfigRequest(mount="secret", max_versions=3, deleted_metadata_retention="1h"))
        config = do("GetConfig", kv.KVConfigRequest(mount="secret"))
        self.assertEqual((config.max_versions, config.deleted_metadata_retention, config.cas_required), (3, "1h0m0s", False))
        answer = logical_services.LogicalStub(self.channel).Scan(logical.ListRequest(path="secret/metadata/c"), metadata=self.root, timeout=20)
        self.assertEqual(json.loads(answer.data_json), {"keys": ["copied", "moved"]})

    def test_kv(self):
        stub = kv_services.KVStub(self.channel)

        def do(method, request):
            return getattr(stub, method)(request, metadata=self.root, timeout=20)

        at = {"mount": "secret", "path": "app/db"}
        self.assertEqual(do("Put", kv.KVPutRequest(**at, data_json='{"a":1.50}', cas=0)).metadata.version, 1)
        detail = self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.Put, kv.KVPutRequest(**at, data_json="{}", cas=0))
        self.assertEqual(detail.http_status, 400)
        self.assertIn("check-and-set", detail.errors[0])
        self.assertEqual(do("Patch", kv.KVPatchRequest(**at, data_json='{"b":2}')).metadata.version, 2)
        self.assertEqual(json.loads(do("Get", kv.KVGetRequest(**at)).data_json), {"a": 1.5, "b": 2})
        self.assertIn("1.50", do("Get", kv.KVGetRequest(**at, version=1)).data_json)  # numbers keep their form
        self.assertEqual(list(do("List", kv.KVListRequest(mount="secret", path="app")).keys), ["db"])
        do("Delete", kv.KVVersionsRequest(**at))
        detail = self.fails(grpc.StatusCode.NOT_FOUND, stub.Get, kv.KVGetRequest(**at))
        self.assertIn("deletion_time", detail.data_json)
        do("Undelete", kv.KVVersionsRequest(**at, versions=[2]))
        do("Destroy", kv.KVVersionsRequest(**at, versions=[1]))
        do("PutMetadata", kv.KVPutMetadataRequest(**at, max_versions=5, custom_metadata={"owner": "me"}))
        metadata = do("GetMetadata", kv.KVMetadataRequest(**at))
        self.assertEqual((metadata.current_version, metadata.max_versions, dict(metadata.custom_metadata)), (2, 5, {"owner": "me"}))
        self.assertTrue(metadata.versions[1].destroyed)
        do("DeleteMetadata", kv.KVMetadataRequest(**at))
        self.fails(grpc.StatusCode.NOT_FOUND, stub.GetMetadata, kv.KVMetadataRequest(**at))
        do("Undelete", kv.KVVersionsRequest(**at, versions=[2]))
        do("GetMetadata", kv.KVMetadataRequest(**at))
        do("DeleteMetadata", kv.KVMetadataRequest(**at, destroy=True))
        do("Undelete", kv.KVVersionsRequest(**at, versions=[2]))
        self.fails(grpc.StatusCode.NOT_FOUND, stub.GetMetadata, kv.KVMetadataRequest(**at))
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.Put, kv.KVPutRequest(**at, data_json="{"))

    def test_token(self):
        stub = token_services.TokenStub(self.channel)
        made = stub.Create(tokens.TokenCreateRequest(policies=["default"], ttl="1h"), metadata=self.root, timeout=20)
        self.assertTrue(made.client_token.startswith("hvs.CAES"))
        own = [("x-vault-token", made.client_token)]
        self.assertEqual(stub.LookupSelf(tokens.TokenSelfRequest(), metadata=own, timeout=20).accessor, made.accessor)
        self.assertEqual(stub.Renew(tokens.TokenRenewRequest(increment="2h"), metadata=own, timeout=20).lease_duration_seconds, 7200)
        looked = stub.Lookup(tokens.TokenLookupRequest(token=made.client_token), metadata=self.root, timeout=20)
        self.assertEqual((list(looked.policies), looked.creation_ttl_seconds), (["default"], 3600))
        stub.Revoke(tokens.TokenRevokeRequest(token=made.client_token), metadata=self.root, timeout=20)
        self.fails(grpc.StatusCode.PERMISSION_DENIED, stub.LookupSelf, tokens.TokenSelfRequest(), own)

    def test_sys(self):
        stub = system_services.SysStub(self.channel)
        health = stub.Health(system.HealthRequest(), timeout=20)
        self.assertEqual((health.http_status, health.initialized, health.sealed), (200, True, False))
        self.assertRegex(health.version, r"^1\.21\.0\+coffer\.")
        self.assertEqual(stub.SealStatus(system.SealStatusRequest(), timeout=20).storage_type, "inmemory")
        request = system.EnableSecretsEngineRequest(path="team", type="kv", options={"version": "2"})
        stub.EnableSecretsEngine(request, metadata=self.root, timeout=20)
        self.assertEqual(stub.ListMounts(system.ListMountsRequest(), metadata=self.root, timeout=20).mounts["team/"].type, "kv")
        stub.DisableSecretsEngine(system.DisableSecretsEngineRequest(path="team"), metadata=self.root, timeout=20)
        stub.WritePolicy(system.Policy(name="reader", policy=READER), metadata=self.root, timeout=20)
        self.assertEqual(stub.ReadPolicy(system.PolicyRequest(name="reader"), metadata=self.root, timeout=20).policy, READER)
        self.assertIn("reader", stub.ListPolicies(system.ListPoliciesRequest(), metadata=self.root, timeout=20).names)
        stub.DeletePolicy(system.PolicyRequest(name="reader"), metadata=self.root, timeout=20)
        self.fails(grpc.StatusCode.NOT_FOUND, stub.ReadPolicy, system.PolicyRequest(name="reader"))
        request = system.EnableAuditDeviceRequest(path="file", type="file", options={"file_path": "/vault/logs/audit.log"})
        stub.EnableAuditDevice(request, metadata=self.root, timeout=20)
        devices = stub.ListAuditDevices(system.ListAuditDevicesRequest(), metadata=self.root, timeout=20).devices
        self.assertEqual(devices["file/"].options["file_path"], "/vault/logs/audit.log")
        hashed = stub.HashAuditInput(system.AuditHashRequest(path="file", input="x"), metadata=self.root, timeout=20)
        self.assertRegex(hashed.hash, r"^hmac-sha256:[0-9a-f]{64}$")
        stub.DisableAuditDevice(system.DisableAuditDeviceRequest(path="file"), metadata=self.root, timeout=20)

    def caller(self, stub, metadata=None):
        return lambda method, request: getattr(stub, method)(request, metadata=metadata or self.root, timeout=20)

    def test_leases(self):
        stub = lease_services.LeasesStub(self.channel)
        do = self.caller(stub)
        made = self.caller(token_services.TokenStub(self.channel))("Create", tokens.TokenCreateRequest(policies=["default"], ttl="1h"))
        names = do("List", leases.LeaseListRequest(prefix="auth/token/create")).keys
        ids = ["auth/token/create/" + name for name in names]
        self.assertEqual(len(ids), 1)
        found = do("Lookup", leases.LeaseRequest(lease_id=ids[0]))
        self.assertEqual((found.id, found.path, found.renewable, 3500 < found.ttl <= 3600), (ids[0], "auth/token/create", True, True))
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.Renew, leases.LeaseRenewRequest(lease_id=ids[0], increment="2h"))
        do("Revoke", leases.LeaseRevokeRequest(lease_id=ids[0], sync=True))
        self.fails(grpc.StatusCode.PERMISSION_DENIED, token_services.TokenStub(self.channel).LookupSelf, tokens.TokenSelfRequest(),
                   [("x-vault-token", made.client_token)])
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.Lookup, leases.LeaseRequest(lease_id=ids[0]))
        self.assertEqual(do("Count", leases.LeaseCountRequest(type="irrevocable")).lease_count, 0)
        self.assertEqual(len(do("ListIrrevocable", leases.LeaseIrrevocableRequest(type="irrevocable")).leases), 0)
        do("RevokePrefix", leases.LeaseRevokePrefixRequest(prefix="auth/token", sync=True))
        do("RevokeForce", leases.LeaseRevokeForceRequest(prefix="auth/token"))
        do("Tidy", leases.LeaseTidyRequest())

    def test_quotas(self):
        stub = quota_services.QuotasStub(self.channel)
        do = self.caller(stub)
        do("WriteRateLimit", quotas.RateLimitQuota(name="q", path="secret/", rate=12.5, interval=2, group_by="none"))
        quota = do("ReadRateLimit", quotas.QuotaRequest(name="q"))
        self.assertEqual((quota.name, quota.path, quota.rate, quota.interval, quota.group_by, quota.type), ("q", "secret/", 12.5, 2, "none", "rate-limit"))
        self.assertEqual(list(do("ListRateLimits", quotas.QuotaListRequest()).keys), ["q"])
        do("DeleteRateLimit", quotas.QuotaRequest(name="q"))
        self.fails(grpc.StatusCode.NOT_FOUND, stub.ReadRateLimit, quotas.QuotaRequest(name="q"))
        do("WriteLeaseCount", quotas.LeaseCountQuota(name="l", max_leases=1000))
        self.assertEqual(do("ReadLeaseCount", quotas.QuotaRequest(name="l")).max_leases, 1000)
        self.assertEqual(list(do("ListLeaseCounts", quotas.QuotaListRequest()).keys), ["l"])
        do("DeleteLeaseCount", quotas.QuotaRequest(name="l"))
        do("WriteConfig", quotas.QuotaConfig(rate_limit_exempt_paths=["sys/health"], enable_rate_limit_response_headers=True))
        config = do("ReadConfig", quotas.QuotaConfigRequest())
        self.assertEqual((list(config.rate_limit_exempt_paths), config.enable_rate_limit_response_headers, config.enable_rate_limit_audit_logging),
                         (["sys/health"], True, False))
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.WriteRateLimit, quotas.RateLimitQuota(name="q", rate=-1))
        self.fails(grpc.StatusCode.PERMISSION_DENIED, stub.ReadConfig, quotas.QuotaConfigRequest(), [("x-vault-token", "nobody")])

    def test_namespaces(self):
        stub = namespace_services.NamespacesStub(self.channel)
        do = self.caller(stub)
        made = do("Create", namespaces.NamespaceWriteRequest(path="team", custom_metadata={"owner": "web"}))
        self.assertEqual((made.path, dict(made.custom_metadata), made.locked), ("team/", {"owner": "web"}, False))
        patched = do("Patch", namespaces.NamespaceWriteRequest(path="team", custom_metadata={"cost": "7"}))
        self.assertEqual(dict(patched.custom_metadata), {"owner": "web", "cost": "7"})
        self.assertEqual(do("Read", namespaces.NamespaceRequest(path="team")).uuid, made.uuid)
        listed = do("List", namespaces.NamespaceListRequest())
        self.assertEqual((list(listed.keys), listed.key_info["team/"].uuid), (["team/"], made.uuid))
        key = do("Lock", namespaces.NamespaceRequest(path="team")).unlock_key
        self.assertTrue(do("Read", namespaces.NamespaceRequest(path="team")).locked)
        do("Unlock", namespaces.NamespaceUnlockRequest(path="team", unlock_key=key))
        do("Delete", namespaces.NamespaceRequest(path="team"))
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.Create, namespaces.NamespaceWriteRequest(path="sys"))

    def test_watch(self):
        stub = watch_services.WatchStub(self.channel)
        secrets = stub.KV(watch.WatchKVRequest(mount="secret", path="app/"), metadata=self.root, timeout=60)
        made = stub.Leases(watch.WatchLeasesRequest(prefix="auth/token/create"), metadata=self.root, timeout=60)
        for stream in (secrets, made):
            stream.initial_metadata()
        do = self.caller(kv_services.KVStub(self.channel))
        for path in ("other", "app/a"):
            do("Put", kv.KVPutRequest(mount="secret", path=path, data_json="{}"))
        do("PutMetadata", kv.KVPutMetadataRequest(mount="secret", path="app/b", max_versions=2))
        self.caller(token_services.TokenStub(self.channel))("Create", tokens.TokenCreateRequest(ttl="1h"))
        event = next(secrets)
        self.assertEqual((event.type, event.metadata["data_path"], event.mount_path, event.mount_class, event.plugin, event.namespace),
                         ("kv-v2/data-write", "secret/data/app/a", "secret/", "secret", "kv", ""))
        self.assertEqual(next(secrets).metadata["data_path"], "secret/metadata/app/b")
        self.assertEqual(next(made).type, "lease/issue")
        secrets.cancel()
        made.cancel()
        for code, request, metadata in ((grpc.StatusCode.PERMISSION_DENIED, watch.WatchEventsRequest(type="*"), [("x-vault-token", "nobody")]),
                                        (grpc.StatusCode.INVALID_ARGUMENT, watch.WatchEventsRequest(type="*", filter="("), self.root)):
            with self.assertRaises(grpc.RpcError) as refused:
                next(stub.Events(request, metadata=metadata, timeout=20))
            self.assertEqual(refused.exception.code(), code)

    def test_failures(self):
        stub = logical_services.LogicalStub(self.channel)
        for metadata in ([], [("x-vault-token", "hvs.wrong")]):
            detail = self.fails(grpc.StatusCode.PERMISSION_DENIED, stub.Read, logical.ReadRequest(path="secret/data/x"), metadata)
            self.assertEqual(detail.http_status, 403)
        self.assertEqual(self.fails(grpc.StatusCode.NOT_FOUND, stub.Read, logical.ReadRequest(path="secret/data/none")).http_status, 404)
        twice = [("x-vault-token", "root"), ("x-vault-token", "hvs.wrong")]
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.Read, logical.ReadRequest(path="secret/data/x"), twice)
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.Write, logical.WriteRequest(path="secret/data/x", data_json="[1]"))
        self.fails(grpc.StatusCode.INVALID_ARGUMENT, stub.Read, logical.ReadRequest(path="secret/data/x"),
                   [("x-vault-token", "root"), ("x-vault-wrap-ttl", "soon")])

    def test_wrapping_of_a_typed_call_is_refused_or_wrapped_whole(self):
        """A typed answer has no place for a wrapping token: it must not come back in clear."""
        kv_stub = kv_services.KVStub(self.channel)
        kv_stub.Put(kv.KVPutRequest(mount="secret", path="w", data_json='{"a":"in clear"}'), metadata=self.root, timeout=20)
        try:
            answer = kv_stub.Get(kv.KVGetRequest(mount="secret", path="w"), metadata=self.root + [("x-vault-wrap-ttl", "60s")], timeout=20)
            self.assertNotIn("in clear", answer.data_json)
        except grpc.RpcError as error:
            self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT, error.details())

    def test_health_service(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(check(b"", timeout=20), b"\x08\x01")  # status: SERVING

    def test_reflection(self):
        stream = self.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        answer = next(iter(stream(iter([b"\x3a\x01*"]), timeout=20)))  # list_services: "*"
        for service in (b"coffer.v1.Logical", b"coffer.v1.KV", b"coffer.v1.Token", b"coffer.v1.Sys", b"coffer.v1.Ceremonies", b"coffer.v1.Watch", b"coffer.v1.Leases",
                        b"coffer.v1.Quotas", b"coffer.v1.Namespaces", b"grpc.health.v1.Health"):
            self.assertIn(service, answer)


if __name__ == "__main__":
    harness.main()
