"""Swarm runs: the seed chooses the sizes, the settings, the kinds of faults and how hard they blow.

Two phases. First everything may fail while the safety rules are checked; then a random core is
healed, and must be one cluster within a bound. What a seed chose is drawn before the run begins, as
a list of timed operations, so a failing run can be read, and made smaller by deleting from it.
"""

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gossip.keyring import Keyring, configured
from gossip.profiles import LAN, Profile
from simulations import liveness
from simulations.faults import FAULTS, Fault, Timed, exile, hearsay, rotation
from simulations.links import Link
from simulations.node import Node
from simulations.operations import Fence, Join, Purge, SetRegister, Write, perform
from simulations.software import FIRST, NEXT, Software
from simulations.world import World

_SPLIT_SHARE = 0.2
"""So many runs are one long partition: what heals those is seldom needed elsewhere."""
_HEARSAY_NODES = 4
"""In clusters above this size that partition mostly has a death in it."""
_HALFWAY_SHARE = 0.25
"""So many runs begin with nodes of two versions."""
NODES_MAX = 7
"""The largest cluster that a seed chooses by itself: small ones find most, and fast."""

_ODD_VALUES: dict[str, tuple[Any, ...]] = {
    "indirect_checks": (0, 1, 5),
    "nack_share": (0.1, 0.99),
    "health_score_max": (0, 1, 3),
    "suspicion_mult": (3, 6),
    "suspicion_max_mult": (1, 2),
    "retransmit_mult": (1, 2),
    "probe_timeout": (0.05, 0.9),
    "push_pull_interval": (5.0, 15.0, 300.0),
    "stream_timeout": (0.5, 2.0),
    "eager_fanout": (1, 2),
    "reconnect_interval": (1.0, 2.0),
    "join_retry_min": (0.05, 1.0),
    "left_ttl": (1.0, 5.0),
    "leaving_timeout": (2.0, 5.0),
    "leave_delay": (0.0, 1.0),
    "repair_patience": (0.0, 0.1),
    "repair_timeout": (0.005, 0.5),
    "repair_give_up": (0.5, 5.0),
    "repair_rest": (0.1, 3.0),
}
"""FoundationDB's BUGGIFY by configuration: values that nobody would choose and that must do."""


@dataclass(frozen=True)
class Plan:
    """What one seed chose."""

    nodes: int
    profile: Profile
    link: Link
    keyring: Keyring | None
    skewed: bool
    seconds: float
    operations: Sequence[Timed]
    core: Sequence[int]
    """The nodes that will be healed."""
    software: Sequence[Software]
    """What is installed on each node at first: an upgrade may have come halfway."""
    members: Sequence[int]
    """The nodes that start at first: all, unless less is left of the plan (``reduction``)."""


