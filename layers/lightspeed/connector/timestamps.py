"""Times as the connector writes them: ISO-8601, UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_text(moment: datetime | float, timespec: str = "seconds") -> str:
    """Return a moment, or epoch seconds, as text: `2026-11-23T06:00:00Z`. Fractions of a second are cut.

    Args:
        moment: With its zone, or epoch seconds.
        timespec: `seconds`, or `milliseconds` for three digits more.
    """
    when = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    return when.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"
