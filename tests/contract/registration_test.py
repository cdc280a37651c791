"""A node tells Consul or Kubernetes that it is there: every byte that it sends, and that nothing of it is fatal. S4-110d, features SRV-19, SRV-20."""
import http.server
import json
import ssl
import threading

import harness

SERVER = """
storage "raft" {{
  path = "/opt/vault/data"
  node_id = "n1"
  min_free_bytes = 0
}}
listener "tcp" {{
  address = "127.0.0.1:8200"
  tls_disable = true
}}
disable_mlock = true
service_registration "{kind}" {{
{settings}
}}
"""


class Catalogue:
    """Collects what it is sent, (method, path, headers, body) each, and answers `status`."""

    def __init__(self, port, tls=None):
        self.requests = []
        self.status = 200
        catalogue = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def take(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                catalogue.requests.append((self.command, self.path, dict(self.headers), body.decode()))
                self.send_response(catalogue.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            do_PUT = do_PATCH = do_GET = do_POST = take

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def seen(self, path, text):
        return [one for one in self.requests if path in one[1] and text in one[3]]


class Registration(harness.Contract):
    def begin(self, kind, settings, env=None):
        self.shell("rm -rf /opt/vault/data && mkdir -p /opt/vault/data")
        path = self.folder / "server.hcl"
        path.write_text(SERVER.format(kind=kind, settings=settings))
        server = self.start(f"-config={path}", env=env or {})
        server.wait_for_http()
        self.environment.update(VAULT_ADDR="http://127.0.0.1:8200")
        return server

    def unseal(self):
        made = json.loads(self.shell("vault operator init -key-shares=1 -key-threshold=1 -format=json"))
        self.shell(f"vault operator unseal {made['unseal_keys_b64'][0]}")
        return made["root_token"]

    def test_S4_110d_no_consul(self):
        server = self.begin("consul", '  address = "consul:8500"')
        server.wait_for_line(r"\[WARN\].*service_registration.*not registered")
        token = self.unseal()
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/health")[0] == 200, "it serves", 20)
        self.shell("vault secrets enable kv", env={"VAULT_TOKEN": token})
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.output().count("not registered"), 1)

    def test_consul(self):
        consul = Catalogue(8500)
        self.addCleanup(consul.stop)
        server = self.begin("consul", '  token = "t-1"\n  service_tags = "blue, green"\n  check_timeout = "2s"')
        harness.wait_until(lambda: consul.seen("register", "standby"), "it is registered", 20)
        method, path, headers, body = consul.requests[0]
        self.assertEqual((method, path, headers["X-Consul-Token"], headers["Content-Type"]),
                         ("PUT", "/v1/agent/service/register", "t-1", "application/json"))
        service = "vault:127.0.0.1:8200"
        self.assertEqual(json.loads(body), {
            "ID": service, "Name": "vault", "Address": "127.0.0.1", "Port": 8200, "Tags": ["blue", "green", "standby"], "EnableTagOverride": False,
            "Check": {"CheckID": f"{service}:vault-sealed-check", "Name": "Vault Sealed Status", "TTL": "2s", "Status": "critical",
                      "Notes": "Vault service is healthy when Vault is in an unsealed status"}})
        harness.wait_until(lambda: consul.seen("check/update", "Vault Sealed"), "its check is told", 20)
        self.assertEqual(consul.seen("check/update", "")[0][1], f"/v1/agent/check/update/{service}:vault-sealed-check")
        self.unseal()
        harness.wait_until(lambda: consul.seen("register", '"active","initialized"'), "it is active", 20)
        harness.wait_until(lambda: consul.seen("check/update", '{"Output":"Vault Unsealed","Status":"passing"}'), "its check passes", 20)
        # An agent that was started anew knows nothing of it.
        registered = len(consul.seen("register", "active"))
        consul.status = 404
        harness.wait_until(lambda: "not registered" in server.output(), "it is noticed", 20)
        consul.status = 200
        harness.wait_until(lambda: len(consul.seen("register", "active")) > registered, "it is registered again", 20)
        server.stop()
        self.assertEqual(consul.requests[-1][:2], ("PUT", f"/v1/agent/service/deregister/{service}"))
        self.assertNotIn("t-1", server.output())

    def test_kubernetes(self):
        folder = self.folder / "account"
        folder.mkdir()
        self.shell(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=kube -addext subjectAltName=IP:127.0.0.1 "
                   f"-keyout {folder}/key.pem -out {folder}/ca.crt")
        (folder / "token").write_text("account-token\n")
        (folder / "namespace").write_text("secrets")
        kube = Catalogue(8443, (folder / "ca.crt", folder / "key.pem"))
        self.addCleanup(kube.stop)
        server = self.begin("kubernetes", f'  service_account_folder = "{folder}"',
                            {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "8443", "VAULT_K8S_POD_NAME": "vault-0"})
        harness.wait_until(lambda: kube.requests, "it is told", 20)
        method, path, headers, body = kube.requests[0]
        self.assertEqual((method, path, headers["Authorization"], headers["Content-Type"]),
                         ("PATCH", "/api/v1/namespaces/secrets/pods/vault-0", "Bearer account-token", "application/merge-patch+json"))
        labels = json.loads(body)["metadata"]["labels"]
        self.assertRegex(labels.pop("vault-version"), r"^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$")
        self.assertEqual(labels, {"vault-active": "false", "vault-initialized": "false", "vault-perf-standby": "false", "vault-sealed": "true"})
        self.unseal()
        harness.wait_until(lambda: kube.seen("pods", '"vault-active":"true","vault-initialized":"true"'), "it is active", 20)
        (folder / "token").write_text("renewed")
        server.stop()
        self.assertEqual((kube.requests[-1][2]["Authorization"], json.loads(kube.requests[-1][3])["metadata"]["labels"]["vault-active"]),
                         ("Bearer renewed", "false"))
        self.assertNotIn("account-token", server.output())

    def test_bad_settings(self):
        for kind, settings, text in (("zookeeper", "", "zookeeper"), ("consul", '  check_timeout = "soon"', "check_timeout"), ("consul", '  scheme = "ftp"', "scheme"),
                                     ("kubernetes", "", "pod_name")):
            path = self.folder / "bad.hcl"
            path.write_text(SERVER.format(kind=kind, settings=settings))
            run = self.start(f"-config={path}")
            run.expected_code = 1
            self.assertEqual(run.process.wait(20), 1, kind)
            run.reader.join()
            self.assertIn(text, run.output())


if __name__ == "__main__":
    harness.main()
