"""Products, variants, and the records below them, as series."""

from functools import lru_cache
from typing import Any

from .data import CDN, FIRST_IDS, Sizes
from .series import Series, pick
from .shapes import Row

_NOUNS = {
    "nl": ("relaismodule", "sensor", "voeding", "kabel", "behuizing", "scherm", "motor", "schakelaar"),
    "en": ("relay module", "sensor", "power supply", "cable", "case", "display", "motor", "switch"),
    "de": ("Relaismodul", "Sensor", "Netzteil", "Kabel", "Gehäuse", "Anzeige", "Motor", "Schalter"),
}
_ADJECTIVES = {
    "nl": ("Compacte", "Robuuste", "Zuinige", "Nauwkeurige", "Stille", "Waterdichte", "Lichte"),
    "en": ("Compact", "Robust", "Economical", "Precise", "Quiet", "Waterproof", "Light"),
    "de": ("Kompaktes", "Robustes", "Sparsames", "Präzises", "Leises", "Wasserdichtes", "Leichtes"),
}
_DESCRIPTIONS = {
    "nl": "Direct leverbaar uit eigen voorraad; getest vóór verzending.",
    "en": "Available from stock; tested before dispatch.",
    "de": "Sofort ab Lager lieferbar; vor dem Versand geprüft.",
}

BRANDS, SUPPLIERS, TAGS, TYPES, ATTRIBUTES_PER_TYPE, DELIVERYDATES, SETS = 8, 4, 8, 4, 3, 2, 2
ROOTS, CHILDREN = 4, 3
FIRST_BRAND, FIRST_SUPPLIER, FIRST_TAG, FIRST_TYPE = 5_000_916, 782_171, 18_890_214, 303_052
FIRST_ATTRIBUTE, FIRST_DELIVERYDATE, FIRST_SET, FIRST_CATEGORY = 721_402, 648_801, 278_500, 13_881_644
FIRST_FILTER, FIRST_FILTER_VALUE, TAX = 716_901, 2_678_501, 1_207_266


def picture(number: int, title: str, created: int, extension: str = "png") -> dict[str, Any]:
    """Return a picture in neutral form."""
    name = f"{title}.{extension}"
    return {
        "createdAt": created,
        "updatedAt": created,
        "extension": extension,
        "size": 8_016 + number % 240_000,
        "title": title,
        "thumb": f"{CDN}/{number}/50x50x2/{name}",
        "src": f"{CDN}/{number}/{name}",
    }


