"""Snapshots for operators: saved, looked at, taken or refused, on one node and on three. S0-09, S1-01, S1-04, S1-06 to S1-10, S1-17, S1-19, S1-30, S1-31, S1-32, S1-33, S1-34, S1-35, S1-37, S1-38, S1-40, S1-41, S4-156."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import tarfile
import threading

import harness
import s3_stub
from cluster_test import NODES, Nodes

MEMBERS = ["meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"]


def members_of(path):
    with tarfile.open(path, "r:gz") as archive:
        return [(member.name, archive.extractfile(member).read()) for member in archive.getmembers()]


def archive_of(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def with_sums(members):
    """The same with SHA256SUMS that fit."""
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in members[:2])
    return [*members[:2], ("SHA256SUMS", sums.encode()), members[3]]


class Snapshots(Nodes):
    def one(self, further=""):
        self.node(1, further)
        self.keys = self.init(1)
        self.unseal(1, self.keys)
        self.vault(1, "secrets enable -version=2 kv")
        self.vault(1, "kv put kv/a password=the-canary-flies-at-dawn")
        self.environment.update(VAULT_ADDR="http://127.0.0.1:8100", VAULT_TOKEN=self.token)

    def save(self, name="a.snap", n=1):
        self.vault(n, f"operator raft snapshot save {name}")
        return self.folder / name


class Save(Snapshots):
    def test_S0_09_S1_33_S1_34_S1_41_what_a_file_is(self):
        self.one()
        self.assertEqual(self.shell("vault operator raft snapshot save /backup/vault.snap"), "")
        self.assertEqual(stat.S_IMODE(os.stat("/backup/vault.snap").st_mode), 0o600)
        path = self.save()
        self.assertEqual(self.shell("tar tzf a.snap").split(), MEMBERS)
        self.shell("mkdir x && tar xzf a.snap -C x && cd x && sha256sum -c SHA256SUMS")
        self.assertIn(b"hmac-sha256 ", (self.folder / "x/SHA256SUMS.sealed").read_bytes())
        meta = json.loads((self.folder / "x/meta.json").read_text())
        self.assertEqual((meta["Version"], meta["Size"]), (1, (self.folder / "x/state.bin").stat().st_size))
        whole = gzip.decompress(path.read_bytes())
        for secret in (b"canary-flies", self.token.encode(), b"disable_mlock", b"PRIVATE KEY", self.keys[0].encode()):
            self.assertNotIn(secret, whole)
        # Saved again it takes the place of the old one, and nothing else is left.
        self.save()
        self.assertEqual(sorted(p.name for p in self.folder.iterdir() if p.is_file()), ["a.snap"])

    def test_S1_04_S1_06_S1_07_S1_17_the_script(self):
        self.one()
        script = """SNAP_DIR=/var/backups/vault
