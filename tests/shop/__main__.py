"""Serves the simulated shop: `python -m tests.shop --port 8790`."""

import argparse
import errno
import signal
import sys
import threading

from .clock import Clock
from .habits import Habits
from .shop import Shop


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.shop",
        description="Serve a simulated Lightspeed eCom shop on 127.0.0.1 until it is interrupted.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--seed", type=int, default=1, help="decides all data; the same seed gives the same shop")
    parser.add_argument("--orders", type=int, default=300, help="number of orders")
    parser.add_argument("--products", type=int, default=200, help="number of products")
    parser.add_argument(
        "--customers",
        type=int,
        default=None,
        help="number of customers; two for three orders, up to 4000, if not given",
    )
    parser.add_argument("--languages", default="nl,en,de", help="active languages, the default one first")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="wait before every answer")
    parser.add_argument("--quota", default="300/3000/12000", help="requests in 5 minutes / hour / day")
    parser.add_argument("--rate", type=int, default=20, help="requests per second")
    parser.add_argument("--no-limits", action="store_true", help="no quota and no rate")
    parser.add_argument("--cache-mb", type=int, default=64, help="how much rendered text to remember")
    parser.add_argument("--webhooks", action="store_true", help="deliver webhooks to loopback addresses")
    parser.add_argument("--frozen-at", type=float, default=None, help="freeze the shop's clock at these epoch seconds")
    parser.add_argument(
        "--retry-after",
        choices=("seconds", "http-date", "iso", "none"),
        default="seconds",
        help="form of Retry-After with a 429",
    )
    parser.add_argument("--lower-case-headers", action="store_true", help="header names in lower case")
    parser.add_argument("--close-connections", action="store_true", help="end the connection after every answer")
    options = parser.parse_args(argv)
    try:
        options.quota = _quota(options.quota)
    except ValueError:
        parser.error("--quota takes three numbers, such as 300/3000/12000")
    options.languages = tuple(language for language in options.languages.split(",") if language)
    if not options.languages:
        parser.error("--languages takes at least one language")
    return options


def _quota(text: str) -> tuple[int, int, int]:
    five_minutes, hour, day = (int(part) for part in text.split("/"))
    return five_minutes, hour, day


def main(argv: list[str]) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status: 0, or 2 if the port is taken."""
    options = arguments(argv)
    retry_after = None if options.retry_after == "none" else options.retry_after
    shop = Shop(
        seed=options.seed,
        orders=options.orders,
        products=options.products,
        customers=options.customers,
        quota=None if options.no_limits else options.quota,
        rate_per_second=None if options.no_limits else options.rate,
        languages=options.languages,
        clock=Clock(options.frozen_at),
        latency_seconds=options.latency_ms / 1000,
        habits=Habits(
            retry_after=retry_after,
            lower_case_headers=options.lower_case_headers,
            close_connections=options.close_connections,
        ),
        webhooks=options.webhooks,
        cache_megabytes=options.cache_mb,
        port=options.port,
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        shop.start()
    except OSError as error:
        reason = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        print(f"port {options.port} {reason}", file=sys.stderr)
        return 2
    print(f"shop {shop.url} key {shop.api_key} secret {shop.api_secret} language {shop.languages[0]}", flush=True)
    stop.wait()
    shop.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
