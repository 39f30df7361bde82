"""`plan` and `apply`: make a stack read what `subscriptions.toml` says.

There is no state file. Both commands compare the file with what is there: the schedules of the stack's group, the
webhooks in each shop, and `config/subscriptions.json`. So an interrupted `apply` is simply run again.

Examples:
  python -m connector plan subscriptions.toml
  python -m connector apply subscriptions.toml
  python -m connector apply subscriptions.toml --prune
  python -m connector plan --schema > subscriptions.schema.json    for editors
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from connector.aws.errors import aws_error_types, reason
from connector.errors import ConnectorError
from connector.operator.locks import apply_lock
from connector.operator.parsers import add_command
from connector.operator.stack import CommandError, OperationFailed, Stack
from connector.operator.subscriptions.file import Subscription, json_schema, read_file
from connector.operator.subscriptions.forecast import forecast
from connector.operator.subscriptions.schedules import Change, SchedulePlan, Schedules, connection_of
from connector.operator.webhook_plan import WebhookPlan
from connector.operator.webhooks import TooManyWebhooks, address_of, line_of, make_change, make_plan
from connector.storage_keys import SUBSCRIPTIONS
from connector.transform import S3Library, TransformError, load
from lightspeed import LightspeedError
from lightspeed.cli.output import printable

CHANGES = 2
"""Exit status of `plan --exit-code` if there is something to do."""

_SIGNS = {"create": "+", "update": "~", "delete": "-"}

FEW = 4
"""Fewer live objects than this may be removed without `--remove`, but never all of them."""


@dataclass(frozen=True, slots=True)
class StackPlan:
    """Everything that has to be done.

    Attributes:
        changes: In the order in which they are made.
        failed: Why the webhooks of a connection's shop could not be compared.
        warnings: For people.
    """

    changes: Sequence[Change]
    failed: Mapping[str, str]
    warnings: Sequence[str]


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `plan` and `apply` to the command line."""
    for name, run, text in (
        ("plan", _plan, "show what apply would change, and what quota and money it takes"),
        ("apply", _apply, "make the stack read what subscriptions.toml says"),
    ):
        parser = add_command(commands, common, name, text, __doc__, run)
        parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="subscriptions.toml")
        parser.add_argument("--prune", action="store_true", help="remove what the file does not name")
        parser.add_argument("--remove", type=int, metavar="N", help="with --prune: exactly so many may be removed")
        parser.add_argument("--resume", action="store_true", help="go on with what a person paused")
        parser.add_argument("--address", default="", help="origin of a custom domain for webhooks")
        if name == "plan":
            parser.add_argument("--exit-code", action="store_true", help=f"exit {CHANGES} if there is something to do")
            parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the file, for editors")


def _plan(arguments: argparse.Namespace, stack: Stack) -> int:
    if arguments.schema:
        print(json.dumps(json_schema(), indent=2))
        return 0
    subscriptions = _subscriptions(arguments)
    found = make_stack_plan(subscriptions, arguments, stack)
    for line, _ in found.changes:
        print(line)
    for connection, error in found.failed.items():
        print(printable(f"! {connection}: its webhooks cannot be compared: {error}"))
    for line in itertools.chain(forecast(subscriptions, stack), found.warnings):
        print(line)
    print("python -m connector apply makes these changes" if found.changes else "nothing to change")
    return CHANGES if arguments.exit_code and found.changes else 0


def _apply(arguments: argparse.Namespace, stack: Stack) -> int:
    subscriptions = _subscriptions(arguments)  # a wrong file is refused before anything is locked
    with apply_lock(stack) as made:
        found = make_stack_plan(subscriptions, arguments, stack)
        for line, make in found.changes:
            make()
            made(line)
    for warning in found.warnings:
        print(warning)
    for connection, error in found.failed.items():
        print(printable(f"{connection}: its webhooks were left as they are: {error}"))
    if not found.changes:
        print("nothing to change")
    return 1 if found.failed else 0


def make_stack_plan(wanted: Sequence[Subscription], arguments: argparse.Namespace, stack: Stack) -> StackPlan:
    """Compare a file with what is there. The list changes first, so that a webhook finds its subscription.

    Raises:
        CommandError: It names no such transformer, or would remove too much; nothing was changed.
        TooManyWebhooks: A shop would have more webhooks than it allows; nothing was changed.
    """
    _check_library(wanted, stack)
    names = ("ScheduleGroupName", "SyncStateMachineArn", "ScheduleRoleArn", "RunFailureQueueArn")
    schedules = Schedules(stack.client("scheduler"), stack.clock, *map(stack.output, names))
    live = schedules.read()
    planned = schedules.plan(schedules.wanted(wanted), live, prune=arguments.prune, resume=arguments.resume)
    present_list = _present_list(stack)
    connections = sorted(
        {one.connection for one in wanted}
        | {connection_of(row) for row in live.values()} - {""}
        | {str(row["connection"]) for row in present_list or ()}
    )
    shops = {one: _webhook_plan(one, wanted, arguments, stack) for one in connections}
    _check_removals(arguments, planned, shops, {one.connection for one in wanted}, stack)
    listed, shop_of = _new_list(wanted, present_list, prune=arguments.prune), cache(stack.shop)
    changes = list(planned.changes)
    if listed is not None:
        changes.insert(0, (f"~ {SUBSCRIPTIONS}", partial(stack.bucket.put, SUBSCRIPTIONS, listed, "application/json")))
    changes += [
        (f"{_SIGNS[hook.action]} {name}: webhook {line_of(hook)}", partial(make_change, shop_of(name), hook))
        for name, one in shops.items()
        for hook in one.changes
    ]
    failed = {name: one.error for name, one in shops.items() if one.error}
    now = datetime.fromtimestamp(stack.clock.time(), UTC)
    return StackPlan(changes, failed, list(_warnings(wanted, planned, now)))


