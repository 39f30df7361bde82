"""A folder or bucket of stored runs, made without a shop."""

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from connector.storage_keys import Kind, RunPlace

Put = Callable[[str, bytes], None]


def into(folder: Path) -> Put:
    """Return a function that stores an object as a file."""

    def put(key: str, body: bytes) -> None:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    return put


def store_run(
    put: Put,
    run_id: str,
    started: str,
    records: Sequence[object] = (),
    *,
    entity: str = "orders",
    connection: str = "default",
    language: str = "nl",
    deleted: Sequence[object] = (),
    finished: bool = True,
    **more: object,
) -> str:
    """Store a run of one part for each kind and return the key of its manifest.

    A record is stored as JSON, or as it is if it is text.
    """
    place = RunPlace(connection, entity, language, started[:10], run_id)

    def parts(kind: Kind, rows: Sequence[object]) -> list[dict[str, Any]]:
        if not rows:
            return []
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        # members of their own, as the connector writes them
        body = b"".join(gzip.compress(f"{line}\n".encode(), 1, mtime=0) for line in lines[:2])
        body += gzip.compress("".join(f"{line}\n" for line in lines[2:]).encode(), 1, mtime=0)
        sha256 = hashlib.sha256(body).hexdigest()
        key = place.part(kind, 0, sha256)
        put(key, body)
        return [{"key": key, "records": len(rows), "bytes": len(body), "sha256": sha256}]

    manifest = {
        "run_id": run_id,
        "connection": connection,
        "entity": entity,
        "language": language,
        "request": {"entity": entity},
        "started": started,
        "window": None,
        "records": len(records) + len(deleted),
        "parts": parts("raw", records),
        "deleted": parts("deleted", deleted),
        "rejected": [],
        "count": {"before": None, "after": None},
        "verified": True,
        "reason": None,
        **more,
    }
    if finished:
        put(place.manifest, json.dumps(manifest, separators=(",", ":")).encode() + b"\n")
    return place.manifest
