"""Which requests are sent again, and the waits in between."""

import pytest

from lightspeed import (
    AnswerLost,
    ApiError,
    AuthenticationError,
    BrokenResponse,
    Client,
    InvalidRequest,
    NotFound,
    NotSent,
    Parameters,
    PermissionDenied,
    RateLimited,
    ServerError,
    UnknownLanguage,
)
from lightspeed import transport as transport_module
from tests.integration.lightspeed.conftest import Connect, product_request
from tests.shop import Fault, Shop
from tests.support.clock import FakeClock

READS = ("list", "get", "count")
AGAIN = ("list", "get", "count", "update", "delete")


@pytest.mark.parametrize("operation", AGAIN)
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failing_shop_is_asked_again(
    client: Client, shop: Shop, clock: FakeClock, operation: str, status: int
) -> None:
    shop.faults.next(Fault.answers(status))
    client.transport.send(product_request(client, shop, operation))

    assert [seen.status == status for seen in shop.requests] == [True, False]
    assert len(clock.slept) == 1
    assert 0.5 <= clock.slept[0] <= 0.75


def test_waits_grow_and_the_last_error_is_raised(client: Client, shop: Shop, clock: FakeClock) -> None:
    shop.faults.next(Fault.html(503), times=9)

    with pytest.raises(ServerError) as caught:
        client.transport.send(product_request(client, shop, "get"))

    assert caught.value.status == 503
    assert caught.value.message == "503 Service unavailable Service unavailable"
    assert len(shop.requests) == 4
    assert client.transport.requests_sent == 4
    for slept, least in zip(clock.slept, (0.5, 1, 2), strict=True):
        assert least <= slept <= least * 1.5


@pytest.mark.parametrize("status", [501, 505, 599])
def test_a_server_error_that_will_not_pass_is_final(client: Client, shop: Shop, status: int) -> None:
    shop.faults.next(Fault.answers(status))

    with pytest.raises(ServerError):
        client.transport.send(product_request(client, shop, "get"))

    assert len(shop.requests) == 1


def test_a_page_that_takes_the_shop_too_long_is_not_asked_for_again_as_it_is(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.answers(504), times=2)

    with pytest.raises(ServerError):
        client.transport.send(product_request(client, shop, "list"))

    assert len(shop.requests) == 1
    client.transport.send(product_request(client, shop, "get"))
    assert len(shop.requests) == 3


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_create_is_never_repeated_after_a_server_error(client: Client, shop: Shop, status: int) -> None:
    shop.faults.next(Fault.answers(status))

    with pytest.raises(ServerError):
        client.transport.send(product_request(client, shop, "create"))

    assert [seen.method for seen in shop.requests] == ["POST"]


@pytest.mark.parametrize("status", [400, 402, 403, 405, 409, 410, 418, 422])
def test_a_refusal_is_final(client: Client, shop: Shop, status: int) -> None:
    shop.faults.next(Fault.answers(status, "No."))

    with pytest.raises(ApiError) as caught:
        client.transport.send(product_request(client, shop, "get"))

    assert type(caught.value) is {403: PermissionDenied, 410: NotFound}.get(status, InvalidRequest)
    assert (caught.value.status, caught.value.message) == (status, "No.")
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        *(pytest.param(operation, Fault.drops(), id=f"{operation} dropped") for operation in AGAIN),
        *(pytest.param(operation, Fault.cuts_body(), id=f"{operation} cut") for operation in (*READS, "update")),
    ],
)
def test_a_broken_connection_is_made_again(client: Client, shop: Shop, operation: str, fault: Fault) -> None:
    shop.faults.next(fault)
    client.transport.send(product_request(client, shop, operation))

    assert len(shop.requests) == 2


@pytest.mark.parametrize("operation", [*READS, "update"])
def test_a_lost_answer_is_asked_for_again(client: Client, shop: Shop, operation: str) -> None:
    shop.faults.next(Fault.loses_answer())
    client.transport.send(product_request(client, shop, operation))

    assert len(shop.requests) == 2


def test_a_delete_whose_answer_was_lost_ends_in_not_found(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.loses_answer())

    with pytest.raises(NotFound):
        client.transport.send(product_request(client, shop, "delete"))

    assert [seen.method for seen in shop.requests] == ["DELETE", "DELETE"]


