"""Short lists of every shop: settings, content, brands, categories, taxes and methods."""

from collections.abc import Callable

from . import data_products as g
from .data import CDN, FIRST_IDS, Sizes
from .data_customers import FIRST_GROUP, GROUPS
from .data_orders import PAYMENTS, SHIPPING_EXCL, SHIPPING_METHOD, SHIPPING_VALUE, TAX_RATE
from .places import COUNTRIES, LANGUAGES, country_record, language_record
from .shapes import Row

Rows = list[Row]


class FixedData:
    """Makes the short lists, each on first use."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.stamps = {"createdAt": sizes.newest - 500 * 86_400, "updatedAt": sizes.newest - 200 * 86_400}

    def lists(self) -> dict[str, Callable[[], Rows]]:
        """Return a maker for each list by name of its resource."""
        return {
            "languages": self._languages,
            "countries": lambda: sorted((country_record(code) for code in COUNTRIES), key=lambda row: int(row["id"])),
            "taxes": lambda: [
                {"id": g.TAX, "isDefault": True, "rate": TAX_RATE, "title": "BTW hoog"},
                {"id": g.TAX + 3, "rate": 0.09, "title": "BTW laag"},
            ],
            "taxes/overrides": lambda: [
                {"id": 45_680_2 + i, "parent_id": g.TAX, "tax": g.TAX, "rate": rate, "country": code}
                for i, (code, rate) in enumerate((("be", 0.21), ("de", 0.19)))
            ],
            "paymentmethods": lambda: [
                {"id": 126 + 7 * i, "key": key, "title": title} for i, (key, title, _) in enumerate(PAYMENTS)
            ],
            "shippingmethods": self._shipping_methods,
            "shippingmethods/countries": lambda: [
                {"id": 2_931_083 + i, "parent_id": SHIPPING_METHOD, "country": code}
                for i, code in enumerate(("nl", "be", "de"))
            ],
            "shippingmethods/values": lambda: [
                {
                    "id": SHIPPING_VALUE,
                    "parent_id": SHIPPING_METHOD,
                    "priceExcl": SHIPPING_EXCL,
                    "priceIncl": 5.95,
                }
            ],
            "locations": lambda: [self._stamped(51_001, title="Example store", city="Exampletown")],
            "webhooks": lambda: [
                self._stamped(
                    646_740,
                    itemGroup="products",
                    itemAction="*",
                    language=self.sizes.languages[0],
                    address="https://hooks.example.com/lightspeed",
                )
            ],
            "external_services": lambda: [
                self._stamped(18_610, name="External Payment", urlEndpoint="https://api.example.com/")
            ],
            "account/metafields": lambda: [
                self._stamped(4_987_555, key="external_email", value="jane.doe@example.com")
            ],
            "shop/metafields": lambda: [self._stamped(4_987_601, key="theme_note", value="example")],
            "metafields": lambda: [
                self._stamped(4_987_701 + i, key=f"note_{i + 1}", value="example") for i in range(2)
            ],
            "shop/scripts": lambda: [self._stamped(246_480, url="https://cdn.example.com/embed.js")],
            "shop/tracking": lambda: [self._stamped(9_901, content="console.log(1)")],
            **self._product_lists(),
            **self._content_lists(),
            **self._customer_lists(),
        }

    def _stamped(self, record_id: int, **fields: object) -> Row:
        return {"id": record_id, **self.stamps, **fields}

    def _translated(self, words: str) -> dict[str, str]:
        default = self.sizes.languages[0]
        return {
            language: words if language == default else f"{words} ({language})" for language in self.sizes.languages
        }

    def _languages(self) -> Rows:
        active = self.sizes.languages
        codes = [*active, *(code for code in LANGUAGES if code not in active)][: max(len(active), 5)]
        rows = [{"isActive": code in active, "isDefault": code == active[0]} | language_record(code) for code in codes]
        return sorted(rows, key=lambda row: int(row["id"]))

    def _shipping_methods(self) -> Rows:
        return [
            {"id": SHIPPING_METHOD, "title": self._translated("PostNL"), "description": ""},
            {
                "id": SHIPPING_METHOD + 5,
                "type": "pickup",
                "sortOrder": 2,
                "title": self._translated("Pick up"),
                "tax": g.TAX,
            },
        ]

    def _product_lists(self) -> dict[str, Callable[[], Rows]]:
        return {
            "brands": self._brands,
            "suppliers": lambda: [
                self._stamped(
                    g.FIRST_SUPPLIER + i,
                    title=f"Supplier {i + 1}",
                    attention_of="Jane Doe",
                    street="Example Street",
                    number=str(i + 1),
                    zip_code="1000AA",
                    city="Exampletown",
                    region="Example Region",
                )
                for i in range(g.SUPPLIERS)
            ],
            "categories": self._categories,
            "tags": lambda: [
                self._stamped(g.FIRST_TAG + i, url=f"tag-{i + 1}", title=self._translated(f"tag {i + 1}"))
                for i in range(g.TAGS)
            ],
            "types": lambda: [
                {"id": g.FIRST_TYPE + i, "title": self._translated(f"Type {i + 1}")} for i in range(g.TYPES)
            ],
            "attributes": lambda: [
                {"id": g.FIRST_ATTRIBUTE + i, "title": self._translated(f"Attribute {i + 1}"), "defaultValue": ""}
                for i in range(g.TYPES + g.ATTRIBUTES_PER_TYPE - 1)
            ],
            "types/attributes": lambda: [
                {
                    "id": 8_273_001 + kind * 10 + place,
                    "sortOrder": place + 1,
                    "type": g.FIRST_TYPE + kind,
                    "attribute": g.FIRST_ATTRIBUTE + kind + place,
                }
                for kind in range(g.TYPES)
                for place in range(g.ATTRIBUTES_PER_TYPE)
            ],
            "sets": self._sets,
            "deliverydates": lambda: [
                self._stamped(
                    g.FIRST_DELIVERYDATE + i,
                    name=self._translated(f"{i + 1}-{i + 2} days"),
                    inStockMessage=self._translated("In stock"),
                    outStockMessage=self._translated("Two weeks"),
                )
                for i in range(g.DELIVERYDATES)
            ],
            "filters": lambda: [
                self._stamped(g.FIRST_FILTER + i, title=self._translated(f"Filter {i + 1}"), position=i + 1)
                for i in range(2)
            ],
            "filters/values": lambda: [
                self._stamped(
                    g.FIRST_FILTER_VALUE + i * 3 + k,
                    parent_id=g.FIRST_FILTER + i,
                    title=self._translated(f"Value {k + 1}"),
                    position=k + 1,
                )
                for i in range(2)
                for k in range(3)
            ],
            "additionalcosts": lambda: [
                self._stamped(70_301, title=self._translated("Disposal fee"), costExcl=1.5, costIncl=1.815)
            ],
            "quantity_discounts": self._quantity_discounts,
            "discounts": self._discounts,
            "discountrules": lambda: [
                {
                    "id": 13_185_0,
                    "title": "Three for two",
                    "countUsed": 16,
                    "startDate": "2026-01-01",
                    "createdAt": "2025-12-20",
                    "modifiedAt": "2025-12-21",
                    "endDate": "2099-01-01",
                    "discountAmount": "21",
                    "categories": (g.FIRST_CATEGORY,),
                }
            ],
        }

    def _brands(self) -> Rows:
        return [
            self._stamped(
                g.FIRST_BRAND + i,
                url=f"brand-{i + 1}",
                title=f"Brand {i + 1}",
                content=self._translated(f"<p>Brand {i + 1}</p>") if i % 2 == 0 else False,
                image=g.picture(9_000_100 + i, f"brand-{i + 1}", self.stamps["createdAt"]) if i % 2 == 0 else False,
            )
            for i in range(g.BRANDS)
        ]

    def _categories(self) -> Rows:
        rows: Rows = []
        for root in range(g.ROOTS):
            root_id = g.FIRST_CATEGORY + root * (g.CHILDREN + 1)
            for place in range(g.CHILDREN + 1):
                number, title = root_id + place, f"Category {root + 1}" + (f".{place}" if place else "")
                path = [str(number), str(root_id)] if place else [str(number)]
                words = self._translated(title)
                url = g.slug(title) if not place else f"category-{root + 1}/{g.slug(title)}"
                rows.append(
                    self._stamped(
                        number,
                        depth=len(path),
                        path=path,
                        sortOrder=place + 1,
                        url=url,
                        title=words,
                        fulltitle=words,
                        image=g.picture(9_000_200 + root, g.slug(title), self.stamps["createdAt"])
                        if not place
                        else False,
                        parent=root_id if place else False,
                    )
                )
        return rows

    def _sets(self) -> Rows:
        def option(i: int) -> dict[str, object]:
            values = [{"id": 1_404_500 + i * 10 + k, "sortOrder": k + 1, "name": name} for k, name in enumerate("SML")]
            return {"id": 462_600 + i, "sortOrder": 1, "name": "Size", "values": values}

        return [self._stamped(g.FIRST_SET + i, name=f"Set {i + 1}", options=[option(i)]) for i in range(g.SETS)]

    def _quantity_discounts(self) -> Rows:
        if not self.sizes.products:
            return []
        first = {"product": FIRST_IDS["products"], "variant": FIRST_IDS["variants"]}
        return [
            self._stamped(90_501 + i, **first, quantity=10 * (i + 1), percentage=5 * (i + 1), isPercentage=True)
            for i in range(2)
        ]

    def _discounts(self) -> Rows:
        sold = (FIRST_IDS["products"],) if self.sizes.products else ()
        dates = {"startDate": "2026-01-01", "endDate": "2026-12-31"}
        return [
            self._stamped(
                922_444,
                **dates,
                discount=25,
                usageLimit=10,
                code="FAKE25",
                categories=(g.FIRST_CATEGORY,),
                products=sold,
            ),
            self._stamped(922_451, **dates, discount=5, type="amount", applyTo="all", code="FAKE5"),
        ]

    def _content_lists(self) -> dict[str, Callable[[], Rows]]:
        language = self.sizes.languages[0]
        blog, article, tag = 36_801, 231_540, 251_810
        return {
            "blogs": lambda: [self._stamped(blog, url="news", title=self._translated("News"))],
            "blogs/articles": lambda: [
                self._stamped(
                    article + i,
                    publishedAt=self.stamps["createdAt"],
                    url=f"article-{i + 1}",
                    title=self._translated(f"Article {i + 1}"),
                    author="Jane Doe",
                    summary="In short",
                    content="<p>At length</p>",
                    image=g.picture(9_000_300, "article", self.stamps["createdAt"]) if i == 0 else False,
                    language=language,
                    blog=blog,
                )
                for i in range(3)
            ],
            "blogs/tags": lambda: [
                self._stamped(tag + i, updatedAt=None, url=f"topic-{i}", title=f"topic {i}", blog=blog)
                for i in range(2)
            ],
            "blogs/articles/tags": lambda: [
                {"id": 88_101 + i, "blog": blog, "article": article + i, "tag": tag} for i in range(2)
            ],
            "blogs/comments": lambda: [
                self._stamped(
                    342_801 + i,
                    name="Jane Doe",
                    email="jane.doe@example.com",
                    content="Well said",
                    language=language,
                    blog=blog,
                    article=article,
                )
                for i in range(2)
            ],
            "textpages": lambda: [
                self._stamped(
                    512_826 + i,
                    isLocked=i == 0,
                    sortOrder=i + 1,
                    url=f"page-{i + 1}",
                    title=self._translated(f"Page {i + 1}"),
                    content=self._translated("<p>Text</p>"),
                )
                for i in range(3)
            ],
            "files": lambda: [
                self._stamped(15_755_598 + i, size=8016, title=f"file-{i}", src=f"{CDN}/{15_755_598 + i}/file-{i}.png")
                for i in range(2)
            ],
            "redirects": lambda: [
                self._stamped(102_518 + i, isPermanent=True, url=f"/old-{i}", target=f"/new-{i}") for i in range(2)
            ],
            "theme/categories": lambda: [
                {"id": 31 + i, "categoryId": g.FIRST_CATEGORY + 4 * i, "sortOrder": i + 1} for i in range(2)
            ],
            "theme/products": lambda: [
                {"id": 126_073 + i, "productId": FIRST_IDS["products"] + 7 * i, "sortOrder": i}
                for i in range(min(2, self.sizes.products))
            ],
        }

    def _customer_lists(self) -> dict[str, Callable[[], Rows]]:
        first = FIRST_IDS["customers"]
        return {
            "contacts": lambda: [
                {
                    "id": 983_820 + i,
                    "createdAt": self.stamps["createdAt"] + i,
                    "name": "Jane Doe",
                    "company": "Example Company",
                    "email": "jane.doe@example.com",
                    "phone": "+31000000000",
                    "subject": "Hello",
                    "message": "Example message",
                    "language": self.sizes.languages[0],
                }
                for i in range(2)
            ],
            "groups": lambda: [self._stamped(FIRST_GROUP + i, title=f"Group {i + 1}") for i in range(GROUPS)],
            "customers/metafields": lambda: [
                self._stamped(4_611_001 + i, parent_id=first + 9 * i, key="external_number", value=str(i))
                for i in range(min(2, self.sizes.customers))
            ],
            "orders/customstatuses": lambda: [
                self._stamped(22_840 + i, title=f"Custom status {i + 1}") for i in range(2)
            ],
            "invoices/metafields": lambda: self._first_of("invoices", 5_758_039),
            "shipments/metafields": lambda: self._first_of("shipments", 5_758_139),
            "variants/metafields": lambda: self._first_of("variants", 5_496_385),
        }

    def _first_of(self, owner: str, record_id: int) -> Rows:
        count = self.sizes.products if owner == "variants" else self.sizes.orders
        row = self._stamped(record_id, parent_id=FIRST_IDS[owner], key="external_email", value="jane.doe@example.com")
        return [row] if count else []
