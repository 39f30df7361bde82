"""The trigger's handler on SQS, DynamoDB, Step Functions and S3."""

import json
from typing import Any

import pytest
from moto.sqs.models import sqs_backends

from connector.aws.bucket import Bucket
from connector.operator.webhook_plan import ITEM_GROUPS
from connector.settings import Settings
from connector.webhooks.window import LAG_SECONDS, Policy
from subscribe.checks import subscribe_request
from tests.integration.webhook.conftest import Account
from tests.support.clock import FakeClock
from tests.support.lambda_context import Context
from webhook import trigger
from webhook.debounce import Mark, Run
from webhook.trigger import AwsCloud

NOON = 1_795_435_200.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock(NOON)
    monkeypatch.setattr(trigger, "SystemClock", lambda: clock)
    return clock


def cloud(account: Account, clock: FakeClock) -> AwsCloud:
    settings = Settings(
        idempotency_table=account.table,
        sync_state_machine_arn=account.state_machine,
        webhook_queue_url=account.queue,
    )
    return AwsCloud(account.aws, settings, clock)


def handle(*messages: Any) -> dict[str, Any]:
    records = [
        {"messageId": str(number), "body": message if isinstance(message, str) else json.dumps(message)}
        for number, message in enumerate(messages)
    ]
    return trigger.lambda_handler({"Records": records}, Context("request", function_name="webhook-trigger"))


def webhook(entity: str = "orders", action: str = "updated", identity: str = "7", at: float = NOON) -> dict[str, Any]:
    return {"connection": "default", "entity": entity, "action": action, "id": identity, "received": int(at * 1000)}


def ticks(account: Account) -> list[dict[str, Any]]:
    """Take the ticks out of the queue, whatever their delay."""
    found: Any = sqs_backends["123456789012"]["eu-west-1"].queues[account.queue.rsplit("/", 1)[1]]
    bodies = [json.loads(message.body) for message in found._messages]
    found._messages.clear()
    return bodies


def test_webhooks_of_a_subscription_become_one_run_of_sync(account: Account, clock: FakeClock) -> None:
    assert handle(*[webhook(at=NOON + number / 100) for number in range(10)]) == {"batchItemFailures": []}
    (tick,) = ticks(account)
    clock.set(tick["at"] + LAG_SECONDS)

    handle(tick)

    ((name, event),) = account.runs().items()
    assert name.startswith("20261123T1200")
    assert event == {"connection": "default", "entity": "orders", "mode": "incremental", "subscription": "orders"}
    (look,) = ticks(account)
    clock.set(look["at"])
    account.end(name)
    handle(look)
    assert ticks(account) == []
    assert len(account.runs()) == 1


def test_the_stored_list_says_which_subscriptions_follow(account: Account, clock: FakeClock) -> None:
    listed = [
        {
            "connection": "default",
            "subscription": "open-orders",
            "entity": "orders",
            "webhooks": True,
            "event": {"parameters": {"query": {"status": "on_hold"}}},
        },
        {"connection": "default", "subscription": "orders", "entity": "orders", "webhooks": False},
        {"connection": "outlet", "subscription": "orders", "entity": "orders", "webhooks": True},
    ]
    account.put("config/subscriptions.json", listed)
    handle(webhook(), webhook("products"), webhook("unknown"))
    (tick,) = ticks(account)
    clock.set(tick["at"])

    handle(tick)

    assert list(account.runs().values()) == [
        {
            "connection": "default",
            "entity": "orders",
            "mode": "incremental",
            "subscription": "open-orders",
            "parameters": {"query": {"status": "on_hold"}},
        }
    ]


def test_deleted_records_are_asked_for_by_id_at_most_a_hundred_in_a_window(account: Account, clock: FakeClock) -> None:
    handle(*[webhook("products", "deleted", str(number)) for number in range(150)])
    clock.advance(LAG_SECONDS)

    handle(*ticks(account))

    (asked,) = [event for event in account.runs().values() if event["mode"] == "reconcile"]
    assert asked == {
        "connection": "default",
        "entity": "products",
        "subscription": "products",
        "mode": "reconcile",
        "ids": list(range(100)),
    }


