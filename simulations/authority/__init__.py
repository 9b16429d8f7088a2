"""The authority in simulations: a log where speed matters, the real SQLite, a model of Postgres.

``LogAuthority`` and ``LogReplica`` know no entity and cost next to nothing: membership swarms use
them. ``EntityReplica`` is the real replica over the same authority. ``sqlite`` and ``postgres`` run
the very plans and engines of ``store`` in virtual time.
"""

from simulations.authority.entities import EntityReplica
from simulations.authority.log import EMPTY, LogAuthority, LogInstallation, LogReplica, chain

SimulatedReplica = LogReplica | EntityReplica

__all__ = [
    "EMPTY",
    "EntityReplica",
    "LogAuthority",
    "LogInstallation",
    "LogReplica",
    "SimulatedReplica",
    "chain",
]
