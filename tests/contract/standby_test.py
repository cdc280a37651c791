"""Reads on nodes that do not lead, on three real processes: D-16, S0-16, S1-02; API-04, API-13, LSN-16; advisories C6, D13, G12, H3."""
import http.client
import json
import pathlib
import signal
import threading
import time

import cluster_test
import harness

ROUNDS = 10_000    # of writing somewhere and reading everywhere
PAIRS = 8          # that do so at once


class Client:
    """One connection to one node."""

    def __init__(self, n, token):
        self.connection, self.token = http.client.HTTPConnection("127.0.0.1", 8000 + 100 * n, timeout=60), token

    def __call__(self, method, path, body=None, token=None, headers=None):
        self.connection.request(method, "/v1/" + path, None if body is None else json.dumps(body),
                                {"X-Vault-Token": token or self.token, **(headers or {})})
        answer = self.connection.getresponse()
        content = answer.read()
        self.headers = dict(answer.getheaders())
        return answer.status, json.loads(content) if content else None


class Standbys(cluster_test.Nodes):
    def clients(self):
        return {n: Client(n, self.token) for n in (1, 2, 3)}

    def counters(self, n):
        text = self.status(n, "sys/metrics", token=self.token)[1]
        return {row["Name"]: row["Count"] for row in text["Counters"]}

    def read_here(self, n):
        return self.counters(n).get("vault.core.standby.reads", 0)


class Health(Standbys):
    def test_D_16_S0_16_S1_02_a_node_that_serves_reads(self):
        self.cluster()
        status, body = self.status(2)
        self.assertEqual((status, body["standby"], body["performance_standby"]), (473, True, True))
        status, body = self.status(1)
        self.assertEqual((status, body["standby"], body["performance_standby"]), (200, False, False))
        for query, code in (("perfstandbyok=true", 200), ("standbyok=true", 200), ("performancestandbycode=299", 299), ("standbycode=299", 473),
                            ("perfstandbyok=true&activecode=204", 204), ("performancestandbycode=1000", 400)):
            self.assertEqual(self.status(2, "sys/health?" + query)[0], code, query)
        self.assertEqual(self.shell("curl -s -o /dev/null -w '%{http_code}\\n' http://127.0.0.1:8300/v1/sys/health"), "473\n")
        told = self.status(3, "sys/leader")[1]
        self.assertTrue(told["performance_standby"])
        self.assertGreater(told["performance_standby_last_remote_wal"], 0)
        self.assertFalse(self.status(1, "sys/leader")[1]["performance_standby"])
        # The levels of the log are each node's own.
        self.assertEqual(self.status(2, "sys/loggers", "POST", self.token, {"level": "warn"})[0], 204)
        levels = [set(self.status(n, "sys/loggers", token=self.token)[1]["data"].values()) for n in (1, 2, 3)]
        self.assertEqual(levels, [{"info"}, {"warn"}, {"info"}])
        lines = self.vault(2, "status").splitlines()
        for line in ("HA Mode                                standby", "Performance Standby Node               true"):
            self.assertIn(line, lines)
        for n in (1, 2, 3):
            self.vault(n, "operator seal", code=None)
            self.assertEqual(self.status(n)[0], 503)

    def test_D_16_where_it_is_turned_off(self):
        self.settings = "disable_performance_standby = true"
        self.cluster()
        status, body = self.status(2)
        self.assertEqual((status, body["standby"], body["performance_standby"]), (429, True, False))
        self.assertEqual(self.status(2, "sys/health?perfstandbyok=true")[0], 429)
        self.vault(1, "secrets enable -version=2 kv && vault kv put kv/a x=1")
        self.assertEqual(self.vault(2, "kv get -field=x kv/a"), "1")
        self.assertNotIn("vault.core.standby.reads", self.counters(2))
        self.assertGreater(self.counters(2)["vault.ha.rpc.client.forward"], 0)
        self.assertNotIn("disable_performance_standby", self.nodes[2].output())


