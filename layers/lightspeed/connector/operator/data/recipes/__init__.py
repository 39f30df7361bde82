"""Recipes: SQL files beside this module that answer common questions, in Athena and in DuckDB.

The first line of a file is its title. A line `-- name: default` declares a parameter, and `:name` in the query stands
for its value. A value is a date or a whole number. The default `-1 day` is the day before today, UTC.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.operator.stack import CommandError

_FOLDER = Path(__file__).parent
_PARAMETER = re.compile(r"-- (?P<name>[a-z_]+): (?P<default>\S.*)")
_DAYS = re.compile(r"-(\d+) days?")
_VALUE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,9}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A query with a title and parameters.

    Attributes:
        defaults: The default of each parameter.
        text: The query, with `:name` for each parameter.
    """

    name: str
    title: str
    defaults: Mapping[str, str]
    text: str

    def sql(self, given: Mapping[str, str], now: float) -> str:
        """Return the query with the values of its parameters.

        Args:
            given: Values that replace the defaults.
            now: The present time in epoch seconds.

        Raises:
            CommandError: A parameter is unknown, or is neither a date nor a whole number.
        """
        unknown = sorted(set(given) - set(self.defaults))
        if unknown:
            allowed = ", ".join(self.defaults) or "none"
            raise CommandError(f"recipe {self.name} has no parameter {unknown[0]!r:.100}; it has: {allowed}")
        sql = self.text
        for name, default in self.defaults.items():
            value = given.get(name) or _date_or_number(default, now)
            if not _VALUE.fullmatch(value):
                raise CommandError(f"{name} must be a date such as 2026-11-23 or a whole number, not {value!r:.100}")
            sql = re.sub(rf":{name}\b", value if value.isdigit() else f"'{value}'", sql)
        return sql


def _date_or_number(default: str, now: float) -> str:
    """Return the value of a default, such as the date of `-7 days`."""
    days = _DAYS.fullmatch(default)
    return str((datetime.fromtimestamp(now, UTC) - timedelta(days=int(days[1]))).date()) if days else default


def names() -> list[str]:
    """Return the names of all recipes, in order."""
    return sorted(path.stem for path in _FOLDER.glob("*.sql"))


def load(name: str) -> Recipe:
    """Return a recipe.

    Raises:
        CommandError: There is no such recipe.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), 3, 0.4)
        raise CommandError(f"there is no recipe {name!r:.100}; there are: {', '.join(near or names())}")
    lines = (_FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("-- ")]
    found = [match for line in head[1:] if (match := _PARAMETER.fullmatch(line))]
    text = "\n".join(line for line in lines if not line.startswith("-- "))
    return Recipe(name, head[0][3:], {match["name"]: match["default"] for match in found}, text)


def parameters(words: Sequence[str]) -> dict[str, str]:
    """Return the parameters that `name=value` words give.

    Raises:
        CommandError: A word has no `=`.
    """
    for word in words:
        if "=" not in word:
            raise CommandError(f"--param takes NAME=VALUE, not {word!r:.100}")
    return {name: value for name, _, value in (word.partition("=") for word in words)}
