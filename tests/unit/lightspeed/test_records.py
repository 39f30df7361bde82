"""Heads of records: a page that begins as usual gives the same records as its rows one by one."""

import json
from datetime import UTC, datetime

import pytest

from lightspeed import Client, Parameters, get_entity
from lightspeed.listing.records import Record, RecordParser, split_repeated
from lightspeed.listing.shop_list import ShopList
from lightspeed.listing.window import Window
from lightspeed.response import Page
from tests.unit.lightspeed.orders_list import Shop

WINDOW = Window("created_at", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC))
ODD = b'{"createdAt":"2026-03-01T00:00:00+00:00","id":99,"updatedAt":false}'


def usual(number: int, created: str, updated: str = "2026-07-01T10:00:00+02:00") -> bytes:
    return b'{"id":%d,"createdAt":"%b","updatedAt":"%b","memo":"x"}' % (number, created.encode(), updated.encode())


def read(texts: list[bytes], window: Window | None = WINDOW) -> tuple[list[Record], str, bool]:
    parser = RecordParser(window)
    return parser.read(Page(texts, [])), parser.unverified_reason, parser.filters_ignored


@pytest.mark.parametrize(
    "created",
    [
        ["2026-01-01T00:00:00+00:00", "2026-06-01T00:00:00+00:00"],
        ["2026-01-01T01:00:00+01:00", "2026-06-01T02:00:00+02:00", "2026-03-01T00:00:00+01:00"],
        ["2026-01-01T00:59:59+01:00", "2026-03-01T00:00:00+01:00"],
        ["2026-06-01T02:00:01+02:00", "2026-06-01T00:00:00+01:00"],
        ["2026-03-01T00:00:00+01:00", "2026-99-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"],
        ["2026-03-01T00:00:00+01:00", "2026-05-01T99:00:00+01:00", "2026-05-31T00:00:00+01:00"],
        ["2026-02-01T00:00:00+99:00", "2025-02-01T00:00:00+01:00"],
    ],
    ids=" ".join,
)
def test_a_usual_page_is_read_as_its_records_one_by_one(created: list[str]) -> None:
    texts = [usual(number, time) for number, time in enumerate(created, 1)]

    at_once = read(texts)
    one_by_one = read([*texts, ODD])  # one odd record, and none of its page is usual

    assert at_once == (one_by_one[0][:-1], *one_by_one[1:])


def test_a_usual_page_is_checked_by_the_time_that_closes_its_window() -> None:
    text = usual(7, "2025-01-01T00:00:00+00:00", "2026-03-01T00:00:00+00:00")

    assert read([text])[1] == "the shop ignores its filter created_at: see record 7"
    assert read([text], Window("updated_at", WINDOW.start, WINDOW.end))[1:] == ("", False)
    assert read([text], None) == ([Record(text, 7, "2026-03-01T00:00:00+00:00")], "", False)


def test_a_record_with_a_zero_date_is_never_updated() -> None:
    text = usual(7, "2026-03-01T00:00:00+00:00", "0000-00-00T00:00:00+00:00")

    assert [record.never_updated for record in read([text])[0]] == [True]


def test_a_row_that_comes_twice_on_one_page_is_repeated_and_one_without_an_id_is_not() -> None:
    rows = [
        Record(b"", 1, None),
        Record(b"", None, None),
        Record(b"", 1, None),
        Record(b"", 7, None),
        Record(b"", None, None),
    ]

    new, repeated = split_repeated(rows, {7})

    assert ([row.id for row in new], [row.id for row in repeated]) == ([1, None, None], [1, 7])


def test_a_time_of_change_that_is_zero_or_false_is_none() -> None:
    for none in (b"0", b"false", b"null"):
        text = b'{"createdAt":"2026-03-01T00:00:00+00:00","id":99.0,"updatedAt":%b}' % none

        records, reason, _ = read([text])

        assert records == [Record(text, 99, "2026-03-01T00:00:00+00:00", never_updated=True)]
        assert reason == ""


def test_a_record_whose_id_cannot_be_used_keeps_its_time_of_change() -> None:
    text = b'{"id":[],"createdAt":"2026-03-01T00:00:00+00:00","updatedAt":"2026-04-01T00:00:00+00:00"}'

    records, reason, _ = read([text])

    assert records == [Record(text, None, "2026-04-01T00:00:00+00:00")]
    assert reason == "a record has a value under id that cannot be used: []"


@pytest.mark.parametrize(
    ("entity", "sent", "shown"),
    [
        *(("orders", name, b'"other"') for name in ("number", "email")),
        *(("variants", name, b'"other"') for name in ("sku", "ean", "articleCode")),
        ("orders", "customer", b'{"resource":{"id":8}}'),
    ],
)
def test_a_record_that_shows_another_value_than_its_list_was_filtered_by_is_noticed(
    entity: str, sent: str, shown: bytes
) -> None:
    client = Client(Shop([]))  # type: ignore[arg-type]
    parser = ShopList(client, get_entity(entity), Parameters(query={sent: "7"}), "nl", None).parser(None)

    parser.read(Page([b'{"id":1,"%b":%b}' % (sent.encode(), shown)], []))

    assert parser.unverified_reason == f"the shop ignores its filter {sent}: see record 1"


@pytest.mark.parametrize("name", ["id", "createdAt", "updatedAt"])
def test_a_value_that_cannot_be_used_is_named(name: str) -> None:
    parser = RecordParser()
    row = {"id": 9, "createdAt": "2026-03-01T00:00:00+00:00", "updatedAt": "2026-03-01T00:00:00+00:00", name: [7]}

    parser.read(Page([json.dumps(row).encode()], []))

    subject = "a record" if name == "id" else "record 9"
    assert parser.unverified_reason == f"{subject} has a value under {name} that cannot be used: [7]"