SNAP_FILE=${SNAP_DIR}/vault-raft-$(date +%Y%m%d-%H%M%S).snap
mkdir -p "$SNAP_DIR"
vault operator raft snapshot save "$SNAP_FILE"
sha256sum "$SNAP_FILE" | tee -a ${SNAP_DIR}/SHA256SUMS
{
  echo "created_at=$(date -Is)"
  vault version | xargs echo "vault_version="
  vault operator raft list-peers -format=json | jq -r '.data.leader_address' | xargs echo "leader="
} | tee -a ${SNAP_FILE}.meta
"""
        self.shell(script)
        folder = pathlib.Path("/var/backups/vault")
        self.assertEqual(len((folder / "SHA256SUMS").read_text().splitlines()), 1)
        meta = next(folder.glob("*.meta")).read_text()
        self.assertRegex(meta, r"(?m)\Acreated_at=\d{4}-.*\nvault_version= Vault v\S.*\nleader= 127\.0\.0\.1:8101\n\Z")
        for i in range(34):
            path = folder / f"vault-raft-20240101-0000{i:02}.snap"
            path.write_bytes(b"")
            os.utime(path, (1_700_000_000 + i, 1_700_000_000 + i))
        self.shell("SNAP_DIR=/var/backups/vault; ls -1t ${SNAP_DIR}/vault-raft-*.snap | tail -n +31 | xargs -r rm -f")
        self.assertEqual(len(list(folder.glob("*.snap"))), 30)
        snap = next(folder.glob(f"{next(folder.glob('*.meta')).stem}"))
        sums = self.shell(f"sha256sum {snap} && sha256sum {snap} && ls -lh {folder}/*.snap").splitlines()
        self.assertEqual(sums[0], sums[1])

    def stand_in(self, name, script):
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("#!/bin/bash\nset -eu\n" + script)
        (folder / name).chmod(0o755)
        self.environment["PATH"] = f"{folder}:{self.environment['PATH']}"

    def test_S1_08_S1_09_it_is_an_ordinary_file(self):
        self.one()
        self.save("vault.snap")
        self.environment.update(SNAP_FILE="vault.snap", AWS_BUCKET="s3://org-backup-vault", GNUPGHOME=str(self.home / "gpg"))
        (self.home / "gpg").mkdir(mode=0o700)
        bucket = self.folder / "bucket"
        bucket.mkdir()
        self.stand_in("aws", f'[ "$1 $2" = "s3 cp" ] && [ "$4" = s3://org-backup-vault ] && cp "$3" {bucket}/\n')
        self.shell('aws s3 cp "$SNAP_FILE" "$AWS_BUCKET" --sse aws:kms --sse-kms-key-id arn:aws:kms:us-east-1:123456789012:key/xxxx')
        self.shell("gpg --batch --passphrase '' --quick-generate-key backup@example.com default default never")
        self.shell('gpg --encrypt --trust-model always --recipient backup@example.com "$SNAP_FILE" && aws s3 cp "${SNAP_FILE}.gpg" "$AWS_BUCKET"')
        self.shell("gpg --batch --output decrypted --decrypt bucket/vault.snap.gpg; gpgconf --kill all")
        sums = [line.split()[0] for line in self.shell("sha256sum vault.snap bucket/vault.snap decrypted").splitlines()]
        self.assertEqual(len(set(sums)), 1)

    def test_S1_10_stopped_and_started_as_a_service(self):
        """With a stand-in for systemctl that does to the process what the unit `vault` does."""
        self.one()
        pid = self.nodes[1].process.pid
        self.stand_in("sudo", 'exec "$@"\n')
        self.stand_in("systemctl", f"""[ "$2" = vault ]
