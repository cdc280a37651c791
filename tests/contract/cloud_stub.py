"""Stand-ins for Azure and Google behind their own names: https://… on 127.0.0.1:443 with a certificate that the sandbox trusts, and the metadata service on
169.254.169.254:80. Every token, signature, path, query, header and body is checked as the real ones do; whatever does not fit is refused.
"""
import base64
import http.server
import json
import pathlib
import secrets
import ssl
import subprocess
import threading
import time
import urllib.parse

METADATA = "169.254.169.254"


def run(*arguments, **how):
    return subprocess.run(arguments, check=True, capture_output=True, **how).stdout


def b64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


class Refused(Exception):
    def __init__(self, status, word):
        super().__init__(word)
        self.status, self.word = status, word


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _do(self):
        cloud = self.server.cloud
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query)))
        host = self.headers["Host"]
        cloud.requests.append(f"{self.command} {self.server.scheme}://{host}{url.path}")
        try:
            status, fields = 200, cloud.answer(self.command, f"{self.server.scheme}://{host}", url.path, query, self.headers, body)
        except Refused as refused:
            status, fields = refused.status, cloud.refusal(refused)
        content = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _do


class Cloud:
    """Listens until stop(). `requests` are what came, in order; `word`, (status, word), is what all with a good token is refused with."""
    names = ()  # of hosts that are on 127.0.0.1

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.requests, self.word, self.tokens = [], None, {}
        self._trust()
        hosts = pathlib.Path("/etc/hosts")
        hosts.write_text(hosts.read_text() + f"127.0.0.1 {' '.join(self.names)}\n{METADATA} metadata.google.internal\n")
        subprocess.run(["ip", "address", "replace", f"{METADATA}/32", "dev", "lo"], check=True)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.folder / "cloud.pem", self.folder / "cloud.key")
        self.servers = []
        for address, scheme in ((("127.0.0.1", 443), "https"), ((METADATA, 80), "http")):
            server = http.server.ThreadingHTTPServer(address, _Handler)
            server.cloud, server.scheme = self, scheme
            if scheme == "https":
                server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            self.servers.append((server, thread))

    def _trust(self):
        """A certificate for the names, by an authority that this sandbox trusts from now on."""
        at = str(self.folder)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=authority",
            "-keyout", f"{at}/ca.key", "-out", f"{at}/ca.pem")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=cloud",
            "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in self.names), "-addext", "basicConstraints=CA:FALSE",
            "-CA", f"{at}/ca.pem", "-CAkey", f"{at}/ca.key", "-keyout", f"{at}/cloud.key", "-out", f"{at}/cloud.pem")
        bundle = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
        bundle.parent.mkdir(parents=True, exist_ok=True)
        known = bundle.read_bytes() if bundle.exists() else b""
        bundle.unlink(missing_ok=True)
        bundle.write_bytes(known + b"\n" + (self.folder / "ca.pem").read_bytes())

    def stop(self):
        for server, thread in self.servers:
            server.shutdown()
            server.server_close()
            thread.join()

    def give_token(self, whom):
        token = secrets.token_urlsafe(32)
        self.tokens[token] = whom
        return token

    def check_token(self, headers):
        kind, _, token = headers.get("Authorization", "").partition(" ")
        if kind != "Bearer" or token not in self.tokens:
            raise Refused(401, self.UNAUTHORIZED)
        if self.word:
            raise Refused(*self.word)

    @staticmethod
    def form(headers, body):
        if headers["Content-Type"] != "application/x-www-form-urlencoded":
            raise Refused(400, "invalid_request")
        return dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))

    @staticmethod
    def fields(headers, body, names):
        if headers["Content-Type"] != "application/json":
            raise Refused(415, "UnsupportedMediaType")
        fields = json.loads(body)
        if set(fields) != set(names) or not all(isinstance(value, str) for value in fields.values()):
            raise Refused(400, "InvalidRequest")
        return fields


