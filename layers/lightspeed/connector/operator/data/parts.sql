WITH replaced AS (
  SELECT 's3://{bucket}/' || r.key AS path
  FROM {table} AS m
  CROSS JOIN UNNEST(CAST(json_extract(m.json, '$.replaces') AS ARRAY(VARCHAR))) AS r(key)
)
SELECT 's3://{bucket}/' || json_extract_scalar(t.part, '$.key') AS path,
  coalesce(json_extract_scalar(t.part, '$.run_id'), json_extract_scalar(m.json, '$.run_id')) AS run_id,
  coalesce(json_extract_scalar(t.part, '$.started'), json_extract_scalar(m.json, '$.started')) AS started
FROM {table} AS m
CROSS JOIN UNNEST(CAST(json_extract(m.json, '$.parts') AS ARRAY(JSON))) AS t(part)
LEFT JOIN replaced AS o ON o.path = m."$path"
WHERE o.path IS NULL
UNION ALL
SELECT 's3://{bucket}/' || json_extract_scalar(t.part, '$.key') AS path,
  coalesce(json_extract_scalar(t.part, '$.run_id'), json_extract_scalar(m.json, '$.run_id')) AS run_id,
  coalesce(json_extract_scalar(t.part, '$.started'), json_extract_scalar(m.json, '$.started')) AS started
FROM {table} AS m
CROSS JOIN UNNEST(CAST(json_extract(m.json, '$.deleted') AS ARRAY(JSON))) AS t(part)
LEFT JOIN replaced AS o ON o.path = m."$path"
WHERE o.path IS NULL
