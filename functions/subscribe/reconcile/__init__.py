"""Notices what was deleted in the shop, and lands tombstones."""
