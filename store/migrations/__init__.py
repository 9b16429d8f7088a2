"""Migrations: numbered SQL files, and who runs them.

A migration is a pair of files, ``NNNN_name.pre.sql`` and (where needed) ``NNNN_name.post.sql``.
``pre`` runs before nodes of the new version start and leaves the old ones working; ``post`` runs
after the last old node is gone (Kong's ``up`` and ``finish``).
"""