class Azure(Cloud):
    """A vault with one key of RSA, whose versions are made by rotate(); a tenant with one client; the machine's own identity, unless `managed` is false."""
    UNAUTHORIZED = "Unauthorized"
    VAULT, KEY = "vault-unseal-kv", "vault-unseal-key"
    TENANT, CLIENT, SECRET = "abc123-...", "0c1e47-client", "the secret of a/client+"
    names = ("vault-unseal-kv.vault.azure.net", "login.microsoftonline.com")
    managed = True
    federated = None  # the token that a workload shows

    def __init__(self, folder):
        super().__init__(folder)
        self.versions, self.disabled = {}, set()
        self.rotate()

    def rotate(self):
        version = secrets.token_hex(16)
        path = self.folder / f"{version}.pem"
        run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
        self.versions[version] = path
        return version

    @staticmethod
    def refusal(refused):
        if refused.word.islower():
            return {"error": refused.word, "error_description": "a text of the service's own"}
        return {"error": {"code": refused.word, "message": "a text of the service's own"}}

    def answer(self, method, site, path, query, headers, body):
        if site == f"http://{METADATA}":
            return self.identity(method, path, query, headers)
        if site == "https://login.microsoftonline.com":
            return self.authority(method, path, query, headers, body)
        if site != f"https://{self.VAULT}.vault.azure.net" or query != {"api-version": "7.4"}:
            raise Refused(404, "NotFound")
        self.check_token(headers)
        parts = path.split("/")
        if parts[:2] != ["", "keys"] or parts[2] != self.KEY:
            raise Refused(404, "KeyNotFound")
        if method == "GET" and len(parts) == 3:
            version = list(self.versions)[-1]
            return {"key": {"kid": f"{site}/keys/{self.KEY}/{version}", "kty": "RSA"}, "attributes": {"enabled": version not in self.disabled}}
        version = parts[3] if len(parts) == 5 else list(self.versions)[-1]
        if method != "POST" or parts[-1] not in ("wrapkey", "unwrapkey") or version not in self.versions:
            raise Refused(404, "KeyNotFound")
        if version in self.disabled:
            raise Refused(403, "Forbidden")
        fields = self.fields(headers, body, ("alg", "value"))
        if fields["alg"] != "RSA-OAEP-256":
            raise Refused(400, "BadParameter")
        how = ["-encrypt"] if parts[-1] == "wrapkey" else ["-decrypt"]
        done = subprocess.run(["openssl", "pkeyutl", *how, "-inkey", self.versions[version], "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt",
                               "rsa_oaep_md:sha256"], input=unb64url(fields["value"]), capture_output=True, check=False)
        if done.returncode != 0:
            raise Refused(400, "BadParameter")
        return {"kid": f"{site}/keys/{self.KEY}/{version}", "value": b64url(done.stdout)}

    def identity(self, method, path, query, headers):
        if (method, path, headers["Metadata"]) != ("GET", "/metadata/identity/oauth2/token", "true"):
            raise Refused(404, "not_found")
        client = query.pop("client_id", None)
        if query != {"api-version": "2018-02-01", "resource": "https://vault.azure.net"} or client not in (None, self.CLIENT) or not self.managed:
            raise Refused(400, "invalid_request")
        return {"access_token": self.give_token("managed"), "expires_in": "86399", "resource": "https://vault.azure.net", "token_type": "Bearer"}

    def authority(self, method, path, query, headers, body):
        if (method, path, query) != ("POST", f"/{self.TENANT}/oauth2/v2.0/token", {}):
            raise Refused(404, "invalid_tenant")
        form = self.form(headers, body)
        asked = {"client_id": self.CLIENT, "grant_type": "client_credentials", "scope": "https://vault.azure.net/.default"}
        secret = asked | {"client_secret": self.SECRET}
        assertion = asked | {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": self.federated}
        if form not in (secret, assertion):
            raise Refused(401, "invalid_client")
        return {"token_type": "Bearer", "expires_in": 3599, "access_token": self.give_token("client")}


class Google(Cloud):
    """A key ring with one key, whose versions are made by rotate(); a service account of the machine, and one with a key of its own in `credentials`."""
    UNAUTHORIZED = "UNAUTHENTICATED"
    KEY = "projects/my-project/locations/global/keyRings/vault/cryptoKeys/vault-unseal"
    EMAIL, TOKEN_URI = "vault@my-project.iam.gserviceaccount.com", "https://oauth2.googleapis.com/token"
    names = ("cloudkms.googleapis.com", "oauth2.googleapis.com")
    ambient = True

    def __init__(self, folder):
        super().__init__(folder)
        self.versions = [{}]  # texts by what they became
        self.state = "ENABLED"
        self.spoils = None  # of answers: a field that is damaged on its way
        self.credentials = self.folder / "credentials.json"
        run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.folder / "account.key")
        (self.folder / "account.pub").write_bytes(run("openssl", "pkey", "-in", self.folder / "account.key", "-pubout"))
        self.credentials.write_text(json.dumps({"type": "service_account", "project_id": "my-project", "private_key_id": "k1", "client_email": self.EMAIL,
                                                "private_key": (self.folder / "account.key").read_text(), "token_uri": self.TOKEN_URI}))

    def rotate(self):
        self.versions.append({})

    @staticmethod
    def refusal(refused):
        if refused.word.islower():
            return {"error": refused.word, "error_description": "a text of the service's own"}
        return {"error": {"code": refused.status, "status": refused.word, "message": "a text of the service's own"}}

    def answer(self, method, site, path, query, headers, body):
        if site == "http://metadata.google.internal":
            if (method, path, query, headers["Metadata-Flavor"]) != ("GET", "/computeMetadata/v1/instance/service-accounts/default/token", {}, "Google"):
                raise Refused(404, "not_found")
            if not self.ambient:
                raise Refused(404, "not_found")
            return {"access_token": self.give_token("ambient"), "expires_in": 3599, "token_type": "Bearer"}
        if site == "https://oauth2.googleapis.com":
            return self.exchange(method, path, query, headers, body)
        if site != "https://cloudkms.googleapis.com" or query:
            raise Refused(404, "NOT_FOUND")
        self.check_token(headers)
        name, _, action = path.removeprefix("/v1/").partition(":")
        if name != self.KEY:
            raise Refused(404, "NOT_FOUND")
        if (method, action) == ("GET", ""):
            return {"name": self.KEY, "purpose": "ENCRYPT_DECRYPT", "primary": {"name": f"{self.KEY}/cryptoKeyVersions/{len(self.versions)}", "state": self.state}}
        if self.state != "ENABLED":
            raise Refused(400, "FAILED_PRECONDITION")
        if (method, action) == ("POST", "encrypt"):
            fields = self.fields(headers, body, ("plaintext", "plaintextCrc32c"))
            plain = base64.b64decode(fields["plaintext"], validate=True)
            if fields["plaintextCrc32c"] != str(crc32c(plain)):
                raise Refused(400, "INVALID_ARGUMENT")
            made = secrets.token_bytes(80)
            self.versions[-1][made] = plain
            return self.spoilt({"name": f"{self.KEY}/cryptoKeyVersions/{len(self.versions)}", "ciphertext": base64.b64encode(made).decode(),
                                "ciphertextCrc32c": str(crc32c(made)), "verifiedPlaintextCrc32c": True, "protectionLevel": "SOFTWARE"})
        if (method, action) == ("POST", "decrypt"):
            fields = self.fields(headers, body, ("ciphertext", "ciphertextCrc32c"))
            made = base64.b64decode(fields["ciphertext"], validate=True)
            found = [version[made] for version in self.versions if made in version]
            if fields["ciphertextCrc32c"] != str(crc32c(made)) or not found:
                raise Refused(400, "INVALID_ARGUMENT")
            return self.spoilt({"plaintext": base64.b64encode(found[0]).decode(), "plaintextCrc32c": str(crc32c(found[0])), "usedPrimary": True})
        raise Refused(404, "NOT_FOUND")

    def spoilt(self, fields):
        if self.spoils in fields:
            value = fields[self.spoils]
            fields[self.spoils] = not value if isinstance(value, bool) else ("B" if value[0] != "B" else "C") + value[1:] if not value.isdigit() else str(int(value) ^ 1)
        return fields

    def exchange(self, method, path, query, headers, body):
        if (method, path, query) != ("POST", "/token", {}):
            raise Refused(404, "not_found")
        form = self.form(headers, body)
        head, claims, signature = form.get("assertion", "..").split(".")
        (self.folder / "signature").write_bytes(unb64url(signature))
        done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.folder / "account.pub", "-signature", self.folder / "signature"],
                              input=f"{head}.{claims}".encode(), capture_output=True, check=False)
        now = time.time()
        if done.returncode != 0 or form["grant_type"] != "urn:ietf:params:oauth:grant-type:jwt-bearer" or \
                json.loads(unb64url(head)) != {"alg": "RS256", "typ": "JWT", "kid": "k1"}:
            raise Refused(400, "invalid_grant")
        claims = json.loads(unb64url(claims))
        issued, ends = claims.pop("iat"), claims.pop("exp")
        if claims != {"iss": self.EMAIL, "scope": "https://www.googleapis.com/auth/cloudkms", "aud": self.TOKEN_URI} or \
                not now - 60 <= issued <= now + 5 or not issued < ends <= issued + 3600:
            raise Refused(400, "invalid_grant")
        return {"access_token": self.give_token("account"), "expires_in": 3599, "token_type": "Bearer"}
