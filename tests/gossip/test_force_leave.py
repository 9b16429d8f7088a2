"""Forcing a member out: it can't object, and only a later life brings the node back."""

import pytest

from gossip.effects import PersistGeneration, PersistIncarnation, SendDatagram
from gossip.events import ForcedOut, MemberChanged
from gossip.limits import COUNTER_MAX
from gossip.member import Status
from gossip.messages.membership import Ack, Alive, Ping, PushPull, TableDigest, Verdict
from gossip.profiles import LAN
from simulations.links import Link
from simulations.world import World
from tests.gossip.drive import PROFILE, Driver, address, alive, node_id, verdict

LEFT = Status.LEFT


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.meet(2, 3, 4)
    return driver


def force(driver: Driver, number: int) -> None:
    driver.core.force_leave(node_id(number), driver.now)
    driver.effects = driver.core.effects()


def forced(number: int, generation: int = 1, *, by: int = 1) -> Verdict:
    return verdict(number, LEFT, COUNTER_MAX, generation, by=by)


def test_everyone_is_told_at_once_the_one_forced_out_too(driver: Driver) -> None:
    force(driver, 3)
    assert driver.status(3) == "left"
    told = driver.sent(Verdict)
    assert {where for where, _ in told} == {address(number) for number in (2, 3, 4)}
    assert all(claim == forced(3) for _, claim in told)
    (event,) = driver.events(MemberChanged)
    assert (event.member.id, event.previous) == (node_id(3), "alive")


def test_who_hears_of_it_passes_it_on_once(driver: Driver) -> None:
    driver.receive(2, forced(3, by=2))
    assert driver.status(3) == "left"
    driver.receive(4, forced(3, by=2))
    assert driver.events(MemberChanged) == []


@pytest.mark.parametrize("incarnation", [2, 99, COUNTER_MAX - 1])
def test_no_word_of_that_life_outranks_it(driver: Driver, incarnation: int) -> None:
    force(driver, 3)
    driver.receive(3, alive(3, incarnation))
    assert driver.status(3) == "left"
    assert (address(3), forced(3)) in driver.sent(Verdict), "its sender is told"


def test_only_a_later_life_brings_it_back(driver: Driver) -> None:
    """scylladb#14991: a removed node kept circling around and came back by gossip."""
    force(driver, 3)
    driver.receive(2, alive(3, 5, generation=1))
    assert driver.status(3) == "left"
    driver.receive(3, alive(3, 1, generation=2))
    assert driver.status(3) == "alive"


def test_the_last_word_outlives_the_listing(driver: Driver) -> None:
    force(driver, 3)
    driver.pass_time_answering(PROFILE.left_ttl + 2, 2, 4)
    assert driver.status(3) is None
    driver.receive(3, alive(3, 9), Ping(7))
    assert driver.status(3) is None
    assert (address(3), forced(3)) in driver.sent(Verdict)


def test_a_table_that_still_has_the_forced_out_is_answered_with_the_last_word(
    driver: Driver,
) -> None:
    """The far side of a partition that healed when the near side had forgotten the member."""
    force(driver, 3)
    driver.pass_time_answering(PROFILE.left_ttl + 2, 2, 4)
    driver.receive_table(2, alive(2), alive(3, 9), PushPull(False))
    assert driver.status(3) is None
    assert (address(2), forced(3)) in driver.sent(Verdict)


def test_who_is_gone_from_the_listing_is_never_told_that_all_is_well_alone(driver: Driver) -> None:
    """Its pings are too short for the last word as an answer to an address that has proved nothing:
    then they aren't answered, and it asks by stream."""
    force(driver, 3)
    driver.pass_time_answering(PROFILE.left_ttl + 2, 2, 4)
    driver.receive(3, Ping(7))
    assert driver.sent(Ack) == []
    driver.receive_table(3, Ping(8))
    assert driver.framed(Verdict) == [forced(3)]
    assert driver.framed(Ack) == [Ack(8)]


def test_a_comparison_of_tables_tells_who_is_gone_from_the_listing(driver: Driver) -> None:
    force(driver, 3)
    driver.pass_time_answering(PROFILE.left_ttl + 2, 2, 4)
    driver.receive_table(3, alive(3, 9), TableDigest(bytes(16), answer=False))
    assert driver.framed(Verdict) == [forced(3)]


