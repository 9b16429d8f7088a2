"""One cluster and what can befall it, one thing after another, so that it can be looked at."""

from simulations.faults import Timed
from simulations.links import Link
from simulations.operations import (
    AuthorityAway,
    Crash,
    Heal,
    Join,
    Leave,
    Partition,
    Pause,
    Resume,
    SetLink,
    Silence,
    Start,
    Write,
    perform,
)
from simulations.pictures.bands import Done
from simulations.pictures.scales import percent
from simulations.report import Report, report
from simulations.settings import Settings
from simulations.world import World

NODES = 8
SECONDS = 165.0
_WRITES_APART = 0.4
_OUTAGE = (88.0, 103.0)
_LOSS = 0.3

_NARROW = 4
"""Smaller clusters live through less of it."""


def events(nodes: int) -> list[tuple[float, str, list[Timed]]]:
    """When, in words, and as operations."""
    last, other, near = nodes - 1, nodes - 2, range(nodes // 2 + 1)
    far = [index for index in range(nodes) if index not in near]
    return [
        (10.0, f"the process of node {last} is killed", [(0.0, Crash(last))]),
        (16.0, f"node {last} is started again", [(0.0, Start(last))]),
        (22.0, f"the machine of node {other} loses its power", [(0.0, Silence(other))]),
        (40.0, f"node {other} is back", [(0.0, Start(other))]),
        (46.0, f"nodes {far[0]} to {far[-1]} are cut off", [(0.0, Partition([near, far]))]),
        (80.0, "the partition heals", [(0.0, Heal())]),
        (_OUTAGE[0], "the authority is away: nobody can write", [(0.0, AuthorityAway())]),
        (_OUTAGE[1], "the authority is back", [(0.0, AuthorityAway(away=False))]),
        (108.0, f"{percent(_LOSS)} of all packets are lost", [(0.0, SetLink(Link(loss=_LOSS)))]),
        (120.0, "no packets are lost any more", [(0.0, SetLink(Link()))]),
        (124.0, "the process of node 2 stands still", [(0.0, Pause(2))]),
        (131.0, "it goes on", [(0.0, Resume(2))]),
        (136.0, "node 1 leaves", [(0.0, Leave(1))]),
        (148.0, "node 1 comes back", [(0.0, Start(1))]),
    ]


def done(nodes: int) -> list[Done]:
    """What a figure numbers."""
    return [Done(at, what) for at, what, _ in events(nodes)] if nodes >= _NARROW else []


def live(world: World) -> None:
    """Go through it. Raises AssertionError, and TimeoutError when they aren't one cluster again at
    the end."""
    nodes = len(world.nodes)
    perform(Join(range(nodes), 0.2), world)
    timed: list[Timed] = []
    if nodes >= _NARROW:
        timed += [(at + later, op) for at, _, ops in events(nodes) for later, op in ops]
    writes = int((SECONDS - 5.0) / _WRITES_APART)
    for number in range(writes):
        at = 3.0 + number * _WRITES_APART
        if not _OUTAGE[0] <= at < _OUTAGE[1]:
            timed.append((at, Write(number % nodes)))
    for at, operation in sorted(timed, key=lambda one: one[0]):
        world.run(max(0.0, at - world.now))
        perform(operation, world)
    world.run(max(0.0, SECONDS - world.now))
    world.measures["whole"] = world.run_until(world.is_whole, 30.0, "no whole cluster")
    world.measures["caught_up"] = world.run_until(world.has_spread, 30.0, "not all caught up")


def tour(nodes: int, seed: int, settings: Settings) -> Report:
    """What can befall a cluster, one thing after another: the run that ``report`` draws."""
    profile, link = settings.profile(), settings.link()
    settings.check_used()
    world = World(nodes, seed, profile, link, skewed=True)
    world.checks.begin_audits()
    world.poll_in_turn()
    live(world)
    return report(world, "safety", "liveness")
