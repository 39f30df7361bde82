"""The demo: deploys the bundle on this machine, copies a shop's orders to S3, and changes records in the shop."""

import gzip
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from tests.local import kept, landed
from tests.local.build import CACHE, ROOT, build
from tests.local.connector_command import run_connector
from tests.local.emulator import ACCESS_KEY, REGION, SECRET_KEY, start_emulator
from tests.local.process import LocalError, choose_port, wait_until
from tests.local.shop import Shop, start_shop
from tests.local.stack import STACK_NAME, Stack, deploy_stack, working_folder
from tests.local.terminal import Terminal

QUOTE_ID = 1016615295
STOCK_FILE = "publish/in/stock.jsonl.gz"
STOCK_RESULTS = "publish/out/stock.jsonl.gz"
CHARTS = CACHE / "demo"
"""Folder of the files that the demo leaves."""

ORDERS_BY_STATUS = (
    "SELECT status, sum(price_incl) AS revenue, count(*) AS orders "
    "FROM orders_current GROUP BY status ORDER BY orders DESC"
)
VERSIONS_AND_RECORDS = (
    "SELECT (SELECT count(*) FROM orders) AS order_versions, (SELECT count(*) FROM orders_current) AS orders, "
    "(SELECT count(*) FROM products) AS product_versions, (SELECT count(*) FROM products_current) AS products"
)


def demo(*, keep: bool, port: int | None, shop_port: int | None) -> None:
    """Run all steps of the demo. Then stop its processes, unless `keep` is set.

    Raises:
        LocalError: This machine prevents the demo, or the connector gave a wrong result.
    """
    if keep:
        kept.refuse_second()
    for port_wanted, name, variable in ((port, "emulator", "PORT"), (shop_port, "shop", "SHOP_PORT")):
        choose_port(port_wanted, name, variable)
    terminal = Terminal()
    terminal.title(
        "The connector's main job, on this machine: a simulated shop, a local AWS, the real template and code"
    )
    began = time.monotonic()
    with ExitStack() as ends:
        folder = working_folder(ends)
        stack, shop = _set_up(terminal, ends, folder, port, shop_port)
        _connect(terminal, stack, shop)
        _subscribe_to_a_quote(terminal, stack)
        _subscribe_to_all_orders(terminal, stack)
        _subscribe_over_http(terminal, stack)
        _upsert_a_product(terminal, stack, shop)
        _publish_a_file_of_stock(terminal, stack, shop)
        _notice_a_deleted_product(terminal, stack, shop)
        _receive_a_webhook(terminal, stack, shop, folder)
        _look_at_what_was_landed(terminal, stack, folder / "landed")
        _ask_the_data(terminal, stack, shop, folder)
        _show_the_status(terminal, stack, folder)
        if keep:
            kept.keep(stack, shop, folder)
            ends.pop_all()
            _how_to_talk_to_it(terminal, stack, shop)
        else:
            with terminal.step("Stop everything that was started"):
                ends.close()
    terminal.line()
    terminal.line(f"Done in {time.monotonic() - began:.0f} s.")
    terminal.line()
    terminal.block(NEXT_ON_A_KEPT_STACK if keep else NEXT)


def _set_up(
    terminal: Terminal, ends: ExitStack, folder: Path, port: int | None, shop_port: int | None
) -> tuple[Stack, Shop]:
    with terminal.step("Build the layer and the functions"):
        built = build()
        for name, archive in (("layer", built.layer), ("functions", built.functions)):
            terminal.fact(name, f"{archive.relative_to(ROOT)}  {archive.stat().st_size / 1e6:.1f} MB")
    with terminal.step("Start a shop and an AWS"):
        shop = start_shop(ends, folder, shop_port)
        terminal.fact("shop", shop.url)
        aws = start_emulator(ends, folder, port)
        terminal.fact("AWS", f"{aws.endpoint}  (checks signatures and the functions' IAM policies)")
    with terminal.step("Deploy template.yaml"):
        stack = deploy_stack(aws)
        terminal.fact("API", stack.outputs["ApiUrl"])
        terminal.fact("bucket", stack.outputs["Bucket"])
        terminal.fact("not checked here", "TLS, throttling, and the roles of schedule, Sync and queue poller")
    return stack, shop


