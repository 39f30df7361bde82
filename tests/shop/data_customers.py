"""Customers and their groups, subscriptions, tickets and reviews, as series."""

from functools import lru_cache
from typing import Any

from .data import FIRST_IDS, Sizes
from .data_products import ProductData
from .series import Series, pick
from .shapes import Row

_FIRST_NAMES = ("Jane", "John", "Zoë", "Jörg", "Renée", "Sanne", "Bram", "Søren", "Anna", "Max", "Chloé", "Piet")
_LAST_NAMES = ("Doe", "Example", "de Test", "Muster", "Voorbeeld", "Specimen", "Dupont", "Sample", "Beispiel")
_CITIES = ("Exampletown", "Testdorp", "Musterstadt", "Voorbeeldstad", "Demoville")
_COUNTRIES = ("nl", "nl", "nl", "be", "de", "de", "fr", "gb")
GROUPS, FIRST_GROUP = 3, 269_401


class CustomerData:
    """Makes the rows of customers. Every person is an obvious fake."""

    def __init__(self, sizes: Sizes, products: ProductData) -> None:
        self.sizes = sizes
        self.goods = products
        self.person = lru_cache(8192)(self._person)
        self.customers = Series(
            FIRST_IDS["customers"], sizes.customers, self.customer, 9, self._times(sizes.customers, 30)
        )

    def series(self) -> dict[str, Series]:
        """Return the series by name of their resource."""
        sizes, few = self.sizes, self.sizes.customers
        tickets = Series(FIRST_IDS["tickets"], few // 10, self.ticket, 5, self._times(few // 10, 42))
        self.tickets = tickets
        reviews = sizes.products // 2 if few else 0
        return {
            "customers": self.customers,
            "groups/customers": Series(FIRST_IDS["groups/customers"], few // 4, self.member, 2),
            "subscriptions": Series(
                FIRST_IDS["subscriptions"], few // 5, self.subscription, 3, self._times(few // 5, 43)
            ),
            "tickets": tickets,
            "tickets/messages": Series(
                FIRST_IDS["tickets/messages"], few // 10, self.message, 4, None, lambda _: 2, "parent_id", tickets
            ),
            "reviews": Series(FIRST_IDS["reviews"], reviews, self.review, 3, self._times(reviews, 44)),
        }

    def _times(self, count: int, salt: int) -> Any:
        return lambda number: self.sizes.times(number, count, salt)

    def _person(self, number: int) -> dict[str, Any]:
        bits = self.sizes.bits(number, 33)
        first, last = pick(_FIRST_NAMES, bits), pick(_LAST_NAMES, bits >> 8)
        country, city = pick(_COUNTRIES, bits >> 16), pick(_CITIES, bits >> 20)
        company = f"{last} Trading {number + 1}" if bits % 9 == 0 else ""
        person: dict[str, Any] = {
            "remoteIp": f"192.0.2.{bits % 250 + 1}",
            "userAgent": "ExampleAgent/1.0 (X11; Linux x86_64) Example/20260601",
            "gender": pick(("male", "female", False), bits >> 24),
            "birthDate": f"19{60 + bits % 40}-{bits % 12 + 1:02d}-{bits % 28 + 1:02d}" if bits & 512 else False,
            "email": f"customer{number + 1}@example.com",
            "firstname": first,
            "lastname": last,
            "phone": f"+3100{bits % 10**7:07d}",
            "isCompany": bool(company),
            "companyName": company,
            "language": pick(self.sizes.languages, bits >> 28),
        }
        for prefix in ("addressBilling", "addressShipping"):
            person |= {
                prefix + "Name": f"{first} {last}",
                prefix + "Street": "Example Street",
                prefix + "Number": str(bits % 200 + 1),
                prefix + "Zipcode": f"{1000 + bits % 9000} AA",
                prefix + "City": city,
                prefix + "Region": "Example Region",
                prefix + "Country": country,
            }
        return person

    def customer(self, number: int, _place: int) -> Row:
        """Make a customer."""
        created, updated = self.sizes.times(number, self.sizes.customers, 30)
        bits = self.sizes.bits(number, 34)
        person = self.person(number)
        return person | {
            "createdAt": created,
            "updatedAt": updated,
            "isConfirmed": bits & 1 == 1,
            "lastOnlineAt": updated if bits & 2 else None,
            "remoteIp": person["remoteIp"] if bits & 2 else False,
            "userAgent": person["userAgent"] if bits & 2 else False,
            "language": person["language"] if bits & 4 else False,
        }

    def member(self, number: int, _place: int) -> Row:
        """Put a customer into a group."""
        return {"group": FIRST_GROUP + number % GROUPS, "customer": self.customers.id_of(number * 4)}

    def subscription(self, number: int, _place: int) -> Row:
        """Subscribe a customer to the newsletter."""
        created, updated = self.sizes.times(number, self.sizes.customers // 5, 43)
        person = self.person(number * 5)
        chosen = {name: person[name] for name in ("email", "firstname", "lastname", "language")}
        return {"createdAt": created, "updatedAt": updated, "isConfirmed": number % 2 == 0} | chosen

    def ticket(self, number: int, _place: int) -> Row:
        """Make a customer's question."""
        created, updated = self.sizes.times(number, self.sizes.customers // 10, 42)
        return {
            "createdAt": created,
            "updatedAt": updated,
            "isAnswered": number % 3 == 0,
            "subject": f"Question {number + 1}",
            "language": self.person(number * 10)["language"],
            "customer": self.customers.id_of(number * 10),
        }

    def message(self, number: int, place: int) -> Row:
        """Make a message of a ticket; `updatedAt` is null until somebody changes it."""
        created, _ = self.sizes.times(number, self.sizes.customers // 10, 42)
        return {
            "parent_id": self.tickets.id_of(number),
            "createdAt": created + place * 600,
            "updatedAt": None,
            "from": "shop" if place else "customer",
            "message": "It left yesterday." if place else "Where is my order?",
        }

    def review(self, number: int, _place: int) -> Row:
        """Make a review of every second product."""
        count = self.sizes.products // 2
        created, updated = self.sizes.times(number, count, 44)
        bits = self.sizes.bits(number, 45)
        writer = bits % self.sizes.customers
        return {
            "createdAt": created,
            "updatedAt": updated,
            "isVisible": bits & 1024 != 0,
            "score": bits % 5 + 1,
            "name": self.person(writer)["firstname"],
            "content": pick(("Good product", "As described", "Took a while to arrive"), bits >> 4),
            "customer": self.customers.id_of(writer) if bits & 2048 else False,
            "language": self.person(writer)["language"],
            "product": self.goods.products.id_of(number * 2),
        }
