"""Each of the operations that the API is known to have is answered with success."""

import re
from typing import Any

import pytest

from tests.shop import Shop

from .conftest import Ask
from .operations import CHECKOUT, CHECKOUT_LINE_DELETE, COLLECTIONS, COUNT, SINGLE

LISTS = [(path, verb) for path, (_, verbs, _) in COLLECTIONS.items() for verb in verbs.split()]


def first_with_children(shop: Shop, resource: str) -> tuple[int, int]:
    """Return the id of a record below another, and the other's."""
    record = min(shop.store.ids(resource))
    return record, (shop.store.row(resource, record) or {})["parent_id"]


def ready(value: Any, shop: Shop) -> Any:
    """Replace `{resource}` by the id of an existing record, in a path or in a body."""
    if isinstance(value, dict):
        return {name: ready(each, shop) for name, each in value.items()}
    if isinstance(value, list):
        return [ready(each, shop) for each in value]
    if not isinstance(value, str) or "{" not in value:
        return value
    if value == "{below}":
        return first_with_children(shop, "products/attributes")[0]
    whole = re.fullmatch(r"\{([^}]+)\}", value)
    if whole:
        return min(shop.store.ids(whole[1]))
    value = re.sub(r"\{owner:([^}]+)\}", lambda match: str(first_with_children(shop, match[1])[1]), value)
    return re.sub(r"\{([^}]+)\}", lambda match: str(min(shop.store.ids(match[1]))), value)


def located(path: str, shop: Shop) -> tuple[str, int | None]:
    """Return the path of a list with ids, and the id of a record in it if it has any."""
    name = re.sub(r"/\{[^}]+\}", "", path)
    if "{" not in path:
        ids = shop.store.ids("products" if name == "catalog" else name)
        return path, min(ids, default=None)
    if not shop.store.ids(name):
        return ready(path, shop), None
    record, parent = first_with_children(shop, name)
    return re.sub(r"\{[^}]+\}", str(parent), path), record


def test_there_are_as_many_operations_as_are_known() -> None:
    assert COUNT == 452


@pytest.mark.parametrize(("path", "verb"), LISTS, ids=[f"{verb} {path}" for path, verb in LISTS])
def test_a_list_answers_its_verbs(path: str, verb: str, shop: Shop, ask: Ask) -> None:
    envelope, verbs, body = COLLECTIONS[path]
    place, record = located(path, shop)
    content = {envelope: ready(body, shop)}

    if verb == "list":
        status, answer = ask("GET", place)
        assert (status, len(answer)) == (200, 1)
        (rows,) = answer.values()
        assert 1 <= len(rows) <= 50
    elif verb == "count":
        status, answer = ask("GET", f"{place}/count")
        assert (status, list(answer)) == (200, ["count"])
    elif verb == "get":
        status, answer = ask("GET", f"{place}/{record}")
        assert (status, list(answer)) == (200, [envelope])
        assert answer[envelope]["id"] == record
    elif verb == "create":
        status, answer = ask("POST", place, content)
        assert (status, len(answer)) == (201, 1)
    elif verb == "update":
        status, answer = ask("PUT", f"{place}/{record}", content)
        assert (status, list(answer)) == (200, [envelope])
        assert answer[envelope]["id"] == record
    else:
        if "create" in verbs:
            _, created = ask("POST", place, content)
            record = next(iter(created.values()))["id"]
        before = ask("GET", f"{place}/count")[1]["count"]
        assert ask("DELETE", f"{place}/{record}") == (204, None)
        assert ask("GET", f"{place}/count")[1]["count"] == before - 1


@pytest.mark.parametrize(("method", "path", "body"), SINGLE, ids=[f"{method} {path}" for method, path, _ in SINGLE])
def test_a_single_thing_answers_its_verb(method: str, path: str, body: Any, shop: Shop, ask: Ask) -> None:
    if method != "POST" and path.endswith("/image"):
        key = next(body for verb, other, body in SINGLE if (verb, other) == ("POST", path))
        ask("POST", ready(path, shop), key)

    status, answer = ask(method, ready(path, shop), ready(body, shop))

    assert status == (204 if method == "DELETE" else 201 if method == "POST" and "login" not in path else 200)
    assert (answer is None) == (method == "DELETE")


def test_a_checkout_answers_all_its_verbs(shop: Shop, ask: Ask) -> None:
    ids: dict[str, int] = {}

    def send(method: str, path: str, body: Any = None) -> Any:
        for name, number in ids.items():
            path = path.replace(f"{{{name}}}", str(number))
        status, answer = ask(method, path, ready(body, shop))
        assert status == {"POST": 201, "DELETE": 204}.get(method, 200), (method, path, answer)
        return answer

    ids["checkout"] = send(*CHECKOUT[0])["id"]
    ids["line"] = send(*CHECKOUT[1])["id"]
    answers = [send(*operation) for operation in CHECKOUT[2:]]
    assert answers[-2]["order_id"] in shop.store.ids("orders")

    ids["checkout"] = send(*CHECKOUT[0])["id"]
    ids["line"] = send(*CHECKOUT[1])["id"]
    send(*CHECKOUT_LINE_DELETE)
