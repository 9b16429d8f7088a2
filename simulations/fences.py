"""A node's part in fences, as ``node.agent.fences`` plays it, and what must be true of each."""

from typing import TYPE_CHECKING, NamedTuple

from gossip.events import Event, FenceAsked, FenceEnded
from gossip.replica import Version

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World

_SLOW_SHARE = 0.2
_WORKERS_SECONDS = 0.05
"""How long the workers of a node take at most to serve what its replica holds."""


class _Begun(NamedTuple):
    version: Version
    lives: dict[int, int]
    """Which processes ran then: by the index of their node, its life."""


class PlayedFences:
    """Those of one node."""

    def __init__(self, world: "World", node: "Node") -> None:
        self._world = world
        self._node = node
        self._life = 0
        self._begun: dict[int, _Begun] = {}
        self._held: dict[int, Version] = {}

    def begin(self, version: Version, seconds: float) -> None:
        """A client wants to know that everyone has this version."""
        self._renew()
        node, world = self._node, self._world
        lives = {other.index: other.life for other in world.nodes if other.running}
        number = node.core.fence(version, seconds, node.now())
        self._begun[number] = _Begun(version, lives)
        node.flush()

    def told(self, event: Event) -> None:
        """What the core tells."""
        if isinstance(event, FenceAsked):
            self._renew()
            self._held[event.token] = event.version
            if self._world.rng.random() < _SLOW_SHARE:
                delay = self._world.rng.random() * _WORKERS_SECONDS
                self._world.schedule(delay, self._served, self._node.life)
            else:
                self.look()
        elif isinstance(event, FenceEnded):
            self._check(event, self._begun.pop(event.number))

    def look(self) -> None:
        """Answer what has been reached."""
        node = self._node
        if not self._held or self._life != node.life:
            return
        for token, version in list(self._held.items()):
            stands = node.replica.reach(version)
            if stands != "behind":
                del self._held[token]
                node.core.fence_answered(token, stands, node.now())

    def _served(self, life: int) -> None:
        node = self._node
        if node.running and node.life == life and not node.paused:
            self.look()
            node.flush()

    def _renew(self) -> None:
        """Nothing is left of an earlier process."""
        if self._life != self._node.life:
            self._life = self._node.life
            self._begun.clear()
            self._held.clear()

    def _check(self, event: FenceEnded, begun: _Begun) -> None:
        """Whoever is said to have it, has it: each process that ran all the time. Nobody is named
        that isn't there."""
        world, node = self._world, self._node
        assert event.version == begun.version
        where = f"node {node.index}'s fence of {event.version}"
        named = [name for names in event[2:] for name in names]
        # Those of their first configurations: others have been taken from one another.
        real = {f"node-{other.index}" for other in world.nodes}
        for name in named:
            assert name.partition("~")[0] in real, f"{where} names {name}, which is nobody"
        ids: dict[str, list[str]] = {}
        for member in node.members():
            ids.setdefault(member.name, []).append(member.id)
        for name in event.reached:
            for other in world.nodes:
                # Two that are about to settle which of them is called that may both be named.
                ambiguous = named.count(name) > 1 or self._has_double(other) or other.lies
                if ids.get(name) != [other.id] or ambiguous:
                    continue
                lives_on = other.running and begun.lives.get(other.index) == other.life
                assert not lives_on or other.replica.reach(event.version) != "behind", (
                    f"{where} says that {name} has it"
                )
        honest = {other.called for other in world.nodes if not other.lies}
        if len(honest) < len(world.nodes):
            assert not honest & {*event.forked}, f"{where}: an honest node is said to be apart"
        self._count(event)

    def _has_double(self, other: "Node") -> bool:
        return sum(1 for one in self._world.nodes if one.life and one.id == other.id) > 1

    def _count(self, event: FenceEnded) -> None:
        happened = self._world.happened
        if event.missing:
            happened("fence_missing")
        if event.unreachable:
            happened("fence_unreachable")
        if len(event.reached) > 1 and not (event.missing or event.unreachable or event.forked):
            happened("fence_complete")
