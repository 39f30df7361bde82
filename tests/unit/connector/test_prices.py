"""What a run costs on AWS."""

import re
from pathlib import Path

import pytest

from connector.prices import ALARMS, INVOCATION_SECONDS, MEMORY_MB, cents


def test_the_price_follows_from_the_listed_ones() -> None:
    hundred_seconds = cents(billed_seconds=100, invocations=1, puts=0) - cents(billed_seconds=0, invocations=1, puts=0)

    assert hundred_seconds == pytest.approx(100 * MEMORY_MB / 1024 * 0.0000133334 * 100)
    assert cents(billed_seconds=0, invocations=2, puts=3) == pytest.approx(8 * 0.0025 + 2 * 0.00002 + 3 * 0.0005)


def test_memory_time_and_processor_are_those_of_the_template() -> None:
    template = (Path(__file__).parents[3] / "template.yaml").read_text()
    function = template.partition("  SubscribeFunction:")[2].partition("\n\n")[0]

    assert re.search(rf"^ +MemorySize: {MEMORY_MB}$", function, re.MULTILINE)
    assert re.search(rf"^ +Timeout: {INVOCATION_SECONDS}$", function, re.MULTILINE)
    assert "    Architectures: [arm64]\n" in template.partition("Resources:")[0]


def test_the_alarms_are_those_of_the_template() -> None:
    template = (Path(__file__).parents[3] / "template.yaml").read_text()

    assert template.count("Type: AWS::CloudWatch::Alarm\n") == ALARMS
