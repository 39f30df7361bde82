"""Shapes of products: products, variants, brands, categories, tags, types, filters and their joins."""

from .shapes import (
    CREATED,
    ID,
    IMAGE,
    LANGUAGE,
    STAMPS,
    Field,
    Shape,
    countries,
    embed,
    embeds,
    many,
    one,
    ones,
    plain,
    text,
)

PRODUCT = (
    ID
    + STAMPS
    + plain(isVisible=True, visibility="visible", hasMatrix=False, data01="", data02="", data03="")
    + text(url="", title="", fulltitle="", description="", content="")
    + embed(set="sets")
    + one(brand="brands")
    + many(categories="categories/products?product={id}")
    + one(deliverydate="deliverydates")
    + IMAGE
    + many(
        images="products/{id}/images",
        relations="products/{id}/relations",
        metafields="products/{id}/metafields",
        reviews="reviews?product={id}",
    )
    + one(type="types")
    + many(attributes="products/{id}/attributes")
    + one(supplier="suppliers")
    + many(
        tags="tags/products?product={id}",
        variants="variants?product={id}",
        movements="variants/movements?product={id}",
    )
    + plain(templateDataFields=[])
)

VARIANT = (
    ID
    + STAMPS
    + plain(isDefault=False, sortOrder=1, articleCode="", ean="", sku="", hs=None, unitPrice=0, unitUnit="")
    + plain(priceExcl=0, priceIncl=0, priceCost=0, oldPriceExcl=0, oldPriceIncl=0)
    + plain(stockTracking="enabled", stockLevel=0, stockAlert=0, stockMinimum=0, stockSold=0)
    + plain(stockBuyMininum=1, stockBuyMinimum=1, stockBuyMaximum=10000)  # the first is the shop's own misspelling
    + plain(weight=0, weightValue="0.000", weightUnit="g", volume=0, volumeValue=0, volumeUnit="ml", colli=0)
    + plain(sizeX=0, sizeY=0, sizeZ=0, sizeXValue="0.000", sizeYValue="0.000", sizeZValue="0.000", sizeUnit="cm")
    + plain(matrix=False)
    + text(title="Default")
    + plain(taxType=None)
    + IMAGE
    + one(tax="taxes", product="products")
    + many(movements="variants/movements?variant={id}", metafields="variants/{id}/metafields")
    + one(additionalcost="additionalcosts")
    + plain(options=[])
)

MOVEMENT = ID + CREATED + plain(channel="auto", stockLevelChange=0) + one(product="products", variant="variants")

IMAGE_RECORD: Shape = (
    ID + plain(sortOrder=1) + STAMPS + plain(extension="png", size=0, title="") + plain(thumb="", src="")
)

BRAND = (
    ID
    + STAMPS
    + text(url="", title="", content="")
    + IMAGE
    + many(products="products?brand={id}")
    + plain(isVisible=True)
)

SUPPLIER = (
    ID
    + STAMPS
    + plain(title="", attention_of="", street="", street2="", number="", extension="", zip_code="", city="", region="")
    + countries(country_id="nl")
)

CATEGORY = (
    ID
    + STAMPS
    + plain(isVisible=True, depth=1, path=[], type="category", sortOrder=1, sorting="popular")
    + text(url="", title="", fulltitle="", description="", content="")
    + IMAGE
    + one(parent="categories")
    + many(children="categories?parent={id}", products="categories/products?category={id}")
)

CATEGORIES_PRODUCT = ID + plain(sortOrder=1) + one(category="categories", product="products")
TAG = ID + STAMPS + plain(isVisible=True) + text(url="", title="") + many(products="tags/products?tag={id}")
TAGS_PRODUCT = ID + one(tag="tags", product="products")
TYPE = ID + text(title="") + many(attributes="types/attributes?type={id}")

# The documentation's example has `?type=` in `url` and `?attribute=` in `link`.
ATTRIBUTE = (
    ID
    + text(title="", defaultValue="")
    + (Field("types", "many", None, "types/attributes?type={id}", link="types/attributes?attribute={id}"),)
)
TYPES_ATTRIBUTE = ID + plain(sortOrder=1) + one(type="types", attribute="attributes")
PRODUCT_ATTRIBUTE = ID + text(value="") + embed(attribute="attributes")
PRODUCT_RELATION = ID + plain(sortOrder=0) + one(relatedProduct="products")
FILTER = ID + STAMPS + text(title="") + plain(position=1, isActive=True)
FILTER_VALUE = ID + STAMPS + text(title="") + plain(position=1)
PRODUCT_FILTERVALUE = (
    ID
    + one(filter="filters")
    + (Field("filtervalue", "one", False, "filters/values", address="filters/{filter}/values/{filtervalue}"),)
)
SET = ID + STAMPS + plain(name="", options=[])
DELIVERYDATE = ID + STAMPS + text(name="", inStockMessage="", outStockMessage="")

# No example of the whole record is known; the fields are those that the variant's `additionalcost` suggests.
ADDITIONALCOST = ID + STAMPS + text(title="") + plain(costExcl=0, costIncl=0) + one(tax="taxes")

# Plain ids here, not links: seen live.
QUANTITY_DISCOUNT = (
    ID
    + STAMPS
    + plain(product=0, variant=0, quantity=1, price=0, percentage=0, isPercentage=False, customerGroup=0)
    + plain(startDate="", endDate="")
)

DISCOUNT = (
    ID
    + STAMPS
    + plain(isActive=True, startDate="", endDate="", type="percentage", discount=0, applyTo="productscategories")
    + plain(
        shipment="default", usageLimit=0, timesUsed=0, minimumAmount=0, before_tax=True, minimum_after=True, code=""
    )
    + embeds(categories="categories", products="products")
)

DISCOUNT_RULE = (
    ID
    + plain(type="get_x_discount_in_y_categories", title="", position=0, maximumUses=0, countUsed=0)
    + plain(startDate="", createdAt="", modifiedAt="", endDate="", isActive=True, isStop=False)
    + plain(discountAmount="0", discountType="currency")
    + ones(categories="categories")
    + plain(customer_groups=[], minCategoryAmount="0", minCategoryProducts="0")
)

REVIEW = (
    ID
    + STAMPS
    + plain(isVisible=True, score=5, name="", content="")
    + one(customer="customers")
    + LANGUAGE
    + one(product="products")
)
