import html
import json
import re
import unicodedata
from collections.abc import Callable
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
    return NaturalKey(Client(transport), get_entity("variants"), tuple(key), Parameters(payload=key)).find()


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
        ("0", "0.0"),
        ("8712", "8.712000000000E+03"),
        ("007", "7"),
        ("Lamp", "<p>Lamp</p>"),
        ("é", "\\u00e9"),
        ("💡", "\\ud83d\\udca1"),
        ('10"', '10\\"'),
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


Form = Callable[[str], str]
"""Forms in which a shop stores a text. It compares a filter in the same form."""


def ascii_escapes(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def without_accents(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFD", text) if not unicodedata.combining(letter))


def words_for_signs(text: str) -> str:
    return re.sub(r"<[^<>]*>", "", html.unescape(text)).replace("&", " and ")


def question_marks(text: str) -> str:
    return text.encode("ascii", "replace").decode()


class FilteringShop(FakeTransport, Transport):
    """Has variants, and returns those that match the filter.

    Attributes:
        fits: Whether a stored text is returned for a text that is asked for.
        filters: Names of the filters that it honours.
    """

    rows: list[dict[str, Any]]
    fits: Callable[[Any, str], bool]
    filters: tuple[str, ...] = ("sku", "ean")
    asked: list[dict[str, object]]

    def send(self, request: Request) -> Response:
        self.asked.append(dict(request.query))
        honoured = {name: str(request.query[name]) for name in self.filters if name in request.query}
        rows = [row for row in self.rows if all(self.fits(row.get(name), text) for name, text in honoured.items())]
        return Response(200, json.dumps({request.entity: rows}).encode(), "")


def shop_with(*rows: dict[str, Any], fits: Callable[[Any, str], bool], **facts: Any) -> FilteringShop:
    shop = FilteringShop(Connection.from_mapping(SETTINGS))
    shop.rows, shop.fits, shop.asked = list(rows), fits, []
    vars(shop).update(facts)
    return shop


def shop_that_stores(form: Form, *rows: dict[str, Any], **facts: Any) -> FilteringShop:
    return shop_with(*rows, fits=lambda stored, asked: stored == form(asked), **facts)


def find_by(shop: FilteringShop, **key: object) -> dict[str, Any] | None:
    return NaturalKey(Client(shop), get_entity("variants"), tuple(key), Parameters(payload=key)).find()


@pytest.mark.parametrize(
    ("sent", "form"),
    [
        ("日本", ascii_escapes),
        ("Стул", ascii_escapes),
        ("Straße", ascii_escapes),
        ("8712345678901", lambda text: f"{int(text):.12E}" if text.isdigit() else text),
        ("8712345678901", lambda text: int(text) if text.isdigit() else text),
        ("A <b>&</b> B", words_for_signs),
        ("Café", without_accents),
        ("Smörgås", without_accents),
        ("10'", lambda text: text.replace("'", "")),
        ("Lamp", lambda text: f"<p>{text}</p>"),
        ("Lamp", lambda text: text[::-1]),
    ],
)
def test_what_a_shop_returns_for_the_key_alone_is_the_record_whatever_it_stores(sent: str, form: Form) -> None:
    row = {"id": 7, "sku": form(sent)}
    shop = shop_that_stores(form, row, {"id": 8, "sku": form("Other")})
    assert find_by(shop, sku=sent) == row
    assert len(shop.asked) <= 3
    assert find_by(shop, sku="B" + sent) is None
    forms = 2 if set("<&'") & set(sent) else 0
    assert len(shop.asked) <= 4 + forms, "where no row came back, there is nothing to ask but the key's other forms"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (" A-1 ", "A-1"),
        ("A  1 ", "A  1"),
        ("A  1", "A 1"),
        ("R&D", "R&amp;D"),
        ('10" R&D', "10&quot; R&amp;D"),
        ("it's", "it&#039;s"),
        ("R&amp;D", "R&D"),
        ("Cafe\u0301", "Café"),
        ("Lamp 💡", "Lamp"),
    ],
)
def test_a_shop_that_compares_what_it_stores_is_asked_for_its_form(sent: str, stored: str) -> None:
    shop = shop_that_stores(str, {"id": 7, "sku": stored}, {"id": 8, "sku": "Other"})
    assert find_by(shop, sku=sent) == {"id": 7, "sku": stored}
    assert find_by(shop, sku="B" + sent) is None


