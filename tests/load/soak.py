#!/usr/bin/env python3
"""The memory of standbys over time (advisory K7): three nodes, clients that write, read, log in and revoke through all of them at a steady pace, and the memory of
each node every ten seconds: what is allocated and not freed (vault.runtime.alloc_bytes), and what the system gave (RssAnon, with the allocator's own rooms). After
the first third, in which caches fill, a line is fitted through what is allocated: its slope is the figure. What a node keeps of its log, 100,000 entries with
their places, is bounded and takes long to fill at a steady pace: so twice as many are written first, as fast as they are taken.

usage: soak.py [--minutes N] [--pace SECONDS]
"""
import argparse
import http.client
import pathlib
import re
import shutil
import statistics
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/faults")]
from clients import Client  # noqa: E402
from history import History  # noqa: E402
from nodes import BUILD, Cluster  # noqa: E402

CLIENTS = 7
FILL_ENTRIES = 200_000
SAMPLE_SECONDS = 10
SAMPLES_A_LINE = 6
SLOPE_MIB_PER_HOUR_MAX = 4.0  # half an hour's noise: a quarter of a MiB here and there; the row's bound is for a day


def anonymous_mib(node):
    status = pathlib.Path(f"/proc/{node.process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status).group(1)) / 1024


def allocated_mib(cluster, node):
    status, answer = node.request("GET", "/v1/sys/metrics", cluster.token)
    if status != 200:
        sys.exit(f"no metrics: {answer}")
    return next(gauge["Value"] for gauge in answer["Gauges"] if gauge["Name"] == "vault.runtime.alloc_bytes") / (1 << 20)


def fill(cluster, entries):
    """Writes one small secret after the other until the log has so many more entries."""
    leader = cluster.leader()

    def applied():
        return leader.request("GET", "/v1/sys/leader")[1]["raft_applied_index"]

    goal = applied() + entries
    connection = http.client.HTTPConnection(leader.address, 8200, timeout=30)
    while applied() < goal:
        for number in range(1000):
            connection.request("POST", f"/v1/secret/data/fill{number % 8}", headers={"X-Vault-Token": cluster.token}, body='{"data":{"a":"b"}}')
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                sys.exit(f"a write was answered with {answer.status}")


def slope_per_hour(samples):
    times, values = zip(*samples)
    return statistics.linear_regression(times, values).slope * 3600


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--pace", type=float, default=0.02)
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="soak-", dir=BUILD))
    cluster = Cluster(folder, 3)
    try:
        cluster.begin()
        cluster.nodes[0].request("POST", "/v1/sys/mounts/secret", cluster.token, {"type": "kv", "options": {"version": "2"}})
        fill(cluster, FILL_ENTRIES)
        print("filled", flush=True)
        history, errors, stop = History(), [], threading.Event()
        history.add = lambda name, operation: None  # it would be the driver's memory
        clients = [Client(cluster, history, number, 1, stop, errors, options.pace) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        samples = {node.number: [] for node in cluster.nodes}
        begun = time.monotonic()
        while time.monotonic() - begun < options.minutes * 60:
            stop.wait(SAMPLE_SECONDS)
            for node in cluster.nodes:
                samples[node.number].append((time.monotonic() - begun, allocated_mib(cluster, node)))
            if len(samples[1]) % SAMPLES_A_LINE == 0:
                done = sum(client.done for client in clients)
                print(f"{(time.monotonic() - begun) / 60:.0f} min, {done} operations: " +
                      ", ".join(f"{samples[node.number][-1][1]:.1f} of {anonymous_mib(node):.1f}" for node in cluster.nodes) + " MiB", flush=True)
        stop.set()
        for client in clients:
            client.join()
        if errors:
            sys.exit(f"clients saw what they must not: {errors[:3]}")
        leader = cluster.leader()
        figures = {number: slope_per_hour(of[len(of) // 3:]) for number, of in samples.items()}
        last = {node.number: f"{samples[node.number][-1][1]:.1f} of {anonymous_mib(node):.1f}" for node in cluster.nodes}
        print(f"{options.minutes:.0f} minutes, {sum(client.done for client in clients)} operations: " + ", ".join(
            f"n{number} {'(leads) ' if leader and leader.number == number else ''}{last[number]} MiB, {figures[number]:+.2f} MiB/h" for number in figures))
        standbys = [figures[number] for number in figures if not leader or leader.number != number]
        if max(standbys) > SLOPE_MIB_PER_HOUR_MAX:
            sys.exit("the memory of a standby grows")
    finally:
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
