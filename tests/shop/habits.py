"""What nobody has proved about the real shop, each a switch, so that a client can be tested against both readings."""

from dataclasses import dataclass, field
from typing import Literal

Order = Literal["-id", "id", "-updatedAt", "updatedAt"]


@dataclass
class Habits:
    """Switches; they may be changed while the shop runs.

    Attributes:
        max_inclusive: `created_at_max` and `updated_at_max` include their second (`_min` always does).
        unknown_parameters: a query parameter that a resource does not know is ignored or refused with 400.
        over_limit: `limit` above 250 (or below 1) is clamped or refused with 400.
        retry_after: form of `Retry-After` with a 429; None leaves it out.
        minus_one_when_spent: `Remaining` shows -1 for a used-up window in a 429; otherwise 0.
        patch_updates: PATCH is taken like PUT; otherwise it is not allowed (405).
        ignored_filters: known parameters that are ignored all the same.
        places_in_bulk: a category that cannot take the product (unknown, or it has it already) refuses the whole of
            `categories/products/bulk`; or it refuses the rest after those before it were taken; or it is left out
            and told in `errors` beside the others in a 201, as one client has seen it.
        orders: order of a resource's lists; the default is newest first, that is descending id, as seen for orders.
    """

    max_inclusive: bool = True
    unknown_parameters: Literal["ignore", "refuse"] = "ignore"
    over_limit: Literal["clamp", "refuse"] = "clamp"
    retry_after: Literal["seconds", "http-date"] | None = "seconds"
    minus_one_when_spent: bool = True
    patch_updates: bool = False
    places_in_bulk: Literal["all or none", "until refused", "each"] = "all or none"
    ignored_filters: set[str] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
