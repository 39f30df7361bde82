"""Pictures and files that are uploaded: base64 or an address in `attachment`, a `src`, or a multipart body."""

import base64
import binascii
import re
from typing import Any

from .data import CDN
from .exchange import RefusedError
from .shapes import Row

INVALID = "Invalid data input."
_SIZE_OF_A_FETCHED_FILE = 8016
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_NAME = re.compile(rb'[; ]name="([^"]*)"')
_FILENAME = re.compile(rb'filename="([^"]*)"')


def multipart_fields(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the fields of a multipart body; the content of a file is bytes, its name becomes `filename`.

    Raises:
        RefusedError: 400 for a body that has no boundary or no field.
    """
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise RefusedError(400, INVALID)
    fields: dict[str, Any] = {}
    for part in body.split(b"--" + boundary[1].strip().encode())[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if name is None:
            continue
        content = content.removesuffix(b"\r\n")
        file = _FILENAME.search(head)
        fields[name[1].decode(errors="replace")] = content.decode(errors="replace") if file is None else content
        if file is not None:
            fields.setdefault("filename", file[1].decode(errors="replace"))
    if not fields:
        raise RefusedError(400, INVALID)
    return fields


def uploaded(fields: dict[str, Any], old: Row | None) -> Row:
    """Return the fields of an uploaded picture or file.

    Args:
        fields: `attachment` (bytes, base64 or an address) with `filename`, or `src`.
        old: the row that is changed; None for a new record, which needs a file.

    Raises:
        RefusedError: 422 if there is no file, or its base64 is broken.
    """
    attachment: Any = fields.get("attachment")
    address = str(fields.get("src") or "")
    if isinstance(attachment, str) and attachment.startswith(("http://", "https://")):
        attachment, address = None, attachment
    if attachment is None and not address:
        if old is None:
            raise RefusedError(422, "attachment or src is required")
        return {}
    size = _SIZE_OF_A_FETCHED_FILE if attachment is None else _size(attachment)
    name = str(fields.get("filename") or address.rpartition("/")[2])
    title, _, extension = name.rpartition(".")
    title = str(fields.get("title") or title or "file")
    extension = extension or "png"
    stored = f"{CDN}/{9_100_000 + sum(name.encode(errors='replace')) + size}/"
    return {
        "title": title,
        "extension": extension,
        "size": size,
        "thumb": f"{stored}50x50x2/{title}.{extension}",
        "src": f"{stored}{title}.{extension}",
    }


def _size(attachment: Any) -> int:
    if isinstance(attachment, bytes):
        return len(attachment)
    try:
        return len(base64.b64decode(str(attachment), validate=True))
    except (binascii.Error, ValueError):
        raise RefusedError(422, "attachment is not base64") from None
