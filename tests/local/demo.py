"""The connector's main job, from nothing to a shop's orders in S3 and a product published, for somebody who watches."""

import gzip
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import requests

from tests.local import kept
from tests.local.build import ROOT, build
from tests.local.emulator import ACCESS_KEY, REGION, SECRET_KEY, start_emulator
from tests.local.process import LocalError, choose_port, wait_until
from tests.local.shop import Shop, start_shop
from tests.local.stack import Stack, deploy_stack, working_folder
from tests.local.terminal import Terminal

QUOTE_ID = 1016615295
ORDERS_BY_STATUS = """
SELECT status, count(*) AS orders, round(sum(priceIncl), 2) AS turnover,
       min(createdAt)::DATE AS earliest, max(createdAt)::DATE AS latest
FROM read_json('{folder}/raw/*/entity=orders/**/*.jsonl.gz', format = 'newline_delimited', hive_partitioning = true)
GROUP BY status ORDER BY orders DESC, status
"""


def demo(*, keep: bool, port: int | None, shop_port: int | None) -> None:
    """Show everything, then stop everything that was started, unless it is to be kept.

    Raises:
        LocalError: Something on this machine is in the way, or the connector did not do what it should.
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
        _publish_a_product(terminal, stack)
        _look_at_what_was_landed(terminal, stack, folder / "landed")
        if keep:
            kept.keep(stack, shop, folder)
            ends.pop_all()
            _how_to_talk_to_it(terminal, stack, shop)
        else:
            with terminal.step("Stop everything that was started"):
                ends.close()
    terminal.line()
    terminal.line(f"Done in {time.monotonic() - began:.0f} s.")


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
        for name in ("ApiUrl", "Bucket", "SyncStateMachineArn", "PublishQueueUrl"):
            terminal.fact(name.removesuffix("Arn").removesuffix("Url"), stack.outputs[name])
        terminal.fact("not checked here", "TLS, throttling, and the roles of schedule, Sync and queue poller")
    return stack, shop


def _connect(terminal: Terminal, stack: Stack, shop: Shop) -> None:
    with terminal.step("Put the shop's credentials into the connection's secret, and have them checked over HTTP"):
        masked = {name: "…" if name.startswith("api_") else value for name, value in shop.connection.items()}
        terminal.sent("secret lightspeed/default", masked)
        stack.connect(shop.connection)
        _call(terminal, stack, "GET", "/connections/default")


def _subscribe_to_a_quote(terminal: Terminal, stack: Stack) -> None:
    event = {"entity": "quotes", "parameters": {"path": {"id": QUOTE_ID}}}
    with terminal.step(f"Subscribe to quote {QUOTE_ID} by its id: invoke the function directly"):
        terminal.sent("subscribe", event)
        function = stack.outputs["SubscribeFunctionArn"]
        answer = stack.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        result = json.loads(answer["Payload"].read())
        terminal.came("failed" if "FunctionError" in answer else "result", result)
        _insist(result.get("status") == "complete", "the quote was not landed")


def _subscribe_to_all_orders(terminal: Terminal, stack: Stack) -> None:
    with terminal.step("Subscribe to all orders: the schedule starts the state machine Sync, which carries the run"):
        started = _set_off_the_schedule(terminal, stack)
        states = stack.client("stepfunctions")

        def ended() -> bool:
            return bool(states.describe_execution(executionArn=started)["status"] != "RUNNING")

        _insist(wait_until(ended, 90, 0.1), "the run did not end in time")
        execution = states.describe_execution(executionArn=started)
        history = states.get_execution_history(executionArn=started, maxResults=1000)["events"]
        entered = [
            event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event
        ]
        terminal.fact("states", " → ".join(entered))
        succeeded = execution["status"] == "SUCCEEDED"
        failure = {name: execution.get(name, "") for name in ("error", "cause")}
        terminal.came(execution["status"], json.loads(execution["output"]) if succeeded else failure)
        _insist(succeeded, "the orders were not landed")


def _set_off_the_schedule(terminal: Terminal, stack: Stack) -> str:
    """Have the schedule fire in a moment; return the execution that it starts."""
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

    _insist(wait_until(fired, 60, 0.1), "the schedule did not fire")
    return found[0]


def _subscribe_over_http(terminal: Terminal, stack: Stack) -> None:
    with terminal.step("Subscribe over HTTP, with the bearer token and without"):
        body = {"entity": "quotes", "parameters": {"path": {"id": QUOTE_ID}}}
        _call(terminal, stack, "POST", "/subscribe", body)
        _call(terminal, stack, "POST", "/subscribe", body, token="", expected=401)


def _publish_a_product(terminal: Terminal, stack: Stack) -> None:
    with terminal.step("Publish a product over HTTP: create, update, delete"):
        product = {"title": "Demo mug", "visibility": "visible"}
        created = _publish(terminal, stack, "create", {"payload": product}, expected=201)
        path = {"id": created["id"]}
        _publish(terminal, stack, "update", {"path": path, "payload": {"title": "Demo mug, blue"}})
        _publish(terminal, stack, "delete", {"path": path})


def _publish(
    terminal: Terminal, stack: Stack, action: str, parameters: Mapping[str, object], expected: int = 200
) -> dict[str, Any]:
    body = {"entity": "products", "action": action, "parameters": parameters}
    answer: dict[str, Any] = _call(terminal, stack, "POST", "/publish", body, expected=expected).json()
    return answer


def _look_at_what_was_landed(terminal: Terminal, stack: Stack, folder: Path) -> None:
    with terminal.step(f"Look into the bucket {stack.outputs['Bucket']}"):
        objects = _download(stack, folder)
        terminal.block(_tree(objects))
    with terminal.step("Read the first order that was landed, the shop's own text"):
        first = min(key for key in objects if "entity=orders" in key and key.endswith(".gz"))
        with gzip.open(folder / first, "rt", encoding="utf-8") as part:
            terminal.line(f"    {next(part).strip()[:700]}…")
    with terminal.step("Query the landed files with DuckDB"):
        terminal.block(ORDERS_BY_STATUS.format(folder="s3://bucket").strip().split("\n"))
        answer = duckdb.execute(ORDERS_BY_STATUS.format(folder=folder))
        terminal.line()
        terminal.table([column[0] for column in answer.description or ()], answer.fetchall())


def _download(stack: Stack, folder: Path) -> dict[str, int]:
    """Copy the bucket's objects into a folder; return their sizes by key."""
    s3, bucket = stack.client("s3"), stack.outputs["Bucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    objects = {row["Key"]: row["Size"] for page in pages for row in page.get("Contents", ())}
    for key in objects:
        target = folder / key
        target.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(target))
    return objects


