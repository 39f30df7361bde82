"""Mask secrets in a text."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from html import unescape
from urllib.parse import quote, unquote

_LONG = 8
"""A shorter secret is not masked in hexadecimal digits or base64. A shorter first part is not masked at a text's end.
Both would mask other words."""

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_CUT_ESCAPE = re.compile(r"[\\&%]#?\w{0,5}\Z", re.ASCII)


def redacted(text: str, secrets: tuple[str, ...]) -> str:
    """Return a text with secrets masked.

    Each is masked as it is, percent-encoded, in the other case, in hexadecimal digits, and inside base64. The first
    part of a secret at the end of a cut text is masked too. A text with a secret in another spelling (HTML or JSON
    escapes) is masked as a whole.
    """
    if not text:
        return text
    masked = _masked(text, secrets)
    uncut = _CUT_ESCAPE.sub("", masked)
    plain = unquote(unescape(_ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], uncut)))
    return "***" if plain != uncut and _masked(plain, secrets) != plain else masked


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    """Return a text with secrets masked, also the first part of a secret, at least `_LONG` characters, at its end."""
    spellings, pattern = _hidden(secrets)
    lowered = text.lower()
    begin = max(0, len(text) - max(_cut_length(lowered, spelling) for spelling in spellings))
    if begin == len(text):
        return pattern.sub("***", text)
    whole = (found.start() for found in pattern.finditer(text) if found.end() > begin)
    return pattern.sub("***", text[: min([begin, *whole])]) + "***"


@lru_cache(maxsize=100)
def _hidden(secrets: tuple[str, ...]) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """Return the spellings of secrets, in small letters, and a pattern that finds them; the longest come first."""
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    return tuple(map(str.lower, longest_first)), re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)


def _cut_length(text: str, spelling: str) -> int:
    """Return how many characters at the end of a text are the first part of a spelling; both in small letters."""
    index = text.find(spelling[:_LONG], max(0, len(text) - len(spelling) + 1))
    while 0 <= index <= len(text) - _LONG:
        if spelling.startswith(text[index:]):
            return len(text) - index
        index = text.find(spelling[:_LONG], index + 1)
    return 0


def _spellings(secret: str) -> list[str]:
    text = secret.encode()
    found = [secret, quote(secret, safe="")]
    if len(text) >= _LONG:
        found += [text.hex(), *(_in_base64(text, before) for before in range(3))]
    return found


def _in_base64(text: bytes, before: int) -> str:
    """Return the base64 text of some bytes that follow `before` other bytes, without digits that mix both."""
    return b64encode(bytes(before) + text).decode()[-(-before * 4 // 3) : (before + len(text)) * 4 // 3]
