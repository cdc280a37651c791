#!/usr/bin/env python3
"""Nothing stale: a token is revoked, a policy changed, a mount disabled, a quota set, while others read and write; the very next request, on another
connection, must see it. Prints how often that was tried.

usage: stale.py [--rounds N]
"""
import argparse
import http.client
import json
import pathlib
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/contract")]
import harness  # noqa: E402

POLICY = 'path "%s/*" { capabilities = ["%s"] }'


class Client:
    def __init__(self):
        self.connection = http.client.HTTPConnection("127.0.0.1", 8200, timeout=60)

    def __call__(self, method, path, token="root", body=None):
        data = None if body is None else json.dumps(body)
        self.connection.request(method, "/v1/" + path, data, {"X-Vault-Token": token})
        answer = self.connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None


class Load(threading.Thread):
    """Reads and writes until it is told to stop."""

    def __init__(self, number, stop):
        super().__init__(daemon=True)
        self.number, self.stop, self.done = number, stop, 0

    def run(self):
        client = Client()
        while not self.stop.is_set():
            path = f"secret/data/load-{self.number}-{self.done % 100}"
            client("POST", path, body={"data": {"n": self.done}})
            client("GET", path)
            self.done += 2


def expect(what, got, wished):
    if got != wished:
        raise AssertionError(f"{what}: the next request was answered with {got}, not {wished}")


def revoked_token(one, other, number):
    token = one("POST", "auth/token/create", body={"policies": ["default"]})[1]["auth"]["client_token"]
    expect("a new token", other("GET", "auth/token/lookup-self", token)[0], 200)
    one("POST", "auth/token/revoke", body={"token": token})
    expect("a revoked token", other("GET", "auth/token/lookup-self", token)[0], 403)
    return 2


def changed_policy(one, other, number, token):
    for capability, wished in (("read", 404), ("deny", 403)):
        expect("writing a policy", one("POST", "sys/policies/acl/stale",
                                       body={"policy": POLICY % ("secret/data/stale", capability)})[0], 204)
        expect("a changed policy", other("GET", "secret/data/stale/x", token)[0], wished)
    return 2


def disabled_mount(one, other, number):
    path = f"mount-{number}"
    expect("enabling", one("POST", "sys/mounts/" + path, body={"type": "kv"})[0], 204)
    expect("a new mount", other("POST", path + "/a", body={"b": "c"})[0], 204)
    expect("disabling", one("DELETE", "sys/mounts/" + path)[0], 204)
    expect("a disabled mount", other("GET", path + "/a")[0], 404)
    return 2


def set_quota(one, other, number):
    expect("setting a quota", one("POST", "sys/quotas/rate-limit/stale",
                                  body={"path": "cubbyhole/", "rate": 1, "interval": "1h"})[0], 204)
    expect("within a new quota", other("GET", "cubbyhole/x")[0], 404)
    expect("beyond a new quota", other("GET", "cubbyhole/x")[0], 429)
    expect("removing a quota", one("DELETE", "sys/quotas/rate-limit/stale")[0], 204)
    expect("without the quota", other("GET", "cubbyhole/x")[0], 404)
    return 3


class Stale(harness.Contract):
    rounds = 20

    def test_nothing_is_stale(self):
        self.dev()
        stop = threading.Event()
        load = [Load(number, stop) for number in range(4)]
        for one in load:
            one.start()
        try:
            self.checks = self.look()
        finally:
            stop.set()
            for one in load:
                one.join()
        print(f"{self.checks} changes, each seen by the very next request, beside {sum(one.done for one in load)} other requests")

    def look(self):
        one, other = Client(), Client()
        one("POST", "sys/policies/acl/stale", body={"policy": POLICY % ("secret/data/stale", "read")})
        token = one("POST", "auth/token/create", body={"policies": ["stale"], "ttl": "48h"})[1]["auth"]["client_token"]
        checks = 0
        for number in range(self.rounds):
            checks += revoked_token(one, other, number)
            checks += changed_policy(one, other, number, token)
            checks += disabled_mount(one, other, number)
            checks += set_quota(one, other, number)
        return checks


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    arguments, rest = parser.parse_known_args()
    Stale.rounds = arguments.rounds
    sys.argv[1:] = rest
    harness.main()
