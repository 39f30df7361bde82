"""The commands that write: create, update, delete and action, and their dry run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from lightspeed.catalogue.entities import get_entity
from lightspeed.cli.arguments import CommandError
from lightspeed.cli.output import json_lines, print_note, print_record
from lightspeed.cli.session import Session, prepare
from lightspeed.errors import LightspeedError
from lightspeed.json_text import parse
from lightspeed.numbers import dumps_escaped
from lightspeed.request import Parameters
from lightspeed.writing.ambiguous import advice, may_have_acted
from lightspeed.writing.diff import difference
from lightspeed.writing.dry_run import preview
from lightspeed.writing.natural_key import NaturalKey, record_fields

_DONE = {"create": "created", "update": "updated", "delete": "deleted"}


class OutcomeUnknown(Exception):
    """The answer to a write is lost. The message says where to look for its effect."""


class OutputError(Exception):
    """The shop did the write, but its answer could not be printed. The message says both."""


def write(arguments: argparse.Namespace) -> None:
    """Create, update or delete a record, and print the answer.

    Raises:
        CommandError: The arguments are wrong; nothing was sent.
        OutcomeUnknown: The shop may or may not have acted.
        OutputError: The shop has acted.
        LightspeedError: A request failed.
    """
    session = prepare(arguments, arguments.command)
    names = getattr(arguments, "match", None)
    match = NaturalKey(session.client, session.endpoint, names, session.parameters) if names else None
    _preview_or_send(session, match, dry_run=arguments.dry_run)


def run_action(arguments: argparse.Namespace) -> None:
    """Run a named action, and print the answer.

    Raises:
        CommandError: The arguments are wrong; nothing was sent.
        OutcomeUnknown: The shop may or may not have acted.
        OutputError: The shop has acted.
        LightspeedError: A request failed.
    """
    endpoint, name = get_entity(arguments.entity), arguments.name
    actions = [action.name for action in endpoint.actions]
    if name in endpoint.operations:
        raise CommandError(f"{name} is a command: {name} {endpoint.name}")
    if name not in actions:
        has = f"its actions: {', '.join(actions)}" if actions else "it has no actions"
        given = f"{endpoint.name} has no action {name}" if name else "the action is missing"
        raise CommandError(f"{given}; {has}")
    _preview_or_send(prepare(arguments, name), None, dry_run=arguments.dry_run)


def _preview_or_send(session: Session, match: NaturalKey | None, *, dry_run: bool) -> None:
    if dry_run:
        shown = preview(session.client, session.request, session.parameters, match, gone_is_deleted=False)
        sys.stdout.write(json_lines(shown, 2) + "\n")
    elif match is None:
        _send(session)
    else:
        _upsert(session, match)


def _send(session: Session, match: NaturalKey | None = None) -> None:
    request, endpoint = session.request, session.endpoint
    try:
        text = session.client.write(request).record
    except LightspeedError as error:
        if not may_have_acted(request, error):
            raise
        found = _find_created(match)
        if found is None:
            why = advice(request.entity, request.operation, session.parameters, error)
            raise OutcomeUnknown(why) from error
        print_note(f"created: the answer was lost ({error}), but {endpoint.name} {found.get('id')} is there")
        text = dumps_escaped(found)
    if text is None:
        return
    try:
        print_record(endpoint.name, text)
        sys.stdout.flush()  # now: a failure to print must not look like a failure to write
    except OSError as error:
        done = _done_text(session, parse(text))
        raise OutputError(f"{done}, but its answer could not be printed: {error.strerror}") from error


def _done_text(session: Session, record: object) -> str:
    operation, identity = session.request.operation, session.parameters.path.get("id")
    if identity is None and isinstance(record, Mapping):
        identity = record.get("id")
    what = session.endpoint.name if identity is None else f"{session.endpoint.name} {identity}"
    return f"{_DONE[operation]} {what}" if operation in _DONE else f"{operation} of {what} is done"


def _find_created(match: NaturalKey | None) -> Mapping[str, Any] | None:
    """Return the record of a create whose answer was lost, or `None` if no natural key finds it."""
    try:
        return match.find() if match is not None else None
    except LightspeedError:
        return None


def _upsert(session: Session, match: NaturalKey) -> None:
    """Update the record that has the natural key, or create it; leave a record as it is if it cannot be updated."""
    client, endpoint, given = session.client, session.endpoint, session.parameters
    found = match.find()
    if found is None:
        _send(session, match)
        return
    if not endpoint.has("update") and not difference(found, record_fields(given.payload, endpoint)):
        print_note(f"{endpoint.name} {found.get('id')} is there already")
        print_record(endpoint.name, dumps_escaped(found))
        return
    parameters = Parameters({**given.path, "id": found["id"]}, given.query, given.payload)
    request = client.build(endpoint.name, "update", parameters)
    print_note(f"{endpoint.name} {found['id']} is there already and is updated")
    _send(Session(client, endpoint, request, parameters))
