"""`plan` and `apply`: make a stack read what `subscriptions.toml` says.

There is no state file. Both commands compare the file with the live state: the schedules of the stack's group, the
webhooks in each shop, and `config/subscriptions.json`. After an interrupted `apply`, call it again.

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
import shlex
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
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
from lightspeed.errors import TRANSIENT_ERRORS

CHANGES = 2
"""Exit status of `plan --exit-code` if there are changes."""

_SIGNS = {"create": "+", "update": "~", "delete": "-"}

FEW = 4
"""With fewer live schedules and webhooks than this, `--prune` needs no `--remove`. It never removes all schedules."""


@dataclass(frozen=True, slots=True)
class StackPlan:
    """All changes of one `apply`.

    Attributes:
        changes: The changes in the order in which `apply` makes them.
        failed: By connection, why the webhooks of its shop could not be read.
        warnings: Lines for people.
    """

    changes: Sequence[Change]
    failed: Mapping[str, str]
    warnings: Sequence[str]


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add `plan` and `apply` to the command line."""
    for name, run, text in (
        ("plan", _plan, "show what apply would change, and what the file takes of quota and money"),
        ("apply", _apply, "make the stack read what subscriptions.toml says"),
    ):
        parser = add_command(commands, common, name, text, __doc__, run)
        parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="the path of subscriptions.toml")
        parser.add_argument("--prune", action="store_true", help="remove what the file does not name")
        parser.add_argument("--remove", type=int, metavar="N", help="with --prune: allow exactly N removals")
        parser.add_argument("--resume", action="store_true", help="resume schedules that a person paused")
        origin = "origin of a custom domain for webhooks (default: that of the stack's API)"
        parser.add_argument("--address", default="", help=origin)
        if name == "plan":
            parser.add_argument("--exit-code", action="store_true", help=f"exit with {CHANGES} if there are changes")
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
        print(printable(f"! {connection}: the webhooks of its shop cannot be read: {error}"))
    for line in itertools.chain(forecast(subscriptions, stack), found.warnings):
        print(line)
    print(f"{_apply_command(arguments)} makes these changes" if found.changes else "nothing to change")
    return CHANGES if arguments.exit_code and found.changes else 0


def _apply_command(arguments: argparse.Namespace) -> str:
    """Return the `apply` that makes the changes of this `plan`."""
    words = ["python", "-m", "connector", "apply", str(arguments.file)]
    words += [f"--{name}" for name in ("prune", "resume") if getattr(arguments, name)]
    for name in ("remove", "address", "stack"):
        if (value := getattr(arguments, name, None)) not in (None, ""):
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def _apply(arguments: argparse.Namespace, stack: Stack) -> int:
    subscriptions = _subscriptions(arguments)  # before the lock, so that a wrong file does not take it
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
    """Return the changes that make the live state that of the file.

    The webhooks of a connection that the file drops go first. An `apply` that is killed after that still finds the
    connection. `config/subscriptions.json` follows, because the trigger of webhooks looks a subscription up in it.

    Raises:
        CommandError: The file names a saved transformer that does not exist, or the plan would remove too much.
        TooManyWebhooks: A shop would have more webhooks than it allows.
    """
    _check_library(wanted, stack)
    names = ("ScheduleGroupName", "SyncStateMachineArn", "ScheduleRoleArn", "RunFailureQueueArn")
    schedules = Schedules(stack.client("scheduler"), stack.clock, *map(stack.output, names))
    live = schedules.read()
    planned = schedules.plan(schedules.wanted(wanted), live, prune=arguments.prune, resume=arguments.resume)
    stored = _stored_list(stack)
    named = {one.connection for one in wanted}
    dropped = {connection_of(row) for row in live.values()} | {str(row["connection"]) for row in stored or ()}
    dropped -= named | {""}
    shops = {name: _webhook_plan(name, wanted, arguments, stack) for name in sorted(named | dropped)}
    _check_removals(arguments, planned, shops, named, stack)
    failed = {name: plan.error for name, plan in shops.items() if plan.error}
    kept = [row for row in stored or () if not arguments.prune or row["connection"] in failed.keys() & dropped]
    changes = [change for name in sorted(dropped) for change in _webhook_changes(name, shops[name], stack)]
    new_list = _new_list(wanted, stored, kept)
    if new_list is not None:
        put = partial(stack.bucket.put, SUBSCRIPTIONS, new_list, "application/json")
        changes.append((f"~ {SUBSCRIPTIONS}", put))
    changes += planned.changes
    changes += [change for name in sorted(named) for change in _webhook_changes(name, shops[name], stack)]
    now = datetime.fromtimestamp(stack.clock.time(), UTC)
    return StackPlan(changes, failed, list(_warnings(wanted, planned, now)))


