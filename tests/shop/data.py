"""Sizes, ids and times of the records that a shop has at first, for the modules that make them."""

from dataclasses import dataclass
from functools import cached_property

from .series import mix

# The newest record is of this moment (3 June 2026, midnight UTC) whatever the real date, so that a seed gives the same
# shop every day. Only an earlier clock moves it.
NEWEST = 1_780_444_800
SPAN_SECONDS = 2 * 365 * 86_400
_LONGEST_LAG = 14 * 86_400
OPEN_QUOTES = 12
QUOTE_STRIDE = 13
CDN = "https://cdn.webshopapp.com/shops/999999/files"

# Where ids start. The first open quote is the one that examples ask for.
FIRST_IDS = {
    "orders": 315_967_958,
    "orders/products": 598_220_113,
    "orders/events": 1_700_000_003,
    "orders/metafields": 5_763_868,
    "invoices": 281_004_417,
    "invoices/items": 811_000_017,
    "shipments": 297_113_009,
    "shipments/products": 702_000_011,
    "quotes": 1_016_615_295,
    "quotes/products": 2_100_000_019,
    "returns": 17_792_003,
    "customers": 226_983_112,
    "products": 163_090_479,
    "products/images": 445_094_675,
    "products/relations": 36_625_050,
    "products/metafields": 49_686_520,
    "products/attributes": 14_973_002,
    "products/filtervalues": 39_280_008,
    "variants": 322_925_834,
    "variants/movements": 1_145_864_340,
    "categories/products": 1_171_906_066,
    "tags/products": 444_046_025,
    "reviews": 37_001_015,
    "groups/customers": 61_038_004,
    "subscriptions": 33_747_902,
    "tickets": 25_461_001,
    "tickets/messages": 20_337_005,
}


@dataclass(frozen=True)
class Sizes:
    """Numbers of records, and the time of the newest.

    Attributes:
        newest: epoch seconds of the newest record.
        languages: active languages, the default one first.
    """

    seed: int
    orders: int
    products: int
    customers: int
    languages: tuple[str, ...]
    newest: int

    @cached_property
    def quotes(self) -> int:
        """Quotes: some open ones, and one for each order; none in an empty shop."""
        return self.orders + OPEN_QUOTES if self.orders or self.products or self.customers else 0

    def bits(self, number: int, salt: int) -> int:
        """Return random bits of this shop for a row."""
        return mix(self.seed, number, salt)

    def times(self, number: int, count: int, salt: int) -> tuple[int, int]:
        """Return (createdAt, updatedAt). A higher number is created later; its change follows within two weeks."""
        step = SPAN_SECONDS // (count + 1)
        bits = mix(self.seed, number, salt)
        created = self.newest - (count - number) * step + bits % max(step, 1)
        lag = (bits >> 32) % min(_LONGEST_LAG, max(self.newest - created, 1)) if bits & 3 else 0
        return created, created + lag
