"""What operators ask a server besides its secrets: who uses it, whether its files are right, what it logs; listeners with rules of their own."""
import gzip
import json
import pathlib
import re
import signal

import harness

GET = harness.http


class Operations(harness.Contract):
    def test_client_counts(self):
        self.dev()
        self.assertEqual(GET("GET", "/v1/sys/internal/counters/activity", "root")[0], 204)
        self.shell("vault operator usage")
        self.assertIn("No usage data is available for this period.", self.stderr)
        self.shell("vault auth enable userpass && vault write auth/userpass/users/u password=p")
        token = self.shell("vault write -field=token auth/userpass/login/u password=p")
        plain = self.shell("vault token create -policy=default -field=token")
        for text in (token, plain, token):
            self.assertEqual(GET("GET", "/v1/auth/token/lookup-self", text)[0], 200)
        harness.wait_until(lambda: GET("GET", "/v1/sys/internal/counters/activity/monthly", "root")[1]["data"]["clients"] == 2,
                           "two clients", 20)
        data = GET("GET", "/v1/sys/internal/counters/activity", "root")[1]["data"]
        self.assertEqual(data["total"], {"acme_clients": 0, "clients": 2, "distinct_entities": 1, "entity_clients": 1,
                                         "non_entity_clients": 1, "non_entity_tokens": 1, "secret_syncs": 0})
        self.assertEqual([mount["mount_path"] for mount in data["by_namespace"][0]["mounts"]],
                         ["auth/token/", "auth/userpass/"])
        lines = self.shell("vault operator usage").splitlines()
        self.assertEqual([line.split(":")[0] for line in lines[:2]], ["Period start", "Period end"])
        self.assertEqual([line.split() for line in lines[-2:]],
                         [["[root]", "1", "1", "0", "0", "2"], ["Total", "1", "1", "0", "0", "2"]])
        status, text, headers = GET("GET", "/v1/sys/internal/counters/activity/export", "root", raw=True)
        rows = [json.loads(line) for line in text.decode().splitlines()]
        self.assertEqual(sorted((row["client_type"], row["mount_type"]) for row in rows),
                         [("entity", "userpass"), ("non-entity-token", "token")])
        status, text, headers = GET("GET", "/v1/sys/internal/counters/activity/export?format=csv", "root", raw=True)
        self.assertEqual((status, headers["Content-Type"], len(text.decode().splitlines())), (200, "text/csv", 3))
        self.assertEqual(GET("GET", "/v1/sys/internal/counters/entities", "root")[1]["data"],
                         {"counters": {"entities": {"total": 1}}})

    def test_license_and_plugins(self):
        self.dev()
        self.assertIn("needs no license", self.shell("vault license get") + self.stderr)
        lines = self.shell("vault plugin list").splitlines()
        self.assertEqual(lines[0].split(), ["Name", "Type", "Version"])
        self.assertEqual([line.split()[:2] for line in lines[2:5]],
                         [["approle", "auth"], ["userpass", "auth"], ["kv", "secret"]])
        self.assertEqual(self.shell("vault plugin info -field=builtin secret kv"), "true")
        self.shell("vault plugin info secret moon", code=2)
        self.assertIn('No value found for plugin "moon"', self.stderr)
        self.shell("vault path-help secret")
        self.assertIn("## PATHS", self.stdout)
        self.assertIn("\n    data/*path\n", self.stdout)

    def test_names_of_long_ago(self):
        self.shell("vault mounts", code=127)
        self.assertTrue(self.stderr.startswith(
            'There is no command "mounts" any more: it is "secrets list" now.\n'), self.stderr[:200])
        self.shell("vault moon", code=127)
        self.assertNotIn("any more", self.stderr)

    def test_validate_config(self):
        good = 'storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n'
        for name, text, code, words in (
                ("good", good, 0, "[ success ] Validate Config"),
                ("unknown", good + "nonsense = 1\n", 2, "nonsense"),
                ("syntax", 'storage "inmem" {', 1, "line 1"),
                ("spans", good + 'default_lease_ttl = "2h"\nmax_lease_ttl = "1h"\n', 1, "line 3, column 1"),
                ("twice", good + 'listener "tcp" { tls_disable = true }\n', 1, "line 3, column 1"),
                ("cors", good.replace("true }", "true\n cors_enabled = true }"), 1, "cors_allowed_origins")):
            pathlib.Path(f"/etc/{name}.hcl").write_text(text)
            self.shell(f"vault operator validate-config -config=/etc/{name}.hcl", code=code)
            self.assertIn(words, self.stdout)
            if code:
                self.assertIn(f"/etc/{name}.hcl", self.stdout)
        self.shell("vault operator validate-config", code=3)
        found = json.loads(self.shell("vault operator validate-config -format=json -config=/etc/unknown.hcl", code=2))
        self.assertEqual((found["status"], len(found["warnings"])), ("warn", 1))

    def test_sealed_export(self):
        self.dev()
        self.shell("vault kv put secret/app/a user=me password=hunter2")
        pathlib.Path("/tmp/phrase").write_text("correct horse\n")
        pathlib.Path("/tmp/wrong").write_text("correct horsf\n")
        self.shell("vault kv export -encrypt -passphrase-file=/tmp/phrase -file=/tmp/sealed secret/app")
        text = pathlib.Path("/tmp/sealed").read_text()
        self.assertTrue(text.startswith("coffer-sealed-export-1\n"))
        self.assertNotIn("hunter2", text)
        self.assertEqual(pathlib.Path("/tmp/sealed").stat().st_mode & 0o777, 0o600)
        self.shell("vault kv import -passphrase-file=/tmp/wrong secret/copy /tmp/sealed", code=1)
        self.assertIn("the passphrase is wrong", self.stderr)
        self.shell("vault kv import -passphrase-file=/tmp/phrase secret/copy /tmp/sealed")
        self.assertEqual(self.shell("vault kv get -field=password secret/copy/a"), "hunter2")

    def test_metrics_by_place(self):
        self.dev()
        self.shell("vault kv put secret/a b=c && vault kv put secret/d/e f=g && vault write identity/entity name=me")
        self.shell("vault write sys/quotas/lease-count/few path=auth/token max_leases=7")

        def lines():
            return GET("GET", "/v1/sys/metrics?format=prometheus", "root", raw=True)[1].decode().splitlines()
        for line in ('vault_secret_kv_count{mount_point="secret/",namespace="root"} 2', "vault_identity_num_entities 1",
                     'vault_identity_entity_count{namespace="root"} 1', 'vault_quota_lease_count_max{name="few"} 7'):
            harness.wait_until(lambda: line in lines(), line, 10)

    def test_rotated_audit_files_are_compressed(self):
        self.dev()
        log = pathlib.Path("/var/log/vault_audit.log")
        self.shell(f"vault audit enable file file_path={log} rotate_bytes=16384 rotate_compress=true")
        for _ in range(60):
            self.assertEqual(GET("GET", "/v1/sys/mounts", "root")[0], 200)

        def packed():
            return sorted(log.parent.glob("vault_audit.log.*.gz"))
        harness.wait_until(lambda: packed() and not list(log.parent.glob("*.part")), "a compressed file", 20)
        for path in packed():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            for line in gzip.decompress(path.read_bytes()).decode().splitlines():
                json.loads(line)

    def test_levels_of_the_log_are_taken_by_sighup(self):
        base = 'storage "inmem" {}\nlistener "tcp" { address = "127.0.0.1:8200" tls_disable = true }\n'
        server = self.configured(base)
        made = json.loads(self.shell("vault operator init -key-shares=1 -key-threshold=1 -format=json"))
        self.shell("vault operator unseal " + made["unseal_keys_b64"][0])

        def reload(settings, line):
            """Until the line is there once more."""
            before = len(re.findall(line, server.output()))
            (self.folder / "server.hcl").write_text(base + settings)
            server.process.send_signal(signal.SIGHUP)
            harness.wait_until(lambda: (GET("GET", "/v1/sys/mounts", made["root_token"]), len(re.findall(line, server.output())))[1] > before, line)

        mounts = r"completed_request.*request_path=sys/mounts"
        reload('log_requests_level = "warn"\n', r"\[WARN\].*" + mounts)
        reload('log_requests_level = "debug"\nlog_level = "debug"\n', r"\[DEBUG\].*" + mounts)
        # A level that was set through the API outlives the signals of whoever rotates the log.
        GET("POST", "/v1/sys/loggers", made["root_token"], {"level": "info"})
        reload('log_requests_level = "off"\nlog_level = "debug"\n', "reload triggered")
        reload('log_level = "loud"\n', r"reload failed in part: .*log_level")  # so the one before is done
        told = GET("GET", "/v1/sys/loggers", made["root_token"])[1]["data"]
        self.assertEqual(set(told.values()), {"info"})
        GET("GET", "/v1/sys/policies/acl", made["root_token"])
        reload('log_requests_level = "error"\n', r"\[ERROR\].*" + mounts)
        self.assertNotIn("request_path=sys/policies/acl", server.output())

    def test_listeners_with_rules_of_their_own(self):
        server = self.configured('''storage "inmem" {}
listener "tcp" { address = "127.0.0.1:8200" tls_disable = true }
listener "tcp" {
  address = "127.0.0.1:8300"
  tls_disable = true
  chroot_namespace = "team/"
  cors_enabled = true
  cors_allowed_origins = ["https://app.example.com"]
}
log_requests_level = "info"
administrative_namespace_path = "team"
''')
        made = json.loads(self.shell("vault operator init -key-shares=1 -key-threshold=1 -format=json"))
        self.shell("vault operator unseal " + made["unseal_keys_b64"][0])
        root = made["root_token"]
        inside = "http://127.0.0.1:8300"
        self.assertEqual(GET("GET", "/v1/sys/mounts", root, address=inside)[0], 404)  # there is no such namespace yet
        for path in ("team", "other"):
            self.assertEqual(GET("POST", "/v1/sys/namespaces/" + path, root, {})[0], 200)
        for address, headers in ((inside, {}), ("http://127.0.0.1:8200", {"X-Vault-Namespace": "team"})):
            self.assertEqual(GET("GET", "/v1/sys/mounts/kv", root, address=address, headers=headers)[0], 400)
        self.assertEqual(GET("POST", "/v1/sys/mounts/kv", root, {"type": "kv"}, address=inside)[0], 204)
        self.assertEqual(GET("GET", "/v1/team/sys/mounts/kv", root)[0], 200)
        self.assertEqual(GET("GET", "/v1/sys/mounts/kv", root)[0], 400)
        self.assertEqual(GET("GET", "/v1/sys/mounts", root, address=inside, headers={"X-Vault-Namespace": "other"})[0], 404)
        # Below its own namespace a listener goes on as usual; what belongs to the root it does not show.
        self.assertEqual(GET("POST", "/v1/sys/namespaces/inner", root, {}, address=inside)[0], 200)
        self.assertEqual(GET("GET", "/v1/inner/sys/mounts", root, address=inside)[0], 200)
        self.assertEqual(GET("GET", "/v1/sys/audit", root, address=inside)[0], 400)
        self.assertEqual(GET("GET", "/v1/sys/host-info", root, address=inside)[0], 200)
        self.assertEqual(GET("GET", "/v1/sys/host-info", root, headers={"X-Vault-Namespace": "other"})[0], 400)
        # A quota of the namespace holds for what comes in there.
        self.assertEqual(GET("POST", "/v1/sys/quotas/rate-limit/few", root, {"path": "team/kv", "rate": 0.001})[0], 204)
        self.assertEqual([GET("POST", "/v1/kv/a", root, {"b": "c"}, address=inside)[0] for _ in range(3)], [204, 429, 429])
        self.assertEqual(GET("DELETE", "/v1/sys/quotas/rate-limit/few", root)[0], 204)
        # CORS of the listener, and of no other.
        site = {"Origin": "https://app.example.com"}
        for address, allowed in ((inside, "https://app.example.com"), ("http://127.0.0.1:8200", None)):
            status, _, headers = GET("GET", "/v1/sys/mounts", root, address=address, headers=site, raw=True)
            self.assertEqual((status, headers.get("Access-Control-Allow-Origin")), (200, allowed))
        self.assertEqual(GET("GET", "/v1/sys/mounts", root, address=inside, headers={"Origin": "https://bad"})[0], 403)
        # Every request is a line.
        server.wait_for_line(r"completed_request.*request_path=team/sys/mounts/kv.*status_code=200")
        self.assertNotIn(root, server.output())


if __name__ == "__main__":
    harness.main()
