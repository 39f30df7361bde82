import pytest

from lightspeed import (
    AnswerLost,
    InvalidRequest,
    LightspeedError,
    NotSent,
    Parameters,
    RateLimited,
    Request,
    ServerError,
    UnexpectedResponse,
)
from lightspeed.failures import Facts
from lightspeed.writing.ambiguous import advice, may_have_acted

FACTS: Facts = {"method": "POST", "path": "/nl/tags.json"}


@pytest.mark.parametrize(
    ("error", "open_question"),
    [
        (AnswerLost("cut", **FACTS), True),
        (ServerError("slow", status=504, **FACTS), True),
        (UnexpectedResponse("a page", status=200, **FACTS), True),
        (UnexpectedResponse("a page", status=501, **FACTS), True),
        (UnexpectedResponse("a redirect", status=302, **FACTS), False),
        (InvalidRequest("an error without a code", status=200, **FACTS), True),
        (InvalidRequest("an error with a code", status=422, http_status=200, **FACTS), False),
        (InvalidRequest("no title", status=422, **FACTS), False),
        (RateLimited("wait", retry_after_seconds=1, **FACTS), False),
        (NotSent("refused", **FACTS), False),
    ],
)
def test_only_an_answer_that_leaves_it_open_does(error: LightspeedError, open_question: bool) -> None:
    assert may_have_acted(Request("tags", "create", "POST", "/nl/tags.json"), error) is open_question
    assert not may_have_acted(Request("tags", "delete", "DELETE", "/nl/tags/7.json"), error)


def test_what_is_not_known_by_name_is_looked_for_among_its_own() -> None:
    assert advice("tags", "create", Parameters(), "cut") == (
        "the shop may or may not have acted on it (cut); look for it among tags before sending it again"
    )
    assert "among the invoices of order 7" in advice("orders", "credit", Parameters({"id": 7}), "cut")
