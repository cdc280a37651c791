"""A server and a cluster whose root key an HSM guards: SoftHSM2, as a user of a real HSM would set it up (`softhsm2-util`, `pkcs11-tool`, the configuration)."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import cluster_test
import harness
import rekey_test

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "6711-HSM-PIN"
SEAL = '''
seal "pkcs11" {{
  lib            = "/usr/lib/softhsm/libsofthsm2.so"
  token_label    = "coffer"
  pin            = "{pin}"
  key_label      = "vault-root"
  generate_key   = "{generate}"
  {more}
}}
'''


class WithToken:
    """For a Contract: a token of SoftHSM2 in the test's folder."""

    def make_token(self):
        (self.folder / "tokens").mkdir()
        conf = self.folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.folder}/tokens\n")
        self.environment["SOFTHSM2_CONF"] = str(conf)
        self.shell(f"softhsm2-util --init-token --free --label coffer --so-pin 1234-so-pin --pin {PIN}")

    def move_token(self, before, after):
        """Out of its slot, or into it."""
        (self.folder / after).mkdir(exist_ok=True)
        token, = (self.folder / before).iterdir()
        token.rename(self.folder / after / token.name)

    def seal(self, pin=PIN, generate="true", more=""):
        return SEAL.format(pin=pin, generate=generate, more=more)

    def workers(self, server):
        """The helper processes of a server."""
        done = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(server.process.pid)], capture_output=True, text=True, check=False)
        return [int(line.split()[0]) for line in done.stdout.splitlines() if line.endswith("hsm-worker")]

    def unsealed_by_itself(self, address="http://127.0.0.1:8200"):
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/health", address=address)[0] in (200, 473), "unsealed by itself")


