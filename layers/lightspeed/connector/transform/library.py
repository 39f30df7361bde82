"""Saved transformers and lookup tables: `config/transformers/<name>.jsonata` and `config/tables/<name>.json` in S3."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, cast

from connector.aws import botocore_errors
from lightspeed.numbers import loads

TRANSFORMER_BYTES = 64 * 1024
TABLE_BYTES = 5 * 1024 * 1024
_MAX_CACHED = 16
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}){0,4}")
_Content = TypeVar("_Content")
_REFERENCE = re.compile(r"s3:config/transformers/(.*)\.jsonata", re.DOTALL)


class NotFoundInLibrary(ValueError):
    """The library has no such saved transformer or table, or cannot read it. The message names it and the reason."""


class Library(Protocol):
    """Reads saved transformers and tables."""

    def transformer(self, name: str) -> str:
        """Return the text of a saved transformer.

        Raises:
            NotFoundInLibrary: No transformer has this name, or it is too large.
        """

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table.

        Raises:
            NotFoundInLibrary: No table has this name, it is too large, or it is no JSON object.
        """


class EmptyLibrary:
    """The library of a caller that has no bucket."""

    def transformer(self, name: str) -> str:
        """Raise `NotFoundInLibrary`."""
        raise NotFoundInLibrary(f"there is no saved transformer {name!r:.100}: no bucket is at hand")

    def table(self, name: str) -> Mapping[str, Any]:
        """Raise `NotFoundInLibrary`."""
        raise NotFoundInLibrary(f"there is no table {name!r:.100}: no bucket is at hand")


class S3Library:
    """The library in a bucket. It asks S3 for a cached object by its ETag, so a change takes effect at once.

    Args:
        client: The S3 client.
        bucket: The bucket's name.
    """

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._cache: OrderedDict[str, tuple[str, Any]] = OrderedDict()

    def transformer(self, name: str) -> str:
        """Return the text of a saved transformer; see `Library`."""
        check_name(name, "saved transformer")
        subject, key = f"saved transformer {name!r:.100}", f"config/transformers/{name}.jsonata"
        return self._read(subject, key, TRANSFORMER_BYTES, lambda body: body.decode("utf-8-sig"))

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table; see `Library`."""
        check_name(name, "table")
        return self._read(f"table {name!r:.100}", f"config/tables/{name}.json", TABLE_BYTES, parse_table)

    def _read(self, subject: str, key: str, max_bytes: int, parse: Callable[[bytes], _Content]) -> _Content:
        etag, content = self._cache.get(key, ("", None))
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key, **({"IfNoneMatch": etag} if etag else {}))
        except botocore_errors.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("304", "NotModified"):
                self._cache.move_to_end(key)
                return cast(_Content, content)
            if code in ("NoSuchKey", "404"):
                self._cache.pop(key, None)
                raise NotFoundInLibrary(f"there is no {subject}: {key} does not exist in the bucket") from None
            raise
        size = answer["ContentLength"]
        if size > max_bytes:
            raise NotFoundInLibrary(f"the {subject} is too large: {size:,} bytes where {max_bytes:,} are allowed")
        try:
            content = parse(answer["Body"].read())
        except (ValueError, RecursionError) as error:
            raise NotFoundInLibrary(f"the {subject} cannot be read: {error}") from None
        self._cache[key] = (answer["ETag"], content)
        while len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)
        return content


def parse_table(text: bytes | str) -> Mapping[str, Any]:
    """Parse a table. A byte order mark before it is ignored.

    Raises:
        ValueError: The text is no JSON object.
    """
    table = loads(text if isinstance(text, str) else text.decode("utf-8-sig"))
    if not isinstance(table, dict):
        raise ValueError('a table is a JSON object such as {"1": "standard"}')
    return table


def check_name(name: str, kind: str) -> None:
    """Check a name: letters, digits and . _ - in one to five parts, with / between them.

    Raises:
        NotFoundInLibrary: The name has another form.
    """
    if not _NAME.fullmatch(name):
        raise NotFoundInLibrary(f"the name of a {kind} holds letters, digits and . _ - /, not {name!r:.60}")


def name_in_reference(reference: object) -> str:
    """Return the name in `s3:config/transformers/<name>.jsonata`.

    Raises:
        NotFoundInLibrary: The reference has another form.
    """
    found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if found is None:
        raise NotFoundInLibrary(
            f'a saved transformer is {{"$ref": "s3:config/transformers/<name>.jsonata"}}, not {reference!r:.80}'
        )
    check_name(found.group(1), "saved transformer")
    return found.group(1)
