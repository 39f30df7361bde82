"""Other shapes: languages, taxes, methods, content, tickets, webhooks, scripts and themes."""

from .shapes import CREATED, ID, IMAGE, LANGUAGE, STAMPS, countries, many, one, plain, text, times

SHOP_ID = 1  # a number live; the documentation's example has a text

LANGUAGE_RECORD = ID + plain(isActive=True, isDefault=False, code="", locale="", title="")
COUNTRY = ID + plain(code="", code3="", title="")
TAX = ID + plain(isDefault=False, rate=0, title="")
TAX_OVERRIDE = ID + plain(rate=0) + countries(country="nl") + one(tax="taxes")
PAYMENT_METHOD = ID + plain(key="", title="")
SHIPPING_METHOD = (
    ID
    + plain(type="default", isBackofficeOnly=False, sortOrder=1, freeAbove=1000000, paymentPriceExcl=0)
    + plain(paymentPriceIncl=0)
    + text(title="", description="")
    + one(tax="taxes")
    + many(countries="shippingmethods/{id}/countries", values="shippingmethods/{id}/values")
)
SHIPPING_COUNTRY = ID + countries(country="nl")
# `weightMaximim` is the shop's own misspelling.
SHIPPING_VALUE = ID + plain(weightMinimum=0, weightMaximim=226798, priceExcl=0, priceIncl=0)

# The read keys are not evidenced; these are the usual ones of a place.
LOCATION = (
    ID + STAMPS + plain(title="", street="", number="", zipcode="", city="", isActive=True) + countries(country="nl")
)

BLOG = (
    ID
    + STAMPS
    + plain(sortOrder=0, commentable="no")
    + text(url="", title="")
    + many(articles="blogs/articles?blog={id}", comments="blogs/comments?blog={id}", tags="blogs/tags?blog={id}")
)
ARTICLE = (
    ID
    + STAMPS
    + times("publishedAt")
    + plain(isPublished=True)
    + text(url="", title="", author="", summary="", content="")
    + IMAGE
    + LANGUAGE
    + one(blog="blogs")
    + many(comments="blogs/comments?article={id}", tags="blogs/articles/tags?article={id}")
)
BLOG_TAG = ID + STAMPS + plain(url="", title="") + one(blog="blogs") + many(articles="blogs/articles/tags?tag={id}")
ARTICLE_TAG = ID + one(blog="blogs", article="blogs/articles", tag="blogs/tags")
COMMENT = (
    ID
    + STAMPS
    + plain(**{"isApproved": True, "from": "customer", "name": "", "email": "", "content": ""})
    + LANGUAGE
    + one(blog="blogs", article="blogs/articles", customer="customers")
)
TEXTPAGE = ID + STAMPS + plain(isLocked=False, isVisible=True, sortOrder=1) + text(url="", title="", content="")
FILE = ID + STAMPS + plain(type="image", extension="png", size=0, title="", src="")
REDIRECT = ID + STAMPS + plain(isPermanent=True, url="", target="")
THEME_CATEGORY = ID + plain(shopId=1, categoryId=0, sortOrder=1)
THEME_PRODUCT = ID + plain(productId=0, sortOrder=0)

CONTACT = ID + CREATED + plain(name="", company="", email="", phone="", subject="", message="") + LANGUAGE
GROUP = ID + STAMPS + plain(title="") + many(customers="groups/customers?group={id}")
GROUPS_CUSTOMER = ID + one(group="groups", customer="customers")
SUBSCRIPTION = (
    ID + STAMPS + plain(isConfirmed=False, email="", firstname="", lastname="", doNotifyConfirmed=False) + LANGUAGE
)
TICKET = (
    ID
    + STAMPS
    + plain(isAnswered=False, isClosed=False, isTodo=False, subject="", memo="", doNotifyAnswered=False)
    + LANGUAGE
    + one(customer="customers")
    + many(messages="tickets/{id}/messages")
)
TICKET_MESSAGE = ID + STAMPS + plain(**{"from": "customer", "message": ""})

EXTERNAL_SERVICE = ID + plain(type="payment", name="", urlEndpoint="", isActive=True) + STAMPS
WEBHOOK = ID + STAMPS + plain(isActive=True, itemGroup="", itemAction="*") + LANGUAGE + plain(format="json", address="")
SCRIPT = ID + STAMPS + plain(url=None, body=None, location="body")
TRACKING = ID + STAMPS + plain(isEnabled=True, content="")

ACCOUNT = (
    plain(id=0, appId=False, apiKey="")
    + many(signout="account/signout", permissions="account/permissions", ratelimit="account/ratelimit")
    + many(metafields="account/metafields")
)
SHOP = (
    plain(id=SHOP_ID)
    + CREATED
    + plain(status="test", isB2b=False, isRetail=False, subDomain="", mainDomain="", email="", phone="", fax="")
    + plain(street="", street2="", zipcode="", city="", region="")
    + countries(country="nl")
    + plain(vatNumber="", cocNumber="", industry="", currency={})
    + many(company="shop/company", limits="shop/limits", javascript="shop/javascript", website="shop/website")
    + many(scripts="shop/scripts", metafields="shop/metafields")
)
COMPANY = (
    plain(name="", owner=None, cocNumber="", cocLocation=None, vatNumber="", nationalId="", phone="", email="", fax="")
    + plain(street="", street2="", zipcode="", city="", region="")
    + countries(country="nl")
    + plain(bankName="", bankAccountHolder="", bankAccountNumber="", bankLocation="", bankCode="", bankIban="")
    + plain(bankSwift="")
)
JAVASCRIPT = plain(isActive=False, script="")
WEBSITE = text(name="", title="", description="", keywords="")
