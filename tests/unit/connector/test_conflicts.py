"""The pauses between the tries of a conditional write that met another one."""

from connector.conflicts import MOST_TRIES, tries
from tests.support.clock import FakeClock


def test_the_first_try_does_not_wait() -> None:
    clock = FakeClock()

    assert next(tries(clock.sleep)) == 0
    assert clock.slept == []


def test_each_pause_is_twice_the_one_before_and_up_to_a_half_longer_at_random() -> None:
    clock = FakeClock()

    assert list(tries(clock.sleep)) == list(range(MOST_TRIES))

    least = [0.05, 0.1, 0.2, 0.4]
    assert [low <= slept <= 1.5 * low for low, slept in zip(least, clock.slept, strict=True)] == [True] * 4
    assert sum(clock.slept) < 1.2


def test_two_writers_do_not_wait_for_the_same_time() -> None:
    one, two = FakeClock(), FakeClock()

    list(tries(one.sleep))
    list(tries(two.sleep))

    assert one.slept != two.slept
