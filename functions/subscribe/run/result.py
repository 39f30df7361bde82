"""What an invocation of a run answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """What an invocation answers.

    Attributes:
        body: The documented result.
        single: Whether one record was asked for, not a list.
    """

    body: dict[str, Any]
    single: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """How a run ends. It is stored by one conditional write, before anything that readers see.

    Attributes:
        body: The result, status included.
        manifests: Manifests by key, in the order in which they are written.
        single: As in `Result`.
    """

    body: dict[str, Any]
    manifests: dict[str, Any]
    single: bool = False
