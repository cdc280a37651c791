"""How healthy a cluster is, and what it does by itself about it: S1-18, features STO-09 to STO-13."""
import json
import re
import signal

import cluster_test
import harness

STATE = r"""Healthy:                         true
Failure Tolerance:               1
Leader:                          n1
Voters:
   n1
   n2
   n3
Servers:
   n1
      Name:              n1
      Address:           127\.0\.0\.1:8101
      Status:            leader
      Node Status:       alive
      Healthy:           true
      Last Contact:      0s
      Last Term:         \d+
      Last Index:        \d+
      Version:           \S+
      Upgrade Version:   \S+
      Node Type:         voter
   n2
      Name:              n2
      Address:           127\.0\.0\.1:8201
      Status:            voter
"""


class Autopilot(cluster_test.Nodes):
    def state(self, n=1):
        return json.loads(self.vault(n, "operator raft autopilot state -format=json"))

    def test_S1_18_state(self):
        self.cluster()
        harness.wait_until(lambda: self.state()["healthy"] and self.state()["failure_tolerance"] == 1, "a healthy cluster", 20)
        self.assertRegex(self.vault(1, "operator raft autopilot state"), "^" + STATE)
        self.assertRegex(self.vault(2, "operator raft autopilot state -format=pretty"), "^" + STATE)
        told = self.state(3)
        for key in ("healthy", "failure_tolerance", "servers", "leader", "voters", "non_voters"):
            self.assertIn(key, told)
        self.assertEqual((told["leader"], told["voters"], told["non_voters"], told["failure_tolerance"]), ("n1", ["n1", "n2", "n3"], [], 1))
        self.assertEqual(told["upgrade_info"]["status"], "idle")
        self.assertEqual(sorted(told["servers"]["n2"]), ["address", "healthy", "id", "last_contact", "last_index", "last_term", "name",
                                                         "node_status", "node_type", "stable_since", "status", "upgrade_version", "version"])
        self.assertIn("permission denied", self.vault(2, "operator raft autopilot state", code=2, token="nobody"))

    def metrics(self, n):
        status, text, _ = harness.http("GET", "/v1/sys/metrics?format=prometheus", self.token, address=f"http://127.0.0.1:8{n}00", raw=True,
                                       headers={"X-Vault-No-Request-Forwarding": "true"})
        self.assertEqual(status, 200)
        rows = (line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    def test_S0_38_metrics(self):
        self.cluster()
        harness.wait_until(lambda: self.state()["failure_tolerance"] == 1, "a healthy cluster", 20)
        told = self.metrics(1)
        for name, value in (("vault_autopilot_healthy", 1), ("vault_autopilot_failure_tolerance", 1), ("vault_raft_leader", 1), ("vault_raft_peers", 3),
                            ("vault_raft_state_leader", 1), ('vault_autopilot_node_healthy{node_id="n3"}', 1)):
            self.assertEqual(told[name], value, name)
        self.assertEqual(told["vault_raft_committed_index"], told["vault_raft_storage_stats_commit_index"])
        self.assertLess(told["vault_raft_leader_lastContact"], 1000)
        self.assertIn('vault_raft_storage_follower_last_heartbeat_ms{peer_id="n2"}', told)
        self.nodes[3].stop(signal.SIGKILL)
        harness.wait_until(lambda: self.metrics(1)["vault_raft_leader_lastContact"] > 1000, "it is missed", 20)

    def test_settings_follow(self):
        self.cluster()
        self.assertEqual(self.vault(1, "operator raft autopilot get-config").split("\n")[2:], [
            "Cleanup Dead Servers                  false", "Last Contact Threshold                10s", "Dead Server Last Contact Threshold    24h0m0s",
            "Server Stabilization Time             10s", "Min Quorum                            0", "Max Trailing Logs                     1000",
            "Disable Upgrade Migration             false", ""])
        self.assertEqual(self.vault(2, "operator raft autopilot set-config -last-contact-threshold=5s -max-trailing-logs=500"), "")
        told = self.status(3, "sys/storage/raft/autopilot/configuration", token=self.token)[1]["data"]
        self.assertEqual((told["last_contact_threshold"], told["max_trailing_logs"], told["server_stabilization_time"]), ("5s", 500, "10s"))
        self.vault(1, "operator step-down")
        harness.wait_until(lambda: self.leader((2, 3)), "another node leads", 20)
        self.assertIn("5s", self.vault(1, "operator raft autopilot get-config"))
        for bad, text in (("-cleanup-dead-servers=true", "min_quorum must be set"), ("-max-trailing-logs=0", "max_trailing_logs"),
                          ("-last-contact-threshold=48h", "dead_server_last_contact_threshold"), ("-min-quorum=-1", "min_quorum")):
            self.assertIn(text, self.vault(1, f"operator raft autopilot set-config {bad}", code=2))
        self.assertIn("at least one setting", self.vault(1, "operator raft autopilot set-config", code=1))

    def test_who_asks_again_and_shall_not_vote(self):
        self.node(1)
        keys = self.init(1)
        self.node(2)
        self.vault(2, "operator raft join -retry -non-voter http://127.0.0.1:8100", token=None)
        self.unseal(1, keys)
        harness.wait_until(lambda: self.status(2, "sys/seal-status")[1]["initialized"], "it found the cluster", 20)
        self.unseal(2, keys)
        harness.wait_until(lambda: len(self.peers(1)) == 2 and self.state()["healthy"], "it is in", 20)
        self.assertEqual((self.peers(1)["n2"][2], self.state()["servers"]["n2"]["node_type"]), ("false", "read-replica"))

    def test_the_dead_are_cleaned_up_and_no_more(self):
        keys = self.cluster()
        self.node(4)
        self.vault(4, "operator raft join http://127.0.0.1:8100", token=None)
        self.unseal(4, keys)
        self.vault(1, "operator raft autopilot set-config -server-stabilization-time=1s -last-contact-threshold=1s")
        self.wait_for_voters(1, 4)
        self.nodes[4].stop(signal.SIGKILL)
        harness.wait_until(lambda: not self.state()["servers"]["n4"]["healthy"], "it is missed", 20)
        told = self.state()
        self.assertEqual((told["healthy"], told["failure_tolerance"], told["servers"]["n4"]["node_status"]), (False, 0, "failed"))
        self.assertIn("n4", self.peers(1))  # nobody asked for it
        self.vault(1, "operator raft autopilot set-config -cleanup-dead-servers=true -min-quorum=3 -dead-server-last-contact-threshold=10s")
        harness.wait_until(lambda: "n4" not in self.peers(1), "it is removed", 60)
        self.nodes[3].stop(signal.SIGKILL)
        harness.wait_until(lambda: not self.state()["servers"]["n3"]["healthy"], "it is missed", 20)
        self.assertEqual(sorted(self.peers(1)), ["n1", "n2", "n3"])

    def test_a_zone_has_one_voter(self):
        zone = 'autopilot_redundancy_zone = "{}"'.format
        self.node(1, zone("a"))
        keys = self.init(1)
        self.unseal(1, keys)
        for n, name in ((2, "b"), (3, "c"), (4, "b")):
            self.node(n, zone(name))
            self.vault(n, "operator raft join http://127.0.0.1:8100", token=None)
            self.unseal(n, keys)
        self.wait_for_voters(1, 3)
        self.vault(1, "operator raft autopilot set-config -server-stabilization-time=1s -last-contact-threshold=1s")
        harness.wait_until(lambda: self.state()["healthy"], "a healthy cluster", 20)
        told = self.state()
        self.assertEqual(told["redundancy_zones"]["b"], {"failure_tolerance": 1, "servers": ["n2", "n4"], "voters": ["n2"]})
        self.assertEqual((told["servers"]["n4"]["node_type"], told["servers"]["n2"]["node_type"]), ("zone-standby", "zone-voter"))
        self.nodes[2].stop(signal.SIGKILL)
        harness.wait_until(lambda: (self.peers(1)["n4"][2], self.peers(1)["n2"][2]) == ("true", "false"), "its zone has another voter", 30)

    def test_a_newer_version_takes_over(self):
        version = 'autopilot_upgrade_version = "{}"'.format
        self.node(1, version("1.0.0"))
        keys = self.init(1)
        self.unseal(1, keys)
        self.vault(1, "operator raft autopilot set-config -server-stabilization-time=1s")
        for n in (2, 3, 4):
            self.node(n, version("2.0.0"))
            self.vault(n, "operator raft join http://127.0.0.1:8100", token=None)
            self.unseal(n, keys)
        # Three of the new version: one of them leads, and the old one votes no more.
        harness.wait_until(lambda: self.leader((2, 3, 4)), "a node of the newer version leads", 40)
        harness.wait_until(lambda: self.peers(2)["n1"][2] == "false", "the older one votes no more", 20)
        harness.wait_until(lambda: self.state(2)["upgrade_info"]["status"] == "await-server-removal", "nothing is left to do", 20)
        told = self.state(2)["upgrade_info"]
        self.assertEqual((told["status"], told["target_version"], told["target_version_voters"], told["other_version_non_voters"]),
                         ("await-server-removal", "2.0.0", ["n2", "n3", "n4"], ["n1"]))
        text = self.vault(2, "operator raft autopilot state")
        self.assertRegex(text, re.compile(r"^Upgrade Info:\n   Status: +await-server-removal\n   Target Version: +2\.0\.0\n", re.M))

    def test_a_moved_node_says_so(self):
        keys = self.cluster()
        self.nodes[2].stop()
        path = cluster_test.NODES / "n2.hcl"
        path.write_text(path.read_text().replace("8201", "8251").replace("min_free_bytes", 'autopilot_redundancy_zone = "z"\n  min_free_bytes'))
        server = self.start(f"-config={path}")
        server.wait_for_http("http://127.0.0.1:8200")
        self.unseal(2, keys)
        harness.wait_until(lambda: self.peers(1)["n2"][0] == "127.0.0.1:8251", "its new address is known", 20)
        harness.wait_until(lambda: self.state()["servers"]["n2"].get("redundancy_zone") == "z", "its zone is known", 10)
        self.vault(2, "secrets enable -version=2 kv")
        self.assertEqual(self.peers(3)["n2"], ("127.0.0.1:8251", "follower", "true"))


if __name__ == "__main__":
    harness.main()
