"""Which subscriptions follow an entity by webhook.

`config/subscriptions.json` in the bucket says so: a list of `{"connection", "subscription", "entity", "webhooks",
"event"}`, where `event` is the subscribe event of the subscription's runs. If there is no such object, the
subscription named like the entity follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from connector.storage_keys import SUBSCRIPTIONS
from lightspeed import CATALOGUE


class Follower(msgspec.Struct, frozen=True):
    """A subscription that may follow an entity by webhook, as the list says.

    Attributes:
        connection: The connection's name.
        subscription: Names the bookmark.
        entity: In the catalogue.
        webhooks: Whether it follows.
        event: The subscribe event of its runs, perhaps without what names it.
    """

    connection: str
    subscription: str
    entity: str
    webhooks: bool = False
    event: dict[str, Any] = {}

    @property
    def run_event(self) -> dict[str, Any]:
        """The event of its runs, whatever the list leaves out."""
        mode = {"mode": "incremental", "subscription": self.subscription} if self.by_change else {}
        return {**self.event, "connection": self.connection, "entity": self.entity, **mode}

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


Read = Callable[[str], bytes | None]
"""Reads an object of the bucket; `None` if there is none."""


def followers(read: Read, connection: str, entity: str) -> Sequence[Follower]:
    """Return the subscriptions that follow an entity of a connection by webhook, in order of their names.

    Raises:
        msgspec.ValidationError: The stored list is not one.
    """
    if entity not in CATALOGUE:
        return ()
    listed = listed_followers(read)
    if listed is None:
        return (Follower(connection, entity, entity, webhooks=True),)
    return tuple(one for one in listed if (one.connection, one.entity) == (connection, entity))


def listed_followers(read: Read) -> Sequence[Follower] | None:
    """Return every subscription that follows its entity by webhook, in order; `None` if there is no list.

    Raises:
        msgspec.ValidationError: The stored list is not one.
    """
    stored = read(SUBSCRIPTIONS)
    if stored is None:
        return None
    entries = msgspec.json.decode(stored, type=list[Follower])
    found = [one for one in entries if one.webhooks and one.entity in CATALOGUE]
    return sorted(found, key=lambda one: (one.connection, one.subscription))
