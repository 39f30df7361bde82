"""Errors of the connector, and the members of an HTTP problem. Errors of the shop are in `lightspeed.errors`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ConnectorError(Exception):
    """Base of every error of this package."""


class _Mistakes(ConnectorError):
    """One or more mistakes of the caller.

    Attributes:
        errors: A sentence for each mistake. It says what is wrong and what would be right.
    """

    def __init__(self, errors: Sequence[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(errors))


class SettingsError(_Mistakes):
    """The function's environment is wrong; each sentence names a variable."""


class AwsUnavailable(ConnectorError):
    """AWS throttles, breaks connections or is in trouble otherwise. The same call may succeed later."""


class RequestError(_Mistakes):
    """The event is malformed: an unknown key, a missing one, a wrong type, a cursor of another request."""


class RunConflict(RequestError):
    """The event's run id was used before for another request."""


class TransformError(ConnectorError):
    """A transformer is wrong, fails, or returns a wrong value.

    Attributes:
        message: The mistake.
        reason: The mistake and the position.
        expression: The JSONata expression.
        position: Characters from its start, or -1 if unknown.
    """

    def __init__(self, message: str, *, expression: str, position: int = -1) -> None:
        self.expression = expression
        self.position = position
        self.message = message
        self.reason = f"{message} at position {position}" if position >= 0 else message
        super().__init__(f"{self.reason} in the transformer {expression!r:.100}")


class UnknownConnection(ConnectorError):
    """No secret has the name of the connection.

    Attributes:
        name: The connection's name.
    """

    def __init__(self, name: str, secret_id: str) -> None:
        self.name = name
        super().__init__(f"unknown connection {name!r:.100}: there is no secret {secret_id!r:.100}")


class UnknownRun(ConnectorError):
    """No run has this id."""


class RunInProgress(ConnectorError):
    """Another run of the same subscription is under way.

    Attributes:
        run_id: The id of that run.
    """

    def __init__(self, subscription: str, run_id: str, until: str) -> None:
        self.run_id = run_id
        super().__init__(
            f"run {run_id} of subscription {subscription!r:.100} is under way, and is waited for until {until}"
        )


class IdempotencyConflict(ConnectorError):
    """The idempotency key was used before with other content, or its first call is still running."""


class OutOfTime(ConnectorError):
    """The invocation has too little time left for a write. Nothing was sent, so the caller may try again."""


def problem_members(status: int, kind: str, detail: str) -> dict[str, Any]:
    """Return the members of an `application/problem+json`; `kind` is the last part of its type."""
    title = kind.replace("-", " ").capitalize().replace("Aws", "AWS")
    return {"type": f"urn:lightspeed-connector:problem:{kind}", "title": title, "status": status, "detail": detail}
