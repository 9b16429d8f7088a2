"""What an operation is, and those that only let time pass, measure and judge."""

from collections.abc import Callable
from dataclasses import dataclass

from simulations import facts
from simulations.world import World


@dataclass(frozen=True)
class Operation:
    """Something that is done to a world."""

    def __call__(self, world: World) -> None:
        raise NotImplementedError


def perform(operation: Operation, world: World) -> None:
    """Do it, and have the trace say so."""
    world.record(facts.OPERATION, -1, repr(operation).encode())
    operation(world)


@dataclass(frozen=True)
class Wait(Operation):
    """Let time pass."""

    seconds: float

    def __call__(self, world: World) -> None:
        world.run(self.seconds)


@dataclass(frozen=True)
class Mark(Operation):
    """What follows is measured from here."""

    def __call__(self, world: World) -> None:
        world.marked_at = world.now


@dataclass(frozen=True)
class Until(Operation):
    """Let time pass until a condition holds; the time since the last mark is measured under a name.
    Raises TimeoutError when it takes longer than ``within`` seconds."""

    measure: str
    condition: Callable[[World], bool]
    within: float

    def __call__(self, world: World) -> None:
        world.run_until(lambda: self.condition(world), self.within, f"no {self.measure}")
        world.measures[self.measure] = world.now - world.marked_at

    def __repr__(self) -> str:
        return f"Until({self.measure!r}, within={self.within})"


@dataclass(frozen=True)
class Expect(Operation):
    """A condition holds now, or the run fails."""

    what: str
    condition: Callable[[World], bool]

    def __call__(self, world: World) -> None:
        assert self.condition(world), f"not so: {self.what}"

    def __repr__(self) -> str:
        return f"Expect({self.what!r})"
