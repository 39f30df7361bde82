"""Measures the connector beside a plain loop, and beside a former commit: `python -m tests.bench --against HEAD~20`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from pathlib import Path

from tests.bench import cold, measure, queue, table, transform
from tests.bench.contestants import CONNECTOR, FASTEST_GZIP, LOOP, PACED, Contestant, former
from tests.bench.environments import ROOT, PackagesMissing, checked_out
from tests.bench.measure import Run
from tests.bench.track import Track, track

_PARTS = ("speed", "children", "memory", "limits", "cold", "webhooks", "transform", "queue")
_CONTESTANTS = (CONNECTOR, FASTEST_GZIP, PACED, LOOP)
_NAMES = [contestant.name for contestant in _CONTESTANTS]


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure how fast, with how much CPU, memory and requests the connector reads a shop's orders, "
        "beside a plain loop. It takes less than ten minutes; --quick takes two.",
    )
    parser.add_argument("--quick", action="store_true", help="one round, 5,000 records, fewer starts")
    parser.add_argument("--against", metavar="COMMIT", help="also measure the connector of a former commit")
    parser.add_argument("--records", type=int, nargs="+", metavar="N", help="sizes; speed is measured at the first")
    parser.add_argument("--latency-ms", type=float, nargs="+", metavar="MS", help="page latencies")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of speed and CPU")
    parser.add_argument("--only", nargs="+", choices=_PARTS, help="only these parts")
    parser.add_argument("--contestants", nargs="+", metavar="NAME", choices=_NAMES, help=", ".join(_NAMES))
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables to this file too")
    options = parser.parse_args(argv)
    options.records = options.records or ([5000] if options.quick else [20_000, 200_000])
    options.latency_ms = options.latency_ms or [0, 50]
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.parts = options.only or _PARTS
    return options


def against_the_shop(
    ground: Track, contestants: list[Contestant], options: argparse.Namespace
) -> tuple[list[str], list[Run]]:
    """Measure what needs the shop; return the tables and the runs that must have stored everything."""
    tables: list[str] = []
    runs: list[Run] = []
    if "speed" in options.parts:
        found = measure.speed(ground, contestants, options.records[0], options.latency_ms, options.rounds)
        tables += [table.speed(found), table.cost(found)]
        runs += found
    if "children" in options.parts:
        found = measure.children(ground, contestants, 200 if options.quick else measure.PARENTS, options.rounds)
        tables.append(table.children(found))
        runs += found
    if "memory" in options.parts:
        found = measure.memory(ground, contestants, options.records)
        tables.append(table.memory(found))
        runs += found
    if "limits" in options.parts:
        under = measure.QUICK_LIMITS if options.quick else measure.LIMITS
        tables.append(table.limits(measure.limits(ground, contestants, under), under))
    return tables, runs


def main(argv: list[str]) -> int:
    """Measure and print; exit status 1 if a program failed or stored anything else than what was asked."""
    options = arguments(argv)
    contestants = [c for c in _CONTESTANTS if not options.contestants or c.name in options.contestants]
    tables: list[str] = []
    notes: list[str] = []
    with contextlib.ExitStack() as ends:
        if options.against:
            contestants.append(former(options.against, ends.enter_context(checked_out(options.against))))
        ground = ends.enter_context(track())
        measured, runs = against_the_shop(ground, contestants, options)
        tables += measured
        order_bytes = ground.order_bytes
        if "cold" in options.parts:
            starts = 3 if options.quick else 7
            sources = [ROOT, *(one.source for one in contestants if one.source not in (None, ROOT))]
            try:
                tables += [table.cold_start(cold.rounds(source, starts), source == ROOT) for source in sources]
            except PackagesMissing as error:
                notes.append(str(error))
    if "webhooks" in options.parts:
        with contextlib.suppress(PackagesMissing):  # the cold start says so
            tables.append(table.webhooks(cold.webhooks(ROOT, 2 if options.quick else 5)))
    if "transform" in options.parts:
        tables.append(transform.table(*((2, 50) if options.quick else (5, 200))))
    if "queue" in options.parts:
        tables.append(queue.table(1_000 if options.quick else 10_000))
    command = shlex.join(["python", "-m", "tests.bench", *argv])
    failures = table.failures(runs)
    heading = table.heading(command, options.rounds, order_bytes, os.cpu_count() or 1)
    text = "\n".join([heading, "", *tables, *(f"- {note}" for note in notes + failures)])
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