def _connect(terminal: Terminal, stack: Stack, shop: Shop) -> None:
    with terminal.step("Store the shop's credentials in the connection's secret, and check them over HTTP"):
        masked = {name: "…" if name.startswith("api_") else value for name, value in shop.connection.items()}
        terminal.sent(f"secret {STACK_NAME}/default", masked)
        stack.connect(shop.connection)
        _call(terminal, stack, "GET", "/connections/default", shown=("origin", "language", "languages"))


def _subscribe_to_a_quote(terminal: Terminal, stack: Stack) -> None:
    with terminal.step(f"Subscribe to quote {QUOTE_ID} by its id: invoke the function directly"):
        result = _subscribe(terminal, stack, {"entity": "quotes", "parameters": {"path": {"id": QUOTE_ID}}})
        terminal.fact("stored as", result["objects"][0])


def _subscribe_to_all_orders(terminal: Terminal, stack: Stack) -> None:
    with terminal.step("Estimate a copy of all orders: the shop gives its count, and nothing is stored"):
        event = {"entity": "orders", "mode": "incremental", "estimate": True}
        estimate = _invoke(terminal, stack, event)["estimate"]
        terminal.came("estimate", _only(estimate, ("records", "requests", "minutes", "cents")))
    with terminal.step("Subscribe to all orders: the schedule starts the state machine Sync, which carries the run"):
        started = _set_off_the_schedule(terminal, stack)
        states = stack.client("stepfunctions")

        def ended() -> bool:
            return bool(states.describe_execution(executionArn=started)["status"] != "RUNNING")

        _insist(wait_until(ended, 300, 0.1), "the run did not end in time")
        execution = states.describe_execution(executionArn=started)
        history = states.get_execution_history(executionArn=started, maxResults=1000)["events"]
        entered = [
            event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event
        ]
        terminal.fact("states", " → ".join(entered))
        succeeded = execution["status"] == "SUCCEEDED"
        failure = {name: execution.get(name, "") for name in ("error", "cause")}
        result = json.loads(execution["output"]) if succeeded else failure
        terminal.came(execution["status"], _only(result, ("status", "records", "requests", "bookmark", *failure)))
        _insist(succeeded, "the orders were not stored")
        (manifest,) = landed.read(stack, result["manifest"])
        terminal.fact("manifest", json.dumps(_only(manifest, ("verified", "count", "window"))))


def _subscribe(terminal: Terminal, stack: Stack, event: Mapping[str, object]) -> dict[str, Any]:
    result = _invoke(terminal, stack, event)
    terminal.came("result", _only(result, ("status", "records", "requests")))
    return result


def _invoke(terminal: Terminal, stack: Stack, event: Mapping[str, object]) -> dict[str, Any]:
    terminal.sent("subscribe", event)
    function = stack.outputs["SubscribeFunctionArn"]
    answer = stack.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        terminal.came("failed", result)
        raise LocalError(f"{event['entity']} could not be read")
    return result


def _set_off_the_schedule(terminal: Terminal, stack: Stack) -> str:
    """Set the schedule to the next moment, and return the execution that it starts."""
    scheduler, states = stack.client("scheduler"), stack.client("stepfunctions")
    schedule = scheduler.get_schedule(Name=stack.outputs["ScheduleName"])
    moment = datetime.now(UTC) + timedelta(seconds=1)
    at = f"at({moment:%Y-%m-%dT%H:%M:%S})"
    terminal.sent(f"schedule {schedule['Name']} {at}", json.loads(schedule["Target"]["Input"]))
    scheduler.update_schedule(
        Name=schedule["Name"],
        State="ENABLED",
        ScheduleExpression=at,
        FlexibleTimeWindow=schedule["FlexibleTimeWindow"],
        Target=schedule["Target"],
    )
    found: list[str] = []

    def fired() -> bool:
        executions = states.list_executions(stateMachineArn=stack.outputs["SyncStateMachineArn"])["executions"]
        found.extend(execution["executionArn"] for execution in executions)
        return bool(found)

    _insist(wait_until(fired, 300, 0.1), "the schedule did not fire")
    return found[0]


