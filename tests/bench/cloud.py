"""A stand-in for the AWS services that a run meets: objects of S3 in a folder, and one secret.

moto's server would do, but it needs more packages and keeps every object in memory: half a gigabyte for a million
orders. This one knows what `subscribe` and the receiver of webhooks send: get, put (with conditions), delete, list,
multipart upload, `GetSecretValue` and `SendMessage`.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import uuid
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.bench.loopback import Handler, serve

_XML = {"Content-Type": "application/xml"}
_TIME = "Sun, 01 Nov 2026 00:00:00 GMT"
"""The time of every object. No run uses it."""

_PIECE = 1 << 20


class Cloud:
    """S3 and Secrets Manager, with the objects in a folder.

    Args:
        folder: The folder of the objects.
        secret: The text of every secret.
    """

    def __init__(self, folder: Path, secret: str) -> None:
        self.folder = folder
        self.secret = secret
        self.lock = threading.Lock()
        self.etags: dict[str, str] = {}
        self.uploads: dict[str, dict[int, Path]] = {}

    def path(self, key: str) -> Path:
        """Return where an object lies, its folder made."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class CloudHandler(Handler):
    """Answers what boto3 sends, path style."""

    @property
    def cloud(self) -> Cloud:
        """The shared state."""
        cloud: Cloud = self.server.state  # type: ignore[attr-defined]
        return cloud

    def _target(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        return unquote(parts.path).lstrip("/"), dict(parse_qsl(parts.query, keep_blank_values=True))

    def do_GET(self) -> None:  # noqa: N802 - the base class's name
        """Give an object, or list those of a prefix."""
        key, query = self._target()
        if "list-type" in query:
            self._list(key.rstrip("/") + "/", query.get("prefix", ""))
            return
        with self.cloud.lock:
            etag = self.cloud.etags.get(key)
        if etag is None:
            self._refuse(404, "NoSuchKey")
            return
        self.answer(200, self.cloud.path(key).read_bytes(), {"ETag": etag, "Last-Modified": _TIME})

    def do_HEAD(self) -> None:  # noqa: N802 - the base class's name
        """Tell that there is no such object: nothing asks for one that there is."""
        self.answer(404, b"", {})

    def do_PUT(self) -> None:  # noqa: N802 - the base class's name
        """Keep an object or a part of an upload."""
        key, query = self._target()
        path = self.cloud.path(f"{key}.{uuid.uuid4().hex}")
        digest, left = hashlib.md5(usedforsecurity=False), int(self.headers["Content-Length"])
        with path.open("wb") as file:
            while left:
                piece = self.rfile.read(min(_PIECE, left))
                digest.update(piece)
                file.write(piece)
                left -= len(piece)
        etag = f'"{digest.hexdigest()}"'
        with self.cloud.lock:
            if "uploadId" in query:
                self.cloud.uploads[query["uploadId"]][int(query["partNumber"])] = path
            elif self._condition_fails(self.cloud.etags.get(key)):
                path.unlink()
                etag = ""
            else:
                path.replace(self.cloud.path(key))
                self.cloud.etags[key] = etag
        if etag:
            self.answer(200, b"", {"ETag": etag})
        else:
            self._refuse(412, "PreconditionFailed")

    def _condition_fails(self, etag: str | None) -> bool:
        wanted = self.headers.get("If-Match")
        return (wanted is not None and wanted != etag) or (bool(self.headers.get("If-None-Match")) and etag is not None)

    def do_POST(self) -> None:  # noqa: N802 - the base class's name
        """Begin or complete an upload, give the secret, or take a message."""
        key, query = self._target()
        body = self.read_body()
        if self.headers.get("X-Amz-Target") == "secretsmanager.GetSecretValue":
            name = json.loads(body)["SecretId"]
            self.answer_json(200, {"Name": name, "SecretString": self.cloud.secret, "VersionId": "1" * 32})
        elif self.headers.get("X-Amz-Target") == "AmazonSQS.SendMessage":
            message = json.loads(body)["MessageBody"].encode()
            digest = hashlib.md5(message, usedforsecurity=False).hexdigest()
            self.answer_json(200, {"MessageId": uuid.uuid4().hex, "MD5OfMessageBody": digest})
        elif "uploads" in query:
            upload = uuid.uuid4().hex
            with self.cloud.lock:
                self.cloud.uploads[upload] = {}
            self._answer_xml(f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>", key)
        elif "uploadId" in query:
            with self.cloud.lock:
                parts = self.cloud.uploads.pop(query["uploadId"])
                first, *others = (parts[number] for number in sorted(parts))
                with first.open("ab") as file:
                    for part in others:
                        file.write(part.read_bytes())
                        part.unlink()
                first.replace(self.cloud.path(key))
                self.cloud.etags[key] = f'"{query["uploadId"]}-{len(parts)}"'
            self._answer_xml("<CompleteMultipartUploadResult>", key)
        else:
            self._refuse(501, "NotImplemented")

    def do_DELETE(self) -> None:  # noqa: N802 - the base class's name
        """Drop an object or an upload."""
        key, query = self._target()
        with self.cloud.lock:
            for path in self.cloud.uploads.pop(query.get("uploadId", ""), {}).values():
                path.unlink()
            if self.cloud.etags.pop(key, None) is not None:
                self.cloud.path(key).unlink()
        self.answer(204, b"", {})

    def _list(self, bucket: str, prefix: str) -> None:
        with self.cloud.lock:
            keys = sorted(key for key in self.cloud.etags if key.startswith(bucket + prefix))
        found = "".join(
            f"<Contents><Key>{escape(key.removeprefix(bucket))}</Key>"
            f"<LastModified>{_TIME}</LastModified>"
            f"<Size>{self.cloud.path(key).stat().st_size}</Size></Contents>"
            for key in keys
        )
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        self.answer(200, body.encode(), _XML)

    def _answer_xml(self, begun: str, key: str) -> None:
        name = begun[1 : begun.index(">")]
        self.answer(200, f"{begun}<Key>{escape(key)}</Key></{name}>".encode(), _XML)

    def _refuse(self, status: int, code: str) -> None:
        self.answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode(), _XML)


if __name__ == "__main__":
    serve(CloudHandler, Cloud(Path(sys.argv[1]), sys.argv[2]))
