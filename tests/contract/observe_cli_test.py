"""monitor, debug, version-history and operator diagnose."""
import json
import os
import select
import signal
import subprocess
import tarfile

import harness

CONFIG = """
storage "file" { path = "/opt/vault/data" }
listener "tcp" {
  address = "127.0.0.1:8200"
  tls_disable = true
}
"""


class ObserveCommands(harness.Contract):
    def test_monitor(self):
        self.dev()
        watcher = subprocess.Popen([harness.VAULT, "monitor", "-log-level=debug"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env=dict(os.environ, **self.environment))
        self.addCleanup(watcher.stdout.close)

        def provoke():
            harness.http("POST", "/v1/sys/audit/broken", "root", {"type": "file", "options": {"file_path": "/proc/x"}})
            return len(harness.http("GET", "/v1/sys/in-flight-req", "root")[1]) >= 0
        # The log is watched from some moment on: lines before it are not shown.
        import threading
        stop = threading.Event()
        thread = threading.Thread(target=lambda: [provoke() for _ in iter(lambda: stop.wait(0.2), True)], daemon=True)
        thread.start()
        line = watcher.stdout.readline()
        stop.set()
        thread.join()
        self.assertRegex(line, r"^\d{4}-\d\d-\d\dT[\d:.]+Z \[ERROR\] audit: audit device broken/ was not enabled: ")
        watcher.send_signal(signal.SIGINT)
        watcher.wait(timeout=15)
        self.shell("vault monitor -log-level=nope", code=2)
        self.assertIn("unknown log level", self.stderr)

    def test_monitor_ends_with_its_token(self):
        self.dev()
        self.shell("vault policy write watch -", stdin='path "sys/monitor" { capabilities = ["read", "sudo"] }')
        token = harness.http("POST", "/v1/auth/token/create", "root", {"policies": ["watch"]})[1]["auth"]["client_token"]
        watcher = subprocess.Popen([harness.VAULT, "monitor"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   env={**os.environ, **self.environment, "VAULT_TOKEN": token})
        self.addCleanup(watcher.stdout.close)

        def watched():
            harness.http("POST", "/v1/sys/audit/broken", "root", {"type": "file", "options": {"file_path": "/proc/x"}})
            return select.select([watcher.stdout], [], [], 0)[0]
        harness.wait_until(watched, "a line")
        harness.http("POST", "/v1/auth/token/revoke", "root", {"token": token})
        watcher.wait(timeout=20)

    def test_version_history(self):
        self.dev()

        def noted():
            return "previous_version" in self.shell("vault version-history -format=json", code=None)
        harness.wait_until(noted, "the version is noted")
        self.shell("vault version-history")
        self.assertRegex(self.stdout, r"^Version +Installation Time +Build Date\n-+ +-+ +-+\n1\.21\.0\+coffer\S+ +\d{4}-\d\d-\d\dT[\d:]+Z +\S+\n$")

    def test_debug(self):
        self.dev()
        harness.http("POST", "/v1/secret/data/x", "root", {"data": {"a": "canary-value"}})
        self.shell("vault debug -duration=2s -interval=1s -output=bundle")
        self.assertTrue(self.stdout.endswith("Success! Bundle written to: bundle.tar.gz\n"), self.stdout)
        path = self.folder / "bundle.tar.gz"
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        files = {}
        with tarfile.open(path) as bundle:
            for member in bundle:
                files[member.name] = bundle.extractfile(member).read()
        self.assertEqual(sorted(files), [f"bundle/{name}" for name in ("config.json", "host_info.json", "index.json", "metrics.json", "requests.json",
                                                                       "server_status.json", "vault.log")])
        self.assertEqual(len(json.loads(files["bundle/metrics.json"])), 2)
        self.assertEqual(json.loads(files["bundle/index.json"])["errors"], [])
        for content in files.values():
            self.assertNotIn(b"canary-value", content)
        self.shell("vault debug -duration=1s -interval=1s -output=bundle", code=1)
        self.shell("vault debug -duration=1s -interval=1s -compress=false -target=host -target=config -output=plain")
        self.assertEqual(sorted(p.name for p in (self.folder / "plain").iterdir()), ["config.json", "host_info.json", "index.json"])
        self.shell("vault debug -target=nope", code=1)
        self.shell(f"vault debug -output={'x' * 200}", code=1)
        self.shell(f"vault debug -duration=1s -interval=1s -target=host -output={'x' * 150}")
        with tarfile.open(self.folder / ("x" * 150 + ".tar.gz")) as bundle:
            self.assertEqual(sorted(bundle.getnames()), [f"{'x' * 150}/host_info.json", f"{'x' * 150}/index.json"])
        output = self.shell("vault debug -duration=1s -interval=1s -compress=false -target=host -output=poor", code=2, env={"VAULT_TOKEN": "junk"})
        self.assertIn("nothing could be captured", output)
        self.assertEqual(json.loads((self.folder / "poor/host_info.json").read_text()), [])

    def test_diagnose(self):
        os.makedirs("/opt/vault/data", exist_ok=True)
        os.chmod("/opt/vault/data", 0o700)
        good = self.folder / "good.hcl"
        good.write_text(CONFIG)
        warned = "[ warning ]" in self.shell(f"vault operator diagnose -config={good}", code=None)  # of what the host is like
        output = self.shell(f"vault operator diagnose -config={good}", code=2 if warned else 0)
        for line in ("[ success ] Parse Configuration", "[ success ] Check Storage Access", "[ success ] Create Seals: The seal is of type shamir."):
            self.assertIn(line, output)
        self.shell(f"vault operator diagnose -config={good} -format=json -skip='check listeners'", code=2 if warned else 0)
        result = json.loads(self.stdout)
        self.assertEqual(result["name"], "Vault Diagnose")
        skipped = [child for child in result["children"] if child["name"] == "Check Listeners"]
        self.assertEqual(skipped[0]["status"], "skipped")
        bad = self.folder / "bad.hcl"
        bad.write_text(CONFIG.replace("tls_disable = true", 'tls_cert_file = "/nope"\n  tls_key_file = "/nope"'))
        self.assertIn("[ failure ] Check TLS", self.shell(f"vault operator diagnose -config={bad}", code=4))
        bad.write_text("storage {")
        self.assertIn("[ failure ] Parse Configuration", self.shell(f"vault operator diagnose -config={bad}", code=4))
        self.shell("vault operator diagnose", code=3)


if __name__ == "__main__":
    harness.main()
