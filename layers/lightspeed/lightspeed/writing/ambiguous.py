"""A write without a readable answer: whether the shop may have acted, and where to look."""

from __future__ import annotations

from lightspeed.errors import AnswerLost, ApiError, LightspeedError, ServerError, UnexpectedResponse
from lightspeed.request import Parameters, Request

_ACTIONS = {
    ("quotes", "convert"): "look whether quote {id} has become an order",
    ("orders", "credit"): "look among the invoices of order {id} for the credit invoice",
    ("checkouts", "order"): "look among the newest orders whether checkout {id} has become one",
    ("customers", "login"): "nothing lasting comes of it",
    ("customers", "tokens"): "nothing lasting comes of it: a token lives for a minute",
}
"""Where to see the effect of an operation, if not among the records of its entity."""


def may_have_acted(request: Request, error: LightspeedError) -> bool:
    """Whether the shop may have acted on a request that is not safe to repeat: a POST.

    A redirect or a 4xx shows that the shop did not act. A 2xx with an error that has no code of its own shows nothing.
    """
    if request.method != "POST":
        return False
    if isinstance(error, UnexpectedResponse):
        return not 300 <= error.status < 500
    return isinstance(error, AnswerLost | ServerError) or (isinstance(error, ApiError) and error.status < 300)


def advice(entity: str, operation: str, parameters: Parameters, why: object) -> str:
    """Return a sentence with the reason why no answer could be read, and where to see whether the shop acted."""
    look = _ACTIONS.get((entity, operation), f"look for it among {entity}")
    look = look.format(id=parameters.path.get("id", ""))
    return f"the shop may or may not have acted on it ({why}); {look} before sending it again"
