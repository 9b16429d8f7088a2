"""Real replicas that are damaged at random while everything else fails, and must come back."""

import random

from simulations.authority import EntityReplica
from simulations.authority.entities import body_of, random_body
from simulations.links import Link
from simulations.node import Node
from simulations.report import Report, report
from simulations.settings import Settings
from simulations.world import World

_ENTITIES = 300
_SECONDS = 60.0
_AUDIT_SECONDS = 15.0
"""Each node looks through its entities so often (10 minutes in production)."""
_SETTLE_SECONDS = 150.0
"""Within which all must be well again: a rest after a verdict, an audit, a poison's long pause."""
_CLUSTER_AUDIT_SECONDS = 60.0
"""After so long a node compares what it holds with the authority (hourly in production)."""
_FAULTS = ("damage", "lose", "misapply", "crash", "erase", "poison", "short log", "outage")


class _Truth:
    """What every replica should hold at each version."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._replica = EntityReplica()
        self._replica.keep_log(10**6)
        self.wrong: dict[int, None] = {}
        """Nodes whose state may be wrong, by index: theirs was misapplied, or taken from such."""
        self.damaged: dict[int, None] = {}
        """Nodes whose memory was damaged. A change of what is damaged makes the state hash wrong:
        it takes out what was never put in."""

    def follow(self) -> None:
        for changeset in self._world.authority.log[self._replica.head()[0][2] :]:
            while (verdict := self._replica.offer(*changeset)) == "preparing":
                pass
            assert verdict == "applied"

    def is_held(self, node: Node) -> bool:
        """Whether a node's state hash is the one of its version."""
        version = node.replica.head()[0]
        return node.replica.state_hash(version) == self._replica.state_hash(version)

    def check(self) -> None:
        """Nobody comes to a wrong state but by misapplying, or from whoever has one."""
        self.follow()
        sources = dict(self.wrong)  # one that is well again may just have been asked
        for node in self._world.nodes:
            if self.is_held(node):
                self.wrong.pop(node.index, None)
                if node.index in self.damaged and _replica(node).is_sound():
                    del self.damaged[node.index]
            elif node.index not in self.damaged or _replica(node).is_sound():
                assert sources, f"node {node.index} holds what nobody has written"
                self.wrong[node.index] = None


def repairs(nodes: int, seed: int, settings: Settings) -> Report:
    """Entities are changed or lost in memory, changes misapplied or refused, logs too short, nodes
    killed, the authority away: when that ends, all hold the same, and it is what was written."""
    world = World(
        nodes, seed, settings.profile(), settings.link(Link(loss=0.03)), skewed=True,
        new_replica=EntityReplica,
    )  # fmt: skip
    settings.check_used()
    world.checks.begin_audits()
    world.form()
    world.poll_in_turn()
    world.commit(0, body_of([("services", f"{n:08d}", '{"name":"n"}') for n in range(_ENTITIES)]))
    world.run_until(world.has_spread, within=30.0)
    truth = _Truth(world)
    _audit_in_turn(world)
    while world.now < _SECONDS:
        _write(world)
        if world.rng.random() < 0.2:
            _fail(world, world.rng.choice(world.nodes), truth)
        world.run(world.rng.expovariate(1 / 0.2))
        truth.check()
    _heal(world)

    def well() -> bool:
        truth.check()
        return all(
            node.replica.head() == world.authority.head()
            and truth.is_held(node)
            and _replica(node).is_sound()
            for node in world.nodes
        )

    begun = world.now
    while not well():
        if world.now - begun > _SETTLE_SECONDS:
            held = [(n.index, n.replica.head()[0], truth.is_held(n)) for n in world.nodes]
            raise TimeoutError(f"not all well {_SETTLE_SECONDS:g} s after the last fault: {held}")
        world.run(0.5)
        if world.now - begun > _CLUSTER_AUDIT_SECONDS:
            # All may have come to hold the same wrong state while the authority was away.
            world.nodes[0].application.verify()
    world.measures["well_again"] = world.now - begun
    for name in ("reconciles_installed", "snapshots_installed", "states_outvoted"):
        counted = sum(node.core.counters[name] for node in world.nodes)
        world.measures[name] = float(counted)
    return report(world, "safety", "liveness")


def _replica(node: Node) -> EntityReplica:
    assert isinstance(node.replica, EntityReplica)
    return node.replica


def _write(world: World) -> None:
    able = [node for node in world.nodes if node.running]
    if world.authority.available and able:
        node = world.rng.choice(able)
        node.application.write(random_body(world.rng, _ENTITIES))


def _fail(world: World, node: Node, truth: _Truth) -> None:
    rng: random.Random = world.rng
    replica = _replica(node)
    match rng.choice(_FAULTS):
        case "damage" if replica.damage(rng):
            truth.damaged[node.index] = None
        case "lose" if replica.lose(rng):
            truth.damaged[node.index] = None
        case "misapply" if node.running and not truth.wrong and len(world.nodes) > 2:
            # More than one at once may outvote who is well, until the authority is asked.
            if replica.misapply(rng):
                truth.wrong[node.index] = None
        case "crash" | "erase" as kind if node.running and len(world.nodes) > 1:
            node.crash()
            if kind == "erase":
                node.erase()
            world.schedule(rng.uniform(0.1, 8.0), _start, node)
        case "poison":
            epoch, tag, revision = replica.head()[0]
            replica.refuses = (epoch, tag, revision + rng.choice([1, 1, 5]))
        case "short log":
            replica.keep_log(rng.choice([1, 10, 10_000]))
        case "outage":
            world.authority.available = not world.authority.available
        case _:
            pass


def _start(node: Node) -> None:
    if not node.running:
        node.start()


def _audit_in_turn(world: World, at: int = 0) -> None:
    node = world.nodes[at % len(world.nodes)]
    if node.running:
        node.application.audit()
    world.schedule(_AUDIT_SECONDS / len(world.nodes), _audit_in_turn, world, at + 1)


def _heal(world: World) -> None:
    world.authority.available = True
    world.network.link = Link()
    for node in world.nodes:
        _replica(node).refuses = None
        _start(node)
