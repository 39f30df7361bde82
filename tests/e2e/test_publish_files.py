"""A file of changes, put into the bucket and published by its state machine."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Landed, ShopSeen
from tests.local.stack import Stack

pytestmark = pytest.mark.e2e

Eventually = Callable[..., Any]


def test_an_uploaded_file_is_published_line_by_line_with_its_results_beside_it(
    stack: Stack, shop: ShopSeen, landed: Landed, eventually: Eventually
) -> None:
    variants = [row["id"] for row in shop.get("variants", limit=20)["variants"]]
    lines: list[object] = [
        {"entity": "variants", "action": "update", "parameters": {"path": {"id": i}, "payload": {"stockLevel": n}}}
        for n, i in enumerate(variants)
    ]
    lines += [
        {"entity": "tags", "action": "create", "parameters": {"payload": {"title": "from a file"}}},
        {"entity": "orders", "action": "create", "parameters": {"payload": {"email": "buyer@example.com"}}},
    ]
    body = gzip.compress("\n".join(json.dumps(line) for line in lines).encode())
    out = "publish/out/changes.jsonl.gz"

    stack.client("s3").put_object(Bucket=stack.outputs["Bucket"], Key="publish/in/changes.jsonl.gz", Body=body)

    eventually(lambda: out in landed.keys("publish/out/"))
    results = [json.loads(line) for line in gzip.decompress(landed.read(out)).splitlines()]
    assert [result["line"] for result in results] == list(range(1, 23))
    assert [result["status"] for result in results] == ["updated"] * 20 + ["created", "failed"]
    assert [row["stockLevel"] for row in shop.get("variants", limit=20)["variants"]] == list(range(20))
