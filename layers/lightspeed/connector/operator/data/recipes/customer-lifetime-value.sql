-- Customer lifetime value: orders and revenue of each customer, the most valuable first
SELECT o.connection, o.customer_id, count(o.id) AS orders, sum(o.price_incl) AS revenue_incl,
  max(substr(o.created_at, 1, 10)) AS last_order
FROM orders_current AS o
WHERE o.status <> 'cancelled' AND o.customer_id <> 'false'
GROUP BY o.connection, o.customer_id
ORDER BY revenue_incl DESC, o.customer_id
