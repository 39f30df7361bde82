"""Images and files: by URL, as base64 in the payload, or streamed from the bucket.

The payload of an entity that takes a file has exactly one of

- `attachment`, with its `filename`: the file in base64, or an `https` URL that the shop fetches;
- `src`: a URL that the shop fetches;
- `s3_key`: a key under `publish/files/` of the bundle's bucket. The default of `filename` is the last part of the key.
  The file is sent as `attachment`, piece by piece, so memory does not hold all of it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from connector.aws import botocore_errors
from connector.aws.errors import aws_error_types
from connector.errors import RequestError
from lightspeed import NotSent, Parameters, Request
from lightspeed.writing.natural_key import record_fields
from publish.event import PublishRequest

if TYPE_CHECKING:
    from publish.dependencies import Dependencies

MAX_BYTES = 20 * 1024 * 1024
"""The largest file that is sent. The shop's own limit is not known."""

_PIECE_BYTES = 384 * 1024
_WAYS = ("attachment", "src", "s3_key")
_FOLDER = "publish/files/"
_PLACEHOLDER = "attachment-"
_URL = re.compile(r"[^\s\\\x00-\x1f\x7f]+")
_WRONG_KEY = ("NoSuchKey", "NotFound", "404", "AccessDenied", "Forbidden", "403", "BadRequest", "400")
"""Error codes of S3 that a second request for the same key would get too."""


@dataclass(frozen=True)
class StoredFile:
    """The version of a file in the bucket that was checked. No other version is sent.

    Attributes:
        size: Bytes.
        placeholder: A random text in the payload, in place of the file's base64 until the request is sent.
    """

    client: Any
    bucket: str
    key: str
    size: int
    etag: str
    placeholder: str

    def put_into(self, request: Request) -> Request:
        """Return the request with a body that reads the file while it is sent, as base64 in place of `placeholder`."""
        return replace(request, body=StreamedBody(self, request))


class StreamedBody:
    """A request body with a file of the bucket. Every iteration reads the file again, so a request can be repeated."""

    def __init__(self, file: StoredFile, request: Request) -> None:
        body = request.body if isinstance(request.body, bytes) else b""
        self._file, self._request = file, request
        self._before, _, self._after = body.partition(file.placeholder.encode())

    def __len__(self) -> int:
        return len(self._before) + 4 * -(-self._file.size // 3) + len(self._after)

    def __iter__(self) -> Iterator[bytes]:
        yield self._before
        left = b""
        for piece in self._pieces():
            whole = left + piece
            cut = len(whole) - len(whole) % 3  # base64 turns three bytes into four characters
            yield base64.b64encode(whole[:cut])
            left = whole[cut:]
        yield base64.b64encode(left) + self._after

    def to_json(self) -> Any:
        """Return the body as a dry run shows it, with the key and the size of the file in place of its base64."""
        note = json.dumps({"s3_key": self._file.key, "bytes": self._file.size}).encode()
        return json.loads(self._before.removesuffix(b'"') + note + self._after.removeprefix(b'"'))

    def _pieces(self) -> Iterator[bytes]:
        file = self._file
        try:
            found = file.client.get_object(Bucket=file.bucket, Key=file.key, IfMatch=file.etag)
            yield from found["Body"].iter_chunks(_PIECE_BYTES)
        except aws_error_types() as error:
            message = f"s3_key {file.key!r:.100} could not be read: {error}"
            raise NotSent(message, method=self._request.method, path=self._request.path) from error


def attach(request: PublishRequest, parameters: Parameters, deps: Dependencies) -> tuple[Parameters, StoredFile | None]:
    """Check the file of a payload. Return the parameters to build the request with, and the file to put into it.

    Args:
        request: An event of an entity that takes a file.
        parameters: Its parameters after the request transformer.
        deps: Provide the bundle's bucket.

    Raises:
        RequestError: The payload names no file or two, or the file is too large or cannot be read.
        ClientError: S3 is in trouble; the file may be right.
    """
    if request.action not in ("create", "update"):
        return parameters, None
    fields = record_fields(parameters.payload, request.endpoint)
    given = [name for name in _WAYS if fields.get(name) not in (None, "", False)]
    if len(given) > 1 or (not given and request.action == "create"):
        raise RequestError(
            [f"a file is sent by exactly one of {', '.join(_WAYS)}, not by {' and '.join(given) or 'none'}"]
        )
    kept = {name: value for name, value in fields.items() if name not in _WAYS}
    if not isinstance(kept.get("filename") or "", str):
        raise RequestError([f"filename must be text, not {kept['filename']!r:.100}"])
    if given == ["s3_key"]:
        file = _stored_file(fields["s3_key"], deps.aws.client("s3"), deps.settings.bucket)
        named = {"attachment": file.placeholder, "filename": kept.get("filename") or file.key.rpartition("/")[2]}
        return replace(parameters, payload=kept | named), file
    if given == ["src"]:
        _check_url("src", fields["src"], ("https://", "http://"))
    elif given == ["attachment"]:
        _check_attachment(fields)
    return replace(parameters, payload={name: fields[name] for name in given} | kept), None


def _check_url(name: str, url: object, schemes: tuple[str, ...]) -> None:
    text = url if isinstance(url, str) and url.startswith(schemes) and _URL.fullmatch(url) else ""
    try:
        parts = urlsplit(text)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise RequestError([f"{name} must be an address that the shop can fetch, https://…, not {url!r:.100}"])


def _check_attachment(fields: Mapping[str, Any]) -> None:
    text = fields["attachment"]
    if not fields.get("filename"):
        raise RequestError(["attachment needs a filename, such as lamp.jpg"])
    if isinstance(text, str) and "://" in text[:20]:
        _check_url("attachment", text, ("https://",))
        return
    try:
        size = len(base64.b64decode(text, validate=True))
    except (binascii.Error, TypeError, ValueError):
        raise RequestError(
            [f"attachment must be the file in base64, or an https:// address, not {text!r:.100}"]
        ) from None
    _check_size("attachment", size)


def _stored_file(key: object, client: Any, bucket: str) -> StoredFile:
    if not isinstance(key, str) or not bucket:
        raise RequestError([f"s3_key must be the key of a file in the bundle's bucket, not {key!r:.100}"])
    if not key.startswith(_FOLDER) or key.endswith("/") or ".." in key.split("/"):
        raise RequestError([f"s3_key must be a key under {_FOLDER}, such as {_FOLDER}lamp.jpg, not {key!r:.100}"])
    try:
        head = client.head_object(Bucket=bucket, Key=key)
    except botocore_errors.ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in _WRONG_KEY:
            raise
        raise RequestError([f"s3_key {key!r:.100} cannot be read from the bundle's bucket ({code})"]) from error
    _check_size(f"s3_key {key!r:.100}", head["ContentLength"])
    return StoredFile(client, bucket, key, head["ContentLength"], head["ETag"], _PLACEHOLDER + secrets.token_hex(16))


def _check_size(name: str, size: int) -> None:
    if size == 0:
        raise RequestError([f"{name} is empty"])
    if size > MAX_BYTES:
        raise RequestError([f"{name} has {size} bytes; the most that is sent is {MAX_BYTES}"])
