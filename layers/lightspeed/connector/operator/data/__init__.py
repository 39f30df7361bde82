"""Ask the stored records: views, queries, schemas, and the catalogue of Athena."""