if [ "$1" = stop ]; then kill -TERM {pid}; tail --pid={pid} -f /dev/null
else setsid vault server -config={NODES}/n1.hcl >{self.folder}/out 2>&1 & echo $! >{self.folder}/pid; fi
""")
        waited = threading.Thread(target=self.nodes[1].process.wait)  # a parent that reaps, as a service manager does
        waited.start()
        self.shell("sudo systemctl stop vault")
        waited.join()
        self.assertEqual(self.nodes[1].process.returncode, 0)
        self.shell("sudo systemctl start vault")
        try:
            def sealed():
                try:
                    return self.status(1, "sys/seal-status")[1]["sealed"]
                except OSError:
                    return False
            harness.wait_until(sealed, "it is back")
            self.unseal(1, self.keys)
            self.assertEqual(self.vault(1, "kv get -field=password kv/a"), "the-canary-flies-at-dawn")
        finally:
            os.kill(int((self.folder / "pid").read_text()), signal.SIGTERM)

    def test_S1_19_S4_156_what_is_said_of_the_command(self):
        self.one()
        for name in ("save", "restore", "inspect"):
            self.assertRegex(self.shell("vault operator raft snapshot", code=None), rf"(?m)^ +{name} ")
            self.assertIn("Incorrect arguments (expected 1, got 0)", self.shell(f"vault operator raft snapshot {name}", code=1))

    def test_inspect(self):
        self.one()
        path = self.save()
        told = json.loads(self.shell("vault operator raft snapshot inspect -format=json a.snap", env={"VAULT_ADDR": "http://127.0.0.1:1"}))
        meta = json.loads(dict(members_of(path))["meta.json"])
        self.assertEqual({k: told["Meta"][k] for k in meta}, meta)
        self.assertEqual(told["TotalCountKV"], sum(row["Count"] for row in told["StatsKV"]))
        names = {row["Name"] for row in told["StatsKV"]}
        self.assertTrue({"core/mount", "core/keyring", "seal/config"} <= names, names)
        text = self.shell("vault operator raft snapshot inspect -depth=1 -filter=core a.snap")
        self.assertRegex(text, r"(?m)^ ID +raft-\d+-\d+$")
        self.assertRegex(text, r"(?m)^ core +\d+ +[\d.]+KB$")
        self.assertNotIn("seal", text)
        self.assertNotIn("Key Name", self.shell("vault operator raft snapshot inspect -details=false a.snap"))
        content = path.read_bytes()
        for name, damaged in (("cut", content[:-700]), ("empty", b""), ("none", b"hello" * 1000)):
            (self.folder / name).write_bytes(damaged)
            self.assertIn("Error inspecting the snapshot", self.shell(f"vault operator raft snapshot inspect {name}", code=1))

    def test_who_may(self):
        self.one()
        self.shell("""vault policy write backup - <<< 'path "sys/storage/raft/snapshot" { capabilities = ["read"] }'""")
        token = self.shell("vault token create -policy=backup -field=token")
        self.shell("vault operator raft snapshot save b.snap", env={"VAULT_TOKEN": token})
        self.assertEqual(self.shell("tar tzf b.snap").split(), MEMBERS)
        self.assertIn("permission denied", self.shell("vault operator raft snapshot restore b.snap", code=2, env={"VAULT_TOKEN": token}))
        for who in ("nobody", self.shell("vault token create -policy=default -field=token")):
            self.assertIn("permission denied", self.shell("vault operator raft snapshot save c.snap", code=2, env={"VAULT_TOKEN": who}))
        self.assertFalse((self.folder / "c.snap").exists())

    def test_audit_knows_who_and_not_what(self):
        self.one()
        self.shell(f"vault audit enable file file_path={self.folder}/audit.log")
        self.save()
        lines = [json.loads(line) for line in (self.folder / "audit.log").read_text().splitlines()]
        lines = [line for line in lines if line["request"]["path"] == "sys/storage/raft/snapshot"]
        self.assertEqual([line["type"] for line in lines], ["request", "response"])
        self.assertEqual(lines[0]["request"]["operation"], "read")

    def test_a_token_of_few_uses(self):
        self.one()
        token = self.shell("vault token create -policy=root -use-limit=2 -field=token")
        for code in (0, 0, 2):
            self.shell("vault operator raft snapshot save u.snap", code=code, env={"VAULT_TOKEN": token})

    def test_storage_that_is_no_cluster(self):
        self.dev()
        self.assertIn("raft storage is not in use", self.shell("vault operator raft snapshot save a.snap", code=2))

    def test_a_disk_that_is_full_leaves_nothing(self):
        self.one()
        out = self.shell("ulimit -f 4; trap '' XFSZ; vault operator raft snapshot save f.snap", code=2)
        self.assertIn("Error taking the snapshot", out)
        self.assertEqual([p.name for p in self.folder.iterdir() if p.is_file()], [])
        self.assertIn("Error taking the snapshot", self.shell("vault operator raft snapshot save /nowhere/f.snap", code=2))

    def test_an_answer_that_breaks_off(self):
        """Whatever lies between may cut it: the file does not appear and the exit code says so."""
        listener = socket.create_server(("127.0.0.1", 8900))
        answers = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                   b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
                   b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]

        def serve():
            for answer in answers:
                client, _ = listener.accept()
                with client:
                    client.recv(65536)
                    client.sendall(answer)
        server = threading.Thread(target=serve)
        server.start()
        for _ in answers:
            out = self.shell("vault operator raft snapshot save b.snap", code=2, env={"VAULT_ADDR": "http://127.0.0.1:8900", "VAULT_TOKEN": "x"})
            self.assertIn("Error taking the snapshot", out)
        server.join()
        listener.close()
        self.assertEqual([p.name for p in self.folder.iterdir() if p.is_file()], [])


class Typed(Snapshots):
    def test_S1_01_over_TLS_as_typed(self):
        self.shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=vault.example.com "
                   "-addext subjectAltName=DNS:vault.example.com -keyout key.pem -out cert.pem")
        shutil.rmtree(NODES, ignore_errors=True)
        (NODES / "d1").mkdir(parents=True)
        config = self.folder / "tls.hcl"
        config.write_text(f"""
