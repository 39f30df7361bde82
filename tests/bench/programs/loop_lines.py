"""The plain loop over nested records: each page of orders, and of each order its lines, a line of gzip for each."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import requests

_LIMIT = 250


def main() -> None:
    """Read the lines of all orders."""
    session = requests.Session()
    session.auth = (os.environ["SHOP_KEY"], os.environ["SHOP_SECRET"])

    def read(path: str, query: dict[str, Any]) -> Any:
        answer = session.get(f"{os.environ['SHOP_URL']}/nl/{path}.json", params=query, timeout=60)
        answer.raise_for_status()
        return answer.json()

    page, rows = 1, _LIMIT
    with gzip.open(Path(os.environ["LANDING"]) / "orders.jsonl.gz", "wt", compresslevel=6) as file:
        while rows == _LIMIT:
            orders = read("orders", {"limit": _LIMIT, "page": page, "fields": "id"})["orders"]
            for order in orders:
                for line in read(f"orders/{order['id']}/products", {"limit": _LIMIT})["orderProducts"]:
                    file.write(json.dumps({"order_id": order["id"], **line}) + "\n")
            page, rows = page + 1, len(orders)


if __name__ == "__main__":
    main()
