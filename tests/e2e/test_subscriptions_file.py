"""A file with two shops and six subscriptions is applied, changed and pruned, and its schedules start runs."""

import functools
import json
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector.clients import AwsClients
from connector.operator.main import main
from connector.operator.stack import Stack as DeployedStack
from tests.e2e.conftest import Landed, ShopSeen
from tests.local.build import ROOT
from tests.local.stack import STACK_NAME, Stack

pytestmark = pytest.mark.e2e

EXAMPLE = (ROOT / "events/subscriptions-two-shops.toml").read_text(encoding="utf-8")
WEBHOOKS = "\nwebhooks = true"
GROUP = "ScheduleGroupName"


class Aws(AwsClients):
    """Clients of the emulator."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    @functools.cache  # noqa: B019 - as the class itself does
    def client(self, service: str) -> Any:
        return self._stack.client(service)


class Operated:
    """The command line on the deployed stack."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self._file = folder / "subscriptions.toml"

    def __call__(self, *words: str) -> int:
        return main([*words, "--stack", STACK_NAME], open_stack=lambda name: DeployedStack(name, Aws(self.stack)))

    def apply(self, text: str, *words: str) -> int:
        self._file.write_text(text, encoding="utf-8")
        return self("apply", str(self._file), "--address", self.stack.outputs["ApiUrl"], *words)

    def schedules(self) -> dict[str, dict[str, Any]]:
        """The schedules of the stack's group by the names of their subscriptions."""
        client, group = self.stack.client("scheduler"), self.stack.outputs[GROUP]
        rows = client.list_schedules(GroupName=group)["Schedules"]
        found = [client.get_schedule(GroupName=group, Name=row["Name"]) for row in rows]
        return {row["Name"].rpartition("-")[0]: row for row in found}

    @contextmanager
    def fired(self, name: str) -> Iterator[str]:
        """Let the target of a schedule be started in a moment; the value is the start of its run's id.

        The emulator does not fire a schedule that was a cron expression before, so this is another one.
        """
        row = self.schedules()[name]
        client, once = self.stack.client("scheduler"), {"GroupName": self.stack.outputs[GROUP], "Name": f"once-{name}"}
        moment = (datetime.now(UTC) + timedelta(seconds=2)).strftime("at(%Y-%m-%dT%H:%M:%S)")
        client.create_schedule(
            **once, Target=row["Target"], ScheduleExpression=moment, FlexibleTimeWindow={"Mode": "OFF"}
        )
        try:
            yield str(row["Name"])
        finally:
            client.delete_schedule(**once)


@pytest.fixture
def operated(stack: Stack, shop: ShopSeen, tmp_path: Path) -> Iterator[Operated]:
    """The stack with a second shop; in the end without what the file made."""
    stack.add_connection("outlet", dict(shop.shop.connection))
    found = Operated(stack, tmp_path)
    yield found
    scheduler, group = stack.client("scheduler"), stack.outputs[GROUP]
    for row in scheduler.list_schedules(GroupName=group)["Schedules"]:
        scheduler.delete_schedule(GroupName=group, Name=row["Name"])
    stack.client("s3").delete_object(Bucket=stack.outputs["Bucket"], Key="config/subscriptions.json")
    for connection in ("default", "outlet"):
        found("webhooks", "apply", "--connection", connection, "--address", stack.outputs["ApiUrl"])


def started_runs(landed: Landed, folder: str, run_id: str) -> list[str]:
    """The manifests of runs whose id starts so."""
    return [key for key in landed.keys(folder) if f"/{run_id}-" in key]


def test_a_file_of_two_shops_is_applied_changed_and_pruned(
    operated: Operated,
    shop: ShopSeen,
    landed: Landed,
    eventually: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = EXAMPLE.replace('every = "1 hour"', 'every = "1 hour"' + WEBHOOKS).replace("customers", "brands")
    assert len([one for shop_ in tomllib.loads(file).values() for one in shop_]) == 6
    hooks = shop.get("webhooks")["webhooks"]

    # applied: six reads and two reconciles, a webhook, and the list; a second time nothing changes
    assert operated.apply(file) == 0
    reads = [f"{name}-{entity}" for name in ("default", "outlet") for entity in ("brands", "orders", "products")]
    reconciles = ["default-products-reconcile", "outlet-products-reconcile"]
    assert sorted(operated.schedules()) == sorted([*reads, *reconciles])
    assert len(shop.get("webhooks")["webhooks"]) == len(hooks) + 1
    assert len(json.loads(landed.read("config/subscriptions.json"))) == 6
    capsys.readouterr()
    assert operated.apply(file) == 0
    assert capsys.readouterr().out == "nothing to change\n"

    # the schedules of both shops start runs of Sync
    for name in ("default", "outlet"):
        with operated.fired(f"{name}-brands") as run_id:
            runs = functools.partial(started_runs, landed, f"manifests/connection={name}/entity=brands/", run_id)
            (key,) = eventually(runs, 90)
        assert json.loads(landed.read(key))["verified"] is True

    # changed: one interval, one subscription paused, one webhook more
    changed = file.replace('every = "4 hours"', 'every = "30 minutes"' + WEBHOOKS).replace(
        "[outlet.products]", "[outlet.products]\nenabled = false"
    )
    assert operated.apply(changed) == 0
    schedules = operated.schedules()
    assert "/30 * * * ? *)" in schedules["outlet-orders"]["ScheduleExpression"]
    assert [name for name, row in schedules.items() if row["State"] == "DISABLED"] == ["outlet-products", reconciles[1]]
    assert len(shop.get("webhooks")["webhooks"]) == len(hooks) + 2
    assert operated("plan", str(operated._file), "--exit-code", "--address", operated.stack.outputs["ApiUrl"]) == 0

    # pruned: only what the file no longer names
    kept = changed.partition("[outlet.products]")[0]
    assert operated.apply(kept) == 0
    assert len(operated.schedules()) == 8
    assert operated.apply(kept, "--prune") == 0
    assert sorted(operated.schedules()) == [*reads[:3], reconciles[0], "outlet-orders"]
    assert len(shop.get("webhooks")["webhooks"]) == len(hooks) + 2
    assert [
        f"{one['connection']}.{one['subscription']}" for one in json.loads(landed.read("config/subscriptions.json"))
    ] == [
        "default.brands",
        "default.orders",
        "default.products",
        "outlet.orders",
    ]
    capsys.readouterr()
    assert operated("status", "--json") in (0, 1)
    found = {f"{one['connection']}.{one['name']}": one for one in json.loads(capsys.readouterr().out)["subscriptions"]}
    assert found["outlet.brands"]["last_run"]["verified"] is True

    # the same over HTTP, and what the watcher measures, each with the rights of its own role
    answer = operated.stack.http("GET", "/status")
    assert answer.status_code == 200
    assert {one["name"] for one in answer.json()["subscriptions"]} >= {"brands", "orders", "products"}
    client = operated.stack.client("lambda")
    (watcher,) = [one["FunctionName"] for one in client.list_functions()["Functions"] if "Watch" in one["FunctionName"]]
    watched = client.invoke(FunctionName=watcher, Payload=b"{}")
    assert "FunctionError" not in watched
    assert "LagOfAllowed" in json.loads(watched["Payload"].read())
