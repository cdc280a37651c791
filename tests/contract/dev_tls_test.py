"""`server -dev-tls`: DEV-03. And a start for which the operating system has no thread."""
import pathlib
import re
import resource
import stat
import subprocess

import harness

FILES = ("vault-ca.pem", "vault-cert.pem", "vault-key.pem")


class DevTls(harness.Contract):
    def dev_tls(self, *arguments):
        """A server with a certificate of its own; the environment is what its banner says."""
        server = self.start("-dev-tls", "-dev-root-token-id=root", *arguments)
        server.wait_for_line(r"^Root Token: root$")
        exports = dict(re.findall(r"^ +\$ export (VAULT_\w+)='(.*)'$", server.output(), re.M))
        self.assertEqual(set(exports), {"VAULT_ADDR", "VAULT_CACERT"}, server.output())
        self.assertEqual(exports["VAULT_ADDR"], "https://127.0.0.1:8200")
        self.environment.update(exports, VAULT_TOKEN="root")
        return server

    def test_certificates_in_a_temporary_folder(self):
        server = self.dev_tls()
        self.assertIn("tcp (https://127.0.0.1:8200)", server.output())
        folder = pathlib.Path(self.environment["VAULT_CACERT"]).parent
        self.assertEqual(stat.S_IMODE(folder.stat().st_mode), 0o700)
        self.assertEqual(sorted(path.name for path in folder.iterdir()), sorted(FILES))
        for path in folder.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)
        for host in ("127.0.0.1", "localhost"):
            self.shell(f"curl -sSf --cacert $VAULT_CACERT https://{host}:8200/v1/sys/health")
        self.shell("curl -sSf https://127.0.0.1:8200/v1/sys/health", code=60)
        self.shell("vault status")
        self.shell("vault kv put secret/a b=c && vault kv get -field=b secret/a")
        self.assertTrue(self.stdout.endswith("c"), self.stdout)
        self.assertEqual(server.stop(), 0)
        self.assertFalse(folder.exists())

    def test_certificates_in_a_given_folder(self):
        folder = self.folder / "certificates"
        folder.mkdir()
        (folder / "vault-key.pem").write_text("of an earlier run")
        server = self.dev_tls(f"-dev-tls-cert-dir={folder}", "-dev-tls-san=vault.example.com")
        self.assertEqual(self.environment["VAULT_CACERT"], str(folder / "vault-ca.pem"))
        self.shell("curl -sSf --cacert $VAULT_CACERT https://vault.example.com:8200/v1/sys/health")
        self.shell("curl -sSf --cacert $VAULT_CACERT https://vault.service:8200/v1/sys/health", code=60)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(sorted(path.name for path in folder.iterdir()), sorted(FILES))

    def test_bad_flags(self):
        for flags, words in ((["-dev-tls", f"-dev-tls-cert-dir={self.folder}/none"], "-dev-tls-cert-dir .*/none: No such file"),
                             (["-dev", f"-dev-tls-cert-dir={self.folder}"], "-dev-tls-cert-dir and -dev-tls-san need -dev-tls"),
                             (["-dev-tls", "-dev-tls-san=not a name"], "-dev-tls-san"),
                             (["-dev-tls", "-config=/nowhere"], "-dev and -config exclude each other")):
            done = subprocess.run([harness.VAULT, "server", *flags], capture_output=True, text=True, timeout=30,
                                  env=self.environment)
            self.assertEqual(done.returncode, 1, flags)
            self.assertRegex(done.stderr, words)


class NoThreads(harness.Contract):
    def test_a_start_without_threads_says_so(self):
        def no_room_for_stacks():
            resource.setrlimit(resource.RLIMIT_STACK, (1 << 46, resource.getrlimit(resource.RLIMIT_STACK)[1]))
        done = subprocess.run([harness.VAULT, "server", "-dev"], capture_output=True, text=True, timeout=30,
                              env=self.environment, preexec_fn=no_room_for_stacks)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr, "Error starting the server: a thread could not be started")


if __name__ == "__main__":
    harness.main()