def _tree(objects: Mapping[str, int]) -> list[str]:
    """Keys as a tree: every folder once, every object with its size."""
    lines: list[str] = []
    above: list[str] = []
    for key, size in sorted(objects.items()):
        *folders, name = key.split("/")
        common = next((i for i, (a, b) in enumerate(zip(above, folders, strict=False)) if a != b), None)
        known = min(len(above), len(folders)) if common is None else common
        lines += [f"{'  ' * depth}{folder}/" for depth, folder in enumerate(folders) if depth >= known]
        lines.append(f"{'  ' * len(folders) + name:<86}{size:>9,} B")
        above = folders
    return lines


def _call(
    terminal: Terminal,
    stack: Stack,
    method: str,
    path: str,
    body: object = None,
    *,
    token: str | None = None,
    expected: int = 200,
) -> requests.Response:
    terminal.sent(f"{method} {path}{' without a token' if token == '' else ''}", body)
    answer = stack.http(method, path, body, token=token)
    terminal.came(f"{answer.status_code} {answer.reason}", answer.json() if answer.text else None)
    _insist(answer.status_code == expected, f"{method} {path} answered {answer.status_code} instead of {expected}")
    return answer


def _insist(so: bool, otherwise: str) -> None:
    if not so:
        raise LocalError(otherwise)


def _how_to_talk_to_it(terminal: Terminal, stack: Stack, shop: Shop) -> None:
    terminal.line()
    terminal.title("Left running. How to talk to it:")
    terminal.line()
    terminal.block(
        [
            "# the connector, over HTTP",
            f"API='{stack.outputs['ApiUrl']}'",
            "TOKEN=$(.venv/bin/python -m tests.local token)",
            'curl -H "Authorization: Bearer $TOKEN" "$API/entities/quotes"',
            """curl -H "Authorization: Bearer $TOKEN" "$API/subscribe" -d '{"entity": "shop"}'""",
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
    )
