"""Conditions on a world, for ``Until`` and ``Expect``."""

from collections.abc import Callable, Sequence

from gossip.events import MemberChanged
from simulations.world import World

Condition = Callable[[World], bool]


def whole(world: World) -> bool:
    """Every running node sees exactly all running nodes alive."""
    return world.is_whole()


def spread(world: World) -> bool:
    """Every running node serves the newest head."""
    return world.has_spread()


def hold(observers: Sequence[int], subject: int, *statuses: str | None) -> Condition:
    """All of these hold a node for one of these statuses."""

    def condition(world: World) -> bool:
        node = world.nodes[subject]
        return all(world.nodes[index].status_of(node) in statuses for index in observers)

    return condition


def anybody_says(subject: int, *statuses: str) -> Condition:
    """Some node has ever reported a status of a node."""

    def condition(world: World) -> bool:
        return any(
            seen.event.member.id == world.nodes[subject].id
            for seen in world.observed
            if isinstance(seen.event, MemberChanged) and seen.event.member.status in statuses
        )

    return condition


def nobody_says(subject: int, *statuses: str) -> Condition:
    """No node has ever reported a status of a node."""
    somebody = anybody_says(subject, *statuses)
    return lambda world: not somebody(world)


def counted(node: int, counter: str, at_least: int) -> Condition:
    """A counter of a node's core."""
    return lambda world: world.nodes[node].core.counters[counter] >= at_least


def at_epoch(epoch: int) -> Condition:
    """Every running node serves the newest head, which is of this epoch."""
    return lambda world: world.authority.head().version[0] == epoch and world.has_spread()


def all_know_of_the_split(world: World) -> bool:
    """Every node knows that there are two databases."""
    return all(node.application.history.split is not None for node in world.nodes)


def nobody_knows_of_a_split(world: World) -> bool:
    """No node knows of two databases any more."""
    return all(node.application.history.split is None for node in world.nodes)
