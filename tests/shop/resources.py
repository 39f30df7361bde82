"""The resources that are lists of records, by name."""

from .resource import Resource
from .resources_orders import ORDERS
from .resources_products import PRODUCTS
from .resources_settings import SETTINGS

RESOURCES: tuple[Resource, ...] = (*PRODUCTS, *ORDERS, *SETTINGS)
BY_NAME = {resource.name: resource for resource in RESOURCES}
