"""subscriptions.toml: its meaning, and the line and key of each mistake."""

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

from connector.cadence import NAME_CHARACTERS, Cadence, parse_interval, schedule_name
from connector.operator.subscriptions.file import WrongFile, json_schema, read_text

EXAMPLE = Path(__file__).parents[3] / "events" / "subscriptions.toml"


def errors(text: str) -> list[str]:
    with pytest.raises(WrongFile) as refused:
        read_text(text)
    return list(refused.value.lines)


def test_the_example_means_what_it_says() -> None:
    orders, products, open_orders = read_text(EXAMPLE.read_text(encoding="utf-8"))

    assert (orders.title, orders.entity, orders.cadence.seconds, orders.webhooks) == (
        "default.orders",
        "orders",
        900,
        True,
    )
    assert products.cadence.expression == "cron(0 3 * * ? *)"
    assert products.reconcile is not None
    assert products.reconcile.seconds == 7 * 86_400
    assert products.event["languages"] == ["nl", "en"]
    assert (open_orders.entity, open_orders.event["subscription"]) == ("orders", "open-orders")
    assert open_orders.event["entity_transformer"] == {"$ref": "s3:config/transformers/slim.jsonata"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[default.products/images]\n", '1: a name with / is quoted: [default."products/images"]'),
        ("[[products/images ]] # two\n", '1: a name with / is quoted: [default."products/images"]'),
        ("\n[default.orders\n", "2: Expected ']' at the end of a table declaration"),
        ('[a.orders]\nevery = "1 day"\n', "2: a.orders.every: an interval of a day or more needs at"),
        (
            '[a.orders]\nevery = "25 hours"\n',
            "2: a.orders.every: '25 hours' is longer than a day; write such an interval in whole days",
        ),
        (
            '[a.orders]\nevery = "often"\n',
            "2: a.orders.every: 'often' is not an interval; write one such as \"15 minutes\"",
        ),
        ('[a.orders]\nevery = "1 hour"\nat = "03:00"\n', "3: a.orders.at: at is for an interval of a day or more"),
        ('[a.order]\nevery = "1 hour"\n', "1: a.order: unknown entity 'order'; did you mean orders?"),
        ('[a.x]\nevery = "1 hour"\nentity = "ordrs"\n', "3: a.x.entity: unknown entity 'ordrs'; did you mean orders?"),
        ('[a.brands]\nevery = "1 hour"\nwebhooks = true\n', "3: a.brands.webhooks: the shop sends webhooks of"),
        (
            '[a.orders]\nevery = "1 hour"\ntimezone = "Mars"\n',
            "3: a.orders.timezone: 'Mars' is not a time zone; write one such as",
        ),
        ("[a.orders]\nevery = 15\n", "2: a.orders.every: every must be text, not a whole number"),
        ('[a.orders]\nevery = "1 day"\nat = 03:00:00\n', "3: a.orders.at: at must be text, not a time"),
        ('[a.orders]\nevery = "1 hour"\nsince = 2026-11-23\n', "3: a.orders.since: since must be text, not a date"),
        (
            '[a.orders]\nevery = "1 hour"\nlanguages = ["nl", 7]\n',
            "3: a.orders.languages: languages[1] must be text, not a whole number",
        ),
        (
            '[a.orders]\nevery = "1 hour"\nentity_transformer = 7\n',
            "3: a.orders.entity_transformer: entity_transformer must be text or",
        ),
        (
            '[a.orders]\nevery = "1 hour"\nmax_deleted_percent = 101\n',
            "3: a.orders.max_deleted_percent: max_deleted_percent must be a number of 100 or less",
        ),
        ('[a.orders]\nevery = "1 hour"\nlanguages = []\n', "3: a.orders.languages: languages must be a list of"),
        ('[a.orders]\nevery = "1 hour"\nlanguages = [\n  "nl",\n  "nl",\n]\n', "3: a.orders.languages: languages na"),
        (
            '[a."orders/products"]\nevery = "1 hour"\n',
            "1: a.orders/products: orders/products needs parameters = { path",
        ),
        ('[a.orders]\nevery = "1 hour"\nentity_transformer = "a["\n', "3: a.orders.entity_transformer: expected ]"),
        ('[a.orders]\nevery = "1 hour"\n[a.orders.parameters]\nqery = {}\n', "3: a.orders.parameters: parameters has"),
        ('[a."b.c"]\nevery = "1 hour"\nentity = "orders"\n', "1: a.b.c: a subscription has the name of an entity"),
        ("x = 1\n", "1: x: a subscription is a table"),
        ('"a/b".orders = 1\n', "1: a/b: a connection has letters"),
    ],
)
def test_a_mistake_has_its_line_and_key(text: str, expected: str) -> None:
    assert errors(text)[0].startswith(f"subscriptions.toml:{expected}")


