"""The error classes of botocore, imported when the first error of AWS is caught.

Python evaluates the class in an `except` clause only while an error passes. So a module with
`except botocore_errors.ClientError` imports botocore no earlier than a call of AWS does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Container
from typing import Any


def answer_unless(codes: Container[str], call: Callable[..., Any], **arguments: Any) -> Any:
    """Return the answer of a call of AWS, or `None` if AWS refuses it with one of these codes.

    Raises:
        ClientError: AWS refuses the call with another code.
    """
    try:
        return call(**arguments)
    except __getattr__("ClientError") as error:
        if error.response["Error"]["Code"] in codes:
            return None
        raise


def __getattr__(name: str) -> Any:
    """Return an error class of `botocore.exceptions`."""
    if name.startswith("__"):  # Python asks for `__path__` at each `from connector.aws.botocore_errors import`
        raise AttributeError(name)
    return getattr(importlib.import_module("botocore.exceptions"), name)
