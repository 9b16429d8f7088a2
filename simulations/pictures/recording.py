"""What a world looked like, a few times a second: how each node was, what the others held it for,
how far it was behind, and who reached whom.

Looking changes nothing: the run has the trace that it has without.
"""

from collections import Counter
from typing import NamedTuple

from simulations.node import Node
from simulations.world import World

STEP_SECONDS = 0.25
STATUSES = ("alive", "suspect", "failed", "left")
"""What others hold a node for, as it is drawn; the rest don't list it."""


class Seen(NamedTuple):
    """One node at one moment."""

    condition: str
    """``runs``, ``stands still``, ``leaves``, ``is down``, ``has no power`` or ``not begun``."""
    held: tuple[int, ...]
    """How many other running nodes hold it for each of ``STATUSES``."""
    observers: int
    """Of so many."""
    behind: int | None
    """Revisions below the authority's head; None while it doesn't run."""
    apart: bool
    """Whether it runs and is cut off from the largest part of those that run."""


class Moment(NamedTuple):
    """All nodes, in order."""

    at: float
    nodes: tuple[Seen, ...]
    authority: bool
    """Whether it answers."""


class Recording:
    """Looks at a world from its making on."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.moments: list[Moment] = []
        self._look()

    def _look(self) -> None:
        world = self._world
        running = [node for node in world.nodes if node.running]
        views = {
            node.index: {member.id: member.status for member in node.members()}
            for node in running
            if not node.paused
        }
        largest = _largest(world, running)
        head = world.authority.head().version[2]
        seen = tuple(self._see(node, views, largest, head) for node in world.nodes)
        self.moments.append(Moment(world.now, seen, world.authority.available))
        world.schedule(STEP_SECONDS, self._look)

    def _see(
        self, node: Node, views: dict[int, dict[str, str]], largest: list[int], head: int
    ) -> Seen:
        held = Counter(
            "left" if view[node.id] == "leaving" else view[node.id]
            for index, view in views.items()
            if index != node.index and node.id in view
        )
        return Seen(
            _condition(node),
            tuple(held[status] for status in STATUSES),
            sum(index != node.index for index in views),
            max(0, head - node.replica.head()[0][2]) if node.running else None,
            node.running and node.index not in largest,
        )


def _condition(node: Node) -> str:
    if node.running:
        if node.paused:
            return "stands still"
        return "leaves" if node.left else "runs"
    if not node.life:
        return "not begun"
    return "is down" if node.power else "has no power"


def _largest(world: World, running: list[Node]) -> list[int]:
    """Indices of the largest group of nodes of which each reaches each over some others."""
    left = {node.index: None for node in running}
    groups: list[list[int]] = []
    while left:
        group = [next(iter(left))]
        del left[group[0]]
        for one in group:
            for other in list(left):
                if all(
                    world.network.passes(here, there, protocol)
                    for here, there in ((one, other), (other, one))
                    for protocol in ("udp", "tcp")
                ):
                    del left[other]
                    group.append(other)
        groups.append(group)
    return max(groups, key=len, default=[])