@pytest.mark.parametrize(
    "fault",
    [Fault.drops(), Fault.loses_answer(), Fault.cuts_body(0), Fault.cuts_body(0.9)],
    ids=lambda fault: fault.kind,
)
def test_a_create_is_never_repeated_after_a_lost_answer(client: Client, shop: Shop, fault: Fault) -> None:
    before = shop.store.count("products")
    shop.faults.next(fault)

    with pytest.raises(AnswerLost) as caught:
        client.transport.send(product_request(client, shop, "create"))

    assert not caught.value.timed_out
    assert [seen.method for seen in shop.requests] == ["POST"]
    assert shop.store.count("products") == before + (0 if fault.kind == "drop" else 1)


def test_an_action_is_never_repeated_after_a_lost_answer(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.loses_answer())
    quote = shop.store.ids("quotes")[0]

    with pytest.raises(AnswerLost):
        client.transport.send(client.build("quotes", "convert", Parameters({"id": quote})))

    assert [seen.method for seen in shop.requests] == ["POST"]


def test_a_body_that_stops_coming_is_given_up_within_the_time_that_is_left(connect: Connect, shop: Shop) -> None:
    client = connect(remaining_seconds=lambda: 1.5)
    shop.faults.next(Fault.slows_body(50))

    with pytest.raises(AnswerLost) as caught:
        client.transport.send(product_request(client, shop, "get"))

    assert caught.value.timed_out
    assert len(shop.requests) == 1


def test_a_slow_answer_is_asked_for_again_while_there_is_time(
    client: Client, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "READ_TIMEOUT_SECONDS", 2.0)
    shop.faults.next(Fault.delays(60))
    client.transport.send(product_request(client, shop, "get"))

    assert len(shop.requests) == 2


def test_no_try_begins_that_the_time_left_does_not_allow(connect: Connect, shop: Shop, clock: FakeClock) -> None:
    client = connect(remaining_seconds=lambda: 1.4)
    shop.faults.next(Fault.answers(503))

    with pytest.raises(ServerError):
        client.transport.send(product_request(client, shop, "get"))

    assert len(shop.requests) == 1
    assert clock.slept == []


@pytest.mark.parametrize("operation", ["get", "create", "update", "delete"])
def test_a_429_within_patience_is_waited_out_whatever_the_verb(
    client: Client, shop: Shop, clock: FakeClock, operation: str
) -> None:
    shop.faults.next(Fault.answers(429, headers={"Retry-After": "3"}))
    client.transport.send(product_request(client, shop, operation))

    assert clock.slept == [3]
    assert len(shop.requests) == 2


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "2"}, 2),
        ({"Retry-After": "Mon, 23 Nov 2026 06:00:04 GMT"}, 4),
        ({"Retry-After": "Mon, 23 Nov 2026 05:00:00 GMT"}, 1),
        ({"Retry-After": "later"}, 1),
        ({}, 1),
        ({"X-RateLimit-Remaining": "-1/9/9", "X-RateLimit-Reset": "5/1800/3600"}, 5),
        ({"X-RateLimit-Limit": None, "X-RateLimit-Remaining": None, "X-RateLimit-Reset": None}, 1),
    ],
    ids=repr,
)
def test_every_form_of_asking_to_wait_is_understood(
    client: Client, shop: Shop, clock: FakeClock, headers: dict[str, str | None], seconds: float
) -> None:
    shop.faults.next(Fault.answers(429, headers=headers))
    client.transport.send(product_request(client, shop, "get"))

    assert clock.slept == [seconds]


def test_a_429_beyond_patience_is_for_the_caller(client: Client, shop: Shop, clock: FakeClock) -> None:
    shop.faults.next(Fault.answers(429, "Too many requests.", headers={"Retry-After": "6"}))

    with pytest.raises(RateLimited) as caught:
        client.transport.send(product_request(client, shop, "get"))

    assert caught.value.retry_after_seconds == 6
    assert caught.value.message == "Too many requests."
    assert clock.slept == []


def test_patience_is_for_all_tries_together(client: Client, shop: Shop, clock: FakeClock) -> None:
    shop.faults.next(Fault.answers(429, headers={"Retry-After": "3"}), times=2)

    with pytest.raises(RateLimited):
        client.transport.send(product_request(client, shop, "get"))

    assert clock.slept == [3]


