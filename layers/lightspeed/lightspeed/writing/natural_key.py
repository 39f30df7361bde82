"""Find a record by its natural key: fields that the shop can filter by. Each row that it returns is compared.

The shop may store a value in another form, ignore a filter, or search for a part of a text. So the rows that it returns
for a key are judged in this order:

1. A row with the key's values is the record.
2. If all rows have the same text in another form (`has_same_text`), they have the key. See `stored_text`.
3. Otherwise the shop is asked for two similar keys. Rows that it returns for this key only have the key, though they
   may show another text.
4. Otherwise a row that may have the key is undecided: `InvalidParameters`, and nothing is written. If all rows may have
   the key, the shop seems to filter, and any trace of the key counts (`may_be_form_if_filtered`). If not, only the
   changes that a shop is known to make to a text count (`may_be_form`).
5. All other rows are other records.

A shop that compares the filter with the stored text returns no row for a key that it stores in another form. Then it is
asked for the forms that it may store (`STORED_FORMS`). Most keys have no other form, and cost no further request.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from lightspeed.catalogue.model import Endpoint
from lightspeed.client import Client
from lightspeed.errors import InvalidParameters
from lightspeed.json_text import parse_record
from lightspeed.request import PAGE_LIMIT, Parameters
from lightspeed.response import Page
from lightspeed.writing.diff import identities
from lightspeed.writing.stored_text import (
    STORED_FORMS,
    has_same_text,
    may_be_form,
    may_be_form_if_filtered,
    shows_form,
    similar_texts,
    tidy,
)

_FIELDS = {"article_code": "articleCode"}
"""The field by filter, where their names differ."""

_WITHOUT_CASE = ("email",)
"""Filters whose values are compared without regard to case."""

_NO_FIELDS = ("page", "limit", "fields", "since_id")
"""Filters that are not a field of a record."""

_NO_KEYS = ("time", "boolean")
"""Types of filters that identify no record."""

_MAX_IDS = 20


class NaturalKey:
    """The natural key of a record that a create sends.

    Attributes:
        values: The value of each filter, from the payload.

    Args:
        names: Filters of the entity, at least one.
        parameters: The parameters of the create.

    Raises:
        InvalidParameters: The entity has no such filter, or the payload lacks one of the values.
    """

    def __init__(self, client: Client, endpoint: Endpoint, names: Sequence[str], parameters: Parameters) -> None:
        check_names(endpoint, names)
        self._client = client
        self._endpoint = endpoint
        self._parents = {name: parameters.path.get(name) for name in endpoint.parents}
        fields = record_fields(parameters.payload, endpoint)
        self.values: dict[str, Any] = {name: _field(fields, name) for name in names}
        missing = [
            name
            for name, value in self.values.items()
            if not isinstance(value, str | int) or isinstance(value, bool) or value == ""
        ]
        if missing:
            raise _invalid(
                endpoint, f"match by {missing[0]!r:.100} needs its value in the payload, as text or a whole number"
            )

    @property
    def key(self) -> tuple[str, ...]:
        """The values as text, in the form for comparisons."""
        return tuple(_normalized(name, value) for name, value in self.values.items())

    def without(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields to write to a record that was found by this key: all but the key.

        A value that is compared without regard to case stays, because the record's case may differ. If nothing else is
        left, all fields stay.
        """
        same = {name for name in self.values if name not in _WITHOUT_CASE}
        same |= field_names(same)
        return {name: value for name, value in fields.items() if name not in same} or fields

    def find(self) -> dict[str, Any] | None:
        """Return the one record that has the key, or `None` if the shop has none.

        Costs one request if the shop returns a record with the key's values. Otherwise each filter may take two more
        requests, and one more looks for a second page. If the shop returns no row, it is asked for each other form of
        the key.

        Raises:
            InvalidParameters: Several records have the key, or it cannot be decided whether one has it. Nothing was
                written.
            LightspeedError: A request failed.
        """
        page = self._page()
        rows = [parse_record(text) for text in page.records]
        if not rows and not page.rejects:
            found = self._ask_for_stored_forms()
        else:
            found = [row for row in rows if self.key in keys_of(row, self.values)] or self._judge_rows(page, rows)
        if len(found) == 1 and not is_id(found[0].get("id")):
            raise self._undecided_error(found[0])
        if len(found) > 1:
            ids = self._client.transport.connection.redact(", ".join(str(row.get("id")) for row in found[:_MAX_IDS]))
            raise _invalid(self._endpoint, f"several records match {self._values_text}: {ids}; update one by its id")
        if page.rejects and not found:
            raise self._unreadable_error(page.rejects[0].reason)
        if len(found) < len(rows) and self._may_be_on_later_page(page, found=bool(found)):
            # another record with the values may be on a later page
            names = ", ".join(self.values)
            raise _invalid(
                self._endpoint, f"the shop ignores a filter of match ({names}) and has too many records to look through"
            )
        return found[0] if found else None

    def _judge_rows(self, page: Page, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows that have the key in another form.

        Raises:
            InvalidParameters: It cannot be decided whether a row has the key.
        """
        same_text = [row for row in rows if self._matches(row, has_same_text)]
        if len(same_text) == len(rows) or len(same_text) > 1:  # the caller refuses several
            return same_text
        found = self._returned_only_for_key(page, rows)
        if found:
            return found
        may_have = [row for row in rows if self._matches(row, may_be_form_if_filtered, if_absent=True)]
        if len(may_have) < len(rows):  # the shop returns other rows too, so it may not filter at all
            may_have = [row for row in rows if self._matches(row, may_be_form)]
        doubtful = same_text or may_have
        if doubtful:
            raise self._undecided_error(doubtful[0])
        return []

    def _ask_for_stored_forms(self) -> list[dict[str, Any]]:
        """Return the rows that have the key, among those that the shop returns for other forms of the key.

        Raises:
            InvalidParameters: It cannot be decided whether a row has the key.
        """
        pages = [self._page(**values) for values in self._forms()]
        rows = {str(row.get("id")): row for page in pages for row in map(parse_record, page.records)}
        found = [row for row in rows.values() if self._matches(row, has_same_text)]
        doubtful = [row for row in rows.values() if self._matches(row, may_be_form)]
        if doubtful and not found:
            raise self._undecided_error(doubtful[0])
        rejects = [reject for page in pages for reject in page.rejects]
        if rejects and not found:
            raise self._unreadable_error(rejects[0].reason)
        return found

    def _forms(self) -> list[dict[str, Any]]:
        """Return the other forms of the key, each once."""
        texts = {name: value for name, value in self.values.items() if isinstance(value, str)}
        changes = [{name: form(text) for name, text in texts.items()} for form in STORED_FORMS]
        changes.append({name: tidy(text).lower() for name, text in texts.items() if name in _WITHOUT_CASE})
        forms = [self.values]
        for changed in changes:
            form = {**self.values, **changed}
            if form not in forms and "" not in form.values():
                forms.append(form)
        return forms[1:]

    def _may_be_on_later_page(self, page: Page, *, found: bool) -> bool:
        """Whether a later page may hold the record; a shop may return fewer rows than it is asked for."""
        if page.rows >= PAGE_LIMIT:
            return True
        if found or "page" not in self._endpoint.filter_names:
            return False
        later = self._page(page=2)
        return bool(later.rejects) or later.records not in ([], page.records)

    def _page(self, **instead: str | int) -> Page:
        """Return the page for the key, with some parameters replaced."""
        parameters = Parameters(self._parents, {**self.values, **instead, "limit": PAGE_LIMIT})
        return self._client.page(self._client.build(self._endpoint.name, "list", parameters))

    def _returned_only_for_key(self, page: Page, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows if the shop returns them for this key only; otherwise none.

        Such rows have the key, whatever form the shop stores it in. A shop that ignores a filter, or searches for a
        part of a text, returns them for a shorter text too.

        Raises:
            InvalidParameters: The shop returns them for another text of the same length too, so it does not store the
                whole key.
        """
        differing = [
            name for name, value in self.values.items() if not all(_has_value(row, name, value) for row in rows)
        ]
        texts = {known.name for known in self._endpoint.filters if known.type == "text"}
        if not rows or page.rejects or len(rows) >= PAGE_LIMIT or not texts.issuperset(differing):
            return []
        for name in differing:
            shorter, neighbour = similar_texts(str(self.values[name]))
            if not shorter or self._holds_one_of(rows, self._page(**{name: shorter})):
                return []
            if self._holds_one_of(rows, self._page(**{name: neighbour})):
                raise self._undecided_error(rows[0])
        for row in rows:
            if not self._matches(row, shows_form):
                raise self._undecided_error(row)
        return rows

    @staticmethod
    def _holds_one_of(rows: list[dict[str, Any]], page: Page) -> bool:
        """Whether a page may hold one of the rows; a reject may be any of them."""
        ids = {str(row.get("id")) for row in rows}
        return bool(page.rejects) or any(str(parse_record(text).get("id")) in ids for text in page.records)

    def _matches(self, row: Mapping[str, Any], compare: Callable[[str, str], bool], *, if_absent: bool = False) -> bool:
        """Whether a comparison holds for every value of the key.

        Args:
            row: A row that the shop returned.
            compare: Called with a text of the row and the text of the value.
            if_absent: The result for a field that the row does not have.
        """
        return all(
            (if_absent and row.keys().isdisjoint((name, _FIELDS.get(name, name))))
            or any(compare(found, str(value)) for found in _values(row, name))
            for name, value in self.values.items()
        )

    def _unreadable_error(self, reason: str) -> InvalidParameters:
        shown = self._client.transport.connection.redact(reason)
        text = f"a row that the shop returns for {self._values_text} cannot be read: {shown:.100}"
        return _invalid(self._endpoint, f"{text}; update the record by its id")

    def _undecided_error(self, row: Mapping[str, Any]) -> InvalidParameters:
        has = {name: _field(row, name) for name in self.values}
        text, identity = map(
            self._client.transport.connection.redact, (json.dumps(has, ensure_ascii=False), str(row.get("id")))
        )
        advice = f"update record {identity:.100} by its id, or write the key as the shop shows it"
        return _invalid(
            self._endpoint, f"record {identity:.100} has {text:.100} where match asks for {self._values_text}; {advice}"
        )

    @property
    def _values_text(self) -> str:
        return f"{json.dumps(self.values, ensure_ascii=False):.100}"


def check_names(endpoint: Endpoint, names: Sequence[str]) -> None:
    """Check that the shop can look up a natural key.

    Raises:
        InvalidParameters: The entity has no such filter, or the filter does not compare a field's value.
    """
    known = [row.name for row in endpoint.filters if row.name not in _NO_FIELDS and row.type not in _NO_KEYS]
    unknown = [name for name in names if name not in known]
    if unknown:
        possible = f"can be looked up by {', '.join(known)}" if known else "cannot be looked up"
        raise _invalid(endpoint, f"match by {unknown[0]!r:.100} is not possible: {endpoint.name} {possible}")


def field_names(names: Iterable[str]) -> set[str]:
    """Return the fields of a natural key with these filters."""
    return {_FIELDS.get(name, name) for name in names}


def concerns_key(fields: Collection[str], names: Sequence[str]) -> bool:
    """Whether a write of these fields may change a natural key."""
    return not {*names, *field_names(names)}.isdisjoint(fields)


def keys_of(row: Mapping[str, Any], names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield every key of a record, in the form of `NaturalKey.key`; none if the record lacks a field."""
    return itertools.product(*(_values(row, name) for name in names))


def record_fields(payload: object, endpoint: Endpoint) -> Mapping[str, Any]:
    """Return the record in a payload, with or without envelope; empty if there is none."""
    if not isinstance(payload, Mapping):
        return {}
    if len(payload) == 1:
        for key in (endpoint.item, *endpoint.write_keys.values()):
            inside = payload.get(key or "")
            if isinstance(inside, Mapping):
                return inside
    return payload


def is_id(identity: object) -> bool:
    """Whether a value can be a record's id: a whole number other than 0, or printable text that is not empty."""
    is_one = isinstance(identity, int | str) and not isinstance(identity, bool) and identity not in ("", 0)
    return is_one and str(identity).isprintable()


def _invalid(endpoint: Endpoint, error: str) -> InvalidParameters:
    return InvalidParameters(endpoint.name, "create", [error])


def _field(row: Mapping[str, Any], name: str) -> Any:
    return row.get(name, row.get(_FIELDS.get(name, name)))


def _has_value(row: Mapping[str, Any], name: str, value: object) -> bool:
    return _normalized(name, value) in _values(row, name)


def _values(row: Mapping[str, Any], name: str) -> list[str]:
    """Return the texts by which a filter may find a field: its value, or the ids and codes of its relation."""
    present = _field(row, name)
    found = identities(present) if isinstance(present, Mapping) else [present]
    return [_normalized(name, value) for value in found if value is not None and not isinstance(value, bool)]


def _normalized(name: str, value: object) -> str:
    return str(value).casefold() if name in _WITHOUT_CASE else str(value)
