"""Find the bad ones among writes that the shop refused together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from lightspeed import InvalidRequest, NotFound, UnknownLanguage
from publish.result import Outcome, Refusal

_Entry = TypeVar("_Entry")
_Answer = TypeVar("_Answer")


def is_refused(outcome: Outcome) -> bool:
    """Whether the shop refuses the content, so that a part of it may be accepted."""
    return isinstance(outcome, InvalidRequest | NotFound) and not isinstance(outcome, UnknownLanguage)


def isolate(
    entries: Sequence[_Entry], send: Callable[[Sequence[_Entry]], list[_Answer] | Refusal]
) -> list[_Answer | Refusal]:
    """Send entries together; halve what the shop refuses until only the bad ones are refused.

    Args:
        entries: What is sent, in order; at least one.
        send: Sends entries in one request; returns one answer each, or why none of them was accepted.

    Returns:
        One answer each, in order.
    """
    answer = send(entries)
    if isinstance(answer, list):
        return list(answer)
    if len(entries) == 1 or not is_refused(answer):
        return [answer] * len(entries)
    half = len(entries) // 2
    return isolate(entries[:half], send) + isolate(entries[half:], send)
