"""Scenarios of the data: commits that must reach all."""

import math

from gossip.events import ChangesetApplied, SnapshotInstalled
from gossip.replica import Version
from simulations.authority import LogReplica
from simulations.links import Link
from simulations.report import Report, report
from simulations.settings import Settings
from simulations.world import World

_LOG_MAX = 50
_BODY_BYTES = 10_000
"""Three logs of these make a state of several slices."""


def spread(nodes: int, seed: int, settings: Settings) -> Report:
    """200 commits on random nodes with 5 % of packets lost: all reach all."""
    world = World(nodes, seed, settings.profile(), settings.link(Link(loss=0.05)))
    settings.check_used()
    world.measures["formed"] = world.form()
    committed: dict[Version, float] = {}
    for number in range(200):
        changeset = world.commit(world.rng.randrange(nodes), b"changeset %d" % number)
        committed[changeset.version] = world.now
        world.run(world.rng.expovariate(1 / 0.02))
    world.measures["last_commit_spread"] = world.run_until(world.has_spread, within=30.0)
    delays = sorted(
        seen.at - committed[seen.event.changeset.version]
        for seen in world.observed
        if isinstance(seen.event, ChangesetApplied)
    )
    if delays:
        world.measures["delay_p50"] = delays[len(delays) // 2]
        world.measures["delay_p99"] = delays[math.ceil(len(delays) * 0.99) - 1]
        world.measures["delay_max"] = delays[-1]
    return report(world, "safety", "liveness")


def newcomer(nodes: int, seed: int, settings: Settings) -> Report:
    """The database is down: a brand-new node and one long away fill themselves from their peers.

    These two come on top of ``nodes``, whose logs reach back to neither. Commits that the authority
    took before it went are pushed while they fill.
    """
    world = World(nodes + 2, seed, settings.profile(), settings.link(Link(loss=0.02)))
    settings.check_used()
    for node in world.nodes:
        node.replica = LogReplica(log_max=_LOG_MAX)
    away, new = world.nodes[nodes], world.nodes[nodes + 1]
    world.measures["formed"] = world.form(count=nodes + 1)
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
    world.measures["caught_up"] = world.run_until(world.has_spread, within=30.0)
    installed = {s.node: s.at for s in world.observed if isinstance(s.event, SnapshotInstalled)}
    assert set(installed) == {away.index, new.index}, "no log reached: these two took a snapshot"
    world.measures["filled"] = max(installed.values()) - begun
    assert all(node.replica.state == world.authority.state() for node in (away, new))
    return report(world, "safety", "liveness")
