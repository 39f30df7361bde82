"""Every operation that the API is known to have, with a body for each that writes. Written by hand from the facts.

In a path or a body `{resource}` stands for the id of an existing record; in the path of something below another record,
the id above comes first.
"""

from typing import Any

READ = "list get count"
ALL = "list get count create update delete"
JOIN = "list get count create delete"
Body = dict[str, Any] | None

_META: Body = {"key": "note", "value": "x"}
_PICTURE: Body = {"attachment": "iVBORw0KGgo=", "filename": "logo.png"}

# Under a path: the envelope of one record, the verbs, the body of a create.
COLLECTIONS: dict[str, tuple[str, str, Body]] = {
    "account/metafields": ("accountMetafield", READ, None),
    "additionalcosts": ("additionalCost", "list get count update delete", {"costExcl": 2}),
    "attributes": ("attribute", ALL, {"title": "Colour", "defaultValue": "red"}),
    "blogs": ("blog", ALL, {"title": "Blog"}),
    "blogs/articles": ("blogArticle", ALL, {"title": "Article", "blog": "{blogs}"}),
    "blogs/articles/tags": ("blogArticleTag", JOIN, {"article": "{blogs/articles}", "tag": "{blogs/tags}"}),
    "blogs/comments": ("blogComment", ALL, {"article": "{blogs/articles}", "content": "Yes", "name": "Jane"}),
    "blogs/tags": ("blogTag", ALL, {"title": "Topic", "blog": "{blogs}"}),
    "brands": ("brand", ALL, {"title": "Brand"}),
    "catalog": ("product", READ, None),
    "categories": ("category", ALL, {"title": "Category", "parent": "{categories}"}),
    "categories/products": ("categoriesProduct", JOIN, {"category": "{categories}", "product": "{products}"}),
    "contacts": ("contact", READ, None),
    "countries": ("country", READ, None),
    "customers": ("customer", ALL, {"email": "new@example.com", "firstname": "Jane", "lastname": "Doe"}),
    "customers/{customers}/metafields": ("customerMetafield", ALL, _META),
    "deliverydates": ("deliverydate", ALL, {"name": "Soon"}),
    "discountrules": ("discountRule", ALL, {"title": "Rule", "discountAmount": 5}),
    "discounts": ("discount", ALL, {"code": "NEW", "discount": 10, "products": ["{products}"]}),
    "events": ("event", "list get count delete", None),
    "external_services": ("externalService", JOIN, {"name": "X", "urlEndpoint": "https://api.example.com/"}),
    "files": ("file", ALL, {"title": "file", "attachment": "AAAA", "filename": "file.txt"}),
    "filters": ("filter", ALL, {"title": "Filter"}),
    "filters/{filters}/values": ("filterValue", ALL, {"title": "Value"}),
    "groups": ("group", ALL, {"title": "Group"}),
    "groups/customers": ("groupsCustomer", JOIN, {"group": "{groups}", "customer": "{customers}"}),
    "invoices": ("invoice", "list get count update", {"status": "paid"}),
    "invoices/{invoices}/items": ("invoiceItem", READ, None),
    "invoices/{invoices}/metafields": ("invoiceMetafield", ALL, _META),
    "languages": ("language", READ, None),
    "locations": ("location", ALL, {"title": "Second store"}),
    "metafields": ("metafield", ALL, _META),
    "orders": ("order", "list get count update", {"memo": "x"}),
    "orders/customstatuses": ("customStatus", ALL, {"title": "Packed", "color": "#ff0000"}),
    "orders/events": ("ordersEvent", READ, None),
    "orders/{orders}/metafields": ("orderMetafield", ALL, _META),
    "orders/{orders}/products": ("orderProduct", READ, None),
    "paymentmethods": ("paymentmethod", READ, None),
    "products": ("product", ALL, {"title": "Product", "brand": "{brands}"}),
    "products/{products}/attributes": ("productAttribute", "list get count update delete", {"value": "blue"}),
    "products/{products}/filtervalues": (
        "productFiltervalue",
        "list count create delete",
        {"filter": "{filters}", "filtervalue": "{filters/values}"},
    ),
    "products/{products}/images": ("productImage", ALL, _PICTURE),
    "products/{products}/metafields": ("productMetafield", ALL, _META),
    "products/{products}/relations": ("productRelation", ALL, {"relatedProduct": "{products}"}),
    "quantity_discounts": ("quantityDiscount", ALL, {"product": "{products}", "quantity": 5, "percentage": 10}),
    "quotes": ("quote", "list get count create update", {"customer": "{customers}", "shipmentZipcode": "1000AA"}),
    "quotes/{quotes}/products": ("quoteProduct", ALL, {"variant": "{variants}", "quantity": 2}),
    "redirects": ("redirect", ALL, {"url": "/a", "target": "/b"}),
    "returns": ("return", "list get count update delete", {"staffNote": "x"}),
    "reviews": ("review", ALL, {"product": "{products}", "name": "Jane", "score": 4}),
    "sets": ("set", ALL, {"name": "Set"}),
    "shipments": ("shipment", "list get count update", {"trackingCode": "3SFAKE"}),
    "shipments/{shipments}/metafields": ("shipmentMetafield", ALL, _META),
    "shipments/{shipments}/products": ("shipmentProduct", READ, None),
    "shippingmethods": ("shippingmethod", READ, None),
    "shippingmethods/{shippingmethods}/countries": ("shippingmethodCountry", READ, None),
    "shippingmethods/{shippingmethods}/values": ("shippingmethodValue", READ, None),
    "shop/metafields": ("shopMetafield", ALL, _META),
    "shop/scripts": ("shopScript", ALL, {"url": "https://cdn.example.com/a.js"}),
    "shop/tracking": ("shopTracking", ALL, {"content": "x"}),
    "subscriptions": ("subscription", ALL, {"email": "new@example.com", "firstname": "Jane"}),
    "suppliers": ("supplier", ALL, {"title": "Supplier", "country_id": "be"}),
    "tags": ("tag", ALL, {"title": "tag"}),
    "tags/products": ("tagsProduct", JOIN, {"tag": "{tags}", "product": "{products}"}),
    "taxes": ("tax", ALL, {"title": "Tax", "rate": 0.06}),
    "taxes/{taxes}/overrides": ("taxOverride", ALL, {"country": "fr", "rate": 0.2}),
    "textpages": ("textpage", ALL, {"title": "Page"}),
    "theme/categories": ("themeCategory", ALL, {"categoryId": "{categories}"}),
    "theme/products": ("themeProduct", ALL, {"productId": "{products}"}),
    "tickets": ("ticket", ALL, {"subject": "Help", "customer": "{customers}"}),
    "tickets/{tickets}/messages": ("ticketMessage", ALL, {"message": "Hello"}),
    "types": ("type", ALL, {"title": "Type"}),
    "types/attributes": ("typesAttribute", JOIN, {"type": "{types}", "attribute": "{attributes}"}),
    "variants": ("variant", ALL, {"product": "{products}", "title": "Second", "stockLevel": 5}),
    "variants/{variants}/metafields": ("variantMetafield", ALL, _META),
    "variants/movements": ("variantMovement", READ, None),
    "webhooks": (
        "webhook",
        ALL,
        {
            "itemGroup": "orders",
            "itemAction": "*",
            "address": "http://127.0.0.1:9/",
            "language": "nl",
            "format": "json",
        },
    ),
}

