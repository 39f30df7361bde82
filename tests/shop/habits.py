"""Switches for behaviour of the real shop that is not proved, so that tests can try each possibility."""

from dataclasses import dataclass, field
from typing import Literal

Order = Literal["-id", "id", "-updatedAt", "updatedAt"]


@dataclass
class Habits:
    """Switches. Tests may change them while the shop runs.

    Attributes:
        max_inclusive: `created_at_max` and `updated_at_max` include their second (`_min` always does).
        unknown_parameters: a query parameter that a resource does not know is ignored or refused with 400.
        over_limit: `limit` above 250 (or below 1) is clamped or refused with 400.
        retry_after: form of `Retry-After` with a 429; None leaves it out.
        lower_case_headers: header names arrive in lower case, as over HTTP/2.
        close_connections: every answer says `Connection: close` and ends its connection.
        deleted_webhook: the body of a `deleted` webhook is empty or holds the id; its id header is always there.
        minus_one_when_spent: `Remaining` shows -1 for a used-up window in a 429; otherwise 0.
        reset: `Reset` has the whole seconds that are left rounded up or down.
        patch_updates: PATCH is taken like PUT; otherwise it is not allowed (405).
        ignored_filters: known parameters that are ignored all the same.
        places_in_bulk: a category that cannot take the product (unknown, or it has it already) refuses the whole of
            `categories/products/bulk`; or the categories before it are taken and the rest is refused; or it is left
            out and reported in `errors` beside the others in a 201, as one client has seen it.
        never_updated: a record without `updatedAt` is filtered by its `createdAt`, or is in no window of `updated_at`,
            or in every one.
        orders: order of a resource's lists; the default is newest first, that is descending id, as seen for orders.
    """

    max_inclusive: bool = True
    unknown_parameters: Literal["ignore", "refuse"] = "ignore"
    over_limit: Literal["clamp", "refuse"] = "clamp"
    retry_after: Literal["seconds", "http-date", "iso"] | None = "seconds"
    lower_case_headers: bool = False
    close_connections: bool = False
    deleted_webhook: Literal["empty", "id"] = "empty"
    minus_one_when_spent: bool = True
    reset: Literal["up", "down"] = "up"
    patch_updates: bool = False
    places_in_bulk: Literal["all or none", "until refused", "each"] = "all or none"
    never_updated: Literal["as created", "hidden", "shown"] = "as created"
    ignored_filters: set[str] = field(default_factory=set)
    orders: dict[str, Order] = field(default_factory=dict)
