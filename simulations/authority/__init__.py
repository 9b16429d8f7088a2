"""The authority in simulations: a log where speed matters, the real SQLite, a model of Postgres.

``LogAuthority`` and ``LogReplica`` know no entity and cost next to nothing: membership swarms use
them. ``sqlite`` and ``postgres`` run the very plans and engines of ``store`` in virtual time.
"""

from simulations.authority.log import EMPTY, LogAuthority, LogInstallation, LogReplica, chain

__all__ = ["EMPTY", "LogAuthority", "LogInstallation", "LogReplica", "chain"]
