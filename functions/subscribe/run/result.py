"""The result of one invocation of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one invocation.

    Attributes:
        body: The documented result.
        single: Whether the request reads one record and no list.
    """

    body: dict[str, Any]
    single: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The end of a run. One conditional write stores it, before any object that readers see.

    Attributes:
        body: The result.
        manifests: Manifests by key, in the order of their writes.
        single: As in `Result`.
    """

    body: dict[str, Any]
    manifests: dict[str, Any]
    single: bool = False
