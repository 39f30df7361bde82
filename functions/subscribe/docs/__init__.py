"""The description of the HTTP API and the page that shows it. Every file is served from here."""

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
"""The files of the page, by their content type."""

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


_ADDRESS = re.compile(rb'"docs/([a-z-]+\.(?:css|js))"')


def load(name: str, *, gzipped: bool) -> tuple[bytes, bool]:
    """Return a file, and whether it is compressed with gzip. In a page, the address of each file has its version.

    Args:
        name: One of the files of this folder.
        gzipped: Whether it may be. Only the large files are stored compressed.
    """
    folder = resources.files(__name__)
    packed = folder / f"{name}.gz"
    if not packed.is_file():
        found = (folder / name).read_bytes()
        return (_ADDRESS.sub(_with_version, found) if name.endswith(".html") else found), False
    return (packed.read_bytes(), True) if gzipped else (gzip.decompress(packed.read_bytes()), False)


@functools.cache
def version(name: str) -> str:
    """Return the version of a file: another content has another one."""
    return hashlib.sha256(load(name, gzipped=True)[0]).hexdigest()[:12]


def _with_version(found: re.Match[bytes]) -> bytes:
    name = found[1].decode()
    return f'"docs/{name}?v={version(name)}"'.encode()


def headers(max_age_seconds: int) -> dict[str, str]:
    """Return the headers of a file that a browser may keep so long; 0 is not at all."""
    caching = f"public, max-age={max_age_seconds}, immutable" if max_age_seconds else "no-cache"
    return {**_HEADERS, "Cache-Control": caching, "Vary": "Accept-Encoding"}
