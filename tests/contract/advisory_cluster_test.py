"""Advisory rows about clusters, storage and connections to others, each with its mutant, on real nodes."""
import os
import pathlib
import shutil
import stat

import harness
from advisory import Http, add_rows, expect
from cluster_test import NODES, Nodes

HTTP = [Http()]
RAFT_VERBS = [
    ("GET", "storage/raft/configuration", None),
    ("POST", "storage/raft/remove-peer", {"server_id": "n2"}),
    ("POST", "storage/raft/promote", {"server_id": "n2"}),
    ("POST", "storage/raft/demote", {"server_id": "n2"}),
    ("GET", "storage/raft/certificates", None),
    ("POST", "storage/raft/rotate-certificates", None),
    ("PUT", "step-down", None),
    ("GET", "ha-status", None),
]
TLS = pathlib.Path("/opt/tls")


def l1_verbs_of_a_cluster_need_a_token(_, test):
    test.two_nodes()
    for number in (1, 2):
        for token in (None, "hvs.nobodys", test.token_of_default):
            for method, path, body in RAFT_VERBS:
                status = test.status(number, "sys/" + path, method, token, body)[0]
                expect(status == 403, f"{method} {path} at n{number} is answered with {status}")
    expect(sorted(test.peers(1)) == ["n1", "n2"], "a node was removed")


def l2_joining_again_changes_no_vote(_, test):
    """A node that was told not to vote comes back as one that asks to; with less than three voters it would be promoted at once."""
    keys = test.cluster()
    test.vault(1, "operator raft demote n3")
    test.nodes[3].stop()
    test.shell(f"rm -rf {NODES}/d3")
    test.node(3)
    test.vault(3, "operator raft join http://127.0.0.1:8100", token=None)
    test.unseal(3, keys)
    harness.wait_until(lambda: test.status(3)[0] in (429, 473), "the node is a standby")
    try:
        harness.wait_until(lambda: test.peers(1)["n3"][2] == "true", "a vote", 3)
    except AssertionError:
        return
    raise AssertionError("joining again made a voter of a node that had no vote")