def test_an_entity_without_a_filter_by_change_is_read_by_id_and_beyond_ten_as_a_whole(
    account: Account, clock: FakeClock
) -> None:
    handle(webhook("contacts", identity="1"), webhook("contacts", identity="2"))
    clock.advance(LAG_SECONDS)
    handle(*ticks(account))
    ((first, few),) = account.runs().items()
    for number in range(11):
        handle(webhook("contacts", identity=str(number), at=clock.now()))
    account.end(first)
    clock.advance(60)
    handle(*ticks(account))

    assert few == {"connection": "default", "entity": "contacts", "ids": [1, 2]}
    assert account.runs()[max(account.runs())] == {"connection": "default", "entity": "contacts"}


def test_subscribe_takes_every_event_that_a_webhook_leads_to(account: Account, clock: FakeClock) -> None:
    handle(*[webhook(entity, "deleted", str(number)) for number, entity in enumerate(ITEM_GROUPS)])
    clock.advance(LAG_SECONDS)
    handle(*ticks(account))

    requests = [subscribe_request(event) for event in account.runs().values()]
    assert sorted(request.entity for request in requests) == sorted(2 * ITEM_GROUPS)
    assert {(request.mode, request.ids is None) for request in requests} == {
        ("incremental", True),
        ("full", False),
        ("reconcile", False),
    }


def test_a_subscription_with_parameters_of_its_own_is_read_as_it_says(account: Account, clock: FakeClock) -> None:
    event = {"parameters": {"query": {"fields": "id"}}}
    entry = {"connection": "default", "subscription": "c", "entity": "contacts", "webhooks": True, "event": event}
    account.put("config/subscriptions.json", [entry])
    handle(webhook("contacts"))
    clock.advance(LAG_SECONDS)
    handle(*ticks(account))

    assert list(account.runs().values()) == [{"connection": "default", "entity": "contacts", **event}]


@pytest.mark.usefixtures("clock")
def test_a_message_that_cannot_be_handled_stops_no_other(account: Account) -> None:
    assert handle("no JSON", webhook()) == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert len(ticks(account)) == 1


def test_a_mark_is_written_only_over_what_was_read(account: Account, clock: FakeClock) -> None:
    marks = cloud(account, clock)
    mark = Mark(1.5, 2.5, ("1",), event={"entity": "orders"}, run=Run(1.0, 2.0, name="r", event={}))

    assert marks.load("a#b") == (None, 0)
    assert marks.save("a#b", mark, 0)
    assert marks.load("a#b") == (mark, 1)
    for version in (0, 2):
        assert not marks.save("a#b", mark, version)
    assert marks.save("a#b", mark, 1)
    assert marks.load("a#b") == (mark, 2)


def test_a_limit_is_counted_once_for_all_consumers(account: Account, clock: FakeClock) -> None:
    marks = cloud(account, clock)

    assert [marks.allow("c#1", wanted, 100) for wanted in (60, 30, 30, 5)] == [60, 30, 10, 0]
    assert marks.allow("c#2", 5, 100) == 5


def test_a_run_is_started_once_and_what_became_of_it_is_known(account: Account) -> None:
    runs = cloud(account, FakeClock(NOON))
    assert runs.status("x") == "missing"

    for _ in range(2):
        runs.start(Run(1.0, 2.0, name="x", event={"entity": "orders"}))

    assert runs.status("x") == "running"
    assert list(account.runs()) == ["x"]


def test_a_tick_waits_at_most_as_long_as_the_queue_lets_it(account: Account) -> None:
    sent = cloud(account, FakeClock(NOON))
    sent.tick("{}", 0.0)
    sent.tick('{"long": 1}', 5_000.0)

    assert ticks(account) == [{}, {"long": 1}]


def test_an_object_that_is_not_there_is_none(account: Account) -> None:
    s3 = account.client("s3")
    s3.put_object(Bucket=account.bucket, Key="a", Body=b"x")

    assert Bucket(s3, account.bucket).read_body("a") == b"x"
    assert Bucket(s3, account.bucket).read_body("b") is None


def test_the_window_of_a_busy_day_is_longer() -> None:
    policy = Policy(60, 300, 30)

    assert [policy.window(runs) for runs in (0, 29, 30, 31)] == [60, 60, 300, 300]
