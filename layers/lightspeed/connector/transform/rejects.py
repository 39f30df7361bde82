"""Records that could not be transformed: their line beside the parts, and when they are too many."""

from __future__ import annotations

import msgspec

from connector.errors import TransformError
from lightspeed.numbers import loads

REJECTED_SHARE = 0.1
"""The default share of a run's records that may be rejected before the run fails, 0 to 1."""

_ENOUGH_TO_JUDGE = 1000


def rejected_line(text: bytes, error: TransformError) -> bytes:
    """Return a record that was rejected, unchanged (as text if it is no JSON), with error, expression and position."""
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
    """More of a run's records were rejected than its share allows; the message holds the first reason."""


def check_rejected(
    seen: int, rejected: int, *, share: float = REJECTED_SHARE, first: TransformError | None = None, final: bool
) -> None:
    """Fail a run in which too many records were rejected.

    One rejected record among others never fails a run, unless the share is 0; all of them always do.

    Args:
        seen: Records read so far that were given to the transformer.
        rejected: How many were rejected.
        share: What may be rejected, from 0 to 1.
        first: A rejection, to say why.
        final: Whether the run is at its end; before, it is judged from 1,000 records on.

    Raises:
        TooManyRejected: So they were.
    """
    if not rejected or (not final and seen < _ENOUGH_TO_JUDGE):
        return
    if rejected < seen and (rejected <= share * seen or (rejected == 1 and share > 0)):
        return
    why = f"; one of them: {first.message}" if first is not None else ""
    which = f"{rejected} of {seen} records were rejected where {share:.0%} may be"
    message = "every record was rejected" if rejected == seen else which
    raise TooManyRejected(
        message + why, expression=first.expression if first else "", position=first.position if first else -1
    )
