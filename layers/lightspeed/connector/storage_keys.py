"""The keys of the bucket's objects."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["raw", "deleted", "rejected"]
"""The content of a part: records, tombstones, or rejected rows with their reasons."""

RUN_ID = re.compile(r"(?!\.+\Z)[A-Za-z0-9_.=-]{1,80}")
"""The form of a run's id, which is also the name of an execution. Dots alone would name another folder."""

MANIFESTS = "manifests/"
RUN_NOTES = "state/runs/"
SUBSCRIPTIONS = "config/subscriptions.json"
"""The subscriptions of the stack. `apply` writes them for the trigger of webhooks and for the status."""

COMPACT = "-compact"
"""The end of the id of a run that `compact` made of a day's runs."""

HASH_DIGITS = 16
"""The digits of an object's SHA-256 in its key: 64 bits."""

_MANIFEST = re.compile(
    r"manifests/connection=(?P<connection>[^/]+)/entity=(?P<entity>[^/]+)/lang=(?P<language>[^/]+)"
    r"/date=(?P<date>[^/]+)/(?P<run_id>[^/]+)\.json"
)


class RunFolder(NamedTuple):
    """The folder of an entity's manifests in one language.

    Attributes:
        key: The prefix of its objects.
        entity: The entity's name, with `.` for `/`.
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
    """The place of a run's objects in one language.

    Attributes:
        date: The day (UTC) on which the run started: `2026-11-23`.
    """

    connection: str
    entity: str
    language: str
    date: str
    run_id: str

    @property
    def folder(self) -> str:
        """The folders of its parts and of its manifest, below the first one."""
        return f"{entity_folder(self.connection, self.entity)}lang={self.language}/date={self.date}/"

    @property
    def manifest(self) -> str:
        """The key of the manifest."""
        return f"{MANIFESTS}{self.folder}{self.run_id}.json"

    def part(self, kind: Kind, number: int, sha256: str) -> str:
        """Return the key of a part.

        Args:
            kind: The part's content.
            number: The part's place among the parts of its kind, from 0.
            sha256: The hash of the stored object, hexadecimal. So equal content has the same key.
        """
        return f"{kind}/{self.folder}run={self.run_id}/part-{number:05}-{sha256[:HASH_DIGITS]}.jsonl.gz"


def entity_folder(connection: str, entity: str) -> str:
    """Return the folders of an entity, below the first one."""
    return f"connection={connection}/entity={entity.replace('/', '.')}/"


def manifest_place(key: str) -> RunPlace | None:
    """Return the place of the run with this manifest, or `None` if the key is no manifest's."""
    found = _MANIFEST.fullmatch(key)
    return None if found is None else RunPlace(**found.groupdict())


def subscription_key(connection: str, subscription: str) -> str:
    """Return the key of a bookmark."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.json"


def recent_key(connection: str, subscription: str, digest: str) -> str:
    """Return the key of a bookmark's last records if they are too many for the bookmark. The object never expires."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.recent-{digest}.json.gz"


def ids_key(connection: str, subscription: str) -> str:
    """Return the key of the index of ids, which reconcile runs compare with the shop."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.ids.jsonl.gz"


def lock_key(connection: str, subscription: str) -> str:
    """Return the key of the lock of a subscription's reconcile runs."""
    return f"state/connection={connection}/{subscription.replace('/', '.')}.ids.turn"


def run_key(run_id: str) -> str:
    """Return the key of a run's journal, its latest result."""
    return f"{RUN_NOTES}{run_id}.json"


def checkpoint_key(run_id: str, digest: str) -> str:
    """Return the key of the state that a run keeps between two invocations. The digest is that of the content."""
    return f"state/passes/{run_id}/{digest}.jsonl.gz"
