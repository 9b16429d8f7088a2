"""Nodes that operators force out of a simulated cluster."""

import pytest

from simulations.operations import AuthorityAway, Crash, Cut, ForceOut, Mend, Start
from simulations.world import World


def formed(nodes: int = 4) -> World:
    world = World(nodes, seed=5)
    world.form()
    world.run(1.0)
    return world


def test_everyone_takes_it_for_left_at_once_and_a_later_life_comes_back() -> None:
    world = formed()
    ForceOut(0, 3)(world)
    world.run(1.0)
    assert {node.status_of(world.nodes[3]) for node in world.nodes[:3]} == {"left"}
    assert world.removals == {world.nodes[3].id: 1}
    Crash(3)(world)
    Start(3)(world)
    world.run_until(world.is_whole, within=10.0)
    assert world.checks.sometimes.seen["back_after_force"] > 0


def test_who_was_away_is_told_by_the_authority_when_it_connects() -> None:
    world = formed()
    world.poll_in_turn()
    cut = ([0, 1, 3], [2]), ([2], [0, 1, 3])
    for pair in cut:
        Cut(*pair)(world)
    Crash(3)(world)
    ForceOut(0, 3)(world)
    AuthorityAway()(world)
    AuthorityAway(away=False)(world)
    world.run(31.0)
    assert world.nodes[2].status_of(world.nodes[3]) == "left"
    for pair in cut:
        Mend(*pair)(world)


def test_an_outage_delays_no_more_than_the_authoritys_word() -> None:
    world = formed()
    world.poll_in_turn()
    AuthorityAway()(world)
    ForceOut(1, 3)(world)
    world.run(1.0)
    assert world.nodes[0].status_of(world.nodes[3]) == "left"
    assert world.removals == {}
    Crash(1)(world)
    Start(1)(world)
    AuthorityAway(away=False)(world)
    world.run(31.0)
    assert world.removals == {world.nodes[3].id: 1}, "kept on the disk meanwhile"


def test_force_that_nobody_used_is_found() -> None:
    world = formed()
    world.nodes[0].core.force_leave(world.nodes[3].id, world.nodes[0].now())
    with pytest.raises(AssertionError, match="by force that was used up to 0"):
        world.nodes[0].flush()


def test_a_process_that_comes_back_by_itself_is_found() -> None:
    world = formed()
    node = world.nodes[3]
    world.checks.forced_out(node.id, node.generation)
    node.generation += 1
    with pytest.raises(AssertionError, match="came back by itself"):
        world.checks.goes_on(node, node.generation - 1)
