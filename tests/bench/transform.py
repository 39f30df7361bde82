"""What a transformer costs per record, in pages: `python -m tests.bench.transform`.

All rows are measured in turns in one process, so their ratios hold on any machine; the microseconds are this one's.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from connector.transform import Scope
from connector.transform.transformer import Transformers
from lightspeed.numbers import loads

_SAMPLES = Path(__file__).parent.parent / "shop" / "samples"
_SCOPE = Scope("default", "orders", "nl", None, "2026-11-23T06:00:00+00:00", "run")
_ORDER_BYTES = 3800
_BASE = "json.loads and json.dumps"
_EXPRESSIONS: dict[str, str | list[str] | None] = {
    "no transformer": None,
    "the record itself: $": "$",
    "keep five fields": '{"id": id, "number": number, "status": status, "total": priceIncl, "at": createdAt}',
    "set one field, drop two": '$ ~> |$|{"shop": $connection}, ["email", "remoteIp"]|',
    "flatten links": "$merge($each($, function($v, $k) { {$k: $exists($v.resource.id) ? $v.resource.id : $v} }))",
    "three expressions": ["$", '{"id": id, "total": priceIncl}', '{"id": id, "cents": $money(total, "*", 100, 0)}'],
}


def _flattened(record: dict[str, Any]) -> dict[str, Any]:
    flat = {}
    for name, value in record.items():
        resource = value.get("resource") if isinstance(value, dict) else None
        flat[name] = resource["id"] if isinstance(resource, dict) and "id" in resource else value
    return flat


_PLAIN: dict[str, Callable[[dict[str, Any]], object]] = {
    "keep five fields": lambda record: {
        "id": record["id"],
        "number": record["number"],
        "status": record["status"],
        "total": record["priceIncl"],
        "at": record["createdAt"],
    },
    "set one field, drop two": lambda record: (
        {name: value for name, value in record.items() if name not in ("email", "remoteIp")} | {"shop": "default"}
    ),
    "flatten links": _flattened,
}
"""The same in Python, with numbers as they are written, and without bounds."""


def _plainly(work: Callable[[dict[str, Any]], object], texts: list[bytes]) -> list[bytes]:
    return [
        msgspec.json.encode(work(loads(text)), enc_hook=lambda number: msgspec.Raw(number.text.encode()))
        for text in texts
    ]


def small_record() -> bytes:
    """Return a record of a handful of fields."""
    return json.dumps(
        {"id": 7, "number": "ORD7", "status": "paid", "priceIncl": 24.2, "createdAt": "2026-11-23T06:00:00+00:00"},
        separators=(",", ":"),
    ).encode()


def order() -> bytes:
    """Return an order of the size that they have on average: as many of the documented one's fields as fit."""
    documented = json.loads((_SAMPLES / "doc.order.json").read_text("utf-8"))["order"]
    kept: dict[str, object] = {}
    for name, value in documented.items():
        if len(json.dumps({**kept, name: value}, separators=(",", ":"))) <= _ORDER_BYTES:
            kept[name] = value
    return json.dumps(kept, separators=(",", ":")).encode()


def _microseconds(work: Callable[[list[bytes]], object], texts: list[bytes]) -> float:
    began = time.process_time()
    work(texts)
    return (time.process_time() - began) / len(texts) * 1e6


def measure(text: bytes, rounds: int, repeats: int) -> dict[str, float]:
    """Return the median microseconds per record of each row."""
    works: dict[str, Callable[[list[bytes]], object]] = {
        _BASE: lambda texts: [json.dumps(json.loads(text)).encode() for text in texts]
    }
    for name, given in _EXPRESSIONS.items():
        transformers = Transformers(given)
        if transformers.records(text, _SCOPE).rejection is not None:
            raise SystemExit(f"{name}: rejected")
        works[name] = functools.partial(transformers.outcomes, scope=_SCOPE)
        if name in _PLAIN:
            works[f"{name}, in Python"] = functools.partial(_plainly, _PLAIN[name])
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(_microseconds(work, [text] * repeats))
    return {name: statistics.median(found) for name, found in times.items()}


def table(rounds: int, repeats: int) -> str:
    """Return the figures as Markdown."""
    texts = {"small record": small_record(), "order": order()}
    found = {size: measure(text, rounds, repeats) for size, text in texts.items()}
    rows = [
        f"| {name} | "
        + " | ".join(f"{found[size][name]:.1f} ({found[size][name] / found[size][_BASE]:.1f} x)" for size in texts)
        + " |"
        for name in found["order"]
    ]
    heads = " | ".join(f"{size}, {len(text):,} bytes: CPU µs (x plain)" for size, text in texts.items())
    return "\n".join(["### Transformers", "", f"| | {heads} |", "| --- | --- | --- |", *rows, ""])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.transform", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--repeats", type=int, default=300)
    options = parser.parse_args()
    print(table(options.rounds, options.repeats))


if __name__ == "__main__":
    main()
