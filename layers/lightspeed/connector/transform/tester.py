"""Tries a transformer on one input, step by step, for the command line and for `POST /transform`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from connector.errors import RequestError, TransformError
from connector.transform.context import Scope, TransformerSpec
from connector.transform.engine.limits import Limits
from connector.transform.engine.values import dumps
from connector.transform.library import Library
from connector.transform.transformer import Transformers
from lightspeed import SystemClock

KINDS = ("record", "parameters")
SCOPE = ("connection", "entity", "language", "bookmark", "now")
"""The fields of `Scope` that a caller may give."""


def steps_of(
    spec: TransformerSpec, value: object, *, kind: str, scope: Mapping[str, Any], library: Library | None
) -> Iterator[dict[str, Any]]:
    """Yield `expression` and `output` of each step. An output is an array of records or of parameters.

    Args:
        spec: The transformer, as in an event.
        value: A record, or an object of parameters. Such an object may also hold keys of the scope, which come first.
        kind: `record` or `parameters`.
        scope: A value for each name of `SCOPE`.
        library: The library of saved transformers and tables.

    Raises:
        RequestError: The kind, the input or the time is wrong.
        TransformError: An expression fails, after the steps before it.
    """
    if kind not in KINDS:
        raise RequestError([f"kind must be record or parameters, not {kind!r:.60}"])
    if not isinstance(value, Mapping):
        raise RequestError([f"input must be a JSON object, not {value!r:.60}"])
    now = scope.get("now") or datetime.fromtimestamp(SystemClock().time(), UTC).isoformat(timespec="seconds")
    try:
        datetime.fromisoformat(now)
    except ValueError:
        raise RequestError([f"now must be a time such as 2026-11-23T06:00:00Z, not {now!r:.60}"]) from None
    transformers = Transformers(spec, library)
    texts: list[list[bytes]] = []
    failed: TransformError | None = None
    try:
        if kind == "parameters":
            document = {"path": {}, "query": {}, "payload": None, **scope, "now": now, **value}
            transformers.parameters(document, steps=texts)
        else:
            known = Scope(scope["connection"], scope["entity"], scope["language"], scope["bookmark"], now)
            transformers.records_or_raise(dumps(value, Limits()), known, texts)
    except TransformError as error:
        failed = error
    for expression, made in zip(transformers.expressions, texts, strict=False):
        yield {"expression": expression, "output": [msgspec.Raw(text) for text in made]}
    if failed is not None:
        raise failed
