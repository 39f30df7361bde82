"""Quotes and their lines: some open ones, then one for each order, as series."""

from .data import FIRST_IDS, OPEN_QUOTES, QUOTE_STRIDE, Sizes
from .data_customers import CustomerData
from .data_orders import PAYMENTS, SHIPMENT_DATA, SHIPMENT_ID, SHIPPING_EXCL, TAX_RATE, OrderData
from .data_products import ProductData
from .series import Series, pick
from .shapes import Row


class QuoteData:
    """Makes the rows of quotes."""

    def __init__(self, sizes: Sizes, goods: ProductData, buyers: CustomerData, orders: OrderData) -> None:
        self.sizes = sizes
        self.goods = goods
        self.buyers = buyers
        self.orders = orders
        self.quotes = Series(FIRST_IDS["quotes"], sizes.quotes, self.quote, QUOTE_STRIDE, self.quote_times)

    def series(self) -> dict[str, Series]:
        """Return the series by name of their resource."""
        lines = Series(
            FIRST_IDS["quotes/products"],
            self.sizes.quotes,
            self.quote_line,
            8,
            None,
            self.quote_lines,
            "parent_id",
            self.quotes,
        )
        return {"quotes": self.quotes, "quotes/products": lines}

    def quote_times(self, number: int) -> tuple[int, int]:
        """Return a quote's times: those of its order, shortly before; open quotes are spread over all time."""
        if number < OPEN_QUOTES:
            return self.sizes.times(number, OPEN_QUOTES, 39)
        created, _ = self.sizes.times(number - OPEN_QUOTES, self.sizes.orders, 31)
        return created - 60, created

    def quote_order(self, number: int) -> int:
        """Return the number of the order whose lines a quote has; open ones have lines of their own."""
        return number - OPEN_QUOTES if number >= OPEN_QUOTES else 10**6 + number

    def quote_lines(self, number: int) -> int:
        """Return how many lines a quote has."""
        return self.orders.line_count(self.quote_order(number))

    def quote(self, number: int, _place: int) -> Row:
        """Make a quote."""
        created, updated = self.quote_times(number)
        source = self.quote_order(number)
        bits, buyer = self.sizes.bits(source, 38), self.orders.customer_of(source)
        payment, payment_title, is_post = pick(PAYMENTS, bits >> 8)
        excl, incl = self.orders.totals(source)
        lines = self.orders.lines(source)
        person = self.buyers.person(buyer) if buyer >= 0 else {}
        country = person.get("addressBillingCountry", "nl")
        return {
            "createdAt": created,
            "updatedAt": updated,
            "recalculatedAt": updated,
            "converted": number >= OPEN_QUOTES,
            "recoveryHash": f"fakehash{bits:024x}"[:31],
            "remoteIp": person.get("remoteIp", False),
            "userAgent": person.get("userAgent", False),
            "paymentCountry": country,
            "shipmentCountry": country,
            "shipmentZipcode": person.get("addressShippingZipcode", ""),
            "priceCost": round(excl * 0.4, 4),
            "priceExcl": excl,
            "priceIncl": incl,
            "productsCount": len(lines),
            "productsQuantity": sum(quantity for _, _, quantity, _ in lines),
            "shipmentIsSet": True,
            "shipmentId": SHIPMENT_ID,
            "shipmentTaxRate": TAX_RATE,
            "shipmentBasePriceExcl": SHIPPING_EXCL,
            "shipmentBasePriceIncl": 5.9532,
            "shipmentPriceTax": 1.03,
            "shipmentPriceExcl": SHIPPING_EXCL,
            "shipmentPriceIncl": 5.95,
            "shipmentTitle": "PostNL",
            "shipmentData": SHIPMENT_DATA if bits & 8192 else [],
            "paymentIsSet": True,
            "paymentId": payment,
            "paymentIsPost": is_post,
            "paymentData": f'{{"method":"{payment}"}}',
            "paymentTitle": payment_title,
            "customer": self.buyers.customers.id_of(buyer) if buyer >= 0 else False,
            "language": person.get("language", self.sizes.languages[0]),
        }

    def quote_line(self, number: int, place: int) -> Row:
        """Make a line of a quote."""
        product, variant, quantity, price = self.orders.lines(self.quote_order(number))[place]
        created, updated = self.quote_times(number)
        excl = round(price * quantity, 2)
        return {
            "parent_id": self.quotes.id_of(number),
            "createdAt": created,
            "updatedAt": updated,
            "basePriceCost": round(price * 0.4, 2),
            "basePriceExcl": price,
            "basePriceIncl": round(price * (1 + TAX_RATE), 4),
            "quantity": quantity,
            "taxRate": TAX_RATE,
            "priceTax": round(excl * TAX_RATE, 2),
            "priceExcl": excl,
            "priceIncl": round(excl * (1 + TAX_RATE), 2),
            "product": self.goods.products.id_of(product) if product >= 0 else False,
            "variant": self.goods.variants.family(product)[variant] if product >= 0 else False,
        }
