"""The bundle that the canary sings in."""

from tests.integration.subscribe.bundle import aws, bundle, clock, shop

__all__ = ["aws", "bundle", "clock", "shop"]
