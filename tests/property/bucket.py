"""An S3 bucket in memory, strongly consistent and with conditional writes, that watches over what readers are promised.

A manifest promises the parts that it names. The bucket notes every moment at which a reader would be let down: a part
that is missing or has other bytes than its manifest says, a manifest that changes or goes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

PAGE_KEYS = 2
"""Keys on a page of a listing: few, so that listings have pages."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A record as a reader finds it.

    Attributes:
        run_id: The run whose manifest names it.
        changed: `updatedAt`, as the shop wrote it.
    """

    run_id: str
    language: str
    id: int
    changed: str
    text: bytes


class MemoryBucket:
    """The part of an S3 client that the bundle uses, for one bucket, which is empty at first.

    Args:
        at: Called before and after each call; may raise.
        now: Returns the time of written objects, epoch seconds.

    Attributes:
        objects: Bodies by key.
        broken: The broken promises that a reader could have seen, each with the key.
    """

    def __init__(self, at: Callable[[str], None] = lambda _: None, now: Callable[[], float] = lambda: 0.0) -> None:
        self.objects: dict[str, bytes] = {}
        self.broken: list[str] = []
        self._promised: dict[str, str] = {}
        self._now = now
        self._written: dict[str, float] = {}
        self._at = at
        self._lock = threading.RLock()

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803, ARG002 - AWS's names
        self._at(f"before get {Key}")
        with self._lock:
            if Key not in self.objects:
                raise _error("NoSuchKey", "GetObject")
            body = self.objects[Key]
            written = datetime.fromtimestamp(self._written.get(Key, 0.0), UTC)
        self._at(f"after get {Key}")
        return {"Body": io.BytesIO(body), "ETag": _etag(body), "LastModified": written}

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803, ARG002 - AWS's names
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        ContentType: str = "",  # noqa: N803, ARG002
        IfMatch: str | None = None,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        self._at(f"before put {Key}")
        with self._lock:
            there = self.objects.get(Key)
            if IfMatch is not None and there is None:
                raise _error("NoSuchKey", "PutObject")
            if (IfMatch is not None and there is not None and _etag(there) != IfMatch) or (IfNoneMatch and there):
                raise _error("PreconditionFailed", "PutObject")
            self.objects[Key] = body = bytes(Body)
            self._written[Key] = self._now()
            self._watch(Key, there)
        self._at(f"after put {Key}")
        return {"ETag": _etag(body)}

    def delete_object(self, *, Bucket: str, Key: str, IfMatch: str = "") -> dict[str, Any]:  # noqa: N803, ARG002
        self._at(f"before delete {Key}")
        with self._lock:
            if IfMatch and (Key not in self.objects or _etag(self.objects[Key]) != IfMatch):
                raise _error("PreconditionFailed", "DeleteObject")
            there = self.objects.pop(Key, None)
            self._watch(Key, there)
        self._at(f"after delete {Key}")
        return {}

    def get_paginator(self, name: str) -> MemoryBucket:
        assert name == "list_objects_v2"
        return self

    def paginate(
        self,
        *,
        Bucket: str,  # noqa: N803, ARG002 - AWS's names
        Prefix: str,  # noqa: N803
        Delimiter: str = "",  # noqa: N803
    ) -> Iterator[dict[str, Any]]:
        self._at(f"before list {Prefix}")
        if Delimiter:
            names = (key[len(Prefix) :].partition(Delimiter) for key in sorted(self.objects) if key.startswith(Prefix))
            folders = dict.fromkeys(Prefix + name + slash for name, slash, _ in names if slash)
            yield {"CommonPrefixes": [{"Prefix": folder} for folder in folders]}
            return
        keys = sorted(key for key in self.objects if key.startswith(Prefix))
        for start in range(0, max(1, len(keys)), PAGE_KEYS):
            page = [
                {"Key": key, "LastModified": datetime.fromtimestamp(self._written.get(key, 0.0), UTC)}
                for key in keys[start : start + PAGE_KEYS]
            ]
            yield {"KeyCount": len(page), **({"Contents": page} if page else {})}
        self._at(f"after list {Prefix}")

    def json(self, key: str) -> Any:
        """Return the JSON value of an object, `None` if there is none."""
        return json.loads(self.objects[key]) if key in self.objects else None

    def manifests(self) -> list[dict[str, Any]]:
        """Return every manifest, in order of key."""
        return [json.loads(self.objects[key]) for key in sorted(self.objects) if key.startswith("manifests/")]

    def landed(self) -> list[Landed]:
        """Return every record of every manifest, as a reader finds them."""
        found = []
        for manifest in self.manifests():
            for part in manifest["parts"]:
                for line in gzip.decompress(self.objects[part["key"]]).splitlines():
                    record = json.loads(line)
                    found.append(
                        Landed(manifest["run_id"], manifest["language"], record["id"], record["updatedAt"], line)
                    )
        return found

    def tombstones(self) -> list[dict[str, Any]]:
        """Return every tombstone of every manifest."""
        found = []
        for manifest in self.manifests():
            for part in manifest["deleted"]:
                found += [json.loads(line) for line in gzip.decompress(self.objects[part["key"]]).splitlines()]
        return found

    def _watch(self, key: str, before: bytes | None) -> None:
        after = self.objects.get(key)
        if key.startswith("manifests/"):
            if before is not None and before != after:
                self.broken.append(f"{key}: a manifest changed")
            if after is not None:
                self._promise(json.loads(after))
        elif key in self._promised and (after is None or _sha256(after) != self._promised[key]):
            self.broken.append(f"{key}: changed after its manifest")

    def _promise(self, manifest: dict[str, Any]) -> None:
        for part in (*manifest["parts"], *manifest["deleted"], *manifest["rejected"]):
            body = self.objects.get(part["key"])
            self._promised[part["key"]] = part["sha256"]
            if body is None:
                self.broken.append(f"{part['key']}: missing")
            elif (len(body), _sha256(body)) != (part["bytes"], part["sha256"]):
                self.broken.append(f"{part['key']}: other bytes than its manifest says")
            elif len(gzip.decompress(body).splitlines()) != part["records"]:
                self.broken.append(f"{part['key']}: other records than its manifest says")


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'  # noqa: S324 - what S3 does


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)