@pytest.mark.parametrize("form", ["seconds", "http-date", None])
def test_a_used_up_window_is_waited_out_by_who_can_wait(
    connect: Connect, shop: Shop, clock: FakeClock, form: str | None
) -> None:
    shop.habits.retry_after = form  # type: ignore[assignment]
    shop.limits.quota = (3, 3000, 12000)
    client = connect(patience_seconds=300)
    for _ in range(4):
        client.transport.send(product_request(client, shop, "count"))

    assert clock.slept == [300]
    assert [seen.status for seen in shop.requests] == [200, 200, 200, 429, 200]


def test_the_limit_per_second_is_never_exceeded(client: Client, shop: Shop, clock: FakeClock) -> None:
    for _ in range(50):
        client.transport.send(product_request(client, shop, "count"))

    assert {seen.status for seen in shop.requests} == {200}
    assert clock.slept == [pytest.approx(1.02), pytest.approx(1.02)]


def test_somebody_else_who_uses_the_second_up_costs_one_more_second(
    client: Client, connect: Connect, shop: Shop, clock: FakeClock
) -> None:
    somebody = connect()
    for _ in range(20):
        somebody.transport.send(product_request(somebody, shop, "count"))
    client.transport.send(product_request(client, shop, "count"))

    assert clock.slept == [1]
    assert [seen.status for seen in shop.requests[-2:]] == [429, 200]


def test_a_404_of_an_order_may_pass(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.answers(404), times=2)
    order = shop.store.ids("orders")[0]
    client.record(client.build("orders", "get", Parameters({"id": order})))

    assert [seen.status for seen in shop.requests] == [404, 404, 200]


def test_a_404_of_an_order_that_stays_is_believed_after_two_more_tries(client: Client, shop: Shop) -> None:
    with pytest.raises(NotFound):
        client.transport.send(client.build("orders", "get", Parameters({"id": 5})))

    assert len(shop.requests) == 3


def test_a_404_that_may_pass_proves_nothing_if_no_time_is_left_to_ask_again(connect: Connect, shop: Shop) -> None:
    client = connect(remaining_seconds=lambda: 1.5)

    with pytest.raises(BrokenResponse, match="404, but not often enough to believe it"):
        client.record(client.build("orders", "get", Parameters({"id": 5})))

    assert len(shop.requests) == 1


INSIDE = Fault.sends(b'{"error":{"code":404,"method":"GET","request":"x","message":"Not found"}}')


def test_a_404_inside_a_good_answer_may_pass_as_well(client: Client, shop: Shop) -> None:
    shop.faults.next(INSIDE, times=2)
    order = shop.store.ids("orders")[0]

    client.record(client.build("orders", "get", Parameters({"id": order})))

    assert len(shop.requests) == 3


def test_a_404_inside_a_good_answer_is_believed_after_two_more_tries(client: Client, shop: Shop) -> None:
    shop.faults.next(INSIDE, times=9)

    with pytest.raises(NotFound):
        client.count(client.build("products", "count", Parameters()))

    assert len(shop.requests) == 3


def test_a_404_inside_a_good_answer_proves_nothing_if_no_time_is_left(connect: Connect, shop: Shop) -> None:
    client = connect(remaining_seconds=lambda: 1.4)
    shop.faults.next(INSIDE)

    with pytest.raises(BrokenResponse):
        client.record(client.build("orders", "get", Parameters({"id": shop.store.ids("orders")[0]})))


def test_other_failures_do_not_count_as_404s(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.answers(500), times=2)

    with pytest.raises(BrokenResponse, match="404, but not often enough to believe it"):
        client.record(client.build("orders", "get", Parameters({"id": 5})))

    assert [seen.status for seen in shop.requests] == [500, 500, 404, 404]


def test_tries_count_together_whatever_went_wrong(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.answers(500), times=2)
    shop.faults.next(Fault.html(200), times=9)

    with pytest.raises(BrokenResponse, match="expected JSON"):
        client.count(client.build("products", "count", Parameters()))

    assert [seen.status for seen in shop.requests] == [500, 500, 200, 200]


@pytest.mark.parametrize("code", [401, 429, 500])
@pytest.mark.parametrize("operation", ["create", "update"])
def test_a_write_with_an_error_inside_a_good_answer_is_not_sent_again(
    client: Client, shop: Shop, operation: str, code: int
) -> None:
    path = {"id": shop.store.ids("products")[0]} if operation == "update" else {}
    body = b'{"error":{"code":%d,"method":"POST","request":"x","message":"Oops"}}' % code
    shop.faults.next(Fault.sends(body), times=2)

    with pytest.raises(ApiError):
        client.write(client.build("products", operation, Parameters(path, payload={"title": "Mug"})))

    assert len(shop.requests) == 1