def test_an_address_is_asked_for_in_small_letters_too() -> None:
    shop = shop_that_stores(str, {"id": 7, "email": "a@shop.nl"}, filters=("email",))
    payload = {"email": "A@Shop.nl"}
    key = NaturalKey(Client(shop), get_entity("customers"), ("email",), Parameters(payload=payload))
    assert key.find() == {"id": 7, "email": "a@shop.nl"}


@pytest.mark.parametrize(("sent", "stored"), [("<b>A1</b>", "A1"), ("x" * 300, "x" * 255), ("Lamp 💡", "Lamp ?")])
def test_a_form_that_another_key_may_have_too_is_refused(sent: str, stored: str) -> None:
    with pytest.raises(InvalidParameters, match="record 7 has"):
        find_by(shop_that_stores(str, {"id": 7, "sku": stored}), sku=sent)


def test_a_row_for_a_form_of_the_key_that_cannot_be_read_may_be_the_record() -> None:
    class OddShop(FakeTransport, Transport):
        def send(self, request: Request) -> Response:
            odd = b'{"id": 7, "sku": "R&amp;D", "title": "Caf\xe9"}' if request.query["sku"] == "R&amp;D" else b""
            return Response(200, b'{"variants": [%s]}' % odd, "")

    client = Client(OddShop(Connection.from_mapping(SETTINGS)))
    key = NaturalKey(client, get_entity("variants"), ("sku",), Parameters(payload={"sku": "R&D"}))
    with pytest.raises(InvalidParameters, match=r"a row that the shop returns for .* cannot be read: no UTF-8"):
        key.find()


def test_several_records_with_forms_of_a_key_are_refused_with_their_ids() -> None:
    rows = {"id": 7, "sku": "R&amp;D"}, {"id": 8, "sku": "R&D"}
    with pytest.raises(InvalidParameters, match=r"several records match .*: 8, 7"):
        find_by(shop_that_stores(str, *rows), sku=" R&D ")


def test_a_key_that_the_shop_stores_as_it_is_takes_one_request() -> None:
    shop = shop_that_stores(str, {"id": 7, "sku": "A-1"})
    assert find_by(shop, sku="A-1") == {"id": 7, "sku": "A-1"}
    assert len(shop.asked) == 1


def test_two_records_that_a_filter_returns_in_another_form_are_refused_with_their_ids() -> None:
    rows = [{"id": identity, "sku": ascii_escapes("日本")} for identity in (7, 8)]
    with pytest.raises(InvalidParameters, match=r"several records match .*: 7, 8;"):
        find_by(shop_that_stores(ascii_escapes, *rows), sku="日本")


@pytest.mark.parametrize(
    ("sent", "form"),
    [
        ("8712345678901", lambda text: f"{int(text):.1E}" if text.isdigit() else text),
        ("日本", question_marks),
        ("Lamp 日", question_marks),
        ("Lamp-0001-XL", lambda text: text[:9]),
        ("Lamp", lambda text: f"shop-{text}"),
        ("Lamp 💡", lambda text: text.replace("💡", "🔥")),
    ],
)
def test_a_record_that_may_have_another_key_is_refused_with_its_id(sent: str, form: Form) -> None:
    with pytest.raises(InvalidParameters, match=r"record 7 has .* update record 7 by its id"):
        find_by(shop_that_stores(form, {"id": 7, "sku": form(sent)}), sku=sent)


def test_a_record_that_does_not_show_the_key_is_refused_though_the_shop_filters() -> None:
    with pytest.raises(InvalidParameters, match="record 7 has"):
        find_by(shop_with({"id": 7}, fits=lambda _, asked: asked == "A-1"), sku="A-1")


def test_a_shop_that_looks_for_a_part_of_a_text_does_not_show_that_a_record_has_the_key() -> None:
    shop = shop_with({"id": 7, "sku": "Lamp XL"}, fits=lambda stored, asked: asked in stored)
    assert find_by(shop, sku="Lamp") is None


