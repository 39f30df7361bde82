"""The metrics of a stack: few, with the stack as the only dimension, and each looked at by an alarm."""

import ast
from collections.abc import Iterator
from pathlib import Path

from connector.observability import METRICS
from tests.local.deploy import template
from webhook.app import TROUBLE

ROOT = Path(__file__).parents[3]
MAX_METRICS = 10


def emitted() -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield file, dimensions and metrics of each call that writes metrics; a computed name is empty."""
    for folder in ("functions", "layers/lightspeed"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "emit_metrics":
                    given = node.args[1]
                    keys = given.keys if isinstance(given, ast.Dict) else []
                    dimensions = [ast.literal_eval(key) for key in keys if key is not None]
                    yield path.name, dimensions, [keyword.arg or "" for keyword in node.keywords]


def test_a_stack_has_at_most_ten_metrics_and_the_stack_is_their_only_dimension() -> None:
    found = list(emitted())

    assert len(METRICS) <= MAX_METRICS
    assert [file for file, dimensions, _ in found if dimensions != ["stack"]] == ["dependencies.py"]  # if asked for
    assert sorted(file for file, _, names in found if names == [""]) == [
        "dependencies.py",
        "watch.py",
    ]  # see their tests
    assert {name for _, _, names in found for name in names if name} | {TROUBLE} <= {*METRICS}


def test_an_alarm_looks_at_each_metric() -> None:
    alarms = [one["Properties"] for one in template()["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]

    assert {alarm["MetricName"] for alarm in alarms} == {*METRICS}
    assert {tuple(row["Name"] for row in alarm["Dimensions"]) for alarm in alarms} == {("stack",)}


def test_no_alarm_waits_for_missing_data_but_that_of_the_watcher() -> None:
    resources = template()["Resources"]
    treated = {
        name: one["Properties"]["TreatMissingData"]
        for name, one in resources.items()
        if one["Type"] == "AWS::CloudWatch::Alarm"
    }

    assert [name for name, how in treated.items() if how != "notBreaching"] == ["WatcherAlarm"]
    assert treated["WatcherAlarm"] == "breaching"
