"""Saved transformers and lookup tables: `config/transformers/<name>.jsonata` and `config/tables/<name>.json` in S3."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from connector.aws import botocore_errors
from lightspeed.numbers import loads

TRANSFORMER_BYTES = 64 * 1024
TABLE_BYTES = 5 * 1024 * 1024
_MOST_CACHED = 16
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}){0,4}")
_REFERENCE = re.compile(r"s3:config/transformers/(.*)\.jsonata", re.DOTALL)


class NotFoundInLibrary(ValueError):
    """The library has no such saved transformer or table, or cannot read it. The message names it and the reason."""


class Library(Protocol):
    """Where saved transformers and tables come from."""

    def transformer(self, name: str) -> str:
        """Return the text of a saved transformer.

        Raises:
            NotFoundInLibrary: There is none of this name, or it is too large.
        """

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table.

        Raises:
            NotFoundInLibrary: There is none of this name, or it is too large, or no JSON object.
        """


class EmptyLibrary:
    """A library without anything in it, for where there is no bucket."""

    def transformer(self, name: str) -> str:
        """Refuse.

        Raises:
            NotFoundInLibrary: Always.
        """
        raise NotFoundInLibrary(f"there is no saved transformer {name!r:.100}: no bucket is at hand")

    def table(self, name: str) -> Mapping[str, Any]:
        """Refuse.

        Raises:
            NotFoundInLibrary: Always.
        """
        raise NotFoundInLibrary(f"there is no table {name!r:.100}: no bucket is at hand")


class S3Library:
    """The library in a bucket. What was read before is asked for again by its ETag, so a change is seen at once."""

    def __init__(self, client: Any, bucket: str) -> None:
        """Prepare; nothing is read yet.

        Args:
            client: The S3 client.
            bucket: Its name.
        """
        self._client = client
        self._bucket = bucket
        self._cache: OrderedDict[str, tuple[str, Any]] = OrderedDict()

    def transformer(self, name: str) -> str:
        """Return the text of a saved transformer.

        Raises:
            NotFoundInLibrary: There is none of this name, or it is too large.
        """
        checked_name(name, "saved transformer")
        what, key = f"saved transformer {name!r:.100}", f"config/transformers/{name}.jsonata"
        text: str = self._read(what, key, TRANSFORMER_BYTES, lambda body: body.decode("utf-8-sig"))
        return text

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table.

        Raises:
            NotFoundInLibrary: There is none of this name, or it is too large, or no JSON object.
        """
        checked_name(name, "table")
        found: Mapping[str, Any] = self._read(
            f"table {name!r:.100}", f"config/tables/{name}.json", TABLE_BYTES, as_table
        )
        return found

    def _read(self, what: str, key: str, most: int, understand: Any) -> Any:
        etag, content = self._cache.get(key, ("", None))
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=key, **({"IfNoneMatch": etag} if etag else {}))
        except botocore_errors.ClientError as error:
            code = error.response["Error"]["Code"]
            if code in ("304", "NotModified"):
                self._cache.move_to_end(key)
                return content
            if code in ("NoSuchKey", "404"):
                self._cache.pop(key, None)
                raise NotFoundInLibrary(f"there is no {what}: {key} does not exist in the bucket") from None
            raise
        if answer["ContentLength"] > most:
            raise NotFoundInLibrary(
                f"the {what} is too large: {answer['ContentLength']:,} bytes where {most:,} are allowed"
            )
        try:
            content = understand(answer["Body"].read())
        except (ValueError, RecursionError) as error:
            raise NotFoundInLibrary(f"the {what} cannot be read: {error}") from None
        self._cache[key] = (answer["ETag"], content)
        while len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)
        return content


def as_table(text: bytes | str) -> Mapping[str, Any]:
    """Read the text of a table; a byte order mark in front is ignored.

    Raises:
        ValueError: It is no JSON object.
    """
    table = loads(text if isinstance(text, str) else text.decode("utf-8-sig"))
    if not isinstance(table, dict):
        raise ValueError('a table is a JSON object such as {"1": "standard"}')
    return table


def checked_name(name: str, kind: str) -> None:
    """Refuse what cannot be a name.

    Raises:
        NotFoundInLibrary: It is not made of letters, digits and . _ - in up to five parts with / between them.
    """
    if not _NAME.fullmatch(name):
        raise NotFoundInLibrary(f"the name of a {kind} holds letters, digits and . _ - /, not {name!r:.60}")


def referred_name(reference: object) -> str:
    """Return the name in `s3:config/transformers/<name>.jsonata`.

    Raises:
        NotFoundInLibrary: The reference is of another form.
    """
    found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if found is None:
        raise NotFoundInLibrary(
            f'a saved transformer is {{"$ref": "s3:config/transformers/<name>.jsonata"}}, not {reference!r:.80}'
        )
    checked_name(found.group(1), "saved transformer")
    return found.group(1)
