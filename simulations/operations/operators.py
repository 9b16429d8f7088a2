"""What operators and applications do."""

import contextlib
from dataclasses import dataclass

from gossip.identity import Identity
from gossip.keyring import KEY_BYTES, install, remove, use
from gossip.purges import TooManyPurges
from simulations.operations.operation import Operation
from simulations.software import Software
from simulations.world import World


@dataclass(frozen=True)
class Leave(Operation):
    """It tells the others that it goes, and goes. With ``cut_short`` it dies in the middle."""

    node: int
    cut_short: bool = False

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        if node.running and not node.paused and not node.left:
            node.leave()
            if self.cut_short and node.running:
                node.crash()


@dataclass(frozen=True)
class ForceOut(Operation):
    """An operator makes a node leave, through another one that lists it."""

    by: int
    node: int

    def __call__(self, world: World) -> None:
        by, node = world.nodes[self.by], world.nodes[self.node]
        able = by.running and not by.paused and not by.left
        if able and by.id != node.id and by.status_of(node) is not None:
            if not world.authority.available:
                world.happened("forced_out_alone")
            by.application.force_out(node.id)


@dataclass(frozen=True)
class Name(Operation):
    """Its configuration has it take another node's name from the next start on: it is to replace
    that one, or somebody has copied a file."""

    node: int
    namesake: int

    def __call__(self, world: World) -> None:
        world.nodes[self.node].name = world.nodes[self.namesake].name


@dataclass(frozen=True)
class Install(Operation):
    """Other software is installed on a node, which runs from its next start on."""

    node: int
    software: Software

    def __call__(self, world: World) -> None:
        world.nodes[self.node].installed = self.software


@dataclass(frozen=True)
class Rotate(Operation):
    """The operator takes the next step of a key rotation through a node: install a new key, send
    under it, or remove an old one. The authority keeps the result."""

    node: int

    def __call__(self, world: World) -> None:
        node, kept = world.nodes[self.node], world.keyring
        if kept is None or not node.running or node.paused or node.left:
            return
        by = Identity(node.id, node.generation, node.generation)
        if len(kept.keys) == 1:
            changed = install(kept, world.rng.randbytes(KEY_BYTES), by)
        elif world.rng.random() < 0.5:
            changed = use(kept, kept.keys[-1], by)
        else:
            changed = remove(kept, kept.keys[-1], by)
        if changed.newer_than(kept):
            behind = any(other.running and other.core.keyring != kept for other in world.nodes)
            world.happened("rotated_unheard" if behind else "rotated")
            world.keyring = changed
            node.application.offer_keyring(changed)


@dataclass(frozen=True)
class Write(Operation):
    """A change is committed through a node that runs, or through nobody."""

    node: int
    size: int = 100

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        if node.running and not node.paused and not node.left:
            world.commit(node.index, world.rng.randbytes(self.size))


@dataclass(frozen=True)
class Purge(Operation):
    """Something is purged through a node, so many times at once."""

    node: int
    times: int = 1

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        if node.running and not node.paused and not node.left:
            # As often as it may, unless it has just ended its part.
            with contextlib.suppress(TooManyPurges, ValueError):
                for _ in range(self.times):
                    world.checks.rumors.purge(node)


@dataclass(frozen=True)
class SetRegister(Operation):
    """A register is set through a node, for good or for a time; or deleted."""

    node: int
    name: str
    value: str | None
    seconds: float | None = None

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        if node.running and not node.paused and not node.left:
            with contextlib.suppress(ValueError):
                node.core.set_register(self.name, self.value, node.now(), self.seconds)
            node.flush()


@dataclass(frozen=True)
class Fence(Operation):
    """A client waits, at a node, until everyone has what was committed last."""

    node: int
    seconds: float = 2.0

    def __call__(self, world: World) -> None:
        node = world.nodes[self.node]
        able = node.running and not node.paused and not node.left and not node.is_stranger
        if able and world.authority.log:
            node.application.fences.begin(world.authority.head().version, self.seconds)


@dataclass(frozen=True)
class AuthorityAway(Operation):
    """The authority answers nobody from now on; ``False`` brings it back."""

    away: bool = True

    def __call__(self, world: World) -> None:
        if not self.away and not world.authority.available:
            world.happened("outage")
            world.outages += 1
        world.authority.available = not self.away
