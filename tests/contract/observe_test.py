"""What the server tells of itself: metrics, loggers, host, configuration, requests in flight, CORS, headers, traces. S0-38, S4-162…S4-167."""
import http.client
import http.server
import json
import os
import pathlib
import re
import socket
import threading
import time

import harness

GET = harness.http
LOG = "/var/log/vault_audit.log"


def metrics(token="root", address="http://127.0.0.1:8200"):
    status, text, headers = GET("GET", "/v1/sys/metrics?format=prometheus", token, address=address, raw=True)
    assert status == 200, (status, text)
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4"), headers
    out = {}
    for line in text.decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            out[name] = float(value)
    return out


class Collector:
    """A small OTLP/HTTP collector: keeps each request as it came."""

    def __init__(self):
        self.requests = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, dict(self.headers), body))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 4318), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans(self):
        return [span for _, _, body in list(self.requests) for resource in json.loads(body)["resourceSpans"]
                for scope in resource["scopeSpans"] for span in scope["spans"]]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


BASE = """
storage "%s" { path = "/opt/vault/data" }
listener "tcp" {
  address = "127.0.0.1:8200"
  tls_disable = true
  %s
}
"""


class Observe(harness.Contract):
    def setUp(self):
        super().setUp()
        for old in pathlib.Path("/var/log").iterdir():
            old.unlink()

    def unsealed(self, listener="", more="", storage="file"):
        folder = pathlib.Path("/opt/vault/data")
        if folder.exists():
            import shutil
            shutil.rmtree(folder)
        server = self.configured(BASE % (storage, listener) + more)
        _, made = GET("PUT", "/v1/sys/init", body={"secret_shares": 1, "secret_threshold": 1})
        self.key = made["keys"][0]
        GET("PUT", "/v1/sys/unseal", body={"key": self.key})
        self.environment["VAULT_TOKEN"] = self.token = made["root_token"]
        return server

    def test_S4_162_to_S4_167_metrics(self):
        self.dev()
        self.shell("vault write sys/config/metrics enable=true")
        self.assertEqual(self.stdout, "Success! Data written to: sys/config/metrics\n")
        self.shell(f"vault audit enable file file_path={LOG}")
        before = metrics()
        self.assertEqual(before["vault_core_unsealed"], 1)
        GET("POST", "/v1/secret/data/x", "root", {"data": {"a": 1}})
        GET("GET", "/v1/secret/data/x", "root")
        self.shell("vault token create -ttl=1h")
        after = metrics()
        self.assertGreaterEqual(after["vault_audit_log_request_count"], before["vault_audit_log_request_count"] + 3)
        self.assertGreaterEqual(after["vault_audit_log_response_count"], before["vault_audit_log_response_count"] + 3)
        self.assertEqual(after.get("vault_route_create_secret__count", 0) + after.get("vault_route_update_secret__count", 0), 1)
        self.assertEqual(after["vault_route_read_secret__count"], 1)
        self.assertGreater(after["vault_raft_committed_index"], before["vault_raft_committed_index"])
        self.assertGreater(after["vault_raft_commitTime_count"], before["vault_raft_commitTime_count"])
        for name in ("vault_core_handle_request_count", "vault_core_check_token_count", "vault_barrier_get", "vault_barrier_put", "vault_token_creation",
                     "vault_runtime_alloc_bytes", 'vault_core_handle_request{quantile="0.99"}', 'vault_core_mount_table_num_entries{type="auth",local="false"}'):
            self.assertGreater(after[name], 0, name)
        harness.wait_until(lambda: metrics()["vault_token_count"] == 2 and metrics()["vault_expire_num_leases"] == 1, "tokens and leases are counted")
        self.shell("vault read -format=json sys/internal/counters/tokens")
        self.assertEqual(json.loads(self.stdout)["data"], {"counters": {"service_tokens": {"total": 2}}})

    def test_S4_162_to_S4_167_session(self):
        self.dev()
        self.shell(f"vault audit enable file file_path={LOG}")
        self.transcript("metrics")

    def test_json_and_refusals(self):
        self.dev()
        status, body = GET("GET", "/v1/sys/metrics", "root")
        self.assertEqual(status, 200)
        self.assertEqual(sorted(body), ["Counters", "Gauges", "Points", "Samples", "Timestamp"])
        self.assertRegex(body["Timestamp"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC$")
        unsealed = [g for g in body["Gauges"] if g["Name"] == "vault.core.unsealed"]
        self.assertEqual(unsealed, [{"Name": "vault.core.unsealed", "Value": 1, "Labels": {}}])
        self.assertEqual(sorted(body["Samples"][0]), ["Count", "Labels", "Max", "Mean", "Min", "Name", "Rate", "Stddev", "Sum"])
        self.assertEqual(GET("GET", "/v1/sys/metrics")[0], 403)
        self.assertEqual(GET("GET", "/v1/sys/metrics?format=nope", "root", raw=True)[0], 400)
        self.shell("vault write sys/config/metrics enable=false")
        self.assertEqual(GET("GET", "/v1/sys/metrics?format=prometheus", "root")[0], 400)
        self.shell("vault read -field=enable sys/config/metrics")
        self.assertEqual(self.stdout.strip(), "false")
        self.assertEqual(GET("POST", "/v1/sys/config/metrics", "root", {})[0], 400)

    def test_S4_163_sealed_S0_38_storage(self):
        self.unsealed("telemetry { unauthenticated_metrics_access = true }", storage="raft")
        now = metrics(token=None)
        self.assertEqual(now["vault_core_unsealed"], 1)
        for name in ("vault_raft_committed_index", "vault_raft_storage_stats_commit_index", "vault_raft_storage_stats_applied_index", "vault_storage_free_bytes",
                     "vault_raft_leader", "vault_raft_term"):
            self.assertGreater(now[name], 0, name)
        self.assertEqual(now["vault_raft_committed_index"], now["vault_raft_storage_stats_commit_index"])
        self.shell("vault operator seal")
        harness.wait_until(lambda: metrics(token=None)["vault_core_unsealed"] == 0, "sealed")

    def test_metrics_only_and_disallowed(self):
        self.unsealed(more='''
listener "tcp" {
  address = "127.0.0.1:8202"
  tls_disable = true
  telemetry {
    unauthenticated_metrics_access = true
    metrics_only = true
  }
}
listener "tcp" {
  address = "127.0.0.1:8204"
  tls_disable = true
  telemetry { disallow_metrics = true }
}
telemetry { metrics_prefix = "mine" }
''')
        self.assertEqual(metrics(token=None, address="http://127.0.0.1:8202")["mine_core_unsealed"], 1)
        for path in ("sys/health", "sys/seal-status", "secret/data/x", "sys/mounts"):
            self.assertEqual(GET("GET", f"/v1/{path}", self.token, address="http://127.0.0.1:8202"), (404, {"errors": []}), path)
        self.assertEqual(GET("GET", "/v1/sys/metrics", self.token, address="http://127.0.0.1:8204")[0], 404)
        self.assertEqual(GET("GET", "/v1/sys/mounts", self.token, address="http://127.0.0.1:8204")[0], 200)
        self.assertEqual(GET("GET", "/v1/sys/metrics", self.token)[0], 200)

    def test_loggers_and_monitor(self):
        server = self.dev()
        _, body = GET("GET", "/v1/sys/loggers", "root")
        self.assertEqual(body["data"]["core"], "info")
        self.assertEqual(GET("POST", "/v1/sys/loggers/core", "root", {"level": "debug"})[0], 204)
        self.assertEqual(GET("GET", "/v1/sys/loggers/core", "root")[1]["data"], {"core": "debug"})
        self.assertEqual(GET("GET", "/v1/sys/loggers/nope", "root")[1]["data"], {})
        self.assertEqual(GET("DELETE", "/v1/sys/loggers/core", "root")[0], 204)
        self.assertEqual(GET("GET", "/v1/sys/loggers/core", "root")[1]["data"], {"core": "info"})
        self.assertEqual(GET("POST", "/v1/sys/loggers", "root", {}), (400, {"errors": ["level is required"]}))
        self.assertEqual(GET("POST", "/v1/sys/loggers", "root", {"level": "canary"})[0], 400)
        self.assertEqual(GET("POST", "/v1/sys/loggers/nope", "root", {"level": "info"}), (400, {"errors": ['logger "nope" not found']}))
        self.assertEqual(GET("GET", "/v1/sys/monitor?log_level=nope", "root"), (400, {"errors": ["unknown log level"]}))
        watcher = http.client.HTTPConnection("127.0.0.1", 8200, timeout=20)
        watcher.request("GET", "/v1/sys/monitor?log_level=debug", headers={"X-Vault-Token": "root"})
        answer = watcher.getresponse()
        self.assertEqual((answer.status, answer.getheader("Transfer-Encoding")), (200, "chunked"))
        GET("POST", "/v1/sys/audit/broken", "root", {"type": "file", "options": {"file_path": "/proc/x"}})
        self.assertIn(b"audit: audit device broken/ was not enabled", answer.readline())
        watcher.close()
        self.assertEqual(GET("GET", "/v1/sys/health")[0], 200)
        server.stop()

    def test_host_config_and_version(self):
        self.unsealed(more='seal "shamir" {}')
        _, body = GET("GET", "/v1/sys/host-info", self.token)
        self.assertEqual(sorted(body["data"]), ["cpu", "cpu_times", "disk", "host", "memory", "timestamp"])
        self.assertGreater(body["data"]["memory"]["total"], 0)
        self.assertEqual(body["data"]["host"]["os"], "linux")
        _, body = GET("GET", "/v1/sys/config/state/sanitized", self.token)
        self.assertEqual(body["data"]["storage"]["type"], "file")
        self.assertEqual(body["data"]["listeners"], [{"config": {"address": "127.0.0.1:8200", "tls_disable": True}, "type": "tcp"}])
        self.assertEqual(GET("GET", "/v1/sys/internal/counters/requests", self.token)[0], 404)

        def versions():
            status, body = GET("LIST", "/v1/sys/version-history", self.token)
            return status == 200 and body["data"]["keys"] and body
        body = harness.wait_until(versions, "the version is noted")
        (version,) = body["data"]["keys"]
        row = body["data"]["key_info"][version]
        self.assertEqual(row["previous_version"], None)
        self.assertRegex(row["timestamp_installed"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(GET("GET", "/v1/sys/pprof/cmdline", self.token)[0], 404)

    def test_in_flight(self):
        self.dev()
        status, body = GET("GET", "/v1/sys/in-flight-req", "root")
        self.assertEqual(status, 200)
        (row,) = body.values()
        self.assertEqual(sorted(row), ["client_id", "client_remote_address", "request_method", "request_path", "start_time"])
        self.assertEqual((row["request_path"], row["request_method"]), ("/v1/sys/in-flight-req", "GET"))
        self.assertEqual(GET("GET", "/v1/sys/in-flight-req")[0], 403)

    def test_audited_headers(self):
        self.dev()
        self.shell(f"vault audit enable file file_path={LOG}")
        self.assertEqual(GET("GET", "/v1/sys/config/auditing/request-headers", "root")[1]["data"], {"headers": {}})
        self.assertEqual(GET("POST", "/v1/sys/config/auditing/request-headers/X-Plain", "root", {})[0], 204)
        self.assertEqual(GET("POST", "/v1/sys/config/auditing/request-headers/X-Hidden", "root", {"hmac": True})[0], 204)
        self.assertEqual(GET("GET", "/v1/sys/config/auditing/request-headers", "root")[1]["headers"], {"x-hidden": {"hmac": True}, "x-plain": {"hmac": False}})
        self.assertEqual(GET("GET", "/v1/sys/config/auditing/request-headers/X-Plain", "root")[1]["data"], {"X-Plain": {"hmac": False}})
        self.assertEqual(GET("GET", "/v1/sys/config/auditing/request-headers/nope", "root"), (400, {"errors": ["Could not find header in config"]}))
        for name in ("X-Vault-Token", "authorization", "Cookie"):
            self.assertEqual(GET("POST", f"/v1/sys/config/auditing/request-headers/{name}", "root", {})[0], 400)
        GET("GET", "/v1/secret/data/marked", "root", headers={"X-Plain": "seen", "x-hidden": "canary-header", "X-Other": "canary-other"})
        text = pathlib.Path(LOG).read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        marked = [e for e in lines if e["request"]["path"] == "secret/data/marked"]
        self.assertEqual([e["type"] for e in marked], ["request", "response"])
        _, hashed = GET("POST", "/v1/sys/audit-hash/file", "root", {"input": "canary-header"})
        for entry in marked:
            self.assertEqual(entry["request"]["headers"], {"x-plain": ["seen"], "x-hidden": [hashed["data"]["hash"]]})
        self.assertNotIn("canary", text)
        self.assertEqual(GET("DELETE", "/v1/sys/config/auditing/request-headers/x-plain", "root")[0], 204)
        self.assertEqual(GET("GET", "/v1/sys/config/auditing/request-headers", "root")[1]["headers"], {"x-hidden": {"hmac": True}})

    def ask(self, method, path, headers):
        connection = http.client.HTTPConnection("127.0.0.1", 8200, timeout=20)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), body

    def test_cors(self):
        self.dev()
        self.assertEqual(GET("GET", "/v1/sys/config/cors", "root")[1]["data"], {"enabled": False})
        self.assertEqual(self.ask("OPTIONS", "/v1/sys/health", {"Origin": "http://a.com"})[0], 405)
        self.assertEqual(GET("POST", "/v1/sys/config/cors", "root", {})[0], 400)
        self.assertEqual(GET("POST", "/v1/sys/config/cors", "root", {"allowed_origins": "http://a.com", "allowed_headers": ["X-Custom"]})[0], 204)
        data = GET("GET", "/v1/sys/config/cors", "root")[1]["data"]
        self.assertEqual((data["enabled"], data["allowed_origins"], data["allowed_headers"][-1], data["allow_credentials"]), (True, ["http://a.com"], "X-Custom", False))
        status, headers, body = self.ask("OPTIONS", "/v1/sys/health", {"Origin": "http://a.com", "Access-Control-Request-Method": "GET"})
        self.assertEqual((status, body), (200, b""))
        self.assertEqual(headers["Access-Control-Allow-Headers"],
                         "Content-Type,Authorization,X-Vault-Token,X-Vault-MFA,X-Vault-No-Request-Forwarding,X-Vault-Wrap-Format,X-Vault-Wrap-TTL,"
                         "X-Requested-With,X-Vault-AWS-IAM-Server-ID,X-Vault-Policy-Override,X-Custom")
        self.assertEqual((headers["Access-Control-Allow-Origin"], headers["Access-Control-Max-Age"], headers["Vary"]), ("http://a.com", "300", "Origin"))
        status, headers, _ = self.ask("GET", "/v1/sys/seal-status", {"Origin": "http://a.com"})
        self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (200, "http://a.com"))
        self.assertEqual(self.ask("GET", "/v1/sys/seal-status", {"Origin": "http://b.com"})[::2], (403, b'{"errors":["origin not allowed"]}\n'))
        self.assertNotIn("Access-Control-Allow-Origin", self.ask("GET", "/v1/sys/seal-status", {})[1])
        for wrong in ({"allowed_origins": ["*", "http://a.com"]}, {"allowed_origins": ["canary"]}, {"allowed_origins": ["*"], "allow_credentials": True},
                      {"allowed_origins": ["http://a.com\r\nX: y"]}, {"allowed_origins": "*", "allowed_headers": ["a b"]}):
            self.assertEqual(GET("POST", "/v1/sys/config/cors", "root", wrong)[0], 400, wrong)
        self.assertEqual(GET("DELETE", "/v1/sys/config/cors", "root")[0], 204)
        self.assertEqual(self.ask("GET", "/v1/sys/seal-status", {"Origin": "http://b.com"})[0], 200)

    def test_ui_headers(self):
        self.dev()
        self.assertEqual(GET("POST", "/v1/sys/config/ui/headers/X-Custom", "root", {"values": ["a", "b"]})[0], 204)
        self.assertEqual(GET("GET", "/v1/sys/config/ui/headers/X-Custom", "root")[1]["data"], {"value": "a"})
        self.assertEqual(GET("GET", "/v1/sys/config/ui/headers/X-Custom?multivalue=true", "root")[1]["data"], {"values": ["a", "b"]})
        self.assertEqual(GET("LIST", "/v1/sys/config/ui/headers", "root")[1]["data"], {"keys": ["X-Custom"]})
        self.assertEqual(GET("POST", "/v1/sys/config/ui/headers/X-Vault-Foo", "root", {"values": ["a"]}), (400, {"errors": ["X-Vault headers cannot be set"]}))
        self.assertEqual(GET("GET", "/v1/sys/config/ui/headers/nope", "root")[0], 404)
        self.assertEqual(GET("DELETE", "/v1/sys/config/ui/headers/X-Custom", "root")[0], 204)
        self.assertEqual(GET("LIST", "/v1/sys/config/ui/headers", "root")[0], 404)

    def test_custom_response_headers(self):
        self.unsealed('''custom_response_headers {
    "default" = { "X-All" = ["one", "two"], "X-Who" = "default" }
    "2xx" = { "X-Who" = ["class"] }
    "404" = { "X-Who" = ["exact"], "Content-Security-Policy" = ["none"] }
  }''')
        for path, status, who in (("sys/seal-status", 200, "class"), ("sys/mounts", 403, "default")):
            got, headers, _ = self.ask("GET", f"/v1/{path}", {})
            self.assertEqual((got, headers["X-Who"], headers["X-All"]), (status, who, "two"))
        got, headers, _ = self.ask("GET", "/v1/nope", {"X-Vault-Token": self.token})
        self.assertEqual((got, headers["X-Who"], headers["Content-Security-Policy"]), (404, "exact", "none"))
        bad = self.folder / "bad.hcl"
        for text, word in (('custom_response_headers { "default" = { "Content-Length" = ["1"] } }', "Content-Length"),
                           ('custom_response_headers { "6xx" = { "X-A" = ["1"] } }', "2xx")):
            bad.write_text(BASE % ("file", text))
            self.assertIn(word, self.shell(f"timeout 20 vault server -config={bad}", code=1))

    def test_traces(self):
        collector = Collector()
        self.addCleanup(collector.close)
        self.unsealed(more='''tracing {
  endpoint = "http://127.0.0.1:4318/v1/traces"
  service_name = "vault-1"
  headers { "X-Collector-Key" = "k" }
}''')
        self.shell(f"vault audit enable file file_path={LOG}")
        self.shell("vault secrets enable -path=team kv")
        trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        GET("POST", "/v1/team/canary-path", self.token, {"a": "canary-value"}, headers={"traceparent": f"00-{trace}-{parent}-01"})
        GET("GET", "/v1/team/canary-path", self.token, headers={"traceparent": f"00-{'1' * 32}-{parent}-00"})
        GET("GET", "/v1/team/canary-path", self.token)
        harness.wait_until(lambda: sum(s["name"] == "read kv" for s in collector.spans()) >= 1, "spans of the last read")
        path, headers, body = collector.requests[0]
        self.assertEqual((path, headers["Content-Type"], headers["X-Collector-Key"]), ("/v1/traces", "application/json", "k"))
        (resource,) = json.loads(body)["resourceSpans"]
        attributes = {a["key"]: a["value"] for a in resource["resource"]["attributes"]}
        self.assertEqual(attributes["service.name"], {"stringValue": "vault-1"})
        self.assertEqual(resource["scopeSpans"][0]["scope"]["name"], "coffer")
        spans = [s for s in collector.spans() if s["traceId"] == trace]
        root = next(s for s in spans if s["kind"] == 2)
        self.assertEqual((root["name"], root["parentSpanId"], root["status"]), ("write kv", parent, {}))
        self.assertEqual({a["key"]: a["value"] for a in root["attributes"] if a["key"] != "coffer.request_id"},
                         {"coffer.operation": {"stringValue": "write"}, "coffer.mount_point": {"stringValue": "team/"}, "coffer.mount_type": {"stringValue": "kv"},
                          "coffer.surface": {"stringValue": "http"}, "http.response.status_code": {"intValue": "204"}})
        children = [s for s in spans if s["kind"] == 1]
        self.assertEqual([s["name"] for s in children], ["route", "acl", "barrier", "audit.request", "raft", "audit.response"])
        now = time.time_ns()
        for span in spans:
            self.assertEqual(sorted(span), sorted(["traceId", "spanId", "parentSpanId", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"]))
            self.assertRegex(span["spanId"], r"^[0-9a-f]{16}$")
            start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
            self.assertTrue(now - 60 * 10**9 < start <= end < now, span)
        for child in children:
            self.assertEqual(child["parentSpanId"], root["spanId"])
            self.assertLessEqual(int(root["startTimeUnixNano"]), int(child["startTimeUnixNano"]))
            self.assertLessEqual(int(child["endTimeUnixNano"]), int(root["endTimeUnixNano"]))
        self.assertEqual(len({s["spanId"] for s in collector.spans()}), len(collector.spans()))
        self.assertFalse([s for s in collector.spans() if s["traceId"] == "1" * 32], "not sampled by the client")
        read = next(s for s in collector.spans() if s["name"] == "read kv")
        request_id = next(a["value"]["stringValue"] for a in read["attributes"] if a["key"] == "coffer.request_id")
        self.assertEqual(request_id.replace("-", ""), read["traceId"])
        self.assertIn(request_id, pathlib.Path(LOG).read_text())
        for _, _, sent in collector.requests:
            self.assertNotIn(b"canary", sent)
            self.assertNotIn(self.token.encode(), sent)

    def test_a_collector_that_is_gone_costs_nothing(self):
        server = self.unsealed(more='tracing { endpoint = "http://127.0.0.1:4318" }')
        for _ in range(20):
            self.assertEqual(GET("GET", "/v1/sys/mounts", self.token)[0], 200)
        server.wait_for_line("traces cannot be sent to the collector")
        harness.wait_until(lambda: metrics(self.token)["vault_telemetry_spans_dropped"] >= 20, "drops are counted")
        bad = self.folder / "bad.hcl"
        bad.write_text(BASE % ("file", "") + 'tracing { endpoint = "https://127.0.0.1:4318" }')
        self.assertIn("expected http://", self.shell(f"timeout 20 vault server -config={bad}", code=1))


if __name__ == "__main__":
    harness.main()
