"""A connection is checked as a whole, and its secrets are masked."""

import pickle
from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightspeed import CLUSTERS, Connection, InvalidConnection
from lightspeed.origin import parse_origin

KEY, SECRET, HOOK = "key-0123456789abcdef", "secret-fedcba9876543210", "hook-00112233445566"
GOOD = {"cluster": "eu1", "api_key": KEY, "api_secret": SECRET, "language": "nl"}


def mistakes(settings: object) -> tuple[str, ...]:
    with pytest.raises(InvalidConnection) as caught:
        Connection.from_mapping(settings, "north")
    assert caught.value.name == "north"
    for hidden in (KEY, SECRET, HOOK):
        assert hidden not in str(caught.value)
    return caught.value.errors


def without(*keys: str) -> dict[str, object]:
    return {key: value for key, value in GOOD.items() if key not in keys}


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_a_cluster_is_an_origin(cluster: str) -> None:
    assert Connection.from_mapping({**GOOD, "cluster": cluster}).origin == CLUSTERS[cluster]


def test_defaults() -> None:
    connection = Connection.from_mapping(GOOD)

    assert connection.update_method == "PUT"
    assert connection.webhook_secrets == (SECRET,)
    assert connection.language == "nl"


def test_everything_given() -> None:
    connection = Connection.from_mapping(
        {
            **without("cluster"),
            "base_url": "https://shop.example:8443/",
            "webhook_secret": HOOK,
            "update_method": "PATCH",
        }
    )

    assert connection.origin == "https://shop.example:8443"
    assert connection.webhook_secrets == (HOOK,)
    assert connection.update_method == "PATCH"


def test_a_webhook_may_be_signed_with_any_of_several_secrets() -> None:
    connection = Connection.from_mapping({**GOOD, "webhook_secret": [HOOK, SECRET], "shop_id": 123})

    assert connection.webhook_secrets == (HOOK, SECRET)
    assert connection.shop_id == "123"
    assert HOOK not in repr(connection)
    assert mistakes({**GOOD, "webhook_secret": [HOOK, ""]}) == ("webhook_secret is required and may not be empty",)
    assert mistakes({**GOOD, "shop_id": "12a"}) == ("shop_id must be the shop's number, not '12a'",)


@pytest.mark.parametrize("settings", [None, [], "text", 7], ids=repr)
def test_settings_that_are_no_object_are_refused(settings: object) -> None:
    assert mistakes(settings) == ("must be a JSON object with cluster or base_url, api_key, api_secret, language",)


@pytest.mark.parametrize("key", ["api_key", "api_secret"])
@pytest.mark.parametrize("value", ["", None, 7, [KEY]], ids=repr)
def test_a_credential_is_required(key: str, value: object) -> None:
    assert mistakes({**GOOD, key: value}) == (f"{key} is required and may not be empty",)


@pytest.mark.parametrize("key", ["api_key", "api_secret", "webhook_secret"])
@pytest.mark.parametrize("value", [f" {SECRET}", f"{SECRET}\n", f"{SECRET}\r\nX", "a\x00b"], ids=repr)
def test_a_credential_with_stray_characters_is_refused_without_showing_it(key: str, value: str) -> None:
    assert mistakes({**GOOD, key: value}) == (f"{key} has white space around it or characters that cannot be printed",)


def test_a_key_may_not_hold_what_separates_it_from_the_secret() -> None:
    assert mistakes({**GOOD, "api_key": f"{KEY}:{SECRET}"}) == ("api_key may not contain a colon",)


@pytest.mark.parametrize("value", ["", None, "NL", "nld", "n", "n1", "../", 7, "nl "], ids=repr)
def test_a_language_is_two_small_letters(value: object) -> None:
    assert mistakes({**GOOD, "language": value}) == (
        f"language must be the shop's two-letter code such as nl, en or us, not {value!r}",
    )