def _subscribe_over_http(terminal: Terminal, stack: Stack) -> None:
    with terminal.step("Subscribe over HTTP, with the bearer token and without"):
        body = {"entity": "quotes", "parameters": {"path": {"id": QUOTE_ID}}}
        _call(terminal, stack, "POST", "/subscribe", body, shown=("status", "records", "data"))
        _call(terminal, stack, "POST", "/subscribe", body, token="", expected=401)


def _upsert_a_product(terminal: Terminal, stack: Stack, shop: Shop) -> None:
    shown = ("status", "http_status", "id")
    with terminal.step(
        "Publish over HTTP by natural key: create a product, try a change without sending it, make the change"
    ):
        event = _product_event({"title": "Demo mug", "visibility": "visible"})
        created = _call(terminal, stack, "POST", "/publish", event, expected=201, shown=shown).json()
        event = _product_event({"title": "Demo mug", "visibility": "hidden"})
        dry_run = {**event, "dry_run": True}
        _call(terminal, stack, "POST", "/publish", dry_run, shown=("status", "request", "id", "difference"))
        updated = _call(terminal, stack, "POST", "/publish", event, shown=shown).json()
        _insist(created["id"] == updated["id"], "there are two products now")
        _command(terminal, shop, "count", "products", "--query", "title=Demo mug")


def _product_event(payload: Mapping[str, str]) -> dict[str, object]:
    return {"entity": "products", "action": "create", "match": "title", "parameters": {"payload": payload}}


def _publish_a_file_of_stock(terminal: Terminal, stack: Stack, shop: Shop) -> None:
    with terminal.step("Put a file with a stock level for every variant into the bucket: PublishFile publishes it"):
        ids = _command(terminal, shop, "list", "variants", "--all", "--query", "fields=id", show=1)
        lines = [
            {"entity": "variants", "action": "update", "parameters": {"path": json.loads(row), "payload": stock}}
            for number, row in enumerate(ids)
            for stock in [{"stockLevel": number % 50}]
        ]
        before = _requests_left(shop)
        terminal.sent(f"{STOCK_FILE}, the first of {len(lines)} lines", lines[0])
        text = "\n".join(json.dumps(line) for line in lines)
        stack.client("s3").put_object(Bucket=stack.outputs["Bucket"], Key=STOCK_FILE, Body=gzip.compress(text.encode()))
        _insist(wait_until(lambda: landed.exists(stack, STOCK_RESULTS), 300, 0.1), "the file was not published in time")
        spent = before - _requests_left(shop) - 1
        results = landed.read(stack, STOCK_RESULTS)
        statuses = [result["status"] for result in results]
        terminal.came(f"{STOCK_RESULTS}, {len(results)} lines", {name: statuses.count(name) for name in set(statuses)})
        terminal.fact("requests", f"{spent} for {len(lines)} lines, by the shop's own count")
        _insist(set(statuses) == {"updated"}, "some stock was not updated")


def _notice_a_deleted_product(terminal: Terminal, stack: Stack, shop: Shop) -> None:
    with terminal.step("Copy all products, delete one in the shop, and notice it with mode reconcile"):
        products = _subscribe(terminal, stack, {"entity": "products"})
        product = landed.read(stack, products["objects"][0])[0]["id"]
        _command(terminal, shop, "delete", "products", "--path", f"id={product}")
        result = _subscribe(terminal, stack, {"entity": "products", "mode": "reconcile"})
        tombstones = [row for key in result["objects"] for row in landed.read(stack, key)]
        _insist([row["id"] for row in tombstones] == [product], "the deleted product was not noticed")
        terminal.fact("tombstone", json.dumps(tombstones[0]))
        terminal.fact("stored as", result["objects"][0])


