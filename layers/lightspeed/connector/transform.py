"""JSONata transformers: bounded in time and depth, with errors that name the expression and the position."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence

from jsonata import JException, Jsonata

from connector.errors import TransformError
from lightspeed import Parameters

TIME_LIMIT_MILLISECONDS = 1000
DEPTH_LIMIT = 200

Transformers = Sequence[str]
"""Expressions that are applied in order, each to what the one before returned."""


def transformers(given: str | Sequence[str] | None) -> Transformers:
    """Return one expression or a list of them as a list, parsed, so that a mistake shows before anything is sent.

    Raises:
        TransformError: An expression cannot be parsed.
    """
    expressions = [given] if isinstance(given, str) else list(given or ())
    for expression in expressions:
        _parsed(expression)
    return expressions


def apply(expression: str, document: object) -> object:
    """Evaluate one expression; `None` stands for both `null` and nothing.

    Raises:
        TransformError: The expression is wrong, fails, or takes longer or goes deeper than is allowed.
    """
    parsed = _parsed(expression)
    try:
        return parsed.evaluate(document)
    except JException as error:
        raise _error(error, expression) from error
    except RecursionError as error:
        raise TransformError("goes too deep", expression=expression) from error


def transform_parameters(expressions: Sequence[str], document: Mapping[str, object]) -> list[Parameters]:
    """Apply transformers to loaded request parameters.

    Args:
        expressions: Applied in order; an array that one returns is taken element by element by the next.
        document: `path`, `query`, `payload` and what else the expressions may see. What an expression returns replaces
            `path`, `query` and `payload`; a key that it leaves out keeps its value.

    Returns:
        One element, or as many as an expression made of it, in order.

    Raises:
        TransformError: An expression fails, or does not return an object or an array of objects.
    """
    documents: list[Mapping[str, object]] = [document]
    for expression in expressions:
        documents = [
            {**before, **_replacement(found, expression, document)}
            for before in documents
            for found in _elements(apply(expression, before))
        ]
    return [
        Parameters(_mapping(d, "path", expressions), _mapping(d, "query", expressions), d["payload"]) for d in documents
    ]


def transform_record(expressions: Sequence[str], text: bytes) -> list[bytes]:
    """Apply transformers to one record's JSON text.

    Returns:
        No text if it was dropped (`null` or nothing), one if it was replaced, several if an array split it.

    Raises:
        TransformError: An expression fails.
    """
    values = [json.loads(text)]
    for expression in expressions:
        values = [element for value in values for element in _elements(apply(expression, value)) if element is not None]
    return [json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() for value in values]


def _elements(found: object) -> list[object]:
    return list(found) if isinstance(found, list) else [found]


def _replacement(found: object, expression: str, document: Mapping[str, object]) -> dict[str, object]:
    if not isinstance(found, Mapping):
        message = f"expected an object with path, query or payload, got {found!r:.80}"
        raise TransformError(message, expression=expression)
    unknown = [key for key in found if key not in document]
    if unknown:
        message = f"returned the unknown key {unknown[0]!r}; path, query and payload are replaced"
        raise TransformError(message, expression=expression)
    return {key: found[key] for key in ("path", "query", "payload") if key in found}


def _mapping(document: Mapping[str, object], key: str, expressions: Sequence[str]) -> Mapping[str, object]:
    value = document[key] if document[key] is not None else {}
    if not isinstance(value, Mapping):
        expression = expressions[-1] if expressions else ""
        raise TransformError(f"{key} must be an object, got {value!r:.80}", expression=expression)
    return value


@functools.lru_cache(maxsize=256)
def _parsed(expression: str) -> Jsonata:
    try:
        return Jsonata(expression, timeout=TIME_LIMIT_MILLISECONDS, stack=DEPTH_LIMIT)
    except JException as error:
        raise _error(error, expression) from error


def _error(error: JException, expression: str) -> TransformError:
    return TransformError(str(error).rstrip("."), expression=expression, position=error.location)
