"""Routes: the handler of each path and verb. In a path, `*` is the place of an id."""

from dataclasses import dataclass
from functools import partial

from . import actions, checkouts, singletons
from .handlers import (
    Handler,
    count_records,
    create_record,
    delete_record,
    get_record,
    list_records,
    update_record,
)
from .resources import RESOURCES


@dataclass(frozen=True)
class Route:
    """The handler of a path and verb.

    Attributes:
        group: permission group; empty for what every key may do.
        writes: whether the permission to write is needed rather than the one to read.
    """

    handler: Handler
    group: str
    writes: bool


Routes = dict[str, dict[str, Route]]
_IMAGES = {
    "blogs/articles": ("blogArticleImage", "content"),
    "brands": ("brandImage", "products"),
    "categories": ("categoryImage", "products"),
    "variants": ("variantImage", "products"),
}


def _build() -> Routes:
    routes: Routes = {}

    def route(method: str, path: str, group: str, handler: Handler) -> None:
        routes.setdefault(path, {})[method] = Route(handler, group, method != "GET")

    for resource in RESOURCES:
        leaf = resource.name.removeprefix(resource.parent).strip("/")
        path = f"{resource.parent}/*/{leaf}" if resource.parent else resource.name
        for verb, method, place, generic in (
            ("list", "GET", path, list_records),
            ("count", "GET", path + "/count", count_records),
            ("create", "POST", path, create_record),
            ("get", "GET", path + "/*", get_record),
            ("update", "PUT", path + "/*", update_record),
            ("delete", "DELETE", path + "/*", delete_record),
        ):
            if verb in resource.verbs:
                route(method, place, resource.group, partial(generic, resource))
    for owner, (key, group) in _IMAGES.items():
        route("GET", f"{owner}/*/image", group, partial(singletons.get_image, owner, key))
        route("POST", f"{owner}/*/image", group, partial(singletons.post_image, owner, key))
        route("DELETE", f"{owner}/*/image", group, partial(singletons.delete_image, owner))
    for name in ("account", "shop", "shop/company", "shop/javascript", "shop/website"):
        route("GET", name, "" if name == "account" else "settings", partial(singletons.get_singleton, name))
    for name in ("shop", "shop/javascript"):
        route("PUT", name, "settings", partial(singletons.put_singleton, name))
    route("GET", "account/permissions", "", singletons.get_permissions)
    route("GET", "account/ratelimit", "", singletons.get_ratelimit)
    route("GET", "shop/limits", "settings", singletons.get_limits)
    route("GET", "shop/settings", "settings", singletons.get_settings)
    route("GET", "time", "", singletons.get_time)
    route("GET", "dashboard", "settings", singletons.get_dashboard)

    products = next(resource for resource in RESOURCES if resource.name == "products")
    route("GET", "catalog", "products", actions.list_catalog)
    route("GET", "catalog/count", "products", partial(count_records, products))
    route("GET", "catalog/*", "products", actions.get_catalog)
    route("POST", "orders/*/credit", "orders", actions.credit)
    route("POST", "quotes/*/convert", "orders", actions.convert)
    route("POST", "customers/*/login", "customers", actions.login)
    route("POST", "customers/*/tokens", "customers", actions.token)
    route("PUT", "variants/bulk", "products", actions.variants_bulk)
    route("POST", "categories/products/bulk", "products", actions.categories_bulk)
    route("PUT", "products/*/attributes", "products", actions.attributes_bulk)
    for leaf in ("paymentmethods", "shippingmethods"):
        key = f"quote{leaf.capitalize()}"
        route("GET", f"quotes/*/{leaf}", "orders", partial(actions.quote_methods, key))
        route("GET", f"quotes/*/{leaf}/count", "orders", partial(actions.count_quote_methods, key))

    for method, path, handler in (
        ("GET", "", checkouts.list_checkouts),
        ("POST", "", checkouts.create_checkout),
        ("GET", "/count", checkouts.count_checkouts),
        ("GET", "/*", checkouts.get_checkout),
        ("PUT", "/*", checkouts.update_checkout),
        ("DELETE", "/*", checkouts.delete_checkout),
        ("GET", "/*/products", checkouts.list_lines),
        ("POST", "/*/products", checkouts.add_line),
        ("GET", "/*/products/count", checkouts.count_lines),
        ("GET", "/*/products/*", checkouts.get_line),
        ("PUT", "/*/products/*", checkouts.update_line),
        ("DELETE", "/*/products/*", checkouts.delete_line),
        ("GET", "/*/shipment_methods", checkouts.shipment_methods),
        ("GET", "/*/payment_methods", checkouts.payment_methods),
        ("GET", "/*/validate", checkouts.validate),
        ("POST", "/*/order", checkouts.order),
    ):
        route(method, "checkouts" + path, "orders", handler)
    return routes


ROUTES = _build()
_LONGEST_ID = 18


def find_route(path: str) -> tuple[dict[str, Route] | None, tuple[int, ...]]:
    """Return the verbs of a path (without language and suffix) and the ids in it; None for an unknown path."""
    ids = []
    parts = path.split("/")
    if "*" in parts:
        return None, ()
    for i, part in enumerate(parts):
        if part.isascii() and part.isdigit() and len(part) <= _LONGEST_ID:
            ids.append(int(part))
            parts[i] = "*"
    return ROUTES.get("/".join(parts)), tuple(ids)