# Verb, path and body.
SINGLE: list[tuple[str, str, Body]] = [
    ("GET", "account", None),
    ("GET", "account/permissions", None),
    ("GET", "account/ratelimit", None),
    ("GET", "dashboard", None),
    ("GET", "shop", None),
    ("PUT", "shop", {"shop": {"city": "Testdorp"}}),
    ("GET", "shop/company", None),
    ("GET", "shop/javascript", None),
    ("PUT", "shop/javascript", {"shopJavascript": {"isActive": True, "script": "x"}}),
    ("GET", "shop/limits", None),
    ("GET", "shop/settings", None),
    ("GET", "shop/website", None),
    ("GET", "time", None),
    ("POST", "blogs/articles/{blogs/articles}/image", {"blogArticleImage": _PICTURE}),
    ("GET", "blogs/articles/{blogs/articles}/image", None),
    ("DELETE", "blogs/articles/{blogs/articles}/image", None),
    ("POST", "brands/{brands}/image", {"brandImage": _PICTURE}),
    ("GET", "brands/{brands}/image", None),
    ("DELETE", "brands/{brands}/image", None),
    ("POST", "categories/{categories}/image", {"categoryImage": _PICTURE}),
    ("GET", "categories/{categories}/image", None),
    ("DELETE", "categories/{categories}/image", None),
    ("POST", "variants/{variants}/image", {"variantImage": _PICTURE}),
    ("GET", "variants/{variants}/image", None),
    ("DELETE", "variants/{variants}/image", None),
    ("GET", "quotes/{quotes}/paymentmethods", None),
    ("GET", "quotes/{quotes}/paymentmethods/count", None),
    ("GET", "quotes/{quotes}/shippingmethods", None),
    ("GET", "quotes/{quotes}/shippingmethods/count", None),
    ("POST", "orders/{orders}/credit", {"credit": {"creditShipment": True}}),
    ("POST", "quotes/1016615295/convert", {"order": {}}),
    ("POST", "customers/{customers}/login", {"customerLogin": {"email": "a@example.com", "password": "fake"}}),
    ("POST", "customers/{customers}/tokens", {"customerToken": {"expiresIn": 30}}),
    ("PUT", "variants/bulk", {"variant": [{"id": "{variants}", "stockLevel": 3}]}),
    (
        "POST",
        "categories/products/bulk",
        {"categoriesProduct": {"categories": ["{categories}"], "product": "{products}"}},
    ),
    (
        "PUT",
        "products/{owner:products/attributes}/attributes",
        {"productAttributes": [{"id": "{below}", "value": "x"}]},
    ),
]

