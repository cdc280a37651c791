"""Snapshots that are restored: on one node, on three, and into a node that has nothing. S0-10, S0-33, S1-11 to S1-14, S1-35, S1-36, S1-39, D-2; SNP-02 to SNP-07."""
import json
import signal

import harness
from cluster_test import JOINED, NODES, Nodes

SNAP = "/opt/cluster/vault.snap"
WRONG_KEYS = ("could not verify hash file, possibly the snapshot is using a different set of unseal keys; "
              "use the snapshot-force API to bypass this check")


class Restore(Nodes):
    def put(self, n, value, path="kv/a"):
        self.vault(n, f"kv put {path} x={value}")

    def get(self, n, path="kv/a", token="root"):
        return self.vault(n, f"kv get -field=x {path}", token=token)

    def seal_status(self, n):
        return self.status(n, "sys/seal-status")[1]

    def save(self, n):
        self.vault(n, f"operator raft snapshot save {SNAP}")

    def restore(self, n, options="", code=0, token="root"):
        out = self.vault(n, f"operator raft snapshot restore {options} {SNAP}", code=code, token=token)
        if code == 0:
            self.assertEqual(out, "")
        return out

    def wait_for_leader(self, among):
        return harness.wait_until(lambda: self.leader(among), "a node leads", 20)

    def one(self, n=1, shares=1, further=""):
        self.node(n, further)
        keys = self.init(n, shares)[:(shares + 1) // 2]
        self.unseal(n, keys)
        self.vault(n, "secrets enable -version=2 kv")
        return keys

    def saved_elsewhere(self, n):
        """Saves the state of a cluster of node n alone, which then stops: its keys and its token."""
        keys = self.one(n)
        self.put(n, "theirs")
        self.save(n)
        self.nodes[n].stop()
        return keys, self.token


class OneNode(Restore):
    def test_S0_10_S0_33_SNP_02_SNP_04_restore(self):
        keys = self.one(shares=3)
        self.put(1, "before")
        self.save(1)
        self.put(1, "after")
        self.put(1, "1", "kv/b")
        root = self.token
        self.restore(1)
        told = self.seal_status(1)
        self.assertEqual((told["sealed"], told["t"], told["n"], told["progress"]), (True, 2, 3, 0))
        self.assertEqual(self.status(1, "kv/data/a", token=root)[0], 503)
        self.assertRegex(self.unseal(1, keys), r"(?m)^Sealed +false$")
        self.wait_for_leader((1,))
        self.assertEqual(self.get(1), "before")
        self.assertEqual(self.status(1, "kv/data/b", token=root)[0], 404)
        self.put(1, "again")
        # As a kill shows, it is on the disk.
        self.nodes[1].stop(signal.SIGKILL)
        self.node(1)
        self.unseal(1, keys)
        self.wait_for_leader((1,))
        self.assertEqual(self.get(1), "again")
        self.assertEqual(list((NODES / "d1/spool").iterdir()), [])

    def test_S1_11_S1_12_S1_13_S1_14_S1_36_D2_into_a_node_that_has_nothing(self):
        keys = self.one(shares=5)
        self.put(1, "kept")
        short = json.loads(self.vault(1, "token create -ttl=1s -policy=default -format=json"))["auth"]["client_token"]
        self.save(1)
        root = self.token
        self.nodes[1].stop(signal.SIGKILL)
        self.shell(f"rm -rf {NODES}/d1/*")
        self.node(1)
        self.assertFalse(self.seal_status(1)["initialized"])
        self.restore(1, "-force", token="whatever")
        told = self.seal_status(1)
        self.assertEqual((told["initialized"], told["sealed"], told["t"], told["n"]), (True, True, 3, 5))
        self.assertRegex(self.unseal(1, keys), r"(?m)^Sealed +false$")
        self.token = root
        self.wait_for_leader((1,))
        self.assertRegex(self.vault(1, "status"), r"(?m)^Sealed +false$")
        harness.wait_until(lambda: self.peers(1) == {"n1": ("127.0.0.1:8101", "leader", "true")}, "n1 alone", 20)
        self.assertEqual(self.get(1), "kept")
        # The time of its lease has passed meanwhile.
        harness.wait_until(lambda: self.status(1, "auth/token/lookup-self", token=short)[0] == 403, "its end", 10)
        for n in (2, 3):
            self.node(n)
            self.assertEqual(self.vault(n, "operator raft join http://127.0.0.1:8100", token=None), JOINED)
            self.assertRegex(self.unseal(n, keys), r"(?m)^Sealed +false$")
        self.wait_for_voters(1, 3)
        self.assertEqual(self.get(3), "kept")
        # Nobody does that again without a token.
        out = self.restore(1, "-force", code=2, token="whatever")
        self.assertIn("permission denied", out)

    def test_D2_SNP_03_what_an_uninitialized_node_refuses(self):
        self.one()
        self.save(1)
        self.node(2, "restore_uninitialized = false")
        out = self.restore(2, "-force", code=2, token="whatever")
        self.assertIn("restore_uninitialized", out)
        self.assertFalse(self.seal_status(2)["initialized"])
        # Without the flag nobody is asked to pass over the keys, and nothing is restored.
        self.node(3)
        self.restore(3, code=2, token="whatever")
        self.assertFalse(self.seal_status(3)["initialized"])
        # One of another seal does not open here, and leaves the node as it was.
        ours = self.token
        self.node(4, top=SealedByItself.SEAL)
        self.init(4)
        harness.wait_until(lambda: self.leader((4,)), "it serves", 20)
        self.vault(4, f"operator raft snapshot save {SNAP}.aes")
        self.token = ours
        out = self.vault(3, f"operator raft snapshot restore -force {SNAP}.aes", code=2, token="whatever")
        self.assertIn("configure the same seal", out)
        self.assertFalse(self.seal_status(3)["initialized"])
        # What is no snapshot leaves the node as it was: it may still join.
        self.shell(f"head -c 3000 {SNAP} > {SNAP}.cut && mv {SNAP}.cut {SNAP}")
        self.restore(3, "-force", code=2, token="whatever")
        self.assertFalse(self.seal_status(3)["initialized"])
        self.assertEqual(self.vault(3, "operator raft join http://127.0.0.1:8100", token=None), JOINED)

    def test_S1_35_SNP_03_SNP_06_other_keys(self):
        theirs, their_token = self.saved_elsewhere(2)
        ours = self.one(1)
        self.put(1, "ours")
        self.assertIn(WRONG_KEYS, self.restore(1, code=2))
        self.assertEqual(self.get(1), "ours")
        self.restore(1, "-force")
        self.vault(1, f"operator unseal {ours[0]}", code=2, token=None)
        self.assertTrue(self.seal_status(1)["sealed"])
        self.unseal(1, theirs)
        self.wait_for_leader((1,))
        self.token = their_token
        self.assertEqual(self.get(1), "theirs")
        harness.wait_until(lambda: self.peers(1) == {"n1": ("127.0.0.1:8101", "leader", "true")}, "n1 alone", 20)

    def test_S1_39_a_node_with_data_of_its_own_joins_nobody(self):
        self.one(1)
        self.one(2)
        out = self.vault(2, "operator raft join http://127.0.0.1:8100", code=2, token=None)
        self.assertIn("already initialized", out)


class ThreeNodes(Restore):
    def three(self):
        keys = self.cluster()
        self.vault(1, "secrets enable -version=2 kv")
        return keys

    def all_sealed(self):
        harness.wait_until(lambda: all(self.seal_status(n)["sealed"] for n in (1, 2, 3)), "all are sealed", 20)

    def all_unsealed(self, keys):
        for n in (1, 2, 3):
            self.assertRegex(self.unseal(n, keys), r"(?m)^Sealed +false$")
        leader = self.wait_for_leader((1, 2, 3))
        self.wait_for_voters(leader, 3)
        return leader

    def test_SNP_02_all_go_back_together(self):
        keys = self.three()
        self.put(1, "before")
        self.save(1)
        self.put(1, "after")
        self.restore(1)
        self.all_sealed()
        leader = self.all_unsealed(keys)
        for n in (1, 2, 3):
            self.assertEqual(self.get(n), "before")
        self.put(leader, "again")
        self.assertEqual({name: row[2] for name, row in self.peers(leader).items()}, {"n1": "true", "n2": "true", "n3": "true"})

    def test_SNP_03_the_state_of_another_cluster(self):
        theirs, their_token = self.saved_elsewhere(4)
        self.shell(f"rm -rf {NODES}/d4")
        self.three()
        self.put(1, "ours")
        self.restore(1, "-force")
        self.all_sealed()
        self.token = their_token
        self.all_unsealed(theirs)
        for n in (1, 2, 3):
            self.assertEqual(self.get(n), "theirs")
        # Who joins from now on proves that it can open the seal of that cluster.
        self.node(5)
        self.vault(5, f"operator raft join http://127.0.0.1:8{self.leader((1, 2, 3))}00", token=None)
        self.unseal(5, theirs)
        harness.wait_until(lambda: self.status(5)[0] in (429, 473), "it is a standby", 20)
        self.assertEqual(self.get(5), "theirs")
        self.assertEqual(len(self.peers(5)), 4)

    def test_one_is_down(self):
        keys = self.three()
        self.put(1, "before")
        self.save(1)
        self.put(1, "after")
        self.nodes[3].stop(signal.SIGKILL)
        self.restore(1)
        for n in (1, 2):
            harness.wait_until(lambda n=n: self.seal_status(n)["sealed"], "it is sealed", 20)
            self.unseal(n, keys)
        leader = self.wait_for_leader((1, 2))
        self.put(leader, "again")
        # It comes back with the state of then, is given the other one, and seals.
        self.node(3)
        self.unseal(3, keys)
        harness.wait_until(lambda: self.seal_status(3)["sealed"], "it knows that the state is another one", 30)
        self.unseal(3, keys)
        harness.wait_until(lambda: self.status(3)[0] in (429, 473), "it is a standby", 20)
        self.assertEqual(self.get(3), "again")
        self.assertEqual(len(self.peers(3)), 3)


class SealedByItself(Restore):
    """With an automatic seal every node opens the restored state on its own."""
    SEAL = 'seal "aesgcm" {\n  keys = ["Z3M5bnR0MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY="]\n}'

    def test_S0_10_it_unseals_itself(self):
        self.node(1, top=self.SEAL)
        self.init(1)
        harness.wait_until(lambda: self.leader((1,)), "it serves", 20)
        for n in (2, 3):
            self.node(n, top=self.SEAL)
            self.vault(n, "operator raft join http://127.0.0.1:8100", token=None)
        self.wait_for_voters(1, 3)
        self.vault(1, "secrets enable -version=2 kv")
        self.put(1, "before")
        self.save(1)
        self.put(1, "after")
        self.restore(1)
        for n in (1, 2, 3):
            harness.wait_until(lambda n=n: self.status(n, "kv/data/a", token=self.token)[0] == 200 and self.get(n) == "before",
                               f"node {n} serves the restored state", 30)
        leader = self.wait_for_leader((1, 2, 3))
        self.wait_for_voters(leader, 3)
        self.put(leader, "again")
        self.assertEqual([self.get(n) for n in (1, 2, 3)], ["again"] * 3)


if __name__ == "__main__":
    harness.main()
