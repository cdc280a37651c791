"""What surrounds the API: listeners, TLS and its renewal, configuration by other ways, logs, signals, and what the program calls itself."""
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import ssl
import sys
import threading

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

system, system_services = coffer_grpc.load("sys")

INMEM = '''
storage "inmem" {}
listener "tcp" {
  address = "127.0.0.1:8200"
  tls_disable = true
}
disable_mlock = true
'''


def serial_of(port):
    """Fingerprint of the certificate that a listener shows."""
    return ssl.get_server_certificate(("127.0.0.1", port))


class Surfaces(harness.Contract):
    def test_DEV_03_address_and_token_file(self):
        for flags, kept in (([], True), (["-dev-no-store-token"], False)):
            server = self.start("-dev", "-dev-root-token-id=root", "-dev-listen-address=127.0.0.1:8250", "-dev-grpc-listen-address=", *flags)
            server.wait_for_http("http://127.0.0.1:8250")
            server.wait_for_line(r"^Root Token: root")
            self.assertEqual((self.home / ".vault-token").exists(), kept)
            (self.home / ".vault-token").unlink(missing_ok=True)
            with self.assertRaises(OSError):
                harness.http("GET", "/v1/sys/health")
            self.assertEqual(server.stop(), 0)

    def with_tls(self):
        self.certificate("first")
        path = self.folder / "server.hcl"
        listener = f'  tls_cert_file = "{self.folder}/cert.pem"\n  tls_key_file = "{self.folder}/key.pem"\n'
        path.write_text(f'storage "inmem" {{}}\nlistener "tcp" {{\n  address = "127.0.0.1:8200"\n{listener}}}\n'
                        f'listener "grpc" {{\n  address = "127.0.0.1:8210"\n{listener}}}\ndisable_mlock = true\n')
        server = self.start(f"-config={path}")
        server.wait_for_line("server started!")
        return server

    def test_grpc_over_tls(self):
        self.with_tls()
        credentials = grpc.ssl_channel_credentials((self.folder / "cert.pem").read_bytes())
        with grpc.secure_channel("localhost:8210", credentials) as channel:
            answer = system_services.SysStub(channel).Health(system.HealthRequest(), timeout=20)
            self.assertEqual((answer.http_status, answer.initialized), (501, False))
        with grpc.insecure_channel("localhost:8210") as channel:
            with self.assertRaises(grpc.RpcError) as caught:
                system_services.SysStub(channel).Health(system.HealthRequest(), timeout=5)
            self.assertIn(caught.exception.code(), (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED))

    def test_tls_is_renewed_by_sighup(self):
        server = self.with_tls()
        first = (self.folder / "cert.pem").read_text()
        for port in (8200, 8210):
            self.assertEqual(serial_of(port).strip(), first.strip())
        self.certificate("second")
        second = (self.folder / "cert.pem").read_text()
        server.process.send_signal(signal.SIGHUP)
        for port in (8200, 8210):
            harness.wait_until(lambda: serial_of(port).strip() == second.strip(), f"the new certificate on {port}")
        # A pair that does not fit is not taken, and said.
        (self.folder / "key.pem").write_text("no key")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line(r"reload failed in part")
        self.assertEqual(serial_of(8200).strip(), second.strip())

    def test_json_log(self):
        path = self.folder / "server.hcl"
        path.write_text(INMEM + 'log_format = "json"\nno_such_setting = 1\n')
        server = self.start(f"-config={path}")
        server.wait_for_http()
        server.wait_for_line("no_such_setting")
        self.assertEqual(server.stop(), 0)
        lines = [line for line in server.lines if line.startswith("{")]
        self.assertGreater(len(lines), 2)
        for line in lines:
            event = json.loads(line)
            self.assertRegex(event["@timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+")
            self.assertIn(event["@level"], ("trace", "debug", "info", "warn", "error"))
            self.assertTrue(event["@message"])
            self.assertIn("@module", event)

    def test_log_file_is_reopened(self):
        path = self.folder / "server.hcl"
        log = self.folder / "server.log"
        path.write_text(INMEM + f'log_file = "{log}"\n')
        server = self.start(f"-config={path}")
        server.wait_for_http()
        self.assertIn("leader", log.read_text())
        log.rename(self.folder / "server.log.1")
        server.process.send_signal(signal.SIGHUP)
        harness.wait_until(log.exists, "the log file is made anew")
        self.assertEqual(server.stop(), 0)
        self.assertIn("shutdown triggered", log.read_text())
        self.assertNotIn("shutdown triggered", (self.folder / "server.log.1").read_text())

    def test_log_file_is_put_aside(self):
        path = self.folder / "server.hcl"
        log = self.folder / "server.log"
        path.write_text(INMEM + f'log_file = "{log}"\nlog_rotate_bytes = 1000\nlog_rotate_max_files = 2\n')
        server = self.start(f"-config={path}")
        server.wait_for_http()

        def aside():
            server.process.send_signal(signal.SIGHUP)
            return sorted(p.name for p in self.folder.glob("server-*.log"))
        harness.wait_until(lambda: len(aside()) == 2, "two files were put aside")
        first = aside()[0]
        harness.wait_until(lambda: first not in aside(), "the oldest is removed")
        self.assertEqual(server.stop(), 0)
        self.assertLess(log.stat().st_size, 2000)
        self.assertRegex(first, r"^server-\d{19}\.log$")

    def test_pid_file_and_settings_without_effect(self):
        path, pid = self.folder / "server.hcl", self.folder / "server.pid"
        path.write_text(INMEM.replace('storage "inmem" {}', 'storage "inmem" { max_entry_size = 4096 }') +
                        f'pid_file = "{pid}"\nraw_storage_endpoint = true\nintrospection_endpoint = false\n')
        server = self.start(f"-config={path}")
        server.wait_for_http()
        server.wait_for_line("server started!")
        self.assertEqual((pid.read_text(), pid.stat().st_mode & 0o777), (str(server.process.pid), 0o644))
        for name in ("raw_storage_endpoint", "max_entry_size"):
            self.assertEqual(server.output().count(f'"{name}" is set and has no effect in this version'), 1)
        self.assertNotIn("introspection_endpoint", server.output())
        self.assertEqual(server.stop(), 0)
        self.assertFalse(pid.exists())
        path.write_text(INMEM + 'pid_file = "/nowhere/x"\n')
        self.assertIn("pid_file", self.shell(f"timeout 20 vault server -config={path}", code=1))

    def test_headers_of_quotas_over_grpc(self):
        self.dev()
        logical, services = coffer_grpc.load("logical")
        harness.http("POST", "/v1/sys/quotas/config", "root", {"enable_rate_limit_response_headers": True})
        harness.http("POST", "/v1/sys/quotas/rate-limit/kv", "root", {"path": "secret/", "rate": 1, "interval": "1h"})
        with grpc.insecure_channel("127.0.0.1:8210") as channel:
            read = services.LogicalStub(channel).Read
            asked = {"metadata": (("x-vault-token", "root"),), "timeout": 20}
            with self.assertRaises(grpc.RpcError):
                read(logical.ReadRequest(path="secret/data/nothing"), **asked)
            with self.assertRaises(grpc.RpcError) as caught:
                read(logical.ReadRequest(path="secret/data/nothing"), **asked)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        told = dict(caught.exception.trailing_metadata())
        self.assertEqual((told["x-ratelimit-limit"], told["x-ratelimit-remaining"]), ("1", "0"))
        self.assertGreater(int(told["retry-after"]), 0)

    def test_audit_file_is_reopened(self):
        server = self.dev()
        audit = pathlib.Path("/vault/logs/audit.log")
        self.shell(f"vault audit enable file file_path={audit}")
        self.shell("vault kv put secret/before a=1")
        audit.rename("/vault/logs/audit.log.1")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("reload triggered")

        def written_anew():
            harness.http("POST", "/v1/secret/data/after", "root", {"data": {"a": 1}})
            return audit.exists() and "secret/data/after" in audit.read_text()

        harness.wait_until(written_anew, "lines go to a new audit file")
        old = pathlib.Path("/vault/logs/audit.log.1").read_text()
        self.assertIn("secret/data/before", old)
        for line in old.splitlines() + audit.read_text().splitlines():
            json.loads(line)  # whole lines in both
        self.assertEqual(os.stat(audit).st_mode & 0o777, 0o600)

    def test_sigterm_with_requests_in_flight(self):
        server = self.dev()
        answers, stop = [], threading.Event()

        def write(number):
            count = 0
            while not stop.is_set():
                try:
                    status, _ = harness.http("POST", f"/v1/secret/data/w{number}", "root", {"data": {"n": count}})
                except (OSError, http.client.HTTPException, ValueError):
                    return
                answers.append(status)
                count += 1

        writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for writer in writers:
            writer.start()
        harness.wait_until(lambda: len(answers) > 50, "writes are under way")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.process.wait(timeout=10), 0)
        stop.set()
        for writer in writers:
            writer.join(timeout=30)
        self.assertLessEqual(set(answers), {200, 503})
        self.assertRegex(server.output(), "shutdown triggered")

    def test_sigint(self):
        server = self.dev()
        self.assertEqual(server.stop(signal.SIGINT), 0)

    def test_local_config(self):
        server = self.start(env={"VAULT_LOCAL_CONFIG": INMEM})
        server.wait_for_http()
        self.assertEqual(harness.http("GET", "/v1/sys/seal-status")[1]["storage_type"], "inmem")
        server.stop()
        text = json.dumps({"storage": {"inmem": {}}, "listener": [{"tcp": {"address": "127.0.0.1:8200", "tls_disable": 1}}], "disable_mlock": True})
        self.start(env={"VAULT_LOCAL_CONFIG": text}).wait_for_http()

    def test_json_configuration_and_two_listeners(self):
        (self.folder / "data").mkdir()
        text = json.dumps({"storage": {"raft": {"path": str(self.folder / "data"), "node_id": "n1"}}, "disable_mlock": True,
                           "listener": [{"tcp": {"address": "127.0.0.1:8200", "tls_disable": True}},
                                        {"tcp": {"address": "127.0.0.1:8300", "tls_disable": "true"}}]})
        self.configured(text, name="server.json")
        for port in (8200, 8300):
            status, body = harness.http("GET", "/v1/sys/seal-status", address=f"http://127.0.0.1:{port}")
            self.assertEqual((status, body["storage_type"], body["initialized"]), (200, "raft", False))

    def test_storage_inmem(self):
        self.configured(INMEM)
        answer = json.loads(self.shell("vault operator init -key-shares=1 -key-threshold=1 -format=json"))
        self.shell(f"vault operator unseal {answer['unseal_keys_b64'][0]}")
        rows = self.table(self.shell("vault status"))
        self.assertEqual((rows["Storage Type"], rows["HA Enabled"], rows["Sealed"]), ("inmem", "false", "false"))

    def test_address_in_use(self):
        self.dev()
        path = self.folder / "server.hcl"
        path.write_text(INMEM)
        self.assertIn("127.0.0.1:8200", self.shell(f"vault server -config={path}", code=1))

    def test_version(self):
        """D-13, S1-06."""
        self.assertRegex(self.shell("vault version"), r"^Vault v1\.21\.0\+coffer\.\d+\.\d+\.\d+ \([^)'\"\\]+\), built \S+\n$")
        self.assertRegex(self.shell("coffer version"), r"^Coffer v\S*\d+\.\d+\.\d+")
        self.assertRegex(self.shell('vault version | xargs echo "vault_version="'), r"^vault_version= Vault v1\.21\.0")
        self.assertEqual(os.readlink(harness.VAULT), "coffer")

    def test_as_many_files_may_be_open_as_the_hard_limit_allows(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        try:
            server = self.dev()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        limits = pathlib.Path(f"/proc/{server.process.pid}/limits").read_text()
        soft = re.search(r"^Max open files +(\S+) +(\S+)", limits, re.M)
        self.assertEqual(soft.group(1), soft.group(2), limits)

    def token_with_accessor(self):
        auth = harness.http("POST", "/v1/auth/token/create", "root", {"ttl": "1h"})[1]["auth"]
        return auth["client_token"], auth["accessor"]

    def test_fields_that_mean_nothing_are_named(self):
        self.dev()

        def warnings_of(method, path, body, **more):
            status, answer = harness.http(method, path, "root", body, **more)
            self.assertIn(status, (200, 204), answer)
            return answer["warnings"] if answer else None

        ignored = ["Endpoint ignored these unrecognized parameters: [ask colour]"]
        self.assertEqual(warnings_of("POST", "/v1/secret/data/x", {"data": {"any": 1}, "colour": 1, "ask": {}}), ignored)
        self.assertIsNone(warnings_of("POST", "/v1/secret/data/x", {"data": {"any": 1}, "options": {"cas": 1}, "path": "x"}))
        self.assertEqual(warnings_of("POST", "/v1/auth/token/create", {"ttl": "1h", "ask": 1, "colour": 1}), ignored)
        self.assertIsNone(warnings_of("POST", "/v1/sys/wrapping/wrap", {"any": 1}, headers={"X-Vault-Wrap-TTL": "60"}))
        # Whatever a path takes is no surprise to it.
        token, accessor = self.token_with_accessor()
        for path, body in (("capabilities", {"token": token, "paths": ["secret/x"]}), ("capabilities", {"token": token, "path": "secret/x"}),
                           ("capabilities-accessor", {"accessor": accessor, "paths": ["secret/x"]}),
                           ("capabilities-self", {"paths": ["secret/x"], "path": "secret/x"})):
            self.assertIsNone(warnings_of("POST", f"/v1/sys/{path}", body), path)
        self.assertIsNone(warnings_of("POST", "/v1/auth/token/create", {
            "id": "chosen", "policies": ["default"], "meta": {"a": "b"}, "no_parent": True, "no_default_policy": False,
            "renewable": True, "ttl": "1h", "lease": "1h", "explicit_max_ttl": "2h", "num_uses": 3, "display_name": "d",
            "type": "service"}))
        self.assertIsNone(warnings_of("POST", "/v1/auth/token/renew-accessor", {"accessor": accessor, "increment": "1h"}))
        self.assertIsNone(warnings_of("POST", "/v1/auth/token/renew", {"token": token, "increment": "1h"}))
        self.assertIsNone(warnings_of("POST", "/v1/auth/token/lookup", {"token": token}))
        # An answer without a body has no place for a warning.
        self.assertIsNone(warnings_of("POST", "/v1/cubbyhole/x", {"any": 1}))
        self.assertIsNone(warnings_of("POST", "/v1/secret/metadata/x", {"max_versions": 3, "colour": 1}))

    def test_both_names_read_the_same_environment(self):
        self.dev()
        self.shell("coffer kv put secret/x a=1 && vault kv get -field=a secret/x")
        self.assertTrue(self.stdout.endswith("1"), self.stdout)


if __name__ == "__main__":
    harness.main()
