"""A deterministic model of Postgres: what of it the write rule relies on, and how it fails.

``syntax`` and ``parser``: the SQL that plans emit, and nothing besides. ``tables``: row versions
and who sees them. ``execution``: statements, their locks and waits. ``server``: sessions,
time-outs, deadlocks. ``cluster``: standbys, failover, backups. ``wire`` and ``driver``: what stands
between it and asyncpg's users.
docs/decisions/0007 says why, and what it lacks.
"""
