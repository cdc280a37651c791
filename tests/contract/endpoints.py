"""Every endpoint of the server, taken from the path tables in the sources: a new one is covered without anyone remembering it."""
import json
import re

import harness

# A text in the sources that may be a row's pattern; the server's help says whether it is.
PATTERN = re.compile(r'"([a-z][a-z0-9_-]*(?:/[:*]?[a-z0-9_?-]+)*(?:/\*\w+\??)?)"')
FIELD = re.compile(r"^    (\w+) \((.+)\)$", re.M)
# What ends the test, or the server.
SKIPPED = re.compile(r"^auth/token/revoke-self$|^sys/(seal|unseal|init|step-down|monitor|rotate|rotate/keyring)$")


def mounts_of(source):
    """Where the table of a source file is mounted, by the file's place."""
    name = source.parent.name
    if name == "core":
        return ["auth/token/"] if "token" in source.name else ["identity/"] if "identity" in source.name else ["sys/"]
    return {"kv": ["secret/", "kv1/"], "cubbyhole": ["cubbyhole/"]}.get(name, [f"auth/{name}/", f"{name}/"])


def paths():
    out = set()
    for source in [*harness.ROOT.glob("core/*.cc"), *harness.ROOT.glob("engines/*/*.cc")]:
        text = source.read_text()
        for pattern in PATTERN.findall(text) if "PathSpec" in text else ():
            for mount in mounts_of(source):
                out.add(mount + re.sub(r"[:*]\w+\??", "cny", pattern))
    return sorted(path for path in out if not SKIPPED.match(path))


def prepare(token):
    """Mounts one of each engine and auth method, so that each table of paths is somewhere."""
    for path, kind in (("secret", {"type": "kv", "options": {"version": "2"}}), ("kv1", {"type": "kv"})):
        harness.http("POST", f"/v1/sys/mounts/{path}", token, kind)
    for folder in sorted((harness.ROOT / "engines").iterdir()):
        if folder.is_dir() and folder.name not in ("kv", "cubbyhole"):
            for table in ("auth", "mounts"):
                harness.http("POST", f"/v1/sys/{table}/{folder.name}", token, {"type": folder.name})


def typed_fields_of(path, token):
    """[(name, type)] of the endpoint's fields, from its own help; None: there is no such endpoint."""
    status, content, _ = harness.http("GET", f"/v1/{path}?help=1", token, raw=True)
    if status != 200 or b"Matching Route" not in content:
        return None
    return FIELD.findall(json.loads(content)["help"])


def fields_of(path, token):
    """The same without their types."""
    fields = typed_fields_of(path, token)
    return None if fields is None else [name for name, _ in fields]
