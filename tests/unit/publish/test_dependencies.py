"""The events for which publish needs its table."""

import pytest

from connector.errors import SettingsError
from connector.settings import Settings
from publish.dependencies import Dependencies


def test_nothing_is_published_once_without_a_table() -> None:
    with pytest.raises(SettingsError, match="IDEMPOTENCY_TABLE is not set"):
        _ = Dependencies(Settings()).table_client_clock
