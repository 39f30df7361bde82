"""Many calls at once."""

import threading

from connector.concurrency import THREADS, map_concurrently


def test_results_have_the_order_of_the_entries_although_all_calls_run_at_once() -> None:
    barrier = threading.Barrier(THREADS)

    def wait_and_double(number: int) -> int:
        barrier.wait(60)
        return 2 * number

    assert map_concurrently(wait_and_double, range(THREADS)) == list(range(0, 2 * THREADS, 2))


def test_a_single_call_needs_no_thread() -> None:
    assert map_concurrently(lambda _: threading.current_thread(), [1]) == [threading.current_thread()]
    assert map_concurrently(lambda _: 1, []) == []
