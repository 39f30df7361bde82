"""`plan` and `apply` of subscriptions.toml: what they make, what they leave alone, and what a kill leaves behind."""

import io
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from urllib3.exceptions import ProtocolError

from connector.operator.locks import APPLY_KEY as LOCK
from lightspeed.http_session import Answer, Session
from tests.integration.operator.conftest import GROUP, SYNC, Operated
from tests.shop import Fault
from tests.support.aws import moto_client

FILE = """
[default.orders]
every = "15 minutes"
webhooks = true

[default.products]
every = "1 day"
at = "03:00"
timezone = "Europe/Amsterdam"
languages = ["nl", "en"]
reconcile = "7 days"

[outlet.open-orders]
entity = "orders"
every = "5 minutes"
parameters = { query = { status = "processing_awaiting_shipment" } }
entity_transformer = "s3:config/transformers/slim.jsonata"

[outlet.products]
every = "6 hours"
webhooks = true
"""


@pytest.fixture(autouse=True)
def slim(operated: Operated) -> None:
    operated.put("config/transformers/slim.jsonata", {})


def names(operated: Operated) -> list[str]:
    return [name.rpartition("-")[0] for name in sorted(operated.schedules())]


def test_apply_makes_schedules_webhooks_and_the_list(operated: Operated) -> None:
    assert operated("apply", operated.file(FILE)) == 0

    assert names(operated) == [
        "default-orders",
        "default-products",
        "default-products-reconcile",
        "outlet-open-orders",
        "outlet-products",
    ]
    assert operated.hooks() == [("default", "orders"), ("outlet", "products")]
    by_name = {name.rpartition("-")[0]: row for name, row in operated.schedules().items()}
    daily = by_name["default-products"]
    assert (daily["ScheduleExpression"], daily["ScheduleExpressionTimezone"]) == (
        "cron(0 3 * * ? *)",
        "Europe/Amsterdam",
    )
    assert daily["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    target = by_name["outlet-open-orders"]["Target"]
    event = json.loads(target["Input"])
    assert target["Arn"] == SYNC
    assert target["DeadLetterConfig"]["Arn"].endswith(":runs")
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 150, "MaximumRetryAttempts": 2}
    assert event.pop("run_id") == next(name for name in operated.schedules() if name.startswith("outlet-open-orders"))
    assert event == {
        "connection": "outlet",
        "entity": "orders",
        "mode": "incremental",
        "subscription": "open-orders",
        "parameters": {"query": {"status": "processing_awaiting_shipment"}},
        "entity_transformer": {"$ref": "s3:config/transformers/slim.jsonata"},
        "scheduled_time": "<aws.scheduler.scheduled-time>",
    }
    assert json.loads(by_name["default-products-reconcile"]["Target"]["Input"])["mode"] == "reconcile"
    assert [(row["connection"], row["subscription"], row["webhooks"]) for row in operated.listed()] == [
        ("default", "orders", True),
        ("default", "products", False),
        ("outlet", "open-orders", False),
        ("outlet", "products", True),
    ]


