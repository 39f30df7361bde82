"""What goes into a transformer beside its input, and what comes out of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connector.errors import TransformError
from connector.transform.engine.limits import Escaped
from connector.transform.library import NotFoundInLibrary
from lightspeed import Clock

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


class Context:
    """What an expression can ask for while one input is transformed.

    Attributes:
        variables: `connection`, `entity`, `language` and `bookmark`.
    """

    def __init__(self, scope: Scope, tables: Callable[[str], Mapping[str, Any]], content: str, clock: Clock) -> None:
        """Prepare; the tables are asked for by name, and the content makes random numbers those of the input."""
        self._scope = scope
        self.variables = {name: getattr(scope, name) for name in ("connection", "entity", "language", "bookmark")}
        self._clock = clock
        self._tables = tables
        self._content = content
        self._random: random.Random | None = None

    @property
    def random(self) -> random.Random:
        """Random numbers, the same for the same seed and input."""
        if self._random is None:
            seed = self._scope.seed
            self._random = random.SystemRandom() if seed is None else random.Random(f"{seed}\n{self._content}")  # noqa: S311
        return self._random

    @property
    def now_milliseconds(self) -> float:
        """Milliseconds since 1970."""
        now = self._scope.now
        if not now:
            return self._clock.time() * 1000
        moment = datetime.fromisoformat(now)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000

    def table(self, name: str) -> Mapping[str, Any]:
        """Return the table that `$lookup_table` asks for.

        Raises:
            NotFoundInLibrary: There is no such table.
            Escaped: The library failed.
        """
        try:
            return self._tables(name)
        except NotFoundInLibrary:
            raise
        except Exception as error:
            raise Escaped(error) from None
