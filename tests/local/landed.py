"""The objects in the bundle's bucket: copies them to a folder, reads them, and draws their tree."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.local.stack import Stack


def download(stack: Stack, folder: Path) -> dict[str, int]:
    """Copy the bucket's objects into a folder; return their sizes by key."""
    s3, bucket = stack.client("s3"), stack.outputs["Bucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    objects = {row["Key"]: row["Size"] for page in pages for row in page.get("Contents", ())}
    for key in objects:
        target = folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(target))
    return objects


def read(stack: Stack, key: str) -> list[Any]:
    """Return the records of an object: the lines of a gzipped object, else its one JSON value."""
    body = stack.client("s3").get_object(Bucket=stack.outputs["Bucket"], Key=key)["Body"].read()
    return (
        [json.loads(line) for line in gzip.decompress(body).splitlines()] if key.endswith(".gz") else [json.loads(body)]
    )


def keys(stack: Stack, prefix: str) -> list[str]:
    """Return the keys below a prefix, in order."""
    pages = stack.client("s3").get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=stack.outputs["Bucket"], Prefix=prefix)
    return [row["Key"] for page in found for row in page.get("Contents", ())]


def exists(stack: Stack, key: str) -> bool:
    """Return whether an object has this key."""
    found = stack.client("s3").list_objects_v2(Bucket=stack.outputs["Bucket"], Prefix=key)
    return any(row["Key"] == key for row in found.get("Contents", ()))


def tree(objects: Mapping[str, int]) -> list[str]:
    """Return keys as a tree with the size of each object. A folder with a single folder shares its line."""
    root: dict[str, Any] = {}
    for key, size in objects.items():
        *folders, name = key.split("/")
        place = root
        for folder in folders:
            place = place.setdefault(f"{folder}/", {})
        place[name] = size
    return _lines(root, "")


def _lines(place: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for name, found in sorted(place.items()):
        path, inside = name, found
        while isinstance(inside, dict) and len(inside) == 1 and isinstance(next(iter(inside.values())), dict):
            ((folder, inside),) = inside.items()
            path += folder
        if isinstance(inside, dict):
            lines += [indent + path, *_lines(inside, f"{indent}  ")]
        else:
            lines.append(f"{indent + path:<60}{inside:>9,} B")
    return lines