class Reads(Standbys):
    def setUp(self):
        super().setUp()
        self.cluster()
        self.vault(1, "secrets enable -version=1 -path=kv kv")

    def test_g12_what_is_acknowledged_is_read_everywhere_at_once(self):
        """Advisory G12: a write at any node, and at once a read at each other one."""
        errors = []

        def work(number):
            try:
                clients = self.clients()
                for i in range(ROUNDS // PAIRS):
                    at = 1 + (number + i) % 3
                    path, value = f"kv/{number}", f"{number}-{i}"
                    status = clients[at]("POST", path, {"v": value})[0]
                    if status != 204:
                        raise AssertionError(f"a write at {at}: {status}")
                    for n in {1, 2, 3} - {at}:
                        status, answer = clients[n]("GET", path)
                        if (status, answer["data"]["v"]) != (200, value):
                            raise AssertionError(f"{value} written at {at}, and {n} answers {status} {answer}")
            except Exception as error:  # told by the main thread
                errors.append(error)
        threads = [threading.Thread(target=work, args=(number,)) for number in range(PAIRS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        # They were read where they were asked for.
        for n in (2, 3):
            self.assertGreater(self.read_here(n), ROUNDS // 2)

    def test_nothing_is_stale(self):
        """What was changed at one node holds for the very next request at the others. Advisories C6, D13, G12."""
        one, two, three = (Client(n, self.token) for n in (1, 2, 3))
        others = (two, three)

        def expect(what, code, *request, **options):
            for client in others:
                self.assertEqual(client(*request, **options)[0], code, what)
        for i in range(10):
            token = one("POST", "auth/token/create", {"policies": ["default", "p"]})[1]["auth"]["client_token"]
            expect("a new token", 200, "GET", "auth/token/lookup-self", token=token)
            one("POST", "kv/x", {"v": "1"})
            one("POST", "sys/policies/acl/p", {"policy": 'path "kv/x" { capabilities = ["read"] }'})
            expect("a policy that allows", 200, "GET", "kv/x", token=token)
            one("POST", "sys/policies/acl/p", {"policy": 'path "kv/x" { capabilities = ["deny"] }'})
            expect("a policy that denies", 403, "GET", "kv/x", token=token)
            two("POST", "auth/token/revoke", {"token": token})
            expect("a revoked token", 403, "GET", "auth/token/lookup-self", token=token)
            one("POST", f"sys/mounts/m{i}", {"type": "kv"})
            one("POST", f"m{i}/a", {"v": "1"})
            expect("a new mount", 200, "GET", f"m{i}/a")
            three("DELETE", f"sys/mounts/m{i}")
            expect("a disabled mount", 404, "GET", f"m{i}/a")
            one("POST", f"sys/namespaces/n{i}", {})
            expect("a new namespace", 200, "GET", "sys/mounts", headers={"X-Vault-Namespace": f"n{i}"})
            one("POST", f"sys/namespaces/api-lock/lock/n{i}", {})
            expect("a locked namespace", 503, "GET", "sys/mounts", headers={"X-Vault-Namespace": f"n{i}"})
            one("POST", "sys/quotas/rate-limit/q", {"path": "kv/", "rate": 0.0001})
            expect("a mark behind the quota", 200, "GET", "sys/mounts")
            for client in others:
                client("GET", "kv/x")
            expect("a quota", 429, "GET", "kv/x")
            one("POST", "sys/quotas/config", {"rate_limit_exempt_paths": ["kv/x"]})
            expect("a mark behind the exemption", 200, "GET", "sys/mounts")
            expect("an exempt path", 200, "GET", "kv/x")
            one("POST", "sys/quotas/config", {"rate_limit_exempt_paths": []})
            one("DELETE", "sys/quotas/rate-limit/q")
            expect("a mark behind the removal", 200, "GET", "sys/mounts")
            expect("no quota", 200, "GET", "kv/x")

    def test_API_13_LSN_16_headers(self):
        one, two = Client(1, self.token), Client(2, self.token)
        one("POST", "kv/x", {"v": "1"})
        state = one.headers["X-Vault-Index"]
        before = self.read_here(2)
        for way in ("fail", "retry", "forward-active-node"):
            self.assertEqual(two("GET", "kv/x", headers={"X-Vault-Index": state, "X-Vault-Inconsistent": way})[0], 200)
        self.assertEqual(two("GET", "kv/x", headers={"X-Vault-Index": "bm9uZQ=="})[0], 400)
        self.assertEqual(self.read_here(2), before + 5)  # the look at the counters is one itself
        forwarded = self.counters(2)["vault.ha.rpc.client.forward"]
        self.assertEqual(two("GET", "kv/x", headers={"X-Vault-Forward": "active-node"})[0], 200)
        self.assertEqual(two("GET", "kv/x", headers={"X-Vault-Wrap-TTL": "1m"})[0], 200)
        self.assertEqual(self.counters(2)["vault.ha.rpc.client.forward"], forwarded + 2)
        # Who forbids forwarding may read here, and is told who leads for the rest.
        self.assertEqual(two("GET", "kv/x", headers={"X-Vault-No-Request-Forwarding": "true"})[0], 200)
        self.assertEqual(two("POST", "kv/x", {"v": "2"}, headers={"X-Vault-No-Request-Forwarding": "true"})[0], 307)

    def test_h3_a_standby_audits_what_it_serves(self):
        """Advisory H3: in its own device, headers and all hashed as on the node that leads; and nothing leaves unaudited."""
        folder = self.folder
        self.vault(1, f"audit enable file file_path={folder}/audit.log")
        self.status(1, "sys/config/auditing/request-headers/x-canary", "POST", self.token, {"hmac": True})
        self.status(1, "kv/x", "POST", self.token, {"v": "canary-value"})
        two = Client(2, self.token)
        before = (folder / "audit.log").read_text().count("\n")
        answer = two("GET", "kv/x", headers={"X-Canary": "canary-header"})
        self.assertEqual(answer[1]["data"]["v"], "canary-value")
        text = (folder / "audit.log").read_text()
        self.assertEqual(text.count("\n"), before + 2)
        last = json.loads(text.splitlines()[-1])
        self.assertRegex(last["request"]["headers"]["x-canary"][0], "^hmac-sha256:")
        for canary in ("canary-value", "canary-header", self.token):
            self.assertNotIn(canary, text)


class Faults(Standbys):
    def setUp(self):
        super().setUp()
        self.cluster()
        self.vault(1, "secrets enable -version=1 -path=kv kv")

    def tearDown(self):
        self.go_on()
        super().tearDown()

    def go_on(self):
        for server in self.nodes.values():
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)

    def pause(self, *numbers):
        for n in numbers:
            server = self.nodes[n].process
            server.send_signal(signal.SIGSTOP)
            tasks = pathlib.Path(f"/proc/{server.pid}/task")
            harness.wait_until(lambda tasks=tasks: all((task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks.iterdir()),
                               f"node {n} is stopped")

    def test_a_paused_leader_shows_nothing_old(self):
        """It is asked while it sleeps and answers when it wakes up; the others have gone on meanwhile."""
        leader = 1
        for i in range(3):
            clients = self.clients()
            self.assertEqual(clients[leader]("POST", "kv/x", {"v": f"{i}-before"})[0], 204)
            self.pause(leader)
            others = sorted({1, 2, 3} - {leader})
            next_leader = harness.wait_until(lambda: self.leader(others), "another node leads", 20)
            self.assertEqual(clients[next_leader]("POST", "kv/x", {"v": f"{i}-after"})[0], 204)
            for n in others:
                self.assertEqual(clients[n]("GET", "kv/x")[1]["data"]["v"], f"{i}-after")
            asked = clients[leader].connection
            asked.request("GET", "/v1/kv/x", headers={"X-Vault-Token": self.token})
            self.nodes[leader].process.send_signal(signal.SIGCONT)
            answer = asked.getresponse()
            body = json.loads(answer.read())
            self.assertEqual((answer.status, body["data"]["v"]), (200, f"{i}-after"))
            leader = next_leader

    def test_a_node_alone_reads_nothing(self):
        """Cut off from the others it may know what was, and does not tell it."""
        self.assertEqual(self.status(1, "kv/x", "POST", self.token, {"v": "1"})[0], 204)
        client = Client(2, self.token)
        self.assertEqual(client("GET", "kv/x")[0], 200)
        self.pause(1, 3)
        begun = time.monotonic()
        status, body = client("GET", "kv/x")
        self.assertEqual(status, 503, body)
        self.assertLess(time.monotonic() - begun, 20)
        self.go_on()
        harness.wait_until(lambda: client("GET", "kv/x")[0] == 200, "it reads again", 20)

    def test_a_standby_that_slept_shows_nothing_old(self):
        self.assertEqual(self.status(1, "kv/x", "POST", self.token, {"v": "old"})[0], 204)
        asleep = Client(3, self.token)
        self.assertEqual(asleep("GET", "kv/x")[1]["data"]["v"], "old")
        self.pause(3)
        for i in range(200):
            self.assertEqual(self.status(1, "kv/x", "POST", self.token, {"v": f"new-{i}"})[0], 204)
        asleep.connection.request("GET", "/v1/kv/x", headers={"X-Vault-Token": self.token})
        self.nodes[3].process.send_signal(signal.SIGCONT)
        answer = asleep.connection.getresponse()
        self.assertEqual((answer.status, json.loads(answer.read())["data"]["v"]), (200, "new-199"))

    def test_h3_a_standby_that_slept_audits_the_headers_set_meanwhile(self):
        """Advisory H3: the request is read before the node knows that its headers are audited, and answered after that."""
        log = self.folder / "audit.log"
        self.vault(1, f"audit enable file file_path={log}")
        self.assertEqual(self.status(1, "kv/x", "POST", self.token, {"v": "1"})[0], 204)
        asleep = Client(3, self.token)
        for i in range(10):
            self.assertEqual(asleep("GET", "kv/x")[0], 200)
            self.pause(3)
            self.assertEqual(self.status(1, f"sys/config/auditing/request-headers/x-late-{i}", "POST", self.token, {})[0], 204)
            asleep.connection.request("GET", "/v1/kv/x", headers={"X-Vault-Token": self.token, f"X-Late-{i}": "seen"})
            self.nodes[3].process.send_signal(signal.SIGCONT)
            answer = asleep.connection.getresponse()
            self.assertEqual((answer.status, json.loads(answer.read())["data"]["v"]), (200, "1"))
            last = json.loads(log.read_text().splitlines()[-1])
            self.assertEqual(last["request"]["headers"][f"x-late-{i}"], ["seen"])
            self.assertEqual(self.status(1, f"sys/config/auditing/request-headers/x-late-{i}", "DELETE", self.token)[0], 204)


class Memory(Standbys):
    READS, GROWTH_BYTES_MAX = 6000, 2 << 20

    def growth(self):
        """Of what is allocated at a standby over so many reads there, and a tenth as many writes that it forwards."""
        self.cluster()
        self.vault(1, "secrets enable -version=1 -path=kv kv")
        two = Client(2, self.token)

        def work(reads):
            for i in range(reads):
                self.assertEqual(two("GET", "kv/x")[0], 200)
                if i % 10 == 0:
                    self.assertEqual(two("POST", "kv/x", {"v": str(i)})[0], 204)

        def allocated():
            return next(row["Value"] for row in two("GET", "sys/metrics")[1]["Gauges"] if row["Name"] == "vault.runtime.alloc_bytes")
        self.assertEqual(two("POST", "kv/x", {"v": "first"})[0], 204)
        work(1000)
        before = allocated()
        work(self.READS)
        return allocated() - before

    def test_k7_a_standby_keeps_no_memory(self):
        """Advisory K7; `scripts/long soak` draws the line over half an hour."""
        self.assertLess(self.growth(), self.GROWTH_BYTES_MAX)


class Mutants(Memory):
    test_k7_a_standby_keeps_no_memory = None

    def test_k7_what_keeps_a_kilobyte_a_read_is_found(self):
        self.binary, self.mutant = str(harness.BINARY_FOLDER / "coffer_mutants"), "k7_standby_keeps_reads"
        self.assertGreater(self.growth(), self.GROWTH_BYTES_MAX)

    def test_g12_a_read_that_asks_nobody_is_found(self):
        """Advisory G12: a standby that answers from what it has is found at once."""
        self.binary, self.mutant = str(harness.BINARY_FOLDER / "coffer_mutants"), "g12_standby_read_unasked"
        self.cluster()
        self.vault(1, "secrets enable -version=1 -path=kv kv")
        one, three = Client(1, self.token), Client(3, self.token)

        def stale():
            value = str(time.monotonic_ns())
            one("POST", "kv/x", {"v": value})
            return three("GET", "kv/x")[1]["data"]["v"] != value
        one("POST", "kv/x", {"v": "first"})
        harness.wait_until(stale, "something old", 30)


if __name__ == "__main__":
    harness.main()