def test_a_500_inside_a_good_answer_is_asked_again(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.sends(b'{"error":{"code":500,"method":"GET","request":"x","message":"Oops"}}'))

    client.count(client.build("products", "count", Parameters()))

    assert len(shop.requests) == 2


@pytest.mark.parametrize("entity", ["orders", "products"])
@pytest.mark.parametrize("operation", ["list", "count"])
def test_a_404_of_a_list_that_hangs_on_no_record_may_pass(
    client: Client, shop: Shop, entity: str, operation: str
) -> None:
    shop.faults.next(Fault.answers(404), times=2)
    client.transport.send(client.build(entity, operation, Parameters()))

    assert [seen.status for seen in shop.requests] == [404, 404, 200]


@pytest.mark.parametrize(("entity", "parent"), [("products", {"id": 5}), ("products/images", {"product_id": 5})])
def test_any_other_404_is_final(client: Client, shop: Shop, entity: str, parent: dict[str, object]) -> None:
    with pytest.raises(NotFound) as caught:
        client.transport.send(client.build(entity, "get" if "id" in parent else "list", Parameters(parent)))

    assert not isinstance(caught.value, UnknownLanguage)
    assert len(shop.requests) == 1


def test_a_language_that_the_shop_lacks_is_told_apart_and_final(connect: Connect, shop: Shop) -> None:
    client = connect({"language": "fr"})

    with pytest.raises(UnknownLanguage) as caught:
        client.transport.send(client.build("orders", "get", Parameters({"id": 5})))

    assert caught.value.message == "Unknown or inactive language."
    assert len(shop.requests) == 1


def test_a_language_record_that_is_not_there_is_no_unknown_language(client: Client, shop: Shop) -> None:
    shop.faults.next(Fault.answers(404, "Language not found"))

    with pytest.raises(NotFound) as caught:
        client.transport.send(client.build("languages", "get", Parameters({"id": 5})))

    assert not isinstance(caught.value, UnknownLanguage)


def test_wrong_credentials_are_final_without_renewal(connect: Connect, shop: Shop) -> None:
    client = connect({"api_secret": "wrong"})

    with pytest.raises(AuthenticationError) as caught:
        client.transport.send(product_request(client, shop, "get"))

    assert caught.value.message == "Access denied."
    assert len(shop.requests) == 1


@pytest.mark.parametrize("operation", ["get", "create"])
def test_a_rotated_secret_is_renewed_once_and_kept(connect: Connect, shop: Shop, operation: str) -> None:
    fresh = connect().transport.connection
    renewals = []

    def renew() -> object:
        renewals.append(1)
        return fresh

    client = connect({"api_secret": "rotated-away"}, renew=renew)
    client.transport.send(product_request(client, shop, operation))
    client.transport.send(product_request(client, shop, "get"))

    assert renewals == [1]
    assert [seen.status for seen in shop.requests] == [401, 201 if operation == "create" else 200, 200]
    assert client.transport.connection == fresh


def test_a_renewal_that_does_not_help_is_not_repeated(connect: Connect, shop: Shop) -> None:
    stale = connect({"api_secret": "wrong"}).transport.connection
    client = connect({"api_secret": "wrong"}, renew=lambda: stale)

    with pytest.raises(AuthenticationError):
        client.transport.send(product_request(client, shop, "get"))

    assert len(shop.requests) == 2


def test_a_renewal_is_one_of_the_four_tries(connect: Connect, shop: Shop) -> None:
    fresh = connect().transport.connection
    client = connect(renew=lambda: fresh)
    shop.faults.next(Fault.answers(503), times=3)
    shop.faults.next(Fault.answers(401, "Access denied."))

    with pytest.raises(AuthenticationError):
        client.transport.send(product_request(client, shop, "get"))

    assert [seen.status for seen in shop.requests] == [503, 503, 503, 401]


def test_a_closed_port_is_surely_not_sent_and_tried_again_whatever_the_verb(
    connect: Connect, shop: Shop, clock: FakeClock
) -> None:
    client = connect()
    prepared = product_request(client, shop, "create")
    shop.close()

    with pytest.raises(NotSent) as caught:
        client.transport.send(prepared)

    assert "Connection refused" in str(caught.value)
    assert len(clock.slept) == 3
