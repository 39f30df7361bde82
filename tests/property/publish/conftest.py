"""Nothing here needs AWS: the table and the queue are in memory."""

from collections.abc import Iterator

import pytest

from connector.observability import logger


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of outcomes are not worth a line each."""
    level = logger().log_level
    logger().setLevel("CRITICAL")
    yield
    logger().setLevel(level)
