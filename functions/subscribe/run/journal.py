"""The note of a run: its latest result, written by one copy of the run at a time.

A run can be started twice with one id: a state machine tries again while the first invocation still works, and
asynchronous invocations come at least once. Every write of the note is conditional on the note that the copy has seen.
So of several copies one goes on, and the others answer with what that one wrote.
"""

from __future__ import annotations

from typing import Any

from connector.errors import RequestError
from subscribe.run.result import Decision, Result
from subscribe.storage.bucket import NONE_YET, Bucket, PreconditionFailed
from subscribe.storage.keys import run_key

NOTED = ("started", "fingerprint", "single", "manifests", "transformers", "noted_at")
"""What a note holds besides the result."""

_ATTEMPTS = 5


class Journal:
    """The note of one run, as one copy of the run sees it.

    Attributes:
        note: The note as it was read last, empty if there is none.
    """

    def __init__(self, bucket: Bucket, run_id: str, fingerprint: str) -> None:
        """Take whose note it is; nothing is read yet.

        Args:
            bucket: The bundle's bucket.
            run_id: The run.
            fingerprint: Of the request that the run answers.
        """
        self._bucket = bucket
        self._run_id = run_id
        self._fingerprint = fingerprint
        self._etag = NONE_YET
        self.note: dict[str, Any] = {}

    def load(self) -> dict[str, Any]:
        """Return the note as it is now, empty if there is none. Later writes hold only over this one.

        Raises:
            RequestError: The run id was used before for another request.
        """
        found = self._bucket.read_json(run_key(self._run_id))
        self.note, self._etag = found if found is not None else ({}, NONE_YET)
        if self.note and self.note["fingerprint"] != self._fingerprint:
            raise RequestError([f"run_id {self._run_id} was used before for another request"])
        return self.note

    def finished(self) -> Result | None:
        """Return the result of the run if it is decided. A copy that was killed in its last steps is finished here."""
        note = self.load()
        if note.get("status") == "finishing" and (note["manifests"] or self._exists(note["manifest"])):
            self._bucket.put_manifests(note["manifests"])
            note = {**note, "status": "complete", "manifests": {}}
            self._complete(note)
        return result_of(note) if note.get("status") == "complete" else None

    def pause(self, body: dict[str, Any], **facts: Any) -> None:
        """Note a partial result.

        Args:
            body: The result.
            **facts: What the next invocation needs besides the state: `started`, `transformers`, `noted_at`.

        Raises:
            PreconditionFailed: Another copy of the run has gone on.
        """
        self._write({**body, "manifests": {}, "single": False, **facts})

    def decide(self, decision: Decision, **facts: Any) -> None:
        """Note how the run ends; from then on it is decided, and manifests follow.

        Raises:
            PreconditionFailed: Another copy of the run has gone on.
        """
        self._write(self._note(decision, "finishing", decision.manifests, facts))

    def complete(self, decision: Decision, **facts: Any) -> None:
        """Note that a decided run has its manifests, whatever the note says now."""
        self._complete(self._note(decision, "complete", {}, facts))

    def _note(
        self, decision: Decision, status: str, manifests: dict[str, Any], facts: dict[str, Any]
    ) -> dict[str, Any]:
        return {**decision.body, "status": status, "manifests": manifests, "single": decision.single, **facts}

    def _complete(self, note: dict[str, Any]) -> None:
        for _ in range(_ATTEMPTS):
            try:
                return self._write(note)
            except PreconditionFailed:
                if self.load().get("status") == "complete":
                    return None
        raise PreconditionFailed(run_key(self._run_id))

    def _write(self, note: dict[str, Any]) -> None:
        body = {**note, "fingerprint": self._fingerprint}
        self._etag = self._bucket.put_json(run_key(self._run_id), body, if_match=self._etag)

    def _exists(self, manifest: str | None) -> bool:
        return manifest is not None and self._bucket.read(manifest) is not None


def result_of(note: dict[str, Any]) -> Result:
    """Return the result that a note holds."""
    return Result({key: value for key, value in note.items() if key not in NOTED}, single=bool(note["single"]))
