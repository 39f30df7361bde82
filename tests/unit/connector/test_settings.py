"""The environment of the functions."""

import pytest

from connector.errors import SettingsError
from connector.settings import Settings


def test_everything_has_a_default() -> None:
    settings = Settings.from_env({})

    assert settings.secret_prefix == "lightspeed/"
    assert settings.quota_reserve_percent == 10
    assert settings.metrics_namespace == "LightspeedConnector"
    assert settings.bucket == settings.publish_queue_url == settings.idempotency_table == ""
    assert settings.sync_state_machine_arn == ""


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(
        {
            "BUCKET": "b",
            "SECRET_PREFIX": "team/",
            "SYNC_STATE_MACHINE_ARN": "arn",
            "PUBLISH_QUEUE_URL": "url",
            "PUBLISH_FAILURE_QUEUE_URL": "failures",
            "IDEMPOTENCY_TABLE": "table",
            "POWERTOOLS_METRICS_NAMESPACE": "Shop",
            "QUOTA_RESERVE_PERCENT": "25.5",
            "GZIP_LEVEL": "9",
            "MAX_RESPONSE_MB": "128",
        }
    )

    assert (settings.bucket, settings.secret_prefix, settings.sync_state_machine_arn) == ("b", "team/", "arn")
    assert (settings.publish_queue_url, settings.publish_failure_queue_url) == ("url", "failures")
    assert settings.idempotency_table == "table"
    assert (settings.metrics_namespace, settings.quota_reserve_percent) == ("Shop", 25.5)
    assert (settings.gzip_level, settings.max_response_mb) == (9, 128)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "mine")

    assert Settings.from_env(needs=("BUCKET",)).bucket == "mine"


@pytest.mark.parametrize("value", ["-1", "91", "ten", "nan", "inf", "10%"])
def test_a_reserve_that_is_no_share_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="QUOTA_RESERVE_PERCENT must be a number from 0 to 90, not"):
        Settings.from_env({"QUOTA_RESERVE_PERCENT": value})


@pytest.mark.parametrize("value", ["0", "10", "fast"])
def test_a_level_that_gzip_lacks_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="GZIP_LEVEL must be a number from 1 to 9, not"):
        Settings.from_env({"GZIP_LEVEL": value})


@pytest.mark.parametrize("value", ["0", "90", "", " 12 "])
def test_a_reserve_at_the_edge_is_taken(value: str) -> None:
    assert 0 <= Settings.from_env({"QUOTA_RESERVE_PERCENT": value}).quota_reserve_percent <= 90


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"BUCKET": "", "QUOTA_RESERVE_PERCENT": "x"}, needs=("BUCKET", "IDEMPOTENCY_TABLE"))

    assert refused.value.errors == (
        "BUCKET is not set",
        "IDEMPOTENCY_TABLE is not set",
        "QUOTA_RESERVE_PERCENT must be a number from 0 to 90, not 'x'",
    )


def test_equal_settings_are_one_key() -> None:
    assert hash(Settings.from_env({"BUCKET": "b"})) == hash(Settings.from_env({"BUCKET": "b"}))
