"""Orders with their lines, invoices, shipments, events and returns, as series with the same numbers."""

from functools import lru_cache
from typing import Any

from .data import FIRST_IDS, OPEN_QUOTES, QUOTE_STRIDE, Sizes
from .data_customers import CustomerData
from .data_products import ProductData
from .series import Series, pick
from .shapes import Layered, Row

_STATUSES = (
    ("completed_shipped", "paid", "shipped"),
    ("completed_shipped", "paid", "shipped"),
    ("processing_awaiting_shipment", "paid", "not_shipped"),
    ("processing_awaiting_payment", "not_paid", "not_shipped"),
    ("completed_picked_up", "paid", "shipped"),
    ("on_hold", "partially_paid", "not_shipped"),
    ("cancelled", "cancelled", "cancelled"),
)
PAYMENTS = (
    ("ideal", "iDEAL", False),
    ("creditcard", "Creditcard", False),
    ("invoice", "Pay by invoice", True),
    ("pickup", "Pay at pickup", True),
)
SHIPPING_METHOD, SHIPPING_VALUE, SHIPPING_EXCL = 747_283, 3_298_308, 4.92
SHIPMENT_ID = f"core|{SHIPPING_METHOD}|{SHIPPING_VALUE}"
SHIPMENT_DATA = {"method": "default", "shipment_id": SHIPPING_METHOD, "shipping_value_id": SHIPPING_VALUE}
TAX_RATE = 0.21
Line = tuple[int, int, int, float]


def taxes(excl: float) -> list[dict[str, Any]]:
    """Return the tax rates of an amount."""
    return [{"name": "BTW", "rate": TAX_RATE, "amount": round(excl * TAX_RATE, 4)}]


