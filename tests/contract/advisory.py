"""What tests of advisory rows share: a request over HTTP or gRPC, and a class of tests each of which must catch its mutant.

A check is run against the shipped binary, where it must pass, and against the binary with switches (`coffer_mutants`) with its mutant on, where its
own assertion must fail: a check that survives its mutant does not count.
"""
import functools
import json
import os
import pathlib
import re
import secrets
import sys

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

messages, services = coffer_grpc.load("logical")
VERBS = {"GET": "Read", "POST": "Write", "LIST": "List", "DELETE": "Delete", "PATCH": "Patch"}


class Http:
    name = "http"

    def call(self, verb, path, token=None, data=None, parameters=None):
        """(status, body text): the path is sent as it is."""
        query = "?" + "&".join(f"{k}={v}" for k, v in parameters.items()) if parameters else ""
        body = None if data is None else (data if isinstance(data, bytes) else json.dumps(data).encode())
        status, content, _ = harness.http(verb, "/v1/" + path + query, token, body, raw=True)
        return status, content.decode()


class Grpc:
    name = "grpc"

    def call(self, verb, path, token=None, data=None, parameters=None):
        with grpc.insecure_channel("127.0.0.1:8210") as channel:
            stub = services.LogicalStub(channel)
            method = VERBS[verb]
            request = getattr(messages, method + "Request")(path=path)
            if data is not None:
                request.data_json = data.decode() if isinstance(data, bytes) else json.dumps(data)
            if parameters:
                for key, value in parameters.items():
                    request.parameters[key] = value
            try:
                answer = getattr(stub, method)(request, metadata=[("x-vault-token", token)] if token else [], timeout=20)
                return answer.http_status, answer.data_json
            except grpc.RpcError as error:
                told = coffer_grpc.error_of(error)
                return (told.http_status if told else -1), error.details()


SURFACES = [Http(), Grpc()]


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def sure(check):
    """An answer that lacks what it must have fails the check, whatever Python says of it."""
    @functools.wraps(check)
    def judged(surface, test):
        try:
            check(surface, test)
        except (KeyError, TypeError, StopIteration, ValueError) as error:
            raise AssertionError(f"{check.__name__}: {error!r}") from error
    return judged


def root(method, path, body=None):
    """What a check needs made before; over HTTP by root."""
    status, answer = harness.http(method, "/v1/" + path, "root", body)
    expect(status < 300, f"{path} is answered with {status} {answer}")
    return answer


def method_with(kind, path, body):
    root("POST", f"sys/auth/{kind}", {"type": kind})
    root("POST", f"auth/{kind}/{path}", body)


def canary():
    return "canary-" + secrets.token_hex(16)


class Rows(harness.Contract):
    """One method a row and surface, made by add_rows()."""
    binary = harness.COFFER
    mutants = str(harness.BINARY_FOLDER / "coffer_mutants")

    def policy(self, name, text):
        self.shell(f"vault policy write {name} -", stdin=text)

    def token(self, policy, flags=""):
        return self.shell(f"vault token create -policy={policy} {flags} -field=token").strip()

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def begin(self):
        """Before each server is started."""

    def run_against(self, binary, mutant, check, surface):
        for leftover in ("/var/log/canary.log", "/var/log/foreign.sh", "/var/log/link.log", "/var/log/alias.log", "/var/log/mode.log", "/var/log/p.log"):
            if os.path.lexists(leftover):
                os.unlink(leftover)
        self.begin()
        self.server = self.dev_with(binary, mutant)
        try:
            check(surface, self)
        finally:
            if self.server.process.poll() is None:
                self.server.stop()

    def dev_with(self, binary, mutant):
        environment = dict(self.environment, **({"COFFER_MUTANT": mutant} if mutant else {}))
        server = harness.Server(["-dev", "-dev-root-token-id=root"], env=environment, binary=binary)
        self.servers.append(server)
        server.wait_for_http()
        server.wait_for_line(r"^Root Token: ")
        self.environment.update(VAULT_ADDR="http://localhost:8200", VAULT_TOKEN="root")
        return server


def make(row, mutant, check, surface):
    def test(self):
        self.run_against(self.binary, None, check, surface)
        try:
            self.run_against(self.mutants, mutant, check, surface)
        except AssertionError:
            return
        self.fail(f"row {row} survives its mutant {mutant} over {surface.name}")
    return test


def add_rows(cls, rows):
    """A test for each (row, mutant, check, surfaces on which the row can be seen)."""
    for row, mutant, check, surfaces in rows:
        for surface in surfaces:
            setattr(cls, f"test_{row}_{mutant}_{surface.name}", make(row, mutant, check, surface))
