"""The values that an expression can use besides its input, and the outcome for one record."""

from __future__ import annotations

import functools
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
"""A transformer in an event: an expression, `{"$ref": "s3:config/transformers/<name>.jsonata"}`, or a list of these."""


@dataclass(frozen=True)
class Scope:
    """The values that every expression of a run can use besides its input.

    Attributes:
        connection: `$connection`, the name.
        entity: `$entity`.
        language: `$language`.
        bookmark: `$bookmark`: `{"until": …}`, the end of the last incremental run; `None` before the first.
        now: The time of `$now()` and `$millis()`, ISO-8601: the start of the run, also after it is resumed. `None` is
            the present.
        seed: Makes `$uuid()`, `$random()` and `$shuffle()` return the same values for the same input. `None` makes
            them random.
    """

    connection: str = "default"
    entity: str = ""
    language: str = ""
    bookmark: Mapping[str, Any] | None = None
    now: str | None = None
    seed: str | None = None

    @functools.cached_property
    def variables(self) -> Mapping[str, Any]:
        """The values by name without `$`."""
        return {name: getattr(self, name) for name in ("connection", "entity", "language", "bookmark")}

    @functools.cached_property
    def characters(self) -> int:
        """The length of the values as text: no text in them is longer."""
        return len(str(self.variables))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for one record.

    Attributes:
        records: JSON texts: none for a dropped record, one for a replaced record, several for a split record.
        rejection: The error of a record that cannot be transformed. Such a record has no `records`.
        line: Its line for a part under `rejected/`.
    """

    records: list[bytes]
    rejection: TransformError | None = None
    line: bytes | None = None


class Context:
    """The variables, tables, time and random numbers of an expression while it transforms one input.

    Args:
        scope: The values of the run.
        tables: Returns a table by its name.
        content: The input's text. The random numbers depend on it and on the seed.
        clock: The clock of a scope without a time.

    Attributes:
        variables: Values by name without `$`.
    """

    def __init__(self, scope: Scope, tables: Callable[[str], Mapping[str, Any]], content: bytes, clock: Clock) -> None:
        self._scope = scope
        self.variables = scope.variables
        self._clock = clock
        self._tables = tables
        self._content = content

    @functools.cached_property
    def random(self) -> random.Random:
        """Random numbers, the same for the same seed and input."""
        seed = self._scope.seed
        text = self._content.decode(errors="replace")
        return random.SystemRandom() if seed is None else random.Random(f"{seed}\n{text}")  # noqa: S311

    @property
    def now_milliseconds(self) -> float:
        """The time of `$now()`, in milliseconds since 1970."""
        now = self._scope.now
        if not now:
            return self._clock.time() * 1000
        moment = datetime.fromisoformat(now)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table for `$lookup_table`.

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
