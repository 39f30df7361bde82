"""The journal of a run: one object with one entry, its latest result. One copy of the run writes it at a time.

A run can be started twice with one id: a state machine tries again while the first invocation still works, and
asynchronous invocations come at least once. Every write is conditional on the entry that the copy has read.
So of several copies one goes on, and the others answer with what that one wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector.aws.bucket import NONE_YET, Bucket, PreconditionFailed
from connector.errors import AwsUnavailable, RunConflict
from connector.storage_keys import run_key
from subscribe.run.result import Decision, Result

NOTED = ("started", "fingerprint", "single", "manifests", "transformers", "noted_at", "copy")
"""What an entry holds in addition to the result."""

_ATTEMPTS = 5


class Journal:
    """The journal of one run, as one copy of the run sees it.

    Attributes:
        entry: The entry as it was read last, empty if there is none.
    """

    def __init__(self, bucket: Bucket, run_id: str, fingerprint: str) -> None:
        """Take whose journal it is; nothing is read yet.

        Args:
            bucket: The bundle's bucket.
            run_id: The run's id.
            fingerprint: The fingerprint of the request that the run answers.
        """
        self._bucket = bucket
        self._run_id = run_id
        self._fingerprint = fingerprint
        self._etag = self._written = NONE_YET
        self.entry: dict[str, Any] = {}

    def load(self) -> dict[str, Any]:
        """Return the entry as it is now, empty if there is none. Later writes hold only over this one.

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
        """Whether this copy wrote the entry that was read last."""
        return self._etag == self._written

    def finished(self) -> Result | None:
        """Return the result of the run if it is decided. A copy that was killed in its last steps is finished here."""
        entry = self.load()
        if entry.get("status") == "finishing" and (entry["manifests"] or self._exists(entry["manifest"])):
            finish(self._bucket, entry)
            entry = self.load()
        return result_of(entry) if entry.get("status") == "complete" else None

    def decide(self, entry: dict[str, Any]) -> None:
        """Write an entry over the one that was read last.

        Raises:
            PreconditionFailed: Another copy of the run has gone on.
        """
        self._etag = self._written = self._bucket.put_json(run_key(self._run_id), entry, if_match=self._etag)

    def entry_of(self, decision: Decision, status: str = "finishing", **facts: Any) -> dict[str, Any]:
        """Return the entry of a run that ends or pauses so.

        Args:
            decision: The result, and the manifests.
            status: What the journal says.
            **facts: What the next invocation needs in addition to the state, such as `started` and `transformers`.
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
    """Write the manifests of a decided run, and then its journal, whatever that says by now.

    Any run may do this for any other one. It changes nothing that is there already.

    Args:
        bucket: The bundle's bucket.
        entry: The run's entry, as it was decided.
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
    """Return the result that an entry holds."""
    return Result({key: value for key, value in entry.items() if key not in NOTED}, single=bool(entry["single"]))
