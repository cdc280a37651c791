"""Most voters are gone for good: one that is left goes on with what it has, by command and by peers.json. S0-33, S0-41."""
import json
import shutil
import signal

import cluster_test
import harness

NODES = cluster_test.NODES


class Recovery(cluster_test.Nodes):
    def lost(self):
        """Three nodes with 50 writes that all of them have, of which two are killed and never come back."""
        keys = self.cluster()
        self.vault(1, "secrets enable -version=2 kv")
        for i in range(50):
            self.assertEqual(self.status(1, f"kv/data/k{i}", "POST", self.token, {"data": {"x": str(i)}})[0], 200)
        # Whoever answers a read at the leader's index holds everything that was acknowledged.
        leader = self.status(1, "sys/leader")[1]["raft_committed_index"]
        harness.wait_until(lambda: self.status(3, "sys/leader")[1]["raft_applied_index"] >= leader, "the third has all", 20)
        for n in (1, 2):
            self.nodes[n].stop(signal.SIGKILL)
            shutil.rmtree(NODES / f"d{n}")
        return keys

    def check_everything_is_there(self):
        for i in range(50):
            status, body = self.status(3, f"kv/data/k{i}", token=self.token)
            self.assertEqual((status, body["data"]["data"]["x"]), (200, str(i)))

    def come_back(self, keys):
        for n in (1, 2):
            self.node(n)
            self.vault(n, "operator raft join http://127.0.0.1:8300", token=None)
            self.unseal(n, keys)
        self.wait_for_voters(3, 3)
        self.vault(1, "kv put kv/after x=1")
        self.assertEqual(self.vault(2, "kv get -field=x kv/k49"), "49")

    def test_by_command(self):
        keys = self.lost()
        recover = f"operator raft recover-quorum -config={NODES}/n3.hcl"
        self.assertIn("another process", self.vault(3, f"{recover} -confirm=n3", code=2))
        self.nodes[3].stop(signal.SIGKILL)
        told = self.vault(3, recover, code=1)
        for text in ("would become the only voter", "3 voters, 0 others", "ARE LOST", "-confirm=n3"):
            self.assertIn(text, told)
        self.assertIn("the data of node n3", self.vault(3, f"{recover} -confirm=yes", code=1))
        self.node(3)
        self.unseal(3, keys)
        self.assertNotEqual(self.status(3)[0], 200)  # nothing was changed so far
        self.nodes[3].stop(signal.SIGKILL)
        self.assertIn("Node n3 is the only voter of its cluster now.", self.vault(3, f"{recover} -confirm=n3"))
        self.assertIn("only voter already", self.vault(3, f"{recover} -confirm=n3", code=2))
        self.node(3)
        self.unseal(3, keys)
        harness.wait_until(lambda: self.status(3)[0] == 200, "it leads", 20)
        self.assertEqual(self.peers(3), {"n3": ("127.0.0.1:8301", "leader", "true")})
        self.check_everything_is_there()
        self.come_back(keys)

    def test_by_file(self):
        keys = self.lost()
        self.nodes[3].stop(signal.SIGKILL)
        folder = NODES / "d3" / "raft"
        folder.mkdir()
        peers = folder / "peers.json"
        for text, why in (("[", "peers.json"), ("[]", "list of objects"), ('[{"id": "n9"}]', "not one of the new members"),
                          ('[{"id": "n3"}, {"id": "n3"}]', "named twice"), ('[{"id": "n3", "non_voter": true}]', "15 voters")):
            peers.write_text(text)
            run = self.start(f"-config={NODES}/n3.hcl")
            self.assertEqual(run.process.wait(20), 1, text)
            run.reader.join()
            self.assertIn(why, run.output(), text)
            self.assertTrue(peers.exists())
        peers.write_text(json.dumps([{"id": "n3", "address": "127.0.0.1:8301", "non_voter": False}]))
        self.node(3)
        self.assertFalse(peers.exists())
        self.unseal(3, keys)
        harness.wait_until(lambda: self.status(3)[0] == 200, "it leads", 20)
        self.check_everything_is_there()
        self.come_back(keys)

    def test_what_cannot_be_recovered(self):
        self.assertIn("no data of a node", self.vault(1, f"operator raft recover-quorum -path={NODES}/none", code=2, token=None))
        self.assertIn("-config, or", self.vault(1, "operator raft recover-quorum", code=1, token=None))
        self.node(1)
        self.init(1)
        self.nodes[1].stop()
        recover = f"operator raft recover-quorum -path={NODES}/d1"
        self.assertIn("only voter already", self.vault(1, f"{recover} -node-id=n1", code=2))
        self.assertIn("cluster of other nodes", self.vault(1, f"{recover} -node-id=n2", code=2))


if __name__ == "__main__":
    harness.main()
