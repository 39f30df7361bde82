import json
from typing import Any

import pytest

from lightspeed import Client, Connection, InvalidParameters, Parameters, Request, Response, Transport, get_entity
from lightspeed.writing.natural_key import NaturalKey
from tests.support.fake_transport import FakeTransport

SETTINGS = {"cluster": "eu1", "api_key": "key", "api_secret": "secret", "language": "nl"}


class Shop(FakeTransport, Transport):
    """Answers every look-up with the same rows, whatever it asks for."""

    body: bytes

    def send(self, request: Request) -> Response:
        assert request.method == "GET"
        return Response(200, self.body, "")


def find(rows: list[dict[str, Any]], **key: object) -> dict[str, Any] | None:
    return find_in(json.dumps({"variants": rows}).encode(), **key)


def find_in(body: bytes, **key: object) -> dict[str, Any] | None:
    transport = Shop(Connection.from_mapping(SETTINGS))
    transport.body = body
    return NaturalKey(get_entity("variants"), tuple(key), Parameters(payload=key)).find(Client(transport))


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (" A-1 ", "A-1"),
        ("A  1", "A 1"),
        ("A\u00a01", "A 1"),
        ("R&D", "R&amp;D"),
        ("R&D", "R&amp;amp;D"),
        ("R&amp;D", "R&D"),
        ("Lamp 💡", "Lamp"),
        ("Duo 👩\u200d🔬", "Duo"),
        ("Heart ❤\ufe0f", "Heart ❤"),
        ("Lamp\u00adshade", "Lampshade"),
        ("Lamp\tXL\n", "Lamp XL"),
        ("Lamp\x00", "Lamp"),
        ("\ufeffLamp", "Lamp"),
        ("abc", "ABC"),
        ("Straße", "STRASSE"),
        ("Cafe\u0301", "Café"),
        ("Café", "Cafe\u0301"),
        ("Café", "CafÃ©"),
        ("Café \u2013 1", "CafÃ© â€“ 1"),
        ("Café", "CafÃ\x83Â©"),
        ("a/b c", "a%2Fb%20c"),
    ],
)
def test_a_value_that_the_shop_stored_in_another_form_is_found(sent: str, stored: str) -> None:
    assert find([{"id": 7, "sku": stored}], sku=sent) == {"id": 7, "sku": stored}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("x" * 300, "x" * 255),
        ("Lamp-XL", "Lamp-X"),
        ("007", "7"),
        ("8712", "0008712"),
        ("Lamp 💡", "Lamp ?"),
        ("Lamp 💡", "Lamp ????"),
        ("💡", ""),
        ("Lamp 💡", "Lamp \ufffd"),
        ("Café", "Cafe"),
        ("Smörgås", "Smorgas"),
        ("A<b>1</b>", "A1"),
        ("A &lt;b&gt;1&lt;/b&gt;", "A 1"),
        ("10'", "10\\'"),
        ('10"', "10\u201d"),
        ("A\u20131", "A-1"),
        ("87 12", "8712"),
        ("8-712", "8712"),
        ("a+b", "a b"),
        ("Lamp.", "Lamp"),
        ("x" * 60, "x" * 49 + "…"),
        ("Café", "Caf"),
        ("½ inch", "? inch"),
        ("smørrebrød", "smoerrebroed"),
        ("\u0131ş\u0131k", "IŞIK"),
        ("€ 10", "EUR 10"),
        ("Straße", "Stra\\u00dfe"),
        ("日本", "??"),
        ("日本", ""),
        ("Lamp XL", "Lamp…"),
    ],
)
def test_a_value_that_lost_characters_is_refused_with_the_id_of_the_record(sent: str, stored: str) -> None:
    with pytest.raises(InvalidParameters, match=r"record 7 has .* update record 7 by its id"):
        find([{"id": 7, "sku": stored}], sku=sent)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("it's", "it\u2019s"),
        ("A\u20131", "A-1"),
        ("A 1", "A1"),
        ("Lamp.", "Lamp"),
        ("\u0131ş\u0131k", "???k"),
        ("a'b", "a\\'b"),
        ("x" * 60, "x" * 49 + "…"),
    ],
)
def test_a_value_that_lost_characters_is_refused_among_other_rows_too(sent: str, stored: str) -> None:
    with pytest.raises(InvalidParameters, match="record 7 has"):
        find([{"id": 1, "sku": "other"}, {"id": 7, "sku": stored}], sku=sent)


