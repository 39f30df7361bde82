"""botocore's errors, imported when the first `except` clause is evaluated.

Python evaluates the class in an `except` clause only while an error passes. So a module that writes
`except botocore_errors.ClientError` loads botocore no earlier than a call of AWS does.
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Return an error class of `botocore.exceptions`."""
    return getattr(importlib.import_module("botocore.exceptions"), name)
