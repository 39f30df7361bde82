-- The views of an entity: the same text in Athena and DuckDB. {name} is the entity as SQL has it. Each view is based on
-- the relations before it. {of_raw} and {of_latest} are the columns that are taken out of a record.

-- view: {name}_tombstones
SELECT r.connection, r.lang, r."date", p.run_id, p.started,
  json_extract_scalar(r.json, '$.id') AS id,
  json_extract_scalar(r.json, '$.last_seen') AS last_seen,
  json_extract_scalar(r.json, '$.noticed_at') AS noticed_at
FROM {name}_deleted AS r
JOIN {name}_parts AS p ON r."$path" = p.path

-- view: {name}
SELECT r.connection, r.lang, r."date", p.run_id, p.started,
  {of_raw},
  r.json
FROM {name}_raw AS r
JOIN {name}_parts AS p ON r."$path" = p.path

-- The versions that rank lowest because their time cannot be read.
-- view: {name}_unreadable
SELECT connection, lang, run_id, started, id, coalesce(updated_at, created_at) AS moment
FROM {name}
WHERE coalesce(updated_at, created_at) IS NOT NULL
  AND try(from_iso8601_timestamp(coalesce(updated_at, created_at))) IS NULL

-- The records that no run stored after their tombstone was written.
-- view: {name}_gone
SELECT t.connection, t.id, max(t.noticed_at) AS noticed_at
FROM {name}_tombstones AS t
JOIN {name} AS v ON v.connection = t.connection AND v.id = t.id
GROUP BY t.connection, t.id
HAVING max(t.noticed_at) >= max(v.started)

-- view: {name}_current
SELECT l.connection, l.lang, l."date", l.run_id, l.started,
  {of_latest},
  l.json
FROM (SELECT connection, lang, parent_id, id,
    max_by("date", version) AS "date", max_by(run_id, version) AS run_id, max_by(started, version) AS started,
    max_by(json, version) AS json
  FROM (SELECT connection, lang, "date", run_id, started, parent_id, id, json,
    row(CASE WHEN coalesce(updated_at, created_at) IS NULL THEN from_iso8601_timestamp('0001-01-01T00:00:00Z')
      ELSE coalesce(try(from_iso8601_timestamp(coalesce(updated_at, created_at))), from_iso8601_timestamp('0001-01-01T00:00:00Z')) END,
      started, run_id) AS version
  FROM {name}) AS ranked
  GROUP BY connection, lang, parent_id, id) AS l
LEFT JOIN {name}_gone AS g ON g.connection = l.connection AND g.id = l.id
WHERE g.id IS NULL
