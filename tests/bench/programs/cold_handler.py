"""What `subscribe` does before its first request: its imports, then its clients.

Prints milliseconds: CPU of the imports, CPU of both, and how long both took.
"""

from __future__ import annotations

import time


def main() -> None:
    """Import and open."""
    began, started = time.process_time(), time.perf_counter()
    import subscribe.app  # noqa: F401, PLC0415 - what Lambda imports
    from connector.observability import logger  # noqa: PLC0415
    from connector.settings import Settings  # noqa: PLC0415
    from subscribe.dependencies import cached_dependencies  # noqa: PLC0415

    imported = time.process_time()
    logger()
    deps = cached_dependencies(Settings.from_env(needs=("BUCKET",)))
    deps.bucket  # noqa: B018 - made on first use
    deps.shops.connections  # noqa: B018 - the same
    opened = time.process_time()
    wall = time.perf_counter() - started
    print(1000 * (imported - began), 1000 * (opened - began), 1000 * wall)


if __name__ == "__main__":
    main()
