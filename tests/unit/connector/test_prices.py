"""The cost of a run on AWS."""

import re
from pathlib import Path

import pytest

from connector.costs.prices import ALARMS, INVOCATION_SECONDS, MEMORY_MB, cents
from connector.observability import METRICS


def test_the_price_follows_from_the_listed_ones() -> None:
    hundred_seconds = cents(billed_seconds=100, invocations=1, puts=0) - cents(billed_seconds=0, invocations=1, puts=0)

    assert hundred_seconds == pytest.approx(100 * MEMORY_MB / 1024 * 0.0000133334 * 100)
    assert cents(billed_seconds=0, invocations=2, puts=3) == pytest.approx(8 * 0.0025 + 2 * 0.00002 + 3 * 0.0005)


def test_memory_time_and_processor_are_those_of_the_template() -> None:
    template = (Path(__file__).parents[3] / "template.yaml").read_text()
    function = template.partition("  SubscribeFunction:")[2].partition("\n\n")[0]

    parameter = template.partition("  SubscribeMemory:")[2].partition("Description:")[0]

    assert "      MemorySize: !Ref SubscribeMemory\n" in function
    assert f"    Default: {MEMORY_MB}\n" in parameter
    assert re.search(rf"^ +Timeout: {INVOCATION_SECONDS}$", function, re.MULTILINE)
    assert "    Architectures: [arm64]\n" in template.partition("Resources:")[0]


def alarms() -> dict[str, str]:
    """Return the text of each alarm of the template by its name."""
    template = (Path(__file__).parents[3] / "template.yaml").read_text()
    return dict(re.findall(r"(?m)^  (\w+):\n    Type: AWS::CloudWatch::Alarm\n((?:    .*\n)+)", template))


def test_the_alarms_are_those_of_the_template() -> None:
    assert len(alarms()) == ALARMS


def test_every_metric_has_an_alarm_and_every_alarm_a_metric() -> None:
    watched = {re.findall(r"MetricName: (\w+)", text)[0] for text in alarms().values()}

    assert watched == set(METRICS)
    assert len(METRICS) <= 10


def test_nothing_writes_a_metric_that_is_not_listed() -> None:
    root = Path(__file__).parents[3]
    pages = [path.read_text() for folder in ("functions", "layers") for path in (root / folder).rglob("*.py")]
    calls = [call for page in pages for call in re.findall(r"emit_metrics\((?!\n?\s+namespace)(.*)\)", page)]
    named = {name for call in calls for name in re.findall(r"(\w+)=", call)}

    assert len(calls) == 4  # the watcher's and a subscription's take their names from what they return
    assert named == {"QuotaShort", "UnknownWrites"}
    assert named <= set(METRICS)


def test_an_alarm_has_the_stack_as_its_only_dimension_and_none_but_that_of_the_watcher_waits_for_missing_data() -> None:
    for name, text in alarms().items():
        missing = "breaching" if name == "WatcherAlarm" else "notBreaching"
        assert re.findall(r"- \{ Name: (\w+)", text) == ["stack"], name
        assert f"TreatMissingData: {missing}\n" in text, name
