"""The pace under the shop's limit per second, and the machine's clock."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed import SystemClock
from lightspeed.rate_limiter import REQUESTS_PER_SECOND, RateLimiter
from tests.support.clock import FakeClock


def test_a_first_burst_is_let_through_and_the_next_request_waits_for_the_second_to_pass() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock)

    for _ in range(REQUESTS_PER_SECOND):
        limiter.wait()
    assert clock.slept == []
    limiter.wait()

    assert clock.slept == [pytest.approx(1.02)]


def test_a_request_that_would_wait_too_long_is_not_counted() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock)

    assert all(limiter.wait(-1) for _ in range(REQUESTS_PER_SECOND)), "there is nothing to wait for"
    assert not limiter.wait(1)
    assert clock.slept == []
    assert limiter.wait(1.1)


def test_requests_spread_over_time_never_wait() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock)

    for _ in range(100):
        limiter.wait()
        clock.advance(0.06)

    assert clock.slept == []


@given(st.lists(st.floats(0, 0.3), min_size=30, max_size=90))
def test_no_second_ever_sees_more_than_the_limit(gaps: list[float]) -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock)
    sent = []
    for gap in gaps:
        clock.advance(gap)
        limiter.wait()
        sent.append(clock.now())

    for earlier, later in zip(sent, sent[REQUESTS_PER_SECOND:], strict=False):
        assert later - earlier > 1


def test_threads_share_one_pace() -> None:
    clock = FakeClock()
    limiter = RateLimiter(clock)

    def send_ten() -> None:
        for _ in range(10):
            limiter.wait()

    threads = [threading.Thread(target=send_ten) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(clock.slept) == pytest.approx(2 * 1.02)


def test_the_machines_clock_moves() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0)

    assert clock.monotonic() >= before
    assert clock.time() > 1_700_000_000
