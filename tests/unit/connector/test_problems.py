"""Every error of both packages has its place in the table of problems."""

import json
from collections.abc import Iterator

import pytest

from connector import errors as own
from connector.http.problem_details import STATUSES, problem
from lightspeed import errors as shop
from lightspeed.failures import Facts

FACTS: Facts = {"method": "GET", "path": "/nl/orders/7.json"}
EXAMPLES: dict[type[Exception], Exception] = {
    shop.UnknownEntity: shop.UnknownEntity("quots", ["quotes"]),
    shop.UnsupportedOperation: shop.UnsupportedOperation("orders", "create", ["list", "get"], "Use checkouts."),
    shop.InvalidParameters: shop.InvalidParameters("orders", "get", ["path lacks id"]),
    shop.InvalidConnection: shop.InvalidConnection("default", ["api_key is required"]),
    shop.NotSent: shop.NotSent("could not connect", **FACTS),
    shop.AnswerLost: shop.AnswerLost("no answer", **FACTS),
    shop.TransportError: shop.TransportError("no answer", **FACTS),
    shop.UnexpectedResponse: shop.UnexpectedResponse("a page", status=200, **FACTS),
    shop.BrokenResponse: shop.BrokenResponse("a page", status=200, **FACTS),
    shop.ResponseTooLarge: shop.ResponseTooLarge("too large", status=200, **FACTS),
    shop.AuthenticationError: shop.AuthenticationError("Access denied.", status=401, **FACTS),
    shop.PermissionDenied: shop.PermissionDenied("No.", status=403, **FACTS),
    shop.NotFound: shop.NotFound("Not found", status=404, **FACTS),
    shop.UnknownLanguage: shop.UnknownLanguage("Inactive language", status=404, **FACTS),
    shop.InvalidRequest: shop.InvalidRequest("Invalid", status=400, **FACTS),
    shop.RateLimited: shop.RateLimited("Too many", retry_after_seconds=2.2, **FACTS),
    shop.ServerError: shop.ServerError("Internal", status=500, **FACTS),
    shop.ApiError: shop.ApiError("Odd", status=418, **FACTS),
    own.RequestError: own.RequestError(["unknown key foo"]),
    own.RunConflict: own.RunConflict(["run_id run-1 was used before for another request"]),
    own.TransformError: own.TransformError("expected a number", expression="$x", position=3),
    own.UnknownConnection: own.UnknownConnection("none", "lightspeed/none"),
    own.UnknownRun: own.UnknownRun("unknown run"),
    own.RunInProgress: own.RunInProgress("orders", "run-1", "2026-11-23T06:20:00Z"),
    own.IdempotencyConflict: own.IdempotencyConflict("used before"),
    own.SettingsError: own.SettingsError(["BUCKET is not set"]),
}
EXPECTED = {
    shop.UnknownEntity: 404,
    shop.UnsupportedOperation: 400,
    shop.InvalidParameters: 400,
    shop.InvalidConnection: 422,
    shop.NotSent: 502,
    shop.AnswerLost: 502,
    shop.TransportError: 502,
    shop.UnexpectedResponse: 502,
    shop.BrokenResponse: 502,
    shop.ResponseTooLarge: 502,
    shop.AuthenticationError: 422,
    shop.PermissionDenied: 422,
    shop.NotFound: 404,
    shop.UnknownLanguage: 422,
    shop.InvalidRequest: 422,
    shop.RateLimited: 429,
    shop.ServerError: 502,
    shop.ApiError: 422,
    own.RequestError: 400,
    own.RunConflict: 409,
    own.TransformError: 400,
    own.UnknownConnection: 404,
    own.UnknownRun: 404,
    own.RunInProgress: 409,
    own.IdempotencyConflict: 409,
    own.SettingsError: 500,
}


def classes() -> Iterator[type[Exception]]:
    for module in (shop, own):
        for member in vars(module).values():
            if isinstance(member, type) and issubclass(member, Exception) and member.__module__ == module.__name__:
                yield member


@pytest.mark.parametrize("error", [c for c in classes() if not c.__name__.startswith("_")], ids=lambda c: c.__name__)
def test_every_error_has_a_row_of_its_own(error: type[Exception]) -> None:
    status, name = STATUSES[error]

    assert 400 <= status < 600
    assert name == name.lower().replace(" ", "-")


@pytest.mark.parametrize("error", EXAMPLES.values(), ids=lambda error: type(error).__name__)
def test_a_problem_has_its_form(error: Exception) -> None:
    status, headers, body = problem(error)

    assert status == body["status"] == EXPECTED[type(error)]
    assert headers["Content-Type"] == "application/problem+json"
    assert body["type"].startswith("urn:lightspeed-connector:problem:")
    assert str(error) in body["detail"]
    assert json.loads(json.dumps(body)) == body


def test_facts_stand_in_the_problem() -> None:
    body = problem(EXAMPLES[shop.UnsupportedOperation])[2]

    assert (body["entity"], body["operation"], body["supported"]) == ("orders", "create", ["list", "get"])
    assert problem(EXAMPLES[shop.UnknownEntity])[2]["nearest"] == ["quotes"]
    assert problem(EXAMPLES[own.RequestError])[2]["errors"] == ["unknown key foo"]


@pytest.mark.parametrize(
    "error",
    [shop.AnswerLost("no answer", timed_out=True, **FACTS), shop.ServerError("Gateway timeout", status=504, **FACTS)],
    ids=["timed out", "504"],
)
def test_a_shop_that_is_too_slow_is_504(error: Exception) -> None:
    assert problem(error)[0] == 504


def test_a_used_up_quota_says_when_to_come_back_in_whole_seconds() -> None:
    assert problem(EXAMPLES[shop.RateLimited])[1]["Retry-After"] == "3"


def test_the_three_mistakes_of_a_connection_give_three_details() -> None:
    details = {
        problem(EXAMPLES[kind])[2]["detail"] for kind in (shop.AuthenticationError, shop.NotSent, shop.UnknownLanguage)
    }

    assert len(details) == 3
    assert any("cluster" in detail for detail in details)


def test_an_error_of_a_class_without_row_takes_its_parents() -> None:
    class Odd(shop.ServerError):
        pass

    assert problem(Odd("Broken", status=500, **FACTS))[0] == 502
