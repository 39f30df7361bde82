"""The forms in which a shop may store a text, and whether a stored text is a form of a written one.

In each comparison, `found` is the text that the shop shows, and `value` the text that was written.
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
"""Characters that the shop may store in place of one that it cannot store."""

_SEPARATORS = " -_./,;:'\"()"
"""Signs that the shop does not replace by letters."""

_MAX_LETTERS = 10
"""The most letters and digits that the shop may store for one other sign, or for a letter that is not ASCII."""

_INVISIBLE = ("Cc", "Cf")
"""Categories of characters without width: controls, soft hyphens, joiners. Emoji are joined by them."""

_STYLES = "\ufe0e\ufe0f"
"""Characters that style an emoji."""

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?(e[+-]?[0-9]{1,3})?")

_WILDCARDS = str.maketrans("%_?[", "***?")
"""Signs that a shop may read as wildcards, in the form for `fnmatch`. `?` replaces a bracket, which `fnmatch` would
interpret."""

_SHORTEST_CUT = 12
"""No shop cuts a text to fewer characters: a shorter stored text is another text."""

_LONGEST_STORED = 255
"""The usual size of a text column, in characters."""


def tidy(text: str) -> str:
    """Return a text in Unicode form NFC, with single blanks inside and none around."""
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
"""The forms that a shop may store: without blanks, emoji or tags, HTML escaped or not, or cut."""


def has_same_text(found: str, value: str) -> bool:
    """Whether a text is the value in another form, with all of its emoji or none."""
    return _plain(found) == _plain(value) != "" and _emoji(found) in ("", _emoji(value))


def may_be_form(found: str, value: str) -> bool:
    r"""Whether a text may be the value, changed in a way that shops are known for.

    It is cut, another notation of the same number, or has the same letters and digits but other signs. Or it has `\u`
    escapes, or question marks for characters that the shop cannot store.
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
    """Whether a text may be the value, if the shop seems to filter by it.

    Then it is enough that the text is the start of the value, or has its letters and digits.
    """
    is_start = found != "" and _plain(value).startswith(_plain(found).rstrip("."))
    return is_start or may_be_form(found, value) or _has_letters(found, value)


def shows_form(found: str, value: str) -> bool:
    """Whether a text shows a form of the value: no other emoji, no lost characters, and no sign of another text."""
    has_lost = not _LOST.difference(value).isdisjoint(found)
    return not has_lost and _emoji(found) in ("", _emoji(value)) and not _is_another(found, value)


def similar_texts(value: str) -> tuple[str, str]:
    """Return the start of a text, and a text that differs in one letter; both empty if it has no second letter."""
    text = value.strip()
    ends = [end for end in range(1, len(text)) if text[end].isalnum()]
    if not ends:
        return "", ""
    end = max(ends, key=lambda end: (text[end].isascii(), end))  # a shop may drop accents
    neighbour = chr(ord(text[end]) ^ 1)  # such as `b` for `c`
    return text[:end], text[:end] + neighbour + text[end + 1 :]


def _is_another(found: str, value: str) -> bool:
    """Whether a text that the shop returns for a value was written as another text.

    It has more text around the value, other letters that are not ASCII, or only some of its words. Or it matches
    because the shop reads a sign of the value, such as `%`, as a wildcard.
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
    """Whether a text has the letters and digits of the value, without accents and signs.

    The shop may store up to `_MAX_LETTERS` letters for a sign, or for a letter that is not ASCII.
    """
    letters, wanted = _letters(found), _letters(value)
    if letters == wanted:
        return True
    text = unicodedata.normalize("NFC", html.unescape(value))
    ascii_only = [letter.lower() for letter in text if letter.isascii() and letter.isalnum()]
    others = sum(letter not in _SEPARATORS for letter in text) - len(ascii_only)
    left = iter(letters)
    in_order = bool(ascii_only or not letters) and all(letter in left for letter in ascii_only)
    return in_order and len(letters) - len(ascii_only) <= _MAX_LETTERS * others


def _emoji(value: str) -> str:
    """Return the emoji of a text. A shop drops all of them or none."""
    return "".join(letter for letter in _decoded(value) if letter > "\uffff")


def _plain(value: str) -> str:
    """Return a text without what a shop may change: case, blanks, entities, Unicode form, emoji, encoding."""
    text = _decoded(value)
    letters = (letter for letter in text if letter <= "\uffff" and letter not in _STYLES)
    visible = (letter for letter in letters if unicodedata.category(letter) not in _INVISIBLE)
    return " ".join("".join(visible).split()).casefold()


def _decoded(value: str) -> str:
    """Return a text in Unicode form NFKC, without percent escapes, HTML entities and a wrong encoding."""
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