def test_a_node_that_is_forced_out_does_not_refute_and_ends_its_part(driver: Driver) -> None:
    driver.receive(2, forced(1, by=2))
    assert driver.events(ForcedOut) == [ForcedOut(node_id(2), 1)]
    assert driver.done(PersistIncarnation) == []
    assert driver.done(SendDatagram) == []
    assert [(m.id, m.status) for m in driver.core.members(driver.now)] == [(node_id(1), "left")]
    assert driver.core.next_deadline() is None
    driver.receive(2, Ping(1))
    assert driver.effects == []


@pytest.mark.parametrize("status", [Status.SUSPECT, Status.FAILED])
def test_a_forged_accusation_at_the_highest_incarnation_is_refuted_by_a_later_generation(
    driver: Driver, status: Status
) -> None:
    driver.receive(2, verdict(1, status, COUNTER_MAX))
    assert driver.done(PersistGeneration) == [PersistGeneration(2)]
    claims = [claim for _, claim in driver.sent(Alive) if claim.node_id == node_id(1)]
    assert {(claim.generation, claim.incarnation) for claim in claims} == {(2, 1)}


def test_a_restored_disk_of_a_forced_out_life_comes_back_above_it(driver: Driver) -> None:
    driver.receive(2, forced(1, generation=7, by=2))
    assert driver.events(ForcedOut) == []
    assert driver.done(PersistGeneration) == [PersistGeneration(8)]
    assert {claim.generation for _, claim in driver.sent(Alive)} == {8}


def test_whom_nobody_lists_cannot_be_forced_out_nor_oneself(driver: Driver) -> None:
    with pytest.raises(KeyError):
        driver.core.force_leave(node_id(9), driver.now)
    with pytest.raises(ValueError, match="itself"):
        driver.core.force_leave(node_id(1), driver.now)


def test_the_authoritys_word_holds_for_who_is_not_listed_yet(driver: Driver) -> None:
    driver.core.removed(node_id(9), 4, driver.now)
    driver.receive(2, alive(9, 3, generation=4))
    assert driver.status(9) is None
    driver.receive(2, alive(9, 1, generation=5))
    assert driver.status(9) == "alive"


@pytest.mark.parametrize(("held", "status"), [(1, "left"), (4, "left"), (5, "alive")])
def test_the_authoritys_word_holds_up_to_its_generation(
    driver: Driver, held: int, status: str
) -> None:
    driver.receive(3, alive(3, generation=held))
    driver.core.removed(node_id(3), 4, driver.now)
    assert driver.status(3) == status


def test_the_authoritys_word_about_this_very_life_ends_it(driver: Driver) -> None:
    driver.core.removed(node_id(1), 1, driver.now)
    driver.effects = driver.core.effects()
    assert driver.events(ForcedOut) == [ForcedOut("", 1)]


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_a_live_node_is_out_everywhere_and_back_after_a_restart(nodes: int) -> None:
    world = World(nodes, seed=11, link=Link(loss=0.05))
    world.form()
    victim, others = world.nodes[-1], world.nodes[:-1]
    world.nodes[0].application.force_out(victim.id)
    world.nodes[0].flush()
    world.run_until(
        lambda: any(isinstance(seen.event, ForcedOut) for seen in world.observed), within=5.0
    )
    world.run(5.0)
    assert {node.status_of(victim) for node in others} == {"left"}
    victim.crash()
    victim.start()
    world.run_until(world.is_whole, within=10.0)


def test_a_partition_that_heals_late_does_not_bring_the_forced_out_back() -> None:
    """scylladb#14991: gossip must not revive who was removed."""
    world = World(6, seed=12)
    world.form()
    victim = world.nodes[5]
    world.network.partition([0, 1], [2, 3, 4, 5])
    world.run(60.0)
    world.nodes[0].application.force_out(victim.id)
    world.nodes[0].flush()
    world.run(LAN.left_ttl + 60.0)
    assert world.nodes[0].status_of(victim) is None
    assert world.nodes[2].status_of(victim) == "alive"
    world.network.heal()
    world.run_until(
        lambda: all(node.status_of(victim) in ("left", None) for node in world.nodes[:5]),
        within=30.0,
    )
    world.run(LAN.left_ttl + 60.0)
    assert {node.status_of(victim) for node in world.nodes[:5]} == {None}
