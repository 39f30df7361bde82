"""Plan the reads of a run, and check them before the first request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from connector.errors import RequestError
from lightspeed import Endpoint, Parameters
from lightspeed.listing.read_operation import ReadOperation, listed_entity, operation_of
from lightspeed.listing.window import Window, closed_window, may_hide_records
from subscribe.event import SubscribeRequest

if TYPE_CHECKING:
    from connector.transform.transformer import Transformers


@dataclass(frozen=True, slots=True)
class Read:
    """One read of a run: a record, or a list with all its pages.

    Attributes:
        operation: `get`, `list`, or `each`: the nested entity of every parent.
        endpoint: The endpoint of the list: the parent's for `each`, else the entity's own.
        language: The language to read in.
        parameters: The parameters after the input transformer.
        by_creation: Whether it reads a window of creation, and keeps only records that were never updated.
    """

    operation: ReadOperation
    endpoint: Endpoint
    language: str
    parameters: Parameters
    by_creation: bool = False

    @property
    def query(self) -> Mapping[str, object]:
        """The user's filters of the list; none for a parent's list."""
        return {} if self.operation == "each" else self.parameters.query

    @property
    def place(self) -> str:
        """Language and path, without filters. Two reads of one place may give the same records."""
        path = sorted(f"{name}={value}" for name, value in self.parameters.path.items() if name != "id")
        return " ".join([self.language, *path, "by creation" if self.by_creation else ""])

    @property
    def record_id(self) -> int | str:
        """The id of the record to read; empty for a list, and for a record without an id."""
        text = str(self.parameters.path.get("id", ""))
        return int(text) if text.isdecimal() and str(int(text)) == text else text


def may_be_read_by_creation(read: Read) -> bool:
    """Whether the filter by time of change may hide records, which a read by time of creation finds."""
    return read.operation != "get" and may_hide_records(read.endpoint, read.query)


def reads_by_creation(reads: Sequence[Read]) -> list[Read]:
    """Return the reads that find the records which the filter by time of change may hide from other reads."""
    return [replace(read, by_creation=True) for read in reads if may_be_read_by_creation(read)]


def plan_reads(
    request: SubscribeRequest,
    default_language: str,
    transformers: Transformers | None,
    *,
    bookmark: Mapping[str, str] | None,
    now: str,
    seed: str,
) -> list[Read]:
    """Return every read of a run, in order, language by language.

    If several reads name a record by its id, it is read once, with the query of the first. An entity that the shop does
    not translate is read in the first language only.

    Args:
        request: The event.
        default_language: The language of the connection.
        transformers: The input transformer, if there is one.
        bookmark: The bookmark, as the input transformer sees it.
        now: The start of the run, ISO-8601, so that a resumed run has the same plan.
        seed: The seed of random functions, for the same reason.

    Raises:
        TransformError: The input transformer failed.
        RequestError: The parameters set something that only the run may set.
    """
    reads = []
    planned_records = set()
    languages = request.languages or [request.language or default_language]
    if not request.endpoint.translated:
        languages = languages[:1]
    for language in languages:
        document = {
            "path": request.parameters.path,
            "query": request.parameters.query,
            "payload": None,
            "connection": request.connection,
            "entity": request.entity,
            "language": language,
            "bookmark": bookmark,
            "now": now,
        }
        plain = [Parameters(request.parameters.path, request.parameters.query)]
        if request.ids is not None:
            plain = [Parameters({"id": identity}) for identity in request.ids]
        for parameters in transformers.parameters(document, seed) if transformers is not None else plain:
            operation = operation_of(request.endpoint, parameters.path)
            read = Read(operation, listed_entity(request.endpoint, parameters.path), language, parameters)
            errors = _errors(request, read)
            if errors:
                raise RequestError(errors)
            if operation == "get":
                query = json.dumps(dict(parameters.query), sort_keys=True, default=str)
                record = (read.place, read.record_id or query)  # an entity of one record has no ids, so queries differ
                if record in planned_records:
                    continue
                planned_records.add(record)
            reads.append(read)
    return reads


def _errors(request: SubscribeRequest, read: Read) -> list[str]:
    """Return an error for each parameter, after the input transformer, that only the run may set."""
    query, errors = read.parameters.query, []
    if "page" in query:
        errors.append("query page is not needed: every page is read (max_records stops earlier)")
    if "id" in query and "id" not in read.endpoint.filter_names:
        errors.append(f'id names one record and belongs in path: {{"path": {{"id": {query["id"]!r:.40}}}}}')
    if request.mode != "incremental":
        return errors
    if "id" in read.parameters.path:
        errors.append("mode incremental follows a list; leave out path id, or use mode full for one record")
    if "fields" in query:
        errors.append("mode incremental needs id and updatedAt of every record; leave out query fields")
    by = (read.endpoint.incremental or "").removesuffix("_min")
    if by and {f"{by}_min", f"{by}_max"} & set(query):
        errors.append(f"mode incremental sets {by}_min and {by}_max itself; leave them out (since says where to start)")
    return errors


def shared_places(reads: Sequence[Read]) -> set[str]:
    """Return the places of lists that several reads cover; an input transformer may ask for that."""
    counts = Counter(read.place for read in reads if read.operation != "each")
    return {read.place for read in reads if read.operation == "list" and counts[read.place] > 1}


def languages_of(reads: Sequence[Read]) -> list[str]:
    """Return the languages of a plan, each once, in order."""
    return list(dict.fromkeys(read.language for read in reads))


def window_of(
    request: SubscribeRequest, read: Read, start: datetime | None, end: datetime
) -> tuple[Window | None, bool]:
    """Return the window of a list, and whether surely no row can enter the list while it is read.

    Args:
        request: The event.
        read: One read of its plan.
        start: The start of an incremental window.
        end: The end of every window.
    """
    return closed_window(read.endpoint, read.query, start, end, incremental=request.mode == "incremental")