def test_exactly_one_of_cluster_and_base_url() -> None:
    message = "give exactly one of cluster (eu1 or us1) and base_url"

    assert mistakes(without("cluster")) == (message,)
    assert mistakes({**GOOD, "base_url": "https://shop.example"}) == (message,)


@pytest.mark.parametrize("value", ["eu2", "", "EU1", 1, ["eu1"]], ids=repr)
def test_an_unknown_cluster_names_the_known_ones(value: object) -> None:
    assert mistakes({**GOOD, "cluster": value}) == (f"cluster must be eu1 or us1, not {value!r}",)


def test_an_update_method_is_put_or_patch() -> None:
    assert mistakes({**GOOD, "update_method": "POST"}) == ("update_method must be PUT or PATCH, not 'POST'",)


def test_an_unknown_key_is_named_without_its_value() -> None:
    (mistake,) = mistakes({**GOOD, "apiSecret": SECRET})

    assert mistake.startswith("unknown key 'apiSecret'; known are cluster, base_url, api_key")


def test_every_mistake_is_named_at_once() -> None:
    assert len(mistakes({"cluster": "eu9", "api_key": "", "language": "x", "secret": SECRET})) == 5


@pytest.mark.parametrize(
    ("base_url", "origin"),
    [
        ("https://api.webshopapp.com", "https://api.webshopapp.com"),
        ("https://API.webshopapp.com/", "https://api.webshopapp.com"),
        (" https://shop.example:443 ", "https://shop.example:443"),
        ("https://my_proxy.internal", "https://my_proxy.internal"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://127.8.9.10", "http://127.8.9.10"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]"),
    ],
)
def test_a_base_url_is_reduced_to_its_origin(base_url: str, origin: str) -> None:
    assert parse_origin(base_url) == origin


@pytest.mark.parametrize(
    ("base_url", "message"),
    [
        (7, "must be text"),
        (None, "must be text"),
        ("", "must start with https://"),
        ("api.webshopapp.com", "must start with https://"),
        ("ftp://shop.example", "must start with https://"),
        ("https://", "must start with https://"),
        ("https://exa mple.com", "must start with https://"),
        ("https://a\\b", "must start with https://"),
        ("https://.example", "must start with https://"),
        ("https://shop.example/nl", "must be an origin without path"),
        ("https://shop.example?x=1", "must be an origin without path"),
        ("https://shop.example#x", "must be an origin without path"),
        ("https://shop.example:99999", "has a host or port that cannot be read"),
        ("https://shop.example:abc", "has a host or port that cannot be read"),
        ("https://[::1", "has a host or port that cannot be read"),
        ("http://shop.example", "must use https; plain http is for loopback hosts only, not shop.example"),
        ("http://localhost.evil.example", "must use https"),
        ("https://metadata.goog", "may not name a link-local or metadata address"),
        ("https://169.254.169.254.nip.io", "may not name a link-local or metadata address"),
        ("https://x-169-254-169-254.sslip.io", "may not name a link-local or metadata address"),
        ("https://a9fea9fe.nip.io", "may not name a link-local or metadata address"),
        ("http://128.0.0.1", "must use https"),
        ("http://0.0.0.0", "must use https"),
        ("http://[2001:db8::1]", "must use https"),
    ],
)
def test_a_base_url_must_be_a_safe_origin(base_url: object, message: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has|may) ") as caught:
        parse_origin(base_url)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "netloc", [f"{KEY}:{SECRET}@shop.example", f"{KEY}:{SECRET}@shop\u2100.example", f"{KEY}:{SECRET}@[::1"]
)
def test_credentials_in_a_base_url_are_refused_and_not_repeated(netloc: str) -> None:
    (mistake,) = mistakes({**without("cluster"), "base_url": f"https://{netloc}"})

    assert mistake.startswith("base_url ")


def test_another_language_of_the_same_shop() -> None:
    connection = Connection.from_mapping(GOOD)

    assert connection.in_language("en") == replace(connection, language="en")
    with pytest.raises(InvalidConnection, match="two-letter code"):
        connection.in_language("english")


