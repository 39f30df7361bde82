-- Late orders: orders that await shipment or pickup, created before a day (before: 3 days ago)
-- before: -3 days
SELECT id, number, created_at, status, price_incl
FROM orders_current
WHERE status IN ('processing_awaiting_shipment', 'processing_ready_for_pickup')
  AND try(from_iso8601_timestamp(created_at)) < from_iso8601_timestamp(:before)
ORDER BY try(from_iso8601_timestamp(created_at)), id
