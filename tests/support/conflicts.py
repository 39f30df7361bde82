"""A bucket that answers 409 to conditional writes, as S3 does if two of them meet."""

from typing import Any

from botocore.exceptions import ClientError

from tests.property.bucket import MemoryBucket

CODE = "ConditionalRequestConflict"


class ConflictingBucket(MemoryBucket):
    """A bucket whose first conditional writes meet another one.

    Attributes:
        conflicts: The number of writes that will still be refused.
    """

    def __init__(self, conflicts: int) -> None:
        super().__init__()
        self.conflicts = conflicts

    def put_object(self, **given: Any) -> dict[str, Any]:
        if self.conflicts and ("IfMatch" in given or "IfNoneMatch" in given):
            self.conflicts -= 1
            raise ClientError({"Error": {"Code": CODE}}, "PutObject")
        return super().put_object(**given)
