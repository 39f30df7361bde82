"""Records that cannot be transformed: the line that is stored for each, and how many fail a run."""

from __future__ import annotations

import msgspec

from connector.errors import TransformError
from lightspeed.numbers import loads

REJECTED_SHARE = 0.1
"""The default share of a run's records that may be rejected, 0 to 1."""

_FIRST_CHECK = 1000
"""So many records are read before an unfinished run can fail."""


def rejected_line(text: bytes, error: TransformError) -> bytes:
    """Return the line of a rejected record: the record (text if it is no JSON), `error`, `expression`, `position`."""
    facts = {"error": str(error), "expression": error.expression, "position": error.position}
    try:
        loads(text)
        record: object = msgspec.Raw(b" ".join(text.split(b"\n")))
    except (ValueError, RecursionError):
        record = text.decode(errors="backslashreplace")
    try:
        return msgspec.json.encode({"record": record, **facts})
    except UnicodeEncodeError:
        return msgspec.json.encode({"record": record, **{key: ascii(fact) for key, fact in facts.items()}})


class TooManyRejected(TransformError):
    """A run rejected more records than it may. The message holds one of the reasons."""


def check_rejected(
    seen: int, rejected: int, *, share: float = REJECTED_SHARE, first: TransformError | None = None, final: bool
) -> None:
    """Fail a run that rejects too many records.

    One rejected record among others never fails a run, unless the share is 0. A run whose records are all rejected
    always fails.

    Args:
        seen: Records that the transformer got so far.
        rejected: Records that it rejected.
        share: The share that may be rejected, 0 to 1.
        first: One of the errors, for the message.
        final: Whether the run is at its end. Before, a run fails from 1,000 records on.

    Raises:
        TooManyRejected: The run rejects more.
    """
    if not rejected or (not final and seen < _FIRST_CHECK):
        return
    if rejected < seen and (rejected <= share * seen or (rejected == 1 and share > 0)):
        return
    why = f"; one of them: {first.message}" if first is not None else ""
    which = f"{rejected} of {seen} records were rejected where {share:.0%} may be"
    message = "every record was rejected" if rejected == seen else which
    raise TooManyRejected(
        message + why, expression=first.expression if first else "", position=first.position if first else -1
    )