def _subscriptions(arguments: argparse.Namespace) -> list[Subscription]:
    if arguments.file is None:
        raise CommandError("which file? name it, such as subscriptions.toml")
    if arguments.remove is not None and not arguments.prune:
        raise CommandError("--remove goes with --prune")
    found = read_file(arguments.file)
    if not found:
        raise CommandError(f"{arguments.file.name} names no subscription; nothing was changed")
    return found


def _check_library(wanted: Sequence[Subscription], stack: Stack) -> None:
    """Refuse a file that names a saved transformer that is not there, or is none."""
    library = S3Library(stack.client("s3"), stack.settings.bucket)
    for one in wanted:
        for key in ("input_transformer", "entity_transformer"):
            try:
                load(one.event.get(key), library)
            except TransformError as error:
                raise CommandError(f"line {one.line}: {one.title}.{key}: {error}") from error


def _present_list(stack: Stack) -> list[dict[str, Any]] | None:
    found = stack.bucket.body(SUBSCRIPTIONS)
    if found is None:
        return None
    try:
        rows: list[dict[str, Any]] = json.loads(found)
    except ValueError as error:
        raise OperationFailed(f"{SUBSCRIPTIONS} in the bucket is no JSON; remove it, then apply again") from error
    return rows


def _new_list(wanted: Sequence[Subscription], now: list[dict[str, Any]] | None, *, prune: bool) -> bytes | None:
    """Return the list for the webhook trigger and the status, or `None` if it is there already."""
    rows = {(one.connection, one.name): _entry(one) for one in wanted}
    if not prune:
        rows = {(row["connection"], row["subscription"]): row for row in now or ()} | rows
    new = [rows[key] for key in sorted(rows)]
    return None if new == now else json.dumps(new, indent=1).encode()


def _entry(one: Subscription) -> dict[str, Any]:
    cadences = {"every": one.cadence, "reconcile": one.reconcile}
    return {
        "connection": one.connection,
        "subscription": one.name,
        "entity": one.entity,
        "webhooks": one.webhooks and one.enabled,
        "event": dict(one.event),
        "enabled": one.enabled,
        **{key: asdict(each) for key, each in cadences.items() if each is not None},
    }


def _webhook_plan(
    connection: str, wanted: Sequence[Subscription], arguments: argparse.Namespace, stack: Stack
) -> WebhookPlan:
    """Compare the webhooks of one shop. A shop that cannot be asked does not stop the others."""
    entities = sorted({one.entity for one in wanted if one.connection == connection and one.webhooks})
    if not entities and not arguments.prune:
        return WebhookPlan()
    address = address_of(stack, connection, arguments.address)
    try:
        shop = stack.shop(connection)
        return make_plan(shop, entities, address, connection, stack.name, keep_others=not arguments.prune)
    except TooManyWebhooks as error:
        raise TooManyWebhooks(f"{connection}: {error}") from error
    except (LightspeedError, ConnectorError) as error:
        return WebhookPlan(error=str(error) if entities else "")
    except aws_error_types() as error:
        return WebhookPlan(error=reason(error) if entities else "")


def _check_removals(
    arguments: argparse.Namespace,
    planned: SchedulePlan,
    shops: Mapping[str, WebhookPlan],
    named: Container[str],
    stack: Stack,
) -> None:
    """Refuse to remove everything, and more than half unless the exact number is given."""
    if not arguments.prune:
        return
    removed = planned.removed + sum(change.action == "delete" for one in shops.values() for change in one.changes)
    if removed and planned.total == planned.removed:
        raise CommandError(
            f"this would remove everything that stack {stack.name} reads ({removed} schedules and webhooks); refused"
        )
    live = planned.total + sum(one.total for connection, one in shops.items() if connection in named)
    if live >= FEW and removed * 2 > planned.total and removed != arguments.remove:
        raise CommandError(
            f"this would remove {removed} schedules and webhooks; if it is meant, add --remove {removed}"
        )
    if arguments.remove is not None and removed != arguments.remove:
        raise CommandError(f"--remove {arguments.remove} was given, but this would remove {removed}")


def _warnings(wanted: Sequence[Subscription], planned: SchedulePlan, now: datetime) -> Iterator[str]:
    for one in wanted:
        for cadence, _ in one.runs:
            gap = cadence.skipped(now)
            if gap is not None:
                gone = f"{one.title}: {gap:%H:%M} does not exist on {gap:%Y-%m-%d} in {cadence.timezone}"
                yield f"warning: {gone}, because the clock changes; that run is left out. Another hour avoids it"
    for title in planned.paused:
        yield f"warning: {title} is paused by hand and stays paused; --resume starts it"
    if not planned.removed:
        for title in planned.unnamed:
            yield f"warning: {title} is not in the file and goes on; --prune removes it"
