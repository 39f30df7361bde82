"""Measures the connector beside the tools that would be taken instead: `python -m tests.bench --quick`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from tests.bench import cold, measure, table
from tests.bench.contestants import ALL
from tests.bench.environments import ROOT, PackagesMissing
from tests.bench.measure import Run
from tests.bench.track import track

_PARTS = ("speed", "memory", "limits", "cold")


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="Measure how fast, with how much CPU, memory and requests the connector reads a shop's orders, "
        "beside dlt, Airbyte and a plain loop. All of it takes over half an hour; --quick takes two minutes.",
    )
    parser.add_argument("--quick", action="store_true", help="one round, 5,000 records, 0 and 50 ms, no million")
    parser.add_argument("--records", type=int, nargs="+", metavar="N", help="sizes; speed is measured at the first")
    parser.add_argument("--latency-ms", type=float, nargs="+", metavar="MS", help="page latencies")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of speed and CPU")
    parser.add_argument("--limits", action="store_true", help="also under the shop's limits")
    parser.add_argument("--only", nargs="+", choices=_PARTS, help="only these parts")
    parser.add_argument(
        "--contestants", nargs="+", metavar="NAME", help=f"only these: {', '.join(c.name for c in ALL)}"
    )
    parser.add_argument(
        "--source", type=Path, default=ROOT, metavar="DIR", help="functions and layers of another checkout"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables to this file too")
    options = parser.parse_args(argv)
    options.records = options.records or ([5000] if options.quick else [20_000, 100_000, 1_000_000])
    options.latency_ms = options.latency_ms or ([0, 50] if options.quick else [0, 50, 500])
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.parts = options.only or [part for part in _PARTS if part != "limits" or options.limits]
    unknown = set(options.contestants or ()) - {contestant.name for contestant in ALL}
    if unknown:
        parser.error(f"unknown contestants: {', '.join(sorted(unknown))}")
    return options


def main(argv: list[str]) -> int:
    """Measure and print; exit status 1 if a contestant failed or landed anything else than what was asked."""
    options = arguments(argv)
    wanted = [c for c in ALL if not options.contestants or c.name in options.contestants]
    contestants, notes = measure.available(wanted)
    tables: list[str] = []
    runs: list[Run] = []
    with track(options.source.resolve()) as ground:
        if "speed" in options.parts:
            found = measure.speed(ground, contestants, options.records[0], options.latency_ms, options.rounds)
            tables += [table.speed(found), table.cost(found)]
            runs += found
        if "memory" in options.parts:
            found = measure.memory(ground, contestants, options.records)
            tables.append(table.memory(found))
            runs += found
        if "limits" in options.parts:
            under = measure.QUICK_LIMITS if options.quick else measure.LIMITS
            tables.append(table.limits(measure.limits(ground, contestants, under), under))
        order_bytes = ground.order_bytes
    if "cold" in options.parts:
        try:
            tables.append(table.cold_start(cold.rounds(options.source.resolve(), 3 if options.quick else 11)))
        except PackagesMissing as error:
            notes.append(str(error))
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
