"""Conditions on a world of whole nodes, for ``Until`` and ``Expect``."""

from typing import cast

from gossip.events import ForeignAuthority
from simulations.conditions import Condition
from simulations.whole.world import WholeWorld
from simulations.world import World


def serves(*nodes: int) -> Condition:
    """The workers of these nodes accept connections, and serve the authority's head."""

    def condition(world: World) -> bool:
        whole = cast("WholeWorld", world)
        head = whole.authority.head().version
        for index in nodes:
            node = whole.whole_nodes[index]
            worker = node.application.agent.process if node.running else None
            if worker is None or not worker.listening or worker.version != head:
                return False
        return True

    return condition


def all_serve(world: World) -> bool:
    """So do those of all nodes that run."""
    return serves(*[node.index for node in world.nodes if node.running])(world)


def listens(node: int) -> Condition:
    """The worker of a node accepts connections, whatever it serves."""

    def condition(world: World) -> bool:
        worker = cast("WholeWorld", world).whole_nodes[node].application.agent.process
        return worker is not None and worker.listening

    return condition


def workers_left_alone(count: int) -> Condition:
    """So many workers run whose agents don't."""
    return lambda world: (
        count == sum(not worker.agent.lives for worker in cast("WholeWorld", world).workers_now())
    )


def happened(name: str) -> Condition:
    """Something of ``simulations.whole.sometimes``, or of the other list, has happened."""
    return lambda world: world.checks.sometimes.seen[name] > 0


def holds_the_head(node: int) -> Condition:
    """What a node holds is what the authority does."""
    return lambda world: world.nodes[node].replica.head() == world.authority.head()


def counted_by_all(*counters: str, but: int | None = None) -> Condition:
    """Each node has counted some of these; one need not have."""
    return lambda world: all(
        any(node.core.counters[name] for name in counters)
        for node in world.nodes
        if but is None or node is not world.nodes[but]
    )


def called(node: int, text: str) -> Condition:
    """What a node goes by has this in it."""
    return lambda world: text in world.nodes[node].called


def both_refuse(world: World) -> bool:
    """Nodes of either authority have told of the other one."""
    told = [seen.event for seen in world.observed if isinstance(seen.event, ForeignAuthority)]
    return len({event.authority for event in told}) == 2


def revisions(count: int) -> Condition:
    """So many changesets are at the authority."""
    return lambda world: len(world.authority.log) == count
