"""dlt's `rest_api` source as its documentation shows it, into files, without child tables."""

from __future__ import annotations

import os
from pathlib import Path

import dlt  # type: ignore[import-not-found,unused-ignore]
from dlt.sources.rest_api import rest_api_source  # type: ignore[import-not-found,unused-ignore]


def main() -> None:
    """Read all orders."""
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{os.environ['SHOP_URL']}/nl/",
                "auth": {
                    "type": "http_basic",
                    "username": os.environ["SHOP_KEY"],
                    "password": os.environ["SHOP_SECRET"],
                },
                "paginator": {"type": "page_number", "base_page": 1, "page_param": "page", "total_path": None},
            },
            "resources": [
                {
                    "name": "orders",
                    "endpoint": {"path": "orders.json", "params": {"limit": 250}, "data_selector": "orders"},
                }
            ],
        },
        max_table_nesting=0,
    )
    landing = Path(os.environ["LANDING"])
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(landing / "state"),
        destination=dlt.destinations.filesystem(bucket_url=(landing / "landed").as_uri()),
        dataset_name="shop",
    )
    pipeline.run(source)


if __name__ == "__main__":
    main()
