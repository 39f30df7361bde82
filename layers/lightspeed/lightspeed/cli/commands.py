"""The commands of the client: their arguments, and the function that runs each of them."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from lightspeed.catalogue.describe import describe
from lightspeed.catalogue.entities import CATALOGUE, get_entity
from lightspeed.catalogue.model import Endpoint
from lightspeed.cli.arguments import Parser
from lightspeed.cli.output import STANDARD_OUTPUT, json_text, print_note, print_record, table
from lightspeed.cli.session import nothing_matches, open_client, prepare
from lightspeed.cli.sync import sync
from lightspeed.cli.write import run_action, write
from lightspeed.connection_check import NOT_UTC, ConnectionReport, check_connection, diagnose
from lightspeed.errors import LightspeedError

Run = Callable[[argparse.Namespace], "int | None"]
"""Runs a command. It returns an exit status other than 0, or nothing."""

_EPILOG = (
    "The connection comes from LIGHTSPEED_CLUSTER (eu1 or us1) or LIGHTSPEED_BASE_URL, LIGHTSPEED_API_KEY, "
    "LIGHTSPEED_API_SECRET and LIGHTSPEED_LANGUAGE, or from --connection FILE. Exit status: 0 done, 1 the shop refused "
    "or gave no answer, 2 the command was wrong, 130 ended by Ctrl-C, 143 by SIGTERM."
)


class _ShopParser(Parser):
    """A parser that knows where a stray argument belongs."""

    def advice(self, message: str) -> str:
        stray = re.fullmatch(r"unrecognized arguments: ([0-9]+)", message)
        option = re.fullmatch(r"unrecognized arguments: --(\w+)[ =](\S+)", message)
        if stray:
            return f"give it as --path id={stray[1]:.100}"
        if option and any(option[1] in endpoint.filter_names for endpoint in CATALOGUE.values()):
            return f"give it as --query {option[1]}={option[2]:.100}"
        return super().advice(message)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser. Its namespace holds the command's function as `run` and the command's name as `command`."""
    parser = _ShopParser(
        prog="python -m lightspeed", description="Read and write a Lightspeed eCom (C-Series) shop.", epilog=_EPILOG
    )
    subparsers = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    connection = Parser(add_help=False)
    connection.add_argument("--connection", metavar="FILE", help="cluster or base_url, api_key … as a JSON object")
    connection.add_argument("--language", metavar="CODE", help="another language of the shop, such as nl or en")
    entity = Parser(add_help=False, parents=[connection])
    entity.add_argument("entity", metavar="ENTITY", help="a name of the catalogue, such as orders or products/images")
    for option, text in (
        ("--path", "which record, such as id=9 product_id=7"),
        ("--query", "filters and the like, such as updated_at_min=2026-11-23"),
    ):
        entity.add_argument(option, metavar="NAME=VALUE", nargs="+", action="extend", default=[], help=text)
    payload = Parser(add_help=False)
    payload.add_argument("--payload", metavar="FILE", help="the record as JSON, with or without envelope; - is stdin")
    dry_run = Parser(add_help=False)
    dry_run.add_argument(
        "--dry-run", action="store_true", help="only read: show the request, and what it would change field by field"
    )
    as_json = Parser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="as JSON")

    def add(name: str, run: Run, text: str, *parents: Any, **options: Any) -> argparse.ArgumentParser:
        sentence = f"{text[0].upper()}{text[1:]}."
        command = subparsers.add_parser(name, parents=parents, help=text, description=sentence, **options)
        command.set_defaults(run=run, command=name)
        return command

    entities = add("entities", _entities, "show the catalogue, or what one entity can do", as_json)
    entities.add_argument("entity", metavar="ENTITY", nargs="?")
    add("get", _get, "read one record", entity)
    listing = add("list", _list, "read a page of records, or all pages, as JSON Lines", entity)
    listing.add_argument(
        "--all",
        action="store_true",
        help="every record, each once, as the shop had them five seconds ago; the list's last page comes first. "
        "With the id * for a parent: the records of every parent",
    )
    listing.add_argument(
        "--out", metavar="FILE", default=STANDARD_OUTPUT, help="a file, gzipped where it ends in .gz; - is stdout"
    )
    add("count", _count, "count records", entity)
    estimate = add(
        "estimate", _estimate, "say how many requests and minutes reading an entity would take", entity, as_json
    )
    estimate.add_argument(
        "--mode", choices=("full", "incremental"), default="full", help="what kind of run (default: full)"
    )
    estimate.add_argument("--since", metavar="TIME", help="where an incremental run starts (default: the beginning)")
    estimate.add_argument(
        "--reserve-percent",
        metavar="N",
        type=float,
        default=10.0,
        help="share of the quota left for others (default: 10)",
    )
    create = add("create", write, "create a record", entity, payload, dry_run)
    create.add_argument(
        "--match",
        metavar="FIELD",
        action="append",
        help="update the record that already has the payload's value of this field, such as sku or email; "
        "may be given more than once",
    )
    add("update", write, "change the fields of a record that the payload names", entity, payload, dry_run)
    add("delete", write, "delete a record", entity, dry_run)
    action = add("action", run_action, "run an action of an entity, such as quotes convert", entity, payload, dry_run)
    action.add_argument("name", metavar="NAME", nargs="?", default="", help="the action; if left out, they are listed")
    tap = add("tap", _tap, "write lists as Singer messages: SCHEMA, RECORD and STATE")
    tap.epilog = (
        "A stream with a bookmark is read from a minute before it, so the last records of a run come again in the "
        "next one. Only messages go to standard output. The script tap-lightspeed-ecom is the same command."
    )
    for option, text in (
        ("--config", "settings as a JSON object (--about lists them); without it, the LIGHTSPEED_ variables"),
        (
            "--catalog",
            "what --discover printed, with the wanted streams and fields selected; without it, all but nested lists",
        ),
        ("--state", "the value of the last STATE message of the run before"),
    ):
        tap.add_argument(option, metavar="FILE", help=text)
    tap.add_argument("--discover", action="store_true", help="print the catalogue of streams; nothing is sent")
    tap.add_argument("--about", action="store_true", help="print settings and capabilities as JSON; nothing is sent")
    text = "store an entity in a folder, as the bundle does in its bucket"
    add("sync", sync, text, add_help=False, prefix_chars="\0").add_argument("words", nargs="*")
    add("check", _check, "check credentials, cluster, language, permissions and quota", connection, as_json)
    return parser


