"""The files of the API's documentation: the OpenAPI document and the pages. No file comes from another host."""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
from importlib import resources

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

PAGE_FILES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
    "status.js": "text/javascript; charset=utf-8",
}
"""The files of the pages and their content types."""

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


_ADDRESS = re.compile(rb'"docs/([a-z-]+\.(?:css|js))"')


def load(name: str, *, gzipped: bool) -> tuple[bytes, bool]:
    """Return a file, and whether it is compressed with gzip. In a page, the URL of each file has its version.

    Args:
        name: A file of this folder.
        gzipped: Whether the file may be compressed. Only large files are.
    """
    folder = resources.files(__name__)
    packed = folder / f"{name}.gz"
    if not packed.is_file():
        found = (folder / name).read_bytes()
        return (_ADDRESS.sub(_with_version, found) if name.endswith(".html") else found), False
    return (packed.read_bytes(), True) if gzipped else (gzip.decompress(packed.read_bytes()), False)


@functools.cache
def version(name: str) -> str:
    """Return the version of a file, the start of its SHA-256."""
    return hashlib.sha256(load(name, gzipped=True)[0]).hexdigest()[:12]


def _with_version(found: re.Match[bytes]) -> bytes:
    name = found[1].decode()
    return f'"docs/{name}?v={version(name)}"'.encode()


def headers(max_age_seconds: int) -> dict[str, str]:
    """Return the headers of a file that a browser may cache for this long; it may not for 0."""
    caching = f"public, max-age={max_age_seconds}, immutable" if max_age_seconds else "no-cache"
    return {**_HEADERS, "Cache-Control": caching, "Vary": "Accept-Encoding"}
