"""The quota headers, in every form."""

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from lightspeed import Quota, QuotaWindow


def headers(limit: str, remaining: str, reset: str) -> dict[str, str]:
    return {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": remaining, "X-RateLimit-Reset": reset}


NOW = 1_795_413_600.0


def quota(limit: str, remaining: str, reset: str) -> Quota:
    found = Quota.from_headers(headers(limit, remaining, reset), NOW)
    assert found is not None
    return found


def test_three_windows_as_a_live_shop_sends_them() -> None:
    assert quota("300/3000/12000", "299/2999/11999", "241/1141/57541").windows == (
        QuotaWindow("5 minutes", 300, 299, 241),
        QuotaWindow("hour", 3000, 2999, 1141),
        QuotaWindow("day", 12000, 11999, 57541),
    )


def test_a_used_up_window_may_show_minus_one() -> None:
    assert quota("300/3000/12000", "-1/500/9000", "60/600/6000").windows[0].remaining == 0


def test_changed_limits_are_taken_as_they_come() -> None:
    assert quota("1000/12000/288000", "1/2/3", "4/5/6").windows[2] == QuotaWindow("day", 288000, 3, 6)


def test_fewer_numbers_are_fewer_windows() -> None:
    assert [window.name for window in quota("300/3000", "1/2/3", "4/5").windows] == ["5 minutes", "hour"]
    assert [window.name for window in quota("300", "1", "4").windows] == ["5 minutes"]


def test_more_numbers_than_windows_are_left_out() -> None:
    assert len(quota("1/2/3/4", "1/2/3/4", "1/2/3/4").windows) == 3


def test_a_window_without_limit_is_left_out() -> None:
    assert [window.name for window in quota("0/3000/-1", "0/5/5", "1/1/1").windows] == ["hour"]


def test_spaces_and_the_case_of_names_do_not_matter() -> None:
    given_headers = HTTPHeaderDict(
        {"x-ratelimit-limit": "300 / 3000", "X-RATELIMIT-REMAINING": " 1/2", "X-Ratelimit-Reset": "3/4 "}
    )

    assert Quota.from_headers(given_headers, NOW) == quota("300/3000", "1/2", "3/4")


def test_of_a_repeated_header_the_last_counts() -> None:
    given_headers = HTTPHeaderDict(headers("300/3000/12000", "299/2999/11999", "5/6/7"))
    given_headers.add("X-RateLimit-Remaining", "1/2/3")

    assert Quota.from_headers(given_headers, NOW) == quota("300/3000/12000", "1/2/3", "5/6/7")


@pytest.mark.parametrize(
    "given_headers",
    [
        {},
        {"X-RateLimit-Limit": "300/3000/12000"},
        headers("", "", ""),
        headers("many", "1/2/3", "1/2/3"),
        headers("9" * 500, "1", "1"),
        headers("nan/inf/1e3", "1/2/3", "1/2/3"),
        headers("1.5", "1", "1"),
        headers("0/0/0", "0/0/0", "0/0/0"),
    ],
    ids=repr,
)
def test_missing_or_garbled_headers_tell_nothing(given_headers: dict[str, str]) -> None:
    assert Quota.from_headers(given_headers, NOW) is None


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_any_headers_are_a_quota_or_nothing(limit: str, remaining: str, reset: str) -> None:
    found = Quota.from_headers(headers(limit, remaining, reset), NOW)

    for window in found.windows if found else ():
        assert window.limit > 0
        assert window.remaining >= 0
        assert 0 <= window.reset_seconds <= 86_400


def test_a_number_that_cannot_be_read_leaves_out_its_window_only() -> None:
    assert [window.name for window in quota("300//12000", "1/2/3", "1/2/3").windows] == ["5 minutes", "day"]
    assert [window.name for window in quota("300/3000/12000", f"1/{'9' * 500}/3", "1/2/3").windows] == [
        "5 minutes",
        "day",
    ]


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("12", 12),
        ("11.2", 12),
        ("0", 0),
        ("86400", 86_400),
        ("1795413630", 30),
        ("1795413630000", 30),
        ("2026-11-23T06:00:30Z", 30),
        ("Mon, 23 Nov 2026 06:00:30 GMT", 30),
        ("1795413590", 0),
        ("soon", 300),
        ("", 300),
        ("-4", 300),
        ("nan", 300),
        ("inf", 300),
        ("1e3", 300),
        ("86401", 300),
        ("9" * 500, 300),
        ("2027-11-23T06:00:30Z", 300),
    ],
)
def test_a_reset_is_seconds_or_a_time_and_otherwise_the_length_of_its_window(reset: str, seconds: int) -> None:
    assert quota("300", "0", reset).windows[0].reset_seconds == seconds


