"""What a run will read, decided and checked before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from connector.transform import transform_parameters, transformers
from lightspeed import Endpoint, Parameters
from lightspeed.catalogue import parent_of
from lightspeed.parameters import parse_time
from lightspeed.records import Window
from subscribe.request import EVERY, SubscribeRequest

SETTLE = timedelta(seconds=5)
"""How far behind the shop's clock a window ends, so that what it holds is settled."""

OVERLAP = timedelta(seconds=60)
"""How far an incremental window reaches back behind its bookmark; what was landed already is dropped."""

_CANNOT_LET_ROWS_IN = ("limit", "fields", "since_id", "created_at_min", "created_at_max")


@dataclass(frozen=True, slots=True)
class Read:
    """One reading of a run: a record, or a list with all its pages.

    Attributes:
        operation: `get`, `list`, or `each`: the nested entity of every parent.
        endpoint: Whose list is walked: the parent's for `each`, else the entity's own.
        language: The language to read in.
        parameters: After the input transformer.
    """

    operation: str
    endpoint: Endpoint
    language: str
    parameters: Parameters


def plan_reads(request: SubscribeRequest, default_language: str, *, bookmark: str | None, now: str) -> list[Read]:
    """Return every reading of a run, in order; those of one language stand together.

    An entity whose records read the same in every language is read in the first only.

    Args:
        request: The event.
        default_language: The connection's.
        bookmark: ISO-8601, as the input transformer sees it.
        now: ISO-8601; the run's start, so that a resumed run plans the same.

    Raises:
        TransformError: The input transformer failed.
    """
    reads = []
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
            "bookmark": None if bookmark is None else {"until": bookmark},
            "now": now,
        }
        for parameters in transform_parameters(transformers(request.input_transformer), document):
            reads.append(_read(request.endpoint, language, parameters))
    return reads


def _read(endpoint: Endpoint, language: str, parameters: Parameters) -> Read:
    parent = parent_of(endpoint)
    if parent is not None and parameters.path.get(endpoint.parents[0]) == EVERY:
        return Read("each", parent, language, parameters)
    single = "id" in parameters.path or not endpoint.collection
    return Read("get" if single else "list", endpoint, language, parameters)


def languages_of(reads: Sequence[Read]) -> list[str]:
    """Return the languages of a plan, each once, in order."""
    return list(dict.fromkeys(read.language for read in reads))


def window_of(
    request: SubscribeRequest, read: Read, start: datetime | None, end: datetime
) -> tuple[Window | None, bool]:
    """Return the closed window of a list, and whether it is sure that no row can enter the list while it is read.

    An incremental run reads what changed between `start` and `end`. A full run reads what was created up to `end`; a
    record changed meanwhile stays in such a window and is not lost. Times that the user filters by narrow the window.
    A full run with any other filter may see rows enter: an order may just get the status that is asked for.

    Args:
        request: The event.
        read: One reading of its plan.
        start: Of an incremental window.
        end: Of every window.
    """
    known, query = read.endpoint.filter_names, {} if read.operation == "each" else read.parameters.query
    if request.mode == "incremental":
        by_update = read.endpoint.incremental == "updated_at_min"
        return Window("updated_at" if by_update else "created_at", start, end), True
    by_update = "updated_at_max" in known and ("updated_at_min" in query or "updated_at_max" in query)
    if not by_update and "created_at_max" not in known:
        return None, False
    by = "updated_at" if by_update else "created_at"
    earliest, latest = _time(query.get(f"{by}_min")), _time(query.get(f"{by}_max"))
    window = Window("updated_at" if by_update else "created_at", earliest, min(end, latest) if latest else end)
    return window, by_update or all(name in _CANNOT_LET_ROWS_IN for name in query)


def _time(value: object) -> datetime | None:
    return parse_time(value) if isinstance(value, str) else None
