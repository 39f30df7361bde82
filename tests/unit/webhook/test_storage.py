"""How the receiver stores a webhook when S3 answers that two writes met."""

import functools

import pytest

from connector.errors import AwsUnavailable
from connector.settings import Settings
from tests.support.clock import FakeClock
from tests.support.conflicts import CODE, ConflictingBucket
from webhook import app


def stored(bucket: ConflictingBucket, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(app, "_client", functools.cache({"s3": bucket}.__getitem__))
    storage = app.AwsStorage(Settings.from_env({"BUCKET": "bucket"}), FakeClock().sleep)
    return storage.store("key", b"{}")


@pytest.mark.parametrize("conflicts", [0, 1, 2])
def test_a_webhook_is_stored_though_another_write_of_its_key_met_it(
    conflicts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = ConflictingBucket(conflicts)

    assert stored(bucket, monkeypatch)

    assert bucket.objects == {"key": b"{}"}


def test_a_webhook_that_is_stored_already_is_no_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = ConflictingBucket(0)

    assert [stored(bucket, monkeypatch), stored(bucket, monkeypatch)] == [True, False]


def test_a_webhook_that_always_meets_another_write_is_sent_again_by_the_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AwsUnavailable, match=CODE):
        stored(ConflictingBucket(3), monkeypatch)
