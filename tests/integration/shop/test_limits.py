"""Quota windows and the rate per second, on a clock that does not move."""

import json
from email.utils import parsedate_to_datetime

import pytest

from tests.shop import Clock, Shop

from .conftest import NOW

COUNT = "/nl/orders/count.json"


def limited(clock: Clock, quota: tuple[int, int, int] | None = (5, 50, 500), rate: int | None = None) -> Shop:
    return Shop(orders=1, products=1, quota=quota, rate_per_second=rate, clock=clock)


def test_every_answer_tells_limit_remaining_and_seconds_left(clock: Clock) -> None:
    _, headers, _ = limited(clock).answer("GET", COUNT)

    assert headers["X-RateLimit-Limit"] == "5/50/500"
    assert headers["X-RateLimit-Remaining"] == "4/49/499"
    assert headers["X-RateLimit-Reset"] == "200/2600/35000"
    assert parsedate_to_datetime(headers["Date"]).timestamp() == NOW


def test_a_used_up_window_refuses_and_shows_minus_one(clock: Clock) -> None:
    shop = limited(clock)
    statuses = [shop.answer("GET", COUNT)[0] for _ in range(5)]

    status, headers, body = shop.answer("GET", COUNT)

    assert statuses == [200] * 5
    assert (status, headers["X-RateLimit-Remaining"], headers["Retry-After"]) == (429, "-1/45/495", "200")
    error = json.loads(body)["error"]
    assert error.keys() == {"code", "method", "request", "message"}
    assert error["message"] == "Too many requests in this time period. Try again later."


def test_a_used_up_window_may_show_zero(clock: Clock) -> None:
    shop = limited(clock, (0, 50, 500))
    shop.habits.minus_one_when_spent = False

    assert shop.answer("GET", COUNT)[1]["X-RateLimit-Remaining"] == "0/50/500"


def test_windows_start_at_full_minutes_hours_and_days(clock: Clock) -> None:
    shop = limited(clock)
    shop.limits.use(5)

    clock.advance(199)
    assert shop.answer("GET", COUNT)[0] == 429
    clock.advance(1)
    status, headers, _ = shop.answer("GET", COUNT)

    assert status == 200
    assert headers["X-RateLimit-Remaining"] == "4/44/494"
    assert headers["X-RateLimit-Reset"] == "300/2400/34800"


def test_the_hour_refuses_when_five_minutes_have_room(clock: Clock) -> None:
    shop = limited(clock, (5, 3, 500))
    shop.limits.use(3)

    status, headers, _ = shop.answer("GET", COUNT)

    assert (status, headers["X-RateLimit-Remaining"], headers["Retry-After"]) == (429, "2/-1/497", "2600")


def test_retry_after_may_be_a_date_in_either_form_or_absent(clock: Clock) -> None:
    shop = limited(clock, (0, 50, 500))

    shop.habits.retry_after = "http-date"
    assert parsedate_to_datetime(shop.answer("GET", COUNT)[1]["Retry-After"]).timestamp() == NOW + 200
    shop.habits.retry_after = "iso"
    assert shop.answer("GET", COUNT)[1]["Retry-After"] == "2026-09-21T14:20:00+00:00"
    shop.habits.retry_after = None
    assert "Retry-After" not in shop.answer("GET", COUNT)[1]


def test_more_than_the_rate_within_a_second_is_refused_while_windows_have_room(clock: Clock) -> None:
    shop = limited(clock, (300, 3000, 12000), rate=20)

    statuses = [shop.answer("GET", COUNT)[0] for _ in range(21)]
    _, headers, _ = shop.answer("GET", COUNT)
    clock.advance(1)

    assert statuses == [200] * 20 + [429]
    assert headers["X-RateLimit-Remaining"] == "280/2980/11980"
    assert shop.answer("GET", COUNT)[0] == 200


def test_wrong_credentials_use_nothing(clock: Clock) -> None:
    shop = limited(clock)

    status, headers, _ = shop.answer("GET", COUNT, {})

    assert (status, headers["X-RateLimit-Remaining"]) == (401, "5/50/500")


def test_refused_and_missing_records_use_quota(clock: Clock) -> None:
    shop = limited(clock)

    assert shop.answer("GET", "/nl/orders/1.json")[0] == 404
    assert shop.limits.remaining == (4, 49, 499)


def test_the_ratelimit_record_agrees_with_the_headers(clock: Clock) -> None:
    shop = limited(clock)

    _, headers, body = shop.answer("GET", "/nl/account/ratelimit.json")

    windows = json.loads(body)["accountRatelimit"].values()
    for name, header in (("limit", "Limit"), ("remaining", "Remaining"), ("reset", "Reset")):
        assert "/".join(str(window[name]) for window in windows) == headers[f"X-RateLimit-{header}"]
    assert [window["resetTime"] for window in windows] == [
        "2026-09-21T14:20:00+00:00",
        "2026-09-21T15:00:00+00:00",
        "2026-09-22T00:00:00+00:00",
    ]


def test_the_quota_may_change_while_the_shop_runs(clock: Clock) -> None:
    shop = limited(clock)
    shop.limits.quota = (1000, 12000, 288000)

    assert shop.answer("GET", COUNT)[1]["X-RateLimit-Limit"] == "1000/12000/288000"


@pytest.mark.parametrize("requests", [1, 100])
def test_without_limits_nothing_runs_out(requests: int, clock: Clock) -> None:
    shop = limited(clock, None)

    assert {shop.answer("GET", COUNT)[0] for _ in range(requests)} == {200}
