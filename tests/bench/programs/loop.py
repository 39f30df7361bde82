"""The plain loop: one session, page after page until one is not full, each record a line of gzip at level 6."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import requests

_LIMIT = 250


def main() -> None:
    """Read all orders."""
    session = requests.Session()
    session.auth = (os.environ["SHOP_KEY"], os.environ["SHOP_SECRET"])
    page, rows = 1, _LIMIT
    with gzip.open(Path(os.environ["LANDING"]) / "orders.jsonl.gz", "wt", compresslevel=6) as file:
        while rows == _LIMIT:
            answer = session.get(
                f"{os.environ['SHOP_URL']}/nl/orders.json", params={"limit": _LIMIT, "page": page}, timeout=60
            )
            answer.raise_for_status()
            orders = answer.json()["orders"]
            for order in orders:
                file.write(json.dumps(order) + "\n")
            page, rows = page + 1, len(orders)


if __name__ == "__main__":
    main()
