"""Desired against actual webhooks of a shop. Nothing here calls the shop.

The shop's webhook has no name or tag, so the address says whose it is: `…/webhooks/<connection>?stack=<stack>`. The
shop delivers twice if an address is registered twice, and its number of webhooks is limited (api-facts section 9).
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
"""What the shop sends webhooks of (api-facts section 9). Each is named like its entity."""

_COMPARED = ("isActive", "itemGroup", "itemAction", "language", "format", "address")


@dataclass(frozen=True, slots=True)
class Change:
    """One call that makes the shop's webhooks what they should be.

    Attributes:
        action: `update` comes first, then `delete`, then `create`: the shop's limit is never passed on the way.
        id: The webhook's id; `None` for one that is created.
        payload: What it becomes; empty for one that is deleted.
        why: One phrase for people.
    """

    action: Literal["update", "delete", "create"]
    id: int | None
    payload: Mapping[str, object]
    why: str


@dataclass(frozen=True, slots=True)
class WebhookPlan:
    """What has to be done.

    Attributes:
        changes: In the order in which they are made.
        total: How many webhooks the shop has afterwards, with those of others; 0 if nothing is wanted of it.
        error: Why the shop could not be asked; empty if it could.
    """

    changes: tuple[Change, ...] = ()
    total: int = 0
    error: str = ""


def is_own(address: str, connection: str, stack: str) -> bool:
    """Return whether a webhook's address belongs to this connection of this stack, whatever its host."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.query == f"stack={stack}" and parts.path.endswith(f"/webhooks/{connection}")


def plan(
    existing: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, object]], own: Sequence[int]
) -> WebhookPlan:
    """Return the changes that make the own webhooks the wanted ones, with the fewest calls.

    Args:
        existing: Every webhook of the shop, with its id.
        wanted: One per item group, without id.
        own: Ids of the existing ones that may be changed.
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
        why = f"it was for {reused.get('itemGroup')!s:.40}, which is not wanted any more"
        updates.append(Change("update", int(reused["id"]), hook, why))
    creates = [Change("create", None, hook, "it is missing") for hook in missing[len(spare) :]]
    deletes = [Change("delete", int(row["id"]), {}, _left_over(row, wanted)) for row in spare[len(missing) :]]
    return WebhookPlan((*updates, *deletes, *creates), len(existing) - len(deletes) + len(creates))


def _differences(row: Mapping[str, Any], hook: Mapping[str, object]) -> list[str]:
    return [name for name in _COMPARED if _value(row, name) != hook[name]]


def _value(row: Mapping[str, Any], name: str) -> object:
    """Return a value as it is written: a language is written as its code, and read as an object."""
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
    return f"it is for {row.get('itemGroup')!s:.40}, which is not wanted any more"
