"""How many runs webhooks start, and what they cost."""

import pytest

from connector.webhooks.window import Policy, dollars_a_month


@pytest.mark.parametrize(
    ("policy", "runs"),
    [
        (Policy(), 30 + 297),  # 30 runs 47 s apart, then one every 287 s
        (Policy(60, 60), 1839),
        (Policy(300, 300), 302),
        (Policy(60, 300, 10_000), 1839),
    ],
)
def test_the_most_runs_of_a_day(policy: Policy, runs: int) -> None:
    assert policy.most_runs_a_day() == runs


def test_a_busy_subscription_costs_a_dollar_or_two_a_month() -> None:
    assert 1 < dollars_a_month(Policy().most_runs_a_day()) < 3
    assert dollars_a_month(0) == 0
