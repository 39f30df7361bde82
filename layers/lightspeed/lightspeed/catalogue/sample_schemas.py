"""JSON Schemas of the public example payloads of each entity.

`make schemas` writes the file from the samples, with `lightspeed.schema`. A shop's own records may have other fields
and other types.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PLACE = Path(__file__).with_name("sample_schemas.json")


def load_sample_schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each entity that has a sample, by the entity's name."""
    found: dict[str, dict[str, Any]] = json.loads(PLACE.read_bytes())
    return found
