"""What the network does to packets, and to whole nodes."""

import random

from simulations.faults.kind import Timed, duration
from simulations.links import BOTH, Link, Protocol
from simulations.operations import (
    Clog,
    Crash,
    Cut,
    HideRefusals,
    Mend,
    Pause,
    Rebind,
    Resume,
    SetLink,
    SetOwnLink,
    Silence,
    Start,
)


def partition(rng: random.Random, nodes: int) -> list[Timed]:
    """Two sides, or one node and the rest, don't reach each other: both ways or one, for both
    protocols or one."""
    order = rng.sample(range(nodes), nodes)
    place = rng.choice([1, rng.randrange(1, nodes)]) if nodes > 1 else 1
    one, other = order[:place], order[place:]
    choices: list[tuple[Protocol, ...]] = [BOTH, BOTH, ("udp",), ("tcp",)]
    protocols = rng.choice(choices)
    cuts = [(one, other), (other, one)][: rng.choice([1, 2, 2])]
    begin: list[Timed] = [(0.0, Cut(*pair, protocols)) for pair in cuts]
    lasting = duration(rng)
    return [*begin, *((lasting, Mend(*pair, protocols)) for pair in cuts)]


def jury(rng: random.Random, nodes: int) -> list[Timed]:
    """While a node is suspected, because it isn't heard, some others stand still for longer than
    its suspicion lasts; their kernels lose what it says meanwhile."""
    accused, *rest = rng.sample(range(nodes), nodes)
    frozen = rest[: rng.randrange(1, len(rest) + 1)] if rest else []
    suspected = rng.uniform(1.0, 4.0)
    timed: list[Timed] = [(0.0, Cut([accused], rest))]
    timed += [(suspected, Pause(node, rng.choice([0, 2, 256]))) for node in frozen]
    timed.append((suspected + rng.uniform(0.0, 2.0), Mend([accused], rest)))
    resumed = suspected + rng.uniform(3.0, 40.0)
    return [*timed, *((resumed, Resume(node)) for node in frozen)]


def hearsay(rng: random.Random, nodes: int) -> list[Timed]:
    """Two are cut off until they have buried the others; meanwhile one of those refutes and dies,
    and the two hear of a death that they know from before, at a higher incarnation."""
    if nodes < 4:
        return []
    order = rng.sample(range(nodes), nodes)
    near, far = order[:2], order[2:]
    dying, *rest = far
    end, mended = rng.uniform(9.0, 12.0), rng.uniform(22.0, 35.0)
    return [
        (0.0, Cut(near, far)),
        (0.0, Cut(far, near)),
        (1.0, Cut([dying], rest)),
        (rng.uniform(5.0, 6.0), Mend([dying], rest)),
        (end, rng.choice([Crash(dying), Crash(dying), Silence(dying)])),
        (mended, Mend(near, far)),
        (mended, Mend(far, near)),
        (mended + duration(rng), Start(dying)),
    ]


def exile(rng: random.Random, nodes: int) -> list[Timed]:
    """Some nodes are cut off from the rest for so long that each side has buried the other."""
    order = rng.sample(range(nodes), nodes)
    place = rng.randrange(1, nodes) if nodes > 1 else 1
    one, other = order[:place], order[place:]
    lasting = rng.uniform(30.0, 120.0)
    cuts = [(one, other), (other, one)]
    return [(0.0, Cut(*pair)) for pair in cuts] + [(lasting, Mend(*pair)) for pair in cuts]


def broken_pairs(rng: random.Random, nodes: int) -> list[Timed]:
    """Some pairs can't talk, though both reach others."""
    pairs = [(rng.randrange(nodes), rng.randrange(nodes)) for _ in range(nodes)]
    cuts = [([a], [b]) for a, b in pairs if a != b]
    lasting = duration(rng)
    return [(0.0, Cut(a, b)) for a, b in cuts] + [(lasting, Mend(a, b)) for a, b in cuts]


def swizzle(rng: random.Random, nodes: int) -> list[Timed]:
    """A random few nodes are cut off one by one, and mended in another order (FoundationDB's
    swizzle-clog)."""
    chosen = rng.sample(range(nodes), rng.randrange(1, nodes + 1))
    everyone = range(nodes)
    timed: list[Timed] = []
    for node in chosen:
        others = [other for other in everyone if other != node]
        begin, end = rng.uniform(0.0, 5.0), rng.uniform(5.0, 15.0)
        timed += [(begin, Cut([node], others)), (begin, Cut(others, [node]))]
        timed += [(end, Mend([node], others)), (end, Mend(others, [node]))]
    return timed


def clog(rng: random.Random, nodes: int) -> list[Timed]:
    """What goes to a node is held up, and comes in one burst."""
    node = rng.randrange(nodes)
    return [(0.0, Clog(range(nodes), [node], rng.uniform(0.1, 8.0)))]


def storm(rng: random.Random, nodes: int) -> list[Timed]:
    """All links become bad for a while."""
    bad = Link(
        latency=rng.choice([0.000_2, 0.02, 0.2]),
        jitter=rng.choice([0.000_1, 0.01, 0.1]),
        loss=rng.uniform(0.1, 0.7),
    )
    return [(0.0, SetLink(bad)), (duration(rng) / 2, SetLink(Link()))]


def bad_cable(rng: random.Random, nodes: int) -> list[Timed]:
    """One way between two nodes is bad."""
    pair = (rng.randrange(nodes), rng.randrange(nodes))
    bad = Link(latency=rng.uniform(0.0, 0.3), loss=rng.uniform(0.3, 1.0))
    return [(0.0, SetOwnLink(*pair, bad)), (duration(rng), SetOwnLink(*pair, Link()))]


def rebind(rng: random.Random, nodes: int) -> list[Timed]:
    """A NAT forgets a node's binding."""
    return [(0.0, Rebind(rng.randrange(nodes)))]


def firewall(rng: random.Random, nodes: int) -> list[Timed]:
    """From now on what some kernels refuse isn't heard of."""
    return [(0.0, HideRefusals(rng.sample(range(nodes), rng.randrange(1, nodes + 1))))]
