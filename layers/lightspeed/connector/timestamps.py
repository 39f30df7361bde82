"""Times as the connector writes them: ISO-8601, UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_text(moment: datetime | float, timespec: str = "seconds") -> str:
    """Return a time as text: `2026-11-23T06:00:00Z`. Smaller units are cut off.

    Args:
        moment: A time with its zone, or epoch seconds.
        timespec: The smallest unit: `seconds` or `milliseconds`.
    """
    when = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
