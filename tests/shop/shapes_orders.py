"""Shapes of orders: orders, their lines, invoices, shipments, quotes, returns and events."""

from .shapes import CREATED, ID, LANGUAGE, STAMPS, Shape, address, countries, many, one, plain, times

_PERSON = plain(
    gender=False,
    birthDate=False,
    nationalId="",
    email="",
    firstname="",
    middlename="",
    lastname="",
    phone="",
    mobile="",
)
_COMPANY = plain(isCompany=False, companyName="", companyCoCNumber="", companyVatNumber="")
_SHIPPING_COMPANY = plain(addressShippingCompany=False)

CUSTOMER = (
    ID
    + STAMPS
    + plain(isConfirmed=False, type="registered")
    + times("lastOnlineAt")
    + plain(remoteIp=False, userAgent=False, referralId=False)
    + _PERSON
    + _COMPANY
    + address("addressBilling")
    + _SHIPPING_COMPANY
    + address("addressShipping")
    + plain(memo="", doNotifyRegistered=False, doNotifyConfirmed=False, doNotifyPassword=False)
    + many(groups="groups/customers?customer={id}", invoices="invoices?customer={id}")
    + LANGUAGE
    + many(
        orders="orders?customer={id}",
        reviews="reviews?customer={id}",
        shipments="shipments?customer={id}",
        tickets="tickets?customer={id}",
        metafields="customers/{id}/metafields",
        login="customers/{id}/login",
    )
)

ORDER = (
    ID
    + STAMPS
    + plain(number="", status="processing_awaiting_payment", customStatusId=None, channel="main")
    + plain(remoteIp=False, userAgent=False, referralId=False)
    + plain(priceCost=0, priceExcl=0, priceIncl=0, weight=0, volume=0, colli=0)
    + _PERSON
    + plain(newsletterSubscribed=False)
    + _COMPANY
    + address("addressBilling")
    + plain(addressBillingRegionData=False)
    + _SHIPPING_COMPANY
    + address("addressShipping")
    + plain(addressShippingRegionData=False)
    + plain(paymentId="", paymentStatus="not_paid", paymentIsPost=False, paymentIsInvoiceExternal=False)
    + plain(paymentTaxRate=0, paymentTaxRates=[], paymentBasePriceExcl=0, paymentBasePriceIncl=0)
    + plain(paymentPriceExcl=0, paymentPriceIncl=0, paymentTitle="", paymentData=[])
    + plain(shipmentId="", shipmentStatus="not_shipped", shipmentIsCashOnDelivery=False, shipmentIsPickup=False)
    + plain(shipmentTaxRate=0, shipmentTaxRates=[], shipmentBasePriceExcl=0, shipmentBasePriceIncl=0)
    + plain(shipmentPriceExcl=0, shipmentPriceIncl=0, shipmentDiscountExcl=0, shipmentDiscountIncl=0)
    + plain(shipmentTitle="", shipmentData=[], shippingDate=None, deliveryDate=None)
    + plain(isDiscounted=False, discountType="amount", discountAmount=0, discountPercentage=0, discountCouponCode="")
    + plain(taxRates=[], isNewCustomer=False, comment="", memo="", allowNotifications=True)
    + plain(doNotifyNew=False, doNotifyReminder=False, doNotifyCancelled=False)
    + LANGUAGE
    + one(customer="customers")
    + many(
        invoices="invoices?order={id}",
        shipments="shipments?order={id}",
        products="orders/{id}/products",
        metafields="orders/{id}/metafields",
    )
    + one(quote="quotes")
    + many(events="orders/events?order={id}")
)

ORDER_PRODUCT = (
    ID
    + plain(supplierTitle="", brandTitle="", productTitle="", variantTitle="", taxRate=0, taxRates=[])
    + plain(quantityOrdered=1, quantityInvoiced=0, quantityShipped=0, quantityRefunded=0, quantityReturned=0)
    + plain(articleCode="", ean="", sku="", weight=0, volume=0, colli=0, sizeX=0, sizeY=0, sizeZ=0)
    + plain(priceCost=0, customExcl=0, customIncl=0, basePriceExcl=0, basePriceIncl=0, priceExcl=0, priceIncl=0)
    + plain(discountExcl=0, discountIncl=0, customFields=False)
    + one(product="products", variant="variants")
)

INVOICE = (
    ID
    + STAMPS
    + plain(number="", status="not_paid", isVatShifted=False, priceExcl=0, priceIncl=0)
    + plain(doNotifyNew=False, doNotifyPaid=False)
    + one(invoice="invoices")
    + plain(isCreditNote=False)
    + one(creditNote="invoices", order="orders", customer="customers")
    + many(items="invoices/{id}/items", metafields="invoices/{id}/metafields", events="orders/events?invoice={id}")
)

INVOICE_ITEM = (
    ID
    + plain(type="product", title="", variant="", orderProductId=None, articleCode="", ean="", sku="", taxRate=0)
    + plain(basePriceExcl=0, basePriceIncl=0, priceExcl=0, priceIncl=0, discountExcl=0, discountIncl=0, quantity=1)
)

