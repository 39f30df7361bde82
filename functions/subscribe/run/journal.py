"""The journal of a run: one object with one entry, the latest result.

A run may have several copies with one id. A state machine may try again while the first invocation still works, and
Lambda may repeat an asynchronous invocation. A copy writes only over the entry that it has read. So one copy goes on,
and the others answer with the entry of that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.aws.bucket import NONE_YET, Bucket, PreconditionFailed
from connector.errors import AwsUnavailable, RunConflict
from connector.storage_keys import run_key
from subscribe.run.result import Decision, Result

_JOURNAL_ONLY = ("started", "fingerprint", "single", "manifests", "transformers", "noted_at", "copy")
"""The members of an entry that are not members of the result."""

_ATTEMPTS = 5


class Journal:
    """The journal of one run, as one copy of the run sees it.

    Args:
        fingerprint: The fingerprint of the run's request.

    Attributes:
        entry: The entry that was read last; empty if there is none.
    """

    def __init__(self, bucket: Bucket, run_id: str, fingerprint: str) -> None:
        self._bucket = bucket
        self._run_id = run_id
        self._fingerprint = fingerprint
        self._etag = self._written = NONE_YET
        self.entry: dict[str, Any] = {}

    def load(self) -> dict[str, Any]:
        """Read and return the entry; empty if there is none. The next write succeeds only over this entry.

        Raises:
            RunConflict: The run id was used before for another request.
        """
        found = self._bucket.read_json_with_etag(run_key(self._run_id))
        self.entry, self._etag = found if found is not None else ({}, NONE_YET)
        if self.entry and self.entry["fingerprint"] != self._fingerprint:
            raise RunConflict([f"run_id {self._run_id} was used before for another request"])
        return self.entry

    @property
    def is_own(self) -> bool:
        """Whether this copy wrote the entry that it read last."""
        return self._etag == self._written

    def finished(self) -> Result | None:
        """Return the result of the run if it is decided. If a copy was killed in its last writes, make them first."""
        entry = self.load()
        if entry.get("status") == "finishing" and (entry["manifests"] or self._exists(entry["manifest"])):
            finish(self._bucket, entry)
            entry = self.load()
        return result_of(entry) if entry.get("status") == "complete" else None

    def write(self, entry: dict[str, Any]) -> None:
        """Write an entry over the one that was read last.

        Raises:
            PreconditionFailed: Another copy of the run has written the journal since.
        """
        self._etag = self._written = self._bucket.put_json(run_key(self._run_id), entry, if_match=self._etag)

    def entry_of(self, decision: Decision, status: str = "finishing", **facts: Any) -> dict[str, Any]:
        """Return the entry of a run that ends or pauses.

        Args:
            decision: The result and the manifests.
            status: The status of the journal.
            **facts: Values that the next invocation needs beside the state, such as `started` and `transformers`.
        """
        return {
            **decision.body,
            "status": status,
            "manifests": decision.manifests,
            "single": decision.single,
            "fingerprint": self._fingerprint,
            **facts,
        }

    def _exists(self, manifest: str | None) -> bool:
        return manifest is not None and self._bucket.read(manifest) is not None


def finish(bucket: Bucket, entry: Mapping[str, Any]) -> None:
    """Write the manifests of a decided run, then the complete entry to its journal.

    Any run may do this for any other one. Objects that exist already do not change.

    Args:
        bucket: The bundle's bucket.
        entry: The decided entry of the run.

    Raises:
        AwsUnavailable: Other writers changed the journal before each of several tries.
    """
    bucket.put_manifests(entry["manifests"])
    key, complete = run_key(entry["run_id"]), {**entry, "status": "complete", "manifests": {}}
    for _ in range(_ATTEMPTS):
        found = bucket.read_json_with_etag(key)
        if found is not None and found[0]["status"] == "complete":
            return
        try:
            bucket.put_json(key, complete, if_match=found[1] if found else NONE_YET)
        except PreconditionFailed:
            continue
        return
    raise AwsUnavailable(f"the journal of run {entry['run_id']} changes all the time; send the same event again")


def result_of(entry: dict[str, Any]) -> Result:
    """Return the result in an entry."""
    return Result(
        {key: value for key, value in entry.items() if key not in _JOURNAL_ONLY}, single=bool(entry["single"])
    )
