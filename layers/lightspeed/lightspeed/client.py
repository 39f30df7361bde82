"""The shop's management API as Python calls: by entity name, with parameters as a user writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from lightspeed.catalogue.entities import get_entity
from lightspeed.errors import BrokenResponse, LightspeedError, NotFound, ResponseTooLarge, UnexpectedResponse
from lightspeed.failures import Facts, api_error, redacted_words
from lightspeed.json_text import UnreadableBody
from lightspeed.request import PAGE_LIMIT, Parameters, Request, build_request
from lightspeed.response import (
    EnvelopeError,
    ErrorInside,
    Page,
    TooManyValues,
    check_values,
    unwrap_count,
    unwrap_page,
    unwrap_record,
    unwrap_record_page,
)
from lightspeed.transport import Response, Transport

_Found = TypeVar("_Found")
_NO_PARAMETERS = Parameters()
_EMPTY_BODIES = (b"", b"{}", b"[]", b"null")


@dataclass(frozen=True, slots=True)
class WriteResponse:
    """The shop's answer to a create, update, delete or action.

    Attributes:
        http_status: 200, 201 or 204.
        record: JSON text of the record in the answer, without envelope; `false` if the shop answers that there is no
            record; `None` if the body is empty.
        request_id: The shop's id of the request, or the caller's id if the shop gives none.
    """

    http_status: int
    record: bytes | None
    request_id: str


class Client:
    """Reads and writes the entities of one shop.

    `build` checks and builds a request. The other methods send a request and unwrap its answer. They raise
    `TransportError` if no complete answer came, `ApiError` with the shop's own message, and `UnexpectedResponse` for an
    answer that is not this API's. They raise no other error.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def build(
        self, entity: str, operation: str, parameters: Parameters = _NO_PARAMETERS, language: str | None = None
    ) -> Request:
        """Build a request without sending it.

        Args:
            entity: Catalogue name.
            operation: A standard operation or an action of the entity.
            parameters: Path, query and payload.
            language: A language of the shop; the connection's by default.

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
        """Return the JSON text of the one record that a `get` answers.

        Raises:
            NotFound: The shop answers 404, or `false`, `null`, `""` or `[]` in place of the record.
            LightspeedError: Another error of the request.
        """
        found = self._fetch(request, lambda response: _record(request, response))
        if found is None:
            message = "the shop answers that there is no such record"
            raise NotFound(message, status=404, http_status=200, **_facts(request))
        return found

    def record_page(self, request: Request) -> Page:
        """Return the answer to a `get` as a page: with one record, with one reject, or empty for `false`.

        Raises:
            NotFound: The shop answers 404.
            LightspeedError: Another error of the request.
        """
        endpoint = get_entity(request.entity)
        answer = endpoint.operation(request.operation).answer
        return self._fetch(request, lambda response: unwrap_record_page(response.body, endpoint, answer))

    def page(self, request: Request) -> Page:
        """Return a page of a `list`, whose query may hold `limit` (default 50) and `page` (from 1)."""
        endpoint = get_entity(request.entity)
        return self._fetch(request, lambda response: unwrap_page(response.body, endpoint))

    def count(self, request: Request) -> int:
        """Return the number of records by a `count`, 0 or more."""
        return self._fetch(request, lambda response: unwrap_count(response.body))

    def write(self, request: Request) -> WriteResponse:
        """Send a create, update, delete or action."""

        def unwrap_write(response: Response) -> WriteResponse:
            empty = response.body.strip() in _EMPTY_BODIES
            record = None if empty else _record(request, response) or b"false"
            return WriteResponse(response.status, record, response.request_id)

        return self._fetch(request, unwrap_write)

    def pages(self, entity: str, parameters: Parameters, language: str | None = None) -> Iterator[Page]:
        """Yield every page, from the query's `page` or the first on, up to a page that is not full.

        Rows that move meanwhile may be missed or repeated. `WholeList` reads a list without missing a record.
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
                raise UnexpectedResponse("the shop gave the same page twice", status=200, **_facts(request))
            yield page
            if page.rows < int(request.query["limit"]):
                return
            last = page.records
            query["page"] = int(request.query["page"]) + 1

    def _fetch(self, request: Request, unwrap: Callable[[Response], _Found]) -> _Found:
        """Send a request and unwrap its answer; turn every error into a `LightspeedError`."""

        def unwrap_checked(response: Response) -> _Found:
            try:
                check_values(response.body)
                return unwrap(response)
            except (ErrorInside, EnvelopeError, TooManyValues, UnreadableBody) as error:
                failure = self._failure(request, response, error)
            raise failure  # outside of the handler, because the caught error may quote credentials

        return self.transport.fetch(request, unwrap_checked)

    def _failure(self, request: Request, response: Response, error: ValueError) -> LightspeedError:
        """Return the error for an answer that cannot be unwrapped; no credential is in its message."""
        facts, connection = _facts(request), self.transport.connection
        if isinstance(error, ErrorInside):
            status = error.code if 400 <= error.code < 600 else response.status
            failure = api_error(status, connection.redact(error.message), facts)
            failure.http_status = response.status
            return failure
        if isinstance(error, TooManyValues):
            return ResponseTooLarge(str(error), status=response.status, **facts)
        place = f"page {request.query['page']}: " if "page" in request.query else ""
        if isinstance(error, EnvelopeError):
            return UnexpectedResponse(f"{place}{connection.redact(str(error))}", status=response.status, **facts)
        words = redacted_words(response.body, connection)
        message = f"{place}{connection.redact(str(error))}; expected JSON, got: {words}"
        return BrokenResponse(message, status=response.status, **facts)


def _facts(request: Request) -> Facts:
    return {"method": request.method, "path": request.path}


def _record(request: Request, response: Response) -> bytes | None:
    endpoint = get_entity(request.entity)
    answer = endpoint.operation(request.operation).answer
    several = request.operation not in endpoint.operations
    return unwrap_record(response.body, endpoint, answer, several=several)