storage "raft" {{
  path = "{NODES}/d1"
  node_id = "n1"
  min_free_bytes = 0
}}
listener "tcp" {{
  address = "127.0.0.1:8200"
  cluster_address = "127.0.0.1:8201"
  tls_cert_file = "{self.folder}/cert.pem"
  tls_key_file = "{self.folder}/key.pem"
}}
api_addr = "https://vault.example.com:8200"
cluster_addr = "https://127.0.0.1:8201"
disable_mlock = true
""")
        server = self.start(f"-config={config}", binary=self.binary)
        exports = f"export VAULT_ADDR=https://vault.example.com:8200\nexport VAULT_CACERT={self.folder}/cert.pem\n"
        harness.wait_until(lambda: server.process.poll() is None and "Sealed" in self.shell(exports + "vault status || true"), "it answers", 20)
        made = json.loads(self.shell(exports + "vault operator init -key-shares=1 -key-threshold=1 -format=json"))
        self.shell(exports + f"vault operator unseal {made['unseal_keys_b64'][0]}")
        exports += f"export VAULT_TOKEN={made['root_token']}\n"
        self.assertRegex(self.shell(exports + "vault token lookup"), r"(?m)^policies +\[root\]$")
        self.assertEqual(self.shell(exports + "vault operator raft snapshot save a.snap"), "")
        self.assertEqual([name for name, _ in members_of(self.folder / "a.snap")], MEMBERS)
        # The text's own token has the form of one, of an older kind, and is looked up like any other; nobody was given it.
        self.assertIn("Code: 403", self.shell(exports + "export VAULT_TOKEN=s.xxxxx\nvault token lookup", code=2))
        # A stranger's certificate is no server's.
        self.assertRegex(self.shell(exports + "unset VAULT_CACERT\nvault status", code=1), "(?i)certificate")


class Contents(Snapshots):
    def told(self):
        """What a client sees of everything that a snapshot is said to hold."""
        def read(*commands):
            return [json.loads(self.shell(f"VAULT_FORMAT=json vault {command}")) for command in commands]
        secret, inner = read("kv get kv/a", "kv get -namespace=team kv/b")
        mounts = read("secrets list", "secrets list -namespace=team", "auth list", "auth list -namespace=team")
        configuration = read("read auth/userpass/users/alice", "read sys/auth/userpass/tune", "namespace list")
        return ([secret["data"], inner["data"]], [{path: (one["type"], one["accessor"], one["options"]) for path, one in of.items()} for of in mounts],
                [one["data"] if isinstance(one, dict) else one for one in configuration],
                self.shell("vault policy read readers && vault policy read -namespace=team inner"))

    def test_S1_32_what_is_in_it_comes_back_elsewhere(self):
        self.one()
        self.shell("""vault policy write readers - <<'END'