def slug(text: str) -> str:
    """Turn a title into the last part of an address."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
    return "-".join(part for part in plain.split("-") if part)


class ProductData:
    """Makes the rows of products and variants."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.title = lru_cache(4096)(self._title)
        count = sizes.products
        self.products = Series(FIRST_IDS["products"], count, self.product, times=lambda i: sizes.times(i, count, 1))
        self.variants = self._below("variants", self.variant, self.variant_count, owner="product", stride=11)

    def series(self) -> dict[str, Series]:
        """Return the series by name of their resource."""
        bits = self.sizes.bits
        return {
            "products": self.products,
            "variants": self.variants,
            "variants/movements": self._below(
                "variants/movements", self.movement, lambda i: 1 + bits(i, 2) % 2, "product"
            ),
            "categories/products": self._below(
                "categories/products", self.category_join, lambda i: 1 + bits(i, 3) % 2, "product"
            ),
            "tags/products": self._below("tags/products", self.tag_join, lambda i: bits(i, 4) % 3, "product"),
            "products/images": self._below("products/images", self.image, lambda i: 1 + bits(i, 5) % 3),
            "products/relations": self._below("products/relations", self.relation, lambda i: bits(i, 6) % 3),
            "products/metafields": self._below("products/metafields", self.metafield, lambda i: 1 + bits(i, 7) % 2),
            "products/attributes": self._below(
                "products/attributes", self.attribute, lambda i: ATTRIBUTES_PER_TYPE if self.type_of(i) else 0
            ),
            "products/filtervalues": self._below(
                "products/filtervalues", self.filtervalue, lambda i: 1 + bits(i, 8) % 2
            ),
        }

    def _below(self, name: str, make: Any, size: Any, owner: str = "parent_id", stride: int = 4) -> Series:
        count = self.sizes.products
        return Series(FIRST_IDS[name], count, make, stride, None, size, owner, self.products)

    def _title(self, number: int) -> dict[str, str]:
        bits = self.sizes.bits(number, 9)
        titles = {}
        for language in self.sizes.languages:
            known = language if language in _NOUNS else "en"
            words = f"{pick(_ADJECTIVES[known], bits)} {pick(_NOUNS[known], bits >> 8)} {number + 1}"
            titles[language] = words if known == language else f"{words} ({language})"
        return titles

    def type_of(self, number: int) -> int:
        """Return the id of a product's type, or 0."""
        bits = self.sizes.bits(number, 10)
        return 0 if bits % 3 == 0 else FIRST_TYPE + (bits >> 8) % TYPES

    def brand_of(self, number: int) -> int:
        """Return the place of a product's brand, or -1."""
        bits = self.sizes.bits(number, 11)
        return -1 if bits % 7 == 0 else (bits >> 8) % BRANDS

    def variant_count(self, number: int) -> int:
        """Return how many variants a product has: mostly one."""
        bits = self.sizes.bits(number, 12)
        return 1 if bits % 3 else 2 + (bits >> 8) % 2

    def price(self, number: int, place: int) -> float:
        """Return the price of a variant without tax."""
        return round(0.95 + (self.sizes.bits(number * 4 + place, 13) % 24_000) / 100, 2)

    def product(self, number: int, _place: int) -> Row:
        """Make a product."""
        sizes, bits = self.sizes, self.sizes.bits(number, 14)
        created, updated = sizes.times(number, sizes.products, 1)
        title, brand = self.title(number), self.brand_of(number)
        image_id = self._image_id(number, 0)
        return {
            "createdAt": created,
            "updatedAt": updated,
            "isVisible": bits % 16 != 0,
            "visibility": "hidden" if bits % 16 == 0 else "visible",
            "hasMatrix": False,
            "url": {language: slug(words) for language, words in title.items()},
            "title": title,
            "fulltitle": title,
            "description": {
                language: f"{words}. {_DESCRIPTIONS.get(language, _DESCRIPTIONS['en'])}"
                for language, words in title.items()
            },
            "content": {language: f"<p>{words}</p>" for language, words in title.items()},
            "set": FIRST_SET + bits % SETS if self.variant_count(number) > 1 else False,
            "brand": FIRST_BRAND + brand if brand >= 0 else False,
            "deliverydate": FIRST_DELIVERYDATE + bits % DELIVERYDATES if bits & 16 else False,
            "image": picture(image_id, slug(next(iter(title.values()))), created),
            "type": self.type_of(number) or False,
            "supplier": FIRST_SUPPLIER + (bits >> 8) % SUPPLIERS if bits & 32 else False,
            "templateDataFields": {} if bits & 1 else [],
        }

    def variant(self, number: int, place: int) -> Row:
        """Make a variant."""
        sizes, bits = self.sizes, self.sizes.bits(number * 4 + place, 15)
        created, updated = sizes.times(number, sizes.products, 16)
        price = self.price(number, place)
        code = f"LS{number + 1:05d}" + (f"-{place + 1}" if place else "")
        grams = bits % 3 * 125
        return {
            "createdAt": created,
            "updatedAt": updated,
            "isDefault": place == 0,
            "sortOrder": place + 1,
            "articleCode": code,
            "ean": f"87{bits % 10**11:011d}" if bits & 1 else "",
            "sku": code.lower() if bits & 2 else "",
            "hs": None if bits & 4 else "",
            "priceExcl": price,
            "priceIncl": round(price * 1.21, 2),
            "priceCost": round(price * 0.4, 2),
            "stockTracking": pick(("enabled", "enabled", "disabled", "indicator"), bits >> 3),
            "stockLevel": (bits >> 8) % 200,
            "stockAlert": 10,
            "stockSold": (bits >> 16) % 50,
            "weight": grams * 1000,
            "weightValue": f"{grams}.000",
            "title": {language: f"{words} {place + 1}" for language, words in self.title(number).items()},
            "taxType": None,
            "image": picture(self._image_id(number, 0), code.lower(), created) if bits & 64 else False,
            "tax": TAX if bits & 128 else False,
            "product": self.products.id_of(number),
        }

    def movement(self, number: int, place: int) -> Row:
        """Make an entry of the stock log."""
        bits = self.sizes.bits(number * 2 + place, 17)
        created, _ = self.sizes.times(number, self.sizes.products, 16)
        return {
            "createdAt": created + place,
            "channel": "auto",
            "stockLevelChange": bits % 40 - 15,
            "product": self.products.id_of(number),
            "variant": self.variants.family(number)[0],
        }

    def category_join(self, number: int, place: int) -> Row:
        """Put a product into a child category, and maybe into its root."""
        root = self.sizes.bits(number, 18) % ROOTS
        child = 1 + self.sizes.bits(number, 19) % CHILDREN
        category = FIRST_CATEGORY + root * (CHILDREN + 1) + (child if place == 0 else 0)
        return {"sortOrder": number % 50 + 1, "category": category, "product": self.products.id_of(number)}

    def tag_join(self, number: int, place: int) -> Row:
        """Tag a product."""
        return {
            "tag": FIRST_TAG + (self.sizes.bits(number, 20) + place) % TAGS,
            "product": self.products.id_of(number),
        }

    def _image_id(self, number: int, place: int) -> int:
        return FIRST_IDS["products/images"] + 4 * number + place

    def image(self, number: int, place: int) -> Row:
        """Make a picture of a product."""
        created, _ = self.sizes.times(number, self.sizes.products, 1)
        words = slug(next(iter(self.title(number).values())))
        title = f"{words}-{place + 1}" if place else words
        made = picture(self._image_id(number, place), title, created, "jpg" if place else "png")
        return {"parent_id": self.products.id_of(number), "sortOrder": place + 1} | made

    def relation(self, number: int, place: int) -> Row:
        """Relate a product to another."""
        other = (number + 1 + self.sizes.bits(number, 21) % 5 + place) % self.sizes.products
        return {
            "parent_id": self.products.id_of(number),
            "sortOrder": place,
            "relatedProduct": self.products.id_of(other),
        }

    def metafield(self, number: int, place: int) -> Row:
        """Make a metafield of a product."""
        created, updated = self.sizes.times(number, self.sizes.products, 22)
        language = self.sizes.languages[place % len(self.sizes.languages)]
        return {
            "parent_id": self.products.id_of(number),
            "createdAt": created,
            "updatedAt": updated,
            "key": f"meta_keywords_{language}",
            "value": f"article {number + 1}, {language}",
        }

    def attribute(self, number: int, place: int) -> Row:
        """Give a product's attribute a value."""
        kind = self.type_of(number) - FIRST_TYPE
        return {
            "parent_id": self.products.id_of(number),
            "attribute": FIRST_ATTRIBUTE + kind + place,
            "value": {language: f"{language.upper()} {number % 9 + 1}" for language in self.sizes.languages},
        }

    def filtervalue(self, number: int, place: int) -> Row:
        """Give a product a value of a filter."""
        return {
            "parent_id": self.products.id_of(number),
            "filter": FIRST_FILTER + place,
            "filtervalue": FIRST_FILTER_VALUE + place * 3 + self.sizes.bits(number, 23) % 3,
        }
