"""The errors between a caller and the shop, as one tree.

A class exists only if a caller acts differently on it. Every error carries its facts as attributes. No message and no
attribute holds a credential.

```
LightspeedError
├── CatalogueError            refused before any request
│   ├── UnknownEntity         no such entity; lists the nearest names
│   ├── UnsupportedOperation  the entity lacks the operation; lists its operations and an alternative
│   └── InvalidParameters     path, query or payload are wrong; lists every mistake
├── InvalidConnection         the connection's settings are wrong; lists every mistake
├── TransportError            no complete answer
│   ├── NotSent               the request did not arrive (refused, unknown host)
│   └── AnswerLost            the request may have arrived (timeout, dropped or cut answer)
├── UnexpectedResponse        answered, but not as this API answers
│   ├── BrokenResponse        not the shop's words: cut, empty, a page of HTML; trying again may help
│   └── ResponseTooLarge      the body is over the limit; a smaller page may help
└── ApiError                  answered with an error: status and the shop's own message
    ├── AuthenticationError   401
    ├── PermissionDenied      403
    ├── NotFound              404, 410
    │   └── UnknownLanguage   404 for the language segment
    ├── InvalidRequest        every other 4xx
    ├── RateLimited           429, with the seconds to wait
    └── ServerError           5xx
```
"""

from __future__ import annotations

from collections.abc import Sequence


class LightspeedError(Exception):
    """Base of every error of this package."""


class CatalogueError(LightspeedError):
    """The request cannot be built; nothing was sent."""

    entity: str


class UnknownEntity(CatalogueError):
    """No entity has this name.

    Attributes:
        entity: The name as given.
        nearest: Up to three catalogue names that look like it, best first; may be empty.
    """

    def __init__(self, entity: str, nearest: Sequence[str] = (), hint: str = "") -> None:
        self.entity = entity
        self.nearest = tuple(nearest)
        advice = hint or (f"Did you mean {_join_or(nearest)}?" if nearest else "The catalogue lists them all.")
        super().__init__(f"unknown entity {entity!r:.100}. {advice}")


class UnsupportedOperation(CatalogueError):
    """The entity exists, the operation on it does not.

    Attributes:
        entity: The catalogue name.
        operation: The operation asked for.
        supported: The operations that the entity has.
        instead: Advice on what to do instead, or empty.
    """

    def __init__(self, entity: str, operation: str, supported: Sequence[str], instead: str = "") -> None:
        self.entity = entity
        self.operation = operation
        self.supported = tuple(supported)
        self.instead = instead
        message = f"{entity} has no {operation}; it has: {', '.join(supported)}."
        super().__init__(f"{message} {instead}".rstrip())


class InvalidParameters(CatalogueError):
    """Path, query or payload do not fit the operation, or a natural key names no single record.

    Attributes:
        entity: The catalogue name.
        operation: The operation asked for.
        errors: One sentence for each mistake: what is wrong, and what would be right.
    """

    def __init__(self, entity: str, operation: str, errors: Sequence[str]) -> None:
        self.entity = entity
        self.operation = operation
        self.errors = tuple(errors)
        super().__init__(f"{entity} {operation}: {'; '.join(errors)}")


class InvalidConnection(LightspeedError):
    """The connection's settings are wrong.

    Attributes:
        name: The connection's name.
        errors: One sentence for each mistake; none contains a credential.
    """

    def __init__(self, name: str, errors: Sequence[str]) -> None:
        self.name = name
        self.errors = tuple(errors)
        super().__init__(f"connection {name!r:.100}: {'; '.join(errors)}")


class _RequestError(LightspeedError):
    """An error of one request.

    Attributes:
        method: The HTTP verb.
        path: The path with its language segment, without origin and query.
    """

    def __init__(self, message: str, *, method: str, path: str) -> None:
        self.method = method
        self.path = path
        super().__init__(f"{method} {path}: {message}")


class TransportError(_RequestError):
    """No complete answer came. For reads, updates and deletes it is safe to try again."""


class NotSent(TransportError):
    """The connection could not be made, so the shop did not see the request."""


class AnswerLost(TransportError):
    """The request was sent; the answer did not come or was cut. The shop may have acted on it.

    Attributes:
        timed_out: Whether the shop was too slow, rather than the connection broken.
    """

    def __init__(self, message: str, *, method: str, path: str, timed_out: bool = False) -> None:
        self.timed_out = timed_out
        super().__init__(message, method=method, path=path)


class UnexpectedResponse(_RequestError):
    """A complete answer that this API does not send: a redirect, no JSON, an unknown envelope.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, *, method: str, path: str, status: int) -> None:
        self.status = status
        super().__init__(message, method=method, path=path)


class BrokenResponse(UnexpectedResponse):
    """Not the shop's own words: no JSON, or a 404 that contradicts what the shop listed. Trying again may help.

    Causes are a cut or empty body, or a proxy's page of HTML.
    """


class ResponseTooLarge(UnexpectedResponse):
    """The body has more bytes or values than the limit. Fewer rows per page may help."""


class ApiError(_RequestError):
    """The shop answered with an error.

    Attributes:
        status: The HTTP status; for an error inside a 2xx answer, the code in the body.
        http_status: The HTTP status, also for an error inside a 2xx answer.
        message: The shop's own message, or the first words of a body that is not the error envelope.
    """

    def __init__(self, message: str, *, method: str, path: str, status: int, http_status: int | None = None) -> None:
        self.status = status
        self.http_status = status if http_status is None else http_status
        self.message = message
        super().__init__(f"{status} {message}", method=method, path=path)


class AuthenticationError(ApiError):
    """401: key or secret are wrong for this shop, or the shop is on the other cluster."""


class PermissionDenied(ApiError):
    """403: the key lacks the permission group that this entity needs."""


class NotFound(ApiError):
    """404 or 410 in the shop's own words: no such record, or no such path.

    Also for a 2xx answer that holds this error, or `false` in place of a record. Only `http_status` 404 proves a
    deletion.
    """


class UnknownLanguage(NotFound):
    """404 for the language segment: the shop does not have this language, or it is inactive."""


class InvalidRequest(ApiError):
    """The shop refuses the request: 400, 405, 409, 422 and every other 4xx. Sending it again changes nothing."""


class RateLimited(ApiError):
    """429: a quota window is used up, or more than 20 requests came within a second.

    Attributes:
        retry_after_seconds: How long the shop asks to wait, in seconds, at least 1.
    """

    def __init__(self, message: str, *, method: str, path: str, status: int = 429, retry_after_seconds: float) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message, method=method, path=path, status=status)


class ServerError(ApiError):
    """5xx: the shop failed; trying again later may work."""


TRANSIENT_ERRORS = (TransportError, BrokenResponse, RateLimited, ServerError)
"""Errors after which the same request may succeed later."""


def _join_or(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
