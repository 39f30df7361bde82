"""What can go wrong on the AWS side before the shop is asked, and the form of a problem over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ConnectorError(Exception):
    """Base of every error of this package."""


class _Mistakes(ConnectorError):
    """Several things are wrong.

    Attributes:
        errors: One sentence a mistake, saying what was wrong and what would be right.
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
    """A transformer is wrong, or what it returned is.

    Attributes:
        message: What is wrong.
        reason: The same, with the position.
        expression: The JSONata expression.
        position: Characters from its start, or -1 where the engine does not know.
    """

    def __init__(self, message: str, *, expression: str, position: int = -1) -> None:
        self.expression = expression
        self.position = position
        self.message = message
        self.reason = f"{message} at position {position}" if position >= 0 else message
        super().__init__(f"{self.reason} in the transformer {expression!r:.100}")


class UnknownConnection(ConnectorError):
    """No secret of this name exists.

    Attributes:
        name: The connection's name.
    """

    def __init__(self, name: str, secret_id: str) -> None:
        self.name = name
        super().__init__(f"unknown connection {name!r:.100}: there is no secret {secret_id!r:.100}")


class UnknownRun(ConnectorError):
    """No run of this id is known."""


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
    """The invocation's time is used up; what was not begun is handed back."""


def problem_members(status: int, kind: str, detail: str) -> dict[str, Any]:
    """Return the members of an `application/problem+json`; `kind` is the last part of its type."""
    title = kind.replace("-", " ").capitalize().replace("Aws", "AWS")
    return {"type": f"urn:lightspeed-connector:problem:{kind}", "title": title, "status": status, "detail": detail}
