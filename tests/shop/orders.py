"""Makes orders from quotes and checkouts, and credits orders."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .data_orders import SHIPMENT_DATA, SHIPPING_EXCL, TAX_RATE, taxes
from .exchange import RefusedError
from .shapes import Row

if TYPE_CHECKING:
    from .store import Store

_PERSON = (
    "gender",
    "birthDate",
    "nationalId",
    "email",
    "firstname",
    "middlename",
    "lastname",
    "phone",
    "mobile",
    "isCompany",
    "companyName",
    "companyCoCNumber",
    "companyVatNumber",
    "language",
)


def api_caller(headers: Mapping[str, str]) -> Row:
    """Return the fields of origin of an order or quote that was made through the API."""
    return {"channel": "", "remoteIp": headers.get("x-forwarded-for", "127.0.0.1"), "userAgent": "WebshopappApi"}


def order_from_quote(store: "Store", quote_id: int, origin: Row) -> int:
    """Make an order of a quote, with lines, invoice, shipment and events, and return its id.

    Args:
        store: the shop's data.
        quote_id: the quote.
        origin: channel, remoteIp and userAgent of the order.
    """
    quote = store.row("quotes", quote_id)
    assert quote is not None
    buyer = store.row("customers", quote["customer"] or 0) or {}
    person = {name: buyer[name] for name in _PERSON if name in buyer}
    person |= {name: value for name, value in buyer.items() if name.startswith("address")}
    lines = [
        row for i in store.where("quotes/products", "parent_id", quote_id) if (row := store.row("quotes/products", i))
    ]
    chosen = {name: quote[name] for name in quote if name.startswith(("payment", "shipment")) and name in _SHARED}
    order_id = place_order(store, person | chosen | {"customer": quote["customer"], "quote": quote_id} | origin, lines)
    store.update("quotes", quote_id, converted=True)
    return order_id


_SHARED = {
    "paymentId", "paymentIsPost", "paymentIsInvoiceExternal", "paymentTaxRate", "paymentBasePriceExcl",
    "paymentBasePriceIncl", "paymentPriceExcl", "paymentPriceIncl", "paymentTitle", "shipmentId", "shipmentTaxRate",
    "shipmentIsCashOnDelivery", "shipmentIsPickup", "shipmentBasePriceExcl", "shipmentBasePriceIncl",
    "shipmentPriceExcl", "shipmentPriceIncl", "shipmentDiscountExcl", "shipmentDiscountIncl", "shipmentTitle",
    "shipmentData",
}  # fmt: skip


def place_order(store: "Store", fields: Row, lines: Sequence[Row]) -> int:
    """Make an order with its lines, invoice, shipment and events, and take the stock.

    Args:
        fields: of the order, without prices.
        lines: rows with `product`, `variant`, `quantity`, `priceExcl` (of the line).
    """
    number = store.count("orders") + 1
    excl = sum(line["priceExcl"] for line in lines) + SHIPPING_EXCL
    order_id = store.add(
        "orders",
        {"shipmentTitle": "PostNL", "shipmentData": SHIPMENT_DATA, "shipmentTaxRate": TAX_RATE}
        | fields
        | {
            "number": f"ORD{number:05d}",
            "status": "processing_awaiting_payment",
            "priceExcl": round(excl, 2),
            "priceIncl": round(excl * (1 + TAX_RATE), 2),
            "taxRates": taxes(excl),
        },
    )
    both = {"order": order_id, "customer": fields.get("customer", False)}
    prices = {"priceExcl": round(excl, 2), "priceIncl": round(excl * (1 + TAX_RATE), 2)}
    invoice = store.add("invoices", both | prices, number=f"INV{store.count('invoices') + 1:05d}")
    shipment = store.add("shipments", both, number=f"SHIP{store.count('shipments') + 1:05d}")
    for line in lines:
        _add_line(store, line, order_id, invoice, shipment)
    for kind, links in (("order", {}), ("invoice", {"invoice": invoice}), ("shipment", {"shipment": shipment})):
        store.add("orders/events", links, order=order_id, type=kind, message=f"The {kind} was created")
    return order_id


def _add_line(store: "Store", line: Row, order_id: int, invoice: int, shipment: int) -> None:
    variant = store.row("variants", line["variant"] or 0) or {}
    product = store.row("products", line["product"] or 0) or {}
    title = _words(product.get("title", "Removed product"))
    code = {"articleCode": variant.get("articleCode", ""), "ean": variant.get("ean", ""), "sku": variant.get("sku", "")}
    excl, quantity = line["priceExcl"], line["quantity"]
    prices = {
        "basePriceExcl": round(excl / quantity, 4),
        "basePriceIncl": round(excl / quantity * (1 + TAX_RATE), 4),
        "priceExcl": excl,
        "priceIncl": round(excl * (1 + TAX_RATE), 2),
        "taxRate": TAX_RATE,
    }
    words = {"productTitle": title, "variantTitle": _words(variant.get("title", ""))}
    links = {"product": line["product"], "variant": line["variant"]}
    line_id = store.add(
        "orders/products",
        code | prices | words | links,
        parent=order_id,
        quantityOrdered=quantity,
        taxRates=taxes(excl),
    )
    shown = code | {"title": title, "variant": words["variantTitle"], "quantity": quantity}
    store.add("invoices/items", shown | prices, parent=invoice, orderProductId=line_id)
    store.add("shipments/products", shown, parent=shipment)
    if variant:
        left = variant["stockLevel"] - quantity
        store.update("variants", variant["id"], stockLevel=left, stockSold=variant["stockSold"] + quantity)


def _words(text: Any) -> str:
    return str(next(iter(text.values()), "")) if isinstance(text, dict) else str(text)


def credit_order(store: "Store", order: Row, wish: dict[str, Any]) -> int:
    """Make a credit invoice and return its id.

    Args:
        wish: `orderProducts` (`[{id, quantity}]`; all of the order by default), `creditPayment`, `creditShipment`.
    """
    lines = {i: store.row("orders/products", i) or {} for i in store.where("orders/products", "parent_id", order["id"])}
    everything = [
        {"id": i, "quantity": line["quantityOrdered"] - line["quantityRefunded"]} for i, line in lines.items()
    ]
    chosen = wish.get("orderProducts", everything)
    if not isinstance(chosen, list):
        raise RefusedError(422, "orderProducts must be a list")
    total = 0.0
    for entry in chosen:
        line = lines.get(entry["id"]) if isinstance(entry, dict) and isinstance(entry.get("id"), int) else None
        if line is None:
            raise RefusedError(422, "Unknown order product")
        quantity = entry.get("quantity", 1)
        if isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 1:
            raise RefusedError(422, "quantity must be at least 1")
        if quantity + line["quantityRefunded"] > line["quantityOrdered"]:
            raise RefusedError(422, "More than was ordered")
        total += line["priceExcl"] / line["quantityOrdered"] * quantity
    for entry in chosen:
        refunded = lines[entry["id"]]["quantityRefunded"] + entry.get("quantity", 1)
        store.update("orders/products", entry["id"], quantityRefunded=refunded)
    if wish.get("creditShipment", "orderProducts" not in wish):
        total += SHIPPING_EXCL
    first = next(iter(store.where("invoices", "order", order["id"])), False)
    credit = store.add(
        "invoices",
        number=f"INV{store.count('invoices') + 1:05d}",
        status="not_paid",
        isCreditNote=True,
        invoice=first,
        order=order["id"],
        customer=order.get("customer", False),
        priceExcl=-round(total, 2),
        priceIncl=-round(total * (1 + TAX_RATE), 2),
    )
    if first:
        store.update("invoices", first, creditNote=credit)
    store.add("orders/events", channel="api", type="invoice", message="Credited", order=order["id"], invoice=credit)
    return credit
