"""What makes a cold start shorter."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def _unfreeze_for_duckdb() -> None:
    """Let DuckDB's module be collected at the end, which else says what was not; no other module needs the time."""
    if "duckdb" in sys.modules:
        gc.unfreeze()


atexit.register(_unfreeze_for_duckdb)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector during imports and while clients of AWS are made.

    Both make very many objects and nearly no garbage. The collector looks at them again and again, which takes a
    fifth of a cold start. What was made is left out of later collections too, until the process ends.
    So use it once for each import or client, not once for each call.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
