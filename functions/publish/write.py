"""Prepare and send one publish request."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from connector.aws.errors import aws_error_types
from connector.errors import ConnectorError, OutOfTime, TransformError
from connector.observability import logger
from connector.transform import load
from lightspeed import (
    Client,
    LightspeedError,
    NotFound,
    Parameters,
    Request,
    WriteResponse,
)
from lightspeed.json_text import parse, parse_record
from lightspeed.writing.ambiguous import advice, may_have_acted
from lightspeed.writing.diff import difference, ignored_fields
from lightspeed.writing.natural_key import NaturalKey, is_id, record_fields
from publish.event import PublishRequest, takes_file
from publish.result import Result, aws_failure, is_gone, result, sanitize

if TYPE_CHECKING:
    from publish.attachments import StoredFile
    from publish.dependencies import Dependencies

_STATUSES = {"create": "created", "update": "updated", "delete": "deleted"}


@dataclass(frozen=True, eq=False)
class WriteOperation:
    """One request to the shop, transformed and checked.

    Attributes:
        request: The event.
        client: The client of its connection.
        parameters: The parameters after the request transformer.
        http_request: The request to send, unless `match` finds a record to update.
        match: The natural key; `None` if the event has no `match`.
        file: The file of the bucket that the payload names, if any.
        present: The present record, if this is the update of a create with `match`. Without `skip_unchanged`, it may
            have only an `id`. `None` if the record is not known, or was changed since.
    """

    request: PublishRequest
    client: Client
    parameters: Parameters
    http_request: Request
    match: NaturalKey | None = None
    file: StoredFile | None = None
    present: Mapping[str, Any] | None = None

    @classmethod
    def prepare(cls, request: PublishRequest, client: Client, deps: Dependencies) -> WriteOperation:
        """Apply the request transformer and build the HTTP request.

        Args:
            request: The event.
            client: The client of its connection.
            deps: Provide the saved transformers and tables, and the bucket with files.

        Raises:
            TransformError: The transformer fails, or returns several requests.
            CatalogueError: Path, query or payload are wrong, or lack a value of `match`.
            RequestError: The file is missing or wrong.
        """
        parameters, file = _transform(request, client, deps), None
        if takes_file(request.entity):
            from publish.attachments import attach  # noqa: PLC0415 - other entities do not pay for it

            parameters, file = attach(request, parameters, deps)
        http_request = _http_request(client, request.entity, request.action, parameters, file)
        names = request.match_fields
        match = NaturalKey(client, request.endpoint, names, parameters) if names else None
        return cls(request, client, parameters, http_request, match, file)

    @functools.cached_property
    def fields(self) -> Mapping[str, Any]:
        """The fields to write, without the envelope."""
        return record_fields(self.parameters.payload, self.request.endpoint)

    @property
    def fields_of_update(self) -> Mapping[str, Any]:
        """The fields that a batch writes to the record that `match` found: all but those of the key.

        Without the article code, for example, an update of stock or prices may take the bulk route.
        """
        return self.match.without(self.fields) if self.match else self.fields

    def send(self, *, begun_after: float | None = None) -> Result:
        """Send the request and return the result.

        Args:
            begun_after: Epoch seconds. An earlier try with the same idempotency key began after this time, and its
                outcome is not known. Then the result of a POST without `match` is `unknown`, and nothing is sent.

        Raises:
            ApiError: The shop refused it.
            TransportError: No complete answer to a request that may be sent again.
            InvalidParameters: Several records match, or the shop ignores the filter.
        """
        if self.request.dry_run:
            return self._preview()
        if self.match is None:
            if begun_after is not None and self.http_request.method == "POST":
                return self.unknown("an earlier try was stopped before its answer was kept", since=begun_after)
            return self.update(self.fields) if self.request.skip_unchanged else self.send_as_is()
        found = self.find()
        if found is None:
            return self.send_as_is()
        # an entity without updates, such as a placement of a product, always skips a record that is there
        skips = self.request.skip_unchanged or not self.request.endpoint.has("update")
        if skips and not difference(found, self.fields):
            return _unchanged(found)
        return self._update_with(self.fields, found).send_as_is()

    def find(self) -> dict[str, Any] | None:
        """Return the record that has the natural key; `None` if the shop has none, or the event has no `match`.

        Raises:
            InvalidParameters: Several records match, or the shop ignores the filter.
            LightspeedError: As the client raises it.
        """
        return None if self.match is None else self.match.find()

    def as_update_of(self, found: Mapping[str, Any]) -> WriteOperation:
        """Turn a create with `match` into the update of its record.

        Args:
            found: The record; its `id` is enough without `skip_unchanged`.
        """
        return replace(self._update_with(self.fields_of_update, found), present=found)

    def update(self, fields: Mapping[str, Any]) -> Result:
        """Update the event's record. With `skip_unchanged`, send nothing if the record has these values already.

        Args:
            fields: The fields to send in place of the event's own, such as merged ones.
        """
        if self.request.skip_unchanged:
            present = self.present
            if present is None:
                request = self.client.build(self.request.entity, "get", Parameters(self.parameters.path))
                present = parse_record(self.client.record(request))
            if not difference(present, fields):
                return _unchanged(present)
        return self._update_with(fields).send_as_is()

    def send_as_is(self) -> Result:
        """Send the request without a look-up before it.

        If the shop may have acted without a complete answer, the record is looked up by `match`. If that finds none,
        the result is `unknown`.

        Raises:
            ApiError: The shop refused it.
            TransportError: No complete answer to a request that may be sent again.
            OutOfTime: Nothing was sent, because too little time is left for an answer.
        """
        transport = self.client.transport
        if not transport.has_time_to_write:
            raise OutOfTime("not sent: too little time is left to wait for the shop's answer")
        since = transport.shop_time()
        try:
            with sending(self.http_request):
                return self._confirmed(self.client.write(self.http_request))
        except OutcomeUnknown as error:
            return self.find_created() or {**self.unknown(str(error), since=since), **error.answered}
        except NotFound as error:
            if self.request.action != "delete" or not is_gone(error):
                raise
            return result("deleted", error.status, self.parameters.path.get("id"), None)

    def find_created(self) -> Result | None:
        """Look up the record of a create whose answer is unknown.

        Returns:
            The result of the create, or `None` if there is no `match` or no record, or the look-up fails.
        """
        try:
            found = self.find()
        except Exception:
            logger().warning("a create without an answer could not be looked up", exc_info=True)
            return None
        if found is None:
            return None
        return _with_ignored(result("created", None, found.get("id"), found), found, self.fields)

    def unknown(self, why: str, *, since: float = 0.0) -> Result:
        """Return the result of a write that the shop may or may not have carried out.

        Args:
            why: What happened to the answer.
            since: Epoch seconds; the shop acted later, if at all. Only `check` without `match` needs it.

        Returns:
            A result with status `unknown`, with advice in `detail`, and in `check` a subscribe event that looks for the
            record.
        """
        detail = advice(self.request.entity, self.request.action, self.parameters, why)
        found = {**result("unknown", None, None, None), "detail": detail}
        check = self._check(since)
        return found if check is None else {**found, "check": check}

    def _check(self, since: float) -> dict[str, Any] | None:
        """Return the subscribe event that looks for the record, or `None` if the entity cannot be read like this.

        The event for a create reads the list: by the natural key, else by time of creation, else the whole list.
        """
        request, endpoint = self.request, self.request.endpoint
        path = dict(self.parameters.path)
        query: dict[str, Any] = {}
        if request.action == "create" and endpoint.has("list"):
            path = {name: path.get(name) for name in endpoint.parents}
            if self.match:
                query = dict(self.match.values)
            elif "created_at_min" in endpoint.filter_names:
                query = {"created_at_min": datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")}
        elif not endpoint.has("get") or "id" not in path:
            return None
        where = {name: given for name, given in (("path", path), ("query", query)) if given}
        return {"entity": request.entity, "connection": request.connection, "parameters": where}

    def _update_with(self, fields: Mapping[str, Any], found: Mapping[str, Any] | None = None) -> WriteOperation:
        """Return the update with these fields of the record that was found, by default of the event's record."""
        path = self.parameters.path if found is None else {**self.parameters.path, "id": found["id"]}
        parameters = replace(self.parameters, path=path, payload=fields)
        http_request = _http_request(self.client, self.request.entity, "update", parameters, self.file)
        request = msgspec.structs.replace(self.request, action="update", match=None)
        return replace(self, request=request, parameters=parameters, http_request=http_request, match=None)

    def _confirmed(self, written: WriteResponse) -> Result:
        """Return the result of an answer.

        Raises:
            OutcomeUnknown: The answer does not confirm the write.
        """
        action = self.request.action
        record = decode(written)
        fields = record if isinstance(record, dict) else {}
        asked_id = self.parameters.path.get("id")
        answered_id = fields.get("id", fields.get("order_id"))  # `checkouts` `order` is answered with `order_id`
        redact = self.client.transport.connection.redact
        answered_id = redact(answered_id) if isinstance(answered_id, str) else answered_id
        facts: Result = {"http_status": written.http_status, "request_id": written.request_id}
        if action == "create" and self.request.endpoint.collection and not is_id(answered_id):
            raise OutcomeUnknown("the shop's answer has no id", facts)
        if action == "update" and record is False:
            facts["ignored"] = list(self.fields)
            raise OutcomeUnknown("the shop answered false in place of the record", facts)
        # an event may give the id as a text with blanks or leading zeros
        is_same = str(answered_id).lstrip("0") == str(asked_id).strip().lstrip("0")
        if action == "update" and asked_id is not None and "id" in fields and not is_same:
            raise OutcomeUnknown(f"the shop answered with record {redact(repr(answered_id)):.100}", facts)
        identity = answered_id if is_id(answered_id) and action != "delete" else asked_id
        status = _STATUSES.get(action, "done")
        found = result(status, written.http_status, identity, record or None, written.request_id)
        is_compared = action in ("create", "update") and isinstance(record, dict)
        return _with_ignored(found, fields, self.fields) if is_compared else found

    def _preview(self) -> Result:
        from lightspeed.writing.dry_run import preview  # noqa: PLC0415 - only a dry run needs it

        found: Result = sanitize(preview(self.client, self.http_request, self.parameters, self.match))
        return found


