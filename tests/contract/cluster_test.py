"""Three nodes on loopback: joining, forwarding, failover, stepping down, getting out. S0-11, S0-17, S0-31, S1-02, S1-03, S1-05, S1-14, S1-16, S4-113 to S4-115."""
import json
import pathlib
import re
import signal

import harness

NODES = pathlib.Path("/opt/cluster")
JOINED = "Key       Value\n---       -----\nJoined    true\n"


class Nodes(harness.Contract):
    """Node n serves on 127.0.0.1:8n00 and talks to others on 8n01."""
    binary = harness.VAULT
    settings = ""  # further ones of each node
    mutant = None  # that is on, where the binary has switches

    def setUp(self):
        super().setUp()
        self.shell(f"rm -rf {NODES} && mkdir -p {NODES}")
        self.nodes = {}

    def node(self, n, further="", top=""):
        (NODES / f"d{n}").mkdir(exist_ok=True)
        path = NODES / f"n{n}.hcl"
        path.write_text(f"""
storage "raft" {{
  path = "{NODES}/d{n}"
  node_id = "n{n}"
  min_free_bytes = 0
  {further}
}}
listener "tcp" {{
  address = "127.0.0.1:8{n}00"
  cluster_address = "127.0.0.1:8{n}01"
  tls_disable = true
}}
api_addr = "http://127.0.0.1:8{n}00"
cluster_addr = "https://127.0.0.1:8{n}01"
disable_mlock = true
{top}
{self.settings}
""")
        options = {"env": {"COFFER_MUTANT": self.mutant}} if self.mutant else {}
        server = self.start(f"-config={path}", binary=self.binary, **options)
        server.wait_for_http(f"http://127.0.0.1:8{n}00")
        self.nodes[n] = server
        return server

    def vault(self, n, command, code=0, token="root"):
        token = self.token if token == "root" else token
        return self.shell(f"vault {command}", code=code, env={"VAULT_ADDR": f"http://127.0.0.1:8{n}00", "VAULT_TOKEN": token or ""})

    def init(self, n, shares=1):
        out = self.vault(n, f"operator init -key-shares={shares} -key-threshold={(shares + 1) // 2} -format=json", token=None)
        made = json.loads(out)
        self.token = made["root_token"]
        return made["unseal_keys_b64"]

    def unseal(self, n, keys):
        for key in keys:
            out = self.vault(n, f"operator unseal {key}", token=None)
        return out

    def peers(self, n):
        rows = self.vault(n, "operator raft list-peers").splitlines()[2:]
        return {row.split()[0]: tuple(row.split()[1:]) for row in rows}

    def cluster(self, shares=1):
        self.node(1)
        keys = self.init(1, shares)[:(shares + 1) // 2]
        self.unseal(1, keys)
        for n in (2, 3):
            self.node(n)
            self.assertEqual(self.vault(n, "operator raft join http://127.0.0.1:8100", token=None), JOINED)
            self.assertRegex(self.unseal(n, keys), r"(?m)^Sealed +false$")
        self.wait_for_voters(1, 3)
        return keys

    def wait_for_voters(self, n, count):
        harness.wait_until(lambda: sum(row[2] == "true" for row in self.peers(n).values()) == count, f"{count} voters", 20)

    def status(self, n, path="sys/health", method="GET", token=None, body=None):
        return harness.http(method, f"/v1/{path}", token, body, address=f"http://127.0.0.1:8{n}00")

    def leader(self, among):
        return next((n for n in among if self.status(n)[0] == 200), None)


class Cluster(Nodes):
    def test_S4_113_to_S4_115_S1_14_three_nodes(self):
        keys = self.cluster(shares=5)
        self.assertEqual(len(keys), 3)
        self.vault(1, "operator raft list-peers")
        lines = self.stdout.splitlines()
        self.assertEqual(lines[:2], ["Node    Address           State       Voter", "----    -------           -----       -----"])
        self.assertEqual(self.peers(1), {"n1": ("127.0.0.1:8101", "leader", "true"), "n2": ("127.0.0.1:8201", "follower", "true"),
                                         "n3": ("127.0.0.1:8301", "follower", "true")})
        self.assertEqual(self.peers(3), self.peers(1))

    def test_S1_02_S1_05_S1_16_S0_16_what_is_told(self):
        self.cluster()
        told = json.loads(self.vault(2, "operator raft list-peers -format=json"))
        self.assertEqual(sorted(told), ["auth", "data", "lease_duration", "lease_id", "mount_type", "renewable", "request_id", "warnings", "wrap_info"])
        self.assertEqual(told["data"]["leader_address"], "127.0.0.1:8101")
        self.assertEqual(told["data"]["config"]["servers"][0],
                         {"address": "127.0.0.1:8101", "leader": True, "node_id": "n1", "protocol_version": "3", "voter": True})
        lines = self.vault(1, "status").splitlines()
        self.assertIn("HA Cluster              https://127.0.0.1:8101", lines)
        self.assertIn("HA Mode                 active", lines)
        lines = [re.sub(" {2,}", "  ", line) for line in self.vault(2, "status").splitlines()]
        for line in ("HA Cluster  https://127.0.0.1:8101", "HA Mode  standby", "Active Node Address  http://127.0.0.1:8100"):
            self.assertIn(line, lines)
        self.assertEqual(self.status(1)[0], 200)
        self.assertEqual(self.status(2)[0], 473)
        self.assertEqual(self.status(2, "sys/health?standbyok=true")[0], 200)
        self.assertTrue(self.status(2)[1]["standby"])
        self.assertEqual(self.status(2, "sys/leader")[1]["leader_address"], "http://127.0.0.1:8100")
        rows = self.table(self.vault(3, "operator members"))
        self.assertEqual(sorted(rows), ["----" + "-" * 5, "Host Name", "n1", "n2", "n3"])

    def test_standbys_forward(self):
        self.cluster()
        self.vault(2, "secrets enable -version=2 kv")
        self.vault(3, "kv put kv/a x=1")
        self.assertEqual(self.vault(2, "kv get -field=x kv/a"), "1")
        self.vault(2, "auth enable userpass")
        self.vault(3, "write auth/userpass/users/alice password=secret token_policies=default")
        token = json.loads(self.vault(2, "write -format=json auth/userpass/login/alice password=secret"))["auth"]["client_token"]
        self.assertEqual(self.status(3, "auth/token/lookup-self", token=token)[1]["data"]["display_name"], "userpass-alice")
        self.assertEqual(self.status(3, "kv/data/a", token=token)[0], 403)
        told = self.shell("curl -s -o /dev/null -w '%{http_code} %{redirect_url}' -X POST -d '{\"data\":{}}' -H 'X-Vault-No-Request-Forwarding: true' "
                          f"-H 'X-Vault-Token: {self.token}' http://127.0.0.1:8300/v1/kv/data/a")
        self.assertEqual(told, "307 http://127.0.0.1:8100/v1/kv/data/a")

    def test_S0_31_one_of_three_is_lost(self):
        keys = self.cluster()
        self.vault(1, "secrets enable -version=2 kv && vault kv put kv/a x=0")
        self.nodes[1].stop(signal.SIGKILL)
        written = 0

        def writes():
            nonlocal written
            written += self.status(2, "kv/data/a", "POST", self.token, {"data": {"x": "1"}})[0] == 200
            return written
        harness.wait_until(writes, "a write after the leader was killed", 20)
        now = self.leader((2, 3))
        self.assertIsNotNone(now)
        self.assertEqual(self.vault(5 - now, "kv get -field=x kv/a"), "1")
        # It comes back with what it had, sealed, and catches up.
        self.node(1)
        self.assertEqual(self.status(1)[0], 503)
        self.assertRegex(self.unseal(1, keys), r"(?m)^Sealed +false$")
        harness.wait_until(lambda: self.status(1, "kv/data/a", token=self.token)[0] == 200, "the node that came back answers", 20)
        self.assertEqual(self.vault(1, "kv get -field=x kv/a"), "1")
        self.assertEqual(self.peers(1)["n1"][1:], ("follower", "true"))

    def test_S0_11_step_down(self):
        self.cluster()
        self.assertEqual(self.vault(1, "operator step-down"), "Success! Stepped down: http://127.0.0.1:8100\n")
        harness.wait_until(lambda: self.leader((2, 3)), "another node leads", 20)
        self.assertEqual(self.status(1)[0], 473)
        # A standby passes it on.
        now = self.leader((2, 3))
        self.vault(1, "operator step-down")
        harness.wait_until(lambda: self.leader({1, 2, 3} - {now}), "again another node leads", 20)
        self.assertIn("permission denied", self.vault(1, "operator step-down", code=2, token="nobody"))

    def test_a_stop_hands_over(self):
        self.cluster()
        self.vault(1, "secrets enable -version=2 kv")
        self.assertEqual(self.nodes[1].stop(), 0)
        self.assertIsNotNone(self.leader((2, 3)))

    def test_the_leader_is_sealed(self):
        keys = self.cluster()
        self.vault(1, "operator seal")
        self.assertEqual(self.status(1)[0], 503)
        harness.wait_until(lambda: self.leader((2, 3)), "another node leads", 20)
        self.unseal(1, keys)
        harness.wait_until(lambda: self.status(1)[0] == 473, "it is a standby", 20)
        harness.wait_until(lambda: len(self.peers(1)) == 3, "it forwards", 20)

    def test_peers_come_and_go(self):
        self.cluster()
        self.assertEqual(self.vault(1, "operator raft demote n3"), "Peer demoted successfully!\n")
        self.assertEqual(self.peers(1)["n3"][2], "false")
        self.assertEqual(self.vault(2, "operator raft promote n3"), "Peer promoted successfully!\n")
        self.assertEqual(self.peers(2)["n3"][2], "true")
        self.assertEqual(self.vault(1, "operator raft remove-peer n3"), "Peer removed successfully!\n")
        self.assertEqual(sorted(self.peers(1)), ["n1", "n2"])
        self.assertIn("no node of the cluster", self.vault(1, "operator raft remove-peer n3", code=2))
        # Advisory L1: nobody without a token, at whichever node.
        for n in (1, 2):
            for verb in ("remove-peer", "promote", "demote"):
                self.assertEqual(self.status(n, f"sys/storage/raft/{verb}", "POST", None, {"server_id": "n2"})[0], 403)
        self.assertEqual(sorted(self.peers(1)), ["n1", "n2"])

    def test_who_was_away_learns_of_a_new_leader(self):
        keys = self.cluster()
        self.nodes[2].stop()
        self.node(4)
        self.vault(4, "operator raft join http://127.0.0.1:8100", token=None)
        self.unseal(4, keys)
        self.wait_for_voters(1, 4)

        self.vault(1, "operator raft demote n3")  # nobody else is left to take over
        self.vault(1, "operator step-down")
        harness.wait_until(lambda: self.leader((4,)), "the new node leads", 20)
        self.node(2)
        self.unseal(2, keys)
        harness.wait_until(lambda: self.status(2, "sys/leader")[1]["leader_address"] == "http://127.0.0.1:8400", "it follows", 30)
        self.assertEqual(len(self.peers(2)), 4)

    def test_who_joined_lately_is_heard_after_a_restart(self):
        """A node that starts again does not know how far its log was committed, and so not who joined at its end."""
        keys = self.cluster()
        for n in (2, 1):
            self.nodes[n].stop(signal.SIGKILL)
        self.node(2)
        self.unseal(2, keys)
        harness.wait_until(lambda: self.leader((2, 3)), "the two that are left elect one", 20)
        harness.wait_until(lambda: len(self.peers(2)) == 3, "it knows all three", 20)

    def test_retry_join(self):
        self.node(1)
        keys = self.init(1)
        join = 'retry_join { leader_api_addr = "http://127.0.0.1:8900" }\n retry_join { leader_api_addr = "http://127.0.0.1:8100" }'
        self.node(2, join)
        self.unseal(1, keys)
        harness.wait_until(lambda: self.status(2, "sys/seal-status")[1]["initialized"], "it found the cluster", 20)
        self.unseal(2, keys)
        self.wait_for_voters(1, 2)


class Refused(Nodes):
    def test_who_cannot_open_the_seal(self):
        self.node(1)
        self.unseal(1, self.init(1))
        self.node(2)
        self.vault(2, "operator raft join http://127.0.0.1:8100", token=None)
        other = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        out = self.vault(2, f"operator unseal {other}", code=2, token=None)
        self.assertRegex(out, "Code: 400")
        self.assertEqual(self.status(2)[0], 503)
        self.assertEqual(sorted(self.peers(1)), ["n1"])
        # An answer that was made up, and a challenge that was.
        joiner = {"server_id": "n2", "cluster_addr": "127.0.0.1:8201"}
        challenge = self.status(1, "sys/storage/raft/bootstrap/challenge", "POST", None, {"server_id": "n2"})[1]["data"]["challenge"]
        for one in (challenge, "AAAA"):
            made_up = dict(joiner, challenge=one, answer="A" * 43 + "=")
            status, answer = self.status(1, "sys/storage/raft/bootstrap/answer", "POST", None, made_up)
            self.assertEqual(status, 403, answer)
        self.assertEqual(sorted(self.peers(1)), ["n1"])

    def test_who_has_data_of_its_own(self):
        for n in (1, 2):
            self.node(n)
            self.unseal(n, self.init(n))
        self.assertIn("already initialized", self.vault(2, "operator raft join http://127.0.0.1:8100", code=2))

    def test_who_is_told_nonsense(self):
        self.node(1)
        for address, text in (("provider=aws tag_key=a", "auto_join"), ("node-a:8200", "must be the URL"), ("", "must be the URL"),
                              ("http://127.0.0.1:8900", "connection refused")):
            self.assertIn(text, self.vault(1, f"operator raft join '{address}'", code=2, token=None))
        self.assertFalse(self.status(1, "sys/seal-status")[1]["initialized"])
        self.unseal(1, self.init(1))
        self.assertIn("only voter", self.vault(1, "operator step-down", code=2))
        self.assertIn("only voter", self.vault(1, "operator raft remove-peer n1", code=2))

    def test_joining_again_changes_no_vote(self):
        keys = self.cluster()
        self.vault(1, "operator raft demote n3")
        self.nodes[3].stop()
        self.shell(f"rm -rf {NODES}/d3")
        self.node(3)
        self.vault(3, "operator raft join http://127.0.0.1:8100", token=None)
        self.unseal(3, keys)
        self.assertEqual(self.peers(1)["n3"][2], "false")
        # An id of a node that is alive is not taken over.
        self.nodes[3].stop()
        (NODES / "d4").mkdir()
        text = re.sub("n3", "n2", (NODES / "n3.hcl").read_text()).replace("d3", "d4").replace(":83", ":84")
        (NODES / "n4.hcl").write_text(text)
        server = self.start(f"-config={NODES}/n4.hcl")
        server.wait_for_http("http://127.0.0.1:8400")
        self.vault(4, "operator raft join http://127.0.0.1:8100", token=None)
        self.assertIn("in use by a node that is alive", self.vault(4, f"operator unseal {keys[0]}", code=2, token=None))
        self.assertEqual(self.peers(1)["n2"][0], "127.0.0.1:8201")


if __name__ == "__main__":
    harness.main()