SHIPMENT = (
    ID
    + STAMPS
    + plain(number="", status="not_shipped", trackingCode="")
    + plain(doNotifyShipped=False, doNotifyReadyForPickup=False, doNotifyTrackingCode=False)
    + plain(totalWeight=0, totalSizeX=0, totalSizeY=0, totalSizeZ=0)
    + one(customer="customers", order="orders")
    + many(products="shipments/{id}/products", metafields="shipments/{id}/metafields")
    + many(events="orders/events?shipment={id}")
)

SHIPMENT_PRODUCT = ID + plain(quantity=1, title="", variant="", articleCode="", ean="", sku="", customData=[])

EVENT = (
    ID
    + CREATED
    + plain(channel="auto", type="order", message="", comment=None)
    + one(order="orders", invoice="invoices", shipment="shipments")
)

CUSTOM_STATUS = ID + STAMPS + plain(title="", color="#f00095")

RETURN = (
    ID
    + STAMPS
    + plain(customerId=0, orderId=0, status="authorized", numProducts=0, priceExcl="0.00", priceIncl="0.00")
    + plain(isStockAdjusted=False, returnReason="", returnAction="", customerComment="", staffNote="", mailMessage="")
    + plain(notifyStatus=False, orderProducts=[])
)

QUOTE = (
    ID
    + STAMPS
    + times("recalculatedAt")
    + plain(isLocked=False, channel="main", recoveryHash="", remoteIp=False, userAgent=False, referralId=False)
    + plain(weight=0, volume=0, colli=0)
    + countries(paymentCountry="nl", shipmentCountry="nl")
    + plain(shipmentZipcode="", shipmentSameAddress=True, priceCost=0, priceExcl=0, priceIncl=0)
    + plain(discountExcl=0, discountIncl=0, productsCount=0, productsQuantity=0, shipmentIsSet=False, shipmentId="")
    + plain(shipmentIsVirtual=False, shipmentIsCashOnDelivery=False, shipmentDiscountPercentage=0)
    + plain(shipmentIsServicePoint=False, shipmentIsPickup=False, shipmentTaxRate=0)
    + plain(shipmentBasePriceExcl=0, shipmentBasePriceIncl=0, shipmentPriceTax=0, shipmentPriceExcl=0)
    + plain(shipmentPriceIncl=0, shipmentDiscountExcl=0, shipmentDiscountIncl=0, shipmentTitle="", shipmentData=[])
    + plain(paymentIsSet=False, paymentId="", paymentIsPost=False, paymentIsInvoiceExternal=False, paymentData="")
    + plain(paymentTaxRate=0, paymentBasePriceExcl=0, paymentBasePriceIncl=0, paymentPriceTax=0)
    + plain(paymentPriceExcl=0, paymentPriceIncl=0, additionalCostIncl="0.0000", additionalCostExcl="0.0000")
    + plain(paymentTitle="", discountIsSet=False, discountId=0, discountType="amount", discountAmount=0)
    + plain(discountPercentage=0, discountShipment="default", discountMinimumAmount="0.00", discountCouponCode="")
    + plain(comment=None, allowNotifications=True)
    + one(customer="customers")
    + LANGUAGE
    + many(
        products="quotes/{id}/products",
        shippingmethods="quotes/{id}/shippingmethods",
        paymentmethods="quotes/{id}/paymentmethods",
    )
)

QUOTE_PRODUCT = (
    ID
    + STAMPS
    + plain(isCustom=False, customFields=False, baseWeight=0, baseVolume=0, baseColli=0, basePriceCost=0)
    + plain(basePriceExcl=0, basePriceIncl=0, weight=0, volume=0, colli=0, quantity=1, hasDiscount=False)
    + plain(discountPercentage=0, taxRate=0, priceCost=0, priceTax=0, priceExcl=0, priceIncl=0)
    + plain(discountExcl=0, discountIncl=0, additionalCostIncl=0, additionalCostExcl=0)
    + plain(baseAdditionalCostIncl=0, baseAdditionalCostExcl=0)
    + one(product="products", variant="variants")
)

# Another generation of the API: snake_case, no envelope, no links.
CHECKOUT = (
    ID
    + times("created_at", "updated_at")
    + plain(order_id=None, step="cart", mode="guest", shipment_method=None, payment_method=None, discount=False)
    + plain(quote=None)
    + plain(comment=None, newsletter=False, terms=False, notifications=True, memo=None)
)
CHECKOUT_PRODUCT: Shape = (
    ID
    + plain(cart_id=0, product_id=0, variant_id=0, quantity=1, is_custom=False, has_discount=False)
    + plain(discount_percentage="0.0000", tax_rate="0.0000", base_price_excl="0.0000", base_price_incl="0.0000")
    + plain(price_excl="0.0000", price_incl="0.0000", price_tax="0.0000", title="", fulltitle="", variant="")
)
