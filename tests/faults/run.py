#!/usr/bin/env python3
"""Faults on real servers, and a check of all that clients saw meanwhile.

Servers run in network namespaces of their own; clients write and read secrets (with and without a condition), tokens, policies, mounts and
times of tokens through all of them. One fault after another is drawn from those that are asked for; after each the cluster must be whole again. At the end the
histories must be linearizable, and every node must tell the same.

usage: run.py [--faults N] [--only kill,pause,...] [--nodes N] [--seed N] [--mutant NAME]

With --mutant, the servers have that bug (base/mutants.inc) and the run must find it: the exit code is 0 when a violation was found.
"""
import argparse
import contextlib
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import time

from clients import Client
from history import History, Violation
from nodes import BUILD, Cluster

WHOLE_SECONDS_MAX = 90
CLIENTS = 14


class Nemesis:
    """Each fault is a generator: what stands before its yield does harm, what stands after it mends what does not mend itself."""

    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.random = random.Random(seed)
        self.pause = threading.Event()
        self.saved = None

    def any(self):
        return self.random.choice(self.cluster.nodes)

    def leader(self):
        return self.cluster.leader() or self.any()

    def some(self, count):
        return self.random.sample(self.cluster.nodes, count)

    def minority(self):
        return (self.cluster.size - 1) // 2

    def hold(self, least, most):
        self.pause.wait(self.random.uniform(least, most))

    @staticmethod
    def mend(nodes):
        for node in nodes:
            node.set_faults()
            if not node.alive():
                node.start()

    def kill(self):
        nodes = [self.leader()] if self.random.random() < 0.5 else self.some(self.random.randint(1, self.cluster.size))
        for node in nodes:
            node.kill()
        yield 0.0, 0.6
        self.mend(nodes)

    def followers(self):
        """All who could have promised the leader anything, within its lease."""
        leader = self.leader()
        nodes = [node for node in self.cluster.nodes if node is not leader]
        for node in nodes:
            node.kill()
        self.mend(nodes)
        yield 0.3, 1.0

    def pause_leader(self):
        """Past its lease: others lead when it goes on."""
        leader = self.leader()
        leader.pause()
        yield 0.3, 2.5
        leader.resume()

    def pause_some(self):
        nodes = self.some(self.random.randint(1, self.cluster.size))
        for node in nodes:
            node.pause()
        yield 0.1, 1.5
        for node in nodes:
            node.resume()

    def cut_leader(self):
        leader = self.leader()
        for node in self.cluster.nodes:
            if node is not leader:
                self.cluster.cut(leader, node)
                self.cluster.cut(node, leader)
        yield 1.0, 4.0
        self.cluster.heal()

    def bridge(self):
        """Two groups that only one node still connects."""
        nodes = self.some(self.cluster.size)
        half = (self.cluster.size - 1) // 2
        for a in nodes[:half]:
            for b in nodes[half + 1:]:
                self.cluster.cut(a, b)
                self.cluster.cut(b, a)
        yield 1.0, 4.0
        self.cluster.heal()

    def one_way(self):
        a = self.leader() if self.random.random() < 0.5 else self.any()
        for b in self.cluster.nodes:
            if a is not b and self.random.random() < 0.7:
                pair = (a, b) if self.random.random() < 0.5 else (b, a)
                self.cluster.cut(*pair)
        yield 1.0, 4.0
        self.cluster.heal()

    def slow_disk(self):
        nodes = self.some(self.random.randint(1, self.cluster.size))
        for node in nodes:
            node.set_faults(sync_delay_seconds=self.random.choice((0.02, 0.1, 0.4)))
        yield 1.0, 4.0
        self.mend(nodes)

    def failing_sync(self):
        nodes = self.some(self.random.randint(1, self.minority()))
        for node in nodes:
            node.set_faults(syncs_fail=True)
        yield 0.3, 1.5
        self.mend_failed(nodes)

    def full_disk(self):
        nodes = self.some(self.random.randint(1, self.minority()))
        for node in nodes:
            node.set_faults(disk_full=True)
        yield 0.3, 1.5
        self.mend_failed(nodes)

    def mend_failed(self, nodes):
        """Whose disk failed ends by itself; one that is idle may not have met the fault yet."""
        for node in nodes:
            node.set_faults()
            if node.alive():
                node.kill()
            node.start()

    def clock(self):
        for node in self.some(self.random.randint(1, self.cluster.size)):
            node.set_faults(wall_offset_seconds=self.random.choice((-1, 1)) * self.random.choice((0.5, 30, 3600, 86400)))
        yield 1.0, 3.0
        self.mend(self.cluster.nodes)

    def membership(self):
        """Out, and in again as if new, while clients go on."""
        leader = self.leader()
        node = self.random.choice([other for other in self.cluster.nodes if other is not leader])
        leader.request("POST", "/v1/sys/storage/raft/remove-peer", self.cluster.token, {"server_id": f"n{node.number}"}, timeout=15)
        yield 0.0, 1.0
        node.kill()
        node.wipe()
        node.start()

    def step_down(self):
        self.leader().request("PUT", "/v1/sys/step-down", self.cluster.token, timeout=15)
        yield 0.0, 0.5

    def restart(self):
        """As an operator does: SIGTERM, one after the other."""
        for node in self.some(self.cluster.size):
            if node.stop() != 0:
                raise SystemExit(f"n{node.number} did not end with 0 on SIGTERM\n{node.log_tail()}")
            node.start()
            self.cluster.wait_whole(WHOLE_SECONDS_MAX)
        yield 0.0, 0.1

    def wiped(self):
        node = self.any()
        node.kill()
        node.wipe()
        yield 0.0, 1.0
        node.start()

    def rolled_back(self):
        """A disk as it was some time ago, as a restored image of a machine has it."""
        node = self.any()
        node.kill()
        copy = node.folder / "copy"
        shutil.copytree(node.folder / "data", copy)
        node.start()
        self.cluster.wait_whole(WHOLE_SECONDS_MAX)
        yield 0.2, 2.0
        node.kill()
        shutil.rmtree(node.folder / "data")
        copy.rename(node.folder / "data")
        node.start()

    def bit_flip(self):
        """In whatever file of one node; it may refuse to start, and is wiped then, but never serve what is wrong."""
        node = self.any()
        node.kill()
        files = [path for path in (node.folder / "data").rglob("*") if path.is_file() and path.stat().st_size > 0]
        path = self.random.choice(files)
        with open(path, "r+b") as file:
            at = self.random.randrange(path.stat().st_size)
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1 << self.random.randrange(8)]))
        node.start()
        yield 1.0, 2.0
        if not node.alive():
            node.wipe()
            node.start()


