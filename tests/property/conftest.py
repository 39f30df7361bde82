from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

import pytest

from lightspeed.listing import children
from lightspeed.listing import reader as reading
from subscribe.reconcile import existence

_Done = TypeVar("_Done")


class AtOnce(Executor):
    """Does what is submitted at once, in the caller's thread, as the only thread of a pool would."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def submit(self, work: Callable[..., _Done], /, *given: Any, **named: Any) -> Future[_Done]:
        future: Future[_Done] = Future()
        try:
            future.set_result(work(*given, **named))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch one page after the other, so that a seed decides everything."""
    for module in (reading, children, existence):
        monkeypatch.setattr(module, "ThreadPoolExecutor", AtOnce)
