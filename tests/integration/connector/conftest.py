"""The bundle that every test here runs on."""

from tests.integration.subscribe.bundle import aws, bundle, clock, shop

__all__ = ["aws", "bundle", "clock", "shop"]
