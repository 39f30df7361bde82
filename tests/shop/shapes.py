"""The shape of a record: its fields in the order of the payload, each of a kind.

A stored row holds only the values that differ from its shape's defaults, in a neutral form: related records as ids,
times as epoch seconds, countries as codes, translated text as `{language: text}`. `render` makes the JSON text of it.
"""

from dataclasses import dataclass
from typing import Any, Literal

Row = dict[str, Any]
Kind = Literal["plain", "time", "one", "ones", "many", "country", "language", "text", "image", "embed", "embeds"]


@dataclass(frozen=True)
class Field:
    """One field of a record.

    Attributes:
        default: in neutral form.
        target: for `one`, `ones`, `embed`, `embeds` the resource; for `many` the relative address, in which `{id}` is
            the record's own id.
        address: for `one` whose record lies below another: its address, in which names are fields of the row.
        link: for `many` whose `link` differs from its `url` in the documentation's examples.
    """

    name: str
    kind: Kind
    default: Any = None
    target: str = ""
    address: str = ""
    link: str = ""


Shape = tuple[Field, ...]


def plain(**defaults: Any) -> Shape:
    """Fields that are stored as they are read; the type of the default is the type that a write must have."""
    return tuple(Field(name, "plain", default) for name, default in defaults.items())


def times(*names: str) -> Shape:
    """Times, read as ISO-8601 with the shop's offset."""
    return tuple(Field(name, "time") for name in names)


def one(**targets: str) -> Shape:
    """Links to one record, or false; written as a plain id."""
    return tuple(Field(name, "one", False, target) for name, target in targets.items())


def ones(**targets: str) -> Shape:
    """Lists of links."""
    return tuple(Field(name, "ones", (), target) for name, target in targets.items())


def many(**addresses: str) -> Shape:
    """Links to a list; a stored false replaces the link."""
    return tuple(Field(name, "many", None, address) for name, address in addresses.items())


def countries(**codes: str) -> Shape:
    """Countries: written as a two-letter code, read as an object."""
    return tuple(Field(name, "country", code) for name, code in codes.items())


def text(**defaults: str) -> Shape:
    """Translated text: the language segment of the request picks what is read and written."""
    return tuple(Field(name, "text", default) for name, default in defaults.items())


def embed(**targets: str) -> Shape:
    """A whole record inside the record, or false; written as a plain id."""
    return tuple(Field(name, "embed", False, target) for name, target in targets.items())


def embeds(**targets: str) -> Shape:
    """Lists of whole records; written as lists of ids."""
    return tuple(Field(name, "embeds", (), target) for name, target in targets.items())


class Layered(Row):
    """A row that shares some fields with many other rows, so that these are encoded only once.

    Attributes:
        shared: the shared fields; never changed.
        own: the others.
    """

    __slots__ = ("own", "shared")

    def __init__(self, shared: Row, own: Row) -> None:
        super().__init__(shared)
        self.update(own)
        self.shared = shared
        self.own = own


ID = plain(id=0)
STAMPS = times("createdAt", "updatedAt")
CREATED = times("createdAt")
LANGUAGE: Shape = (Field("language", "language", False),)
IMAGE: Shape = (Field("image", "image", False),)
METAFIELD = ID + STAMPS + plain(key="", value="")


def address(prefix: str) -> Shape:
    """Return the fields of a billing or shipping address, without region data."""
    empty = ("Name", "Street", "Street2", "Number", "Extension", "Zipcode", "City", "Region")
    return plain(**{prefix + name: "" for name in empty}) + countries(**{prefix + "Country": "nl"})


def full(shape: Shape, row: Row) -> Row:
    """Return the row with the defaults of its shape filled in, in the order of the payload."""
    return {field.name: row.get(field.name, field.default) for field in shape if field.kind != "many"}
