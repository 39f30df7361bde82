"""`python -m connector webhooks` against a simulated shop and a stack on moto."""

import json
import os
import signal
from collections.abc import Callable, Iterator

import msgspec
import pytest
from botocore.exceptions import ConnectTimeoutError
from moto import mock_aws

from connector.operator.main import main
from connector.operator.stack import Stack
from connector.webhooks.report import Report
from tests.shop import Clock, Shop
from tests.shop.exchange import Request
from tests.support.aws import CloudFormation, FakedClients, moto_client

NOW = 1_795_413_600
ADDRESS = "https://api.example/webhooks/default?stack=mine"
Command = Callable[..., int]


def open_stack(name: str) -> Stack:
    described = CloudFormation({"ApiUrl": "https://api.example", "Bucket": "bucket"})
    return Stack(name, FakedClients(cloudformation=described))


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(orders=1, products=1, clock=Clock(frozen_at=NOW), quota=None, rate_per_second=None) as shop:
        yield shop


@pytest.fixture
def command(shop: Shop) -> Iterator[Command]:
    """Run a command on a stack whose connection leads to the shop."""
    with mock_aws():
        settings = {"base_url": shop.url, "api_key": shop.api_key, "api_secret": shop.api_secret, "language": "nl"}
        moto_client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        moto_client("secretsmanager").create_secret(Name="mine/default", SecretString=json.dumps(settings))
        yield lambda *words: main(["webhooks", *words, "--stack", "mine"], open_stack=open_stack)


def hooks(shop: Shop) -> list[tuple[str, str, bool]]:
    rows = shop.store.rows("webhooks")
    own = [row for row in rows if row["address"] == ADDRESS]
    return sorted((row["itemGroup"], row["itemAction"], row["isActive"]) for row in own)