class OrderData:
    """Makes the rows of orders. An order's invoice and shipment have the order's number."""

    def __init__(self, sizes: Sizes, products: ProductData, buyers: CustomerData) -> None:
        self.sizes = sizes
        self.goods = products
        self.buyers = buyers
        self.same_for = lru_cache(8192)(self._same_for)
        self.orders = Series(
            FIRST_IDS["orders"], sizes.orders, self.order, 7, lambda i: sizes.times(i, sizes.orders, 31)
        )
        self.invoices = self._beside("invoices", self.invoice)
        self.shipments = self._beside("shipments", self.shipment)

    def series(self) -> dict[str, Series]:
        """Return the series by name of their resource."""
        bits, lines = self.sizes.bits, self.line_count
        return {
            "orders": self.orders,
            "invoices": self.invoices,
            "shipments": self.shipments,
            "orders/products": self._below("orders/products", self.line, lines, self.orders),
            "orders/events": self._below("orders/events", self.event, lambda _: 3, self.orders, owner="order"),
            "orders/metafields": self._below(
                "orders/metafields", self.metafield, lambda i: int(bits(i, 32) % 4 == 0), self.orders
            ),
            "invoices/items": self._below("invoices/items", self.item, lambda i: lines(i) + 2, self.invoices),
            "shipments/products": self._below("shipments/products", self.shipped, lines, self.shipments),
            "returns": Series(FIRST_IDS["returns"], self.sizes.orders // 20, self.returned, 3, self.return_times),
        }

    def _beside(self, name: str, make: Any) -> Series:
        sizes = self.sizes
        return Series(
            FIRST_IDS[name],
            sizes.orders,
            make,
            7,
            lambda i: sizes.times(i, sizes.orders, 31),
            owner="order",
            owner_series=self.orders,
        )

    def _below(self, name: str, make: Any, size: Any, owners: Series, owner: str = "parent_id") -> Series:
        return Series(FIRST_IDS[name], owners.count, make, 8, None, size, owner, owners)

    def customer_of(self, number: int) -> int:
        """Return the number of an order's customer, or -1 in a shop without customers."""
        return self.sizes.bits(number, 35) % self.sizes.customers if self.sizes.customers else -1

    def line_count(self, number: int) -> int:
        """Return how many lines an order has."""
        return 1 + self.sizes.bits(number, 36) % 3

    def lines(self, number: int) -> list[Line]:
        """Return an order's lines: number of the product, place of its variant, quantity, price of one without tax."""
        found = []
        for place in range(self.line_count(number)):
            bits = self.sizes.bits(number * 8 + place, 37)
            product = (bits >> 8) % self.sizes.products if self.sizes.products else -1
            found.append((product, 0, bits % 4 + 1, self.goods.price(product, 0)))
        return found

    def totals(self, number: int) -> tuple[float, float]:
        """Return an order's price without and with tax, shipping included."""
        excl = sum(quantity * price for _, _, quantity, price in self.lines(number)) + SHIPPING_EXCL
        return round(excl, 2), round(excl * (1 + TAX_RATE), 2)

    def order(self, number: int, _place: int) -> Row:
        """Make an order."""
        sizes, bits = self.sizes, self.sizes.bits(number, 38)
        created, updated = sizes.times(number, sizes.orders, 31)
        status, payment_status, shipment_status = pick(_STATUSES, bits)
        payment, payment_title, is_post = pick(PAYMENTS, bits >> 8)
        excl, incl = self.totals(number)
        buyer = self.customer_of(number)
        own = {
            "createdAt": created,
            "updatedAt": updated,
            "number": f"ORD{number + 1:05d}",
            "status": status,
            "priceCost": round(excl * 0.4, 4),
            "priceExcl": excl,
            "priceIncl": incl,
            "weight": (bits >> 16) % 5000,
            "paymentId": payment,
            "paymentStatus": payment_status,
            "paymentIsPost": is_post,
            "paymentTitle": payment_title,
            "paymentData": {"method": payment} if bits & 8192 else [],
            "shipmentStatus": shipment_status,
            "taxRates": taxes(excl),
            "isNewCustomer": bits & 16384 != 0,
            "quote": FIRST_IDS["quotes"] + QUOTE_STRIDE * (number + OPEN_QUOTES),
            "comment": "Leave it with the neighbours, please." if bits % 11 == 0 else "",
        }
        return Layered(self.same_for(buyer), own)

    def _same_for(self, buyer: int) -> Row:
        """Return the fields that all orders of a customer have in common."""
        region = {"id": 548, "name": "Example Region", "code": "ER"} if buyer % 3 == 0 else False
        return (self.buyers.person(buyer) if buyer >= 0 else {}) | {
            "channel": "main",
            "addressBillingRegionData": region,
            "addressShippingRegionData": region,
            "customer": self.buyers.customers.id_of(buyer) if buyer >= 0 else False,
            "paymentTaxRates": [{"name": "BTW", "rate": 0, "amount": 0}],
            "shipmentId": SHIPMENT_ID,
            "shipmentTaxRate": TAX_RATE,
            "shipmentTaxRates": taxes(SHIPPING_EXCL),
            "shipmentBasePriceExcl": SHIPPING_EXCL,
            "shipmentBasePriceIncl": 5.9532,
            "shipmentPriceExcl": SHIPPING_EXCL,
            "shipmentPriceIncl": 5.95,
            "shipmentTitle": "PostNL",
            "shipmentData": SHIPMENT_DATA,
        }

    def line(self, number: int, place: int) -> Row:
        """Make a line of an order."""
        product, variant, quantity, price = self.lines(number)[place]
        title = next(iter(self.goods.title(product).values())) if product >= 0 else "Removed product"
        excl = round(price * quantity, 2)
        done = quantity if pick(_STATUSES, self.sizes.bits(number, 38))[2] == "shipped" else 0
        brand = self.goods.brand_of(product)
        return {
            "parent_id": self.orders.id_of(number),
            "brandTitle": f"Brand {brand + 1}" if brand >= 0 else "",
            "productTitle": title,
            "variantTitle": f"{title} {variant + 1}",
            "taxRate": TAX_RATE,
            "taxRates": taxes(excl),
            "quantityOrdered": quantity,
            "quantityInvoiced": quantity,
            "quantityShipped": done,
            "articleCode": f"LS{product + 1:05d}",
            "weight": None if number % 5 == 0 else 100 * (place + 1),
            "priceCost": round(price * 0.4, 3),
            "basePriceExcl": price,
            "basePriceIncl": round(price * (1 + TAX_RATE), 4),
            "priceExcl": excl,
            "priceIncl": round(excl * (1 + TAX_RATE), 2),
            "product": self.goods.products.id_of(product) if product >= 0 else False,
            "variant": self.goods.variants.family(product)[variant] if product >= 0 else False,
        }

    def invoice(self, number: int, _place: int) -> Row:
        """Make the invoice of an order."""
        created, updated = self.sizes.times(number, self.sizes.orders, 31)
        excl, incl = self.totals(number)
        buyer = self.customer_of(number)
        return {
            "createdAt": created,
            "updatedAt": updated,
            "number": f"INV{number + 1:05d}",
            "status": pick(_STATUSES, self.sizes.bits(number, 38))[1],
            "priceExcl": excl,
            "priceIncl": incl,
            "order": self.orders.id_of(number),
            "customer": self.buyers.customers.id_of(buyer) if buyer >= 0 else False,
        }

    def item(self, number: int, place: int) -> Row:
        """Make a line of an invoice: the order's lines, then shipping and payment."""
        row: Row = {"parent_id": self.invoices.id_of(number)}
        if place >= self.line_count(number):
            shipping = place == self.line_count(number)
            price = SHIPPING_EXCL if shipping else 0
            row |= {
                "type": "shipping" if shipping else "payment",
                "title": "_shippingcosts_" if shipping else "_paymentcosts_",
                "variant": "PostNL" if shipping else pick(PAYMENTS, self.sizes.bits(number, 38) >> 8)[1],
                "basePriceExcl": price,
                "basePriceIncl": round(price * 1.21, 2),
            }
            return row | {"priceExcl": price, "priceIncl": round(price * 1.21, 2)}
        line = self.line(number, place)
        names = ("articleCode", "taxRate", "basePriceExcl", "basePriceIncl", "priceExcl", "priceIncl")
        row |= {name: line[name] for name in names}
        return row | {
            "title": line["productTitle"],
            "variant": line["variantTitle"],
            "orderProductId": FIRST_IDS["orders/products"] + 8 * number + place,
            "quantity": line["quantityOrdered"],
        }

    def shipment(self, number: int, _place: int) -> Row:
        """Make the shipment of an order."""
        created, updated = self.sizes.times(number, self.sizes.orders, 31)
        bits, buyer = self.sizes.bits(number, 38), self.customer_of(number)
        shipped = pick(_STATUSES, bits)[2]
        return {
            "createdAt": created,
            "updatedAt": updated,
            "number": f"SHIP{number + 1:05d}",
            "status": shipped,
            "trackingCode": f"3SFAKE{bits % 10**9:09d}" if shipped == "shipped" else "",
            "totalWeight": (bits >> 16) % 5000,
            "customer": self.buyers.customers.id_of(buyer) if buyer >= 0 else False,
            "order": self.orders.id_of(number),
        }

    def shipped(self, number: int, place: int) -> Row:
        """Make a line of a shipment."""
        line = self.line(number, place)
        return {
            "parent_id": self.shipments.id_of(number),
            "quantity": line["quantityOrdered"],
            "title": line["productTitle"],
            "variant": line["variantTitle"],
            "articleCode": line["articleCode"],
        }

    def event(self, number: int, place: int) -> Row:
        """Make an entry of an order's log."""
        created, _ = self.sizes.times(number, self.sizes.orders, 31)
        kind = ("order", "invoice", "shipment")[place]
        return {
            "createdAt": created,
            "type": kind,
            "message": f"The {kind} was created",
            "order": self.orders.id_of(number),
            "invoice": self.invoices.id_of(number) if kind == "invoice" else False,
            "shipment": self.shipments.id_of(number) if kind == "shipment" else False,
        }

    def metafield(self, number: int, _place: int) -> Row:
        """Make a metafield of an order."""
        created, updated = self.sizes.times(number, self.sizes.orders, 31)
        stamps = {"createdAt": created, "updatedAt": updated}
        return {"parent_id": self.orders.id_of(number), "key": "external_number", "value": f"EXT-{number + 1}"} | stamps

    def return_times(self, number: int) -> tuple[int, int]:
        """Return a return's times."""
        return self.sizes.times(number, self.sizes.orders // 20, 40)

    def returned(self, number: int, _place: int) -> Row:
        """Make a return of the first line of every twentieth order."""
        created, updated = self.return_times(number)
        source = number * 20
        buyer = self.customer_of(source)
        _, _, _, price = self.lines(source)[0]
        return {
            "createdAt": created,
            "updatedAt": updated,
            "customerId": self.buyers.customers.id_of(buyer) if buyer >= 0 else 0,
            "orderId": self.orders.id_of(source),
            "status": pick(("authorized", "received", "completed"), self.sizes.bits(number, 41)),
            "numProducts": 1,
            "priceExcl": f"{price:.2f}",
            "priceIncl": f"{price * (1 + TAX_RATE):.2f}",
            "returnReason": "Wrong size",
            "returnAction": "Refund",
            "orderProducts": [{"id": FIRST_IDS["orders/products"] + 8 * source, "quantity": 1}],
        }
