"""One publish request: checked to the last, then sent, or shown, and answered with what became of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from connector.errors import TransformError
from connector.transform import Library, load
from lightspeed import (
    Client,
    Clock,
    LightspeedError,
    NotFound,
    Parameters,
    Request,
    UnknownLanguage,
    WriteResponse,
)
from lightspeed.writing.ambiguous import may_have_acted
from lightspeed.writing.diff import difference
from lightspeed.writing.natural_key import NaturalKey, record_fields
from publish.event import PublishRequest
from publish.result import Result, result
from publish.unknown_result import unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from publish.attachments import StoredFile

_STATUSES = {"create": "created", "update": "updated", "delete": "deleted"}


class WriteOperation:
    """One request to the shop, transformed and checked; nothing is sent before `send`.

    Attributes:
        request: The event.
        client: Of its connection.
        parameters: After the request transformer.
        built: What is sent, unless `match` turns it into an update.
        match: The natural key, if there is one.
    """

    def __init__(
        self,
        request: PublishRequest,
        client: Client,
        clock: Clock,
        *,
        s3: Callable[[], Any] | None = None,
        bucket: str = "",
        library: Library | None = None,
    ) -> None:
        """Apply the request transformer and build what will be sent.

        Args:
            request: The event.
            client: Of its connection.
            clock: Tells `now`.
            s3: Returns the client of S3, where a file lies there.
            bucket: The bundle's bucket.
            library: Where saved transformers and tables come from.

        Raises:
            TransformError: The transformer fails, or returns several requests.
            CatalogueError: Path, query or payload do not fit, or lack a value of `match`.
            RequestError: The file is missing or wrong.
        """
        self.request = request
        self.client = client
        self._clock = clock
        self.parameters, self._file = _with_file(request, _transformed(request, client, clock, library), s3, bucket)
        self.built = self._build(request.action, self.parameters)
        names = request.match_fields
        self.match = NaturalKey(request.endpoint, names, self.parameters) if names else None

    @property
    def fields(self) -> Mapping[str, Any]:
        """The fields of the record that is written, without its envelope."""
        return record_fields(self.parameters.payload, self.request.endpoint)

    def send(self, *, stopped_since: float | None = None) -> Result:
        """Send it and return the result.

        Args:
            stopped_since: An earlier try with the same idempotency key began after this moment (epoch seconds), was
                stopped, and nobody knows how far it came. Without `match`, what was not repeatable stays `unknown`.

        Raises:
            ApiError: The shop refused it.
            TransportError: No complete answer to a request that may be sent again.
            InvalidParameters: Several records match, or the shop ignores the filter.
        """
        if self.request.dry_run:
            return self._preview()
        if self.match is not None:
            found = self.match.find(self.client)
            if found is not None:
                return self._change(found)
        elif stopped_since is not None and self.built.method == "POST":
            return self.lost("an earlier try was stopped before its answer was kept", since=stopped_since)
        elif self.request.skip_unchanged:
            return self._change(self._present())
        return self._write(self.built, self.request.action)

    @property
    def fields_of_update(self) -> Mapping[str, Any]:
        """What a create with `match` writes to a record that is there already: its key need not be written again."""
        return self.match.without(self.fields) if self.match else self.fields

    def update_of_present(self, identity: object = None) -> WriteOperation | None:
        """Return the update that a create with `match` becomes where its record is there already; only read.

        Args:
            identity: The record's id, if it was found before.

        Raises:
            InvalidParameters: Several records match, or the shop ignores the filter.
            LightspeedError: As the client raises it.
        """
        if identity is None:
            found = self.match.find(self.client) if self.match else None
            if found is None:
                return None
            identity = found["id"]
        update = copy.copy(self)
        update.request = msgspec.structs.replace(self.request, action="update", match=None)
        path = {**self.parameters.path, "id": identity}
        update.parameters = replace(self.parameters, path=path, payload=self.fields_of_update)
        update.built = update._build("update", update.parameters)
        update.match = None
        return update

    def create(self) -> Result:
        """Send a create whose record was looked for and is not there.

        Raises:
            ApiError: The shop refused it.
        """
        return self._write(self.built, "create")

    def settle(self, before: Result) -> Result:
        """Look again for the record of a create that was answered `unknown`; return what is known now."""
        return self._settled() or before

    def update(self, fields: Mapping[str, Any]) -> Result:
        """Send other fields than the event's to the record that it names."""
        return self._write(self._build("update", replace(self.parameters, payload=fields)), "update")

    def _build(self, action: str, parameters: Parameters) -> Request:
        built = self.client.build(self.request.entity, action, parameters)
        return built if self._file is None else self._file.put_into(built)

    def _change(self, present: Mapping[str, Any]) -> Result:
        """Update a record that was just read, unless nothing would change and that is to be skipped.

        What can only be created and deleted, such as a product's place in a category, is left as it is.
        """
        skip = self.request.skip_unchanged or not self.request.endpoint.has("update")
        if skip and not difference(present, self.fields):
            return result("unchanged", 200, present.get("id"), present)
        if self.request.action == "update":
            return self._write(self.built, "update")
        return self._write(self._update_of(present), "update")

    def _update_of(self, present: Mapping[str, Any]) -> Request:
        path = {**self.parameters.path, "id": present["id"]}
        return self._build("update", replace(self.parameters, path=path))

    def _present(self) -> dict[str, Any]:
        parameters = Parameters(self.parameters.path)
        found: dict[str, Any] = json.loads(
            self.client.record(self.client.build(self.request.entity, "get", parameters))
        )
        return found

    def _write(self, built: Request, action: str) -> Result:
        since = self._clock.time() + self.client.transport.skew_seconds
        try:
            written = self.client.write(built)
        except NotFound as error:
            if action != "delete" or isinstance(error, UnknownLanguage):
                raise
            return result("deleted", error.status, self.parameters.path.get("id"), None)
        except LightspeedError as error:
            if not may_have_acted(built, error):
                raise
            return self._settled() or self.lost(str(error), since=since)
        return self._written(written, action)

    def _settled(self) -> Result | None:
        """Return the result of a create whose record is there, or `None` where that cannot be said."""
        if self.match is None:
            return None
        try:
            found = self.match.find(self.client)
        except LightspeedError:
            return None
        return None if found is None else result("created", None, found.get("id"), found)

    def lost(self, why: str, *, since: float) -> Result:
        """Return the result of a create or action of which nobody can tell whether the shop has done it.

        Args:
            why: What happened to the answer.
            since: Epoch seconds before which the shop surely had not acted.
        """
        values = self.match.values if self.match else {}
        return unknown(self.request, self.parameters, why, since=since, values=values)

    def _written(self, written: WriteResponse, action: str) -> Result:
        record = json.loads(written.record) if written.record is not None else None
        inside = record if isinstance(record, dict) else {}
        identity = inside.get("id", inside.get("order_id", self.parameters.path.get("id")))
        return result(_STATUSES.get(action, "done"), written.http_status, identity, record, written.request_id)

    def _preview(self) -> Result:
        from lightspeed.writing.dry_run import preview  # noqa: PLC0415 - only a dry run needs it

        return preview(self.client, self.built, self.parameters, self.match, self._build)


def _with_file(
    request: PublishRequest, parameters: Parameters, s3: Callable[[], Any] | None, bucket: str
) -> tuple[Parameters, StoredFile | None]:
    from publish.attachments import attach, takes_file  # noqa: PLC0415 - only where there is a file

    return attach(request, parameters, s3, bucket) if takes_file(request.entity) else (parameters, None)


def _transformed(request: PublishRequest, client: Client, clock: Clock, library: Library | None) -> Parameters:
    parameters = Parameters(request.parameters.path, request.parameters.query, request.parameters.payload)
    transformers = load(request.request_transformer, library)
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
        "now": datetime.fromtimestamp(clock.time(), UTC).isoformat(timespec="seconds"),
    }
    found = transformers.parameters(document, request.idempotency_key)
    if len(found) != 1:
        raise TransformError(f"expected one request, got {len(found)}", expression=transformers.expressions[-1])
    return found[0]
