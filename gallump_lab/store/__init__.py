"""All that touches DuckDB: connection, schema and migrations, snapshot, cache."""
