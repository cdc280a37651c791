"""The certificates of a cluster's nodes are rotated: nothing fails meanwhile, nobody is elected, and who slept comes back."""
import json
import signal
import threading
import time

import cluster_test
import harness

SUCCESS = "Success! The nodes go over to certificates of a new authority.\n"


class Writers:
    """Writes through each of `nodes` without a pause."""
    def __init__(self, test, nodes):
        self.test, self.ending, self.written, self.failures = test, threading.Event(), 0, []
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in nodes]
        for thread in self.threads:
            thread.start()

    def run(self, n):
        while not self.ending.is_set():
            try:
                status, body = self.test.status(n, f"kv/data/w{n}", "POST", self.test.token, {"data": {"x": str(self.written)}})[:2]
            except OSError as error:
                status, body = None, error
            if status != 200:
                self.failures.append((time.monotonic(), n, status, body))
            self.written += 1

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()


class Certificates(cluster_test.Nodes):
    def told(self, n):
        status, body = self.status(n, "sys/storage/raft/certificates", token=self.token)[:2]
        return body["data"] if status == 200 else None

    def rotate(self, n, generation, nodes):
        self.assertEqual(self.vault(n, "operator raft rotate-certificates"), SUCCESS)

        def is_over():
            told = [self.told(one) for one in nodes]
            return all(one and one["cluster"]["generation"] == generation and one["cluster"]["phase"] == "steady"
                       and one["node"].get("generation") == generation and one["node"]["settled"] for one in told)
        harness.wait_until(is_over, f"certificates of generation {generation}", 40)

    def lead(self):
        told = self.status(2, "sys/leader")[1]
        return told["leader_address"], self.status(1, "sys/leader")[1]["active_time"]

    def test_twice_under_writes_and_nothing_fails(self):
        self.cluster()
        self.vault(1, "secrets enable -version=2 kv")
        before = self.lead()
        writers = Writers(self, (1, 2, 3))
        self.addCleanup(writers.end)
        self.rotate(1, 2, (1, 2, 3))
        self.rotate(3, 3, (1, 2, 3))
        writers.end()
        self.assertEqual(writers.failures, [])
        for n in (1, 2, 3):
            gauges = {row["Name"]: row["Value"] for row in self.status(n, "sys/metrics", token=self.token)[1]["Gauges"]}
            self.assertEqual(gauges["vault.raft.certificate.generation"], 3)
            self.assertLess(44 * 86400, gauges["vault.raft.certificate.seconds_left"])
        self.assertGreater(writers.written, 100)
        self.assertEqual(self.lead(), before)
        self.assertEqual(self.peers(1), {"n1": ("127.0.0.1:8101", "leader", "true"), "n2": ("127.0.0.1:8201", "follower", "true"),
                                         "n3": ("127.0.0.1:8301", "follower", "true")})

    def test_who_was_stopped_over_two_rotations_comes_back(self):
        keys = self.cluster()
        self.vault(1, "secrets enable -version=2 kv")
        self.nodes[3].stop()
        # Nobody waits for one that has not been heard for ten seconds.
        self.rotate(1, 2, (1, 2))
        self.rotate(1, 3, (1, 2))
        self.vault(1, "kv put kv/a x=1")
        self.node(3)
        self.unseal(3, keys)
        harness.wait_until(lambda: (self.told(3) or {"node": {}})["node"].get("generation") == 3, "the sleeper's return", 40)
        harness.wait_until(lambda: self.shell("vault kv get -field=x kv/a; true", env={"VAULT_ADDR": "http://127.0.0.1:8300", "VAULT_TOKEN": self.token}) == "1",
                           "what was written meanwhile", 20)

    # It runs on, never campaigns, and names the leader that it knew.
    def test_who_stood_still_without_a_vote_comes_back(self):
        self.cluster()
        self.vault(1, "operator raft demote n3")
        self.nodes[3].process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.nodes[3].process.send_signal, signal.SIGCONT)
        self.rotate(1, 2, (1, 2))
        self.rotate(1, 3, (1, 2))
        self.nodes[3].process.send_signal(signal.SIGCONT)
        harness.wait_until(lambda: (self.told(3) or {"node": {}})["node"].get("generation") == 3, "its return", 40)
        self.assertEqual(self.peers(1)["n3"][2], "false")

    def test_who_was_removed_stays_out(self):
        self.settings = 'log_level = "debug"'
        self.cluster()
        removed = self.nodes[3]
        self.assertEqual(self.vault(1, "operator raft remove-peer n3"), "Peer removed successfully!\n")
        # It hears of no leader any more, and asks those whom it knows which certificates they have.
        harness.wait_until(lambda: "not a member of the cluster" in removed.output() or len(self.peers(1)) != 2, "it was told", 40)
        asked = removed.output().count("asks the others which certificates")
        harness.wait_until(lambda: removed.output().count("asks the others which certificates") > asked or len(self.peers(1)) != 2, "it asked again", 20)
        self.assertEqual(self.peers(1), {"n1": ("127.0.0.1:8101", "leader", "true"), "n2": ("127.0.0.1:8201", "follower", "true")})

    def test_who_is_told_of_certificates(self):
        self.cluster()
        path = "sys/storage/raft/bootstrap/certificates"
        for n in (1, 2):
            challenge = self.status(n, path + "-challenge", "POST", None, {"server_id": "n2"})[1]["data"]["challenge"]
            for one in (challenge, "AAAA", ""):
                made_up = {"server_id": "n2", "challenge": one, "answer": "A" * 43 + "=", "nonce": "AAAA"}
                status, answer = self.status(n, path, "POST", None, made_up)
                self.assertEqual((status, answer.get("data")), (403, None))

    # One slept over two rotations, another is away: the two that are there take each other for strangers.
    def test_who_slept_is_told_while_nobody_leads(self):
        keys = self.cluster()
        self.vault(1, "secrets enable -version=2 kv")
        self.nodes[3].stop()
        self.rotate(1, 2, (1, 2))
        self.rotate(1, 3, (1, 2))
        self.vault(1, "kv put kv/a x=1")
        self.nodes[1].stop(signal.SIGKILL)
        self.node(3)
        self.unseal(3, keys)
        harness.wait_until(lambda: self.leader((2, 3)), "a leader of the two", 40)
        self.assertEqual(self.vault(3, "kv get -field=x kv/a"), "1")

    def test_who_joins_later_is_let_in(self):
        self.node(1)
        keys = self.init(1)
        self.unseal(1, keys)
        self.rotate(1, 2, (1,))
        self.node(2)
        self.assertEqual(self.vault(2, "operator raft join http://127.0.0.1:8100", token=None), cluster_test.JOINED)
        self.assertRegex(self.unseal(2, keys), r"(?m)^Sealed +false$")
        harness.wait_until(lambda: (self.told(2) or {"node": {}})["node"].get("generation") == 2, "a certificate of the cluster's", 20)

    def test_only_with_sudo_and_one_at_a_time(self):
        self.cluster()
        self.shell("""printf 'path "sys/storage/raft/*" { capabilities = ["read", "update"] }' > /tmp/raft.hcl""")
        self.vault(1, "policy write raft /tmp/raft.hcl")
        token = json.loads(self.vault(1, "token create -policy=raft -format=json"))["auth"]["client_token"]
        self.assertEqual(self.status(1, "sys/storage/raft/rotate-certificates", "POST", token)[0], 403)
        self.assertEqual(self.status(1, "sys/storage/raft/certificates", token=token)[0], 200)
        self.assertEqual(self.status(1, "sys/storage/raft/rotate-certificates", "POST", self.token)[0], 200)
        self.assertEqual(self.status(1, "sys/storage/raft/rotate-certificates", "POST", self.token)[0], 400)
        shown = self.vault(2, "operator raft certificates")
        for title in ("Generation", "Phase", "Trusted Generations", "Node Certificate Expires"):
            self.assertRegex(shown, rf"(?m)^{title} +\S")


if __name__ == "__main__":
    harness.main()
