"""What operators do, and an authority that is away."""

import random

from simulations.faults.kind import Timed, duration
from simulations.operations import AuthorityAway, Leave, Rotate, Start


def leave(rng: random.Random, nodes: int) -> list[Timed]:
    """A node leaves, sometimes not to the end, and comes back."""
    node = rng.randrange(nodes)
    return [(0.0, Leave(node, rng.random() < 0.5)), (2.0 + duration(rng), Start(node))]


def rotation(rng: random.Random, nodes: int) -> list[Timed]:
    """Keys are changed, whether or not all have heard of the step before."""
    gap = 20.0 * rng.random()
    return [(step * gap, Rotate(rng.randrange(nodes))) for step in range(rng.randrange(1, 6))]


def outage(rng: random.Random, nodes: int) -> list[Timed]:
    """The authority is away for a while."""
    return [(0.0, AuthorityAway()), (duration(rng), AuthorityAway(away=False))]
