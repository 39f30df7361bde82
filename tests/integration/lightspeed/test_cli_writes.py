"""The writes of the command line to the simulated shop, and their dry runs."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.lightspeed.conftest import Run, problem, standard_input
from tests.shop import Fault, Shop

Payload = Callable[[object], Path]


@pytest.fixture
def payload(tmp_path: Path) -> Payload:
    """Write a payload to a file and return its path."""

    def write(record: object) -> Path:
        file = tmp_path / "payload.json"
        file.write_text(json.dumps(record))
        return file

    return write


def test_create_update_delete(run: Run, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = tmp_path / "product.json"
    payload.write_text('{"title": "Mug"}')
    created = json.loads(run("create", "products", "--payload", payload)[1])
    assert created["title"] == "Mug"

    standard_input(monkeypatch, b'{"product": {"title": "Cup"}}')
    updated = json.loads(run("update", "products", "--path", f"id={created['id']}", "--payload", "-")[1])
    assert updated["title"] == "Cup"

    assert run("delete", "products", "--path", f"id={created['id']}") == (0, "", "")
    assert [seen.method for seen in shop.requests] == ["POST", "PUT", "DELETE"]
    assert created["id"] not in shop.store.ids("products")


def test_a_number_is_sent_as_it_is_written(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, b'{"title": "Mug", "weight": 12345678901234567890.10}')

    assert run("create", "products", "--payload", "-")[0] == 0
    assert b"12345678901234567890.10" in shop.requests[-1].body


def test_an_action(run: Run, shop: Shop) -> None:
    quote = shop.store.add("quotes", customer=shop.store.ids("customers")[0])
    order = json.loads(run("action", "quotes", "convert", "--path", f"id={quote}")[1])

    assert order["id"] == shop.store.ids("orders")[0]


def test_an_action_that_is_a_command_is_sent_there(run: Run) -> None:
    message = problem(run("action", "orders", "update", "--path", "id=1"), 2)

    assert message == "update is a command: update orders"


def test_a_dry_run_of_an_update_shows_request_and_difference_and_writes_nothing(
    run: Run, shop: Shop, payload: Payload
) -> None:
    variant = shop.store.ids("variants")[0]
    shop.store.update("variants", variant, stockLevel=60)
    words = ["update", "variants", "--path", f"id={variant}", "--payload", payload({"stockLevel": 12})]
    status, out, err = run(*words, "--dry-run")

    assert (status, err) == (0, "")
    assert out.splitlines() == [
        "{",
        '  "status": "dry_run",',
        '  "request": {',
        '    "method": "PUT",',
        f'    "path": "/nl/variants/{variant}.json",',
        '    "query": {},',
        '    "body": {"variant": {"stockLevel": 12}}',
        "  },",
        f'  "id": {variant},',
        '  "difference": {',
        '    "stockLevel": {"from": 60, "to": 12}',
        "  }",
        "}",
    ]
    assert [seen.method for seen in shop.requests] == ["GET"]

    run(*words)
    assert json.loads(out)["request"]["body"] == shop.requests[-1].json
    assert json.loads(run(*words, "--dry-run")[1])["status"] == "unchanged"


def test_a_dry_run_shows_no_credential(run: Run, shop: Shop, payload: Payload) -> None:
    out = run("create", "products", "--payload", payload({"title": "Mug"}), "--dry-run")[1]

    assert json.loads(out)["request"]["path"] == "/nl/products.json"
    assert shop.api_key not in out
    assert shop.api_secret not in out
    assert "Basic" not in out
    assert shop.requests == []


def test_a_dry_run_of_a_delete_shows_what_would_go(run: Run, shop: Shop) -> None:
    tag = shop.store.ids("tags")[0]
    shown = json.loads(run("delete", "tags", "--path", f"id={tag}", "--dry-run")[1])

    assert shown["request"] == {"method": "DELETE", "path": f"/nl/tags/{tag}.json", "query": {}, "body": None}
    assert shown["difference"]["id"] == {"from": tag, "to": None}
    assert shop.store.row("tags", tag) is not None


@pytest.mark.parametrize("command", ["update", "delete"])
def test_a_dry_run_on_a_record_that_is_not_there_fails_as_the_command_would(
    run: Run, payload: Payload, command: str
) -> None:
    words = [command, "tags", "--path", "id=7"]
    words += ["--payload", str(payload({"title": "x"}))] if command == "update" else []

    assert problem(run(*words, "--dry-run"), 1) == "GET /nl/tags/7.json: 404 Not found"
    assert problem(run(*words), 1).endswith(" /nl/tags/7.json: 404 Not found")


@pytest.mark.parametrize(
    ("words", "done"),
    [
        (["update", "brands", "--path", "id={brand}", "--payload", "{payload}"], "updated brands {brand}"),
        (["create", "brands", "--payload", "{payload}", "--match", "title"], "updated brands {brand}"),
        (["action", "quotes", "convert", "--path", "id=1016615295"], "convert of quotes 1016615295 is done"),
    ],
    ids=["update", "match", "action"],
)
def test_a_write_whose_answer_cannot_be_printed_says_what_was_done(
    run: Run, shop: Shop, payload: Payload, monkeypatch: pytest.MonkeyPatch, words: list[str], done: str
) -> None:
    class Full(io.BytesIO):
        def write(self, _text: object) -> int:
            raise OSError(28, "No space left on device")

    brand = shop.store.add("brands", {"title": {"nl": "Delta"}})
    names = {"brand": brand, "payload": payload({"title": "Delta", "content": "Taps"})}
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Full()))
    status, _, err = run(*[word.format(**names) for word in words])

    assert status == 1
    assert err.splitlines()[-1] == (
        f"lightspeed: {done.format(**names)}, but its answer could not be printed: No space left on device"
    )
    assert shop.requests[-1].method in ("PUT", "POST")


def test_a_dry_run_of_an_action_shows_its_request(run: Run, shop: Shop) -> None:
    shown = json.loads(run("action", "quotes", "convert", "--path", "id=1016615295", "--dry-run")[1])

    assert shown["request"]["path"] == "/nl/quotes/1016615295/convert.json"
    assert shop.requests == []


def test_a_create_with_match_updates_the_record_that_is_there(run: Run, shop: Shop, payload: Payload) -> None:
    first = run("create", "brands", "--payload", payload({"title": "Delta"}), "--match", "title")
    again = payload({"title": "Delta", "content": "Taps"})
    shown = json.loads(run("create", "brands", "--payload", again, "--match", "title", "--dry-run")[1])
    second = run("create", "brands", "--payload", again, "--match", "title")

    brand = json.loads(first[1])["id"]
    assert (first[0], first[2]) == (0, "")
    assert (shown["id"], shown["request"]["method"], list(shown["difference"])) == (brand, "PUT", ["content"])
    assert json.loads(second[1])["id"] == brand
    assert second[2] == f"lightspeed: brands {brand} is there already and is updated\n"
    assert [seen.method for seen in shop.requests] == ["GET", "POST", "GET", "GET", "PUT"]


def test_a_match_by_two_fields_of_what_cannot_be_updated(run: Run, shop: Shop, payload: Payload) -> None:
    join = shop.store.rows("categories/products")[0]
    file = payload({"category": join["category"], "product": join["product"]})
    status, out, err = run(
        "create", "categories/products", "--payload", file, "--match", "category", "--match", "product"
    )

    assert status == 0
    assert json.loads(out)["id"] == join["id"]
    assert err == f"lightspeed: categories/products {join['id']} is there already\n"


def test_several_records_that_match_are_refused_with_their_ids(run: Run, shop: Shop, payload: Payload) -> None:
    ids = [shop.store.add("tags", {"title": {"nl": "twin"}}) for _ in range(2)]
    message = problem(run("create", "tags", "--payload", payload({"title": "twin"}), "--match", "title"), 2)

    assert message.startswith('tags create: several records match {"title": "twin"}: ')
    assert all(str(identity) in message for identity in ids)
    assert [seen.method for seen in shop.requests] == ["GET"]


@pytest.mark.parametrize(
    ("entity", "field", "message"),
    [
        ("tags", "titel", "match by 'titel' is not possible: tags can be looked up by "),
        ("tags", "page", "match by 'page' is not possible"),
        ("tags", "since_id", "match by 'since_id' is not possible"),
        ("brands", "created_at_min", "match by 'created_at_min' is not possible"),
        ("brands", "isVisible", "match by 'isVisible' is not possible"),
        ("customers", "email", "match by 'email' needs its value in the payload, as text or a whole number"),
    ],
)
def test_a_match_that_cannot_be_is_refused_before_anything_is_sent(
    run: Run, shop: Shop, payload: Payload, entity: str, field: str, message: str
) -> None:
    record = {"title": "x", "since_id": 7, "created_at_min": "2026-11-23", "isVisible": True}
    assert message in problem(run("create", entity, "--payload", payload(record), "--match", field), 2)
    assert shop.requests == []


def test_only_what_a_field_may_be_is_offered_for_a_match(run: Run, payload: Payload) -> None:
    message = problem(run("create", "brands", "--payload", payload({"title": "x"}), "--match", "titel"), 2)

    assert message.endswith(": brands can be looked up by title")


@pytest.mark.parametrize("value", [True, False, None, "", 1.5, [], {}], ids=repr)
def test_a_match_by_a_value_that_is_neither_text_nor_a_whole_number(
    run: Run, shop: Shop, payload: Payload, value: object
) -> None:
    message = problem(run("create", "customers", "--payload", payload({"email": value}), "--match", "email"), 2)

    assert message == "customers create: match by 'email' needs its value in the payload, as text or a whole number"
    assert shop.requests == []


def test_a_create_whose_answer_is_lost_is_settled_by_match(run: Run, shop: Shop, payload: Payload) -> None:
    shop.faults.next(Fault.loses_answer(), method="POST")
    status, out, err = run("create", "tags", "--payload", payload({"title": "sale"}), "--match", "title")

    tag = json.loads(out)["id"]
    assert status == 0
    assert tag in shop.store.ids("tags")
    assert err.startswith("lightspeed: created: the answer was lost (POST /nl/tags.json: the connection broke")
    assert err.endswith(f"), but tags {tag} is there\n")
    assert [seen.method for seen in shop.requests] == ["GET", "POST", "GET"]


@pytest.mark.parametrize("words", [[], ["--match", "title"]], ids=["without match", "with match"])
def test_a_lost_create_is_not_sent_again_and_says_where_to_look(
    run: Run, shop: Shop, payload: Payload, words: list[str]
) -> None:
    shop.faults.next(Fault.answers(504), method="POST")
    message = problem(run("create", "tags", "--payload", payload({"title": "sale"}), *words), 1)

    assert message.startswith("the shop may or may not have acted on it (POST /nl/tags.json: 504 ")
    assert message.endswith("; look for it among tags before sending it again")
    assert [seen.method for seen in shop.requests].count("POST") == 1


def test_a_lost_create_stays_unknown_where_the_shop_is_gone(run: Run, shop: Shop, payload: Payload) -> None:
    shop.faults.next(Fault.loses_answer(), method="POST")
    shop.faults.next(Fault.answers(500), times=4, method="GET", after=1)
    message = problem(run("create", "tags", "--payload", payload({"title": "sale"}), "--match", "title"), 1)

    assert message.startswith("the shop may or may not have acted on it")


def test_an_action_whose_answer_is_lost_says_where_to_look(run: Run, shop: Shop) -> None:
    shop.faults.next(Fault.loses_answer(), method="POST")
    message = problem(run("action", "quotes", "convert", "--path", "id=1016615295"), 1)

    assert message.endswith("look whether quote 1016615295 has become an order before sending it again")


def test_a_create_that_the_shop_refuses_is_its_own_message(run: Run, shop: Shop, payload: Payload) -> None:
    shop.faults.next(Fault.answers(422, "No title."), method="POST")

    assert (
        problem(run("create", "tags", "--payload", payload({"title": "x"})), 1) == "POST /nl/tags.json: 422 No title."
    )
