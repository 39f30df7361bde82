"""Which subscriptions follow an entity by webhook.

`config/subscriptions.json` in the bucket says so: a list of `{"connection", "subscription", "entity", "webhooks",
"event"}`, where `event` is the subscribe event of the subscription's runs. If there is no such object, the
subscription named like the entity follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from lightspeed import CATALOGUE

KEY = "config/subscriptions.json"


class _Entry(msgspec.Struct):
    connection: str
    subscription: str
    entity: str
    webhooks: bool = False
    event: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Follower:
    """A subscription that follows an entity by webhook.

    Attributes:
        connection: The connection's name.
        subscription: Names the bookmark.
        entity: In the catalogue.
        event: The subscribe event of its runs.
    """

    connection: str
    subscription: str
    entity: str
    event: dict[str, Any]

    @property
    def by_change(self) -> bool:
        """Whether a run can read just what changed."""
        return CATALOGUE[self.entity].incremental == "updated_at_min"

    @property
    def by_id(self) -> bool:
        """Whether a run can read single records, and nothing in the event says otherwise."""
        row = CATALOGUE[self.entity]
        return row.collection and row.has("get") and not {"parameters", "input_transformer"} & self.event.keys()

    @property
    def can_be_reconciled(self) -> bool:
        """Whether single records can be asked for, and their deletion be stored."""
        row = CATALOGUE[self.entity]
        return row.collection and not row.parents and all(row.has(name) for name in ("list", "get", "count"))

    @property
    def reconcile_event(self) -> dict[str, Any]:
        """The event of a run that asks for deleted records, without their ids."""
        return {
            "connection": self.connection,
            "entity": self.entity,
            "subscription": self.subscription,
            "mode": "reconcile",
        }


class Followers:
    """Reads the stored list of subscriptions."""

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        """Take what reads an object of the bucket, `None` if there is none; nothing is read yet."""
        self._read = read

    def __call__(self, connection: str, entity: str) -> Sequence[Follower]:
        """Return the subscriptions that follow an entity of a connection by webhook, in order of their names.

        Raises:
            msgspec.ValidationError: The stored list is not one.
        """
        if entity not in CATALOGUE:
            return ()
        listed = self.listed()
        if listed is None:
            return (_follower(_Entry(connection, entity, entity, webhooks=True)),)
        return tuple(one for one in listed if (one.connection, one.entity) == (connection, entity))

    def listed(self) -> Sequence[Follower] | None:
        """Return every subscription that follows its entity by webhook, in order; `None` if there is no list.

        Raises:
            msgspec.ValidationError: The stored list is not one.
        """
        stored = self._read(KEY)
        if stored is None:
            return None
        entries = msgspec.json.decode(stored, type=list[_Entry])
        found = [one for one in entries if one.webhooks and one.entity in CATALOGUE]
        return tuple(_follower(one) for one in sorted(found, key=lambda one: (one.connection, one.subscription)))


def _follower(entry: _Entry) -> Follower:
    """Return a subscription with the event that its runs have whatever the list leaves out."""
    by_change = CATALOGUE[entry.entity].incremental == "updated_at_min"
    names = {"connection": entry.connection, "entity": entry.entity}
    mode = {"mode": "incremental", "subscription": entry.subscription} if by_change else {}
    return Follower(entry.connection, entry.subscription, entry.entity, {**entry.event, **names, **mode})