@pytest.mark.parametrize(
    ("sent", "stored", "fits"),
    [
        ("A_1", "AB1", lambda _, asked: asked == "A_1"),  # a sign that stands for any letter
        ("50%", "502", lambda _, asked: asked == "50%"),
        ("a%2Fb", "ax2Fb", lambda _, asked: asked == "a%2Fb"),
        ("Lamp [1]%", "Lamp [1] red", lambda _, asked: asked == "Lamp [1]%"),
        ("who?", "who", lambda _, asked: asked == "who?"),
        ("Cafe", "Café", lambda _, asked: asked == "Cafe"),  # compared without accents
        ("Café", "Cafè", lambda _, asked: asked == "Café"),
        ("Lamp 100 red", "Chair red", lambda stored, asked: not set(asked.split()).isdisjoint(stored.split())),
    ],
)
def test_a_loose_filter_does_not_make_another_record_the_match(sent: str, stored: str, fits: Any) -> None:
    with pytest.raises(InvalidParameters, match="update record 7 by its id"):
        find_by(shop_with({"id": 7, "sku": stored}, fits=fits), sku=sent)


def test_a_key_of_many_wildcards_is_compared_at_once() -> None:
    shop = shop_with({"id": 7, "sku": "a" * 250}, fits=lambda _, asked: asked == "%a" * 60 + "b")
    assert find_by(shop, sku="%a" * 60 + "b") == {"id": 7, "sku": "a" * 250}


class ShortPages(FakeTransport, Transport):
    """Ignores every filter, and gives one row a page whatever the limit is."""

    rows: list[dict[str, Any]]

    def send(self, request: Request) -> Response:
        page = int(str(request.query.get("page", 1)))
        return Response(200, json.dumps({"variants": self.rows[page - 1 : page]}).encode(), "")


def test_a_record_on_a_later_page_is_not_created_again_though_the_first_page_is_not_full() -> None:
    shop = ShortPages(Connection.from_mapping(SETTINGS))
    shop.rows = [{"id": 1, "sku": "Chair"}, {"id": 7, "sku": "Lamp"}]
    key = NaturalKey(Client(shop), get_entity("variants"), ["sku"], Parameters(payload={"sku": "Lamp"}))
    with pytest.raises(InvalidParameters, match="has too many records to look through"):
        key.find()
    del shop.rows[1]
    assert key.find() is None


def test_a_shop_that_compares_numbers_does_not_make_another_record_the_match() -> None:
    shop = shop_with({"id": 7, "sku": "8712-A"}, fits=lambda stored, asked: stored.partition("-")[0] == asked)
    with pytest.raises(InvalidParameters, match="update record 7 by its id"):
        find_by(shop, sku="8712")


@pytest.mark.parametrize("key", ["A", "é", "-", " A "])
def test_a_key_of_one_letter_is_only_compared(key: str) -> None:
    shop = shop_with({"id": 7, "sku": "Lamp"}, fits=lambda _, asked: asked == key)
    assert find_by(shop, sku=key) is None
    assert [asked.get("page") for asked in shop.asked] == [None, "2"]
    assert {asked["sku"] for asked in shop.asked} == {key}


def test_each_filter_whose_value_differs_must_be_honoured() -> None:
    row = {"id": 7, "sku": ascii_escapes("日本"), "ean": "8712"}
    assert find_by(shop_that_stores(ascii_escapes, row), sku="日本", ean="8712") == row
    for other in ("Other", ascii_escapes("Стул")):
        shop = shop_that_stores(ascii_escapes, {"id": 7, "sku": "A", "ean": other}, filters=("sku",))
        assert find_by(shop, sku="A", ean="日本") is None
    in_escapes = {"id": 7, "sku": "A", "ean": ascii_escapes("日本")}
    with pytest.raises(InvalidParameters, match="record 7 has"):
        find_by(shop_that_stores(ascii_escapes, in_escapes, filters=("sku",)), sku="A", ean="日本")


def test_a_relation_has_no_other_form() -> None:
    row = {"id": 7, "sku": "A", "product": {"resource": {"id": 72}}}
    shop = shop_with(row, fits=lambda stored, asked: stored == asked)
    assert find_by(shop, sku="A", product=71) is None
    assert [asked.get("page") for asked in shop.asked] == [None, "2"]
    assert {asked["product"] for asked in shop.asked} == {"71"}
