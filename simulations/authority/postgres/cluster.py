"""Several servers of one database: who follows whom, failover, backups, and cuts between machines.

A standby gets its primary's log of changes and applies it, commit by commit. What it hasn't got
when it is promoted is lost; with two servers that take writes there are two histories.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from simulations.authority.postgres.server import Server
from simulations.authority.postgres.session import PORT
from simulations.authority.postgres.tables import Database
from simulations.authority.postgres.wire import Wire
from simulations.clock import Clock


@dataclass(eq=False)
class Following:
    """A standby's stream from its primary. ``position``: how many of the primary's commits it has
    applied; ``lag`` draws how long one takes."""

    standby: Server
    primary: Server
    position: int
    lag: Callable[[], float]
    held: bool = False
    """Whether the stream is interrupted: it goes on from where it was."""
    ended: bool = False
    waiting: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    """Commits that are answered when it has them."""

    def send(self) -> None:
        """The primary's log has grown."""
        clock, upto = self.primary.clock, len(self.primary.database.log)
        clock.after(self.lag(), self.arrive, upto)

    def arrive(self, upto: int) -> None:
        """Apply the log up to a commit."""
        if self.held or self.ended or not self.standby.up:
            return
        log = self.primary.database.log
        while self.position < upto:
            self.standby.database.apply(log[self.position])
            self.position += 1
        while self.waiting and self.waiting[0][0] <= self.position:
            _, acknowledge = self.waiting.pop(0)
            self.primary.clock.after(self.lag() / 2, acknowledge)

    def go_on(self) -> None:
        self.held = False
        self.send()

    def wait(self, number: int, then: Callable[[], None]) -> None:
        self.waiting.append((number, then))


class Cluster:
    """Servers by host name. ``delay`` draws a trip between a client and a server, in seconds."""

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        database: Database,
        delay: Callable[[], float] | None = None,
    ) -> None:
        self.clock = clock
        self.rng = rng
        self.delay = delay or (lambda: rng.uniform(0.000_05, 0.000_5))
        self.servers: dict[str, Server] = {}
        self._following: dict[Server, Following] = {}
        self._cuts: dict[tuple[str, str], None] = {}
        self._wires: dict[tuple[str, str], list[Wire]] = {}
        self.add("db1", database)

    def add(self, host: str, database: Database) -> Server:
        """One more server, which takes writes."""
        server = Server(self.clock, self.rng, host, database)
        server.flushed = lambda: self._flushed(server)
        self.servers[host] = server
        return server

    def at(self, host: str, port: int) -> Server:
        if port != PORT or host not in self.servers:
            raise ConnectionRefusedError(111, "Connection refused")
        return self.servers[host]

    # Replication

    def follow(
        self, standby: Server, primary: Server, lag: Callable[[], float], *, wait: bool = False
    ) -> Following:
        """Begin anew as a copy of another server. ``wait``: its commits wait for this standby
        (synchronous_commit with synchronous_standby_names)."""
        self._end_following(standby)
        standby.end_sessions()
        standby.database = primary.database.copy()
        standby.read_only = True
        standby.timeline = primary.timeline
        position = len(primary.database.log)
        following = Following(standby, primary, position, lag)
        self._following[standby] = following
        primary.await_standby = following.wait if wait else None
        return following

    def promote(self, standby: Server) -> int:
        """It takes writes from now on; answers how many of its primary's commits it hasn't got."""
        following = self._following.get(standby)
        lost = 0
        if following is not None:
            lost = len(following.primary.database.log) - following.position
        self._end_following(standby)
        standby.read_only = False
        standby.timeline += 1
        return lost

    def restore(self, server: Server, backup: Database) -> None:
        """Put a backup (``Database.copy``) in its place."""
        server.end_sessions()
        server.database = backup.copy()
        server.timeline += 1

    def _end_following(self, standby: Server) -> None:
        following = self._following.pop(standby, None)
        if following is not None:
            following.ended = True
            if following.primary.await_standby == following.wait:
                following.primary.await_standby = None

    def _flushed(self, primary: Server) -> None:
        for following in self._following.values():
            if following.primary is primary:
                following.send()

    # The network

    def wire(self, client: str, server: Server) -> Wire:
        """A new connection's wire."""
        wire = Wire(self.clock, self.delay)
        self._wires.setdefault((client, server.name), []).append(wire)
        return wire

    def cut(self, client: str, host: str) -> None:
        """Nothing passes between a client's machine and a server's, and nobody is told."""
        self._cuts[client, host] = None
        for wire in self._wires.get((client, host), ()):
            wire.hold()

    def mend(self, client: str, host: str) -> None:
        """What TCP has kept in the meantime arrives now."""
        if self._cuts.pop((client, host), 0) is None:
            for wire in self._wires.get((client, host), ()):
                wire.release()

    def is_cut(self, client: str, server: Server) -> bool:
        return (client, server.name) in self._cuts