FAULTS = ("kill", "followers", "pause_leader", "pause_some", "cut_leader", "bridge", "one_way", "slow_disk", "failing_sync", "full_disk", "clock",
          "membership", "step_down", "restart", "wiped", "rolled_back", "bit_flip")


class Run:
    def __init__(self, options, folder):
        environment = {"COFFER_MUTANT": options.mutant} if options.mutant else {}
        self.options = options
        self.cluster = Cluster(folder, options.nodes, environment, "coffer_mutants" if options.mutant else "coffer")
        self.history = History()
        self.errors = []
        self.stop = threading.Event()
        self.clients = []
        self.nemesis = Nemesis(self.cluster, options.seed)
        self.counts = dict.fromkeys(options.only, 0)

    def prepare(self):
        self.cluster.begin()
        status, answer = self.cluster.nodes[0].request("POST", "/v1/sys/mounts/secret", self.cluster.token, {"type": "kv", "options": {"version": "2"}})
        if status != 204:
            raise SystemExit(f"mounting was answered with {status} {answer}")

    def fault(self, name):
        harm = getattr(self.nemesis, name)()
        self.nemesis.hold(*next(harm))
        next(harm, None)
        self.cluster.wait_whole(WHOLE_SECONDS_MAX)
        self.counts[name] += 1

    def check(self):
        if self.errors:
            raise Violation("\n".join(self.errors[:5]))
        self.history.check()

    def same_everywhere(self):
        """With no client left, all nodes tell the same of every secret."""
        for number in range(6):
            told = {str(node.request("GET", f"/v1/secret/data/s{number}", self.cluster.token)[1].get("data")) for node in self.cluster.nodes}
            if len(told) != 1:
                raise Violation(f"nodes tell different things of s{number}: {told}")

    def faults(self):
        order = random.Random(self.options.seed)
        begun = time.monotonic()
        for number in range(self.options.faults):
            name = self.options.only[number % len(self.options.only)] if number < len(self.options.only) else order.choice(self.options.only)
            self.fault(name)
            if (number + 1) % 10 == 0:
                # A write that took effect and is not noted yet would look like a value that nobody wrote.
                with contextlib.ExitStack() as turns:
                    for client in self.clients:
                        turns.enter_context(client.turn)
                    self.check()
                print(f"{number + 1}/{self.options.faults} faults, {sum(self.history.counts().values())} operations, {time.monotonic() - begun:.0f} s", flush=True)

    def end_clients(self):
        self.stop.set()
        for client in self.clients:
            client.join()

    def go(self):
        self.prepare()
        self.clients = [Client(self.cluster, self.history, number, self.options.seed, self.stop, self.errors, self.options.pace) for number in range(CLIENTS)]
        for client in self.clients:
            client.start()
        try:
            self.faults()
        except AssertionError as stuck:
            self.end_clients()
            self.check()  # what clients saw says more than which node is behind
            raise Violation(f"after a fault the cluster did not become whole: {stuck}") from stuck
        self.end_clients()
        self.check()
        self.same_everywhere()
        kinds = self.history.counts()
        print(f"{sum(self.counts.values())} faults on {self.options.nodes} nodes ({', '.join(f'{count} {name}' for name, count in self.counts.items())}), "
              f"{sum(kinds.values())} operations ({', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))}), linearizable")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(FAULTS))
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--pace", type=float, default=0.01, help="seconds that a client waits between two requests, on average")
    parser.add_argument("--mutant")
    options = parser.parse_args()
    unknown = set(options.only) - set(FAULTS)
    if unknown:
        parser.error(f"no such faults: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="faults-", dir=BUILD))
    run = Run(options, folder)
    try:
        run.go()
        found = None
    except Violation as violation:
        found = violation
    except BaseException:
        print(f"the failing state is kept in {folder}", file=sys.stderr)
        run.cluster.end()
        raise
    run.cluster.end()
    if found is None or options.mutant:
        shutil.rmtree(folder)
    if options.mutant:
        print(f"{options.mutant}: {'found: ' + str(found) if found else 'NOT FOUND'}")
        sys.exit(0 if found else 1)
    if found:
        sys.exit(f"VIOLATION: {found}\nthe failing state is kept in {folder}")


if __name__ == "__main__":
    main()
