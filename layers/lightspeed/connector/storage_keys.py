"""The keys of the bucket's objects, for the functions and the command line."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["raw", "deleted", "rejected"]
"""What a part holds: records, tombstones, or rows that were rejected with a reason."""

RUN_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.=-]{1,80}")
"""What a run may be called, and an execution of the state machine. Dots alone would name another folder."""

MANIFESTS = "manifests/"
RUN_NOTES = "state/runs/"
SUBSCRIPTIONS = "config/subscriptions.json"
"""What `apply` lists: the subscriptions of the stack, for the trigger of webhooks and for the status."""

COMPACT = "-compact"
"""How the id of a run ends that `compact` made of the runs of a day."""

HASH_DIGITS = 16
"""How much of an object's SHA-256 its key shows: 64 bits."""

_MANIFEST = re.compile(
    r"manifests/connection=(?P<connection>[^/]+)/entity=(?P<entity>[^/]+)/lang=(?P<language>[^/]+)"
    r"/date=(?P<date>[^/]+)/(?P<run_id>[^/]+)\.json"
)


class RunFolder(NamedTuple):
    """A folder of the manifests of an entity in one language.

    Attributes:
        key: The prefix of its objects.
        entity: As folders name it, with `.` for `/`.
    """

    key: str
    connection: str
    entity: str
    language: str

    @classmethod
    def of(cls, key: str) -> RunFolder:
        """Return the folder that has this prefix."""
        return cls(key, *(name.partition("=")[2] for name in key.split("/")[1:4]))


class RunPlace(NamedTuple):
    """Where the objects of a run in one language are.

    Attributes:
        date: The day on which the run started, UTC: `2026-11-23`.
    """

    connection: str
    entity: str
    language: str
    date: str
    run_id: str

    @property
    def folder(self) -> str:
        """The folders that parts and manifests share."""
        return f"{entity_folder(self.connection, self.entity)}lang={self.language}/date={self.date}/"

    @property
    def manifest(self) -> str:
        """The key of the manifest."""
        return f"{MANIFESTS}{self.folder}{self.run_id}.json"

    def part(self, kind: Kind, number: int, sha256: str) -> str:
        """Return the key of a part.

        Args:
            kind: What it holds.
            number: Its place among the parts of its kind, from 0.
            sha256: Of the stored object, hexadecimal. Equal content gives the same key, other content another one.
        """
        return f"{kind}/{self.folder}run={self.run_id}/part-{number:05}-{sha256[:HASH_DIGITS]}.jsonl.gz"


def entity_folder(connection: str, entity: str) -> str:
    """Return the folders of an entity in every language, without the first one."""
    return f"connection={connection}/entity={entity.replace('/', '.')}/"


def manifest_place(key: str) -> RunPlace | None:
    """Return the run that a manifest's key belongs to, or `None` if the key is another object's."""
    found = _MANIFEST.fullmatch(key)
    return None if found is None else RunPlace(**found.groupdict())


def subscription_key(connection: str, subscription: str) -> str:
    """Return the key of a bookmark."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.json"


def recent_key(connection: str, subscription: str, digest: str) -> str:
    """Return the key of what a bookmark remembers of its last records, where that is large; it never expires."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.recent-{digest}.json.gz"


def ids_key(connection: str, subscription: str) -> str:
    """Return the key of the index of ids that reconcile runs compare with."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.ids.jsonl.gz"


def lock_key(connection: str, subscription: str) -> str:
    """Return the key of the lock of a subscription's reconcile runs."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.ids.turn"


def run_key(run_id: str) -> str:
    """Return the key of a run's journal, its latest result."""
    return f"{RUN_NOTES}{run_id}.json"


def checkpoint_key(run_id: str, digest: str) -> str:
    """Return the key of what a run keeps between two invocations, named by its content."""
    return f"state/passes/{run_id}/{digest}.jsonl.gz"