def test_a_connection_with_a_dot_is_explained() -> None:
    found = errors('[outlet.nl.orders]\nevery = "1 hour"\n')

    assert any("outlet.nl.orders: the header has too many names" in line for line in found)


def test_every_mistake_is_reported_at_once_in_the_order_of_lines() -> None:
    text = '[a.orders]\nevry = 1\n[a.brands]\nevery = "1 hour"\nwebhooks = 3\n[b.products]\nevery = "1 day"\n'

    assert [line.split(":")[1] for line in errors(text)] == ["1", "2", "5", "7"]


def test_lines_are_right_behind_values_of_many_lines() -> None:
    text = "[a.orders]\nentity_transformer = '''\n[b.x]\nevery = 7\n'''\nevery = \"7\"\n"

    assert errors(text)[1].startswith("subscriptions.toml:6: a.orders.every")


def test_the_schema_takes_the_example_and_refuses_a_wrong_key() -> None:
    schema = json_schema()
    document = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))

    jsonschema.validate(document, schema)
    document["default"]["orders"]["evry"] = "1 day"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)
    stored = EXAMPLE.with_name("subscriptions.schema.json").read_text(encoding="utf-8")
    assert json.loads(stored) == schema, "run: python -m connector plan --schema > events/subscriptions.schema.json"


@pytest.mark.parametrize(
    ("every", "offset", "expression"),
    [
        ("1 minute", 7, "rate(1 minute)"),
        ("15 minutes", 22, "cron(7/15 * * * ? *)"),
        ("7 minutes", 3, "rate(7 minutes)"),
        ("1 hour", 61, "cron(1 * * * ? *)"),
        ("6 hours", 150, "cron(30 2/6 * * ? *)"),
        ("90 minutes", 3, "rate(90 minutes)"),
        ("5 hours", 3, "rate(300 minutes)"),
    ],
)
def test_intervals_are_spread_over_time(every: str, offset: int, expression: str) -> None:
    cadence = Cadence(parse_interval(every), None, "UTC", offset)
    start = datetime(2026, 11, 23, 6, 0, 30, tzinfo=UTC)

    assert cadence.expression == expression
    later = cadence.next_after(start)
    assert 0 < (later - start).total_seconds() <= cadence.seconds
    assert (cadence.next_after(later, later) - later).total_seconds() == cadence.seconds


@pytest.mark.parametrize(
    ("days", "expression", "runs"),
    [
        (1, "cron(30 2 * * ? *)", ["2027-03-26T01:30", "2027-03-27T01:30", "2027-03-29T00:30"]),
        (7, "cron(30 2 ? * THU *)", ["2027-04-01T00:30", "2027-04-08T00:30", "2027-04-15T00:30"]),
        (2, "cron(30 2 1/2 * ? *)", ["2027-03-27T01:30", "2027-03-29T00:30", "2027-03-31T00:30"]),
        (30, "cron(30 2 1 * ? *)", ["2027-04-01T00:30", "2027-05-01T00:30", "2027-06-01T00:30"]),
    ],
)
def test_days_are_calendar_days_and_the_hour_that_spring_removes_is_left_out(
    days: int, expression: str, runs: list[str]
) -> None:
    cadence = Cadence(days * 86_400, 150, "Europe/Amsterdam", 3)
    assert cadence.expression == expression
    moment, found = datetime(2027, 3, 25, 12, tzinfo=UTC), []
    for _ in range(3):
        moment = cadence.next_after(moment)
        found.append(f"{moment:%Y-%m-%dT%H:%M}")
    assert found == runs
    assert str(cadence.first_skipped(datetime(2027, 3, 25, tzinfo=UTC)))[:16] == "2027-03-28 02:30"


def test_the_hour_that_autumn_repeats_is_used_once() -> None:
    cadence = Cadence(86_400, 150, "Europe/Amsterdam", 0)
    first = cadence.next_after(datetime(2027, 10, 30, 12, tzinfo=UTC))

    assert f"{first:%dT%H:%M}" == "31T00:30"
    assert f"{cadence.next_after(first):%m-%dT%H:%M}" == "11-01T01:30"


def test_an_hour_that_always_exists_has_no_warning() -> None:
    assert Cadence(86_400, 180, "Europe/Amsterdam", 0).first_skipped(datetime(2027, 1, 1, tzinfo=UTC)) is None
    assert Cadence(86_400, 150, "UTC", 0).first_skipped(datetime(2027, 1, 1, tzinfo=UTC)) is None


def test_names_of_schedules_are_short_readable_and_unique() -> None:
    long = schedule_name("c" * 60, "s" * 60)

    assert schedule_name("default", "products/images").startswith("default-products-images-")
    assert len(long) == NAME_CHARACTERS
    assert long != schedule_name("c" * 60, "s" * 61)
    assert schedule_name("a", "b-c") != schedule_name("a-b", "c")
