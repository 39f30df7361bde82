"""The status as one self-contained HTML page: no script, no other file, light and dark, readable on a phone.

Everything that comes from a shop, a file or an error is escaped, in text and in attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from connector.subscription_status import duration
from lightspeed.request import parse_time

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""The page's Content-Security-Policy: it loads nothing and runs nothing."""

_WORDS = {"red": "needs action", "warning": "look at it", "good": "good", "paused": "paused"}
_WIDTH, _HEIGHT, _GAP = 168, 34, 2
_NEARLY_ALL = 0.9
_MOST_USERS = 3
_STYLE = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b1f24;--soft:#5c6670;--line:#dfe3e8;--bar:#4878b8;
--red:#c62f2f;--warning:#a86400;--good:#23803f;--paused:#6b7480;--track:#e6e9ee}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1d2126;--ink:#e8eaed;--soft:#a2abb5;--line:#333a42;
--bar:#7fa8dd;--red:#ff8078;--warning:#f0b35a;--good:#6fce8c;--paused:#9aa4af;--track:#2d333a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1.25rem;background:var(--bg);color:var(--ink);
font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:1.35rem;margin:0}h2{font-size:1.05rem;margin:1.9rem 0 .6rem}
.soft{color:var(--soft)}small{color:var(--soft)}
header{display:flex;flex-wrap:wrap;gap:.3rem 1rem;align-items:baseline;justify-content:space-between}
.state{font-weight:600;padding:.7rem .9rem;border-radius:.5rem;margin:1rem 0 0;background:var(--card);
border:1px solid var(--line);border-left:.4rem solid var(--tone)}
.red{--tone:var(--red)}.warning{--tone:var(--warning)}.good{--tone:var(--good)}.paused{--tone:var(--paused)}
ul{list-style:none;margin:0;padding:0;display:grid;
grid-template-columns:minmax(0,1fr);gap:.5rem}
li{background:var(--card);border:1px solid var(--line);border-left:.4rem solid var(--tone);
border-radius:.5rem;padding:.6rem .8rem}
code{display:block;margin-top:.4rem;padding:.35rem .5rem;background:var(--track);border-radius:.3rem;overflow-x:auto;
white-space:pre;font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
p,td,li,.state{overflow-wrap:anywhere}
table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
th{font-size:.8rem;font-weight:600;text-align:left;color:var(--soft)}
th,td{padding:.5rem .7rem;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}
.tag{color:var(--tone);font-weight:600;white-space:nowrap}
.tag::before{content:"";display:inline-block;width:.6rem;height:.6rem;border-radius:50%;background:var(--tone);margin-right:.4rem}
.num{white-space:nowrap}
a{color:var(--bar)}footer{margin-top:1.9rem}
svg{display:block;max-width:100%;margin:.15rem 0 .35rem}
.b{fill:var(--bar)}.m{fill:var(--bar);opacity:.55}.p{fill:var(--paused)}.t{fill:var(--track)}.u{fill:var(--warning)}.r{fill:var(--red)}
td[data-name=queue]{min-width:6rem}td[data-name=of],td[data-name=oldest]{min-width:8.5rem}
.by{display:block;margin:-.2rem 0 .5rem}
@media(max-width:46rem){body{padding:.9rem}thead{display:none}table,tbody,td{display:block}
table{background:none;border:0}tr{display:grid;
grid-template-columns:minmax(0,1fr) minmax(0,1fr);background:var(--card);border:1px solid var(--line);
border-radius:.5rem;margin-bottom:.6rem;padding:.3rem 0}
td{border:0;padding:.25rem .8rem}code{white-space:pre-wrap}
td:first-child,td.wide{grid-column:1/-1}td[data-name]::before{content:attr(data-name);display:block;
font-size:.75rem;color:var(--soft)}}
"""


def page(status: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        status: As `StatusReader.read` returns it.
    """
    now = parse_time(status["at"])
    title = f"Status of {status['stack'] or 'the stack'}"
    bad = [one for one in status["actions"] if one["level"] == "red"]
    odd = [one for one in status["actions"] if one["level"] == "warning"]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
        f'<header><h1>{_text(title)}</h1><span class="soft">{_text(status["at"])}</span></header>',
        f'<p class="state {_level(status["level"])}">{_summary(bad, odd, status["subscriptions"])}</p>',
        *_actions(status["actions"]),
        *_subscriptions(status["subscriptions"], status["days"], now),
        *_shops(status["shops"]),
        *_failures(status["failures"], now),
        *_arrivals(status["arrivals"]),
        *_links(status["links"]),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _text(value: object) -> str:
    """Return text as HTML, for content and for quoted attributes; control characters become spaces."""
    return escape("".join(letter if letter.isprintable() else " " for letter in str(value)))


def _level(value: object) -> str:
    return str(value) if value in _WORDS else "warning"


def _summary(bad: Sequence[object], odd: Sequence[object], subscriptions: Sequence[object]) -> str:
    if not subscriptions and not bad and not odd:
        return "Nothing is read yet. Write subscriptions.toml, then: python -m connector apply subscriptions.toml"
    if not bad and not odd:
        return f"Everything works: {_count(len(subscriptions), 'subscription')}."
    parts = [f"{_count(len(bad), 'thing')} to mend"] if bad else []
    parts += [f"{_count(len(odd), 'thing')} to look at"] if odd else []
    return f"{' and '.join(parts)}."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _actions(actions: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    if not actions:
        return
    yield "<h2>Needs action</h2><ul>"
    for one in actions:
        command = f"<code>{_text(one['command'])}</code>" if one["command"] else ""
        yield f'<li class="{_level(one["level"])}"><b>{_text(one["what"])}</b>: {_text(one["why"])}{command}</li>'
    yield "</ul>"


def _subscriptions(rows: Sequence[Mapping[str, Any]], days: Sequence[str], now: datetime) -> Iterable[str]:
    if not rows:
        return
    yield "<h2>Subscriptions</h2><table><thead><tr><th>subscription<th>last run<th>behind"
    yield f"<th>records per day, {len(days)} days<th>next run</tr></thead><tbody>"
    for one in rows:
        level, run = _level(one["level"]), _run(one["last_run"], now) + _newest(one["newest_change_at"], now)
        name = f"{one['connection']}.{one['name']}"
        entity = "" if one["entity"] == one["name"] else f"<br><small>{_text(one['entity'])}</small>"
        hooks = "<br><small>webhooks</small>" if one["webhooks"] else ""
        why = f"<br><small>{_text(one['why'])}</small>" if one["why"] not in ("", "paused") else ""
        yield (
            f'<tr class="{level}"><td><b>{_text(name)}</b>{entity}{hooks}{_tag(level)}{why}'
            f'<td data-name="last run">{run}<td data-name="behind" class="num">{_lag(one)}'
            f'<td data-name="records per day">{_chart(one["records_per_day"], one["runs"], days)}'
            f'<td data-name="next run" class="num">{_next(one, now)}</tr>'
        )
    yield "</tbody></table>"


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


def _next(one: Mapping[str, Any], now: datetime) -> str:
    if one["next_run_at"]:
        return _when(one["next_run_at"], now)
    return f'<span class="soft">{"paused" if one["paused"] else "no schedule"}</span>'


def _lag(one: Mapping[str, Any]) -> str:
    lag, allowed = one["lag_seconds"], one["allowed_lag_seconds"]
    if lag is None:
        return '<span class="soft">not known</span>'
    if not allowed:
        return duration(lag)
    share = min(1.0, lag / allowed)
    bar = _bar([(share, "r" if lag > allowed else "b")], 90, f"{duration(lag)} of {duration(allowed)} allowed")
    return f"{duration(lag)}{bar}<small>of {duration(allowed)}</small>"


def _chart(counts: Sequence[int], runs: Sequence[Mapping[str, Any]], days: Sequence[str]) -> str:
    """Return bars, one a day; a mark below says on which days runs were not verified."""
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
    """Return one bar of parts, each a share of the whole and its class."""
    drawn, start = [], 0.0
    for share, name in shares:
        drawn.append(f'<rect class="{name}" x="{start * width:.1f}" width="{share * width:.1f}" height="8"/>')
        start += share
    return (
        f'<svg role="img" aria-label="{_text(label)}" width="{width}" height="8" viewBox="0 0 {width} 8">'
        f'<rect class="t" width="{width}" height="8"/>{"".join(drawn)}</svg>'
    )


def _shops(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    if not rows:
        return
    yield "<h2>Shops</h2><table><thead><tr><th>shop<th>quota used</tr></thead><tbody>"
    for one in rows:
        level = _level(one["level"])
        why = f"<br><small>{_text(one['why'])}</small>" if one["why"] else ""
        windows = "".join(
            f"{_text(each['name'])}: {each['used']:,} of {each['limit']:,} used, {each['remaining']:,} left"
            + _bar([_used(each)], 220, f"{each['name']} quota")
            + _users(each)
            for each in one["quota"]
        )
        yield (
            f'<tr class="{level}"><td><b>{_text(one["connection"])}</b>{_tag(level)}{why}'
            f'<td data-name="quota used" class="wide">{windows or "<span class=soft>not known</span>"}</tr>'
        )
    yield "</tbody></table>"


def _users(window: Mapping[str, Any]) -> str:
    """Return what used a quota window: the subscriptions with the most requests, and the rest."""
    by = dict(window["used_by"])
    parts = [f"{_text(name)} {count:,}" for name, count in list(by.items())[:_MOST_USERS]]
    rest = window["used"] - sum(list(by.values())[:_MOST_USERS])
    if parts and rest > 0:
        parts.append(f"all others {rest:,}")
    return f'<small class="by">{", ".join(parts)}</small>' if parts else ""


def _used(window: Mapping[str, Any]) -> tuple[float, str]:
    """Return the share of a quota window that is used, and the class of its bar."""
    share = min(1.0, window["used"] / max(1, window["limit"]))
    return share, "r" if share > _NEARLY_ALL else "b"


def _failures(rows: Sequence[Mapping[str, Any]], now: datetime) -> Iterable[str]:
    if not rows:
        return
    yield "<h2>Failure queues</h2><table><thead><tr><th>queue<th>cause<th>messages<th>oldest<th>of</tr></thead><tbody>"
    for one in rows:
        detail = f"<br><small>{_text(one['detail'])}</small>" if one["detail"] else ""
        yield (
            f'<tr class="red"><td data-name="queue">{_text(one["queue"])}'
            f'<td data-name="cause" class="wide"><span class="tag">{_text(one["cause"])}</span>{detail}'
            f"{_link(one['link'], 'the execution in the console')}<code>{_text(one['command'])}</code>"
            f'<td data-name="messages" class="num">{one["messages"]:,}'
            f'<td data-name="oldest">{_when(one["oldest_at"], now)}'
            f'<td data-name="of">{_text(", ".join(one["of"]))}</tr>'
        )
    yield "</tbody></table>"


def _links(links: Mapping[str, str]) -> Iterable[str]:
    """Yield the pages of AWS's console that show the stack."""
    if links:
        shown = "".join(_link(link, name) for name, link in links.items())
        yield f'<footer class="soft">AWS console: {shown}</footer>'


def _link(address: str, name: str) -> str:
    """Return a link; nothing for an address that is none of AWS's console."""
    if not address.startswith("https://"):
        return ""
    return f' <a href="{_text(address)}">{_text(name)}</a>'


def _arrivals(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    seen = [one for one in rows if one["changes"]]
    if not seen:
        return
    yield f"<h2>How the changes of {_text(seen[0]['date'])} arrived</h2><table><thead><tr><th>subscription"
    yield "<th>by webhook, both, by schedule<th>how late</tr></thead><tbody>"
    for one in seen:
        total = one["changes"]
        shares = [(one["webhook"] / total, "b"), (one["both"] / total, "m"), (one["poll"] / total, "p")]
        text = f"{one['webhook']:,} by webhook, {one['both']:,} by both, {one['poll']:,} by schedule"
        yield (
            f"<tr><td><b>{_text(one['connection'])}.{_text(one['subscription'])}</b>"
            f'<td data-name="arrived" class="wide">{text}{_bar(shares, 220, text)}'
            f'<td data-name="how late">{_late(one["late_seconds"])}</tr>'
        )
    yield "</tbody></table>"


def _late(seconds: Mapping[str, float] | None) -> str:
    return f"half within {duration(seconds['p50'])}, 95 % within {duration(seconds['p95'])}" if seconds else ""


def _tag(level: str) -> str:
    return f'<br><span class="tag">{_WORDS[level]}</span>'


def _when(text: str | None, now: datetime) -> str:
    """Return a moment as distance from now, with the exact time as its title."""
    if not text:
        return ""
    seconds = (now - parse_time(text)).total_seconds()
    age = f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"
    return f'<time datetime="{_text(text)}" title="{_text(text)}">{age}</time><br><small>{_text(text[:16])}</small>'
