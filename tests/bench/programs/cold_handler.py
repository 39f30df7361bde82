"""What `subscribe` does before its first request: its imports, then its clients. Prints both, in ms of CPU."""

from __future__ import annotations

import time


def main() -> None:
    """Import and open."""
    began = time.process_time()
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
    print(1000 * (imported - began), 1000 * (opened - began))


if __name__ == "__main__":
    main()
