"""The changes that make a shop's webhooks the wanted ones. Nothing here calls the shop.

A webhook of the shop has no name and no tag. Its address names its owner: `…/webhooks/<connection>?stack=<stack>`. The
shop delivers twice to an address that is registered twice, and it limits the number of webhooks (api-facts section 9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

ITEM_GROUPS = (
    "contacts",
    "customers",
    "invoices",
    "orders",
    "products",
    "quotes",
    "returns",
    "reviews",
    "shipments",
    "subscriptions",
    "tickets",
    "variants",
)
"""The item groups of the shop's webhooks (api-facts section 9). Each has the name of its entity."""

_COMPARED = ("isActive", "itemGroup", "itemAction", "language", "format", "address")


@dataclass(frozen=True, slots=True)
class Change:
    """One call that changes a webhook of the shop.

    Attributes:
        action: What the call does.
        id: The webhook's id; `None` for `create`.
        payload: The webhook after the change; empty for `delete`.
        why: The reason, as one phrase for people.
    """

    action: Literal["update", "delete", "create"]
    id: int | None
    payload: Mapping[str, object]
    why: str


@dataclass(frozen=True, slots=True)
class WebhookPlan:
    """The changes of one shop's webhooks.

    Attributes:
        changes: Updates, then deletes, then creates. In this order the shop never has more webhooks than it allows.
        total: The number of webhooks in the shop afterwards, with those of other owners; 0 if the shop was not asked.
        error: Why the shop could not be asked; empty if there was no error.
    """

    changes: tuple[Change, ...] = ()
    total: int = 0
    error: str = ""


def is_own(address: str, connection: str, stack: str) -> bool:
    """Return whether a webhook's address names this connection and this stack. Its host does not matter."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.query == f"stack={stack}" and parts.path.endswith(f"/webhooks/{connection}")


def plan_changes(
    existing: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, object]], own: Sequence[int]
) -> WebhookPlan:
    """Return the fewest changes that make the stack's webhooks the wanted ones.

    Args:
        existing: Every webhook of the shop, with its id.
        wanted: The wanted webhooks, without ids, one per item group.
        own: Ids of the existing webhooks that the stack may change.
    """
    spare = sorted((row for row in existing if row["id"] in own), key=lambda row: int(row["id"]))
    updates, missing = [], []
    for hook in wanted:
        same_group = [row for row in spare if row.get("itemGroup") == hook["itemGroup"]]
        kept = min(same_group, key=lambda row: len(_differences(row, hook)), default=None)
        if kept is None:
            missing.append(hook)
            continue
        spare.remove(kept)
        differences = _differences(kept, hook)
        if differences:
            updates.append(Change("update", int(kept["id"]), hook, _why(kept, differences)))
    for hook, reused in zip(missing, spare, strict=False):
        why = f"it was for {reused.get('itemGroup')!s:.40}, which needs no webhook now"
        updates.append(Change("update", int(reused["id"]), hook, why))
    creates = [Change("create", None, hook, "missing in the shop") for hook in missing[len(spare) :]]
    deletes = [Change("delete", int(row["id"]), {}, _left_over(row, wanted)) for row in spare[len(missing) :]]
    return WebhookPlan((*updates, *deletes, *creates), len(existing) - len(deletes) + len(creates))


def _differences(row: Mapping[str, Any], hook: Mapping[str, object]) -> list[str]:
    return [name for name in _COMPARED if _value(row, name) != hook[name]]


def _value(row: Mapping[str, Any], name: str) -> object:
    """Return a value as the shop takes it. The shop answers with a language as an object, and takes its code."""
    value = row.get(name)
    return value.get("code") if isinstance(value, Mapping) else value


def _why(row: Mapping[str, Any], differences: Sequence[str]) -> str:
    if differences == ["isActive"]:
        return "the shop switched it off"
    return "; ".join(f"{name} is {_value(row, name)!r:.200}" for name in differences)


def _left_over(row: Mapping[str, Any], wanted: Sequence[Mapping[str, object]]) -> str:
    groups = [hook["itemGroup"] for hook in wanted]
    if row.get("itemGroup") in groups:
        return "it is registered twice"
    return f"it is for {row.get('itemGroup')!s:.40}, which needs no webhook now"
