"""Every entity of the shop's management API, one row each.

98 entities with 452 operations. Eight of the API's 106 resources are actions, in the row of their entity:
`quotes/convert` is action `convert` of `quotes`. The vendor's own pages were not readable. So each row names the public
clients and example payloads that are its sources, and how well it is known.

A row states only its differences from the usual entity: a collection with all six operations and both timestamps, whose
list key is the plural of the item key. Its usual sources are the vendor's client and the example of the documentation.
To add an entity, add a row.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from lightspeed.catalogue.model import Action, Confidence, Endpoint, Filter, FilterType
from lightspeed.errors import UnknownEntity

PHP = "github:SEOshop/API-PHP-Client src/WebshopappApiClient.php @2826fd2 (v1.9.1, the vendor's client)"
NT = "github:NickTacke/lightspeed-client (live-tested eu1 2026-06)"
NT_CHECKOUT = "github:NickTacke/lightspeed-client src/resources/sales/checkout.ts (live-tested eu1 2026-06)"
FK = "github:Falkplan/lightspeedecom-api (Java client 2018)"
YO = "github:YotpoLtd/seoshop-api"
HG = "github:hotgluexyz/tap-lightspeed tap_lightspeed/streams.py"
JG = "github:jessegall/php-lightspeed-sdk tests/resources (documentation examples of 2019) "

READ = ("list", "get", "count")
READ_UPDATE = (*READ, "update")
NO_CREATE = (*READ_UPDATE, "delete")
CRUD = (*READ, "create", "update", "delete")
LINK = (*READ, "create", "delete")

PAGED = (
    Filter("page", "integer", "high"),
    Filter("limit", "integer", "high"),
    Filter("since_id", "id", "high"),
    Filter("fields", "names", "high"),
)
CREATED = (*PAGED, Filter("created_at_min", "time", "high"), Filter("created_at_max", "time", "high"))
DATED = (*CREATED, Filter("updated_at_min", "time", "high"), Filter("updated_at_max", "time", "high"))

RECREATE: Mapping[str, str] = MappingProxyType(
    {"update": "A join row has nothing to update: delete it and create another."}
)

_FOLLOWED_BY: Mapping[tuple[Filter, ...], Literal["updated_at_min", "created_at_min"]] = MappingProxyType(
    {DATED: "updated_at_min", CREATED: "created_at_min"}
)


_FILTER_NAMES: Mapping[FilterType, str] = {
    "id": "article attribute blog brand category customer group invoice order parent product shipment supplier tag type "
    "variant",
    "boolean": "isConfirmed isVisible",
    "text": "articleCode article_code ean email hs number paymentStatus shipmentStatus sku status title",
}
"""The filters of some lists only, by the type of their value."""

_FILTER_TYPES = {name: kind for kind, names in _FILTER_NAMES.items() for name in names.split()}
_PARENT = re.compile(r"/\{\w+\}")


def _row(  # noqa: PLR0913 - a keyword for each fact
    path: str,
    item: str | None,
    operations: tuple[str, ...] = CRUD,
    *,
    items: str | None = None,
    items_confidence: Confidence = "inferred",
    item_confidence: Confidence = "high",
    common: tuple[Filter, ...] = DATED,
    filters: Mapping[Confidence, str] = MappingProxyType({}),
    confidence: Confidence | None = None,
    example: str | None = None,
    also_in: tuple[str, ...] = (),
    source: tuple[str, ...] = (),
    **facts: Any,
) -> Endpoint:
    """Return a row, with the usual facts by default.

    Args:
        path: Path template; without the ids of parents it is the entity's name.
        item: Envelope key of one record; `None` if bodies are bare or the key is not known.
        operations: Names of its standard operations.
        items: Envelope key of a list; the plural of the item key by default.
        items_confidence: How well the list key is known.
        item_confidence: How well the item key is known.
        common: Filters that many lists have; those of a list with both timestamps by default. They decide the filter
            for incremental reading.
        filters: Names of further filters, by how well they are known.
        confidence: How well the row as a whole is known; by default `high` if the list key is, otherwise `medium`.
        example: Name of the documentation's example; the item key by default.
        also_in: Sources besides the vendor's client and that example.
        source: All sources, if they do not include those two.
        **facts: Other fields of `Endpoint`.
    """
    if not facts.get("collection", True):
        common = ()
    elif items is None and item is not None:
        items = f"{item.removesuffix('y')}ies" if item.endswith("y") else f"{item}s"
    own = (Filter(name, _FILTER_TYPES[name], known) for known, names in filters.items() for name in names.split())
    name = _PARENT.sub("", path)
    return Endpoint(
        name=name,
        path=path,
        operations=operations,
        item=item,
        item_confidence=item_confidence if item is not None else "unknown",
        items=items,
        items_confidence="unknown" if items is None else items_confidence,
        filters=(*common, *own),
        incremental=_FOLLOWED_BY.get(common),
        transient_404=name.split("/")[0] == "orders",  # seen on orders and their nested entities
        confidence=confidence or ("high" if items_confidence == "high" else "medium"),
        source=source or (PHP, f"{JG}{example or item}.json", *also_in),
        **facts,
    )


_used = partial(_row, items_confidence="medium")
"""A row whose list key another client uses."""

_tested = partial(_row, items_confidence="high")
"""A row whose list key several clients use, or a client that was tested on a shop."""

_client_only = partial(_row, item_confidence="inferred", common=PAGED, confidence="low", source=(PHP,))
"""A row that only the vendor's client shows."""

