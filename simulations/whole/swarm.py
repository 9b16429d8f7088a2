"""Swarm runs of whole nodes: the plan of a membership swarm, with clients, workers, an authority
that fails and lies, and where a key is set somebody who tries to get in without it."""

import heapq
import random
from dataclasses import dataclass, replace

from simulations import liveness, swarm
from simulations.faults import Timed
from simulations.operations import Join, Write, perform
from simulations.swarm import Plan
from simulations.whole import faults
from simulations.whole.hostile import Hostile
from simulations.whole.node import POLL_SECONDS
from simulations.whole.operations import ClientWrites, Request, SlowAuthority, StopOneDatabase
from simulations.whole.world import WholeWorld
from store.limits import SKETCH_SYMBOLS_MAX

NODES_MAX = 5
"""The largest cluster that a seed chooses by itself."""
_FAULT_SHARE = 0.4
"""Each kind of ``faults`` is taken with this probability."""
_SKETCHES = (8, 64)
"""Of a sketch that is soon too short."""


@dataclass(frozen=True)
class WholePlan:
    """What one seed chose."""

    plan: Plan
    hostile_gap: float
    """Mean seconds between what an attacker does; 0 without one."""
    symbols_max: int
    """Of a peer's sketch so many are asked for. What differs here would never fill a whole one."""

    def reduced(self, plan: Plan) -> "WholePlan":
        """With less than all of its plan. Where no key is set any more, anybody may come in."""
        return replace(self, plan=plan, hostile_gap=self.hostile_gap if plan.keyring else 0.0)


def draw(seed: int, nodes: int | None = None, seconds: float | None = None) -> WholePlan:
    """Choose everything that a seed chooses."""
    rng = random.Random(f"whole {seed}")
    nodes = nodes or rng.randrange(1, NODES_MAX + 1)
    plan = swarm.draw(seed, nodes, seconds or rng.choice([20.0, 40.0]))
    written: list[Timed] = [
        (at, ClientWrites(one.node, one.size if one.size > 1_000 else 0))
        if isinstance(one, Write)
        else (at, one)
        for at, one in plan.operations
    ]
    harm = _draw_faults(rng, nodes, plan.seconds)
    asked = _draw_requests(rng, nodes, plan.seconds)
    operations = [*heapq.merge(written, harm, asked, key=lambda one: one[0])]
    gap = rng.choice([0.05, 0.3]) if plan.keyring is not None else 0.0
    symbols = random.Random(f"sketches {seed}").choice([SKETCH_SYMBOLS_MAX, *_SKETCHES])
    return WholePlan(replace(plan, operations=operations), gap, symbols)


def build(whole: WholePlan, seed: int) -> WholeWorld:
    """The world of a plan, before anything happens in it."""
    plan = whole.plan
    world = WholeWorld(
        plan.nodes, seed, plan.profile, plan.link, plan.keyring, skewed=plan.skewed,
        symbols_max=whole.symbols_max,
    )  # fmt: skip
    for node, software in zip(world.nodes, plan.software, strict=True):
        node.installed = software
    if whole.hostile_gap:
        world.hostile = Hostile(world, whole.hostile_gap)
    world.checks.begin_audits()
    return world


def run(world: WholeWorld, whole: WholePlan) -> None:
    """Live through a plan. Raises AssertionError or TimeoutError."""
    plan = whole.plan
    perform(Join(plan.members, world.rng.choice([0.0, 0.1, 1.0])), world)
    for at, operation in plan.operations:
        world.run(max(0.0, at - world.now))
        perform(operation, world)
    world.run(max(0.0, plan.seconds - world.now))
    core = [world.whole_nodes[index] for index in plan.core]
    for end in (StopOneDatabase(), SlowAuthority(0.0)):
        perform(end, world)
    world.authority.at_commit = ""
    liveness.heal(world, [*core])
    world.measures["settled"] = liveness.settle(world, [*core], also=histories_bound())
    world.measures["agreed"] = liveness.agree(world, [*core])
    world.measures["told"] = liveness.tell(world, [*core])
    if world.hostile is not None:
        world.hostile.stop()
    looks, begun = sum(node.application.looks for node in core), world.now
    world.measures["packets_per_probe"] = liveness.stay(world, [*core])
    looked = sum(node.application.looks for node in core) - looks
    world.promises.p7_flat(looked, world.now - begun)
    world.promises.p1_nothing_lost()
    world.promises.p4_all_alike(core)
    world.promises.p6_one_history(core)
    world.measures["looks_per_interval"] = looked / ((world.now - begun) / POLL_SECONDS)
    world.happened("epoch_raised", world.authority.raises)
    world.happened("bad_spell", world.network.spells)
    if len({node.software for node in core}) > 1:
        world.happened("versions_mixed")
    for node in world.nodes:
        if node.running:
            world.checks.sometimes.collect(node)


def histories_bound() -> float:
    """Seconds that the core may need beyond what membership does: somebody looks at the authority,
    finds that it has lost what was confirmed, asks the others, raises, and they look, too."""
    return 2 * 1.5 * POLL_SECONDS + 30.0


def _draw_faults(rng: random.Random, nodes: int, seconds: float) -> list[Timed]:
    chosen = [fault for fault in faults.FAULTS if rng.random() < _FAULT_SHARE]
    timed: list[Timed] = []
    if not chosen:
        return timed
    gap = 30.0 ** rng.random()
    at = rng.expovariate(1 / gap)
    while at < seconds:
        timed += [(at + later, op) for later, op in rng.choice(chosen)(rng, nodes)]
        at += rng.expovariate(1 / gap)
    return sorted((one for one in timed if one[0] < seconds), key=lambda one: one[0])


def _draw_requests(rng: random.Random, nodes: int, seconds: float) -> list[Timed]:
    gap = rng.choice([0.05, 0.5])
    timed: list[Timed] = []
    at = rng.expovariate(1 / gap)
    while at < seconds:
        timed.append((at, Request(rng.randrange(nodes), rng.randrange(6), rng.randrange(4))))
        at += rng.expovariate(1 / gap)
    return timed
