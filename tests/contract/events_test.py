"""Change events: what a subscriber hears over a WebSocket, who hears what, and the command that prints it.

That something is not told is shown by what is told after it: events come in the order of the changes.
"""
import http.client
import json
import re
import select
import socket
import subprocess
import sys
import urllib.parse

import harness
import websocket

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

watch, watch_services = coffer_grpc.load("watch")
MUTANTS = str(harness.BINARY_FOLDER / "coffer_mutants")
GRPC_ADDRESS = "127.0.0.1:8210"
LISTEN = 'path "sys/events/subscribe/*" { capabilities = ["read"] }\n'


def hears(path, *types):
    return f'path "{path}" {{ capabilities = ["subscribe"] subscribe_event_types = {json.dumps(types or ["*"])} }}\n'


class Ended(Exception):
    """The server closed the stream."""

    def __init__(self, code, reason):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class WebSocket:
    name = "websocket"

    def __init__(self, kind, token="root", namespace=None, sockopt=(), **query):
        query = urllib.parse.urlencode(dict({"json": "true"}, **query), doseq=True)
        headers = [f"X-Vault-Token: {token}"] + ([f"X-Vault-Namespace: {namespace}"] if namespace else [])
        self.socket = websocket.create_connection(f"ws://127.0.0.1:8200/v1/sys/events/subscribe/{kind}?{query}", header=headers, timeout=20,
                                                  sockopt=sockopt)

    def whole(self):
        opcode, frame = self.socket.recv_data_frame(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise Ended(int.from_bytes(frame.data[:2], "big"), frame.data[2:].decode())
        assert opcode == websocket.ABNF.OPCODE_TEXT, opcode
        return json.loads(frame.data)

    def next(self):
        data = self.whole()["data"]
        return data["event_type"], data["event"]["metadata"]

    def close(self):
        self.socket.close()


class Grpc:
    name = "grpc"

    def __init__(self, kind, token="root", namespace=None, namespaces=(), filter=""):
        self.channel = grpc.insecure_channel(GRPC_ADDRESS)
        metadata = [("x-vault-token", token)] + ([("x-vault-namespace", namespace)] if namespace else [])
        if isinstance(namespaces, str):
            namespaces = [namespaces]
        request = watch.WatchEventsRequest(type=kind, namespaces=namespaces, filter=filter)
        self.call = watch_services.WatchStub(self.channel).Events(request, metadata=metadata, timeout=60)
        self.call.initial_metadata()  # the subscription stands

    def next(self):
        try:
            event = next(self.call)
        except grpc.RpcError as error:
            raise Ended(error.code(), error.details()) from None
        return event.type, dict(event.metadata)

    def close(self):
        self.call.cancel()
        self.channel.close()


class Base(harness.Contract):
    def setUp(self):
        super().setUp()
        self.open = []

    def tearDown(self):
        for stream in self.open:
            stream.close()
        super().tearDown()

    def listen(self, kind, surface=WebSocket, **options):
        stream = surface(kind, **options)
        self.open.append(stream)
        return stream

    def request(self, method, path, body=None, token="root", namespace=None, expect=None):
        headers = {"X-Vault-Namespace": namespace} if namespace else {}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        status, answer = harness.http(method, "/v1/" + path, token, body, headers=headers)
        if expect is None:
            self.assertLess(status, 300, f"{method} {path}: {answer}")
        else:
            self.assertEqual(status, expect, f"{method} {path}: {answer}")
        return answer

    def put(self, path, namespace=None):
        return self.request("POST", f"secret/data/{path}", {"data": {"a": "b"}}, namespace=namespace)

    def token(self, rules, namespace=None, **options):
        self.request("PUT", "sys/policies/acl/p", {"policy": rules}, namespace=namespace)
        return self.request("POST", "auth/token/create", dict({"policies": ["p"]}, **options), namespace=namespace)["auth"]["client_token"]

    def hears_next(self, stream, path):
        """The next event is of this path."""
        kind, metadata = stream.next()
        self.assertEqual(metadata["data_path"], path, kind)


class Events(Base):
    def setUp(self):
        super().setUp()
        self.dev(f"-dev-grpc-listen-address={GRPC_ADDRESS}")

    def told(self, stream, count):
        lines = []
        for _ in range(count):
            kind, metadata = stream.next()
            lines.append(kind + " " + " ".join(f"{name}={value}" for name, value in sorted(metadata.items())))
        return lines

    def test_every_change_of_kv_v2(self):
        for surface in (WebSocket, Grpc):
            with self.subTest(surface.name):
                stream = self.listen("*", surface, filter='source_plugin_mount == "secret/"')
                self.put("app")
                self.put("app")
                self.request("PATCH", "secret/data/app", {"data": {"c": "d"}})
                self.request("DELETE", "secret/data/app")
                self.request("POST", "secret/undelete/app", {"versions": [3]})
                self.request("POST", "secret/delete/app", {"versions": [1, 2]})
                self.request("POST", "secret/destroy/app", {"versions": [1]})
                self.request("POST", "secret/metadata/app", {"max_versions": 5})
                self.request("PATCH", "secret/metadata/app", {"custom_metadata": {"owner": "web"}})
                self.request("POST", "secret/config", {"max_versions": 9})
                self.request("POST", "secret/copy/app", {"to": "twin"})
                self.request("POST", "secret/move/twin", {"to": "third"})
                self.request("DELETE", "secret/metadata/third?destroy=true")
                self.request("DELETE", "secret/metadata/app?destroy=true")
                versions = "modified=true oldest_version=0"
                self.assertEqual(self.told(stream, 15), [
                    f"kv-v2/data-write current_version=1 data_path=secret/data/app {versions} operation=data-write path=secret/data/app",
                    f"kv-v2/data-write current_version=2 data_path=secret/data/app {versions} operation=data-write path=secret/data/app",
                    f"kv-v2/data-patch current_version=3 data_path=secret/data/app {versions} operation=data-patch path=secret/data/app",
                    f"kv-v2/data-delete current_version=3 data_path=secret/data/app {versions} operation=data-delete path=secret/data/app",
                    f"kv-v2/undelete current_version=3 data_path=secret/data/app {versions} operation=undelete path=secret/undelete/app "
                    "undeleted_versions=[3]",
                    f"kv-v2/delete current_version=3 data_path=secret/data/app deleted_versions=[1,2] {versions} operation=delete "
                    "path=secret/delete/app",
                    f"kv-v2/destroy current_version=3 data_path=secret/data/app destroyed_versions=[1] {versions} operation=destroy "
                    "path=secret/destroy/app",
                    f"kv-v2/metadata-write current_version=3 data_path=secret/metadata/app {versions} operation=metadata-write "
                    "path=secret/metadata/app",
                    f"kv-v2/metadata-patch current_version=3 data_path=secret/metadata/app {versions} operation=metadata-patch "
                    "path=secret/metadata/app",
                    "kv-v2/config-write data_path=secret/config modified=true operation=config-write path=secret/config",
                    f"kv-v2/data-write current_version=3 data_path=secret/data/twin {versions} operation=data-write path=secret/data/twin",
                    f"kv-v2/data-write current_version=3 data_path=secret/data/third {versions} operation=data-write path=secret/data/third",
                    f"kv-v2/metadata-delete current_version=3 data_path=secret/metadata/twin {versions} operation=metadata-delete "
                    "path=secret/metadata/twin",
                    f"kv-v2/metadata-delete current_version=3 data_path=secret/metadata/third {versions} operation=metadata-delete "
                    "path=secret/metadata/third",
                    f"kv-v2/metadata-delete current_version=3 data_path=secret/metadata/app {versions} operation=metadata-delete "
                    "path=secret/metadata/app",
                ])
                self.shell("vault secrets disable secret && vault secrets enable -path=secret kv-v2")

    def test_every_change_of_kv_v1(self):
        self.shell("vault secrets enable -path=old kv")
        stream = self.listen("kv-v1/*")
        self.request("POST", "old/app", {"a": "b"})
        self.request("DELETE", "old/app")
        self.assertEqual(self.told(stream, 2), [
            "kv-v1/write data_path=old/app modified=true operation=write path=old/app",
            "kv-v1/delete data_path=old/app modified=true operation=delete path=old/app"])

    def test_an_event_is_a_cloud_event(self):
        stream = self.listen("kv-v2/data-write")
        self.put("app")
        event = stream.whole()
        accessor = self.request("GET", "sys/mounts")["data"]["secret/"]["accessor"]
        self.assertRegex(event["id"], r"^[0-9a-f-]{36}$")
        self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertRegex(event["source"], r"^coffer://\S+$")
        self.assertEqual({name: event[name] for name in ("specversion", "type", "datacontentype", "datacontenttype")},
                         {"specversion": "1.0", "type": "*", "datacontentype": "application/cloudevents", "datacontenttype": "application/cloudevents"})
        self.assertEqual(event["data"], {
            "event": {"id": event["id"], "metadata": {"current_version": "1", "data_path": "secret/data/app", "modified": "true", "oldest_version": "0",
                                                      "operation": "data-write", "path": "secret/data/app"}},
            "event_type": "kv-v2/data-write",
            "namespace": "",
            "plugin_info": {"mount_accessor": accessor, "mount_class": "secret", "mount_path": "secret/", "plugin": "kv"}})
        self.assertEqual(set(event), {"id", "source", "specversion", "type", "datacontentype", "datacontenttype", "time", "data"})

    def test_types_and_filters(self):
        streams = {
            "all": self.listen("kv*"),
            "deletes": self.listen("*delete"),
            "filtered": self.listen("*", filter='data_path == "secret/data/b" and operation != "data-write"'),
            "contains": self.listen("kv-v2/*", filter="data_path contains secret/data/b"),
        }
        self.put("a")
        self.put("b")
        self.request("DELETE", "secret/data/b")
        self.put("c")
        self.request("DELETE", "secret/data/c")
        self.put("b")
        self.request("DELETE", "secret/data/b")
        told = {name: [path.removeprefix("secret/data/") + ":" + kind.removeprefix("kv-v2/data-") for kind, path in
                       ((kind, metadata["data_path"]) for kind, metadata in (stream.next() for _ in range(count)))]
                for (name, stream), count in zip(streams.items(), (7, 3, 2, 4))}
        self.assertEqual(told, {
            "all": ["a:write", "b:write", "b:delete", "c:write", "c:delete", "b:write", "b:delete"],
            "deletes": ["b:delete", "c:delete", "b:delete"],
            "filtered": ["b:delete", "b:delete"],
            "contains": ["b:write", "b:delete", "b:write", "b:delete"]})

    def test_only_what_is_committed(self):
        stream = self.listen("kv*")
        self.put("app")
        self.request("POST", "secret/data/app", {"data": {"a": "x"}, "options": {"cas": 7}}, expect=400)
        self.request("DELETE", "secret/data/nothing-there")
        self.request("POST", "secret/destroy/app", {"versions": [99]})
        self.request("POST", "secret/move/app", {"to": "app"}, expect=400)
        self.put("last")
        self.hears_next(stream, "secret/data/app")
        self.hears_next(stream, "secret/data/last")

    def test_leases(self):
        for surface in (WebSocket, Grpc):
            with self.subTest(surface.name):
                stream = self.listen("lease/*", surface)
                made = self.request("POST", "auth/token/create", {"ttl": "1h"})["auth"]["client_token"]
                short = self.request("POST", "auth/token/create", {"ttl": "1s"})
                self.request("POST", "auth/token/renew", {"token": made, "increment": "2h"})
                self.assertTrue(short)
                kinds = [stream.next() for _ in range(4)]
                self.request("POST", "auth/token/revoke", {"token": made})
                kinds.append(stream.next())
                self.assertEqual(sorted(kind for kind, _ in kinds), ["lease/expire", "lease/issue", "lease/issue", "lease/renew", "lease/revoke"])
                ids = {kind: metadata["lease_id"] for kind, metadata in kinds if kind in ("lease/renew", "lease/revoke")}
                self.assertEqual(ids["lease/renew"], ids["lease/revoke"])
                for kind, metadata in kinds:
                    self.assertRegex(metadata["lease_id"], r"^auth/token/create/h[0-9a-f]{40}$")
                    self.assertEqual("expire_time" in metadata, kind in ("lease/issue", "lease/renew"))

    def test_rules_decide(self):
        for surface in (WebSocket, Grpc):
            with self.subTest(surface.name):
                token = self.token(LISTEN + hears("secret/data/mine/*") + hears("secret/data/typed", "kv-v2/data-del*")
                                   + 'path "secret/data/bare" { capabilities = ["subscribe", "read"] }\n' + 'path "secret/data/mine/not" { capabilities = ["deny"] }')
                stream = self.listen("*", surface, token=token)
                for path in ("other", "bare", "mine/not", "typed", "mine/a"):
                    self.put(path)
                self.request("DELETE", "secret/data/typed")
                self.hears_next(stream, "secret/data/mine/a")
                self.hears_next(stream, "secret/data/typed")

    def test_who_may_not_listen_is_refused(self):
        token = self.token(hears("secret/*"))
        for token in (token, "nobody", ""):
            with self.assertRaises(websocket.WebSocketBadStatusException) as refused:
                self.listen("kv*", token=token)
            self.assertEqual(refused.exception.status_code, 403)
        narrow = self.token('path "sys/events/subscribe/kv-v2/data-write" { capabilities = ["read"] }')
        self.listen("kv-v2/data-write", token=narrow)
        with self.assertRaises(websocket.WebSocketBadStatusException):
            self.listen("kv-v2/*", token=narrow)

    def test_what_a_rule_takes_away_is_not_told(self):
        for surface in (WebSocket, Grpc):
            with self.subTest(surface.name):
                token = self.token(LISTEN + hears("secret/*"))
                stream = self.listen("kv*", surface, token=token)
                self.put("a")
                self.hears_next(stream, "secret/data/a")
                self.request("PUT", "sys/policies/acl/p", {"policy": LISTEN + hears("secret/data/c")})
                self.put("b")
                self.put("c")
                self.hears_next(stream, "secret/data/c")
                self.request("PUT", "sys/policies/acl/p", {"policy": hears("secret/*")})
                self.put("c")
                self.assert_ended(stream, 1008, grpc.StatusCode.PERMISSION_DENIED, "permission denied")

    def assert_ended(self, stream, code, status, reason):
        with self.assertRaises(Ended) as ended:
            stream.next()
        self.assertEqual((ended.exception.code, ended.exception.reason), (code if isinstance(stream, WebSocket) else status, reason))

    def test_a_token_that_ends_ends_its_streams(self):
        for surface in (WebSocket, Grpc):
            with self.subTest(surface.name):
                for end in ("revoke", "expire"):
                    token = self.token(LISTEN + hears("secret/*"), ttl="2s" if end == "expire" else "1h")
                    stream = self.listen("kv*", surface, token=token)
                    if end == "revoke":
                        self.request("POST", "auth/token/revoke", {"token": token})
                        self.put("a")
                    self.assert_ended(stream, 1008, grpc.StatusCode.PERMISSION_DENIED, "permission denied")

    def test_batch_tokens_listen_too(self):
        token = self.token(LISTEN + hears("secret/*"), type="batch", ttl="1h")
        stream = self.listen("kv*", token=token)
        self.put("a")
        self.hears_next(stream, "secret/data/a")

    def test_namespaces_are_apart(self):
        for namespace in ("team", "other", "team/inner"):
            self.request("POST", "sys/namespaces/" + namespace.split("/")[-1], {}, namespace="team" if "/" in namespace else None)
            self.request("POST", "sys/mounts/secret", {"type": "kv-v2"}, namespace=namespace)
        rules = LISTEN + hears("secret/*") + hears("inner/secret/*")
        token = self.token(rules, namespace="team")
        streams = [
            (self.listen("kv*"), [None]),
            (self.listen("kv*", namespaces="team"), [None, "team"]),
            (self.listen("kv*", namespaces=["te*", "other"]), [None, "team", "other", "team/inner"]),
            (self.listen("kv*", namespace="team", token=token), ["team"]),
            (self.listen("kv*", namespace="team", token=token, namespaces="*"), ["team", "team/inner"]),
            (self.listen("kv*", Grpc, namespace="team", token=token, namespaces="*"), ["team", "team/inner"]),
        ]
        for namespace in (None, "other", "team", "team/inner"):
            self.put("of-" + (namespace or "root").replace("/", "-"), namespace=namespace)
        for namespace in (None, "other", "team", "team/inner"):
            self.put("end", namespace=namespace)
        order = [None, "other", "team", "team/inner"]
        for stream, heard in streams:
            heard = [namespace for namespace in order if namespace in heard]
            for namespace in heard:
                self.hears_next(stream, "secret/data/of-" + (namespace or "root").replace("/", "-"))
            for _ in heard:
                self.hears_next(stream, "secret/data/end")
        with self.assertRaises(websocket.WebSocketBadStatusException):
            self.listen("kv*", token=token)

    def test_requests_that_are_no_subscription(self):
        status, body, headers = harness.http("GET", "/v1/sys/events/subscribe/kv*?json=true", "root", raw=True)
        self.assertEqual((status, headers["Upgrade"]), (426, "websocket"))
        self.assertEqual(json.loads(body), {"errors": ["events are told over a WebSocket: ask for an upgrade to one"]})
        for query, text in (({"json": "false"}, '"json" must be true'), ({"filter": "x == y"}, '"filter"'), ({"filter": "a" * 5000}, '"filter"'),
                            ({"filter": "data_path =="}, '"filter"'), ({"namespaces": ["a"] * 65}, '"namespaces"')):
            with self.assertRaises(websocket.WebSocketBadStatusException) as refused:
                self.listen("kv*", **query)
            self.assertEqual(refused.exception.status_code, 400, query)
            status, answer = harness.http("GET", "/v1/sys/events/subscribe/kv*?" + urllib.parse.urlencode(dict({"json": "true"}, **query), doseq=True), "root")
            self.assertEqual(status, 400)
            self.assertIn(text, answer["errors"][0])
        for path in ("sys/batch",):
            answer = self.request("POST", path, {"paths": ["sys/events/subscribe/kv*?json=true"]})
            self.assertNotIn("200", str(answer["data"]))

    def test_so_many_may_listen(self):
        for _ in range(256):
            self.listen("kv*")
        with self.assertRaises(websocket.WebSocketBadStatusException) as refused:
            self.listen("kv*")
        self.assertEqual(refused.exception.status_code, 429)
        self.open.pop().close()

        def again():
            try:
                return self.listen("kv*")
            except websocket.WebSocketBadStatusException:
                return None
        stream = harness.wait_until(again, "a place for another listener")
        self.put("a")
        self.hears_next(stream, "secret/data/a")
        self.hears_next(self.open[0], "secret/data/a")

    def test_pings_are_answered_and_nonsense_is_not(self):
        stream = self.listen("kv*")
        stream.socket.ping("are you there")
        opcode, frame = stream.socket.recv_data_frame(control_frame=True)
        self.assertEqual((opcode, frame.data), (websocket.ABNF.OPCODE_PONG, b"are you there"))
        stream.socket.send("nobody listens")
        self.put("a")
        self.hears_next(stream, "secret/data/a")
        stream.socket.sock.sendall(b"\x81\x01x")  # not masked
        self.assert_ended(stream, 1002, None, "the peer breaks the WebSocket protocol")
        large = self.listen("kv*")
        large.socket.send("x" * 5000)
        self.assert_ended(large, 1009, None, "the peer's frame is longer than it may be")

    def test_who_is_too_slow_is_cut_off_and_nobody_waits(self):
        slow = WebSocket("kv*", sockopt=((socket.SOL_SOCKET, socket.SO_RCVBUF, 4096),))
        self.open.append(slow)
        quick = self.listen("kv*")
        # Of names this long the node holds fewer than 1,500, and the connection's buffers a few hundred.
        path = "/".join(["x" * 60] * 60)
        connection = http.client.HTTPConnection("127.0.0.1", 8200)
        for number in range(3000):
            connection.request("POST", f"/v1/secret/data/{path}/{number}", b'{"data":{}}', {"X-Vault-Token": "root"})
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 200)
            self.hears_next(quick, f"secret/data/{path}/{number}")
        connection.close()
        with self.assertRaises(Ended) as ended:
            for number in range(3000):
                self.hears_next(slow, f"secret/data/{path}/{number}")
        self.assertEqual((ended.exception.code, ended.exception.reason), (1008, "too slow: events were lost"))
        self.put("later")
        self.hears_next(quick, "secret/data/later")

    def test_sealing_ends_all(self):
        streams = [self.listen("kv*"), self.listen("kv*", Grpc)]
        self.shell("vault operator seal")
        for stream in streams:
            self.assert_ended(stream, 1001, grpc.StatusCode.UNAVAILABLE, "the node is sealed or does not lead")

    def test_stopping_says_goodbye(self):
        streams = [self.listen("kv*"), self.listen("kv*", Grpc)]
        self.servers[0].stop()
        for stream in streams:
            self.assert_ended(stream, 1001, grpc.StatusCode.UNAVAILABLE, "the server is stopping")

    def test_a_subscription_is_audited(self):
        self.shell("vault audit enable file file_path=/var/log/events.log")
        self.listen("kv-v2/data-write")
        lines = [json.loads(line) for line in open("/var/log/events.log", encoding="utf-8")]
        seen = [line["type"] for line in lines if line["request"].get("path") == "sys/events/subscribe/kv-v2/data-write"]
        self.assertEqual(seen, ["request", "response"])

    def test_the_command(self):
        process = subprocess.Popen(["vault", "events", "subscribe", "-filter=data_path contains app", "kv*"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env=self.environment)
        try:
            def subscribed():
                self.put("app")
                return self.in_flight(process)
            harness.wait_until(subscribed, "the command's subscription")
            self.put("other")
            event = json.loads(process.stdout.readline())
            self.assertEqual(event["data"]["event"]["metadata"]["data_path"], "secret/data/app")
            self.shell("vault operator seal")
            _, errors = process.communicate(timeout=20)
            self.assertEqual((process.returncode, errors), (1, "The subscription has ended: the node is sealed or does not lead\n"))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()

    def in_flight(self, process):
        return select.select([process.stdout], [], [], 0)[0]

    def test_the_command_ends(self):
        self.assertEqual(self.shell("vault events subscribe -timeout=600ms 'kv*'"), "")
        self.shell("vault events subscribe", code=1)
        self.assertIn("Not enough arguments (expected 1, got 0)", self.stderr)
        self.shell("vault events subscribe -filter=x 'kv*'", code=1)
        self.assertIn("Code: 400. Errors:", self.stderr)
        self.shell("VAULT_TOKEN=nobody vault events subscribe 'kv*'", code=1)
        self.assertIn("* permission denied", self.stderr)
        self.shell("vault events subscribe 'kv*'", code=1, env={"VAULT_ADDR": "http://127.0.0.1:1"})
        self.assertIn("connection refused", self.stderr)


class Tls(Base):
    def test_over_tls(self):
        server = self.start("-dev-tls", "-dev-root-token-id=root")
        server.wait_for_line(r"^Root Token: ")
        cert = re.search(r"export VAULT_CACERT='([^']+)'", server.output()).group(1)
        self.environment.update(VAULT_ADDR="https://127.0.0.1:8200", VAULT_TOKEN="root", VAULT_CACERT=cert)
        process = subprocess.Popen(["vault", "events", "subscribe", "kv*"], stdout=subprocess.PIPE, text=True, env=self.environment)
        try:
            def told():
                self.shell("vault kv put secret/app a=b")
                return select.select([process.stdout], [], [], 0)[0]
            harness.wait_until(told, "an event over TLS")
            self.assertEqual(json.loads(process.stdout.readline())["data"]["event_type"], "kv-v2/data-write")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def of_other_namespaces(test, surface):
    """F2: what happens beside and below a subscription's namespace is nobody's there."""
    test.request("POST", "sys/namespaces/team", {})
    test.request("POST", "sys/mounts/secret", {"type": "kv-v2"}, namespace="team")
    token = test.token(LISTEN + hears("secret/*") + hears("*"), namespace="team")
    streams = [(test.listen("kv*", surface, namespace="team", token=token, namespaces="*"), "team"), (test.listen("kv*", surface), None)]
    test.put("first", namespace=None)
    test.put("second", namespace="team")
    test.put("third", namespace=None)
    for stream, namespace in streams:
        test.hears_next(stream, "secret/data/" + ("second" if namespace else "first"))
        if namespace is None:
            test.hears_next(stream, "secret/data/third")


def after_revocation(test, surface):
    """D13: a token that is revoked hears nothing more."""
    token = test.token(LISTEN + hears("secret/*"))
    stream = test.listen("kv*", surface, token=token)
    test.request("POST", "auth/token/revoke", {"token": token})
    test.put("app")
    try:
        told = stream.next()
    except Ended:
        return
    test.fail(f"a revoked token hears of {told}")


def without_subscribe(test, surface):
    """D10: reading and listening are two things."""
    token = test.token(LISTEN + 'path "secret/*" { capabilities = ["read", "list", "create", "update"] }\n' + hears("secret/data/mine"))
    stream = test.listen("kv*", surface, token=token)
    test.put("others")
    test.put("mine")
    test.hears_next(stream, "secret/data/mine")


SURFACES = [WebSocket, Grpc]
ROWS = [
    ("F2", "f2_event_of_other_namespace", of_other_namespaces, SURFACES),
    ("D13", "g5_event_after_revocation", after_revocation, SURFACES),
    ("D10", "d_event_without_subscribe", without_subscribe, SURFACES),
]


class Mutants(Base):
    """One method a row and surface: the shipped binary passes, the one with the mutant does not."""

    def run_against(self, binary, mutant, check, surface):
        server = self.start("-dev", "-dev-root-token-id=root", f"-dev-grpc-listen-address={GRPC_ADDRESS}", binary=binary,
                            env={"COFFER_MUTANT": mutant} if mutant else {})
        server.wait_for_line(r"^Root Token: ")
        try:
            check(self, surface)
        finally:
            while self.open:
                self.open.pop().close()
            server.stop()


def make(mutant, check, surface):
    def test(self):
        self.run_against(harness.COFFER, None, check, surface)
        try:
            self.run_against(MUTANTS, mutant, check, surface)
        except AssertionError:
            return
        self.fail(f"{check.__name__} survives its mutant {mutant} over {surface.name}")
    return test


for row, name, function, ways in ROWS:
    for way in ways:
        setattr(Mutants, f"test_{row}_{name}_{way.name}", make(name, function, way))


if __name__ == "__main__":
    harness.main()
