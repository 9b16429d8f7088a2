"""What operators do, and an authority that is away."""

import random

from simulations.faults.kind import Timed, duration
from simulations.operations import (
    AuthorityAway,
    Crash,
    Cut,
    ForceOut,
    Install,
    Leave,
    Mend,
    Name,
    Rotate,
    Silence,
    Start,
    Stranger,
)
from simulations.software import FIRST, LAST, NEXT


def leave(rng: random.Random, nodes: int) -> list[Timed]:
    """A node leaves, sometimes not to the end, and comes back."""
    node = rng.randrange(nodes)
    return [(0.0, Leave(node, rng.random() < 0.5)), (2.0 + duration(rng), Start(node))]


def namesake(rng: random.Random, nodes: int) -> list[Timed]:
    """A node comes back under another one's name, which is there, or has just died."""
    if nodes == 1:
        return []
    node, other = rng.sample(range(nodes), 2)
    if rng.random() < 0.5:
        # The one that may have to yield, since the lower id keeps a name.
        node, other = max(node, other), min(node, other)
    gap = duration(rng) / 10
    timed: list[Timed] = [(0.0, Crash(node)), (0.0, Name(node, other))]
    if rng.random() < 0.6:
        timed += [(0.0, Silence(other)), (gap + duration(rng), Start(other))]
    return [*timed, (gap, Start(node))]


def stranger(rng: random.Random, nodes: int) -> list[Timed]:
    """A node of another cluster calls at our seeds."""
    return [(0.0, Stranger(duration(rng)))]


def force_out(rng: random.Random, nodes: int) -> list[Timed]:
    """An operator makes a node leave that is dead, cut off, or well; it is started again later."""
    if nodes == 1:
        return []
    by, node = rng.sample(range(nodes), 2)
    others = [other for other in range(nodes) if other != node]
    again = 1.0 + duration(rng)
    timed: list[Timed] = [
        (0.5, ForceOut(by, node)),
        (again, Crash(node)),
        (again + 0.5, Start(node)),
    ]
    case = rng.choice(["dead", "cut off", "well", "well", "well"])
    if case == "dead":
        timed.append((0.0, Crash(node)))
    elif case == "cut off":
        mended = 0.5 + duration(rng)
        timed += [(0.0, Cut([node], others)), (0.0, Cut(others, [node]))]
        timed += [(mended, Mend([node], others)), (mended, Mend(others, [node]))]
    if rng.random() < 0.3:
        timed += [(0.0, AuthorityAway()), (duration(rng), AuthorityAway(away=False))]
    return sorted(timed, key=lambda one: one[0])


def upgrade(rng: random.Random, nodes: int) -> list[Timed]:
    """Nodes restart with newer software one after another, all or as far as it goes; sometimes back
    again, or on to software that no longer speaks the first version."""
    gap = 0.2 * 50.0 ** rng.random()
    order = rng.sample(range(nodes), rng.choice([nodes, rng.randrange(1, nodes + 1)]))
    rounds = rng.choice([[NEXT], [NEXT, FIRST], [NEXT, LAST]])
    timed: list[Timed] = []
    for number, software in enumerate(rounds):
        for place, node in enumerate(order):
            at = (number * nodes + place) * gap
            timed += [(at, Install(node, software)), (at, Crash(node)), (at + 0.1, Start(node))]
    return timed


def rotation(rng: random.Random, nodes: int) -> list[Timed]:
    """Keys are changed, whether or not all have heard of the step before."""
    gap = 20.0 * rng.random()
    return [(step * gap, Rotate(rng.randrange(nodes))) for step in range(rng.randrange(1, 6))]


def outage(rng: random.Random, nodes: int) -> list[Timed]:
    """The authority is away for a while."""
    return [(0.0, AuthorityAway()), (duration(rng), AuthorityAway(away=False))]
