-- Order lines with products: each line with its order and the present title of its product
SELECT l.order_id, o.number, o.created_at, l.id AS line_id, l.product_title, p.title AS product_now,
  l.quantity_ordered, l.price_incl
FROM orders_products_current AS l
LEFT JOIN orders_current AS o ON o.connection = l.connection AND o.lang = l.lang AND o.id = l.order_id
LEFT JOIN products_current AS p ON p.connection = l.connection AND p.lang = l.lang AND p.id = l.product_id
ORDER BY l.order_id, l.id
