"""Find the subscriptions that follow an entity by webhook.

`config/subscriptions.json` in the bucket lists them: `[{"connection", "subscription", "entity", "webhooks", "event"}]`.
`event` is the subscribe event of the subscription's runs. Without this object, the subscription with the name of the
entity follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from connector.storage_keys import SUBSCRIPTIONS
from lightspeed import CATALOGUE


class Follower(msgspec.Struct, frozen=True):
    """A row of the list.

    Attributes:
        connection: The connection's name.
        subscription: The name of the bookmark.
        entity: A name of the catalogue.
        webhooks: Whether the subscription follows the entity by webhook.
        event: The subscribe event of its runs. The other attributes complete it.
    """

    connection: str
    subscription: str
    entity: str
    webhooks: bool = False
    event: dict[str, Any] = {}

    @property
    def run_event(self) -> dict[str, Any]:
        """The complete event of its runs."""
        mode = {"mode": "incremental", "subscription": self.subscription} if self.by_change else {}
        return {**self.event, "connection": self.connection, "entity": self.entity, **mode}

    @property
    def by_change(self) -> bool:
        """Whether a run can read only changed records."""
        return CATALOGUE[self.entity].incremental == "updated_at_min"

    @property
    def by_id(self) -> bool:
        """Whether a run can read records by id: the entity allows it, and the event has no parameters of its own."""
        row = CATALOGUE[self.entity]
        return row.collection and row.has("get") and not {"parameters", "input_transformer"} & self.event.keys()

    @property
    def can_be_reconciled(self) -> bool:
        """Whether a reconcile run can ask for single records."""
        row = CATALOGUE[self.entity]
        return row.collection and not row.parents and all(row.has(name) for name in ("list", "get", "count"))

    @property
    def reconcile_event(self) -> dict[str, Any]:
        """The event of a run that asks for deleted records, before their ids are added."""
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
        msgspec.ValidationError: The stored list is malformed.
    """
    if entity not in CATALOGUE:
        return ()
    listed = listed_followers(read)
    if listed is None:
        return (Follower(connection, entity, entity, webhooks=True),)
    return tuple(follower for follower in listed if (follower.connection, follower.entity) == (connection, entity))


def listed_followers(read: Read) -> Sequence[Follower] | None:
    """Return every subscription that follows its entity by webhook, in order; `None` if there is no list.

    Raises:
        msgspec.ValidationError: The stored list is malformed.
    """
    stored = read(SUBSCRIPTIONS)
    if stored is None:
        return None
    rows = msgspec.json.decode(stored, type=list[Follower])
    found = [row for row in rows if row.webhooks and row.entity in CATALOGUE]
    return sorted(found, key=lambda row: (row.connection, row.subscription))
