"""A window is closed if its end has passed for the shop, whatever the shop's clock shows."""

from datetime import UTC, datetime, timedelta

import pytest

from lightspeed.listing.opening import SETTLING_LAG, TOLERANCE, is_closed, visible_until

OPENED = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.mark.parametrize("skew", [-3600.0, -5.0, 0.0, 5.0, 3600.0])
def test_every_change_can_be_seen_up_to_a_lag_before_the_shops_time(skew: float) -> None:
    assert visible_until(OPENED, skew) == OPENED + timedelta(seconds=skew) - SETTLING_LAG


@pytest.mark.parametrize("skew", [-3600.0, 0.0, 3600.0])
@pytest.mark.parametrize(
    ("late", "closed"),
    [
        (timedelta(hours=-1), True),
        (timedelta(), True),
        (TOLERANCE, True),
        (TOLERANCE + timedelta(seconds=1), False),
        (timedelta(hours=1), False),
    ],
)
def test_a_window_is_closed_if_its_end_had_passed_for_the_shop_when_it_was_opened(
    late: timedelta, closed: bool, skew: float
) -> None:
    end = OPENED + timedelta(seconds=skew) - SETTLING_LAG + late

    assert is_closed(end, OPENED, skew) is closed
