"""A streaming standby of a test's Postgres, which may be promoted."""

from collections.abc import Iterator
from contextlib import contextmanager

from node.demo.local_postgres import HOST, LocalPostgres
from simulations.real.postgres import Server
from simulations.real.relay import free_port


class Standby(Server):
    """Follows ``primary``, which runs, by streaming replication until it is promoted."""

    def __init__(self, primary: LocalPostgres) -> None:
        super().__init__(HOST, free_port(HOST), primary=primary)


@contextmanager
def running_standby(primary: LocalPostgres) -> Iterator[Standby]:
    """A standby that streams from a running primary."""
    standby = Standby(primary)
    try:
        standby.create()
        standby.start()
        yield standby
    finally:
        standby.remove()