def _webhook_changes(connection: str, plan: WebhookPlan, stack: Stack) -> list[Change]:
    if not plan.changes:
        return []
    shop = stack.shop(connection)
    return [
        (f"{_SIGNS[change.action]} {connection}: webhook {line_of(change)}", partial(make_change, shop, change))
        for change in plan.changes
    ]


def _subscriptions(arguments: argparse.Namespace) -> list[Subscription]:
    if arguments.file is None:
        raise CommandError("no file is named: add the path of subscriptions.toml")
    if arguments.remove is not None and not arguments.prune:
        raise CommandError("--remove needs --prune")
    found = read_file(arguments.file)
    if not found:
        raise CommandError(f"{arguments.file.name} names no subscription; nothing was changed")
    return found


def _check_library(wanted: Sequence[Subscription], stack: Stack) -> None:
    """Refuse a file that names a saved transformer that does not exist or is invalid."""
    library = S3Library(stack.client("s3"), stack.settings.bucket)
    for one in wanted:
        for key in ("input_transformer", "entity_transformer"):
            try:
                load(one.event.get(key), library)
            except TransformError as error:
                raise CommandError(f"line {one.line}: {one.title}.{key}: {error}") from error


def _stored_list(stack: Stack) -> list[dict[str, Any]] | None:
    """Return the subscriptions that the last `apply` stored; `None` before the first one."""
    body = stack.bucket.read_body(SUBSCRIPTIONS)
    if body is None:
        return None
    try:
        rows: list[dict[str, Any]] = json.loads(body)
    except ValueError as error:
        raise OperationFailed(f"{SUBSCRIPTIONS} in the bucket is not JSON; delete it, then apply again") from error
    return rows


def _new_list(
    wanted: Sequence[Subscription], stored: list[dict[str, Any]] | None, kept: Sequence[dict[str, Any]]
) -> bytes | None:
    """Return the list of subscriptions for the webhook trigger and the status; `None` if it does not change.

    Args:
        wanted: The subscriptions of the file.
        stored: The stored list; `None` if there is none.
        kept: Rows of the stored list that stay, although the file may not name them.
    """
    rows = {(row["connection"], row["subscription"]): row for row in kept}
    rows |= {(one.connection, one.name): _entry(one) for one in wanted}
    new = [rows[key] for key in sorted(rows)]
    return None if new == stored else json.dumps(new, indent=1).encode()


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
    """Return the changes of one shop's webhooks. A shop that does not answer does not stop the others.

    Without wanted webhooks, only an error that may pass counts, because a closed shop refuses for good.
    """
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
        return WebhookPlan(error=str(error) if entities or isinstance(error, TRANSIENT_ERRORS) else "")
    except aws_error_types() as error:
        return WebhookPlan(error=reason(error))


def _check_removals(
    arguments: argparse.Namespace,
    planned: SchedulePlan,
    shops: Mapping[str, WebhookPlan],
    named: Container[str],
    stack: Stack,
) -> None:
    """Refuse to remove all schedules, and to remove more than half unless `--remove` gives the exact number."""
    if not arguments.prune:
        return
    removed = planned.removed + sum(hook.action == "delete" for plan in shops.values() for hook in plan.changes)
    if removed and planned.total == planned.removed:
        raise CommandError(
            f"this would remove everything that stack {stack.name} reads ({removed} schedules and webhooks); refused"
        )
    live = planned.total + sum(plan.total for connection, plan in shops.items() if connection in named)
    if live >= FEW and removed * 2 > planned.total and removed != arguments.remove:
        raise CommandError(f"this would remove {removed} schedules and webhooks; to allow that, add --remove {removed}")
    if arguments.remove is not None and removed != arguments.remove:
        raise CommandError(f"--remove allows {arguments.remove} removals, but this would remove {removed}")


def _warnings(wanted: Sequence[Subscription], planned: SchedulePlan, now: datetime) -> Iterator[str]:
    for one in wanted:
        for cadence, _ in one.runs:
            gap = cadence.first_skipped(now)
            if gap is not None:
                missing = f"{one.title}: {gap:%H:%M} does not exist on {gap:%Y-%m-%d} in {cadence.timezone}"
                yield f"warning: {missing}, because the clock changes. That run is skipped; choose another hour"
    for title in planned.paused:
        yield f"warning: {title} is paused by hand and stays paused; --resume starts it"
    if not planned.removed:
        for title in planned.unnamed:
            yield f"warning: {title} is not in the file but keeps running; --prune removes it"
