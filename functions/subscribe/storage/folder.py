"""A folder in place of the bucket: the methods of an S3 client that runs use, with the same conditional writes.

An object is a file at the path of its key, so `aws s3 sync` copies the folder to a bucket. The ETag is the MD5 of the
content, as in S3. A write holds the folder's lock, writes another file and renames it. So a reader finds the old or the
new content, and a killed writer leaves the old.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

OWN = ".local"
"""The subfolder for the lock and the unfinished file. It holds no object and need not be copied."""

PAGE_KEYS = 1_000


class FolderS3:
    """One bucket in a folder. Its methods have the names, arguments and errors of the S3 client.

    Args:
        folder: The folder; it is made if it does not exist.

    Raises:
        OSError: The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / OWN
        self._own.mkdir(parents=True, exist_ok=True)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803, ARG002 - AWS's names
        """Return an object's `Body`, `ETag` and `LastModified`.

        Raises:
            ClientError: `NoSuchKey`.
        """
        body = self._read(Key)
        if body is None:
            raise _error("NoSuchKey", "GetObject")
        return {"Body": io.BytesIO(body), "ETag": _etag(body), "LastModified": self._written(Key)}

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803, ARG002 - AWS's names
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        ContentType: str = "",  # noqa: N803, ARG002 - a file has none
        IfMatch: str | None = None,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        """Write an object and return its `ETag`.

        Raises:
            ClientError: `PreconditionFailed`, or `NoSuchKey` for `IfMatch` without an object.
        """
        with self._locked():
            present = self._read(Key) if IfMatch is not None or IfNoneMatch is not None else None
            if IfMatch is not None and present is None:
                raise _error("NoSuchKey", "PutObject")
            if present is not None and (IfNoneMatch is not None or _etag(present) != IfMatch):
                raise _error("PreconditionFailed", "PutObject")
            self._write(Key, Body)
        return {"ETag": _etag(Body)}

    def delete_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803, ARG002 - AWS's names
        """Delete an object if it exists."""
        with self._locked():
            self._path(Key).unlink(missing_ok=True)
        return {}

    def get_paginator(self, name: str) -> FolderS3:
        """Return the paginator of `list_objects_v2`; a folder has no other."""
        if name != "list_objects_v2":
            raise ValueError(f"a folder has no {name}")
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803, ARG002 - AWS's names
        """Yield pages of keys with `LastModified`, in the order of the keys."""
        keys = sorted(self._keys(Prefix), key=str.encode)
        for start in range(0, max(1, len(keys)), PAGE_KEYS):
            page = [{"Key": key, "LastModified": self._written(key)} for key in keys[start : start + PAGE_KEYS]]
            yield {"KeyCount": len(page), **({"Contents": page} if page else {})}

    def _keys(self, prefix: str) -> Iterator[str]:
        for at, folders, names in os.walk(self._folder / prefix.rpartition("/")[0]):
            if Path(at) == self._folder:
                folders[:] = [name for name in folders if name != OWN]
            for name in names:
                key = (Path(at) / name).relative_to(self._folder).as_posix()
                if key.startswith(prefix):
                    yield key

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if parts[0] == OWN or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"a folder has no place for the key {key!r:.100}")
        return self._folder.joinpath(*parts)

    def _written(self, key: str) -> datetime:
        return datetime.fromtimestamp(self._path(key).stat().st_mtime, UTC)

    def _read(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def _write(self, key: str, body: bytes) -> None:
        """Write a file as a whole. The caller holds the lock, so there is at most one unfinished file."""
        path, unfinished = self._path(key), self._own / "unfinished"
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's lock; the system frees it also if the process is killed."""
        with (self._own / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, operation)
