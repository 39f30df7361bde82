"""The XML of webhooks with `format: xml`: an element for each field, `item` elements in a list."""

import re
from typing import Any
from xml.sax.saxutils import escape

_BAD_NAME = re.compile(r"^[^A-Za-z_]|[^\w.-]", re.ASCII)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(record: dict[str, Any]) -> str:
    """Return an enveloped record as an XML document; the envelope's key is the root element."""
    ((key, value),) = record.items()
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_element(key, value)}'


def _element(name: str, value: Any) -> str:
    tag = _BAD_NAME.sub("_", name) or "_"
    return f"<{tag}>{_content(value)}</{tag}>"


def _content(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(_element(name, each) for name, each in value.items())
    if isinstance(value, list):
        return "".join(_element("item", each) for each in value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(_NOT_XML.sub("", str(value)))