def test_no_text_form_shows_a_credential() -> None:
    connection = Connection.from_mapping({**GOOD, "webhook_secret": HOOK})

    for text in (repr(connection), str(connection), f"{connection}", f"{[connection]}"):
        assert KEY not in text
        assert SECRET not in text
        assert HOOK not in text
        assert "https://api.webshopapp.com" in text


def test_a_connection_can_be_copied_between_processes() -> None:
    connection = Connection.from_mapping(GOOD)

    assert pickle.loads(pickle.dumps(connection)) == connection  # noqa: S301


def test_what_the_shop_repeats_of_the_credentials_is_masked() -> None:
    connection = Connection.from_mapping({**GOOD, "webhook_secret": HOOK})
    pair = "a2V5LTAxMjM0NTY3ODlhYmNkZWY6c2VjcmV0LWZlZGNiYTk4NzY1NDMyMTA="

    assert (
        connection.redact(f"no {KEY}, no {SECRET}, no {HOOK}, no Basic {pair}")
        == "no ***, no ***, no ***, no Basic ***"
    )
    assert connection.redact("Access denied.") == "Access denied."


@pytest.mark.parametrize("secret", [KEY, SECRET, HOOK])
@pytest.mark.parametrize("around", ["{}", "w{}", "wo{}:z", "Basic {}"])
def test_a_credential_is_masked_in_hexadecimal_digits_and_inside_base64(secret: str, around: str) -> None:
    connection = Connection.from_mapping({**GOOD, "webhook_secret": HOOK})
    text = around.format(secret).encode()

    for spelled in (text.hex(), text.hex().upper(), b64encode(text).decode(), b64encode(text).decode().rstrip("=")):
        shown = connection.redact(f"got {spelled}, sorry")
        assert "***" in shown
        assert len(shown) < len(spelled) - len(secret) + 20
    assert connection.redact("0123456789abcdef, fedcba98, key-") == "0123456789abcdef, fedcba98, key-"
    short = Connection.from_mapping({**GOOD, "api_key": "ab", "api_secret": "cd"})
    assert short.redact("6162 6364 YWI WI FiYw") == "6162 6364 YWI WI FiYw"


def test_the_beginning_of_a_credential_at_the_end_of_a_cut_text_is_masked() -> None:
    connection = Connection.from_mapping(GOOD)

    for length in range(8, len(SECRET)):
        assert connection.redact(f"no {SECRET[:length]}") == "no ***"
        assert connection.redact(f"no {SECRET[:length]}!") == f"no {SECRET[:length]}!"
    for form in ("\\u{:04x}", "&#{};", "&#x{:x};", "%{:02x}"):
        text = "".join(form.format(ord(letter)) for letter in SECRET)
        assert {connection.redact(text[:length]) for length in range(60, len(text))} == {"***"}


def test_a_secret_of_any_length_is_masked() -> None:
    secret = "".join(map(chr, range(33, 127))) * 30
    connection = Connection.from_mapping({**GOOD, "webhook_secret": secret})

    assert connection.redact(f"no {secret}, no {secret[:2000]}") == "no ***, no ***"
    assert connection.redact(f"no {secret[:2000]}!") == f"no {secret[:2000]}!"
    assert connection.redact(f"no {secret[:7]}") == f"no {secret[:7]}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=2),
    max_leaves=3,
)


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "base_url", "webhook_secret", "shop_id", "update_method", "other"]), json_values
    )
)
def test_any_settings_make_a_connection_or_name_their_mistakes(settings: dict[str, object]) -> None:
    try:
        connection = Connection.from_mapping(settings)
    except InvalidConnection:
        return
    assert connection.origin.startswith("http")


@given(st.text())
def test_any_text_is_an_origin_or_is_refused(text: str) -> None:
    try:
        origin = parse_origin(text)
    except ValueError:
        return
    assert parse_origin(origin) == origin