def l3_files_are_the_servers_alone(_, test):
    before = os.umask(0)
    try:
        test.two_nodes()
    finally:
        os.umask(before)
    seen = 0
    for path in [*NODES.rglob("d?"), *NODES.rglob("d?/**/*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        seen += 1
        expect(mode & 0o077 == 0 or path.name in ("d1", "d2"), f"{path} has mode {mode:o}")
    expect(seen > 10, f"only {seen} files")


def certificates():
    """A CA with certificates for localhost, for another name and for the past; and another CA."""
    shutil.rmtree(TLS, ignore_errors=True)
    TLS.mkdir()
    script = """
set -e
for ca in ca other; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $ca.key -out $ca.pem -subj /CN=$ca -days 30
done
make() {  # name, alternative names, ca, further flags
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
  printf 'subjectAltName=%s\\n' "$2" >$1.ext
  openssl x509 -req -in $1.csr -CA $3.pem -CAkey $3.key -CAcreateserial -out $1.pem -extfile $1.ext $4
}
make good IP:127.0.0.1 ca '-days 30'
make name DNS:elsewhere.example.com ca '-days 30'
make past IP:127.0.0.1 ca '-days -1'
make foreign IP:127.0.0.1 other '-days 30'
"""
    return script


def l9_whom_a_node_joins_is_verified(_, test):
    test.shell(f"mkdir -p {TLS}; cd {TLS}; " + certificates() + " 2>/dev/null")
    for certificate, works in (("good", True), ("name", False), ("past", False), ("foreign", False)):
        test.shell(f"rm -rf {NODES} && mkdir -p {NODES}")
        test.tls_node(certificate)
        test.node(2)
        out = test.vault(2, f"operator raft join -leader-ca-cert=@{TLS}/ca.pem https://127.0.0.1:8100", token=None, code=None)
        expect(("Joined" in out) == works, f"joining a node whose certificate is {certificate!r} says {out}")
        for number in (1, 2):
            test.nodes[number].stop()


def l10_keys_are_told_whatever_fails_later(_, test):
    """An audit device of the configuration that cannot be opened: the keys come all the same."""
    (NODES / "folder").mkdir()
    (NODES / "d1").mkdir()
    text = f'''
storage "raft" {{
  path = "{NODES}/d1"
  node_id = "n1"
  min_free_bytes = 0
}}
listener "tcp" {{
  address = "127.0.0.1:8100"
  tls_disable = true
}}
audit "file" "broken" {{
  options = {{
    file_path = "{NODES}/folder"
  }}
}}
api_addr = "http://127.0.0.1:8100"
cluster_addr = "https://127.0.0.1:8101"
disable_mlock = true
'''
    (NODES / "n1.hcl").write_text(text)
    server = test.start(f"-config={NODES}/n1.hcl", binary=test.binary_now)
    server.wait_for_http("http://127.0.0.1:8100")
    status, made = test.status(1, "sys/init", "PUT", None, {"secret_shares": 1, "secret_threshold": 1})
    initialized = test.status(1, "sys/init")[1]["initialized"]
    expect(initialized == (status == 200 and len(made.get("keys", [])) == 1), f"initialized is {initialized}, and init was answered with {status}")
    expect(status == 200, f"init is answered with {status} {made}")


ROWS = [
    ("L1", "l1_forwarded_trusted", l1_verbs_of_a_cluster_need_a_token, HTTP),
    ("L2", "l2_rejoin_changes_suffrage", l2_joining_again_changes_no_vote, HTTP),
    ("L3", "l3_files_readable", l3_files_are_the_servers_alone, HTTP),
    ("L9", "l9_outbound_tls_unverified", l9_whom_a_node_joins_is_verified, HTTP),
    ("L10", "l10_init_keys_lost", l10_keys_are_told_whatever_fails_later, HTTP),
]


class Clusters(Nodes):
    mutants = str(harness.BINARY_FOLDER / "coffer_mutants")

    @property
    def binary(self):
        return self.binary_now

    def run_against(self, binary, mutant, check, surface):
        self.binary_now = binary
        self.environment.pop("COFFER_MUTANT", None)
        if mutant:
            self.environment["COFFER_MUTANT"] = mutant
        self.shell(f"rm -rf {NODES} && mkdir -p {NODES}")
        try:
            check(surface, self)
        finally:
            for server in self.servers:
                if server.process.poll() is None:
                    server.stop()

    def two_nodes(self):
        self.node(1)
        keys = self.init(1)
        self.unseal(1, keys)
        self.node(2)
        self.vault(2, "operator raft join http://127.0.0.1:8100", token=None)
        self.unseal(2, keys)
        self.wait_for_voters(1, 2)
        self.token_of_default = self.vault(1, "token create -policy=default -field=token").strip()
        return keys

    def tls_node(self, certificate):
        self.node(1)
        self.nodes[1].stop()
        shutil.rmtree(NODES / "d1")
        (NODES / "d1").mkdir()
        path = NODES / "n1.hcl"
        path.write_text(path.read_text().replace("tls_disable = true", f'tls_cert_file = "{TLS}/{certificate}.pem"\n  tls_key_file = "{TLS}/{certificate}.key"')
                        .replace('api_addr = "http:', 'api_addr = "https:'))
        self.nodes[1] = self.start(f"-config={path}", binary=self.binary)
        self.nodes[1].wait_for_line("server started")
        flags = "VAULT_SKIP_VERIFY=true VAULT_ADDR=https://127.0.0.1:8100"
        made = self.shell(f"{flags} vault operator init -key-shares=1 -key-threshold=1 -format=json")
        self.shell(f"{flags} vault operator unseal " + harness.json.loads(made)["unseal_keys_b64"][0])


# run_against() is given the binaries by make().
Clusters.binary_now = harness.COFFER
add_rows(Clusters, ROWS)


if __name__ == "__main__":
    harness.main()