def _receive_a_webhook(terminal: Terminal, stack: Stack, shop: Shop, folder: Path) -> None:
    with terminal.step("Register a webhook in the shop, change an order there, and see it in S3 seconds later"):
        words = ["webhooks", "apply", "--entity", "orders", "--address", stack.outputs["ApiUrl"]]
        terminal.block(_connector(terminal, stack, folder, *words).splitlines())
        (order, *_) = [json.loads(row)["id"] for row in _command(terminal, shop, "list", "orders", show=0)]
        memo = json.dumps({"memo": "Changed while the demo runs"})
        changed = time.monotonic()
        _command(terminal, shop, "update", "orders", "--path", f"id={order}", "--payload", "-", show=0, piped=memo)
        events = "events/connection=default/entity=orders/"
        _insist(wait_until(lambda: bool(landed.keys(stack, events)), 300, 0.1), "the webhook did not come")
        terminal.fact("webhook", landed.keys(stack, events)[0])
        runs = "raw/connection=default/entity=orders/"

        def stored() -> list[str]:
            return [key for key in landed.keys(stack, runs) if "-webhook-" in key and key.endswith(".jsonl.gz")]

        _insist(wait_until(lambda: bool(stored()), 300, 0.2), "the webhook started no run")
        (record,) = [row for row in landed.read(stack, stored()[0]) if row["id"] == order]
        terminal.fact("run", stored()[0])
        terminal.fact("memo", record["memo"])
        terminal.fact("after", f"{time.monotonic() - changed:.0f} s")


def _connector(terminal: Terminal, stack: Stack, folder: Path, *words: str) -> str:
    """Run a command of `python -m connector` on the stack, and return its output."""
    terminal.command(f"python -m connector {shlex.join(words)}")
    done = run_connector(stack, words, home=folder, capture=True)
    _insist(done.returncode == 0, str(done.stderr).strip())
    return str(done.stdout)


def _command(terminal: Terminal, shop: Shop, *words: str, show: int | None = None, piped: str = "") -> list[str]:
    """Run a command of `python -m lightspeed` on the shop, and return the lines of its output.

    Args:
        terminal: Shows the command and its lines.
        shop: The shop.
        words: The command.
        show: The number of lines to show; by default all.
        piped: The standard input of the command.
    """
    pipe = f"echo {shlex.quote(piped)} | " if piped else ""
    terminal.command(f"{pipe}python -m lightspeed {shlex.join(words)}")
    settings = {f"LIGHTSPEED_{name.upper()}": value for name, value in shop.connection.items()}
    environ = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT / "layers" / "lightspeed")}
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "lightspeed", *words],
        env=environ | settings,
        input=piped,
        capture_output=True,
        text=True,
        check=False,
    )
    _insist(done.returncode == 0, done.stderr.strip())
    lines = done.stdout.splitlines()
    terminal.block(lines[:show])
    if lines[show or len(lines) :]:
        terminal.line(f"    … {len(lines)} lines")
    return lines


def _requests_left(shop: Shop) -> int:
    """Return how many requests of the day the shop has left, after the request that asks for it."""
    credentials = (shop.connection["api_key"], shop.connection["api_secret"])
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{shop.url}/{shop.connection['language']}/shop.json", auth=credentials, timeout=5)
    return int(answer.headers["X-RateLimit-Remaining"].rpartition("/")[2])


def _look_at_what_was_landed(terminal: Terminal, stack: Stack, folder: Path) -> None:
    with terminal.step("Look into the bucket: the stored records, and the state of the runs"):
        objects = landed.download(stack, folder)
        shown = ("raw/", "manifests/", "deleted/", "rejected/", "state/connection=")
        terminal.block(landed.tree({key: size for key, size in objects.items() if key.startswith(shown)}))
    with terminal.step("Read the first stored order: the shop's own text"):
        first = min(key for key in objects if key.startswith("raw/") and "entity=orders" in key)
        with gzip.open(folder / first, "rt", encoding="utf-8") as part:
            terminal.block([f"{next(part).strip()[:280]}…"])


