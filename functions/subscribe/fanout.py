"""Read a nested entity for many parents: its rows carry no parent id, and the API lists them per parent only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lightspeed import PAGE_LIMIT, Client, Endpoint, NotFound, Parameters
from lightspeed.progress import Progress
from lightspeed.reading import THREADS, ListReader
from lightspeed.records import Record


class Children:
    """The records of a nested entity by parent."""

    def __init__(self, client: Client, endpoint: Endpoint, parameters: Parameters, language: str) -> None:
        """Take what to read of each parent; nothing is sent yet.

        Args:
            client: Of the shop.
            endpoint: Of the nested entity.
            parameters: Its path, with `EVERY` for the parent, and its query.
            language: The language to read in.
        """
        self._client = client
        self._endpoint = endpoint
        self._parameters = parameters
        self._language = language
        self._parent = endpoint.parents[0]
        self.doubt = ""

    def of(self, parents: Sequence[int | str]) -> list[bytes]:
        """Return the records of these parents, each with its parent's id put in front; several are read at once.

        The rest of a record's text is as the shop sent it. A parent that is gone by now has none.
        """
        with ThreadPoolExecutor(THREADS) as pool:
            return [text for texts in pool.map(self._of_one, parents) for text in texts]

    def _of_one(self, parent: int | str) -> list[bytes]:
        path = {**self._parameters.path, self._parent: parent}
        try:
            texts = self._read(path)
        except NotFound:
            return []
        head = json.dumps({self._parent: parent})[:-1].encode()
        return [head + (b"}" if text == b"{}" else b"," + text[1:]) for text in texts]

    def _read(self, path: dict[str, object]) -> list[bytes]:
        name = self._endpoint.name
        if not self._endpoint.collection:
            return [self._client.record(self._client.build(name, "get", Parameters(path), self._language))]
        limit = {"limit": PAGE_LIMIT} if "limit" in self._endpoint.filter_names else {}
        query = {**self._parameters.query, **limit}
        page = self._client.page(self._client.build(name, "list", Parameters(path, query), self._language))
        if len(page.records) < PAGE_LIMIT or not limit:
            return page.records
        return self._read_long(path)

    def _read_long(self, path: dict[str, object]) -> list[bytes]:
        reader: ListReader[list[Record]] = ListReader(
            self._client,
            self._endpoint,
            Parameters(path, self._parameters.query),
            language=self._language,
            window=None,
            closed=False,
            progress=Progress(),
            digest=list,
        )
        texts = [record.text for page in reader.pages() for record in page]
        self.doubt = self.doubt or reader.progress.doubt
        return texts
