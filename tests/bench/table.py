"""Runs as Markdown tables: medians with least and most over the rounds, and ratios taken within one round."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from importlib import metadata
from pathlib import Path

from tests.bench.cold import SHARE_OF_512_MB, ColdStart, Receiving
from tests.bench.contestants import CONNECTOR, LOOP, PACED, Contestant
from tests.bench.environments import commit
from tests.bench.measure import PER_SECOND, START_UP_RECORDS, Limits, Run

_NOTHING = "-"
_ENOUGH_RECORDS = 10_000
"""With fewer, start-up varies more than the records cost."""


def heading(command: str, rounds: int, order_bytes: int, cores: int) -> str:
    """Return what has to be known to read the tables."""
    own = ", ".join(f"{name} {metadata.version(name)}" for name in ("requests", "boto3", "msgspec", "deflate"))
    spread = "one round" if rounds == 1 else f"medians of {rounds} rounds (least-most), one for slow pages"
    machine = f"{cores} cores ({_processor()}), {platform.system()} {platform.machine()}"
    return (
        f"`{command}`, commit {commit()}, {date.today()}\n\n"
        f"{machine}, Python {platform.python_version()}; {own}. An order is "
        f"{order_bytes:,} bytes of JSON, a page 250 of them. Figures are of whole processes, start-up included unless "
        f"said; {spread}, contestants in turn, ratios within a round. The connector is its handler, landing gzip "
        "JSON Lines into a stand-in for S3 over loopback; the loop writes a gzip file. Without "
        f"limits at the shop the connector's own 20 requests a second are lifted too; `{PACED.name}` is with them.\n"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def speed(runs: Sequence[Run]) -> str:
    """Return records per second and its ratio to the loop's, by latency."""
    runs = [run for run in runs if run.setup.records != START_UP_RECORDS]
    latencies = sorted({run.setup.latency_ms for run in runs})
    header = ["records/s"]
    for latency in latencies:
        header += [f"{latency:g} ms", "x loop"]
    rows = []
    for contestant in _contestants(runs):
        row = [contestant.name]
        for latency in latencies:
            at = [run for run in runs if run.setup.latency_ms == latency]
            row.append(_spread([run.figures.per_second for run in _of(at, contestant)], ",.0f"))
            row.append(_ratio(at, contestant, LOOP, _per_second))
        rows.append(row)
    return f"### Speed, {_size(runs)} records\n\n{_table(header, rows)}"


def cost(runs: Sequence[Run]) -> str:
    """Return CPU per record and the requests made, without latency."""
    ups = [run for run in runs if run.setup.records == START_UP_RECORDS]
    runs = [run for run in runs if run.setup.records != START_UP_RECORDS]
    least = min(run.setup.latency_ms for run in runs)
    runs = [run for run in runs if run.setup.latency_ms == least]
    header = [
        "",
        "CPU µs/record",
        "less start-up",
        "x less than the loop",
        "x the connector",
        "start-up CPU s",
        "pages",
        "counts",
        "landed bytes/record",
    ]
    rows = []
    for contestant in _contestants(runs):
        mine = _of(runs, contestant)
        start = _median([run.figures.cost.cpu_seconds for run in _of(ups, contestant)])
        figures = mine[0].figures
        less = [
            1e6 * (run.figures.cost.cpu_seconds - start) / (run.figures.records - START_UP_RECORDS)
            for run in mine
            if run.figures.records >= _ENOUGH_RECORDS
        ]
        rows.append(
            [
                contestant.name,
                _spread([_cpu_per_record(run) for run in mine], ".1f"),
                _spread(less, ".1f"),
                _ratio(runs, LOOP, contestant, _cpu_per_record),
                _ratio(runs, contestant, CONNECTOR, _cpu_per_record),
                f"{start:.2f}",
                f"{figures.pages:,}",
                f"{figures.counts:,}",
                f"{figures.landed_bytes / max(1, figures.records):,.0f}",
            ]
        )
    return f"### CPU and requests, {_size(runs)} records, {least:g} ms\n\n{_table(header, rows)}"


def children(runs: Sequence[Run]) -> str:
    """Return what reading one nested list for each of many parents costs, without latency."""
    parents = max(run.setup.records for run in runs)
    rows = []
    for contestant in _contestants(runs):
        mine = _of(runs, contestant)
        start = _median([run.figures.cost.cpu_seconds for run in mine if run.setup.records == 1])
        many = [run for run in mine if run.setup.records == parents]
        seconds = [run.figures.cost.cpu_seconds for run in many]
        counted = [run for run in runs if run.setup.records == parents]
        figures = many[0].figures
        rows.append(
            [
                contestant.name,
                figures.cost.failure or _spread(seconds, ".2f"),
                _spread([1000 * (each - start) / parents for each in seconds], ".2f"),
                _ratio(counted, contestant, LOOP, lambda run: run.figures.cost.cpu_seconds),
                f"{figures.records:,}",
                f"{figures.pages} + {figures.children:,} + {figures.counts}",
            ]
        )
    header = ["", "CPU s", "ms per parent, less start-up", "x loop", "records", "pages + lists + counts"]
    return f"### Nested lists of {parents:,} parents, no latency\n\n{_table(header, rows)}"


