-- Revenue per day: orders that are not cancelled, by the day of their creation
SELECT substr(created_at, 1, 10) AS day, count(id) AS orders, sum(price_incl) AS revenue_incl,
  sum(price_excl) AS revenue_excl
FROM orders_current
WHERE status <> 'cancelled'
GROUP BY substr(created_at, 1, 10)
ORDER BY day