@pytest.mark.parametrize(
    ("now", "resets", "seconds"),
    [
        (NOW - 10, "10/10/64810", [10, 10, 64_810]),
        (NOW - 10 - 1e-6, "10/10/64810", [10, 10, 64_810]),
        (NOW - 10, "9/9/64809", [10, 10, 64_810]),
        (NOW - 11, "9/9/64809", [10, 10, 64_810]),
        (NOW - 9.4, "9/9/64809", [10, 10, 64_810]),
        (NOW - 9.4, "10/10/64810", [10, 10, 64_810]),
        (NOW - 0.3, "0/0/64800", [1, 1, 64_801]),
        (NOW - 3600, "299/3599/68399", [300, 3600, 68_400]),
        (NOW - 10, "7/11/64000", [7, 11, 64_000]),
    ],
    ids=repr,
)
def test_a_reset_that_is_rounded_down_ends_a_second_later(now: float, resets: str, seconds: list[int]) -> None:
    found = Quota.from_headers(headers("300/3000/12000", "0/0/0", resets), now)

    assert found is not None
    assert [window.reset_seconds for window in found.windows] == seconds


@given(
    st.sampled_from([math.floor, math.ceil, round]),
    st.integers(1, 299),
    st.integers(-9, 9) | st.integers(0, 990),
    st.integers(-10, 10),
)
@example(math.floor, 10, 5, -10)
def test_no_window_is_entered_before_it_begins(
    round_off: Callable[[float], int], seconds: int, past: int, apart: int
) -> None:
    counted = NOW - seconds + past / 1000
    dated = counted + apart / 1000
    found = Quota.from_headers(headers("300", "0", str(round_off(NOW - counted))), math.floor(dated))

    assert found is not None
    entered = max(counted, dated) + found.wait_seconds()
    assert NOW <= entered <= NOW + (1 if math.floor(counted) == math.floor(dated) else 2)


def test_with_room_in_every_window_there_is_nothing_to_wait_for() -> None:
    assert quota("300/3000/12000", "1/1/1", "60/600/6000").wait_seconds() == 0


def test_the_longest_of_the_used_up_windows_decides() -> None:
    assert quota("300/3000/12000", "0/-1/5", "60/600/6000").wait_seconds() == 600


def test_a_window_down_to_its_reserve_counts_as_used_up() -> None:
    left = quota("300/3000/12000", "31/301/1200", "60/600/6000")

    assert left.wait_seconds(10) == 6000
    assert left.wait_seconds(9) == 0
    assert left.wait_seconds(100) == 6000


def test_room_is_what_every_window_has_above_its_reserve() -> None:
    left = quota("300/3000/12000", "100/2000/1300", "60/600/6000")

    assert left.room() == 100
    assert left.room(10) == 70
    assert left.room(100) == 0
    assert left.wait_seconds(10, needed=70) == 0
    assert left.wait_seconds(10, needed=71) == 60
    assert left.wait_seconds(10, needed=101) == 6000


def window(remaining: int, reset: int, limit: int = 300) -> Quota:
    return Quota((QuotaWindow("5 minutes", limit, remaining, reset),))


@pytest.mark.parametrize(
    ("earlier", "later", "elapsed", "remaining"),
    [
        (window(10, 100), window(12, 101), 0.1, 10),
        (window(10, 100), window(8, 99), 0.1, 8),
        (window(10, 1), window(299, 299), 3, 299),
        (window(10, 290), window(299, 295), 295, 299),
        (window(10, 100), window(990, 100, limit=1000), 0.1, 990),
    ],
    ids=["overtaken", "in-order", "new-window", "new-window-after-a-pause", "other-limit"],
)
def test_an_answer_that_was_overtaken_does_not_raise_the_quota(
    earlier: Quota, later: Quota, elapsed: float, remaining: int
) -> None:
    assert later.after(earlier, elapsed).windows[0].remaining == remaining
