"""Read models: tables in DuckDB that are fed from the log and from nothing else. They know the shape of entries, not the rules."""
