"""The simulated authorities that writers use, each with the faults that it knows."""

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from simulations.authority.postgres.bootstrap import bootstrapped
from simulations.authority.postgres.cluster import Cluster
from simulations.authority.postgres.driver import Driver
from simulations.authority.postgres.server import Server
from simulations.authority.sqlite import SqliteFile, SqliteModel
from simulations.clock import Clock
from store.engine import Engine
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress, PostgresHost

if TYPE_CHECKING:
    from simulations.authority.writers import Writer

ADDRESS = PostgresAddress(
    (PostgresHost("db1"), PostgresHost("db2")), "grapevine", "grapevine", timeout=3.0
)


class PostgresGround:
    """A primary and its standby, which may take over with or without all commits."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        trip = rng.choice((0.000_1, 0.001, 0.02))
        self.cluster = Cluster(
            clock, rng, bootstrapped(rng), delay=lambda: trip * rng.uniform(0.5, 3.0)
        )
        self._primary = self.cluster.servers["db1"]
        self._standby = self.cluster.add("db2", self._primary.database.copy())
        lag = rng.choice((0.001, 0.05, 1.0))
        self._lag: Callable[[], float] = lambda: lag * rng.uniform(0.2, 2.0)
        self.waits_for_standby = rng.random() < 0.7
        self._stream = self._follow()
        self.lost = 0
        """Revisions that failovers have lost."""
        self._drivers: dict[str, Driver] = {}
        self._changing = False

    def engine(self, name: str, *, died: Callable[[], None], **sources: Any) -> Engine:
        driver = self._drivers.setdefault(name, Driver(self.cluster, name))
        return PostgresAuthority(ADDRESS, driver=driver, **sources)

    def cut(self, name: str, *, deliver: bool) -> None:
        self._drivers[name].cut(deliver=deliver, tell=self._rng.random() < 0.8)

    def disturb(self, writers: "Sequence[Writer]") -> None:
        rng, after = self._rng, self._clock.after
        name = rng.choice(writers).name
        host = rng.choice(("db1", "db2"))
        seconds = rng.choice((0.01, 0.5, 4.0, 12.0))
        connections = list(self._drivers[name].connections) if name in self._drivers else []
        match rng.randrange(9):
            case 0 | 1 | 2 if connections:
                rng.choice(connections).break_(deliver=rng.random() < 0.5)
            case 3 if connections:
                wire = rng.choice(connections).wire
                wire.hold()
                after(seconds, wire.release)
            case 4:
                self.cluster.cut(name, host)
                after(seconds, self.cluster.mend, name, host)
            case 5:
                self._primary.crash()
                after(seconds, self._restart, self._primary)
            case 6:
                self._primary.end_sessions()
            case 7:
                self._fail_over(seconds)
            case _:
                self._stream.held = True
                after(min(seconds, 2.0), self._stream.go_on)

    def heal(self) -> None:
        for name in self._drivers:
            for host in self.cluster.servers:
                self.cluster.mend(name, host)
            for connection in self._drivers[name].connections:
                connection.wire.release()
        self._primary.start()
        if self._changing:
            self._rejoin()
        self._stream.go_on()

    def _restart(self, server: Server) -> None:
        """Unless another one has taken over: two that take writes would be two histories."""
        if server is self._primary:
            server.start()

    def _fail_over(self, seconds: float) -> None:
        """The primary dies, the standby takes over; later the old one comes back as a standby."""
        if self._changing or not self._standby.up:
            return
        self._changing = True
        self._primary.crash()
        self.cluster.promote(self._standby)
        self.lost += _revision(self._primary) - _revision(self._standby)
        self._primary, self._standby = self._standby, self._primary
        self._clock.after(seconds, self._rejoin)

    def _rejoin(self) -> None:
        if not self._changing:
            return
        self._standby.start()
        self._stream = self._follow()
        self._changing = False

    def _follow(self) -> Any:
        return self.cluster.follow(
            self._standby, self._primary, self._lag, wait=self.waits_for_standby
        )


def _revision(server: Server) -> int:
    (head,) = server.database.rows("head")
    revision: int = head["revision"]
    return revision


class SqliteGround:
    """One file that all processes share."""

    lost = 0

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._file = SqliteFile.bootstrapped(clock, rng)

    def engine(self, name: str, *, died: Callable[[], None], **sources: Any) -> Engine:
        return SqliteModel(self._file, died=died, **sources)

    def cut(self, name: str, *, deliver: bool) -> None:
        """A call is one event: a process dies before or after it, or by ``dies_after``."""

    def disturb(self, writers: "Sequence[Writer]") -> None:
        rng, file = self._rng, self._file
        match rng.randrange(4):
            case 0:
                file.lock(rng.choice((0.01, 0.5, 4.0, 8.0)))
            case 1:
                file.next_commit = rng.choice(("done", "undone"))
            case 2:
                file.dies_after = rng.randrange(12)
            case _:
                file.broken = "disk I/O error"
                self._clock.after(rng.choice((0.01, 0.5, 4.0)), self._mend)

    def heal(self) -> None:
        self._mend()
        self._file.next_commit = self._file.dies_after = None

    def _mend(self) -> None:
        self._file.broken = ""
