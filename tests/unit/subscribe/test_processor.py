"""What a run drops because an earlier run has landed it."""

import json
from collections.abc import Mapping

import pytest

from lightspeed import Parameters, get_entity
from lightspeed.listing.records import Record
from lightspeed.request import parse_time
from subscribe.checks import subscribe_request
from subscribe.sync.bookmark import still_recent
from subscribe.sync.processor import RecordProcessor
from subscribe.sync.read_plan import Read
from subscribe.sync.state import SyncState

ORDERS = Read("list", get_entity("orders"), "nl", Parameters())
END = "2026-11-23T06:00:00Z"


def order(second: int, memo: str) -> Record:
    """Return an order that changed so many seconds after the window's end."""
    changed = f"2026-11-23T06:00:{second:02}+00:00" if second >= 0 else "2026-11-23T05:59:59+00:00"
    return Record(json.dumps({"id": 7, "updatedAt": changed, "memo": memo}).encode(), 7, changed)


def processor(landed: Mapping[str, str]) -> RecordProcessor:
    request = subscribe_request({"entity": "orders", "mode": "incremental"})
    state = SyncState("run", window_start="2026-11-23T05:00:00Z", window_end=END)
    return RecordProcessor(request, state, landed, None, None)


@pytest.mark.parametrize(
    ("before", "after", "comes"),
    [
        (order(3, "old"), order(3, "new"), True),
        (order(3, "old"), order(3, "old"), False),
        (order(3, "old"), order(4, "new"), True),
        (order(-1, "old"), order(-1, "old"), False),
    ],
    ids=["changed within the second", "unchanged", "changed later", "unchanged in the window"],
)
def test_a_record_comes_again_if_it_changed_even_within_the_second(before: Record, after: Record, comes: bool) -> None:
    recent = processor({}).deduplicate([before], ORDERS).recent

    records = processor(recent).deduplicate([after], ORDERS).records

    assert records == ([after] if comes else [])


@pytest.mark.parametrize("changed", ["0000-00-00T00:00:00+00:00", "0000-00-00", "soon", "9999", "2026-02-30T06:00:00Z"])
def test_a_record_whose_time_cannot_be_read_is_not_remembered(changed: str) -> None:
    assert still_recent({"nl/7": changed}, parse_time(END)) == {}
