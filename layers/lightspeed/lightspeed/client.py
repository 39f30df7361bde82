"""The shop's management API as Python calls: by entity name, with parameters as a user writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from lightspeed import response as envelope
from lightspeed.catalogue.entities import get_entity
from lightspeed.errors import UnexpectedResponse
from lightspeed.request import PAGE_LIMIT, Parameters, Request, build_request
from lightspeed.transport import Facts, Response, Transport, api_error, redacted_words

_Found = TypeVar("_Found")
_NO_PARAMETERS = Parameters()
_EMPTY_BODIES = (b"", b"{}", b"[]", b"null")


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one list answer.

    Attributes:
        records: Each record's JSON text as the shop sent it, in the shop's order.
        date: The shop's own time of the answer, or `None`.
    """

    records: list[bytes]
    date: datetime | None


@dataclass(frozen=True, slots=True)
class WriteResponse:
    """The shop's answer to a create, update, delete or action.

    Attributes:
        http_status: 200, 201 or 204.
        record: JSON text of the record that came back, without envelope; `None` where the body was empty.
        request_id: The shop's id of the request, or empty.
    """

    http_status: int
    record: bytes | None
    request_id: str


class Client:
    """Reads and writes the entities of one shop.

    `build` checks and builds a request; the other methods send one and unwrap its answer. They raise `TransportError`
    when no complete answer came, `ApiError` with the shop's own message, and `UnexpectedResponse` for an answer that
    is not this API's.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def build(
        self, entity: str, operation: str, parameters: Parameters = _NO_PARAMETERS, language: str | None = None
    ) -> Request:
        """Build a request; nothing is sent.

        Args:
            entity: Catalogue name.
            operation: A standard operation or an action of the entity.
            parameters: Path, query and payload.
            language: Another language of the shop than the connection's.

        Raises:
            CatalogueError: The entity, the operation or the parameters are wrong.
            InvalidConnection: The language is not a two-letter code.
        """
        connection = self.transport.connection
        if language is not None:
            connection = connection.in_language(language)
        return build_request(
            get_entity(entity),
            operation,
            parameters,
            language=connection.language,
            update_method=connection.update_method,
        )

    def record(self, request: Request) -> bytes:
        """Return the JSON text of the one record that a `get` answers."""
        return self._unwrap(request, self.transport.send(request), _record(request))

    def page(self, request: Request) -> Page:
        """Return the page that a `list` answers; `limit` (default 50) and `page` (from 1) stand in its query."""
        endpoint = get_entity(request.entity)
        response = self.transport.send(request)
        return Page(self._unwrap(request, response, lambda body: envelope.records(body, endpoint)), response.date)

    def count(self, request: Request) -> int:
        """Return the number of matching records that a `count` answers."""
        return self._unwrap(request, self.transport.send(request), envelope.count)

    def write(self, request: Request) -> WriteResponse:
        """Send a create, update, delete or action."""
        response = self.transport.send(request)
        empty = response.body.strip() in _EMPTY_BODIES
        record = None if empty else self._unwrap(request, response, _record(request))
        return WriteResponse(response.status, record, response.request_id)

    def pages(self, entity: str, parameters: Parameters, language: str | None = None) -> Iterator[Page]:
        """Yield every page, from the first or the query's `page` on, until one is not full.

        Rows that move while this goes on may be missed or seen twice, since the API has no cursor: it is for looking
        at a shop, not for landing it.
        """
        if "page" not in get_entity(entity).filter_names:
            yield self.page(self.build(entity, "list", parameters, language))
            return
        query = {"limit": PAGE_LIMIT, "page": 1, **parameters.query}
        last: list[bytes] = []
        while True:
            request = self.build(entity, "list", Parameters(parameters.path, query), language)
            page = self.page(request)
            if page.records and page.records == last:
                facts: Facts = {"method": request.method, "path": request.path}
                raise UnexpectedResponse("the shop gave the same page twice", status=200, **facts)
            yield page
            if len(page.records) < int(request.query["limit"]):
                return
            last = page.records
            query["page"] = int(request.query["page"]) + 1

    def _unwrap(self, request: Request, response: Response, unwrap: Callable[[bytes], _Found]) -> _Found:
        facts: Facts = {"method": request.method, "path": request.path}
        redact = self.transport.connection.redact
        try:
            return unwrap(response.body)
        except envelope.ErrorInside as error:
            status = error.code if error.code >= 400 else response.status
            raise api_error(status, redact(error.message), facts) from None
        except envelope.EnvelopeError as error:
            raise UnexpectedResponse(str(error), status=response.status, **facts) from error
        except msgspec.DecodeError as error:
            message = f"expected JSON, got: {redacted_words(response.body, self.transport.connection)}"
            raise UnexpectedResponse(message, status=response.status, **facts) from error


def _record(request: Request) -> Callable[[bytes], bytes]:
    endpoint = get_entity(request.entity)
    answer = endpoint.operation(request.operation).answer
    several = request.operation not in endpoint.operations
    return lambda body: envelope.record(body, endpoint, answer, several=several)
