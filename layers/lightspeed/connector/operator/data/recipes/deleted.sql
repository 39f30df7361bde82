-- Deleted this week: products found deleted since a day (since: 7 days ago)
-- since: -7 days
SELECT g.connection, g.id, max_by(p.title, p.started) AS title, max(g.noticed_at) AS noticed_at
FROM products_gone AS g
JOIN products AS p ON p.connection = g.connection AND p.id = g.id
WHERE try(from_iso8601_timestamp(g.noticed_at)) >= from_iso8601_timestamp(:since)
GROUP BY g.connection, g.id
ORDER BY noticed_at, g.id
