"""Scenarios: what happens to a cluster, and what must hold in the end.

Each takes a number of nodes and a seed, and answers a Report. A scenario that doesn't reach its end
raises TimeoutError (or AssertionError for a broken invariant) with what replays it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from gossip.events import ChangesetApplied, MemberChanged, SnapshotInstalled
from gossip.profiles import LAN
from gossip.replica import Version
from simulations.authority import LogReplica
from simulations.links import Link
from simulations.world import World

_PARTITION_SECONDS = 600.0
_LOG_MAX = 50
_BODY_BYTES = 10_000
"""Three logs of these make a state of several slices."""


class Report(NamedTuple):
    """What a run has shown. Times are virtual seconds."""

    virtual_seconds: float
    trace_hash: str
    measures: dict[str, float]


def spread(nodes: int, seed: int) -> Report:
    """200 commits on random nodes with 5 % of packets lost: all reach all."""
    world = World(nodes, seed, link=Link(loss=0.05))
    measures = {"formed": world.form()}
    committed: dict[Version, float] = {}
    for number in range(200):
        changeset = world.commit(world.rng.randrange(nodes), b"changeset %d" % number)
        committed[changeset.version] = world.now
        world.run(world.rng.expovariate(1 / 0.02))
    measures["last_commit_spread"] = world.run_until(world.has_spread, within=30.0)
    delays = sorted(
        seen.at - committed[seen.event.changeset.version]
        for seen in world.observed
        if isinstance(seen.event, ChangesetApplied)
    )
    if delays:
        measures["delay_p50"] = delays[len(delays) // 2]
        measures["delay_p99"] = delays[math.ceil(len(delays) * 0.99) - 1]
        measures["delay_max"] = delays[-1]
    return _report(world, measures)


def crash(nodes: int, seed: int) -> Report:
    """A node is killed: the others find it failed; it comes back with a newer generation."""
    world = World(nodes, seed)
    measures = {"formed": world.form()}
    world.run(5.0)
    victim = world.nodes[-1]
    others = world.nodes[:-1]
    victim.crash()
    begun = world.now
    # Round-robin finds it within 2n - 1 probes of each; then the longest suspicion at most.
    longest = LAN.suspicion_mult * LAN.suspicion_max_mult * max(1.0, math.log10(nodes))
    bound = (2 * nodes + longest) * LAN.probe_interval
    measures["all_say_failed"] = world.run_until(
        lambda: all(node.status_of(victim) == "failed" for node in others), bound
    )
    suspected = [
        seen.at - begun
        for seen in world.observed
        if isinstance(seen.event, MemberChanged)
        and seen.event.member.id == victim.id
        and seen.event.member.status == "suspect"
    ]
    if suspected:
        measures["first_suspicion"] = suspected[0]
    world.commit(0, b"while it was away")
    victim.start()
    measures["back"] = world.run_until(world.is_whole, within=30.0)
    measures["caught_up"] = world.run_until(world.has_spread, within=30.0)
    return _report(world, measures)


def partition(nodes: int, seed: int) -> Report:
    """The cluster is cut in two for ten minutes: each side goes on, and they merge again."""
    world = World(nodes, seed)
    measures = {"formed": world.form()}
    half = nodes // 2
    world.authority.available = False
    world.network.partition(range(half), range(half, nodes))
    world.run(_PARTITION_SECONDS)
    near, far = world.nodes[0], world.nodes[-1]
    if half:
        assert near.status_of(far) == "failed", "a side that is cut off is failed after ten minutes"
    world.commit(nodes - 1, b"on one side only")
    world.run(10.0)
    world.network.heal()
    measures["healed"] = world.run_until(world.is_whole, within=60.0)
    measures["caught_up"] = world.run_until(world.has_spread, within=60.0)
    return _report(world, measures)


def newcomer(nodes: int, seed: int) -> Report:
    """The database is down: a brand-new node and one long away fill themselves from their peers.

    These two come on top of ``nodes``, whose logs reach back to neither. Commits that the authority
    took before it went are pushed while they fill.
    """
    world = World(nodes + 2, seed, link=Link(loss=0.02))
    for node in world.nodes:
        node.replica = LogReplica(log_max=_LOG_MAX)
    away, new = world.nodes[nodes], world.nodes[nodes + 1]
    measures = {"formed": world.form(count=nodes + 1)}
    world.commit(0, b"what the one long away has seen")
    world.run_until(world.has_spread, within=30.0)
    away.crash()
    for _ in range(3 * _LOG_MAX):
        world.commit(world.rng.randrange(nodes), world.rng.randbytes(_BODY_BYTES))
        world.run(0.005)
    world.run_until(world.has_spread, within=30.0)
    world.authority.available = False
    away.start()
    new.start()
    begun = world.now
    for _ in range(10):
        world.commit(world.rng.randrange(nodes), world.rng.randbytes(100))
        world.run(0.005)
    measures["caught_up"] = world.run_until(world.has_spread, within=30.0)
    installed = {s.node: s.at for s in world.observed if isinstance(s.event, SnapshotInstalled)}
    assert set(installed) == {away.index, new.index}, "no log reached: these two took a snapshot"
    measures["filled"] = max(installed.values()) - begun
    assert all(node.replica.state == world.authority.state() for node in (away, new))
    return _report(world, measures)


SCENARIOS: dict[str, Callable[[int, int], Report]] = {
    scenario.__name__: scenario for scenario in (spread, crash, partition, newcomer)
}
"""By name, as ``python -m simulations list`` prints them."""


def _report(world: World, measures: dict[str, float]) -> Report:
    rounded = {name: round(value, 6) for name, value in measures.items()}
    return Report(round(world.now, 6), world.trace_hash, rounded)
