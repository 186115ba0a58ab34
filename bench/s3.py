"""What ports of actions/cache to S3 do: an archive by tar and zstd, in one object that is sent and read in parallel.

    python3 s3.py push|pull ENDPOINT OBJECT    saves or restores `tree` of the current directory
    python3 s3.py list ENDPOINT PREFIX         counts objects and their bytes

OBJECT and PREFIX begin with the bucket. Credentials are in the environment. Each prints JSON: bytes and requests.
"""

import concurrent.futures
import hashlib
import hmac
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from datetime import datetime, timezone
from pathlib import Path

from common import tar_create, tar_extract

# actions/cache sends parts of 32 MiB, 4 at once, and reads 8 at once. With parts of this size, more is on its way.
PART = 8 << 20
AT_ONCE = 8
ARCHIVE = Path("cache.tzst")


class Bucket:
    """Signed requests, over one connection for each thread. Bodies are not signed, which saves time."""

    def __init__(self, endpoint: str):
        self.server = urllib.parse.urlsplit(endpoint).netloc
        self.key, self.secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
        self.local = threading.local()
        self.requests = self.sent = self.received = 0
        self.lock = threading.Lock()

    def request(self, method: str, path: str, query: dict[str, str], body=b"", headers: dict[str, str] | None = None):
        """Returns the headers and the body of the answer."""
        text = urllib.parse.urlencode(sorted(query.items()), quote_via=urllib.parse.quote)
        signed = {**(headers or {}), **self.signature(method, path, text)}
        for attempt in range(3):
            try:
                self.connection().request(method, f"{path}?{text}", body, signed)
                answer = self.connection().getresponse()
                data = answer.read()
                break
            except (OSError, http.client.HTTPException):
                self.local.connection = None
                if attempt == 2:
                    raise
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {data[:300]!r}")
        with self.lock:
            self.requests += 1
            self.sent += len(body)
            self.received += len(data)
        return answer.headers, data

    def connection(self) -> http.client.HTTPConnection:
        if getattr(self.local, "connection", None) is None:
            self.local.connection = http.client.HTTPConnection(self.server, timeout=60, blocksize=1 << 20)
        return self.local.connection

    def signature(self, method: str, path: str, query: str) -> dict[str, str]:
        """The headers of AWS Signature Version 4."""
        time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": self.server, "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": time}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = "\n".join([method, path, query, lines, names, headers["x-amz-content-sha256"]])
        scope = [time[:8], "us-east-1", "s3", "aws4_request"]
        text = "\n".join(["AWS4-HMAC-SHA256", time, "/".join(scope), hashlib.sha256(request.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for word in [*scope, text]:
            key = hmac.digest(key, word.encode(), "sha256")
        credential = f"{self.key}/{'/'.join(scope)}"
        value = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={key.hex()}"
        return {**headers, "authorization": value}


def in_parallel(work, length: int) -> list:
    """Does work for each part of an object, several at once."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, range((length + PART - 1) // PART)))


def push(bucket: Bucket, path: str):
    subprocess.run([str(word) for word in tar_create(ARCHIVE)], check=True)
    length = ARCHIVE.stat().st_size
    _, answer = bucket.request("POST", path, {"uploads": ""})
    upload = re.search(rb"<UploadId>(.*?)</UploadId>", answer)[1].decode()
    with ARCHIVE.open("rb") as archive:

        def send(number: int) -> str:
            body = os.pread(archive.fileno(), PART, number * PART)
            query = {"partNumber": str(number + 1), "uploadId": upload}
            return bucket.request("PUT", path, query, body)[0]["etag"]

        etags = in_parallel(send, length)
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1))
    whole = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
    bucket.request("POST", path, {"uploadId": upload}, whole.encode())


def pull(bucket: Bucket, path: str):
    headers, _ = bucket.request("HEAD", path, {})
    length = int(headers["content-length"])
    with ARCHIVE.open("wb") as archive:

        def read(number: int):
            start = number * PART
            asked = {"range": f"bytes={start}-{min(start + PART, length) - 1}"}
            os.pwrite(archive.fileno(), bucket.request("GET", path, {}, headers=asked)[1], start)

        in_parallel(read, length)
    subprocess.run([str(word) for word in tar_extract(ARCHIVE)], check=True)


def listed(bucket: Bucket, path: str) -> dict[str, int]:
    _, name, prefix = path.split("/", 2)
    sizes: list[int] = []
    query = {"list-type": "2", "prefix": prefix}
    while True:
        _, answer = bucket.request("GET", f"/{name}", query)
        sizes += [int(size) for size in re.findall(rb"<Size>(\d+)</Size>", answer)]
        token = re.search(rb"<NextContinuationToken>(.*?)</NextContinuationToken>", answer)
        if not token:
            return {"objects": len(sizes), "bytes": sum(sizes)}
        query["continuation-token"] = token[1].decode()


def main():
    what, endpoint, path = sys.argv[1], sys.argv[2], f"/{sys.argv[3]}"
    bucket = Bucket(endpoint)
    if what == "list":
        print(json.dumps(listed(bucket, path)))
        return
    {"push": push, "pull": pull}[what](bucket, path)
    print(json.dumps({"sent-bytes": bucket.sent, "received-bytes": bucket.received, "requests": bucket.requests}))


if __name__ == "__main__":
    main()