def memory(runs: Sequence[Run]) -> str:
    """Return peak memory and the rest of a run by the number of records."""
    sizes = sorted({run.setup.records for run in runs})
    header = ["peak MB (wall s, CPU µs/record)", *(f"{size:,}" for size in sizes), "most / least MB"]
    rows = []
    for contestant in _contestants(runs):
        row, peaks = [contestant.name], []
        for size in sizes:
            mine = [run for run in _of(runs, contestant) if run.setup.records == size]
            if mine and mine[0].figures.records:
                paid = mine[0].figures.cost
                peaks.append(paid.peak_megabytes)
                row.append(f"{paid.peak_megabytes:.0f} ({paid.wall_seconds:.1f}, {_cpu_per_record(mine[0]):.1f})")
            else:
                row.append(mine[0].figures.cost.failure if mine else _NOTHING)
        row.append(f"{max(peaks) / peaks[0]:.2f}" if len(peaks) > 1 else _NOTHING)
        rows.append(row)
    return f"### Memory, no latency\n\n{_table(header, rows)}"


def limits(runs: Sequence[Run], under: Limits) -> str:
    """Return how long each takes under the shop's limits."""
    records, dictated = under.records, under.dictated_seconds
    header = ["", "result", "wall s", "x dictated", "pages", "counts", "refused (429)"]
    rows = []
    for contestant in _contestants(runs):
        figures = _of(runs, contestant)[0].figures
        wall = figures.cost.wall_seconds
        done = figures.records == records
        rows.append(
            [
                contestant.name,
                "complete" if done else f"failed after {figures.pages} pages",
                f"{wall:.1f}",
                f"{wall / dictated:.2f}" if done else _NOTHING,
                f"{figures.pages}",
                f"{figures.counts}",
                f"{figures.refused}",
            ]
        )
    scaled = f"{under.quota} requests in {under.window_seconds} s and {PER_SECOND} a second"
    return (
        f"### Under limits: {scaled}, {records:,} records, 50 ms\n\n"
        f"Dictated for all pages and two counts: {dictated} s; the shop tells the reset in whole seconds, so every "
        "window may cost one more. The connector leaves no reserve here.\n\n"
        f"{_table(header, rows)}"
    )


def cold_start(pairs: Sequence[tuple[ColdStart, ColdStart]], is_present: bool) -> str:
    """Return the handler's cold start beside the lean stack's."""
    handlers, leans = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    rows = []
    for name, starts in (("subscribe", handlers), ("lean stack", leans)):
        ratios = [a.ready_ms / b.ready_ms for a, b in zip(starts, leans, strict=True)]
        slower = [a.throttled_ms / b.throttled_ms for a, b in zip(starts, leans, strict=True)]
        rows.append(
            [
                name,
                _spread([start.imported_ms for start in starts], ".0f"),
                _spread([start.ready_ms for start in starts], ".0f"),
                _spread(ratios, ".2f"),
                _spread([start.throttled_ms for start in starts], ".0f"),
                _spread(slower, ".2f"),
                f"{_median([start.peak_megabytes for start in starts]):.0f}",
            ]
        )
    names = ["", "imports CPU ms", "ready for the first request CPU ms", "x lean"]
    names += [f"ready with {SHARE_OF_512_MB} of a processor ms", "x lean", "MB"]
    return (
        f"### Cold start{'' if is_present else ' of the former commit'}, {len(pairs)} rounds, unchecked-hash .pyc\n\n"
        "Lean stack: requests, boto3's clients of S3 and Secrets Manager, Powertools Logger and Metrics. "
        f"At 512 MB, Lambda gives {SHARE_OF_512_MB} of a processor.\n\n"
        f"{_table(names, rows)}"
    )


def webhooks(found: Sequence[Receiving]) -> str:
    """Return what receiving takes, beside the shop's patience of some seconds."""
    columns = ("imported_ms", "first_ms", "p50_ms", "p99_ms")
    row = [_spread([getattr(one, name) for one in found], ".1f") for name in columns]
    names = ["imports CPU ms", "with the first call CPU ms", "a later call CPU ms, p50", "p99"]
    return (
        f"### Webhooks, {len(found)} receivers, 1,000 calls each, unchecked-hash .pyc\n\n"
        "A call waits besides for one object of S3 and one message of SQS, and the first one also for the secret.\n\n"
        f"{_table(names, [row])}"
    )


def _per_second(run: Run) -> float:
    return run.figures.per_second


def _cpu_per_record(run: Run) -> float:
    return 1e6 * run.figures.cost.cpu_seconds / max(1, run.figures.records)


def _contestants(runs: Iterable[Run]) -> list[Contestant]:
    return list({run.contestant.name: run.contestant for run in runs}.values())


def _of(runs: Iterable[Run], contestant: Contestant) -> list[Run]:
    return [run for run in runs if run.contestant.name == contestant.name]


def _ratio(runs: Sequence[Run], over: Contestant, under: Contestant, figure: Callable[[Run], float]) -> str:
    tops = {run.round: run for run in _of(runs, over) if run.figures.records}
    bottoms = {run.round: run for run in _of(runs, under) if run.figures.records}
    return _spread([figure(tops[n]) / figure(bottoms[n]) for n in tops.keys() & bottoms.keys()], ".2f")


def _size(runs: Sequence[Run]) -> str:
    return f"{runs[0].setup.records:,}"


def _median(numbers: Sequence[float]) -> float:
    return statistics.median(numbers) if numbers else 0.0


def _spread(numbers: Sequence[float], form: str) -> str:
    if not numbers:
        return _NOTHING
    text = format(statistics.median(numbers), form)
    return text if len(numbers) == 1 else f"{text} ({min(numbers):{form}}-{max(numbers):{form}})"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def failures(runs: Iterable[Run]) -> list[str]:
    """Return what went wrong outside the limits: processes that failed, or landed fewer or more than was asked for."""
    found = []
    for run in runs:
        name, figures, wanted = run.contestant.name, run.figures, run.setup.records
        if figures.cost.failure:
            found.append(f"{name}, {wanted} records: {figures.cost.failure}")
        elif figures.records != wanted and not figures.children:
            found.append(f"{name} landed {figures.records} of {wanted} records")
    return found
