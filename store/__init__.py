"""Entities and their schemas, the authority, and the replica (a node's cache of it)."""
