"""The simulated authorities that writers use, each with the faults that it knows."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from simulations.authority.postgres.bootstrap import bootstrapped
from simulations.authority.postgres.cluster import Cluster
from simulations.authority.postgres.driver import Connection, Driver
from simulations.authority.postgres.server import Server
from simulations.authority.postgres.tables import Values
from simulations.authority.sqlite import SqliteFile, SqliteModel
from simulations.clock import Clock
from store.authority import Mutation
from store.engine import Engine
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress, PostgresHost
from store.schema.entity import Schema
from store.transaction import WriteRequest

Image = TypeVar("Image")

ADDRESS = PostgresAddress(
    (PostgresHost("db1"), PostgresHost("db2")), "grapevine", "grapevine", timeout=3.0
)


class Lost:
    """What a database had committed and then lost."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Values] = {}
        """Log rows by their chain."""
        self.returned: dict[bytes, None] = {}
        """Those that were lost, and then brought back by an image."""

    def note(self, before: list[Values], after: list[Values]) -> None:
        """The log was this, and is that."""
        self.rows.update((row["chain"], row) for row in before)
        for row in after:
            if self.rows.pop(row["chain"], None) is not None and row not in before:
                self.returned[row["chain"]] = None


class Ground(Protocol):
    """An authority and its faults."""

    lost: "Lost"

    def engine(self, name: str, *, died: Callable[[], None], **sources: Any) -> Engine:
        """One process's tie to it. ``sources`` are the engine's of time and randomness; ``died`` is
        called when the process dies by itself."""

    def cut(self, name: str, *, deliver: bool) -> None:
        """A process ends: so do its connections."""

    def disturb(self, names: Sequence[str]) -> None:
        """Do some harm now to one of these processes or to all, and undo it later."""

    def remember(self) -> None:
        """Take an image of it as it is."""

    def rewind(self) -> None:
        """Put an image in its place: what has been committed since is lost."""

    @property
    def log(self) -> list[Values]:
        """The rows of its log, in order."""

    def heal(self) -> None:
        """End all faults."""


