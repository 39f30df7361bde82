"""What goes into a transformer beside its input, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.errors import TransformError

TransformerSpec = str | Mapping[str, str] | Sequence[str | Mapping[str, str]] | None
"""What an event may say: an expression, `{"$ref": "s3:config/transformers/<name>.jsonata"}`, or a list of those."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What every expression can ask for beside its input.

    Attributes:
        connection: `$connection`, the name.
        entity: `$entity`.
        language: `$language`.
        bookmark: `$bookmark`, an object or `None`.
        now: ISO-8601, what `$now()` and `$millis()` answer: the start of a run, the same whenever it is resumed.
        seed: Makes `$uuid()`, `$random()` and `$shuffle()` give the same to the same input; `None` for anything.
    """

    connection: str = "default"
    entity: str = ""
    language: str = ""
    bookmark: Mapping[str, Any] | None = None
    now: str | None = None
    seed: str | None = None

    def variables(self) -> dict[str, object]:
        """Return the variables, by name without `$`."""
        return {
            "connection": self.connection,
            "entity": self.entity,
            "language": self.language,
            "bookmark": self.bookmark,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one record.

    Attributes:
        records: JSON texts: none if it was dropped, one if it was replaced, several if it was split.
        rejection: Why it could not be transformed; then there are no records.
        line: The rejection as a line for `rejected-00000.jsonl.gz`.
    """

    records: list[bytes]
    rejection: TransformError | None = None
    line: bytes | None = None
