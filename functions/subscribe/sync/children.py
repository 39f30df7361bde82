"""Read a nested entity for many parents: its rows carry no parent id, and the API lists them per parent only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lightspeed import PAGE_LIMIT, Client, Endpoint, NotFound, Parameters
from lightspeed.listing.budget import RequestBudget
from lightspeed.listing.checkpoint import ListCheckpoint
from lightspeed.listing.reader import THREADS, ListReader
from lightspeed.listing.records import Record


class ChildStreams:
    """The records of a nested entity by parent."""

    def __init__(self, client: Client, endpoint: Endpoint, parameters: Parameters, language: str) -> None:
        """Take what to read of each parent; nothing is sent yet.

        Args:
            client: Of the shop.
            endpoint: Of the nested entity.
            parameters: Its path, with `ALL_PARENTS` for the parent, and its query.
            language: The language to read in.
        """
        self._client = client
        self._endpoint = endpoint
        self._parameters = parameters
        self._language = language
        self._parent = endpoint.parents[0]
        self.doubt = ""

    def of(self, parents: Sequence[int | str]) -> tuple[list[bytes], list[int | str]]:
        """Return the records of these parents, each with its parent's id put in front; several are read at once.

        The rest of a record's text is as the shop sent it. A parent that is gone by now has none. Parents with more
        records than fit on a page are returned besides, for `of_long`; theirs are left out.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(self._of_one, parents))
        texts = [text for texts in found for text in texts or ()]
        return texts, [parent for parent, texts in zip(parents, found, strict=True) if texts is None]

    def of_long(self, parent: int | str, gate: RequestBudget) -> list[bytes]:
        """Return the records of one parent, however many; as in `of`.

        Raises:
            Exception: Whatever the gate raises.
        """
        reader: ListReader[list[Record]] = ListReader(
            self._client,
            self._endpoint,
            Parameters(self._path(parent), self._parameters.query),
            language=self._language,
            window=None,
            closed=False,
            progress=ListCheckpoint(),
            digest=list,
            gate=gate,
        )
        try:
            texts = [record.text for page in reader.pages() for record in page]
        except NotFound:
            return []
        self.doubt = self.doubt or reader.progress.doubt
        return self._with_parent(parent, texts)

    def _of_one(self, parent: int | str) -> list[bytes] | None:
        """Return the records of a parent, or `None` if they fill a page."""
        try:
            texts = self._read(self._path(parent))
        except NotFound:
            return []
        return None if texts is None else self._with_parent(parent, texts)

    def _read(self, path: dict[str, object]) -> list[bytes] | None:
        name = self._endpoint.name
        if not self._endpoint.collection:
            return [self._client.record(self._client.build(name, "get", Parameters(path), self._language))]
        limit = {"limit": PAGE_LIMIT} if "limit" in self._endpoint.filter_names else {}
        query = {**self._parameters.query, **limit}
        page = self._client.page(self._client.build(name, "list", Parameters(path, query), self._language))
        return page.records if len(page.records) < PAGE_LIMIT or not limit else None

    def _path(self, parent: int | str) -> dict[str, object]:
        return {**self._parameters.path, self._parent: parent}

    def _with_parent(self, parent: int | str, texts: list[bytes]) -> list[bytes]:
        head = json.dumps({self._parent: parent})[:-1].encode()
        return [head + (b"}" if text == b"{}" else b"," + text[1:]) for text in texts]
