"""How long the world knows that the accused must be waited for."""

from dataclasses import replace

import pytest

from gossip.events import MemberChanged
from gossip.profiles import LAN, PROFILES, Profile
from gossip.suspicion import open_suspicion
from simulations.patience import refuting_time
from simulations.world import World


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
@pytest.mark.parametrize("members", [1, 2, 3, 5, 7, 10, 100, 1000])
@pytest.mark.parametrize("accusers", range(1, 7))
def test_the_world_and_the_core_agree_on_the_formula(
    profile: Profile, members: int, accusers: int
) -> None:
    case = open_suspicion(profile, members, "0", 100.0)
    for number in range(1, accusers):
        case.confirm(str(number))
    assert refuting_time(profile, members, accusers) == pytest.approx(case.deadline - 100.0)


def suspected(world: World) -> MemberChanged:
    """What node 0 would report if it failed node 1, which it has just begun to suspect."""
    observer = world.nodes[0]
    (view,) = (m for m in observer.members() if m.id == world.nodes[1].id)
    world.checks.observed(observer, MemberChanged(view._replace(status="suspect"), "alive"))
    return MemberChanged(view._replace(status="failed"), "suspect")


def test_one_accuser_among_many_leaves_the_longest_time() -> None:
    world = World(6, seed=2, profile=replace(LAN, probe_interval=1.0))
    world.form()
    failed = suspected(world)
    world.run(29.0)
    with pytest.raises(AssertionError, match=r"1 accusers among 6 leave it 30\.000 s"):
        world.checks.observed(world.nodes[0], failed)


def test_a_table_convicts_nobody() -> None:
    world = World(2, seed=2)
    world.form()
    failed = suspected(world)
    world.run(31.0)
    world.nodes[0].reads_table = True
    with pytest.raises(AssertionError, match="by the word of a table alone"):
        world.checks.observed(world.nodes[0], failed)


def test_a_machine_without_power_is_waited_for_like_one_that_lives() -> None:
    world = World(3, seed=2)
    world.form()
    world.nodes[1].silence()
    failed = suspected(world)
    with pytest.raises(AssertionError, match=r"declared node-1 failed after 0\.000 s"):
        world.checks.observed(world.nodes[0], failed)
