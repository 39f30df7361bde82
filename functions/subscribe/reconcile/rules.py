"""What a subscribe event of mode reconcile may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightspeed import Endpoint
    from subscribe.event import SubscribeRequest

DEFAULT_PERCENT = 10.0
"""How much of what is known may be noticed as deleted in one run without a person's word."""

_NEEDED = ("list", "get", "count")
_NOT_TAKEN = ("input_transformer", "entity_transformer", "max_records")


def reconcile_errors(request: SubscribeRequest, endpoint: Endpoint) -> list[str]:
    """Return what is wrong with the event, one sentence each."""
    if request.mode != "reconcile":
        given = request.max_deleted_percent is not None
        return ["max_deleted_percent is for mode reconcile"] if given else []
    errors = [
        f"mode reconcile compares ids and takes no {name}" for name in _NOT_TAKEN if getattr(request, name) is not None
    ]
    if endpoint.parents:
        parent = endpoint.parents[0]
        errors.append(
            f"{endpoint.name} cannot be reconciled: the shop lists it for one {parent} at a time, so no list says what "
            f"is gone from the whole; reconcile the parents"
        )
    else:
        errors += _list_errors(request, endpoint)
    return errors


def _list_errors(request: SubscribeRequest, endpoint: Endpoint) -> list[str]:
    errors = []
    missing = [name for name in _NEEDED if not endpoint.has(name)]
    if not endpoint.collection:
        errors.append(f"{endpoint.name} cannot be reconciled: it is one record")
    elif missing:
        errors.append(f"{endpoint.name} cannot be reconciled: it has no {' and no '.join(missing)}")
    elif "page" not in endpoint.filter_names:
        errors.append(f"{endpoint.name} cannot be reconciled: its list has no pages, so it may not be the whole")
    if request.parameters.path:
        errors.append("mode reconcile reads the whole list; leave out parameters.path")
    filters = [name for name in request.parameters.query if name != "limit"]
    if filters:
        errors.append(f"mode reconcile reads the whole list; leave out query {' and '.join(filters)}")
    return errors
