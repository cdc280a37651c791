"""Clients that write and read through any node while faults happen, and note everything in a History.

What an answer that is no success means: a refused condition is noted as such; "nothing was changed" is held against the server should it have
been; anything else is an outcome that nobody knows.
"""
import http.client
import itertools
import random
import re
import threading
import time

from history import Operation
from nodes import ask

KEYS = 6
TIMEOUT_SECONDS = 3.0
NOT_SENT = -1
TOKEN_TTL_SECONDS = 6.0
# Of a token's time: how exact the end must be, and what a node may take to be reached at all.
TTL_EARLY_SECONDS = 1.0
TTL_LATE_SECONDS = 2.5


class Client(threading.Thread):
    """Does one kind of work until told to stop. `errors` gets what no client should see."""

    def __init__(self, cluster, history, number, seed, stop, errors, pace_seconds):
        super().__init__(daemon=True)
        self.cluster, self.history, self.number = cluster, history, number
        self.random = random.Random(seed * 1000 + number)
        self.stop, self.errors, self.pace = stop, errors, pace_seconds
        self.connections = {}
        self.fresh = itertools.count()
        self.done = 0
        self.turn = threading.Lock()  # held while an operation is under way and until it is noted

    def run(self):
        work = (self.secrets, self.secrets, self.secrets, self.tokens, self.policies, self.mounts, self.times)[self.number % 7]
        try:
            steps = work()
            while True:
                with self.turn:  # what was asked is also noted
                    next(steps)
                self.done += 1
                if self.stop.wait(self.pace * self.random.random() * 2):
                    return
        except Exception as error:  # a client that ends early sees nothing any more
            self.errors.append(f"client {self.number}: {error!r}")

    def ask(self, method, path, body=None, token=None):
        """(start, end, status, answer, node); status 0 when nothing came back, NOT_SENT when nobody was there to take it."""
        node = self.random.choice(self.cluster.nodes)
        connection = self.connections.get(node.number)
        if connection is None:
            connection = self.connections[node.number] = http.client.HTTPConnection(node.address, 8200, timeout=TIMEOUT_SECONDS)
        start = time.monotonic()
        try:
            status, answer = ask(connection, method, path, token or self.cluster.token, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            del self.connections[node.number]
            status, answer = NOT_SENT if isinstance(error, ConnectionRefusedError) else 0, {}
        return start, time.monotonic(), status, answer, node.number

    def note(self, name, *operation):
        self.history.add(name, Operation(*operation))

    def failed_write(self, name, start, end, status, answer, value, node):
        if status == NOT_SENT:
            return
        text = " ".join(answer.get("errors", []))
        if 400 <= status < 500:
            self.errors.append(f"{name}: a write was answered with {status} {text}")
        kind = "void" if "nothing was changed" in text else "unknown"
        self.note(name, kind, start, end, None, value, node)

    def unique(self):
        return f"{self.number}.{next(self.fresh)}"

    def secrets(self):
        known = {}
        while True:
            name = f"s{self.random.randrange(KEYS)}"
            path = f"/v1/secret/data/{name}"
            if self.random.random() < 0.5:
                start, end, status, answer, node = self.ask("GET", path)
                if status == 200:
                    known[name] = answer["data"]["metadata"]["version"]
                    self.note(name, "read", start, end, known[name], answer["data"]["data"]["v"], node)
                elif status == 404:
                    self.note(name, "read", start, end, 0, None, node)
                yield
                continue
            value = self.unique()
            body = {"data": {"v": value}}
            condition = known.get(name, 0) if self.random.random() < 0.5 else None
            if condition is not None:
                body["options"] = {"cas": condition}
            start, end, status, answer, node = self.ask("POST", path, body)
            if status == 200:
                known[name] = answer["data"]["version"]
                self.note(name, "write", start, end, known[name], value, node)
                if condition is not None and known[name] != condition + 1:
                    self.errors.append(f"{name}: a write on condition of {condition} became version {known[name]}")
            elif status == 400 and "check-and-set" in " ".join(answer.get("errors", [])):
                self.note(name, "lost_cas", start, end, condition, value, node)
            else:
                self.failed_write(name, start, end, status, answer, value, node)
            yield

    def tokens(self):
        """Alive is state 1, dead 2."""
        while True:
            start, end, status, answer, node = self.ask("POST", "/v1/auth/token/create", {"ttl": "1h", "policies": ["default"]})
            if status != 200:
                yield
                continue
            token = answer["auth"]["client_token"]
            name = f"token {self.unique()}"
            self.note(name, "write", start, end, 1, "alive", node)
            revoke_at = self.random.randrange(1, 8)
            for step in range(revoke_at + 6):
                if step == revoke_at:
                    start, end, status, answer, node = self.ask("POST", "/v1/auth/token/revoke", {"token": token})
                    if status == 204:
                        self.note(name, "write", start, end, 2, "dead", node)
                    elif status != NOT_SENT:
                        self.note(name, "unknown", start, end, None, "dead", node)
                else:
                    self.look(name, token)
                yield

    def look(self, name, token):
        start, end, status, _, node = self.ask("GET", "/v1/auth/token/lookup-self", token=token)
        if status in (200, 403):
            self.note(name, "read", start, end, 1 if status == 200 else 2, "alive" if status == 200 else "dead", node)

    def sequence(self, kind, write, read):
        """One writer counts; who loses count begins another object, because a write that nobody answered may come later."""
        while True:
            name = f"{kind}-{self.unique().replace('.', '-')}"
            number, sure = 0, True
            while sure:
                if self.random.random() < 0.5:
                    number += 1
                    start, end, status, answer, node = write(name, number)
                    sure = status in (200, 204)
                    if sure:
                        self.note(name, "write", start, end, number, number, node)
                    else:
                        self.failed_write(name, start, end, status, answer, number, node)
                    if status == NOT_SENT:
                        number, sure = number - 1, True
                elif number > 0:
                    start, end, state, node = read(name)
                    if state is not None:
                        self.note(name, "read", start, end, state, state, node)
                yield

    def policies(self):
        def write(name, number):
            return self.ask("PUT", f"/v1/sys/policies/acl/{name}", {"policy": f'# {number}\npath "a" {{ capabilities = ["read"] }}'})

        def read(name):
            start, end, status, answer, node = self.ask("GET", f"/v1/sys/policies/acl/{name}")
            state = int(re.match(r"# (\d+)", answer["data"]["policy"])[1]) if status == 200 else 0 if status == 404 else None
            return start, end, state, node
        return self.sequence("policy", write, read)

    def mounts(self):
        def write(name, number):
            body = {"description": str(number)}
            if number == 1:
                return self.ask("POST", f"/v1/sys/mounts/{name}", dict(body, type="kv"))
            return self.ask("POST", f"/v1/sys/mounts/{name}/tune", body)

        def read(name):
            start, end, status, answer, node = self.ask("GET", "/v1/sys/mounts")
            state = int(answer["data"].get(f"{name}/", {"description": 0})["description"]) if status == 200 else None
            return start, end, state, node
        return self.sequence("mount", write, read)

    def times(self):
        """A token lives for its time, whatever happens to leaders and clocks, and not much longer."""
        while True:
            start, end, status, answer, _ = self.ask("POST", "/v1/auth/token/create",
                                                     {"ttl": f"{TOKEN_TTL_SECONDS:.0f}s", "explicit_max_ttl": f"{TOKEN_TTL_SECONDS:.0f}s"})
            if status != 200:
                yield
                continue
            token = answer["auth"]["client_token"]
            while time.monotonic() < end + TOKEN_TTL_SECONDS + TTL_LATE_SECONDS + 1:
                asked, told, status, _, node = self.ask("GET", "/v1/auth/token/lookup-self", token=token)
                if status == 403 and told < start + TOKEN_TTL_SECONDS - TTL_EARLY_SECONDS:
                    self.errors.append(f"a token of {TOKEN_TTL_SECONDS} s was dead after {told - start:.2f} s at n{node}")
                if status == 200 and asked > end + TOKEN_TTL_SECONDS + TTL_LATE_SECONDS:
                    self.errors.append(f"a token of {TOKEN_TTL_SECONDS} s was alive after {asked - end:.2f} s at n{node}")
                yield