def test_parts_of_a_key_may_be_changed_in_different_ways() -> None:
    with pytest.raises(InvalidParameters, match="record 7 has"):
        find([{"id": 7, "sku": "Cafe", "ean": "8712"}], sku="Café", ean="08712")


def test_a_row_that_does_not_show_the_key_is_not_taken_for_another_record() -> None:
    with pytest.raises(InvalidParameters, match="record 7 has"):
        find([{"id": 7}], sku="A")


def test_the_exact_value_wins_over_another_form_of_it() -> None:
    assert find([{"id": 1, "sku": "a"}, {"id": 2, "sku": "A"}], sku="A") == {"id": 2, "sku": "A"}


def test_two_other_forms_of_a_value_are_refused_with_their_ids() -> None:
    with pytest.raises(InvalidParameters, match=r"several records match .*: 1, 2;"):
        find([{"id": 1, "sku": "a "}, {"id": 2, "sku": " a"}], sku="a")


def test_another_form_among_unrelated_records_is_refused_since_the_shop_did_not_filter() -> None:
    with pytest.raises(InvalidParameters, match="record 2 has"):
        find([{"id": 1, "sku": "other"}, {"id": 2, "sku": "A"}], sku="a")


def test_records_with_other_values_are_not_found() -> None:
    assert find([{"id": 1, "sku": "A-1"}, {"id": 2, "sku": "B"}, {"id": 3, "sku": None}], sku="A-17") is None
    assert find([{"id": 1, "sku": "Cafe"}, {"id": 2, "sku": "B"}], sku="Café") is None
    for asked, there in (("A-1", "A-12"), ("A-1", "A21"), ("Стул", "Стол"), ("Стул", "Lamp"), ("Стул", "Стул 2")):
        assert find([{"id": 1, "sku": there}], sku=asked) is None
    assert find([{"id": 1, "sku": "Who?"}, {"id": 2, "sku": "B"}], sku="A-17") is None
    assert find([], sku="A") is None


@pytest.mark.parametrize("identity", [{}, {"id": None}, {"id": False}, {"id": ""}, {"id": [7]}, {"id": "\ud83d"}])
def test_a_record_that_shows_no_id_is_neither_updated_nor_created_again(identity: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameters, match=r'has {"sku": "A"} where match asks for'):
        find([{**identity, "sku": "A"}], sku="A")


@pytest.mark.parametrize(("sent", "stored"), [("Lamp 💡", "Lamp 🔥"), ("Lamp", "Lamp 💡"), ("山𠮷", "山𠮸")])
def test_a_record_with_another_emoji_is_not_taken_for_the_same(sent: str, stored: str) -> None:
    with pytest.raises(InvalidParameters, match="record 7 has"):
        find([{"id": 7, "sku": stored}], sku=sent)


def test_a_row_that_cannot_be_read_may_have_the_value_so_no_second_record_is_created() -> None:
    odd = b'{"id": 7, "sku": "A", "title": "Caf\xe9"}'

    with pytest.raises(InvalidParameters, match=r"a row that the shop returns for .* cannot be read: no UTF-8"):
        find_in(b'{"variants": [%b]}' % odd, sku="A")
    assert find_in(b'{"variants": [%b, {"id": 8, "sku": "A"}]}' % odd, sku="A") == {"id": 8, "sku": "A"}


def test_credentials_that_the_shop_shows_as_a_key_or_an_id_are_masked() -> None:
    with pytest.raises(InvalidParameters, match=r'record \*\*\* has {"sku": "\*\*\*"} where'):
        find([{"id": "secret", "sku": "secret"}], sku="secret-1")
    with pytest.raises(InvalidParameters, match=r": 1, \*\*\*;"):
        find([{"id": 1, "sku": "A"}, {"id": "secret", "sku": "A"}], sku="A")
