"""Fuzz the transformers: `python -m tests.fuzz --seconds 180 --seed 1`; fails at the first thing that is no answer."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from connector.transform import Limits, Scope, TransformError
from connector.transform.transformer import Transformers
from tests.fuzz.expressions import expressions, json_values

_LIMITS = Limits(seconds=0.5, items=200_000, characters=2_000_000, output_values=50_000, output_bytes=500_000)
_PATIENCE_SECONDS = 10
_SCOPE = Scope("main", "orders", "nl", None, "2026-11-23T06:00:00+00:00", "run")
_BATCH = 500
_RECORDS = st.dictionaries(st.text(max_size=8), json_values(), max_size=5)


class Fuzz:
    """Counts what became of the inputs, and shows one that is no answer before it raises."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.slowest = 0.0

    def attempt(self, expression: str, record: dict[str, Any]) -> None:
        """Try one expression as a transformer of records and of parameters."""
        began = time.monotonic()
        try:
            self.counts[self._outcome(expression, record)] += 1
        except BaseException:
            print(f"\nexpression: {expression!r}\nrecord: {json.dumps(record)}", file=sys.stderr)
            raise
        took = time.monotonic() - began
        self.slowest = max(self.slowest, took)
        if took > _PATIENCE_SECONDS:
            raise AssertionError(f"took {took:.1f} s: {expression!r} on {json.dumps(record)}")
        if signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0):
            raise AssertionError(f"left a timer: {expression!r}")

    def _outcome(self, expression: str, record: dict[str, Any]) -> str:
        try:
            transformers = Transformers(expression, limits=_LIMITS)
        except TransformError as error:
            _check_place(error)
            return "refused"
        try:
            transformers.parameters({"path": {}, "query": {}, "payload": record, "bookmark": None})
        except TransformError as error:
            _check_place(error)
        outcome = transformers.records(json.dumps(record).encode(), _SCOPE)
        if outcome.rejection is not None:
            _check_place(outcome.rejection)
            return "rejected"
        for text in outcome.records:
            json.loads(text)
        return "made" if outcome.records else "dropped"


def _check_place(error: TransformError) -> None:
    if not -1 <= error.position <= len(error.expression):
        raise AssertionError(f"position {error.position} is outside of {error.expression!r}")


def _scrambled(source: random.Random, expression: str) -> str:
    """Return an expression with some characters doubled, left out or swapped for others."""
    letters = list(expression)
    for _ in range(source.randint(1, 4)):
        place = source.randrange(len(letters) + 1)
        letters[place : place + source.randint(0, 2)] = source.choice(
            ["", "(", ")", "[", "]", '"', "/", "$", ".", "|", "~>", "?"]
        )
    return "".join(letters)


def main(arguments: list[str] | None = None) -> int:
    """Run until the time is up."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--seed", type=int, default=1, help="the same seed tries the same expressions")
    options = parser.parse_args(arguments)
    fuzz, source, end = Fuzz(), random.Random(options.seed), time.monotonic() + options.seconds

    def batch(number: int) -> None:
        @seed(options.seed * 1_000_000 + number)
        @settings(
            max_examples=_BATCH,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(expression=expressions(30), record=_RECORDS)
        def run(expression: str, record: dict[str, Any]) -> None:
            if time.monotonic() < end:
                fuzz.attempt(expression, record)
                fuzz.attempt(_scrambled(source, expression), record)

        run()

    number = 0
    while time.monotonic() < end:
        batch(number)
        number += 1
    total = sum(fuzz.counts.values())
    shown = ", ".join(f"{count:,} {name}" for name, count in fuzz.counts.most_common())
    print(f"seed {options.seed}: {total:,} expressions, {shown}; slowest {fuzz.slowest:.2f} s; no crash")
    return 0


if __name__ == "__main__":
    sys.exit(main())
