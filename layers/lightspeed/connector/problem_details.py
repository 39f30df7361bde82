"""Errors as `application/problem+json`: one table from error type to HTTP status, nothing else decides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from connector import errors as own
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
    own.TransformError: (400, "transformer-failed"),
    own.UnknownConnection: (404, "unknown-connection"),
    own.UnknownRun: (404, "unknown-run"),
    own.RunInProgress: (409, "run-in-progress"),
    own.IdempotencyConflict: (409, "idempotency-conflict"),
    own.OutOfTime: (503, "out-of-time"),
    own.SettingsError: (500, "misconfigured"),
    own.ConnectorError: (500, "failed"),
}
"""HTTP status and problem type by error; an error takes the row of its nearest class."""

HINTS: Mapping[type[Exception], str] = {
    shop.AuthenticationError: "The shop's cluster does not accept this key and secret: check both, and whether "
    "the shop lives on the other cluster (eu1 or us1).",
    shop.NotSent: "Check cluster or base_url of the connection.",
    shop.UnknownLanguage: "Check the language of the connection or the event: the shop does not have it, or it is "
    "inactive there.",
}


def problem(error: Exception) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return status, headers and body of the problem that an error means.

    Args:
        error: Of the `lightspeed` or `connector` tree; any other is a bug and should not come here.
    """
    status, name = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    if (isinstance(error, shop.AnswerLost) and error.timed_out) or getattr(error, "status", None) == 504:
        status = 504
    hint = next((HINTS[kind] for kind in type(error).__mro__ if kind in HINTS), "")
    body: dict[str, Any] = {
        "type": f"urn:lightspeed-connector:problem:{name}",
        "title": name.replace("-", " ").capitalize(),
        "status": status,
        "detail": f"{error} {hint}".rstrip(),
    }
    for fact in ("entity", "operation", "nearest", "supported", "errors"):
        value = getattr(error, fact, None)
        if value:
            body[fact] = list(value) if isinstance(value, tuple) else value
    headers = {"Content-Type": "application/problem+json"}
    if isinstance(error, shop.RateLimited):
        headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    return status, headers, body
