"""Leaving: whatever is lost on the way, and however it is cut short, who left has not failed."""

import pytest

from gossip.events import LeaveFinished, MemberChanged
from gossip.member import Status
from gossip.messages.membership import Alive
from gossip.profiles import LAN
from simulations.links import Link
from simulations.node import Node
from simulations.world import World
from tests.gossip.drive import Driver, address, alive, verdict

LEFT = Status.LEFT


def leave(world: World, node: Node) -> None:
    node.leave()


def has_left(world: World, node: Node) -> bool:
    return any(
        seen.node == node.index and isinstance(seen.event, LeaveFinished) for seen in world.observed
    )


def failures(world: World) -> list[str]:
    return [
        seen.event.member.name
        for seen in world.observed
        if isinstance(seen.event, MemberChanged) and seen.event.member.status == "failed"
    ]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("loss", [0.05, 0.2])
@pytest.mark.parametrize("nodes", [1, 2, 3, 10])
def test_a_leave_is_seen_as_one_whatever_is_lost(nodes: int, loss: float, seed: int) -> None:
    world = World(nodes, seed, link=Link(loss=loss))
    world.form()
    leaver, others = world.nodes[-1], world.nodes[:-1]
    leave(world, leaver)
    took = world.run_until(lambda: has_left(world, leaver), within=5.0)
    assert took <= (0.0 if nodes == 1 else 2 * LAN.leave_delay + 0.01)
    leaver.crash()
    world.run_until(lambda: all(node.status_of(leaver) == "left" for node in others), within=30.0)
    world.run(LAN.left_ttl + 10.0)
    assert leaver.name not in failures(world)
    assert {node.status_of(leaver) for node in others} <= {None}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("after", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_a_node_that_is_killed_while_it_leaves_has_left(
    nodes: int, after: float, seed: int
) -> None:
    world = World(nodes, seed)
    world.form()
    leaver, others = world.nodes[-1], world.nodes[:-1]
    leave(world, leaver)
    world.run(after * LAN.leave_delay)
    leaver.crash()
    world.run_until(
        lambda: all(node.status_of(leaver) == "left" for node in others),
        within=LAN.leaving_timeout + 10.0,
    )
    assert failures(world) == []


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_a_node_that_left_and_starts_again_is_back_at_once(nodes: int) -> None:
    world = World(nodes, seed=4, link=Link(loss=0.05, duplication=0.2, jitter=0.05))
    world.form()
    leaver = world.nodes[-1]
    leave(world, leaver)
    world.run_until(lambda: has_left(world, leaver), within=5.0)
    leaver.crash()
    leaver.start()
    world.run_until(world.is_whole, within=20.0)
    world.run(LAN.left_ttl + 10.0)
    assert world.is_whole(), "late words of the earlier life change nothing"


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_all_leave_at_once(nodes: int) -> None:
    world = World(nodes, seed=5)
    world.form()
    for node in world.nodes:
        leave(world, node)
    world.run_until(lambda: all(has_left(world, node) for node in world.nodes), within=5.0)
    assert failures(world) == []


def test_the_leave_of_an_earlier_life_does_not_touch_the_new_one() -> None:
    driver = Driver()
    driver.receive(3, alive(3, generation=2))
    for status in (Status.LEAVING, LEFT):
        driver.receive(3, verdict(3, status, incarnation=900, generation=1, by=3))
        assert driver.status(3) == "alive"
        assert (address(3), alive(3, generation=2)) in driver.sent(Alive), "and is corrected"
