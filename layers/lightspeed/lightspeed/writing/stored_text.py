"""What a shop makes of a text that it stores, and what a stored text says about the text that was written.

A text that the shop shows is called `found`, and the one that is looked for `value`.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from fnmatch import fnmatchcase
from urllib.parse import unquote

_LOST = frozenset("?\ufffd")
"""What the shop may write for a character that it cannot store."""

_SEPARATORS = " -_./,;:'\"()"
"""Signs that the shop writes no letters for."""

_MOST_LETTERS = 10
"""The most letters and digits that the shop may write for one other sign, or for a letter that is not ASCII."""

_INVISIBLE = ("Cc", "Cf")
"""Categories of characters without width: controls, soft hyphens, joiners. Emoji are joined by them."""

_STYLES = "\ufe0e\ufe0f"
"""Characters that style an emoji."""

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?(e[+-]?[0-9]{1,3})?")

_WILDCARDS = str.maketrans("%_?[", "***?")
"""Signs that a shop may read as any text, as `fnmatch` writes them. `?` takes the place of a bracket, which has a
meaning there."""

_SHORTEST_CUT = 12
"""A stored text that is shorter was not cut to a length: it is another text."""

_LONGEST_STORED = 255
"""The characters of a text column, as most databases have them."""


def tidy(text: str) -> str:
    """Return a text in one Unicode form, with single blanks inside and none around."""
    return " ".join(unicodedata.normalize("NFC", text).split())


STORED_FORMS: tuple[Callable[[str], str], ...] = (
    tidy,
    str.strip,
    lambda text: html.escape(tidy(text), quote=False),
    lambda text: html.escape(tidy(text), quote=False).replace('"', "&quot;"),
    lambda text: html.escape(tidy(text)).replace("&#x27;", "&#039;"),  # as PHP escapes
    lambda text: html.unescape(tidy(text)),
    lambda text: tidy(_TAG.sub("", text)),
    lambda text: tidy("".join(letter for letter in text if letter <= "\uffff")),
    lambda text: tidy("".join(letter if letter <= "\uffff" else "?" for letter in text)),
    lambda text: tidy(text)[:_LONGEST_STORED],
)
"""What a shop may store in place of a text: without blanks or emoji, as HTML or not, without tags, cut."""


def has_same_text(found: str, value: str) -> bool:
    """Return whether a text is the value in another form; emoji are all there, or none is."""
    return _plain(found) == _plain(value) != "" and _emoji(found) in ("", _emoji(value))


def may_be_form(found: str, value: str) -> bool:
    r"""Return whether a text, one of any, may be the value as a shop is known to change it.

    It was cut to a length, or is another notation of the same number. It has the same letters and digits, other signs.
    Or it has `\u` escapes, or question marks for what the shop cannot store.
    """
    shown, wanted = _plain(found), _plain(value)
    are_numbers = _NUMBER.fullmatch(shown) and _NUMBER.fullmatch(wanted)
    return (
        (len(shown) >= _SHORTEST_CUT and wanted.startswith(shown.rstrip(".")))
        or bool(are_numbers and Decimal(shown) == Decimal(wanted))
        or _without_signs(shown) == _without_signs(value)
        or shown == _plain(json.dumps(value)[1:-1])
        or (not _LOST.isdisjoint(shown) and _ascii(shown) == _ascii(wanted))
    )


def may_be_form_if_filtered(found: str, value: str) -> bool:
    """Return whether a text that the shop seems to have filtered may be the value, whatever the shop made of it.

    It is the start of the value, or has its letters and digits.
    """
    is_start = found != "" and _plain(value).startswith(_plain(found).rstrip("."))
    return is_start or may_be_form(found, value) or _has_letters(found, value)


def shows_form(found: str, value: str) -> bool:
    """Return whether a text is a form of the value.

    It has no other emoji and nothing in place of lost characters, and it is not another text (`_is_another`).
    """
    has_lost = not _LOST.difference(value).isdisjoint(found)
    return not has_lost and _emoji(found) in ("", _emoji(value)) and not _is_another(found, value)


def similar_texts(value: str) -> tuple[str, str]:
    """Return the start of a text and a text that differs from it in one letter; empty if it has no second letter."""
    text = value.strip()
    ends = [end for end in range(1, len(text)) if text[end].isalnum()]
    if not ends:
        return "", ""
    end = max(ends, key=lambda end: (text[end].isascii(), end))  # a shop may store any accent as none
    neighbour = chr(ord(text[end]) ^ 1)  # the letter beside it, such as `b` for `c`
    return text[:end], text[:end] + neighbour + text[end + 1 :]


def _is_another(found: str, value: str) -> bool:
    """Return whether a text that the shop returns for a value shows that it was written as another one.

    It has more text around that of the value, other letters that are not ASCII, or only some of its words. Or it is
    returned since the shop reads a sign of the value, such as `%`, as any text.
    """
    shown, wanted = _untagged(found), _untagged(value)
    words = {word for word in _WORD.findall(wanted) if word.isascii()}
    return shown != wanted and (
        (wanted != "" and wanted in shown)
        or not {letter for letter in shown if not letter.isascii()}.issubset(wanted)
        or 0 < len(words.intersection(_WORD.findall(shown))) < len(words)
        or fnmatchcase(found.casefold(), value.casefold().translate(_WILDCARDS))
    )


def _has_letters(found: str, value: str) -> bool:
    """Return whether a text has the letters and digits of another one, without accents and signs.

    The shop may write up to ten others for a sign, or for a letter that is not ASCII.
    """
    letters, wanted = _letters(found), _letters(value)
    if letters == wanted:
        return True
    text = unicodedata.normalize("NFC", html.unescape(value))
    ascii_only = [letter.lower() for letter in text if letter.isascii() and letter.isalnum()]
    others = sum(letter not in _SEPARATORS for letter in text) - len(ascii_only)
    left = iter(letters)
    in_order = bool(ascii_only or not letters) and all(letter in left for letter in ascii_only)
    return in_order and len(letters) - len(ascii_only) <= _MOST_LETTERS * others


def _emoji(value: str) -> str:
    """Return the characters of a text that the shop may drop, all of them or none."""
    return "".join(letter for letter in _decoded(value) if letter > "\uffff")


def _plain(value: str) -> str:
    """Return a text without what the shop may change: case, blanks, HTML entities, Unicode form, emoji, encoding."""
    text = _decoded(value)
    letters = (letter for letter in text if letter <= "\uffff" and letter not in _STYLES)
    visible = (letter for letter in letters if unicodedata.category(letter) not in _INVISIBLE)
    return " ".join("".join(visible).split()).casefold()


def _decoded(value: str) -> str:
    """Return a text in one form, whatever encoding the shop stored it in."""
    text = unquote(value)
    for encoding in ("latin-1", "cp1252"):
        with contextlib.suppress(UnicodeError):
            text = text.encode(encoding).decode()
    return " ".join(unicodedata.normalize("NFKC", html.unescape(html.unescape(text))).split())


def _untagged(value: str) -> str:
    return _plain(_TAG.sub("", html.unescape(value)))


def _without_signs(value: str) -> str:
    """Return the letters and digits of a text, without HTML tags."""
    return "".join(filter(str.isalnum, _untagged(value)))


def _letters(value: str) -> str:
    """Return the letters and digits of a text, without accents and HTML tags."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", _untagged(value))))


def _ascii(text: str) -> str:
    """Return the ASCII characters of a text, without blanks and question marks."""
    return "".join(letter for letter in text if "!" <= letter <= "~" and letter != "?")
