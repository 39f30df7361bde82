"""Countries and languages in the form of the shop's payloads."""

from typing import Any

# code: (id, three letters, title). The ids of ca, nl and us were seen; the others are made up in the same range.
COUNTRIES: dict[str, tuple[int, str, str]] = {
    "at": (14, "aut", "Austria"),
    "be": (21, "bel", "Belgium"),
    "ca": (38, "can", "Canada"),
    "dk": (58, "dnk", "Denmark"),
    "fr": (73, "fra", "France"),
    "de": (80, "deu", "Germany"),
    "ie": (103, "irl", "Ireland"),
    "it": (105, "ita", "Italy"),
    "lu": (124, "lux", "Luxembourg"),
    "nl": (150, "nld", "Netherlands, The"),
    "es": (199, "esp", "Spain"),
    "se": (205, "swe", "Sweden"),
    "gb": (225, "gbr", "United Kingdom"),
    "us": (226, "usa", "United States"),
}

# code: (id, locale, title). The id of us was seen; the others are made up in the same range.
LANGUAGES: dict[str, tuple[int, str, str]] = {
    "nl": (1, "nl_NL", "Nederlands"),
    "en": (2, "en_GB", "English"),
    "de": (3, "de_DE", "Deutsch"),
    "fr": (4, "fr_FR", "Français"),
    "es": (5, "es_ES", "Español"),
    "it": (6, "it_IT", "Italiano"),
    "da": (7, "da_DK", "Dansk"),
    "us": (18, "en_US", "English (US)"),
}


def country_record(code: str) -> dict[str, Any]:
    """Return the object that a country is read as."""
    number, three, title = COUNTRIES[code]
    return {"id": number, "code": code, "code3": three, "title": title}


def language_record(code: str) -> dict[str, Any]:
    """Return the object that a language is read as inside another record."""
    number, locale, title = LANGUAGES.get(code, (900 + sum(code.encode()) % 90, f"{code}_{code.upper()}", code))
    return {"id": number, "code": code, "locale": locale, "title": title}
