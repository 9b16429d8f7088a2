"""The node's configuration: one table of keys (settings.py), read from flags, variables, file."""
