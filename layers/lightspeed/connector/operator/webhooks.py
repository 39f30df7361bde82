"""`webhooks`: register the webhooks of a connection in its shop, test them, and report how changes arrived.

Examples:
  python -m connector webhooks plan  --connection default --entity orders products
  python -m connector webhooks apply --connection default --entity orders products
  python -m connector webhooks apply --connection default     removes all webhooks of the stack
  python -m connector webhooks test  --connection default
  python -m connector webhooks report --connection default --date 2026-11-23
"""

from __future__ import annotations

import argparse
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from connector.operator.locks import apply_lock
from connector.operator.parsers import add_command, add_group, day
from connector.operator.stack import CommandError, OperationFailed, Stack
from connector.operator.webhook_plan import ITEM_GROUPS, Change, WebhookPlan, is_own, plan_changes
from connector.webhooks.event import Webhook
from connector.webhooks.report import stored_reports
from connector.webhooks.window import Policy, dollars_a_month
from lightspeed import CLUSTERS, Client, Parameters
from lightspeed.cli.output import printable

_TIMEOUT_SECONDS = 15


class TooManyWebhooks(OperationFailed):
    """The shop would have more webhooks than it allows. Nothing was changed."""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to those of the command line."""
    verbs = add_group(commands, "webhooks", "register the webhooks of a connection in its shop", __doc__)
    helps = {
        "plan": ("show what apply would change", _plan),
        "apply": ("give the shop one webhook for each --entity, and remove the stack's other webhooks", _apply),
        "report": ("show how many changes of a day arrived by webhook, by schedule or by both", _report),
        "test": ("send a signed webhook to the stack, and look for it in the bucket", _test),
    }
    for verb, (text, run) in helps.items():
        parser = add_command(verbs, common, verb, text, __doc__, run)
        parser.add_argument("--connection", default="default", help="the connection's name (default: default)")
        if verb == "report":
            parser.add_argument("--date", type=day, help="the day, UTC (default: yesterday)")
        else:
            origin = "origin of a custom domain (default: that of the stack's API)"
            parser.add_argument("--address", default="", help=origin)
        if verb in ("plan", "apply"):
            of = f"the entities that need a webhook, of {', '.join(ITEM_GROUPS)}"
            parser.add_argument("--entity", nargs="+", default=[], choices=ITEM_GROUPS, metavar="ENTITY", help=of)


def address_of(stack: Stack, connection: str, origin: str = "") -> str:
    """Return the address of a connection's webhooks. It names the stack, so that `apply` finds the stack's webhooks.

    Args:
        stack: The deployed stack.
        connection: The connection's name.
        origin: The origin of a custom domain; empty for that of the stack's API.
    """
    return f"{(origin or stack.outputs['ApiUrl']).rstrip('/')}/webhooks/{connection}?stack={stack.name}"


def make_plan(
    shop: Client, entities: list[str], address: str, connection: str, stack: str, *, keep_others: bool = False
) -> WebhookPlan:
    """Return the changes that give the shop one webhook for each of some entities.

    Args:
        shop: The client of the connection's shop.
        entities: The entities that need a webhook.
        address: The address of the webhooks.
        connection: The connection's name.
        stack: The stack's name.
        keep_others: Whether the stack's webhooks of other entities stay. They are removed otherwise.

    Raises:
        TooManyWebhooks: The shop would have more webhooks than it allows.
        LightspeedError: The shop did not answer, or refused the request.
    """
    existing = [json.loads(row) for page in shop.pages("webhooks", Parameters()) for row in page.records]
    wanted = [
        {
            "isActive": True,
            "itemGroup": entity,
            "itemAction": "*",
            "language": shop.transport.connection.language,
            "format": "json",
            "address": address,
        }
        for entity in dict.fromkeys(entities)
    ]
    own = [
        row["id"]
        for row in existing
        if is_own(str(row.get("address", "")), connection, stack)
        and (row.get("itemGroup") in entities or not keep_others)
    ]
    found = plan_changes(existing, wanted, own)
    if any(change.action == "create" for change in found.changes):
        limits = json.loads(shop.record(shop.build("shop/limits", "get")))
        most = limits.get("maxWebhooks")
        if isinstance(most, int) and found.total > most:
            others = len(existing) - len(own)
            raise TooManyWebhooks(
                f"the shop allows {most} webhooks and would have {found.total}: {others} are not of this stack; "
                f"name fewer entities, or remove webhooks in the shop"
            )
    return found


def make_change(shop: Client, change: Change) -> None:
    """Make one change in the shop."""
    path = {} if change.id is None else {"id": change.id}
    shop.write(shop.build("webhooks", change.action, Parameters(path, payload=change.payload or None)))


def _plan(arguments: argparse.Namespace, stack: Stack) -> int:
    address = _checked_address(arguments, stack)
    found = make_plan(stack.shop(arguments.connection), arguments.entity, address, arguments.connection, stack.name)
    for change in found.changes:
        print(line_of(change))
    print(f"{len(found.changes)} to change; the shop then has {found.total} webhooks")
    runs = Policy.of(stack.settings).most_runs_a_day() * len(arguments.entity)
    if runs:
        print(f"at most {runs} runs a day, if records change all day: ${dollars_a_month(runs):.2f} a month")
    return 0


def _apply(arguments: argparse.Namespace, stack: Stack) -> int:
    shop = stack.shop(arguments.connection)
    address = _checked_address(arguments, stack)  # before the lock, so that a wrong command does not take it
    with apply_lock(stack) as made:
        found = make_plan(shop, arguments.entity, address, arguments.connection, stack.name)
        for change in found.changes:
            make_change(shop, change)
            made(line_of(change))
    if not found.changes:
        print("nothing to change")
    return 0


def _test(arguments: argparse.Namespace, stack: Stack) -> int:
    """Send a webhook in the shop's form. No subscription follows its event, `test/created`."""
    connection = stack.shop(arguments.connection).transport.connection
    now = int(stack.clock.time() * 1000)
    body = json.dumps({"test": {"id": now}}).encode()
    cluster = next((name for name, origin in CLUSTERS.items() if origin == connection.origin), "")
    headers = {
        "Content-Type": "application/json",
        "X-Shop-Id": connection.shop_id,
        "X-Cluster-Id": cluster,
        "X-Event": "test/created",
        "X-Format": "json",
        "X-Test-Id": str(now),
        "X-Signature": hashlib.md5(body + connection.webhook_secrets[0].encode()).hexdigest(),  # noqa: S324
    }
    address = _checked_address(arguments, stack)
    try:
        answer = requests.post(address, data=body, headers=headers, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        raise OperationFailed(f"no answer from {address}: {type(error).__name__}") from error
    if answer.status_code != 204:
        raise OperationFailed(f"{address} answered {answer.status_code}: {answer.text:.200}")
    sent = Webhook(arguments.connection, {name.lower(): value for name, value in headers.items()}, body, now)
    folder = sent.key.rsplit("/date=", 1)[0]
    for row in stack.bucket.objects(f"{folder}/"):
        if row["Key"].endswith(f"/{sent.id}.json"):
            print(f"received and stored: s3://{stack.settings.bucket}/{row['Key']}")
            return 0
    raise OperationFailed(f"{address} answered 204, but {folder}/ has no object {sent.id}.json")


def _report(arguments: argparse.Namespace, stack: Stack) -> int:
    yesterday = datetime.fromtimestamp(stack.clock.time(), UTC).date() - timedelta(days=1)
    date = arguments.date or yesterday.isoformat()
    reports = stored_reports(stack.bucket, arguments.connection, date)
    for report in reports:
        seconds = report.late_seconds
        late = "" if seconds is None else f", late p50 {seconds['p50']:g} s p95 {seconds['p95']:g} s"
        counts = f"{report.webhook} by webhook, {report.poll} by schedule, {report.both} by both"
        print(f"{report.subscription}: {report.changes} changes: {counts}{late}, {report.missed_percent:g} % missed")
        if report.alarm:
            print(f"{report.subscription}: {report.alarm}")
    if not reports:
        print(f"no report of {date} for {arguments.connection}")
    return 0


def _checked_address(arguments: argparse.Namespace, stack: Stack) -> str:
    address = address_of(stack, arguments.connection, arguments.address)
    if not address.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise CommandError(f"the shop sends webhooks to https addresses, not to {address:.100}")
    return address


def line_of(change: Change) -> str:
    """Return a change as one line for people."""
    words = (change.action, change.id, change.payload.get("itemGroup"))
    return printable(f"{' '.join(str(word) for word in words if word)}: {change.why}")
