"""Times as the connector writes them: ISO-8601, UTC, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_text(moment: datetime | float) -> str:
    """Return a moment, or epoch seconds, as text: `2026-11-23T06:00:00Z`. Fractions of a second are cut."""
    when = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