path "kv/data/a" { capabilities = ["read"] }
END
vault auth enable userpass
vault auth tune -max-lease-ttl=30m userpass/
vault write auth/userpass/users/alice password=Password123 token_policies=readers token_ttl=10m
vault namespace create team
vault policy write -namespace=team inner - <<'END'
path "kv/*" { capabilities = ["list"] }
END
vault auth enable -namespace=team userpass
vault secrets enable -namespace=team -version=2 kv
vault kv put -namespace=team kv/b number=2
""")
        before = self.told()
        snap = self.save()
        keys, root = self.keys, self.token
        self.node(2)
        self.environment["VAULT_ADDR"] = "http://127.0.0.1:8200"
        self.shell(f"vault operator raft snapshot restore -force {snap}", env={"VAULT_TOKEN": "whatever"})
        self.unseal(2, keys)
        harness.wait_until(lambda: self.status(2)[0] == 200, "it leads", 20)
        self.environment["VAULT_TOKEN"] = root
        self.assertEqual(self.told(), before)
        token = self.shell("vault login -method=userpass -token-only username=alice password=Password123", env={"VAULT_TOKEN": ""}).strip()
        self.assertIn("the-canary", self.shell("vault kv get kv/a", env={"VAULT_TOKEN": token}))
        self.shell("vault kv put kv/a x=1", code=2, env={"VAULT_TOKEN": token})


class Cluster(Snapshots):
    def test_S1_30_S1_31_from_any_node_while_writes_go_on(self):
        self.cluster()
        self.vault(1, "secrets enable -version=2 kv")
        self.vault(1, "kv put kv/a x=0")
        ended = threading.Event()
        failed = []

        def write():
            while not ended.is_set():
                status = self.status(2, "kv/data/a", "POST", self.token, {"data": {"x": "1"}})[0]
                if status != 200:
                    failed.append(status)
        writer = threading.Thread(target=write)
        writer.start()
        for n in (1, 2, 3):
            self.assertEqual([name for name, _ in members_of(self.save(f"{n}.snap", n))], MEMBERS)
        ended.set()
        writer.join()
        self.assertEqual(failed, [])
        # At rest they are the same, whoever was asked.
        states = [dict(members_of(self.save(f"{n}.snap", n)))["state.bin"] for n in (1, 2)]
        self.assertEqual(len(states[0]), len(states[1]))

    def test_S1_38_a_leader_that_is_gone_or_hangs(self):
        self.cluster()
        self.nodes[1].process.send_signal(signal.SIGSTOP)
        try:
            out = self.shell("vault operator raft snapshot save h.snap", code=2,
                             env={"VAULT_ADDR": "http://127.0.0.1:8100", "VAULT_TOKEN": self.token, "VAULT_CLIENT_TIMEOUT": "2", "VAULT_MAX_RETRIES": "0"})
            self.assertIn("Error taking the snapshot", out)
        finally:
            self.nodes[1].process.send_signal(signal.SIGCONT)
        for n in (1, 3):
            self.nodes[n].stop(signal.SIGKILL)
        # It may have led meanwhile; without the others it soon does not.
        harness.wait_until(lambda: "Error taking the snapshot" in self.vault(2, "operator raft snapshot save g.snap", code=None), "it is reported")
        (self.folder / "g.snap").unlink(missing_ok=True)
        self.vault(2, "operator raft snapshot save g.snap", code=2)
        self.assertEqual([p.name for p in self.folder.iterdir() if p.is_file()], [])


class Refused(Snapshots):
    """What is no snapshot of this cluster changes nothing."""

    def restore(self, content, force="", code=2, env=None):
        path = self.folder / "given"
        path.write_bytes(content)
        return self.shell(f"vault operator raft snapshot restore {force} given", code=code, env=env)

    def test_S1_37_S1_40_damage_and_strangers(self):
        self.one('max_snapshot_size = 1048576')
        path = self.save()
        content = path.read_bytes()
        members = members_of(path)
        before = self.status(1, "kv/data/a", token=self.token)[1]["data"]
        config = (NODES / "n1.hcl").read_bytes()
        meta = json.loads(dict(members)["meta.json"])

        def with_meta(**changed):
            return archive_of(with_sums([("meta.json", json.dumps(dict(meta, **changed)).encode()), *members[1:]]))
        state = bytearray(dict(members)["state.bin"])
        state[len(state) // 2] ^= 1
        flipped = [members[0], ("state.bin", bytes(state)), *members[2:]]
        other = [*members[:3], ("SHA256SUMS.sealed", b"hmac-sha256 " + b"0" * 64 + b"\n")]
        wrong_keys = "possibly the snapshot is using a different set of unseal keys; use the snapshot-force API to bypass this check"
        for given, why in ((content[:-100], "it ends too early"), (content[:50], "it ends too early"), (b"nonsense" * 100, "gzip cannot read it"),
                           (archive_of(flipped), "SHA256SUMS are not those"), (archive_of(members[:2]), "the head of SHA256SUMS is missing"),
                           (archive_of(other), wrong_keys), (archive_of(with_sums(flipped)), wrong_keys),
                           (with_meta(Version=2), "version 2 of the format"), (with_meta(ServerVersion="3.0.0"), "not compatible with"),
                           (os.urandom(500_000), "gzip cannot read it"), (gzip.compress(os.urandom(64)), "the snapshot is damaged")):
            self.assertIn(why, self.restore(given))
        # Force bypasses the keys, and nothing else.
        for given, why in ((archive_of(flipped), "SHA256SUMS are not those"), (archive_of(with_sums(flipped)), "is damaged at offset"),
                           (with_meta(Version=0), "version 0 of the format"), (with_meta(Index=1), "of different states")):
            self.assertIn(why, self.restore(given, "-force"))
        self.assertIn("is empty", self.restore(b""))
        self.assertIn("no such file", self.shell("vault operator raft snapshot restore nowhere", code=2))
        self.assertEqual(self.status(1, "kv/data/a", token=self.token)[1]["data"], before)
        self.assertEqual((NODES / "n1.hcl").read_bytes(), config)
        self.assertEqual(os.listdir(NODES / "d1/spool"), [])

    def test_S1_35_of_another_cluster(self):
        self.node(2)
        self.unseal(2, self.init(2))
        foreign = self.save("foreign", 2).read_bytes()
        self.one()
        out = self.restore(foreign)
        self.assertIn("could not verify hash file, possibly the snapshot is using a different set of unseal keys; "
                      "use the snapshot-force API to bypass this check", out)
        self.assertEqual(self.vault(1, "kv get -field=password kv/a"), "the-canary-flies-at-dawn")

    def test_larger_than_may_be(self):
        self.one("max_snapshot_size = 1000")
        self.assertIn("max_snapshot_size", self.restore(self.save().read_bytes()))

    def test_who_may_not_sends_nothing(self):
        """The body is not asked for before its sender is known; one that comes all the same is not kept."""
        self.one()
        with socket.create_connection(("127.0.0.1", 8100)) as client:
            client.sendall(b"POST /v1/sys/storage/raft/snapshot HTTP/1.1\r\nHost: x\r\nX-Vault-Token: nobody\r\nExpect: 100-continue\r\n"
                           b"Content-Length: 100000000\r\n\r\n")
            self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 403 "))
        out = self.shell("head -c 50000000 /dev/zero | curl -s -o /dev/null -w '%{http_code}' -H 'Expect:' -H 'X-Vault-Token: nobody' "
                         "--data-binary @- http://127.0.0.1:8100/v1/sys/storage/raft/snapshot", code=None)
        self.assertIn(out[:3], ("403", "000"))
        self.assertEqual(os.listdir(NODES / "d1/spool"), [])

    def test_a_client_that_goes_away(self):
        self.one()
        content = self.save().read_bytes()
        head = (f"POST /v1/sys/storage/raft/snapshot HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {self.token}\r\n"
                f"Content-Length: {len(content)}\r\n\r\n").encode()
        with socket.create_connection(("127.0.0.1", 8100)) as client:
            client.sendall(head + content[:1000])
            harness.wait_until(lambda: os.listdir(NODES / "d1/spool"), "it is being taken")
        harness.wait_until(lambda: not os.listdir(NODES / "d1/spool"), "it was given up")
        self.assertEqual(self.status(1, "kv/data/a", token=self.token)[0], 200)


class Automated(Snapshots):
    CONFIG = "sys/storage/raft/snapshot-auto/config"
    STATUS = "sys/storage/raft/snapshot-auto/status"

    def plan(self, name, code=0, **fields):
        fields = " ".join(f"{key}={value}" for key, value in fields.items())
        return self.shell(f"vault write {self.CONFIG}/{name} {fields}", code=code)

    def told(self, name):
        return json.loads(self.shell(f"vault read -format=json {self.STATUS}/{name}"))["data"]

    def files(self, folder):
        folder = NODES / folder
        return sorted(p.name for p in folder.iterdir() if p.is_file()) if folder.exists() else []

    def test_SNP_11_local_with_retention(self):
        self.one(f'snapshot_folder = "{NODES}/auto"')
        self.plan("often", interval="1s", retain=2, storage_type="local", path_prefix="a/b")
        (NODES / "auto").mkdir(exist_ok=True)
        (NODES / "auto/notes.txt").write_text("of somebody else")
        seen = set()

        def four():
            seen.update(name for name in self.files("auto/a/b") if name.endswith(".snap"))
            return len(seen) >= 4
        harness.wait_until(four, "four were made")
        harness.wait_until(lambda: sum(n.endswith(".snap") for n in self.files("auto/a/b")) == 2, "two are kept")
        # None is made any more, so that files stay while they are looked at.
        self.plan("often", interval="24h")
        status = self.told("often")
        self.assertEqual((status["consecutive_errors"], status["last_snapshot_error"]), (0, ""))
        kept = [name for name in self.files("auto/a/b") if name.endswith(".snap")]
        self.assertTrue(all(name.startswith("vault-snapshot-") for name in kept))
        self.assertTrue(status["last_snapshot_url"].startswith(f"file://{NODES}/auto/a/b/vault-snapshot-"))
        path = NODES / "auto/a/b" / kept[-1]
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual([name for name, _ in members_of(path)], MEMBERS)
        self.shell(f"vault operator raft snapshot inspect {path}")
        self.assertEqual(json.loads(self.shell(f"vault list -format=json {self.CONFIG}")), ["often"])
        config = json.loads(self.shell(f"vault read -format=json {self.CONFIG}/often"))["data"]
        self.assertEqual((config["interval"], config["retain"], config["storage_type"], config["path_prefix"]), (86400, 2, "local", "a/b"))
        self.shell(f"vault delete {self.CONFIG}/often")
        self.assertIn("No value found", self.shell(f"vault read {self.CONFIG}/often", code=2))
        self.assertTrue(kept)

    def test_a_host_path_comes_from_the_configuration_alone(self):
        """Rule R of the advisories: what the API names lies below the configured folder."""
        self.one(f'snapshot_folder = "{NODES}/auto"')
        for prefix in ("/tmp/x", "../x", "a/../../x", "a//b", "a/", "./a"):
            self.assertIn("path_prefix", self.plan("bad", code=2, interval="1h", storage_type="local", path_prefix=prefix))
            self.assertIn("file_prefix", self.plan("bad", code=2, interval="1h", storage_type="local", file_prefix=prefix))
        self.assertIn("interval", self.plan("bad", code=2, storage_type="local"))
        self.assertIn("storage_type", self.plan("bad", code=2, interval="1h", storage_type="azure-blob"))
        self.plan("good", interval="24h", storage_type="local", path_prefix="x")
        self.assertIn("cannot be changed", self.plan("good", code=2, path_prefix="y"))
        token = self.shell("vault token create -policy=default -field=token")
        self.assertIn("permission denied", self.shell(f"vault read {self.CONFIG}/good", code=2, env={"VAULT_TOKEN": token}))

    def test_no_plan_takes_the_files_of_another(self):
        self.one(f'snapshot_folder = "{NODES}/auto"')
        self.plan("hourly", interval="1h", retain=24, storage_type="local")
        self.assertIn('"hourly" has files of such names', self.plan("weekly", code=2, interval="168h", storage_type="local"))
        self.plan("weekly", interval="168h", storage_type="local", file_prefix="weekly")
        self.assertIn("file_prefix", self.plan("weekly", code=2, file_prefix="vault-snapshot"))
        self.plan("elsewhere", interval="168h", storage_type="local", path_prefix="elsewhere")
        self.plan("hourly", interval="2h")

    def test_a_folder_that_cannot_be_written_is_told_and_ends_nothing(self):
        (NODES / "file").write_text("not a folder")
        self.one(f'snapshot_folder = "{NODES}/file"')
        self.plan("often", interval="1s", storage_type="local")
        harness.wait_until(lambda: self.told("often")["consecutive_errors"] >= 2, "it is tried again")
        self.assertEqual(self.told("often")["last_snapshot_url"], "")
        self.assertEqual(self.status(1, "kv/data/a", token=self.token)[0], 200)
        self.assertEqual(os.listdir(NODES / "d1/spool"), [])

    def test_no_folder_and_no_room(self):
        self.one()
        self.assertIn("snapshot_folder", self.plan("a", code=2, interval="1h", storage_type="local"))

    def test_local_max_space(self):
        self.one(f'snapshot_folder = "{NODES}/auto"')
        self.plan("small", interval="1s", storage_type="local", local_max_space=1000)
        harness.wait_until(lambda: "local_max_space" in self.told("small")["last_snapshot_error"], "it is told")
        self.assertEqual([name for name in self.files("auto") if name.endswith(".snap")], [])

    def test_SNP_11_SNP_13_S3(self):
        store = s3_stub.Store()
        self.addCleanup(store.stop)
        self.one()
        wrong = dict(interval="1s", retain=2, storage_type="aws-s3", path_prefix="of/mine", aws_s3_bucket="backups", aws_s3_region=s3_stub.REGION,
                     aws_s3_endpoint=store.endpoint, aws_s3_disable_tls="true", aws_s3_force_path_style="true",
                     aws_access_key_id=s3_stub.ACCESS_KEY, aws_secret_access_key="not-the-key-of-it")
        self.plan("s3", **wrong)
        harness.wait_until(lambda: "403 SignatureDoesNotMatch" in self.told("s3")["last_snapshot_error"], "the signature is refused")
        store.objects["of/mine/notes"] = b"of somebody else"
        self.plan("s3", aws_secret_access_key=s3_stub.SECRET_KEY)
        seen = set()

        def three():
            seen.update(key for key in store.objects if key.endswith(".snap"))
            return len(seen) >= 3
        harness.wait_until(three, "three were made")
        store.fails = 503
        harness.wait_until(lambda: "503 AskedToFail" in self.told("s3")["last_snapshot_error"], "the failure is told")
        kept = sorted(key for key in store.objects if key.endswith(".snap"))
        self.assertLessEqual(len(kept), 3)
        self.assertIn("of/mine/notes", store.objects)
        self.assertRegex(kept[-1], r"\Aof/mine/vault-snapshot-\d{8}T\d{6}\.\d{3}Z\.snap\Z")
        (self.folder / "got.snap").write_bytes(store.objects[kept[-1]])
        self.shell("vault operator raft snapshot inspect got.snap")
        config = self.shell(f"vault read -format=json {self.CONFIG}/s3")
        self.assertNotIn(s3_stub.SECRET_KEY, config)
        self.assertIn(s3_stub.ACCESS_KEY, config)


if __name__ == "__main__":
    harness.main()
