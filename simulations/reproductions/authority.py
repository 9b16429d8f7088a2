"""What a cluster asks of its authority, by size: nodes that poll as production's do."""

import random

from simulations.links import Link
from simulations.node import Node
from simulations.report import Cell, Report, Series, Table
from simulations.reproductions.figures import sizes_to
from simulations.settings import Settings
from simulations.world import World
from store.poll import Poll, patience

_LISTENERS = 3
"""Of the live nodes so many listen for commits, and look without waiting for others to."""
_TURN_SECONDS = 1.0
_WARM_UP_SECONDS = 30.0
_KEEPALIVE_SECONDS = 4.0
"""How long a connection is kept that nobody uses (``pg_keepalive_timeout``)."""


class Asking:
    """One node's ties to the authority."""

    def __init__(self, world: World, node: Node, interval: float) -> None:
        self._world = world
        self.node = node
        self._interval = interval
        self._poll = Poll(
            interval, random.Random(world.rng.getrandbits(64)), node.now(), self._patience
        )
        self.looks = 0
        self._used_at = -_KEEPALIVE_SECONDS
        world.schedule(world.rng.random() * _TURN_SECONDS, self._turn)

    def used(self) -> None:
        """A connection of its pool is used."""
        self._used_at = self._world.now

    def connections(self) -> int:
        """Those open: one that listens, and one that was used not long ago."""
        return self._listens() + (self._world.now - self._used_at < _KEEPALIVE_SECONDS)

    def _turn(self) -> None:
        node, world = self.node, self._world
        world.schedule(_TURN_SECONDS, self._turn)
        now = node.now()
        self._poll.confirmed(now - node.core.confirmation_age(now))
        if self._poll.due(now):
            self.looks += 1
            self.used()
            node.core.authority_confirmed(world.authority.head(), now, self._listeners())
            node.flush()

    def _listeners(self) -> list[str]:
        return [one for one, _ in self.node.alive_seen()[:_LISTENERS]]

    def _listens(self) -> bool:
        return self.node.id in self._listeners()

    def _patience(self) -> float:
        return 0.0 if self._listens() else patience(self._interval, len(self.node.alive_seen()))


def authority_load(nodes: int, seed: int, settings: Settings) -> Report:
    """Looks at the authority and connections to it in ten minutes, idle and written to, by size.

    Sizes up to --nodes (--set sizes=3,10,…); interval is ``db_update_frequency``. What Postgres
    itself counts of real processes is ``make bench-authority-load``.
    """
    sizes = settings.numbers("sizes", sizes_to(nodes), 1, 2_000)
    seconds = settings.get("seconds", 600.0, 1.0, 1e6)
    interval = settings.get("interval", 5.0, 0.1, 1e4)
    profile, link = settings.profile(), settings.link(Link(loss=0.01))
    settings.check_used()
    series, rows, measures = Series(), list[list[Cell]](), dict[str, float]()
    for size in sizes:
        for writes in (0, 1):
            settings.progress(len(rows), 2 * len(sizes))
            world = World(size, seed, profile, link)
            world.begin_formed()
            asking = [Asking(world, node, interval) for node in world.nodes]
            world.run(_WARM_UP_SECONDS)
            before = sum(one.looks for one in asking)
            most = _live(world, asking, seconds, writes)
            looks = sum(one.looks for one in asking) - before
            per_interval = looks / (seconds / interval)
            series.add(world)
            # A commit is a statement more, at whatever node a client has chosen.
            statements = 60 * looks / seconds + 60 * writes
            rows.append([size, f"{writes}", per_interval, statements, most])
            measures[f"n{size}_writes{writes}_looks_per_interval"] = per_interval
            measures[f"n{size}_writes{writes}_connections"] = float(most)
    table = Table(
        f"What is asked of the authority in {seconds:g} s, looking every {interval:g} s",
        ("n", "writes a second", "looks per interval", "statements a minute", "connections, most"),
        rows,
        ["A look: the head is read. All writes at one node. Connections: those that listen, and "
         f"those used within {_KEEPALIVE_SECONDS:g} s."],
    )  # fmt: skip
    return series.report(measures, [table], "safety")


def _live(world: World, asking: list[Asking], seconds: float, writes: int) -> int:
    """Let so long pass; answers the most connections that were open at once."""
    most, end = 0, world.now + seconds
    while world.now < end:
        world.run(1.0)
        if writes:
            asking[0].used()
            world.commit(asking[0].node.index, world.rng.randbytes(100))
        most = max(most, sum(one.connections() for one in asking))
    return most
