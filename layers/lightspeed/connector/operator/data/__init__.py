"""Query the stored records: views, queries, schemas, and the tables of Athena."""
