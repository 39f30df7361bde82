"""Mode reconcile: find records that were deleted in the shop, and store tombstones."""