_ADDRESS = {
    "name": "Jane Doe",
    "address1": "Example Street",
    "number": 1,
    "zipcode": "1000AA",
    "city": "X",
    "country": "nl",
}
# In this order: `{checkout}` is what the first answers, `{line}` what the second does.
CHECKOUT: list[tuple[str, str, Body]] = [
    (
        "POST",
        "checkouts",
        {
            "mode": "guest",
            "customer": {"email": "a@example.com", "firstname": "Jane", "lastname": "Doe"},
            "billing_address": _ADDRESS,
            "shipping_address": _ADDRESS,
            "terms": 1,
        },
    ),
    ("POST", "checkouts/{checkout}/products", {"variant_id": "{variants}", "quantity": 2}),
    ("GET", "checkouts", None),
    ("GET", "checkouts/count", None),
    ("GET", "checkouts/{checkout}", None),
    ("GET", "checkouts/{checkout}/products", None),
    ("GET", "checkouts/{checkout}/products/count", None),
    ("GET", "checkouts/{checkout}/products/{line}", None),
    ("PUT", "checkouts/{checkout}/products/{line}", {"quantity": 3}),
    ("GET", "checkouts/{checkout}/shipment_methods", None),
    ("GET", "checkouts/{checkout}/payment_methods", None),
    (
        "PUT",
        "checkouts/{checkout}",
        {"shipment_method": "core|747283|3298308", "payment_method": {"id": "pickup"}},
    ),
    ("GET", "checkouts/{checkout}/validate", None),
    ("POST", "checkouts/{checkout}/order", {}),
    ("DELETE", "checkouts/{checkout}", None),
]
# Of a second checkout, because the first is an order by then.
CHECKOUT_LINE_DELETE = ("DELETE", "checkouts/{checkout}/products/{line}")

COUNT = sum(len(verbs.split()) for _, verbs, _ in COLLECTIONS.values()) + len(SINGLE) + len(CHECKOUT) + 1