class PostgresGround:
    """A primary and its standby, which may take over with or without all commits."""

    def __init__(self, clock: Clock, rng: random.Random, *, lossless: bool = False) -> None:
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
        self._lossless = lossless
        """Whether a standby takes over only when it has all that the primary has flushed."""
        self._waits = rng.random() < 0.7 or lossless
        self._stream = self._follow()
        self.lost = Lost()
        self._images = [self._primary.database.copy()]
        self._drivers: dict[str, Driver] = {}
        self._changing = False

    def engine(self, name: str, *, died: Callable[[], None], **sources: Any) -> Engine:
        driver = self._drivers.setdefault(name, Driver(self.cluster, name))
        return PostgresAuthority(ADDRESS, driver=driver, **sources)

    def cut(self, name: str, *, deliver: bool) -> None:
        self._drivers[name].cut(deliver=deliver, tell=self._rng.random() < 0.8)

    def disturb(self, names: Sequence[str]) -> None:
        rng, after = self._rng, self._clock.after
        name = rng.choice(names)
        host = rng.choice(("db1", "db2"))
        seconds = rng.choice((0.01, 0.5, 4.0, 12.0))
        driver = self._drivers.get(name)
        connections = list(driver.connections) if driver is not None else []
        match rng.randrange(10):
            case 0 if connections:
                rng.choice(connections).break_(deliver=rng.random() < 0.5)
            case 1 if connections:
                self._stall(rng.choice(connections), seconds)
            case 2 if driver is not None:
                deliver = rng.random() < 0.5
                driver.at_commit = lambda connection: connection.break_(deliver=deliver)
            case 3 | 9 if driver is not None:
                driver.at_commit = lambda connection: self._stall(connection, seconds)
            case 4:
                self.cluster.cut(name, host)
                after(seconds, self.cluster.mend, name, host)
            case 5:
                self._primary.crash()
                after(seconds, self._restart, self._primary)
            case 6:
                self._primary.end_sessions()
            case 7:
                self.fail_over(seconds)
            case _:
                self._stream.held = True
                after(min(seconds, 2.0), self._stream.go_on)

    @property
    def log(self) -> list[Values]:
        """The log's rows at the server that takes writes, or took them last."""
        rows = self._primary.database.rows("log")
        return sorted(rows, key=lambda row: int(row["revision"]))

    def heal(self) -> None:
        for name in self._drivers:
            self._drivers[name].at_commit = None
            for host in self.cluster.servers:
                self.cluster.mend(name, host)
            for connection in self._drivers[name].connections:
                connection.wire.release()
        self._primary.start()
        if self._changing:
            self._rejoin()
        self._stream.go_on()

    def _stall(self, connection: Connection, seconds: float) -> None:
        """Nothing passes for a while, and then all that was sent."""
        connection.wire.hold()
        self._clock.after(seconds, connection.wire.release)

    def _restart(self, server: Server) -> None:
        """Unless another one has taken over: two that take writes would be two histories."""
        if server is self._primary:
            server.start()

    def fail_over(self, seconds: float) -> None:
        """The primary dies, the standby takes over; later the old one comes back as a standby."""
        if self._changing or not self._standby.up:
            return
        self._changing = True
        self._primary.crash()
        if self._lossless:
            self._stream.held = False
            self._stream.arrive(len(self._primary.database.log))
        self.cluster.promote(self._standby)
        before = self.log
        self._primary, self._standby = self._standby, self._primary
        self.lost.note(before, self.log)
        self._clock.after(seconds, self._rejoin)

    def remember(self) -> None:
        self._images.append(self._primary.database.copy())

    def rewind(self) -> None:
        """From a backup; the standby begins anew as a copy."""
        if self._changing or not self._primary.up:
            return
        self._primary.crash()
        before = self.log
        self.cluster.restore(self._primary, _one_of(self._images, self._rng))
        self._primary.start()
        self._stream = self._follow()
        self.lost.note(before, self.log)

    def _rejoin(self) -> None:
        if not self._changing:
            return
        self._standby.start()
        self._stream = self._follow()
        self._changing = False

    def _follow(self) -> Any:
        return self.cluster.follow(self._standby, self._primary, self._lag, wait=self._waits)


def _one_of(images: list[Image], rng: random.Random) -> Image:
    """The last one rather than another."""
    return rng.choice((rng.choice(images), images[-1]))


def with_schemas(engine: Engine, schemas: dict[str, Schema]) -> Engine:
    """Let an engine know these kinds instead of Kong's."""
    make = engine._request

    def request(mutations: Sequence[Mutation], origin: str, write_id: bytes | None) -> WriteRequest:
        return replace(make(mutations, origin, write_id), schemas=schemas.__getitem__)

    engine._request = request  # type: ignore[method-assign]
    return engine


class SqliteGround:
    """One file that all processes share."""

    def __init__(self, clock: Clock, rng: random.Random, file: SqliteFile | None = None) -> None:
        self._clock = clock
        self._rng = rng
        self._file = file or SqliteFile.bootstrapped(clock, rng)
        self.lost = Lost()
        self._images = [self._file.image()] if self._file.has_tables else []

    def engine(self, name: str, *, died: Callable[[], None], **sources: Any) -> Engine:
        return SqliteModel(self._file, died=died, **sources)

    def cut(self, name: str, *, deliver: bool) -> None:
        """A call is one event: a process dies before or after it, or by ``dies_after``."""

    def disturb(self, names: Sequence[str]) -> None:
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

    def remember(self) -> None:
        self._images.append(self._file.image())

    def rewind(self) -> None:
        before = self.log
        self._file.restore(_one_of(self._images, self._rng))
        self.lost.note(before, self.log)

    @property
    def log(self) -> list[Values]:
        return self._file.log()

    def heal(self) -> None:
        self._mend()
        self._file.next_commit = self._file.dies_after = None

    def _mend(self) -> None:
        self._file.broken = ""