def draw(seed: int, nodes: int | None = None, seconds: float | None = None) -> Plan:
    """Choose everything that a seed chooses."""
    rng = random.Random(f"plan {seed}")
    if nodes is None:
        nodes = rng.randrange(1, NODES_MAX + 1)
    if seconds is None:
        seconds = rng.choice([20.0, 40.0, 80.0, 80.0])
    keyring = configured(rng.randbytes(32)) if rng.random() < 0.3 else None
    core = rng.sample(range(nodes), rng.randrange((nodes + 1) // 2, nodes + 1))
    if min(core) > 2:
        # Somebody must sit where newcomers look.
        core[0] = rng.randrange(min(nodes, 3))
    halfway = [FIRST, NEXT] if rng.random() < _HALFWAY_SHARE else [FIRST]
    return Plan(
        nodes=nodes,
        profile=_draw_profile(rng),
        link=_draw_link(rng),
        keyring=keyring,
        skewed=rng.random() < 0.5,
        seconds=seconds,
        operations=[
            *heapq.merge(
                _draw_operations(
                    rng, random.Random(f"fences {seed}"), nodes, seconds, sealed=keyring is not None
                ),
                _draw_rumors(random.Random(f"rumors {seed}"), nodes, seconds),
                key=lambda one: one[0],
            )
        ],
        core=sorted(core),
        software=[rng.choice(halfway) for _ in range(nodes)],
        members=range(nodes),
    )


def build(plan: Plan, seed: int) -> World:
    """The world of a plan, before anything happens in it."""
    world = World(plan.nodes, seed, plan.profile, plan.link, plan.keyring, skewed=plan.skewed)
    for node, software in zip(world.nodes, plan.software, strict=True):
        node.installed = software
    world.checks.begin_audits()
    world.poll_in_turn()
    return world


def run(world: World, plan: Plan) -> None:
    """Live through a plan. Raises AssertionError or TimeoutError."""
    perform(Join(plan.members, world.rng.choice([0.0, 0.1, 1.0])), world)
    _do_all(world, plan)
    core = [world.nodes[index] for index in plan.core]
    liveness.heal(world, core)
    world.measures["settled"] = liveness.settle(world, core)
    if len({node.software for node in core}) > 1:
        world.happened("versions_mixed")
    world.measures["agreed"] = liveness.agree(world, core)
    world.measures["told"] = liveness.tell(world, core)
    world.measures["packets_per_probe"] = liveness.stay(world, core)
    world.happened("bad_spell", world.network.spells)
    for node in _running(world):
        world.checks.sometimes.collect(node)


def _do_all(world: World, plan: Plan) -> None:
    for at, operation in plan.operations:
        world.run(max(0.0, at - world.now))
        perform(operation, world)
    world.run(max(0.0, plan.seconds - world.now))


def _draw_profile(rng: random.Random) -> Profile:
    odd = {name: rng.choice(values) for name, values in _ODD_VALUES.items() if rng.random() < 0.15}
    # Forgetting is the state in which most goes wrong.
    if rng.random() < 0.4:
        odd["failed_ttl"] = rng.choice([2.0, 5.0, 20.0])
    return replace(LAN, **odd)


def _draw_link(rng: random.Random) -> Link:
    """Each kind of trouble is there in some runs and not in others, or runs would be alike."""

    def perhaps(most: float) -> float:
        return rng.random() ** 2 * most if rng.random() < 0.3 else 0.0

    return Link(
        latency=rng.choice([0.000_1, 0.000_2, 0.005, 0.05]),
        jitter=rng.choice([0.000_1, 0.001, 0.02]),
        spike=perhaps(0.2),
        spike_seconds=rng.choice([0.01, 0.3, 2.0]),
        loss=perhaps(0.4),
        burst=perhaps(0.05),
        burst_seconds=rng.choice([0.1, 3.0]),
        duplication=perhaps(0.5),
        replay=perhaps(0.3),
        replay_seconds=rng.choice([1.0, 60.0, 300.0]),
        corruption=perhaps(0.2),
        truncation=perhaps(0.2),
        bandwidth=rng.choice([0.0, 0.0, 0.0, 20_000.0]),
    )


def _draw_operations(
    rng: random.Random, fences: random.Random, nodes: int, seconds: float, *, sealed: bool
) -> list[Timed]:
    """Fences are drawn apart, so that nothing else of a plan depends on them."""
    chosen: list[Fault] = [fault for fault in FAULTS if rng.random() < 0.3]
    if sealed and rotation not in chosen:
        # Of no use to the others, which are more.
        chosen.append(rotation)
    timed: list[Timed] = []
    if rng.random() < _SPLIT_SHARE:
        # Undisturbed, or restarts would bring the sides together again.
        if nodes > _HEARSAY_NODES and rng.random() < 0.7:
            timed += [(seconds / 8 + at, operation) for at, operation in hearsay(rng, nodes)]
        else:
            timed += [(seconds / 8, cut) for begins, cut in exile(rng, nodes) if not begins]
    elif chosen:
        gap = 30.0 ** rng.random()
        at = rng.expovariate(1 / gap)
        while at < seconds:
            timed += [(at + later, op) for later, op in rng.choice(chosen)(rng, nodes)]
            at += rng.expovariate(1 / gap)
    share = fences.choice([0.0, 0.0, 0.1, 0.5])
    writes = 0.2 * 50.0 ** rng.random()
    at = rng.expovariate(1 / writes)
    while at < seconds:
        timed.append((at, Write(rng.randrange(nodes), rng.choice([10, 100, 3_000]))))
        if fences.random() < share:
            begins = at + fences.choice([0.0, 1.0])
            # Over before it is counted what a cluster at rest sends.
            waits = min(fences.choice([0.1, 2.0, 20.0]), seconds - begins)
            if waits > 0.0:
                timed.append((begins, Fence(fences.randrange(nodes), waits)))
        at += rng.expovariate(1 / writes)
    return heapq.nsmallest(len(timed), timed, key=lambda one: one[0])


def _draw_rumors(rng: random.Random, nodes: int, seconds: float) -> list[Timed]:
    """Purges and registers: now a few, now many at once."""
    timed: list[Timed] = []
    gap = 0.5 * 60.0 ** rng.random()
    at = rng.expovariate(1 / gap)
    while at < seconds:
        node = rng.randrange(nodes)
        if rng.random() < 0.7:
            # The last are more than a node may originate.
            timed.append((at, Purge(node, rng.choice([1] * 12 + [5] * 4 + [250]))))
        else:
            name, value = rng.choice("xyz"), rng.choice([None, *"abc"])
            lasting = rng.choice([None, 0.5, 5.0, 40.0])
            timed.append((at, SetRegister(node, name, value, lasting)))
            if rng.random() < 0.3:
                timed.append((at, SetRegister(rng.randrange(nodes), name, "d")))
        at += rng.expovariate(1 / gap)
    return timed


def _running(world: World) -> list[Node]:
    return [node for node in world.nodes if node.running]