class OutcomeUnknown(Exception):
    """A write was sent, and it is not known whether the shop acted.

    Args:
        why: What happened to the answer.
        answered: The members of a result that the answer gives nevertheless.
    """

    def __init__(self, why: str, answered: Result | None = None) -> None:
        super().__init__(why)
        self.answered = answered or {}


@contextmanager
def sending(http_request: Request) -> Iterator[None]:
    """Raise `OutcomeUnknown` for an error of the `with` block if the shop may have acted.

    The block sends a write and reads the answer, because an error in the answer must not look like a refusal.

    Raises:
        OutcomeUnknown: The shop may have acted, and the request may not be sent again.
        LightspeedError: The shop did nothing, or the request may be sent again.
        ConnectorError: The connection could not be read again after the shop refused its key.
    """
    try:
        yield
    except LightspeedError as error:
        if not may_have_acted(http_request, error):
            raise
        raise OutcomeUnknown(str(error)) from error
    except (ConnectorError, OutcomeUnknown):
        raise
    except aws_error_types() as error:  # while the secret was read again; the shop had refused the request
        raise aws_failure(error) from error
    except Exception as error:
        logger().exception("unexpected error after a write was sent")
        raise OutcomeUnknown(f"unexpected {type(error).__name__}") from error


def decode(written: WriteResponse) -> Any:
    """Return the JSON value of an answer to a write, without its envelope; `None` if the answer is empty."""
    return None if written.record is None else parse(written.record)