def test_a_plan_changes_nothing_and_says_if_there_is_something_to_do(
    shop: Shop, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("plan", "--entity", "orders") == 0
    shown = capsys.readouterr().out
    assert "create orders: missing in the shop\n" in shown
    assert "at most 327 runs a day, if records change all day: $1." in shown
    assert hooks(shop) == []


def test_apply_makes_them_and_a_second_one_changes_nothing(
    shop: Shop, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    others = shop.store.rows("webhooks")

    assert command("apply", "--entity", "orders", "products") == 0
    assert hooks(shop) == [("orders", "*", True), ("products", "*", True)]
    assert command("apply", "--entity", "orders", "products") == 0
    assert capsys.readouterr().out.endswith("nothing to change\n")
    assert command("plan", "--entity", "orders", "products") == 0
    assert capsys.readouterr().out.startswith("0 to change;")
    assert command("apply") == 0
    assert shop.store.rows("webhooks") == others


def test_apply_switches_on_and_repairs(shop: Shop, command: Command) -> None:
    command("apply", "--entity", "orders")
    identity = max(shop.store.ids("webhooks"))
    shop.store.update("webhooks", identity, isActive=False, itemAction="created")

    assert command("apply", "--entity", "orders") == 0
    assert hooks(shop) == [("orders", "*", True)]


def test_a_second_copy_of_apply_waits_for_the_first_and_nothing_is_registered_twice(
    shop: Shop, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses: list[int] = []

    def second(request: Request) -> None:
        if request.method == "POST" and not statuses:
            statuses.append(command("apply", "--entity", "orders", "products"))

    shop.on_request(second)

    assert command("apply", "--entity", "orders", "products") == 0
    assert statuses == [1]
    assert "runs apply now; wait, at the latest until" in capsys.readouterr().err
    assert hooks(shop) == [("orders", "*", True), ("products", "*", True)]


def test_an_interrupted_apply_ends_after_its_call_and_the_next_one_makes_the_rest(
    shop: Shop, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(request: Request) -> None:
        if request.method == "POST" and not hooks(shop):
            os.kill(os.getpid(), signal.SIGINT)

    shop.on_request(interrupt)

    assert command("apply", "--entity", "orders", "products") == 130
    assert "run the command again" in capsys.readouterr().out
    assert hooks(shop) == [("orders", "*", True)]
    assert command("apply", "--entity", "orders", "products") == 0
    assert hooks(shop) == [("orders", "*", True), ("products", "*", True)]


def test_at_the_shops_limit_those_that_are_there_are_changed_and_more_are_refused(
    shop: Shop, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    others = shop.store.count("webhooks")
    groups = ["contacts", "customers", "invoices", "orders", "products", "quotes", "returns", "reviews", "shipments"]
    assert command("apply", "--entity", *groups[: 10 - others]) == 0
    before = hooks(shop)

    assert command("apply", "--entity", *groups[: 11 - others], "tickets") == 1
    assert "the shop allows 10 webhooks and would have 11" in capsys.readouterr().err
    assert hooks(shop) == before
    assert command("apply", "--entity", *groups[1 : 10 - others], "tickets") == 0
    assert len(hooks(shop)) == 10 - others
    assert "tickets" in [group for group, _, _ in hooks(shop)]


def test_the_report_of_a_day_is_shown(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    s3 = moto_client("s3")
    late = {"p50": 19.0, "p95": 40.5}
    report = Report("default", "orders", "orders", "2026-11-23", 9, 10, 6, 3, 1, late, 30.0, "look")
    key = "state/reports/connection=default/date=2026-11-23/orders.json"
    s3.put_object(Bucket="bucket", Key=key, Body=msgspec.json.encode(report))

    assert command("report", "--date", "2026-11-23") == 0
    assert command("report", "--date", "2026-11-24") == 0
    assert capsys.readouterr().out.splitlines() == [
        "orders: 10 changes: 6 by webhook, 3 by schedule, 1 by both, late p50 19 s p95 40.5 s, 30 % missed",
        "orders: look",
        "no report of 2026-11-24 for default",
    ]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["plan", "--connection", "unknown"], 2, "unknown connection"),
        (["plan", "--address", "http://shop.example"], 2, "https addresses"),
        (["test", "--address", "http://127.0.0.1:9"], 1, "no answer from http://127.0.0.1:9/webhooks/default"),
    ],
)
def test_what_goes_wrong_is_one_line(
    command: Command, capsys: pytest.CaptureFixture[str], words: list[str], status: int, message: str
) -> None:
    assert command(*words) == status
    error = capsys.readouterr().err
    assert error.startswith("connector: ")
    assert error.count("\n") == 1
    assert message in error


def test_an_unknown_stack_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["webhooks", "plan", "--stack", "other"], open_stack=open_stack) == 2
    assert capsys.readouterr().err == "connector: there is no stack named other; name it with --stack\n"


def test_aws_that_does_not_answer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def open_stack_of_nowhere(_: str) -> Stack:
        raise ConnectTimeoutError(endpoint_url="https://cloudformation.example", error="timed out")

    assert main(["runs", "--stack", "mine"], open_stack=open_stack_of_nowhere) == 1
    assert capsys.readouterr().err.startswith("connector: Connect timeout on endpoint URL: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: COMMAND (python -m connector --help explains it)"),
        (["webhooks"], "the following arguments are required: VERB (python -m connector webhooks --help explains it)"),
        (["webhooks", "plan", "--entity", "brands"], "argument --entity: invalid choice: 'brands'"),
        (["webhooks", "report", "--date", "x"], "argument --date: "),
        (["forget"], "the following arguments are required: --connection"),
        (["x" * 5000], f"argument COMMAND: invalid choice: '{'x' * 99}… "),
        (["run", "none.json"], "none.json: No such file or directory"),
        (["plan", "none.toml"], "none.toml: No such file or directory"),
    ],
)
def test_a_wrong_command_is_one_line_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words, open_stack=open_stack) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"connector: {message}")
    assert error.count("\n") == 1