def _ask_the_data(terminal: Terminal, stack: Stack, shop: Shop, folder: Path) -> None:
    with terminal.step("Ask for the current state with DuckDB: the latest version of each order, and a chart"):
        CHARTS.mkdir(parents=True, exist_ok=True)
        chart = CHARTS / "orders-by-status.svg"
        words = ["query", ORDERS_BY_STATUS, "--format", "table", "--plot", str(chart.relative_to(ROOT))]
        terminal.block(_connector(terminal, stack, folder, *words).splitlines())
        terminal.fact("chart", chart.relative_to(ROOT))
    with terminal.step("Copy all products again, and compare with the shop: no record counts twice"):
        _subscribe(terminal, stack, {"entity": "products"})
        answer = _connector(terminal, stack, folder, "query", VERSIONS_AND_RECORDS, "--format", "jsonl")
        terminal.block(answer.splitlines())
        stored = json.loads(answer)
        for entity in ("orders", "products"):
            (count,) = _command(terminal, shop, "count", entity)
            _insist(int(stored[entity]) == int(count), f"the shop has {count} {entity}, the view {stored[entity]}")


def _show_the_status(terminal: Terminal, stack: Stack, folder: Path) -> None:
    with terminal.step("Does everything work? Write the status page, which GET /status shows too"):
        page = CHARTS / "status.html"
        terminal.block(
            _connector(terminal, stack, folder, "status", "--html", str(page.relative_to(ROOT))).splitlines()
        )


def _call(
    terminal: Terminal,
    stack: Stack,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str | None = None,
    expected: int = 200,
    shown: tuple[str, ...] | None = None,
) -> requests.Response:
    terminal.sent(f"{method} {path}{' without a token' if token == '' else ''}", body)
    answer = stack.http(method, path, body, token=token)
    content = answer.json()
    as_expected = answer.status_code == expected
    terminal.came(f"{answer.status_code} {answer.reason}", _only(content, shown) if shown and as_expected else content)
    _insist(as_expected, f"{method} {path} answered {answer.status_code} instead of {expected}")
    return answer


def _only(content: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: content[name] for name in names if name in content}


def _insist(so: bool, otherwise: str) -> None:
    if not so:
        raise LocalError(otherwise)


NEXT = [
    "Three things to try next:",
    "1  make demo KEEP=1 leaves it running; then make invoke EVENT=events/subscribe-direct-quote.json",
    "2  Read how-tos for your own job: functions/subscribe/README.md and functions/publish/README.md",
    '3  Deploy it to your account: README.md, "Deploy"',
]
NEXT_ON_A_KEPT_STACK = [
    "Three things to try next:",
    "1  make invoke EVENT=events/subscribe-direct-two-languages.json  (events/README.md has more)",
    "2  make connector ARGS='query brands_current --format table'",
    "3  make invoke EVENT=events/publish-direct-create-product.json",
]


def _how_to_talk_to_it(terminal: Terminal, stack: Stack, shop: Shop) -> None:
    terminal.line()
    terminal.title("Left running. How to talk to it:")
    terminal.line()
    lines = [
        "# the connector, over HTTP",
        f"API='{stack.outputs['ApiUrl']}'",
        "TOKEN=$(.venv/bin/python -m tests.local token)",
        'curl -H "Authorization: Bearer $TOKEN" "$API/entities/quotes"',
        """curl -H "Authorization: Bearer $TOKEN" "$API/subscribe" --json '{"entity": "shop"}'""",
        "",
        "# the local AWS, for the aws command or any SDK",
        f"export AWS_ENDPOINT_URL={stack.emulator.endpoint} AWS_DEFAULT_REGION={REGION}",
        f"export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}",
        f"aws s3 ls --recursive s3://{stack.outputs['Bucket']}",
        "",
        f"# the shop itself, at {shop.url}",
        ".venv/bin/python -m tests.local connection > .local/connection.json",
        "export PYTHONPATH=layers/lightspeed",
        ".venv/bin/python -m lightspeed list orders --connection .local/connection.json",
        "",
        "# when done",
        "make stop",
    ]
    for line in lines:
        terminal.line(f"    {line}".rstrip())