_link = partial(_row, operations=LINK, common=PAGED, alternatives=RECREATE, translated=False)
"""A row of a list that links records of two other lists."""

_tested_link = partial(_link, items_confidence="high")
"""Such a row whose list key several clients use, or a client that was tested on a shop."""

_single = partial(_row, operations=("get",), collection=False, confidence="high")
"""A row of one record without an id."""

_image = partial(
    _row,
    operations=("get", "create", "delete"),
    collection=False,
    item_confidence="conflicting",
    alternative_keys=("image",),
)
"""A row of the one image of a record."""

_checkout = partial(_row, item=None, bare=True, common=(), source=(PHP, NT_CHECKOUT))
"""A row of the checkout family, whose bodies carry no envelope."""

_ROWS = (
    _single("account", "account", translated=False),
    _used("account/metafields", "accountMetafield", READ, translated=False, also_in=(NT,)),
    _single("account/permissions", "accountPermissions", translated=False),
    _single("account/ratelimit", "accountRatelimit", translated=False),
    _client_only("additionalcosts", "additionalCost", NO_CREATE, item_confidence="medium"),
    _used("attributes", "attribute", common=PAGED, also_in=(NT,)),
    _row("blogs", "blog"),
    _row("blogs/articles", "blogArticle", filters={"high": "blog"}),
    _image("blogs/articles/{article_id}/image", "blogArticleImage"),
    _link("blogs/articles/tags", "blogArticleTag", filters={"high": "article tag"}),
    _row("blogs/comments", "blogComment", filters={"high": "article blog"}),
    _row("blogs/tags", "blogTag", filters={"high": "blog"}),
    _tested("brands", "brand", filters={"low": "isVisible title"}, also_in=(NT, FK)),
    _image("brands/{brand_id}/image", "brandImage"),
    _tested(
        "catalog",
        None,
        READ,
        items="products",
        common=PAGED,
        alternatives=dict.fromkeys(
            ("create", "update", "delete"), "catalog is a read-only view; write products and variants."
        ),
        confidence="medium",
        source=(PHP, "github:juliamertz/lightspeed-dhl-adapter crates/lightspeed (Dec 2025)", YO),
    ),
    _tested("categories", "category", filters={"high": "parent", "low": "isVisible title"}, also_in=(NT, FK, HG)),
    _image("categories/{category_id}/image", "categoryImage"),
    _tested_link(
        "categories/products",
        "categoriesProduct",
        filters={"high": "category product", "low": "parent"},
        actions=(
            # {categories: [ids], product: id}; answer not evidenced
            Action("bulk", "POST", "/bulk", "categoriesProduct", "required"),
        ),
        also_in=(NT, FK, HG, YO),
    ),
    _checkout(
        "checkouts",
        common=PAGED[:2],
        actions=(
            # answers {order_id, payment_url, payment_provider}
            Action("order", "POST", "/{id}/order", None, "optional"),
            # answers {validated, errors: [] or an object by dotted field name}
            Action("validate", "GET", "/{id}/validate", None, "none"),
        ),
        translated=False,
    ),
    _checkout("checkouts/{checkout_id}/payment_methods", operations=("list",)),
    _checkout("checkouts/{checkout_id}/products", common=PAGED, translated=False),
    _checkout("checkouts/{checkout_id}/shipment_methods", operations=("list",)),
    _row("contacts", "contact", READ, common=CREATED, translated=False),
    _client_only("countries", "country", READ),
    _tested(
        "customers",
        "customer",
        filters={"high": "email", "low": "isConfirmed"},
        actions=(
            # answers {customerLogin: {loggedin}}
            Action("login", "POST", "/{id}/login", "customerLogin", "optional"),
            # single sign-on token, 60 s by default; one client calls it with GET
            Action("tokens", "POST", "/{id}/tokens", "customerToken", "optional"),
        ),
        translated=False,
        also_in=(NT, FK, HG, YO),
    ),
    _used(
        "customers/{customer_id}/metafields",
        "customerMetafield",
        item_confidence="medium",
        translated=False,
        source=(PHP, NT),
    ),
    _single("dashboard", "dashboard"),
    _row("deliverydates", "deliverydate"),
    _row("discountrules", "discountRule", common=CREATED),
    _row("discounts", "discount"),
    _row("events", "event", ("list", "get", "count", "delete"), common=CREATED, translated=False),
    _row("external_services", "externalService", LINK, translated=False),
    _row("files", "file"),
    _tested("filters", "filter", also_in=(FK,)),
    _tested("filters/{filter_id}/values", "filterValue", also_in=(FK,)),
    _used("groups", "group", also_in=(NT,)),
    _tested_link("groups/customers", "groupsCustomer", filters={"high": "customer group"}, also_in=(NT, FK)),
    _used(
        "invoices",
        "invoice",
        READ_UPDATE,
        filters={"high": "customer order", "medium": "number", "low": "status email"},
        alternatives={
            "create": "An invoice comes with its order; a credit invoice comes from action credit of orders.",
            "delete": "The shop's API deletes no invoices; action credit of orders makes a credit invoice.",
        },
        translated=False,
        also_in=(NT,),
    ),
    _used("invoices/{invoice_id}/items", "invoiceItem", READ, common=PAGED, translated=False, also_in=(NT,)),
    _used("invoices/{invoice_id}/metafields", "invoiceMetafield", translated=False, also_in=(NT,)),
    _tested("languages", "language", READ, common=PAGED, translated=False, also_in=(FK,)),
    _client_only("locations", "location", write_keys={"create": "locations"}, translated=False),
    _row("metafields", "metafield"),
    _tested(
        "orders",
        "order",
        READ_UPDATE,
        filters={"high": "customer number", "low": "status paymentStatus shipmentStatus email"},
        actions=(
            # makes a credit invoice; answer not evidenced
            Action("credit", "POST", "/{id}/credit", "credit", "optional"),
        ),
        alternatives={
            "create": "An order comes from a checkout (checkouts: create, then action order) or from a quote (quotes: action convert).",
            "delete": "The shop's API deletes no orders; update the order's status to cancelled instead.",
        },
        translated=False,
        also_in=(NT, FK, HG, YO),
    ),
    _used("orders/customstatuses", "customStatus", items="customStatuses", also_in=(NT,)),
    _tested(
        "orders/events",
        "ordersEvent",
        READ,
        item_confidence="medium",
        alternative_keys=("orderEvent",),
        common=CREATED,
        filters={"high": "invoice order shipment"},
        translated=False,
        example="orderEvent",
        also_in=(NT,),
    ),
    _tested("orders/{order_id}/metafields", "orderMetafield", translated=False, also_in=(NT, HG)),
    _tested("orders/{order_id}/products", "orderProduct", READ, common=PAGED, translated=False, also_in=(NT, HG, YO)),
    _row("paymentmethods", "paymentmethod", READ, common=PAGED),
    _tested(
        "products",
        "product",
        filters={"high": "brand", "low": "supplier type isVisible title"},
        also_in=(NT, FK, HG, YO),
    ),
    _tested(
        "products/{product_id}/attributes",
        "productAttribute",
        NO_CREATE,
        common=PAGED,
        actions=(
            # the values of one product in one request
            Action("bulk", "PUT", "", "productAttributes", "required"),
        ),
        alternatives={
            "create": "Values exist for the attributes of the product's type: update one, or change several with action bulk."
        },
        also_in=(NT, FK),
    ),
    _tested(
        "products/{product_id}/filtervalues",
        "productFiltervalue",
        ("list", "count", "create", "delete"),
        items="productFiltervalue",
        item_confidence="medium",
        alternative_keys=("productFilterValue",),
        common=PAGED,
        alternatives={"get": "List them for the product instead.", "update": "Delete the row and create another."},
        example="productFilterValue",
        also_in=(NT,),
    ),
    _tested("products/{product_id}/images", "productImage", also_in=(NT, HG)),
    _tested("products/{product_id}/metafields", "productMetafield", also_in=(NT, HG)),
    _tested("products/{product_id}/relations", "productRelation", common=PAGED, translated=False, also_in=(NT,)),
    _used(
        "quantity_discounts", "quantityDiscount", filters={"medium": "product variant"}, translated=False, source=(NT,)
    ),
    _tested(
        "quotes",
        "quote",
        ("list", "get", "count", "create", "update"),
        filters={"low": "status email"},
        actions=(
            # envelope of the answer not evidenced
            Action("convert", "POST", "/{id}/convert", "order", "optional"),
        ),
        alternatives={"delete": "The shop's API deletes no quotes."},
        translated=False,
        also_in=(NT, FK),
    ),
    _used("quotes/{quote_id}/paymentmethods", "quotePaymentmethod", ("list", "count"), common=PAGED, also_in=(NT,)),
    _used("quotes/{quote_id}/products", "quoteProduct", translated=False, also_in=(NT,)),
    _used("quotes/{quote_id}/shippingmethods", "quoteShippingmethod", ("list", "count"), common=PAGED, also_in=(NT,)),
    _row("redirects", "redirect", translated=False),
    _tested(
        "returns",
        "return",
        NO_CREATE,
        filters={"low": "status order email"},
        alternatives={"create": "The vendor's client dropped creating returns in 1.9.1; returns are made in the shop."},
        translated=False,
        also_in=(NT, HG),
    ),
    _row("reviews", "review", filters={"high": "customer product"}),
    _row("sets", "set"),
    _tested(
        "shipments",
        "shipment",
        READ_UPDATE,
        filters={"high": "customer order", "medium": "number", "low": "status"},
        alternatives={
            "create": "A shipment comes with its order; update it instead.",
            "delete": "The shop's API deletes no shipments; update its status instead.",
        },
        translated=False,
        also_in=(NT, HG),
    ),
    _used("shipments/{shipment_id}/metafields", "shipmentMetafield", translated=False, also_in=(NT,)),
    _used("shipments/{shipment_id}/products", "shipmentProduct", READ, common=PAGED, translated=False, also_in=(NT,)),
    _row("shippingmethods", "shippingmethod", READ, common=PAGED),
    _row("shippingmethods/{shippingmethod_id}/countries", "shippingmethodCountry", READ, common=PAGED),
    _row("shippingmethods/{shippingmethod_id}/values", "shippingmethodValue", READ, common=PAGED),
    _single("shop", "shop", operations=("get", "update")),
    _single("shop/company", "shopCompany"),
    _single("shop/javascript", "shopJavascript", operations=("get", "update")),
    _single("shop/limits", "shopLimits", translated=False),
    _used("shop/metafields", "shopMetafield", also_in=(NT,)),
    _row("shop/scripts", "shopScript", items_confidence="conflicting", translated=False, also_in=(YO,)),
    _single("shop/settings", None, confidence="low", source=(PHP,)),
    _row(
        "shop/tracking", "shopTracking", items="shopTracking", items_confidence="low", translated=False, also_in=(YO,)
    ),
    _single("shop/website", "shopWebsite"),
    _row("subscriptions", "subscription", translated=False),
    _tested("suppliers", "supplier", translated=False, also_in=(HG,)),
    _tested("tags", "tag", filters={"low": "isVisible title"}, also_in=(NT,)),
    _link("tags/products", "tagsProduct", items_confidence="medium", filters={"high": "product tag"}, also_in=(NT,)),
    _row("taxes", "tax", items="taxes", common=PAGED),
    _row("taxes/{tax_id}/overrides", "taxOverride", common=PAGED),
    _row("textpages", "textpage"),
    _row("theme/categories", "themeCategory", common=PAGED, translated=False),
    _row("theme/products", "themeProduct", common=PAGED, translated=False),
    _row("tickets", "ticket", filters={"high": "customer"}, translated=False),
    _row("tickets/{ticket_id}/messages", "ticketMessage", translated=False),
    _single("time", None, translated=False, confidence="low", source=(PHP,)),
    _used("types", "type", common=PAGED, filters={"low": "title"}, also_in=(NT,)),
    _tested_link(
        "types/attributes",
        "typesAttribute",
        alternative_keys=("typesAttributes",),
        filters={"high": "attribute type"},
        also_in=(NT, FK),
    ),
    _tested(
        "variants",
        "variant",
        filters={"high": "product sku", "medium": "ean", "conflicting": "articleCode article_code", "low": "hs"},
        actions=(
            # an array under the singular key; greatest length not evidenced
            Action("bulk", "PUT", "/bulk", "variant", "required"),
        ),
        also_in=(NT, FK, HG),
    ),
    _image("variants/{variant_id}/image", "variantImage", source=(PHP,)),
    _used("variants/{variant_id}/metafields", "variantMetafield", translated=False, also_in=(NT,)),
    _tested(
        "variants/movements",
        "variantMovement",
        READ,
        items="variantsMovements",
        common=CREATED,
        filters={"high": "product variant"},
        alternatives={"create": "A movement is written by the shop when stockLevel of a variant is updated."},
        translated=False,
        also_in=(NT,),
    ),
    _tested("webhooks", "webhook", translated=False, also_in=(NT, FK)),
)

CATALOGUE: Mapping[str, Endpoint] = MappingProxyType({row.name: row for row in _ROWS})
"""Every entity by its name, in alphabetical order."""

PROVEN_LIST_KEYS = frozenset(row.items for row in _ROWS if row.items_confidence in ("high", "medium"))
"""Envelope keys of lists that are well known."""


def parent_of(endpoint: Endpoint) -> Endpoint | None:
    """Return the parent of a nested entity, whose records its path names; `None` if the entity is not nested."""
    if not endpoint.parents:
        return None
    path = endpoint.path.split("/{", 1)[0]
    return next(row for row in _ROWS if row.path == path)


def get_entity(name: str) -> Endpoint:
    """Return the entity's row.

    Raises:
        UnknownEntity: No entity has this name. The error names the nearest entities, or the entity of an action.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    owner, _, action = name.rpartition("/")
    if owner in CATALOGUE and any(action == known.name for known in CATALOGUE[owner].actions):
        raise UnknownEntity(name, [owner], f"It is an action: use entity {owner!r} with action {action!r}.")
    raise UnknownEntity(name, difflib.get_close_matches(name, CATALOGUE, n=3, cutoff=0.5))
