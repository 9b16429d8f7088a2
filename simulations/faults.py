"""What can go wrong in a swarm run: each kind of fault as the operations that bring it and end it.

A kind is a function of the randomness and the number of nodes; it answers (seconds from its
beginning, operation). Which kinds a run has, and how often, its seed decides (``swarm``).
"""

import random
from collections.abc import Callable

from simulations.links import BOTH, Link, Protocol
from simulations.operations import (
    AuthorityAway,
    Clog,
    Crash,
    Cut,
    Double,
    HideRefusals,
    Leave,
    Mend,
    Operation,
    Pause,
    Rebind,
    RestartAll,
    Resume,
    Rotate,
    SaveDisk,
    SetLink,
    SetOwnLink,
    Silence,
    Start,
    StepWallClock,
    SwapAddresses,
)

Timed = tuple[float, Operation]
Fault = Callable[[random.Random, int], list[Timed]]


def crash(rng: random.Random, nodes: int) -> list[Timed]:
    """A process dies and comes back."""
    node = rng.randrange(nodes)
    return [(0.0, Crash(node)), (_duration(rng), Start(node, rng.choice(["same", "empty"])))]


def power_cut(rng: random.Random, nodes: int) -> list[Timed]:
    """A machine falls silent, with unwritten changes, and comes back."""
    node = rng.randrange(nodes)
    return [(0.0, Silence(node, rng.choice([0, 0, 1, 5]))), (_duration(rng), Start(node))]


def old_disk(rng: random.Random, nodes: int) -> list[Timed]:
    """A node comes back with a disk from before."""
    node = rng.randrange(nodes)
    lives = [(1.0, Crash(node)), (2.0, Start(node))] * rng.randrange(2)
    saved = 3.0 + _duration(rng)
    begin: list[Timed] = [(0.0, SaveDisk(node)), *lives]
    return [*begin, (saved, Crash(node)), (saved + _duration(rng), Start(node, "saved"))]


def leave(rng: random.Random, nodes: int) -> list[Timed]:
    """A node leaves, sometimes not to the end, and comes back."""
    node = rng.randrange(nodes)
    return [(0.0, Leave(node, rng.random() < 0.5)), (2.0 + _duration(rng), Start(node))]


def stall(rng: random.Random, nodes: int) -> list[Timed]:
    """A process stands still; its kernel's buffer holds all, little, or nothing."""
    node = rng.randrange(nodes)
    buffer = rng.choice([0, 2, 16, 256])
    return [(0.0, Pause(node, buffer)), (_duration(rng), Resume(node))]


def stutter(rng: random.Random, nodes: int) -> list[Timed]:
    """A process stands still again and again."""
    node = rng.randrange(nodes)
    stop, go = rng.uniform(0.1, 4.0), rng.uniform(0.05, 2.0)
    timed: list[Timed] = []
    for turn in range(rng.randrange(2, 8)):
        begin = turn * (stop + go)
        timed += [(begin, Pause(node)), (begin + stop, Resume(node))]
    return timed


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
    duration = _duration(rng)
    return [*begin, *((duration, Mend(*pair, protocols)) for pair in cuts)]


def exile(rng: random.Random, nodes: int) -> list[Timed]:
    """Some nodes are cut off from the rest for so long that each side has buried the other."""
    order = rng.sample(range(nodes), nodes)
    place = rng.randrange(1, nodes) if nodes > 1 else 1
    one, other = order[:place], order[place:]
    duration = rng.uniform(30.0, 120.0)
    cuts = [(one, other), (other, one)]
    return [(0.0, Cut(*pair)) for pair in cuts] + [(duration, Mend(*pair)) for pair in cuts]


def broken_pairs(rng: random.Random, nodes: int) -> list[Timed]:
    """Some pairs can't talk, though both reach others."""
    pairs = [(rng.randrange(nodes), rng.randrange(nodes)) for _ in range(nodes)]
    cuts = [([a], [b]) for a, b in pairs if a != b]
    duration = _duration(rng)
    return [(0.0, Cut(a, b)) for a, b in cuts] + [(duration, Mend(a, b)) for a, b in cuts]


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
    return [(0.0, SetLink(bad)), (_duration(rng) / 2, SetLink(Link()))]


def bad_cable(rng: random.Random, nodes: int) -> list[Timed]:
    """One way between two nodes is bad."""
    pair = (rng.randrange(nodes), rng.randrange(nodes))
    bad = Link(latency=rng.uniform(0.0, 0.3), loss=rng.uniform(0.3, 1.0))
    return [(0.0, SetOwnLink(*pair, bad)), (_duration(rng), SetOwnLink(*pair, Link()))]


def rebind(rng: random.Random, nodes: int) -> list[Timed]:
    """A NAT forgets a node's binding."""
    return [(0.0, Rebind(rng.randrange(nodes)))]


def swap(rng: random.Random, nodes: int) -> list[Timed]:
    """Two nodes come back at each other's address."""
    return [(0.0, SwapAddresses(rng.randrange(nodes), rng.randrange(nodes)))]


def restart_storm(rng: random.Random, nodes: int) -> list[Timed]:
    """All processes restart at once, or nearly."""
    return [(0.0, RestartAll(rng.choice([0.0, 0.01, 1.0])))]


def double(rng: random.Random, nodes: int) -> list[Timed]:
    """A copy of a node runs elsewhere for a while."""
    node = rng.randrange(nodes)
    return [(0.0, Double(node, rng.uniform(1.0, 30.0), rng.random() < 0.5))]


def firewall(rng: random.Random, nodes: int) -> list[Timed]:
    """From now on what some kernels refuse isn't heard of."""
    return [(0.0, HideRefusals(rng.sample(range(nodes), rng.randrange(1, nodes + 1))))]


def clock_step(rng: random.Random, nodes: int) -> list[Timed]:
    """A wall clock jumps."""
    return [(0.0, StepWallClock(rng.randrange(nodes), rng.uniform(-1e6, 1e6)))]


def rotation(rng: random.Random, nodes: int) -> list[Timed]:
    """Keys are changed, whether or not all have heard of the step before."""
    gap = 20.0 * rng.random()
    return [(step * gap, Rotate(rng.randrange(nodes))) for step in range(rng.randrange(1, 6))]


def outage(rng: random.Random, nodes: int) -> list[Timed]:
    """The authority is away for a while."""
    return [(0.0, AuthorityAway()), (_duration(rng), AuthorityAway(away=False))]


FAULTS: tuple[Fault, ...] = (
    crash, power_cut, old_disk, leave, stall, stutter, partition, exile, broken_pairs, swizzle,
    clog, storm, bad_cable, rebind, swap, restart_storm, double, firewall, clock_step, rotation,
    outage,
)  # fmt: skip


def _duration(rng: random.Random) -> float:
    """From a blink to longer than a suspicion lasts."""
    return float(0.2 * 300.0 ** rng.random())
