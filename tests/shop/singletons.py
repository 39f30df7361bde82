"""Single records: account, shop, dashboard, time, and the picture of a brand and of similar records."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from . import shapes_settings as s
from .exchange import Answer, RefusedError, dumps, json_answer
from .handlers import MAX_WEBHOOKS, NOT_FOUND, Call, envelope
from .render import Renderer, iso
from .resource import Resource
from .shapes import Row, Shape
from .uploads import uploaded
from .writes import neutral, unwrap_record

_SHAPES: dict[str, tuple[str, Shape]] = {
    "account": ("account", s.ACCOUNT),
    "shop": ("shop", s.SHOP),
    "shop/company": ("shopCompany", s.COMPANY),
    "shop/javascript": ("shopJavascript", s.JAVASCRIPT),
    "shop/website": ("shopWebsite", s.WEBSITE),
}
_LIMITS = {
    "maxAttributes": 200,
    "maxBrands": 1000,
    "maxCategories": 2000,
    "maxCurrencies": 10,
    "maxDeliverydates": 50,
    "maxDomainNames": 10,
    "maxDomainForwards": 10,
    "maxEmailAccounts": 10,
    "maxEmailForwards": 10,
    "maxFiles": 250,
    "maxFilesSize": 50,
    "maxFilters": 5,
    "maxFiltersValues": 15,
    "maxGroups": 50,
    "maxGroupsCustomers": 1000,
    "maxLanguages": 10,
    "maxProducts": 10000,
    "maxProductsCategories": 25,
    "maxProductsFiltersValues": 15,
    "maxProductsImages": 10,
    "maxProductsRelations": 5,
    "maxProductsTags": 25,
    "maxProductsVariants": 50,
    "maxRedirects": 500,
    "maxReviews": 100,
    "maxSuppliers": 10,
    "maxUserAccounts": 0,
    "maxTags": 1000,
    "maxTaxes": 10,
    "maxTextpages": 20,
    "maxTypes": 50,
    "maxTypesAttributes": 100,
    "maxWebhooks": MAX_WEBHOOKS,
    "hasB2b": False,
    "hasCopyright": True,
    "hasFilters": True,
    "hasMultishop": False,
    "hasTemplateEditor": True,
    "hasTranslations": True,
}
_ADDRESS = {"street": "Example Street 1", "zipcode": "1000AA", "city": "Exampletown", "region": "Example Region"}
_CONTACT = {
    "email": "jane.doe@example.com",
    "phone": "+31000000000",
    "fax": "+31000000002",
    "vatNumber": "XX000000000B00",
}


def opening_rows(api_key: str, created: int) -> dict[str, Row]:
    """Return the singletons' rows as the shop opens."""
    currency = {
        "shortcode": "EUR",
        "symbol": "€",
        "title": "Euro",
        "isDefault": True,
        "currencyRate": "1.000000",
    }
    return {
        "account": {"id": 19_609, "apiKey": api_key},
        "shop": {
            "createdAt": created,
            "subDomain": "example-shop",
            "mainDomain": "example-shop.example",
            "currency": currency,
            **_ADDRESS,
            **_CONTACT,
        },
        "shop/company": {
            "name": "Jane Doe",
            "nationalId": "FAKE-NATIONAL-ID",
            "bankName": "Example Bank",
            "bankLocation": "Exampletown",
            "bankCode": "0000",
            "bankIban": "XX00FAKE0000000000",
            "bankSwift": "FAKEXX00",
            **_ADDRESS,
            **_CONTACT,
        },
        "shop/javascript": {"script": "console.log(1)"},
        "shop/website": {
            "name": "Sample online store",
            "title": "Sample online store",
            "description": "A sample version of an online store",
            "keywords": "sample, online, store",
        },
    }


def get_singleton(name: str, call: Call) -> Answer:
    """Answer a singleton that has a row."""
    key, shape = _SHAPES[name]
    renderer = Renderer(shape, call.language, call.shop.origin, lambda _name, _id: None)
    return json_answer(200, envelope(key, renderer.text(call.shop.singletons[name])))


def put_singleton(name: str, call: Call) -> Answer:
    """Change fields of a singleton."""
    key, shape = _SHAPES[name]
    fields = unwrap_record(call.request, key)
    as_resource = Resource(name, key, key, shape, (), "")
    row = call.shop.singletons[name]
    row |= neutral(call.shop.store, as_resource, fields, call.language, row)
    return get_singleton(name, call)


def get_permissions(call: Call) -> Answer:
    """Answer what the key may do."""
    rights = {group: {"read": may[0], "write": may[1]} for group, may in call.shop.permissions.items()}
    return json_answer(200, dumps({"accountPermissions": rights}))


def get_ratelimit(call: Call) -> Answer:
    """Answer the quota, with the same numbers as the headers of this answer."""
    return json_answer(200, dumps({"accountRatelimit": call.shop.limits.as_record()}))


def get_limits(_call: Call) -> Answer:
    """Answer the limits of the shop's plan."""
    return json_answer(200, dumps({"shopLimits": _LIMITS}))


def get_settings(call: Call) -> Answer:
    """Answer the settings; envelope and content are not evidenced, this follows the pattern of the others."""
    return json_answer(200, dumps({"shopSettings": {"defaultLanguage": call.shop.languages[0], "pricesInclTax": True}}))


def get_time(call: Call) -> Answer:
    """Answer the shop's time; envelope and content are not evidenced."""
    now = int(call.shop.clock.now())
    return json_answer(200, dumps({"time": {"timestamp": now, "iso": iso(now)}}))


def get_dashboard(call: Call) -> Answer:
    """Answer the figures of the last seven days, the latest day first."""
    today = datetime.fromtimestamp(call.shop.clock.now(), UTC).date()
    figures = ("visitors", "pageviews", "orders", "salesExcl", "salesIncl", "paidExcl", "paidIncl")
    nothing: dict[str, Any] = dict.fromkeys(figures, 0)
    periods = [{"date": str(today - timedelta(days=i))} | nothing for i in range(8)]
    board = {
        "dateMin": str(today - timedelta(days=7)),
        "dateMax": str(today),
        "totals": nothing,
        "periods": periods,
        "type": "daily",
    }
    return json_answer(200, dumps({"dashboard": board}))


def get_image(owner: str, key: str, call: Call) -> Answer:
    """Answer the picture of a record; 404 if it has none."""
    return json_answer(200, envelope(key, _image_text(owner, call)))


def post_image(owner: str, key: str, call: Call) -> Answer:
    """Set the picture of a record, over an older one if there is one."""
    store = call.shop.store
    if store.stored(owner, call.ids[0]) is None:
        raise RefusedError(404, NOT_FOUND)
    fields = unwrap_record(call.request, key, "image")
    now = int(call.shop.clock.now())
    image = {"createdAt": now, "updatedAt": now} | uploaded(fields, None)
    store.update(owner, call.ids[0], image=image)
    return json_answer(201, envelope(key, _image_text(owner, call)))


def delete_image(owner: str, call: Call) -> Answer:
    """Remove the picture of a record."""
    _image_text(owner, call)
    call.shop.store.update(owner, call.ids[0], image=False)
    return Answer(204)


def _image_text(owner: str, call: Call) -> str:
    text = call.shop.store.text(owner, call.ids[0], call.language)
    image = json.loads(text)["image"] if text else None
    if not image:
        raise RefusedError(404, NOT_FOUND)
    return dumps(image)