def _http_request(client: Client, entity: str, action: str, parameters: Parameters, file: StoredFile | None) -> Request:
    http_request = client.build(entity, action, parameters)
    return http_request if file is None else file.put_into(http_request)


def _unchanged(present: Mapping[str, Any]) -> Result:
    return result("unchanged", 200, present.get("id"), present)


def _with_ignored(found: Result, record: Mapping[str, Any], fields: Mapping[str, Any]) -> Result:
    """Return a result, with `ignored` if the shop answered other values than were written."""
    ignored = ignored_fields(record, fields)
    return {**found, "ignored": ignored} if ignored else found


def _transform(request: PublishRequest, client: Client, deps: Dependencies) -> Parameters:
    parameters = Parameters(request.parameters.path, request.parameters.query, request.parameters.payload)
    transformers = load(request.request_transformer, deps.library) if request.request_transformer else None
    if transformers is None:
        return parameters
    document = {
        "path": parameters.path,
        "query": parameters.query,
        "payload": parameters.payload,
        "connection": request.connection,
        "entity": request.entity,
        "language": client.transport.connection.language,
        "bookmark": None,
        "now": datetime.fromtimestamp(client.transport.clock.time(), UTC).isoformat(timespec="seconds"),
    }
    found = transformers.parameters(document, request.idempotency_key, exact=True)
    if len(found) != 1:
        raise TransformError(f"expected one request, got {len(found)}", expression=transformers.expressions[-1])
    return found[0]