def _entities(arguments: argparse.Namespace) -> None:
    if arguments.entity is not None:
        endpoint = get_entity(arguments.entity)
        sys.stdout.write(json_text(describe(endpoint)) if arguments.json else _entity_text(endpoint))
    elif arguments.json:
        sys.stdout.write(json_text([describe(endpoint) for endpoint in CATALOGUE.values()]))
    else:
        width = max(map(len, CATALOGUE))
        sys.stdout.writelines(f"{name:{width}}  {' '.join(row.operation_names)}\n" for name, row in CATALOGUE.items())


def _get(arguments: argparse.Namespace) -> None:
    session = prepare(arguments, "get")
    print_record(session.endpoint.name, session.client.record(session.request))


def _count(arguments: argparse.Namespace) -> None:
    session = prepare(arguments, "count")
    count = session.client.count(session.request)
    sys.stdout.write(f"{count}\n")
    if not count:
        print_note(nothing_matches(session.endpoint, session.parameters.query))


def _list(arguments: argparse.Namespace) -> None:
    from lightspeed.cli.list import print_all, print_page  # noqa: PLC0415 - the other commands do not pay for it

    (print_all if arguments.all else print_page)(arguments)


def _estimate(arguments: argparse.Namespace) -> None:
    from lightspeed.cli.estimate import print_estimate  # noqa: PLC0415 - the other commands do not pay for it

    print_estimate(arguments)


def _tap(arguments: argparse.Namespace) -> None:
    from lightspeed.cli.tap import tap  # noqa: PLC0415 - the other commands do not pay for it

    tap(arguments)


def _check(arguments: argparse.Namespace) -> int:
    client = open_client(arguments, arguments.clock)
    try:
        report = check_connection(client)
    except LightspeedError as error:
        print_note(diagnose(error, client.transport.connection))
        return 1
    sys.stdout.write(json_text(asdict(report)) if arguments.json else _report_text(report))
    return 0


def _entity_text(endpoint: Endpoint) -> str:
    lines = [endpoint.name]
    for name in endpoint.operation_names:
        operation = endpoint.operation(name)
        payload = "" if operation.payload == "none" else f"  payload {operation.payload}"
        lines.append(f"  {name:9} {operation.verb:6} {operation.path}{payload}")
    lines += [f"  no {name}: {advice}" for name, advice in endpoint.alternatives.items()]
    filters = ", ".join(f"{known.name} ({known.type})" for known in endpoint.filters)
    lines += [f"  filters: {filters or 'none known'}", f"  incremental: {endpoint.incremental or 'no'}"]
    return "\n".join(lines) + "\n"


def _report_text(report: ConnectionReport) -> str:
    unknown = "not readable with this key"
    languages = ", ".join(report.languages) if report.languages is not None else unknown
    granted = unknown
    if report.permissions is not None:
        granted = ", ".join(
            f"{group} {' and '.join(right for right, given in rights.items() if given) or 'none'}"
            for group, rights in report.permissions.items()
        )
    rows = [
        ("connected", report.origin),
        ("language", f"{report.language} (active in the shop: {languages})"),
        ("permissions", granted),
        (
            "times",
            {True: "in UTC, for filters", False: NOT_UTC, None: "not known: no order shows it"}[report.utc_filters],
        ),
    ]
    for window in report.quota:
        left = f"{window.remaining:,} of {window.limit:,} requests left of the {window.name} window"
        rows.append(("quota", f"{left}, which resets in {window.reset_seconds:,} s"))
    return table(rows)
