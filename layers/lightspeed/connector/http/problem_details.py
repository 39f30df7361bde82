"""Errors as `application/problem+json`: one table maps error types to HTTP statuses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from connector import errors as own
from connector.aws.errors import is_temporary, reason
from lightspeed import errors as shop

STATUSES: Mapping[type[Exception], tuple[int, str]] = {
    shop.UnknownEntity: (404, "unknown-entity"),
    shop.UnsupportedOperation: (400, "unsupported-operation"),
    shop.InvalidParameters: (400, "invalid-parameters"),
    shop.CatalogueError: (400, "invalid-request"),
    shop.InvalidConnection: (422, "invalid-connection"),
    shop.NotSent: (502, "shop-unreachable"),
    shop.AnswerLost: (502, "answer-lost"),
    shop.TransportError: (502, "no-answer"),
    shop.BrokenResponse: (502, "unexpected-answer"),
    shop.ResponseTooLarge: (502, "answer-too-large"),
    shop.UnexpectedResponse: (502, "unexpected-answer"),
    shop.AuthenticationError: (422, "wrong-credentials"),
    shop.PermissionDenied: (422, "permission-denied"),
    shop.UnknownLanguage: (422, "unknown-language"),
    shop.NotFound: (404, "not-found"),
    shop.RateLimited: (429, "quota-used-up"),
    shop.InvalidRequest: (422, "refused-by-shop"),
    shop.ServerError: (502, "shop-failed"),
    shop.ApiError: (422, "refused-by-shop"),
    shop.LightspeedError: (502, "shop-failed"),
    own.RequestError: (400, "malformed-request"),
    own.RunConflict: (409, "run-conflict"),
    own.TransformError: (400, "transformer-failed"),
    own.UnknownConnection: (404, "unknown-connection"),
    own.UnknownRun: (404, "unknown-run"),
    own.RunInProgress: (409, "run-in-progress"),
    own.IdempotencyConflict: (409, "idempotency-conflict"),
    own.AwsUnavailable: (503, "aws-unavailable"),
    own.OutOfTime: (503, "out-of-time"),
    own.SettingsError: (500, "misconfigured"),
    own.ConnectorError: (500, "failed"),
}
"""HTTP status and problem type by error class. An error has the row of its nearest class."""

HINTS: Mapping[type[Exception], str] = {
    shop.AuthenticationError: "The shop's cluster does not accept this key and secret: check both, and whether "
    "the shop lives on the other cluster (eu1 or us1).",
    shop.NotSent: "Check cluster or base_url of the connection.",
    shop.UnknownLanguage: "Check the language of the connection or the event: the shop does not have it, or it is "
    "inactive there.",
}

_SOON = {"Retry-After": "5"}
_MAX_TEXT = 2_000
"""The most characters of a text in a problem. A message cuts each quote, but may have many."""


class HttpProblem(own.ConnectorError):
    """A problem of the HTTP call itself. Direct invocations never raise it.

    Attributes:
        status: The HTTP status.
        kind: The last part of the problem's type.
        headers: Headers of the answer, such as `Allow`.
        facts: Further members of the problem.
    """

    def __init__(
        self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None, **facts: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})
        self.facts = facts


def problem(error: Exception) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return status, headers and body of an error's problem.

    Args:
        error: An error of the package `lightspeed` or `connector`, or of an AWS call.
    """
    found = error if isinstance(error, HttpProblem) else _http_problem(error)
    body = own.problem_members(found.status, found.kind, str(found)) | found.facts
    return found.status, {"Content-Type": "application/problem+json"} | found.headers, body


def _http_problem(error: Exception) -> HttpProblem:
    if not isinstance(error, shop.LightspeedError | own.ConnectorError):  # of AWS
        if is_temporary(error):
            return HttpProblem(503, "aws-unavailable", f"{reason(error)}: AWS is in trouble; try again", _SOON)
        return HttpProblem(500, "aws-refused", f"{reason(error)}: check the functions' environment and roles")
    status, kind = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    if (isinstance(error, shop.AnswerLost) and error.timed_out) or getattr(error, "status", None) == 504:
        status = 504
    hint = next((HINTS[kind] for kind in type(error).__mro__ if kind in HINTS), "")
    facts = {}
    for name in ("entity", "operation", "nearest", "supported", "errors"):
        value = getattr(error, name, None)
        if value:
            facts[name] = [_cut(one) for one in value] if isinstance(value, tuple) else value[:100]
    headers = _SOON if status == 503 else {}
    seconds = getattr(error, "retry_after_seconds", None)
    if seconds is not None:
        headers = {"Retry-After": str(math.ceil(seconds))}
    return HttpProblem(status, kind, f"{_cut(str(error))} {hint}".rstrip(), headers, **facts)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
