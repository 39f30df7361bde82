"""Makes cold starts shorter."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def _unfreeze_for_duckdb() -> None:
    """Let Python collect DuckDB's module at exit, which else warns about objects that remain."""
    if "duckdb" in sys.modules:
        gc.unfreeze()


atexit.register(_unfreeze_for_duckdb)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector while modules are imported or clients of AWS are made.

    Both make very many objects and nearly no garbage, and collections take a fifth of a cold start. Later collections
    skip these objects too, until the process ends. So use it once for each import or client, not for each call.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
