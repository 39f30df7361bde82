-- Stock by variant: the stock level of each variant with stock tracking, the lowest first
SELECT v.id AS variant_id, p.title AS product, v.title AS variant, v.sku, v.stock_level, v.stock_alert
FROM variants_current AS v
LEFT JOIN products_current AS p ON p.connection = v.connection AND p.lang = v.lang AND p.id = v.product_id
WHERE v.stock_tracking <> 'disabled'
ORDER BY v.stock_level, v.id
