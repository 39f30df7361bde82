"""`status`: what is red, why, and which command helps."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.operator.conftest import GROUP, NOW, Operated
from tests.integration.operator.test_redrive import put as put_message
from tests.support.aws import moto_client

EVIL = '"><img src=x onerror=1>\x1b]0;x'
FILE = """
[default.orders]
every = "15 minutes"
webhooks = true
[default.products]
every = "1 day"
at = "03:00"
[outlet.orders]
every = "1 hour"
enabled = false
"""


def add_run(
    operated: Operated, connection: str, entity: str, started: str, run_id: str, *, ended: str = "", **more: Any
) -> None:
    """Store the manifest of a finished run, written when the run started, or when it ended."""
    folder = f"manifests/connection={connection}/entity={entity.replace('/', '.')}/lang=nl/date={started[:10]}"
    manifest = {
        "run_id": run_id,
        "connection": connection,
        "entity": entity,
        "language": "nl",
        "request": {"connection": connection, "entity": entity, "mode": "incremental", "subscription": entity},
        "started": started,
        "window": {"by": "updatedAt", "start": None, "end": started},
        "records": 5,
        "parts": [],
        "rejected": [],
        "verified": True,
        "reason": None,
        **more,
    }
    operated.put(f"{folder}/{run_id}.json", manifest, written=ended or started)


def pause(operated: Operated, name: str) -> None:
    """Pause a schedule in the console."""
    full, row = next((full, row) for full, row in operated.schedules().items() if full.startswith(name))
    kept = {key: row[key] for key in ("Target", "ScheduleExpression", "FlexibleTimeWindow", "Description")}
    moto_client("scheduler").update_schedule(Name=full, GroupName=GROUP, State="DISABLED", **kept)


def status(operated: Operated, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    operated("status", "--json", *words)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.fixture
def running(operated: Operated) -> Operated:
    """A stack that works."""
    assert operated("apply", operated.file(FILE)) == 0
    operated.clock.set(NOW)
    add_run(operated, "default", "orders", "2026-11-23T05:52:00Z", "r-2")
    add_run(operated, "default", "orders", "2026-11-22T05:37:00Z", "r-1", records=7)
    add_run(operated, "default", "products", "2026-11-23T03:00:00Z", "p-1")
    return operated


def named(found: dict[str, Any], name: str) -> dict[str, Any]:
    connection, _, subscription = name.partition(".")
    return next(one for one in found["subscriptions"] if (one["connection"], one["name"]) == (connection, subscription))


def test_a_stack_that_works_is_good(running: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    assert running("status") == 0
    found = status(running, capsys)

    assert (found["version"], found["stack"], found["level"], found["actions"]) == (1, "mine", "good", [])
    orders = named(found, "default.orders")
    assert (orders["lag_seconds"], orders["records_per_day"][-2:], orders["last_run"]["run_id"]) == (480, [7, 5], "r-2")
    assert orders["next_run_at"].startswith("2026-11-23T06:")
    assert named(found, "default.products")["next_run_at"] == "2026-11-24T03:00:00Z"
    assert (named(found, "outlet.orders")["level"], named(found, "outlet.orders")["next_run_at"]) == ("paused", None)


def test_what_a_person_paused_is_not_what_the_file_pauses(
    running: Operated, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pause(running, "default-products")
    assert running("status", "--html", str(tmp_path / "status.html")) == 0
    found = status(running, capsys)

    paused = {name: named(found, name) for name in ("default.products", "outlet.orders")}
    assert {name: (one["level"], one["paused_by"]) for name, one in paused.items()} == {
        "default.products": ("paused", "hand"),
        "outlet.orders": ("paused", "file"),
    }
    text = (tmp_path / "status.html").read_text(encoding="utf-8")
    assert "paused by hand; python -m connector apply FILE --resume starts it" in text


def test_the_newest_change_is_shown_beside_the_last_run(
    running: Operated, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    add_run(running, "default", "orders", "2026-11-23T05:56:00Z", "r-3", newest_change="2026-11-23T03:00:00Z")
    add_run(running, "default", "orders", "2026-11-23T05:58:00Z", "r-4", newest_change=None, records=0)
    assert running("status", "--html", str(tmp_path / "status.html")) == 0

    orders = named(status(running, capsys), "default.orders")
    assert (orders["last_run"]["run_id"], orders["newest_change_at"]) == ("r-4", "2026-11-23T03:00:00Z")
    assert "newest change 3 h ago" in (tmp_path / "status.html").read_text(encoding="utf-8")


def test_the_page_leads_to_the_console(running: Operated, tmp_path: Path) -> None:
    execution = "arn:aws:states:eu-west-1:123456789012:execution:mine-sync:r-7"
    put_message(running, "RunFailureQueueUrl", {"entity": "orders"}, Error="ServerError", Execution=execution)
    put_message(running, "RunFailureQueueUrl", {"entity": "orders"}, Error="Evil", Execution="javascript:alert(1)")
    running("status", "--html", str(tmp_path / "status.html"))

    text = (tmp_path / "status.html").read_text(encoding="utf-8")
    console = "https://eu-west-1.console.aws.amazon.com"
    assert f'href="{console}/states/home?region=eu-west-1#/v2/executions/details/{execution}"' in text
    assert (
        f"{console}/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/$252Faws$252Flambda$252Fmine" in text
    )
    assert "javascript:" not in text


def test_what_is_late_is_red(running: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    running.clock.advance(3 * 3600)
    assert running("status") == 1
    found = status(running, capsys)

    worst = found["subscriptions"][0]
    assert (worst["name"], worst["level"]) == ("orders", "red")
    assert worst["why"].startswith("3 h 8 min behind, ")
    assert found["actions"][0]["command"] == "python -m connector runs --connection default --entity orders"
    assert named(found, "default.products")["level"] == "good"


def test_runs_that_are_not_verified_or_reject_much_are_shown(
    running: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    add_run(running, "default", "orders", "2026-11-23T05:58:00Z", "r-3", verified=False, reason="no count")
    add_run(running, "default", "products", "2026-11-23T04:00:00Z", "p-2", rejected=[{"records": 3}])
    found = status(running, capsys)

    assert found["level"] == "warning"
    assert named(found, "default.orders")["why"] == "the last run is not verified: no count"
    assert named(found, "default.products")["why"] == "3 of 8 records were rejected"


def test_a_run_in_several_languages_is_shown_with_the_records_of_all(
    running: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = "manifests/connection=default/entity=products/lang={}/date=2026-11-23/p-1.json"
    stored = json.loads(running.read(manifest.format("nl")))
    running.put(manifest.format("en"), {**stored, "rejected": [{"records": 3}]})

    products = named(status(running, capsys), "default.products")
    assert products["last_run"]["records"] == products["records_per_day"][-1] == 10
    assert products["why"] == "3 of 13 records were rejected"


def test_failed_runs_are_grouped_by_cause_with_the_command(
    running: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    event = {"entity": "orders", "connection": "default", "subscription": "orders"}
    put_message(running, "RunFailureQueueUrl", event, Error="AuthenticationError")
    found = status(running, capsys)

    assert found["level"] == "red"
    (queue,) = found["failures"]
    command = "python -m connector redrive --queue runs --cause AuthenticationError"
    assert (queue["messages"], queue["of"], queue["command"]) == (1, ["orders"], command)
    assert named(found, "default.orders")["level"] == "red"
    assert [one["command"] for one in found["actions"]] == [command]

    put_message(running, "RunFailureQueueUrl", event, Error="ServerError")
    orders = named(status(running, capsys), "default.orders")
    assert sorted(orders["why"].removeprefix("2 failed: ").split(", ")) == ["AuthenticationError", "ServerError"]


def test_wrong_credentials_are_red(running: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    secret = {"base_url": running.shop.url, "api_key": "wrong", "api_secret": "wrong", "language": "nl"}
    moto_client("secretsmanager").put_secret_value(SecretId="mine/default", SecretString=json.dumps(secret))
    found = status(running, capsys)

    (action,) = found["actions"]
    assert action["why"].startswith("wrong credentials")
    assert action["command"] == "python -m connector connect default --rotate"


def test_a_connection_that_is_not_there_is_to_be_made(running: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    moto_client("secretsmanager").delete_secret(SecretId="mine/default", ForceDeleteWithoutRecovery=True)
    found = status(running, capsys)

    (action,) = found["actions"]
    assert action["why"].startswith("unknown connection 'default'")
    assert action["command"] == "python -m connector connect default"


def test_the_quota_says_which_subscriptions_used_it(
    running: Operated, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    running.shop.limits.quota = (300, 3_000, 12_000)
    running.shop.limits.use(60)
    running.put("state/runs/r-2.json", {"requests": 7})
    manifest = "manifests/connection=default/entity=orders/lang={}/date=2026-11-23/r-2.json"
    running.put(manifest.format("en"), json.loads(running.read(manifest.format("nl"))))
    running.put("state/runs/p-1.json", {"requests": 2})
    running.put("state/runs/r-1.json", {"requests": 500})  # yesterday
    assert running("status", "--html", str(tmp_path / "status.html")) == 0

    shop = next(one for one in status(running, capsys)["shops"] if one["connection"] == "default")
    used_by = {window["name"]: window["used_by"] for window in shop["quota"]}
    assert used_by == {"5 minutes": {}, "hour": {}, "day": {"orders": 7, "products": 2}}
    page = (tmp_path / "status.html").read_text(encoding="utf-8")
    assert re.search(r">orders 7, products 2, all others 5[0-9]</small>", page)


def test_a_secret_that_may_not_be_read_leaves_the_rest_of_the_status(
    running: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(name: str) -> None:
        if name == "GetSecretValue":
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "key"}}, name)

    running.aws.before_call = refuse
    found = status(running, capsys)

    assert {one["why"] for one in found["shops"]} == {
        "the connection's secret cannot be read: AWS answered GetSecretValue with AccessDeniedException"
    }
    assert named(found, "default.orders")["level"] == "good"
    assert running("webhooks", "plan") == 1
    assert "AccessDeniedException" in capsys.readouterr().err


class Glue:
    """Has one table, with one connection in its projection; or refuses."""

    def __init__(self) -> None:
        self.connections = "default"
        self.refuses = False

    def get_table(self, *, DatabaseName: str, Name: str) -> dict[str, Any]:  # noqa: N803 - AWS's names
        if self.refuses:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetTable")
        assert (DatabaseName, Name) == ("shop_data", "orders_raw")
        return {
            "Table": {
                "Parameters": {
                    "projection.connection.values": self.connections,
                    "projection.lang.values": "nl",
                }
            }
        }


def test_what_is_stored_and_not_visible_in_athena_is_red(
    operated: Operated, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    operated.aws.outputs["CatalogDatabase"] = "shop_data"
    glue, client = Glue(), operated.aws.client
    monkeypatch.setattr(operated.aws, "client", lambda service: glue if service == "glue" else client(service))
    add_run(operated, "default", "orders", "2026-11-23T05:52:00Z", "r-1")
    add_run(operated, "outlet", "orders", "2026-11-23T05:52:00Z", "r-2")

    found = status(operated, capsys)
    assert operated("status") == 1
    glue.connections = "default,outlet"
    mended = status(operated, capsys)
    glue.refuses = True
    refused = status(operated, capsys)

    why = "orders: Athena does not show the connection outlet"
    assert found["actions"] == [
        {"level": "red", "what": "Athena", "why": why, "command": "python -m connector catalog apply"}
    ]
    assert mended["actions"] == []
    assert [(one["level"], one["what"]) for one in refused["actions"]] == [("warning", "Athena")]


def test_webhooks_that_the_shop_switched_off_are_red(running: Operated, capsys: pytest.CaptureFixture[str]) -> None:
    running.put("state/webhooks/connection=default.json", {"off": ["orders"], "missing": [], "command": "mend it"})
    late = {"p50": 12.0, "p95": 40.0}
    report = {"connection": "default", "subscription": "orders", "date": "2026-11-22", "changes": 10, "webhook": 6}
    report |= {"poll": 3, "both": 1, "late_seconds": late, "alarm": "30 % missed"}
    running.put("state/reports/connection=default/date=2026-11-22/orders.json", report)
    found = status(running, capsys)

    assert [(one["level"], one["command"]) for one in found["actions"]] == [
        ("red", "mend it"),
        ("warning", "python -m connector webhooks plan --connection default"),
    ]
    assert found["arrivals"][0]["webhook"] == 6

    running.put(
        "state/status/arrivals.json", {"date": "2026-11-22", "reports": {"default/orders": {**report, "webhook": 7}}}
    )
    assert status(running, capsys)["arrivals"][0]["webhook"] == 7
    running.put("state/status/arrivals.json", {"date": "2026-11-21", "reports": {}})
    assert status(running, capsys)["arrivals"][0]["webhook"] == 6


def test_the_page_holds_no_script_and_escapes_everything(
    running: Operated, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    listed = running.listed()
    running.put("config/subscriptions.json", [*listed, {**listed[0], "connection": EVIL, "subscription": EVIL}])
    add_run(running, "default", "orders", "2026-11-23T05:59:00Z", "r-9", verified=False, reason=EVIL, language=EVIL)
    event = {"entity": EVIL, "connection": EVIL}
    put_message(running, "RunFailureQueueUrl", event, Error="Evil", Detail='"><img src=x onerror=1>')

    assert running("status", "--html", str(tmp_path / "status.html")) == 1
    text = (tmp_path / "status.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert "\x1b" not in text
    assert "<script" not in text
    assert not re.search(r"<[^>]* on\w+=", text)
    assert 'http-equiv="Content-Security-Policy" content="default-src &#x27;none&#x27;' in text
    running("status")
    assert "\x1b]0" not in capsys.readouterr().out


def test_an_empty_stack_says_what_to_do(operated: Operated, tmp_path: Path) -> None:
    assert operated("status", "--html", str(tmp_path / "status.html")) == 0
    assert "No subscription yet" in (tmp_path / "status.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_one_line(
    running: Operated, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert running("status", "--html", str(tmp_path / "none" / "status.html")) == 2
    assert capsys.readouterr().err.endswith("status.html cannot be written: No such file or directory\n")
