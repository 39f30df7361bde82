"""What the public example payloads of each entity look like, as JSON Schemas.

`make schemas` writes the file from the samples, with `lightspeed.schema`. A shop's own records may have other fields
and other types: a sample shows what can be there, not what must be there.
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
