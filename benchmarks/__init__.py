"""Programs that measure; each prints a table and a JSON line."""
