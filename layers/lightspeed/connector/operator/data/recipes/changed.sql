-- What changed since yesterday: orders created or changed since a day (since: yesterday)
-- since: -1 day
SELECT id, number, status, created_at, updated_at,
  CASE WHEN try(from_iso8601_timestamp(created_at)) >= from_iso8601_timestamp(:since) THEN 'created'
  ELSE 'changed' END AS what
FROM orders_current
WHERE try(from_iso8601_timestamp(coalesce(updated_at, created_at))) >= from_iso8601_timestamp(:since)
ORDER BY try(from_iso8601_timestamp(updated_at)), id
