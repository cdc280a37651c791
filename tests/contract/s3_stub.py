"""S3-compatible storage in memory, as far as snapshots need it. Every request's signature is checked, byte by byte, by what the service's
documentation says; one that does not fit is answered 403."""
import hashlib
import hmac
import http.server
import re
import threading
import urllib.parse
from xml.sax.saxutils import escape

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "eu-central-1"


def _mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _encoded(text):
    return urllib.parse.quote(text, safe="-._~")


def signed(command, target, headers, body, region, service, more=frozenset(), keys=None):
    """Whether a request carries the signature of these keys for this region and service, over all that must be signed and the headers `more`."""
    given = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([a-z0-9;-]+), "
                         r"Signature=([0-9a-f]{64})", headers.get("authorization", ""))
    access_key, secret_key = keys or (ACCESS_KEY, SECRET_KEY)
    if not given or given[1] != access_key or given[3] != region or given[4] != service:
        return False
    day, names = given[2], given[5].split(";")
    time = headers["x-amz-date"]
    if not time.startswith(day) or not {"host", "x-amz-content-sha256", "x-amz-date"} | more <= set(names):
        return False
    if any(name.lower().startswith("x-amz-") and name.lower() not in names for name in headers):
        return False
    payload = hashlib.sha256(body).hexdigest()
    if headers["x-amz-content-sha256"] != payload:
        return False
    path, _, query = target.partition("?")
    pairs = sorted((_encoded(k), _encoded(v)) for k, v in urllib.parse.parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join([command, path, "&".join(f"{k}={v}" for k, v in pairs),
                           *(f"{name}:{headers[name].strip()}" for name in names), "", ";".join(names), payload])
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret_key).encode()
    for part in (day, region, service, "aws4_request"):
        key = _mac(key, part)
    return hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), given[6])


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self, status, body="", **headers):
        content = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    def _handle(self):
        store = self.server.store
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        store.requests.append((self.command, self.path))
        if store.fails:
            return self._answer(store.fails, "<Error><Code>AskedToFail</Code></Error>")
        if not signed(self.command, self.path, self.headers, body, REGION, "s3"):
            return self._answer(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>")
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        _, bucket, *rest = urllib.parse.unquote(path).split("/", 2)
        key = rest[0] if rest else ""
        if bucket != store.bucket:
            return self._answer(404, "<Error><Code>NoSuchBucket</Code></Error>")
        return self._do(store, key, query, body)

    def _do(self, store, key, query, body):
        if self.command == "PUT" and "partNumber" in query:
            store.uploads[query["uploadId"]][int(query["partNumber"])] = body
            return self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')
        if self.command == "PUT":
            store.objects[key] = body
            return self._answer(200)
        if self.command == "POST" and "uploads" in query:
            upload = f"upload+{len(store.uploads)}"
            store.uploads[upload] = {}
            return self._answer(200, f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>")
        if self.command == "POST":
            parts = store.uploads.pop(query["uploadId"])
            named = re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>(\"[0-9a-f]+\")</ETag>", body.decode())
            if named != [(str(n), f'"{hashlib.md5(parts[n]).hexdigest()}"') for n in sorted(parts)]:
                return self._answer(400, "<Error><Code>InvalidPart</Code></Error>")
            store.objects[key] = b"".join(parts[n] for n in sorted(parts))
            return self._answer(200, "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")
        if self.command == "GET" and query.get("list-type") == "2":
            keys = "".join(f"<Contents><Key>{escape(k)}</Key></Contents>" for k in sorted(store.objects) if k.startswith(query["prefix"]))
            return self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{keys}</ListBucketResult>")
        if self.command == "DELETE":
            (store.uploads if "uploadId" in query else store.objects).pop(query.get("uploadId", key), None)
            return self._answer(204)
        return self._answer(405)

    do_GET = do_PUT = do_POST = do_DELETE = _handle


class Store:
    """Listens until stop(); `objects` by key, and `requests` as they came."""

    def __init__(self, bucket="backups"):
        self.bucket = bucket
        self.objects = {}
        self.uploads = {}
        self.requests = []
        self.fails = None  # a status that everything is answered with
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.store = self
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
