"""Everything that touches the world: stores, clocks, keys, files, processes, DuckDB, the command line. No rule lives here."""