def test_an_apply_whose_output_is_closed_does_not_end_as_if_all_was_done(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    file = operated.file(FILE)
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", Closed())
        assert operated("apply", file) == 1
    assert capsys.readouterr().err == "connector: the output was closed; run the command again to do the rest\n"
    assert operated("apply", file) == 0
    assert operated("apply", file) == 0
    assert capsys.readouterr().out.endswith("nothing to change\n")


def test_a_second_apply_changes_nothing(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    file = operated.file(FILE)
    assert operated("plan", file, "--exit-code") == 2
    assert operated("apply", file) == 0
    before = operated.schedules(), operated.hooks()
    capsys.readouterr()

    assert operated("apply", file) == 0
    assert capsys.readouterr().out == "nothing to change\n"
    assert operated("plan", file, "--exit-code") == 0
    assert (operated.schedules(), operated.hooks()) == before


def test_a_plan_names_the_quota_and_the_money(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    assert operated("plan", operated.file(FILE)) == 0

    shown = capsys.readouterr().out
    assert "+ schedule default.products (reconcile): cron(" in shown
    assert "+ default: webhook create orders: missing in the shop" in shown
    assert "default: 97 runs and about " in shown
    assert "\n  default.orders: 96 runs and about " in shown
    assert "\n  default.products: 1.1 runs and about " in shown
    assert re.search(
        r"\n  outlet\.open-orders: 288 runs and about [\d,]+ requests a day; about \$1\.\d\d a month", shown
    )
    assert "default: webhooks add at most 327 runs a day, if records change all day: $" in shown
    assert operated.schedules() == {}
    assert operated.hooks() == []


def test_a_plan_without_the_right_to_read_secrets_counts_nothing(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(call: str) -> None:
        if call == "GetSecretValue":
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, call)

    operated.aws.before_call = refuse

    assert operated("plan", operated.file('[default.orders]\nevery = "15 minutes"\n')) == 0
    shown = capsys.readouterr().out
    assert "+ schedule default.orders" in shown
    assert "default: not counted: " in shown
    assert "AccessDeniedException" in shown
    assert "default: 96 runs and an unknown number of requests a day; about $" in shown
    assert "\n  default.orders: 96 runs and an unknown number of requests a day; about $" in shown
    assert shown.count("not counted: ") == 1


def test_a_plan_says_that_requests_of_a_list_that_cannot_be_counted_come_on_top(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    operated.shop.faults.next(Fault.answers(403), times=9, path_contains="orders/count")
    text = "".join(f'[default.{entity}]\nevery = "1 hour"\n' for entity in ("orders", "products"))

    assert operated("plan", operated.file(text)) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^default: 48 runs and more than \d+ requests a day", shown, re.MULTILINE)
    assert "\n  default.orders: 24 runs and an unknown number of requests a day" in shown
    assert re.search(r"\n  default\.products: 24 runs and about \d+ requests a day", shown)
    assert "\ndefault: not counted: default.orders: " in shown


def test_killed_at_every_call_the_next_apply_makes_the_rest(operated: Operated) -> None:
    file = operated.file(FILE)
    writes = ("CreateSchedule", "PutObject")

    class Killed(BaseException):
        pass

    def once(number: int) -> None:
        seen = 0

        def kill(name: str) -> None:
            nonlocal seen
            seen += name in writes
            if seen == number:
                raise Killed

        operated.aws.before_call = kill

    for number in range(1, 5):
        once(number)
        with pytest.raises(Killed):
            operated("apply", file)
        operated.clock.advance(601)  # the lock of the killed one expires
    operated.aws.before_call = lambda _: None
    assert operated("apply", file) == 0
    assert len(operated.schedules()) == 5
    assert operated.hooks() == [("default", "orders"), ("outlet", "products")]
    assert operated("plan", file, "--exit-code") == 0


def test_one_apply_at_a_time(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    operated.put(LOCK, {"owner": "ann@laptop", "until": "2026-11-23T06:05:00+00:00"})

    assert operated("apply", operated.file(FILE)) == 1
    assert "ann@laptop runs apply now" in capsys.readouterr().err
    assert operated.schedules() == {}
    operated.clock.advance(600)
    assert operated("apply", operated.file(FILE)) == 0


def test_what_a_person_paused_stays_paused(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    operated("apply", operated.file(FILE))
    name, row = next((name, row) for name, row in operated.schedules().items() if name.startswith("default-orders"))
    kept = ("Target", "ScheduleExpression", "FlexibleTimeWindow", "Description")
    change = {key: row[key] for key in kept}
    moto_client("scheduler").update_schedule(Name=name, GroupName=GROUP, State="DISABLED", **change)

    assert operated("apply", operated.file(FILE.replace("15 minutes", "20 minutes"))) == 0
    assert "default.orders is paused by hand" in capsys.readouterr().out
    assert operated.schedules()[name]["State"] == "DISABLED"
    assert "/20 * * * ? *)" in operated.schedules()[name]["ScheduleExpression"]
    assert operated("apply", operated.file(FILE), "--resume") == 0
    assert operated.schedules()[name]["State"] == "ENABLED"


def test_the_file_pauses_and_resumes(operated: Operated) -> None:
    paused = FILE.replace("webhooks = true\n", "webhooks = true\nenabled = false\n", 1)
    operated("apply", operated.file(paused))
    name = next(name for name in operated.schedules() if name.startswith("default-orders"))
    assert operated.schedules()[name]["State"] == "DISABLED"
    assert operated.listed()[0]["webhooks"] is False

    operated("apply", operated.file(FILE))
    assert operated.schedules()[name]["State"] == "ENABLED"


def test_what_the_file_no_longer_names_goes_only_with_prune(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    operated("apply", operated.file(FILE))
    less = FILE.partition("[outlet.products]")[0]

    assert operated("apply", operated.file(less)) == 0
    assert "outlet.products is not in the file but keeps running; --prune removes it" in capsys.readouterr().out
    assert len(operated.schedules()) == 5
    assert operated("plan", operated.file(less), "--prune", "--exit-code") == 2
    same = f"python -m connector apply {operated.file(less)} --prune --stack mine makes these changes"
    assert same in capsys.readouterr().out
    assert operated("apply", operated.file(less), "--prune") == 0
    assert names(operated)[-1] == "outlet-open-orders"
    assert operated.hooks() == [("default", "orders")]
    assert [row["subscription"] for row in operated.listed()] == ["orders", "products", "open-orders"]


def test_webhooks_of_a_connection_that_is_dropped_go_although_the_first_apply_is_killed_or_the_shop_is_down(
    operated: Operated, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operated("apply", operated.file(FILE))
    less = operated.file(FILE.partition("[outlet.")[0])
    request = Session.request

    def interrupted(session: Session, method: str, url: str, **more: Any) -> Answer:
        if method == "DELETE":
            raise KeyboardInterrupt
        if method == "GET" and is_down:
            raise ProtocolError("no answer")
        return request(session, method, url, **more)

    monkeypatch.setattr(Session, "request", interrupted)
    is_down = True
    assert operated("apply", less, "--prune") == 1
    assert "outlet: its webhooks were left as they are: " in capsys.readouterr().out
    is_down = False
    assert operated("apply", less, "--prune") == 130
    monkeypatch.setattr(Session, "request", request)
    assert operated.hooks() == [("default", "orders"), ("outlet", "products")]

    assert operated("apply", less, "--prune") == 0
    assert operated.hooks() == [("default", "orders")]
    assert {row["connection"] for row in operated.listed()} == {"default"}
    assert len(operated.schedules()) == 3


def test_prune_never_removes_everything_and_more_than_half_only_by_number(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    operated("apply", operated.file(FILE))
    other = operated.file('[new.brands]\nevery = "1 day"\nat = "04:00"\nmode = "full"\n')
    assert operated("apply", other, "--prune", "--remove", "7") == 2
    assert operated("apply", operated.file("# nothing\n"), "--prune") == 2
    one = operated.file('[default.orders]\nevery = "15 minutes"\nwebhooks = true\n')
    assert operated("apply", one, "--prune") == 2
    error = capsys.readouterr().err
    assert "would remove everything" in error
    assert "names no subscription; nothing was changed" in error
    assert "add --remove 5" in error
    assert len(operated.schedules()) == 5
    assert operated("apply", one, "--prune", "--remove", "5") == 0
    assert names(operated) == ["default-orders"]
    assert operated.hooks() == [("default", "orders")]


def test_more_webhooks_than_the_shop_allows_refuse_the_whole_file(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = ["contacts", "customers", "invoices", "orders", "products", "quotes", "returns", "reviews", "shipments"]
    text = "".join(f'[default.{group}]\nevery = "1 hour"\nwebhooks = true\n' for group in [*groups, "tickets"])

    assert operated("apply", operated.file(text)) == 1
    assert "default: the shop allows 10 webhooks and would have" in capsys.readouterr().err
    assert operated.schedules() == {}
    assert operated.hooks() == []


def test_a_shop_that_cannot_be_asked_does_not_stop_the_others(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    moto_client("secretsmanager").put_secret_value(
        SecretId="mine/outlet",
        SecretString=json.dumps(
            {"base_url": operated.shop.url, "api_key": "wrong", "api_secret": "wrong", "language": "nl"}
        ),
    )

    assert operated("apply", operated.file(FILE)) == 1
    assert "outlet: its webhooks were left as they are" in capsys.readouterr().out
    assert operated.hooks() == [("default", "orders")]
    assert len(operated.schedules()) == 5


def test_a_transformer_that_is_not_stored_is_named(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    assert operated("plan", operated.file(FILE.replace("slim.", "slimmer."))) == 2
    assert capsys.readouterr().err.startswith("connector: line 13: outlet.open-orders.entity_transformer: there is no")


def test_every_mistake_of_a_file_is_one_line(operated: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    assert operated("apply", operated.file('[default.orders]\nevry = "1 day"\nwebhooks = 3\n')) == 2
    assert capsys.readouterr().err.splitlines()[1:] == [
        "connector: subscriptions.toml:2: default.orders.evry: unknown key; did you mean every? (known: every, at, "
        "timezone, entity, webhooks, enabled, reconcile, languages, parameters, input_transformer, entity_transformer, "
        "mode, since, max_rejected_percent, max_deleted_percent)",
        "connector: subscriptions.toml:3: default.orders.webhooks: webhooks must be true or false, not a whole number",
    ]


def test_a_busy_scheduler_is_asked_again(operated: Operated) -> None:
    refusals = ["ConflictException", "ThrottlingException"]

    def refuse(name: str) -> None:
        if name == "CreateSchedule" and refusals:
            raise ClientError({"Error": {"Code": refusals.pop(), "Message": "busy"}}, name)

    operated.aws.before_call = refuse
    assert operated("apply", operated.file(FILE)) == 0
    assert refusals == []
    assert len(operated.schedules()) == 5
