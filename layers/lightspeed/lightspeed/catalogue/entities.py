"""Every entity of the shop's management API, one row each.

98 entities with 452 operations. Eight of the API's 106 resources are actions and are listed in the row of their
entity: `quotes/convert` is action `convert` of `quotes`. The vendor's own pages could not be read when this was
written. So each row names the public clients and example payloads that it was read from, and how well it is known.

A row says only what differs from the usual entity. That is a collection at the path of its name, with all six
operations and both timestamps. Its list key is the item key with an `s`. The vendor's client and the example of its
documentation show it. To add an entity, add a row.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal

from lightspeed.catalogue.model import Action, Confidence, Endpoint, Filter
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
CRUD = (*READ, "create", "update", "delete")
LINK = (*READ, "create", "delete")
IMAGE = ("get", "create", "delete")

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


def _row(  # noqa: PLR0913 - a keyword for each fact
    name: str,
    item: str | None,
    operations: tuple[str, ...] = CRUD,
    *,
    path: str = "",
    collection: bool = True,
    items: str | None = "",
    items_confidence: Confidence = "inferred",
    item_confidence: Confidence = "high",
    alternative_keys: tuple[str, ...] = (),
    bare: bool = False,
    write_keys: Mapping[str, str] = MappingProxyType({}),
    common: tuple[Filter, ...] | None = None,
    filters: tuple[Filter, ...] = (),
    incremental_confidence: Confidence | None = None,
    actions: tuple[Action, ...] = (),
    alternatives: Mapping[str, str] = MappingProxyType({}),
    translated: bool = True,
    transient_404: bool = False,
    confidence: Confidence = "medium",
    also_in: tuple[str, ...] = (),
    source: tuple[str, ...] = (),
) -> Endpoint:
    """Return a row with the usual in place of what is not given.

    Args:
        name: The entity's name.
        item: Envelope key of one record; `None` where bodies are bare or the key is not known.
        operations: Names of its standard operations.
        path: Path template; the name by default.
        collection: Whether it has many records.
        items: Envelope key of a list; the item key with an `s` by default, `None` where there is none.
        items_confidence: How well the list key is known.
        item_confidence: How well the item key is known.
        alternative_keys: Other spellings of the item key.
        bare: Whether bodies carry no envelope.
        write_keys: Envelope keys of a payload where they differ from `item`.
        common: Filters that many lists have; those of a list with both timestamps by default. They decide by which
            filter a list is read incrementally.
        filters: Filters of this list alone.
        incremental_confidence: How well incremental reading is known; `inferred` by default, `unknown` without it.
        actions: Operations of their own name.
        alternatives: By a missing operation, what to do instead.
        translated: Whether a record may read differently by language.
        transient_404: Whether a 404 on one record may pass.
        confidence: Of the row as a whole.
        also_in: Sources beside the vendor's client and the documentation's example.
        source: All sources, where those two are not among them.
    """
    if common is None:
        common = DATED if collection else ()
    incremental = _FOLLOWED_BY.get(common)
    if items == "":
        items = f"{item}s" if collection and item is not None else None
    return Endpoint(
        name=name,
        path=path or name,
        collection=collection,
        operations=operations,
        item=item,
        item_confidence=item_confidence if item is not None else "unknown",
        items=items,
        items_confidence="unknown" if items is None else items_confidence,
        alternative_keys=alternative_keys,
        bare=bare,
        write_keys=write_keys,
        filters=(*common, *filters),
        incremental=incremental,
        incremental_confidence=incremental_confidence or ("unknown" if incremental is None else "inferred"),
        actions=actions,
        alternatives=alternatives,
        translated=translated,
        transient_404=transient_404,
        confidence=confidence,
        source=source or (PHP, f"{JG}{item}.json", *also_in),
    )


_single = partial(_row, operations=("get",), collection=False)

_ROWS = (
    _single("account", "account", translated=False, confidence="high"),
    _row(
        "account/metafields",
        "accountMetafield",
        READ,
        items_confidence="medium",
        incremental_confidence="medium",
        translated=False,
        also_in=(NT,),
    ),
    _single("account/permissions", "accountPermissions", translated=False, confidence="high"),
    _single("account/ratelimit", "accountRatelimit", translated=False, confidence="high"),
    _row(
        "additionalcosts",
        "additionalCost",
        ("list", "get", "count", "update", "delete"),
        item_confidence="medium",
        common=PAGED,
        confidence="low",
        source=(PHP,),
    ),
    _row("attributes", "attribute", items_confidence="medium", common=PAGED, also_in=(NT,)),
    _row("blogs", "blog"),
    _row("blogs/articles", "blogArticle", filters=(Filter("blog", "id", "high"),)),
    _single(
        "blogs/articles/image",
        "blogArticleImage",
        operations=IMAGE,
        path="blogs/articles/{article_id}/image",
        item_confidence="conflicting",
        alternative_keys=("image",),
    ),
    _row(
        "blogs/articles/tags",
        "blogArticleTag",
        LINK,
        common=PAGED,
        filters=(Filter("article", "id", "high"), Filter("tag", "id", "high")),
        alternatives=RECREATE,
        translated=False,
    ),
    _row("blogs/comments", "blogComment", filters=(Filter("article", "id", "high"), Filter("blog", "id", "high"))),
    _row("blogs/tags", "blogTag", filters=(Filter("blog", "id", "high"),)),
    _row(
        "brands",
        "brand",
        items_confidence="high",
        filters=(Filter("isVisible", "boolean", "low"), Filter("title", "text", "low")),
        incremental_confidence="medium",
        confidence="high",
        also_in=(NT, FK),
    ),
    _single(
        "brands/image",
        "brandImage",
        operations=IMAGE,
        path="brands/{brand_id}/image",
        item_confidence="conflicting",
        alternative_keys=("image",),
    ),
    _row(
        "catalog",
        None,
        READ,
        items="products",
        items_confidence="high",
        common=PAGED,
        alternatives={
            "create": "catalog is a read-only view; create products and variants.",
            "update": "catalog is a read-only view; update products and variants.",
            "delete": "catalog is a read-only view; delete products or variants.",
        },
        source=(PHP, "github:juliamertz/lightspeed-dhl-adapter crates/lightspeed (Dec 2025)", YO),
    ),
    _row(
        "categories",
        "category",
        items="categories",
        items_confidence="high",
        filters=(Filter("parent", "id", "high"), Filter("isVisible", "boolean", "low"), Filter("title", "text", "low")),
        incremental_confidence="high",
        confidence="high",
        also_in=(NT, FK, HG),
    ),
    _single(
        "categories/image",
        "categoryImage",
        operations=IMAGE,
        path="categories/{category_id}/image",
        item_confidence="conflicting",
        alternative_keys=("image",),
    ),
    _row(
        "categories/products",
        "categoriesProduct",
        LINK,
        items_confidence="high",
        common=PAGED,
        filters=(Filter("category", "id", "high"), Filter("product", "id", "high"), Filter("parent", "id", "low")),
        actions=(
            Action(
                "bulk",
                "POST",
                "categories/products/bulk",
                "categoriesProduct",
                "categoriesProduct",
                "required",
                "medium",
                "{categories: [ids], product: id}; answer not evidenced",
            ),
        ),
        alternatives=RECREATE,
        translated=False,
        confidence="high",
        also_in=(NT, FK, HG, YO),
    ),
    _row(
        "checkouts",
        None,
        bare=True,
        common=(),
        filters=(Filter("page", "integer", "high"), Filter("limit", "integer", "high")),
        actions=(
            Action(
                "order",
                "POST",
                "checkouts/{id}/order",
                None,
                None,
                "optional",
                "medium",
                "answers {order_id, payment_url, payment_provider}",
            ),
            Action(
                "validate",
                "GET",
                "checkouts/{id}/validate",
                None,
                None,
                "none",
                "medium",
                "answers {validated, errors: [] or an object by dotted field name}",
            ),
        ),
        translated=False,
        source=(PHP, NT_CHECKOUT),
    ),
    _row(
        "checkouts/payment_methods",
        None,
        ("list",),
        path="checkouts/{checkout_id}/payment_methods",
        bare=True,
        common=(),
        source=(PHP, NT_CHECKOUT),
    ),
    _row(
        "checkouts/products",
        None,
        path="checkouts/{checkout_id}/products",
        bare=True,
        common=PAGED,
        translated=False,
        source=(PHP, NT_CHECKOUT),
    ),
    _row(
        "checkouts/shipment_methods",
        None,
        ("list",),
        path="checkouts/{checkout_id}/shipment_methods",
        bare=True,
        common=(),
        source=(PHP, NT_CHECKOUT),
    ),
    _row("contacts", "contact", READ, common=CREATED, translated=False),
    _row(
        "countries",
        "country",
        READ,
        items="countries",
        item_confidence="inferred",
        common=PAGED,
        confidence="low",
        source=(PHP,),
    ),
    _row(
        "customers",
        "customer",
        items_confidence="high",
        filters=(Filter("email", "text", "high"), Filter("isConfirmed", "boolean", "low")),
        incremental_confidence="high",
        actions=(
            Action(
                "login",
                "POST",
                "customers/{id}/login",
                "customerLogin",
                "customerLogin",
                "optional",
                "medium",
                "answers {customerLogin: {loggedin}}",
            ),
            Action(
                "tokens",
                "POST",
                "customers/{id}/tokens",
                "customerToken",
                "customerToken",
                "optional",
                "medium",
                "single sign-on token, 60 s by default; one client calls it with GET",
            ),
        ),
        translated=False,
        confidence="high",
        also_in=(NT, FK, HG, YO),
    ),
    _row(
        "customers/metafields",
        "customerMetafield",
        path="customers/{customer_id}/metafields",
        items_confidence="medium",
        item_confidence="medium",
        incremental_confidence="medium",
        translated=False,
        source=(PHP, NT),
    ),
    _single("dashboard", "dashboard", confidence="high"),
    _row("deliverydates", "deliverydate"),
    _row("discountrules", "discountRule", common=CREATED),
    _row("discounts", "discount"),
    _row("events", "event", ("list", "get", "count", "delete"), common=CREATED, translated=False),
    _row("external_services", "externalService", LINK, translated=False),
    _row("files", "file"),
    _row(
        "filters", "filter", items_confidence="high", incremental_confidence="medium", confidence="high", also_in=(FK,)
    ),
    _row(
        "filters/values",
        "filterValue",
        path="filters/{filter_id}/values",
        items_confidence="high",
        incremental_confidence="medium",
        confidence="high",
        also_in=(FK,),
    ),
    _row("groups", "group", items_confidence="medium", incremental_confidence="medium", also_in=(NT,)),
    _row(
        "groups/customers",
        "groupsCustomer",
        LINK,
        items_confidence="high",
        common=PAGED,
        filters=(Filter("customer", "id", "high"), Filter("group", "id", "high")),
        alternatives=RECREATE,
        translated=False,
        confidence="high",
        also_in=(NT, FK),
    ),
    _row(
        "invoices",
        "invoice",
        READ_UPDATE,
        items_confidence="medium",
        filters=(
            Filter("customer", "id", "high"),
            Filter("order", "id", "high"),
            Filter("number", "text", "medium"),
            Filter("status", "text", "low"),
            Filter("email", "text", "low"),
        ),
        incremental_confidence="medium",
        alternatives={
            "create": "An invoice comes with its order; a credit invoice comes from action credit of orders.",
            "delete": "The shop's API deletes no invoices; action credit of orders makes a credit invoice.",
        },
        translated=False,
        also_in=(NT,),
    ),
    _row(
        "invoices/items",
        "invoiceItem",
        READ,
        path="invoices/{invoice_id}/items",
        items_confidence="medium",
        common=PAGED,
        translated=False,
        also_in=(NT,),
    ),
    _row(
        "invoices/metafields",
        "invoiceMetafield",
        path="invoices/{invoice_id}/metafields",
        items_confidence="medium",
        incremental_confidence="medium",
        translated=False,
        also_in=(NT,),
    ),
    _row(
        "languages",
        "language",
        READ,
        items_confidence="high",
        common=PAGED,
        translated=False,
        confidence="high",
        also_in=(FK,),
    ),
    _row(
        "locations",
        "location",
        item_confidence="inferred",
        write_keys={"create": "locations"},
        common=PAGED,
        translated=False,
        confidence="low",
        source=(PHP,),
    ),
    _row("metafields", "metafield"),
    _row(
        "orders",
        "order",
        READ_UPDATE,
        items_confidence="high",
        filters=(
            Filter("customer", "id", "high"),
            Filter("number", "text", "high"),
            Filter("status", "text", "low"),
            Filter("paymentStatus", "text", "low"),
            Filter("shipmentStatus", "text", "low"),
            Filter("email", "text", "low"),
        ),
        incremental_confidence="high",
        actions=(
            Action(
                "credit",
                "POST",
                "orders/{id}/credit",
                "credit",
                "credit",
                "optional",
                "low",
                "makes a credit invoice; answer not evidenced",
            ),
        ),
        alternatives={
            "create": "An order comes from a checkout (checkouts: create, then action order) or from a quote (quotes: action convert).",
            "delete": "The shop's API deletes no orders; update the order's status to cancelled instead.",
        },
        translated=False,
        transient_404=True,
        confidence="high",
        also_in=(NT, FK, HG, YO),
    ),
    _row(
        "orders/customstatuses",
        "customStatus",
        items="customStatuses",
        items_confidence="medium",
        incremental_confidence="medium",
        transient_404=True,
        also_in=(NT,),
    ),
    _row(
        "orders/events",
        "ordersEvent",
        READ,
        items_confidence="high",
        item_confidence="medium",
        alternative_keys=("orderEvent",),
        common=CREATED,
        filters=(Filter("invoice", "id", "high"), Filter("order", "id", "high"), Filter("shipment", "id", "high")),
        translated=False,
        transient_404=True,
        confidence="high",
        source=(PHP, JG + "orderEvent.json", NT),
    ),
    _row(
        "orders/metafields",
        "orderMetafield",
        path="orders/{order_id}/metafields",
        items_confidence="high",
        incremental_confidence="medium",
        translated=False,
        transient_404=True,
        confidence="high",
        also_in=(NT, HG),
    ),
    _row(
        "orders/products",
        "orderProduct",
        READ,
        path="orders/{order_id}/products",
        items_confidence="high",
        common=PAGED,
        translated=False,
        transient_404=True,
        confidence="high",
        also_in=(NT, HG, YO),
    ),
    _row("paymentmethods", "paymentmethod", READ, common=PAGED),
    _row(
        "products",
        "product",
        items_confidence="high",
        filters=(
            Filter("brand", "id", "high"),
            Filter("supplier", "id", "low"),
            Filter("type", "id", "low"),
            Filter("isVisible", "boolean", "low"),
            Filter("title", "text", "low"),
        ),
        incremental_confidence="high",
        confidence="high",
        also_in=(NT, FK, HG, YO),
    ),
    _row(
        "products/attributes",
        "productAttribute",
        ("list", "get", "count", "update", "delete"),
        path="products/{product_id}/attributes",
        items_confidence="high",
        common=PAGED,
        actions=(
            Action(
                "bulk",
                "PUT",
                "products/{product_id}/attributes",
                "productAttributes",
                "productAttributes",
                "required",
                "medium",
                "the values of one product in one request",
            ),
        ),
        alternatives={
            "create": "Values exist for the attributes of the product's type: update one, or change several with action bulk."
        },
        confidence="high",
        also_in=(NT, FK),
    ),
    _row(
        "products/filtervalues",
        "productFiltervalue",
        ("list", "count", "create", "delete"),
        path="products/{product_id}/filtervalues",
        items="productFiltervalue",
        items_confidence="high",
        item_confidence="medium",
        alternative_keys=("productFilterValue",),
        common=PAGED,
        alternatives={"get": "List them for the product instead.", "update": "Delete the row and create another."},
        confidence="high",
        source=(PHP, JG + "productFilterValue.json", NT),
    ),
    _row(
        "products/images",
        "productImage",
        path="products/{product_id}/images",
        items_confidence="high",
        incremental_confidence="medium",
        confidence="high",
        also_in=(NT, HG),
    ),
    _row(
        "products/metafields",
        "productMetafield",
        path="products/{product_id}/metafields",
        items_confidence="high",
        incremental_confidence="medium",
        confidence="high",
        also_in=(NT, HG),
    ),
    _row(
        "products/relations",
        "productRelation",
        path="products/{product_id}/relations",
        items_confidence="high",
        common=PAGED,
        translated=False,
        confidence="high",
        also_in=(NT,),
    ),
    _row(
        "quantity_discounts",
        "quantityDiscount",
        items_confidence="medium",
        filters=(Filter("product", "id", "medium"), Filter("variant", "id", "medium")),
        incremental_confidence="medium",
        translated=False,
        source=(NT,),
    ),
    _row(
        "quotes",
        "quote",
        ("list", "get", "count", "create", "update"),
        items_confidence="high",
        filters=(Filter("status", "text", "low"), Filter("email", "text", "low")),
        incremental_confidence="medium",
        actions=(
            Action(
                "convert",
                "POST",
                "quotes/{id}/convert",
                "order",
                "order",
                "optional",
                "low",
                "envelope of the answer not evidenced",
            ),
        ),
        alternatives={"delete": "The shop's API deletes no quotes."},
        translated=False,
        confidence="high",
        also_in=(NT, FK),
    ),
    _row(
        "quotes/paymentmethods",
        "quotePaymentmethod",
        ("list", "count"),
        path="quotes/{quote_id}/paymentmethods",
        items_confidence="medium",
        common=PAGED,
        also_in=(NT,),
    ),
    _row(
        "quotes/products",
        "quoteProduct",
        path="quotes/{quote_id}/products",
        items_confidence="medium",
        incremental_confidence="medium",
        translated=False,
        also_in=(NT,),
    ),
    _row(
        "quotes/shippingmethods",
        "quoteShippingmethod",
        ("list", "count"),
        path="quotes/{quote_id}/shippingmethods",
        items_confidence="medium",
        common=PAGED,
        also_in=(NT,),
    ),
    _row("redirects", "redirect", translated=False),
    _row(
        "returns",
        "return",
        ("list", "get", "count", "update", "delete"),
        items_confidence="high",
        filters=(Filter("status", "text", "low"), Filter("order", "id", "low"), Filter("email", "text", "low")),
        incremental_confidence="high",
        alternatives={"create": "The vendor's client dropped creating returns in 1.9.1; returns are made in the shop."},
        translated=False,
        confidence="high",
        also_in=(NT, HG),
    ),
    _row("reviews", "review", filters=(Filter("customer", "id", "high"), Filter("product", "id", "high"))),
    _row("sets", "set"),
    _row(
        "shipments",
        "shipment",
        READ_UPDATE,
        items_confidence="high",
        filters=(
            Filter("customer", "id", "high"),
            Filter("order", "id", "high"),
            Filter("number", "text", "medium"),
            Filter("status", "text", "low"),
        ),
        incremental_confidence="medium",
        alternatives={
            "create": "A shipment comes with its order; update it instead.",
            "delete": "The shop's API deletes no shipments; update its status instead.",
        },
        translated=False,
        confidence="high",
        also_in=(NT, HG),
    ),
    _row(
        "shipments/metafields",
        "shipmentMetafield",
        path="shipments/{shipment_id}/metafields",
        items_confidence="medium",
        incremental_confidence="medium",
        translated=False,
        also_in=(NT,),
    ),
    _row(
        "shipments/products",
        "shipmentProduct",
        READ,
        path="shipments/{shipment_id}/products",
        items_confidence="medium",
        common=PAGED,
        translated=False,
        also_in=(NT,),
    ),
    _row("shippingmethods", "shippingmethod", READ, common=PAGED),
    _row(
        "shippingmethods/countries",
        "shippingmethodCountry",
        READ,
        path="shippingmethods/{shippingmethod_id}/countries",
        items="shippingmethodCountries",
        common=PAGED,
    ),
    _row(
        "shippingmethods/values",
        "shippingmethodValue",
        READ,
        path="shippingmethods/{shippingmethod_id}/values",
        common=PAGED,
    ),
    _single("shop", "shop", operations=("get", "update"), confidence="high"),
    _single("shop/company", "shopCompany", confidence="high"),
    _single("shop/javascript", "shopJavascript", operations=("get", "update"), confidence="high"),
    _single("shop/limits", "shopLimits", translated=False, confidence="high"),
    _row("shop/metafields", "shopMetafield", items_confidence="medium", incremental_confidence="medium", also_in=(NT,)),
    _row(
        "shop/scripts",
        "shopScript",
        items_confidence="conflicting",
        incremental_confidence="medium",
        translated=False,
        also_in=(YO,),
    ),
    _single("shop/settings", None, confidence="low", source=(PHP,)),
    _row(
        "shop/tracking",
        "shopTracking",
        items="shopTracking",
        items_confidence="low",
        incremental_confidence="medium",
        translated=False,
        also_in=(YO,),
    ),
    _single("shop/website", "shopWebsite", confidence="high"),
    _row("subscriptions", "subscription", translated=False),
    _row(
        "suppliers",
        "supplier",
        items_confidence="high",
        incremental_confidence="high",
        translated=False,
        confidence="high",
        also_in=(HG,),
    ),
    _row(
        "tags",
        "tag",
        items_confidence="high",
        filters=(Filter("isVisible", "boolean", "low"), Filter("title", "text", "low")),
        incremental_confidence="medium",
        confidence="high",
        also_in=(NT,),
    ),
    _row(
        "tags/products",
        "tagsProduct",
        LINK,
        items_confidence="medium",
        common=PAGED,
        filters=(Filter("product", "id", "high"), Filter("tag", "id", "high")),
        alternatives=RECREATE,
        translated=False,
        also_in=(NT,),
    ),
    _row("taxes", "tax", items="taxes", common=PAGED),
    _row("taxes/overrides", "taxOverride", path="taxes/{tax_id}/overrides", common=PAGED),
    _row("textpages", "textpage"),
    _row("theme/categories", "themeCategory", items="themeCategories", common=PAGED, translated=False),
    _row("theme/products", "themeProduct", common=PAGED, translated=False),
    _row("tickets", "ticket", filters=(Filter("customer", "id", "high"),), translated=False),
    _row("tickets/messages", "ticketMessage", path="tickets/{ticket_id}/messages", translated=False),
    _single("time", None, translated=False, confidence="low", source=(PHP,)),
    _row(
        "types",
        "type",
        items_confidence="medium",
        common=PAGED,
        filters=(Filter("title", "text", "low"),),
        also_in=(NT,),
    ),
    _row(
        "types/attributes",
        "typesAttribute",
        LINK,
        items_confidence="high",
        alternative_keys=("typesAttributes",),
        common=PAGED,
        filters=(Filter("attribute", "id", "high"), Filter("type", "id", "high")),
        alternatives=RECREATE,
        translated=False,
        confidence="high",
        also_in=(NT, FK),
    ),
    _row(
        "variants",
        "variant",
        items_confidence="high",
        filters=(
            Filter("product", "id", "high"),
            Filter("sku", "text", "high"),
            Filter("ean", "text", "medium"),
            Filter("articleCode", "text", "conflicting"),
            Filter("article_code", "text", "conflicting"),
            Filter("hs", "text", "low"),
        ),
        incremental_confidence="high",
        actions=(
            Action(
                "bulk",
                "PUT",
                "variants/bulk",
                "variant",
                "variant",
                "required",
                "medium",
                "an array under the singular key; greatest length not evidenced",
            ),
        ),
        confidence="high",
        also_in=(NT, FK, HG),
    ),
    _single(
        "variants/image",
        "variantImage",
        operations=IMAGE,
        path="variants/{variant_id}/image",
        item_confidence="conflicting",
        alternative_keys=("image",),
        source=(PHP,),
    ),
    _row(
        "variants/metafields",
        "variantMetafield",
        path="variants/{variant_id}/metafields",
        items_confidence="medium",
        incremental_confidence="medium",
        translated=False,
        also_in=(NT,),
    ),
    _row(
        "variants/movements",
        "variantMovement",
        READ,
        items="variantsMovements",
        items_confidence="high",
        common=CREATED,
        filters=(Filter("product", "id", "high"), Filter("variant", "id", "high")),
        alternatives={"create": "A movement is written by the shop when stockLevel of a variant is updated."},
        translated=False,
        confidence="high",
        also_in=(NT,),
    ),
    _row(
        "webhooks",
        "webhook",
        items_confidence="high",
        incremental_confidence="medium",
        translated=False,
        confidence="high",
        also_in=(NT, FK),
    ),
)

CATALOGUE: Mapping[str, Endpoint] = MappingProxyType({row.name: row for row in _ROWS})
"""Every entity by its name, in alphabetical order."""


def parent_of(endpoint: Endpoint) -> Endpoint | None:
    """Return the entity whose records the path of a nested entity names, or `None` for one that is not nested."""
    if not endpoint.parents:
        return None
    path = endpoint.path.split("/{", 1)[0]
    return next(row for row in _ROWS if row.path == path)


def get_entity(name: str) -> Endpoint:
    """Return the entity's row.

    Raises:
        UnknownEntity: Naming the nearest entities, or the entity whose action was named.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    owner, _, action = name.rpartition("/")
    if owner in CATALOGUE and any(action == known.name for known in CATALOGUE[owner].actions):
        raise UnknownEntity(name, [owner], f"It is an action: use entity {owner!r} with action {action!r}.")
    raise UnknownEntity(name, difflib.get_close_matches(name, CATALOGUE, n=3, cutoff=0.5))
