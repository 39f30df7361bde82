"""The error tree: the class for each answer, and no credential in a message."""

import pytest

from lightspeed import errors
from lightspeed.errors import (
    AnswerLost,
    ApiError,
    AuthenticationError,
    BrokenResponse,
    CatalogueError,
    InvalidConnection,
    InvalidParameters,
    InvalidRequest,
    LightspeedError,
    NotFound,
    NotSent,
    PermissionDenied,
    RateLimited,
    ResponseTooLarge,
    ServerError,
    TransportError,
    UnexpectedResponse,
    UnknownEntity,
    UnknownLanguage,
    UnsupportedOperation,
)
from lightspeed.failures import Facts, api_error

FACTS: Facts = {"method": "GET", "path": "/nl/orders/7.json"}
TREE = {
    CatalogueError: LightspeedError,
    UnknownEntity: CatalogueError,
    UnsupportedOperation: CatalogueError,
    InvalidParameters: CatalogueError,
    InvalidConnection: LightspeedError,
    TransportError: LightspeedError,
    NotSent: TransportError,
    AnswerLost: TransportError,
    UnexpectedResponse: LightspeedError,
    BrokenResponse: UnexpectedResponse,
    ResponseTooLarge: UnexpectedResponse,
    ApiError: LightspeedError,
    AuthenticationError: ApiError,
    PermissionDenied: ApiError,
    NotFound: ApiError,
    UnknownLanguage: NotFound,
    InvalidRequest: ApiError,
    RateLimited: ApiError,
    ServerError: ApiError,
}


def expected(status: int) -> type[ApiError]:
    special: dict[int, type[ApiError]] = {
        401: AuthenticationError,
        403: PermissionDenied,
        404: NotFound,
        410: NotFound,
        429: RateLimited,
    }
    return special.get(status, ServerError if status >= 500 else InvalidRequest)


def test_every_error_of_the_module_stands_in_the_tree() -> None:
    public = {
        member
        for name, member in vars(errors).items()
        if isinstance(member, type) and issubclass(member, Exception) and not name.startswith("_")
    }

    assert public == {*TREE, LightspeedError}


@pytest.mark.parametrize(("error", "base"), TREE.items(), ids=lambda member: member.__name__)
def test_an_error_is_caught_by_its_base(error: type[Exception], base: type[Exception]) -> None:
    assert issubclass(error, base)


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_has_one_class(status: int) -> None:
    error = api_error(status, "No.", FACTS)

    assert type(error) is expected(status)
    assert error.status == status
    assert error.message == "No."
    assert (error.method, error.path) == ("GET", "/nl/orders/7.json")
    assert str(error) == f"GET /nl/orders/7.json: {status} No."


def test_a_429_without_headers_asks_for_a_second() -> None:
    error = api_error(429, "Too many", FACTS)

    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds == 1


def test_errors_of_a_request_carry_its_facts() -> None:
    lost = AnswerLost("no answer in time", timed_out=True, **FACTS)
    unexpected = UnexpectedResponse("a page", status=200, **FACTS)

    assert str(lost) == "GET /nl/orders/7.json: no answer in time"
    assert lost.timed_out
    assert (lost.method, lost.path) == ("GET", "/nl/orders/7.json")
    assert unexpected.status == 200


def test_errors_before_a_request_carry_every_mistake() -> None:
    parameters = InvalidParameters("orders", "get", ["path lacks id", "query page must be 1 or more"])
    connection = InvalidConnection("north", ["api_key is required"])

    assert str(parameters) == "orders get: path lacks id; query page must be 1 or more"
    assert parameters.errors == ("path lacks id", "query page must be 1 or more")
    assert str(connection) == "connection 'north': api_key is required"
    assert connection.name == "north"


@pytest.mark.parametrize(
    ("nearest", "advice"),
    [
        ([], "The catalogue lists them all."),
        (["a"], "Did you mean a?"),
        (["a", "b"], "Did you mean a or b?"),
        (["a", "b", "c"], "Did you mean a, b or c?"),
    ],
)
def test_nearest_names_read_as_a_question(nearest: list[str], advice: str) -> None:
    assert str(UnknownEntity("x", nearest)) == f"unknown entity 'x'. {advice}"
