"""Where an entity's records are, by natural key: one reading of its list instead of a look-up for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.json_text import parse_record
from lightspeed.request import PAGE_LIMIT, Parameters
from lightspeed.writing.natural_key import NaturalKey, concerns_key, field_names, keys_of


class KeyIndex:
    """The ids of an entity's records by the values of some of their fields, as they were while the list was read.

    The list is read forwards, though rows may move meanwhile and hide from it. That is enough, for only a value that
    one row was seen to have is answered. Any other value has to be looked up alone: one that was not seen, one that
    several rows have, one that a write has touched since. Like a look-up, it does not see that another row gets the
    value later.
    """

    def __init__(self, endpoint: Endpoint, names: Sequence[str]) -> None:
        """Prepare; nothing is read.

        Args:
            endpoint: The entity's row. It has no parents.
            names: Filters of the entity.
        """
        self._endpoint = endpoint
        self._names = tuple(names)
        self._ids: dict[tuple[str, ...], int | str | None] = {}
        self._written: set[str] = set()

    @staticmethod
    def requests(count: int) -> int:
        """Return how many requests it takes to read so many records: the last page is one that is not full."""
        return count // PAGE_LIMIT + 1

    def read(self, client: Client) -> Iterator[None]:
        """Read the whole list; it stops after every page, so that the caller may leave it.

        Raises:
            LightspeedError: As the client raises it.
        """
        query: dict[str, object] = {"limit": PAGE_LIMIT}
        if "fields" in self._endpoint.filter_names:
            query["fields"] = ",".join(dict.fromkeys(["id", *sorted(field_names(self._names))]))
        for page in client.pages(self._endpoint.name, Parameters(query=query)):
            for text in page.records:
                self._take(parse_record(text))
            yield

    def find(self, match: NaturalKey) -> int | str | None:
        """Return the id of the one record that has the values, or `None` where that has to be looked up."""
        found = self._ids.get(match.key)
        return None if str(found) in self._written else found

    def forget(self, identity: object, fields: Mapping[str, Any] | None) -> None:
        """Take note of a write: what its record was, and what has its values now, is not known any more.

        Args:
            identity: The record's id, or `None` for a new one.
            fields: What is written; `None` for a delete.
        """
        if fields is not None and not concerns_key(fields, self._names):
            return
        if identity is not None:
            self._written.add(str(identity))
        keys = list(keys_of(fields or {}, self._names))
        if fields and not keys:
            self._ids.clear()
        for key in keys:
            self._ids.pop(key, None)

    def _take(self, row: Mapping[str, Any]) -> None:
        identity = row.get("id")
        for key in keys_of(row, self._names):
            self._ids[key] = identity if self._ids.get(key, identity) == identity else None