class Hsm(WithToken, harness.Contract):
    server = rekey_test.Rekey.server

    def initialized(self, **how):
        self.make_token()
        server = self.server(self.seal(**how))
        self.shell("vault operator init -recovery-shares=3 -recovery-threshold=2 -format=json")
        made = json.loads(self.stdout)
        self.environment["VAULT_TOKEN"] = made["root_token"]
        self.unsealed_by_itself()
        return server, made["recovery_keys_b64"]

    def test_S0_19c_init_restart_and_recovery_keys(self):
        server, keys = self.initialized()
        self.shell(f"vault operator unseal {keys[0]}")  # S0-19c: it is unsealed already
        self.assertRegex(self.stdout, r"Sealed +false")
        self.shell("vault status")
        self.assertRegex(self.stdout, r"Seal Type +pkcs11")
        self.shell("vault secrets enable -path=secret kv-v2 && vault kv put secret/a value=one")
        self.shell(f"pkcs11-tool --module {SOFTHSM} --token-label coffer --login --pin {PIN} --list-objects")
        self.assertIn("vault-root", self.stdout)
        self.assertIn("AES length 32", self.stdout)
        server.stop()
        server = self.server(self.seal(generate="false"))
        self.unsealed_by_itself()
        self.shell("vault kv get -field=value secret/a")
        self.assertEqual(self.stdout.strip(), "one")
        # Recovery keys are exchanged and make a root token.
        self.shell("vault operator rekey -recovery -init -key-shares=1 -key-threshold=1 -format=json")
        nonce = json.loads(self.stdout)["nonce"]
        for key in keys[1:]:
            self.shell(f"vault operator rekey -recovery -nonce={nonce} -key={key}")
        new = re.search(r"^Key 1: (\S+)$", self.stdout, re.M).group(1)
        self.shell("vault operator generate-root -init -format=json")
        begun = json.loads(self.stdout)
        self.shell(f"vault operator generate-root -nonce={begun['nonce']} {new}")
        self.assertRegex(self.stdout, r"Complete +true")
        # Sealed by hand it stays so until people with recovery keys, or a restart, open it.
        self.shell("vault operator seal")
        self.shell(f"vault operator unseal {new}")
        self.assertRegex(self.stdout, r"Sealed +false")

    def test_the_pin_is_nowhere(self):
        pin_file = self.folder / "pin"
        pin_file.write_text(PIN + "\n")
        server, _ = self.initialized(pin=f"file://{pin_file}")
        worker, = self.workers(server)
        for pid in (server.process.pid, worker):
            for name in ("cmdline", "environ"):
                try:
                    self.assertNotIn(PIN.encode(), pathlib.Path(f"/proc/{pid}/{name}").read_bytes())
                except PermissionError:
                    pass  # not dumpable: nobody else reads it either
        self.assertNotIn(PIN, server.output())
        self.shell("vault read -format=json sys/config/state/sanitized")
        self.assertNotIn(PIN, self.stdout)
        self.assertNotIn(str(pin_file), self.stdout)

    def test_the_pin_of_the_environment(self):
        self.make_token()
        self.environment["VAULT_HSM_PIN"] = PIN
        self.environment["VAULT_HSM_KEY_LABEL"] = "of the environment"
        self.server(self.seal(pin="wrong"))
        self.shell("vault operator init -recovery-shares=1 -recovery-threshold=1")
        self.shell(f"pkcs11-tool --module {SOFTHSM} --token-label coffer --login --pin {PIN} --list-objects")
        self.assertIn("of the environment", self.stdout)

    def test_S0_20d_a_token_that_is_away_at_start(self):
        server, _ = self.initialized()
        server.stop()
        self.move_token("tokens", "away")
        server = self.server(self.seal(generate="false"))
        server.wait_for_line("cannot unseal: HSM: token_label: there is no such token")
        self.assertEqual(harness.http("GET", "/v1/sys/health")[0], 503)
        told = harness.http("GET", "/v1/sys/seal-backend-status")[1]
        self.assertEqual((told["healthy"], told["backends"][0]["name"], told["backends"][0]["healthy"]), (False, "pkcs11", False))
        self.assertRegex(told["unhealthy_since"], r"^20\d\d-\d\d-\d\dT")
        self.move_token("away", "tokens")
        self.unsealed_by_itself()
        server.wait_for_line("unsealed with stored key")
        self.assertEqual(harness.http("GET", "/v1/sys/seal-backend-status")[1],
                         {"healthy": True, "fully_wrapped": True, "backends": [{"name": "pkcs11", "healthy": True, "configured": True, "disabled": False}]})
        # What is unsealed serves on without the token, and a stop does not wait for it.
        self.move_token("tokens", "away")
        self.shell("vault token lookup")
        self.assertEqual(server.stop(), 0)

    def test_the_helper_is_killed(self):
        server, keys = self.initialized()
        for _ in range(3):
            worker, = self.workers(server)
            os.kill(worker, signal.SIGKILL)
            self.shell("vault token lookup")
            began = time.monotonic()
            self.shell("vault operator rekey -recovery -init -key-shares=3 -key-threshold=2 -format=json")
            nonce = json.loads(self.stdout)["nonce"]
            for key in keys[:2]:  # wraps the root key anew
                self.shell(f"vault operator rekey -recovery -nonce={nonce} -key={key}")
            keys = re.findall(r"^Key \d+: (\S+)$", self.stdout, re.M)
            self.assertEqual(len(keys), 3)
            self.assertLess(time.monotonic() - began, 10)
        server.stop(signal.SIGKILL)
        harness.wait_until(lambda: not self.workers(server), "no helper stays behind")
        self.server(self.seal(generate="false"))
        self.unsealed_by_itself()

    def test_another_key_later(self):
        server, _ = self.initialized()
        server.stop()
        server = self.server(self.seal().replace("vault-root", "vault-root-2"))
        self.unsealed_by_itself()
        server.wait_for_line("the root key is wrapped by the seal's present key")
        server.stop()
        self.shell(f"pkcs11-tool --module {SOFTHSM} --token-label coffer --login --pin {PIN} --delete-object --type secrkey --label vault-root")
        self.server(self.seal(generate="false").replace("vault-root", "vault-root-2"))
        self.unsealed_by_itself()
        self.shell("vault token lookup")

    def test_what_is_wrong_is_said(self):
        self.make_token()
        server = self.server(self.seal(pin="0000-wrong"))
        for _ in range(2):
            output = self.shell("vault operator init -recovery-shares=1 -recovery-threshold=1", code=2)
            self.assertIn("pin: C_Login: CKR_PIN_INCORRECT", output)
            self.assertNotIn("0000-wrong", output + server.output())
        self.shell("vault status", code=2)
        self.assertRegex(self.stdout, r"Initialized +false")
        server.stop()
        output = self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=4)
        self.assertIn("Check Seal: HSM: pin: C_Login: CKR_PIN_INCORRECT", output)
        output = self.shell(f"vault operator diagnose -config={self.folder}/server.hcl", code=None, env={"VAULT_HSM_PIN": PIN})
        self.assertIn('Check Seal: HSM: key_label: the token has no key "vault-root"', output)  # and makes none
        server = self.server(self.seal(generate="false"))
        output = self.shell("vault operator init -recovery-shares=1 -recovery-threshold=1", code=2)
        self.assertIn('key_label: the token has no key "vault-root"', output)
        server.stop()
        for more, said in (('mechanism = "fast"', "mechanism must be"), ('key_id = "xyz"', "key_id must be hexadecimal")):
            (self.folder / "server.hcl").write_text(rekey_test.CONFIG.format(folder=self.folder, more=self.seal(more=more), type="raft", node='node_id = "vault-1"'))
            output = self.shell(f"vault server -config={self.folder}/server.hcl", code=1)
            self.assertIn(said, output)


class Cluster(WithToken, cluster_test.Nodes):
    def test_three_nodes_on_one_hsm(self):
        self.make_token()
        self.node(1, top=self.seal())
        out = self.vault(1, "operator init -recovery-shares=1 -recovery-threshold=1 -format=json", token=None)
        self.token = json.loads(out)["root_token"]
        self.unsealed_by_itself("http://127.0.0.1:8100")
        for n in (2, 3):
            self.node(n, top=self.seal(generate="false"))
            self.vault(n, "operator raft join http://127.0.0.1:8100", token=None)
            self.unsealed_by_itself(f"http://127.0.0.1:8{n}00")
        self.wait_for_voters(1, 3)
        self.vault(1, "secrets enable -path=secret kv-v2")
        self.vault(2, "kv put secret/a value=one")
        self.nodes[1].stop(signal.SIGKILL)
        leader = harness.wait_until(lambda: self.leader((2, 3)), "another leads")
        self.vault(leader, "kv put secret/a value=two")
        self.node(1, top=self.seal(generate="false"))
        self.unsealed_by_itself("http://127.0.0.1:8100")
        self.assertEqual(self.vault(1, "kv get -field=value secret/a").strip(), "two")


if __name__ == "__main__":
    harness.main()
