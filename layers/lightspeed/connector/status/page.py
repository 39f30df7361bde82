"""The status as one HTML page: no script, no other file, light and dark, readable on a phone.

The page escapes all text from a shop, a file or an error, in content and in attributes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from connector.status.subscription import duration
from lightspeed.request import parse_time

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The page's Content-Security-Policy. It allows neither loading nor running anything."""

_WORDS = {"red": "needs action", "warning": "look at it", "good": "good", "paused": "paused"}
_WIDTH, _HEIGHT, _GAP = 168, 34, 2
_NEARLY_ALL = 0.9
_MAX_USERS = 3
_PAGE = Path(__file__).with_suffix(".html")


def page(status: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        status: The result of `read_status`.
    """
    now = parse_time(status["at"])
    title = f"Status of {status['stack'] or 'the stack'}"
    subscriptions = f"records per day, {len(status['days'])} days"
    arrived = [one for one in status["arrivals"] if one["changes"]]
    day = _text(arrived[0]["date"]) if arrived else ""
    sections = (
        _actions(status["actions"]),
        _table(
            "Subscriptions",
            {"subscription": "", "last run": "", "behind": "num", subscriptions: "", "next run": "num"},
            (_subscription(one, status["days"], now) for one in status["subscriptions"]),
        ),
        _table("Shops", {"shop": "", "quota used": "wide"}, map(_shop, status["shops"])),
        _table(
            "Failure queues",
            {"queue": "", "cause": "wide", "messages": "num", "oldest": "", "of": ""},
            (_failure(one, now) for one in status["failures"]),
        ),
        _table(
            f"How the changes of {day} arrived",
            {"subscription": "", "by webhook, both, by schedule": "wide", "how late": ""},
            map(_arrival, arrived),
        ),
        _links(status["links"]),
    )
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        policy=escape(POLICY),
        title=_text(title),
        at=_text(status["at"]),
        level=status["level"],
        summary=_summary(status["actions"], status["subscriptions"]),
        sections="\n".join(filter(None, sections)),
    )


def _table(heading: str, columns: Mapping[str, str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Return a table under a heading; an empty text if there are no rows.

    `columns` has the class of the cells by the column's name, which a phone shows in each cell. `rows` has the class of
    each row and the HTML of its cells.
    """
    shown = "\n".join(
        f'<tr class="{level}">{"".join(map(_cell, columns.items(), cells))}</tr>' for level, cells in rows
    )
    head = "".join(f"<th>{name}" for name in columns)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{shown}\n</tbody></table>"
    return f"<h2>{heading}</h2>{table}" if shown else ""


def _cell(column: tuple[str, str], content: str) -> str:
    name, kind = column
    return f'<td data-name="{name}" class="{kind}">{content}'


def _text(value: object) -> str:
    """Return a value as HTML, for content and for quoted attributes. Control characters become spaces."""
    return escape("".join(letter if letter.isprintable() else " " for letter in str(value)))


def _summary(actions: Sequence[Mapping[str, Any]], subscriptions: Sequence[object]) -> str:
    levels = Counter(one["level"] for one in actions)
    todo = {"mend": levels["red"], "look at": levels["warning"]}
    if parts := [f"{_count(number, 'thing')} to {what}" for what, number in todo.items() if number]:
        return f"{' and '.join(parts)}."
    if subscriptions:
        return f"Everything works: {_count(len(subscriptions), 'subscription')}."
    return "No subscription yet. Write subscriptions.toml, then: python -m connector apply subscriptions.toml"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _actions(actions: Sequence[Mapping[str, Any]]) -> str:
    items = []
    for action in actions:
        command = f"<code>{_text(action['command'])}</code>" if action["command"] else ""
        items.append(
            f'<li class="{action["level"]}"><b>{_text(action["what"])}</b>: {_text(action["why"])}{command}</li>'
        )
    return f"<h2>Needs action</h2><ul>{''.join(items)}</ul>" if items else ""


def _subscription(row: Mapping[str, Any], days: Sequence[str], now: datetime) -> tuple[str, Sequence[str]]:
    level, run = row["level"], _run(row["last_run"], now) + _newest(row["newest_change_at"], now)
    name = _text(f"{row['connection']}.{row['name']}")
    entity = "" if row["entity"] == row["name"] else f"<br><small>{_text(row['entity'])}</small>"
    hooks = "<br><small>webhooks</small>" if row["webhooks"] else ""
    why = f"<br><small>{_text(row['why'])}</small>" if row["why"] not in ("", "paused") else ""
    return level, (
        f"<b>{name}</b>{entity}{hooks}{_tag(level)}{why}",
        run,
        _lag(row),
        _chart(row["records_per_day"], row["runs"], days),
        _next(row, now),
    )


def _run(run: Mapping[str, Any] | None, now: datetime) -> str:
    if run is None:
        return '<span class="soft">none yet</span>'
    proven = "verified" if run["verified"] else '<span class="tag warning">not verified</span>'
    return (
        f"{_when(run['finished'], now)}<br>{_count(run['records'], 'record')}, {proven}"
        f"<br><small>{_text(run['run_id'])}</small>"
    )


def _newest(changed: str | None, now: datetime) -> str:
    if not changed:
        return ""
    ago = duration((now - parse_time(changed)).total_seconds())
    return f'<br><small title="{_text(changed)}">newest change {ago} ago</small>'


def _next(row: Mapping[str, Any], now: datetime) -> str:
    if row["next_run_at"]:
        return _when(row["next_run_at"], now)
    return f'<span class="soft">{"paused" if row["paused"] else "no schedule"}</span>'


def _lag(row: Mapping[str, Any]) -> str:
    lag, allowed = row["lag_seconds"], row["allowed_lag_seconds"]
    if lag is None:
        return '<span class="soft">not known</span>'
    if not allowed:
        return duration(lag)
    bar = _bar([_share(lag, allowed, 1)], 90, f"{duration(lag)} of {duration(allowed)} allowed")
    return f"{duration(lag)}{bar}<small>of {duration(allowed)}</small>"


def _chart(counts: Sequence[int], runs: Sequence[Mapping[str, Any]], days: Sequence[str]) -> str:
    """Return a chart with a bar for each day. A mark below a bar shows a day with unverified runs."""
    most, wide = max([*counts, 1]), _WIDTH / max(1, len(counts))
    bars = []
    for number, (count, run, day) in enumerate(zip(counts, runs, days, strict=True)):
        high = max(1.5, count / most * _HEIGHT) if count else 0.0
        x, width = number * wide, wide - _GAP
        unproven = f", {run['unverified']:,} not verified" if run["unverified"] else ""
        title = f"<title>{_text(day)}: {_count(count, 'record')} in {_count(run['runs'], 'run')}{unproven}</title>"
        mark = "u" if run["unverified"] else "b" if run["runs"] else "t"
        bars.append(
            f'<g>{title}<rect x="{x:.1f}" y="0" width="{width:.1f}" height="{_HEIGHT}" fill="transparent"/>'
            f'<rect class="b" x="{x:.1f}" y="{_HEIGHT - high:.1f}" width="{width:.1f}" height="{high:.1f}"/>'
            f'<rect class="{mark}" x="{x:.1f}" y="{_HEIGHT + 2}" width="{width:.1f}" height="3"/></g>'
        )
    label = f"{_count(sum(counts), 'record')} in {_count(len(counts), 'day')}, at most {max([*counts, 0]):,} a day"
    return (
        f'<svg role="img" aria-label="{label}" width="{_WIDTH}" height="{_HEIGHT + 6}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT + 6}">{"".join(bars)}</svg><small>{label}</small>'
    )


def _bar(shares: Sequence[tuple[float, str]], width: int, label: str) -> str:
    """Return a bar of several parts. Each part has its share of the bar, 0 to 1, and its class."""
    drawn, start = [], 0.0
    for share, name in shares:
        drawn.append(f'<rect class="{name}" x="{start * width:.1f}" width="{share * width:.1f}" height="8"/>')
        start += share
    return (
        f'<svg role="img" aria-label="{_text(label)}" width="{width}" height="8" viewBox="0 0 {width} 8">'
        f'<rect class="t" width="{width}" height="8"/>{"".join(drawn)}</svg>'
    )


def _shop(shop: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    level = shop["level"]
    why = f"<br><small>{_text(shop['why'])}</small>" if shop["why"] else ""
    windows = "".join(
        f"{_text(each['name'])}: {each['used']:,} of {each['limit']:,} used, {each['remaining']:,} left"
        + _bar([_share(each["used"], each["limit"], _NEARLY_ALL)], 220, f"{each['name']} quota")
        + _users(each)
        for each in shop["quota"]
    )
    named = f"<b>{_text(shop['connection'])}</b>{_tag(level)}{why}"
    return level, (named, windows or '<span class="soft">not known</span>')


def _users(window: Mapping[str, Any]) -> str:
    """Return the users of a quota window: the subscriptions with the most requests, and the rest."""
    by = dict(window["used_by"])
    parts = [f"{_text(name)} {count:,}" for name, count in list(by.items())[:_MAX_USERS]]
    rest = window["used"] - sum(list(by.values())[:_MAX_USERS])
    if parts and rest > 0:
        parts.append(f"all others {rest:,}")
    return f'<small class="by">{", ".join(parts)}</small>' if parts else ""


def _share(part: float, whole: float, most: float) -> tuple[float, str]:
    """Return a share for `_bar`, at most 1, and its class: red above the share `most`."""
    share = part / max(1, whole)
    return min(1.0, share), "r" if share > most else "b"


def _failure(failure: Mapping[str, Any], now: datetime) -> tuple[str, Sequence[str]]:
    detail = f"<br><small>{_text(failure['detail'])}</small>" if failure["detail"] else ""
    command = f"{_link(failure['link'], 'the execution in the console')}<code>{_text(failure['command'])}</code>"
    cause = f'<span class="tag">{_text(failure["cause"])}</span>{detail}{command}'
    messages, of = f"{failure['messages']:,}", _text(", ".join(failure["of"]))
    return "red", (_text(failure["queue"]), cause, messages, _when(failure["oldest_at"], now), of)


def _links(links: Mapping[str, str]) -> str:
    """Return the links to the stack's pages in the AWS console."""
    shown = "".join(_link(link, name) for name, link in links.items())
    return f'<footer class="soft">AWS console: {shown}</footer>' if links else ""


def _link(address: str, name: str) -> str:
    """Return a link; an empty text for an address without https."""
    if not address.startswith("https://"):
        return ""
    return f' <a href="{_text(address)}">{_text(name)}</a>'


def _arrival(arrival: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    total = arrival["changes"]
    shares = [(arrival["webhook"] / total, "b"), (arrival["both"] / total, "m"), (arrival["poll"] / total, "p")]
    text = f"{arrival['webhook']:,} by webhook, {arrival['both']:,} by both, {arrival['poll']:,} by schedule"
    late = arrival["late_seconds"]
    how_late = f"half within {duration(late['p50'])}, 95 % within {duration(late['p95'])}" if late else ""
    name = f"<b>{_text(arrival['connection'])}.{_text(arrival['subscription'])}</b>"
    return "", (name, text + _bar(shares, 220, text), how_late)


def _tag(level: str) -> str:
    return f'<br><span class="tag">{_WORDS[level]}</span>'


def _when(text: str | None, now: datetime) -> str:
    """Return a time as its distance from now, with the exact time as the title."""
    if not text:
        return ""
    seconds = (now - parse_time(text)).total_seconds()
    age = f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"
    return f'<time datetime="{_text(text)}" title="{_text(text)}">{age}</time><br><small>{_text(text[:16])}Z</small>'
