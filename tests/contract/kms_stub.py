"""A key service that speaks AWS KMS's JSON protocol. Every request's signature is checked (s3_stub.signed). What it "encrypted" is a random name of a text that
it keeps: nobody else can open that, and what was changed names nothing."""
import base64
import datetime
import http.server
import json
import os
import threading
import urllib.parse

import s3_stub

ACCESS_KEY, SECRET_KEY = s3_stub.ACCESS_KEY, s3_stub.SECRET_KEY
REGION = "us-east-1"


class Refused(Exception):
    """The service's word for what is wrong."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self, status, fields):
        content = json.dumps(fields).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self):
        service = self.server.service
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        action = self.headers.get("x-amz-target", "")
        service.requests.append(action)
        service.may_answer.wait(60)
        if service.word:
            return self._answer(400, {"__type": f"com.amazonaws.kms#{service.word}", "message": "a text of the service's own"})
        if self.headers["content-type"] == "application/x-www-form-urlencoded":
            return self._sts(body)
        if self.path != "/" or self.headers["content-type"] != "application/x-amz-json-1.1":
            return self._answer(404, {"__type": "UnknownOperationException"})
        session = self.headers.get("x-amz-security-token")
        if session is not None and session not in service.sessions:
            return self._answer(400, {"__type": "UnrecognizedClientException"})
        if session in service.ended:
            return self._answer(400, {"__type": "ExpiredTokenException"})
        if not s3_stub.signed(self.command, self.path, self.headers, body, service.region, "kms", {"content-type", "x-amz-target"},
                              service.sessions.get(session)):
            return self._answer(400, {"__type": "InvalidSignatureException"})
        try:
            self._answer(200, service.do(action.removeprefix("TrentService."), json.loads(body)))
        except Refused as refused:
            self._answer(400, {"__type": str(refused), "message": "a text of the service's own"})


    def _text(self, status, content, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def _sts(self, body):
        """Roles, as STS gives them: to a web identity's token, or to whoever signs."""
        service = self.server.service
        form = dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
        action = form.pop("Action")
        service.requests.append(f"sts {action}")
        asked = {"Version": "2011-06-15", "RoleArn": service.role, "RoleSessionName": "coffer"}
        if action == "AssumeRoleWithWebIdentity":
            allowed = form == asked | {"WebIdentityToken": service.web_identity} and "authorization" not in self.headers
        else:
            allowed = action == "AssumeRole" and form == asked and s3_stub.signed("POST", self.path, self.headers, body, service.region, "sts", {"content-type"})
        if not allowed:
            return self._text(403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>a text of the service's own</Message></Error></ErrorResponse>", "text/xml")
        keys = service.give()
        return self._text(200, f"<{action}Response><{action}Result><Credentials><AccessKeyId>{keys['AccessKeyId']}</AccessKeyId><SecretAccessKey>"
                               f"{keys['SecretAccessKey']}</SecretAccessKey><SessionToken>{keys['Token']}</SessionToken><Expiration>{keys['Expiration']}"
                               f"</Expiration></Credentials></{action}Result></{action}Response>", "text/xml")

    def do_PUT(self):
        if self.path != "/latest/api/token" or not 1 <= int(self.headers["X-aws-ec2-metadata-token-ttl-seconds"]) <= 21600:
            return self._text(404, "")
        return self._text(200, "of-the-instance")

    def do_GET(self):
        service = self.server.service
        service.requests.append(f"GET {self.path}")
        roles = "/latest/meta-data/iam/security-credentials/"
        if self.path == "/container" and self.headers["Authorization"] == "of-the-agent":
            return self._answer(200, service.give())
        if not self.path.startswith(roles) or self.headers["X-aws-ec2-metadata-token"] != "of-the-instance":
            return self._text(401, "")
        if self.path == roles:
            return self._text(200, "unsealer")
        return self._answer(200, service.give() | {"Code": "Success", "Type": "AWS-HMAC"}) if self.path == roles + "unsealer" else self._text(404, "")


class Service:
    """Listens until stop(). `add(alias)` makes a key; `requests` are the actions as they came; `word` is what everything is refused with."""

    def __init__(self, region=REGION):
        self.region = region
        self.keys = {}  # by ARN: texts by name
        self.disabled = set()
        self.aliases = {}
        self.requests = []
        self.word = None
        self.sessions, self.ended = {}, set()  # tokens of temporary keys: (access key, secret key)
        self.role, self.web_identity = "arn:aws:iam::111122223333:role/unsealer", "a.token.of-the-workload"
        self.may_answer = threading.Event()  # until then it is silent
        self.may_answer.set()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.service = self
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def give(self):
        """Temporary keys, for an hour."""
        token = base64.b64encode(os.urandom(48)).decode()
        keys = self.sessions[token] = ("ASIA" + os.urandom(8).hex().upper(), base64.b64encode(os.urandom(30)).decode())
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        return {"AccessKeyId": keys[0], "SecretAccessKey": keys[1], "Token": token, "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def add(self, alias=None):
        arn = f"arn:aws:kms:{self.region}:111122223333:key/1234abcd-12ab-34cd-56ef-{len(self.keys):012d}"
        self.keys[arn] = {}
        if alias:
            self.aliases[alias] = arn
        return arn

    def named(self, name):
        arn = self.aliases.get(name, name)
        if arn not in self.keys:
            raise Refused("NotFoundException")
        return arn

    def do(self, action, fields):
        arn = self.named(fields["KeyId"])
        if action == "DescribeKey":
            return {"KeyMetadata": {"KeyId": arn.rpartition("/")[2], "Arn": arn, "KeyState": "Disabled" if arn in self.disabled else "Enabled"}}
        if arn in self.disabled:
            raise Refused("DisabledException")
        if action == "Encrypt":
            name = os.urandom(64)
            self.keys[arn][name] = fields["Plaintext"]
            return {"KeyId": arn, "CiphertextBlob": base64.b64encode(arn.encode() + b"|" + name).decode()}
        if action == "Decrypt":
            owner, _, name = base64.b64decode(fields["CiphertextBlob"]).partition(b"|")
            if owner.decode(errors="replace") != arn:
                raise Refused("IncorrectKeyException")
            if name not in self.keys[arn]:
                raise Refused("InvalidCiphertextException")
            return {"KeyId": arn, "Plaintext": self.keys[arn][name]}
        raise Refused("UnknownOperationException")
