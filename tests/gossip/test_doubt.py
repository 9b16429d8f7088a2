"""Self-doubt: what a node makes of probes that fail while it hears nobody."""

from dataclasses import replace

import pytest

from gossip.counters import Counters
from gossip.doubt import Doubt
from gossip.events import MemberChanged
from gossip.member import Status
from gossip.messages.membership import Ping, Verdict
from gossip.probe import Failure
from gossip.profiles import LAN
from simulations.world import World
from tests.gossip.drive import PROFILE, Driver, node_id, verdict


def accused(driver: Driver) -> list[str]:
    return [m.id for m in driver.core.members(driver.now) if m.status != "alive"]


def test_while_nobody_is_heard_nobody_is_accused() -> None:
    driver = Driver()
    driver.meet(*range(2, 12))
    driver.pass_time(PROFILE.doubt_max)
    assert driver.core.counters["probes_failed"] >= 2
    assert accused(driver) == []
    assert driver.sent(Verdict) == []


def test_after_the_time_for_doubt_what_was_withheld_is_spoken() -> None:
    driver = Driver()
    driver.meet(2, 3, 4)
    driver.pass_time(PROFILE.doubt_max + 2 * PROFILE.probe_interval)
    assert accused(driver)
    assert driver.sent(Verdict) != []


def test_once_spoken_the_next_failure_is_spoken_at_once() -> None:
    driver = Driver()
    driver.meet(2, 3, 4)
    driver.pass_time(5 * PROFILE.doubt_max)
    assert sorted(accused(driver)) == [node_id(number) for number in (2, 3, 4)]


def test_who_hears_again_after_a_long_silence_drops_what_was_withheld() -> None:
    """hashicorp/consul#5928: it was this node."""
    driver = Driver()
    driver.meet(2, 3, 4)
    driver.pass_time(PROFILE.doubt_max - 1.0)
    driver.receive(4, Ping(1))
    assert driver.core.counters["accusations_dropped"] > 0
    assert accused(driver) == []
    driver.pass_time_answering(PROFILE.doubt_max, 2, 3, 4)
    assert accused(driver) == []


def test_a_member_that_is_never_heard_is_not_spared_again_and_again() -> None:
    """Two survivors in bad health heard each other so seldom that they held a dead third alive for
    minutes (simulated seed 3433)."""
    doubt = Doubt(LAN, Counters())
    accusation = verdict(3, Status.SUSPECT)
    spoken, now = None, 0.0
    while spoken is None and now < 60.0:
        now += 4.0
        assert doubt.heard(node_id(2), 2, now - 0.1) == []
        if doubt.failed(Failure(accusation, now), now + 0.9):
            spoken = now
    assert spoken is not None
    assert LAN.doubt_max <= spoken <= LAN.doubt_max + 10.0
    assert doubt.failed(Failure(accusation, now + 1.0), now + 1.9) == [], "and then anew"


def test_when_the_probes_of_all_failed_it_was_this_node() -> None:
    driver = Driver(replace(PROFILE, health_score_max=0))
    driver.meet(2, 3)
    while driver.core.counters["probes_failed"] < 2:
        driver.pass_time(0.01)
    driver.receive(3, Ping(1))
    assert driver.core.counters["accusations_dropped"] == 2
    assert accused(driver) == []


def fail_one(driver: Driver) -> int:
    while not driver.sent(Ping):
        driver.pass_time(0.01)
    number = int(driver.sent(Ping)[0][0][0].rpartition(".")[2])
    driver.pass_time(PROFILE.probe_window)
    assert driver.core.counters["probes_failed"] == 1
    return number


def test_one_failure_is_spoken_once_another_member_is_heard() -> None:
    driver = Driver()
    driver.meet(2, 3, 4, 5)
    number = fail_one(driver)
    assert accused(driver) == []
    driver.receive(2 if number != 2 else 3, Ping(1))
    assert accused(driver) == [node_id(number)]


def test_one_failure_is_dropped_when_the_accused_itself_is_heard() -> None:
    driver = Driver()
    driver.meet(2, 3, 4, 5)
    number = fail_one(driver)
    driver.receive(number, Ping(1))
    driver.receive(2 if number != 2 else 3, Ping(1))
    assert accused(driver) == []


def test_of_two_nodes_the_one_that_hears_nothing_doubts_itself_first() -> None:
    driver = Driver()
    driver.meet(2)
    fail_one(driver)
    assert driver.core.counters["doubts"] == 1
    driver.receive(2, Ping(1))
    assert accused(driver) == []
    driver.pass_time(3 * PROFILE.doubt_max)
    assert accused(driver) == [node_id(2)]


def test_in_doubt_no_suspicion_becomes_a_verdict() -> None:
    driver = Driver()
    driver.meet(2, 3)
    driver.receive(3, verdict(2, Status.SUSPECT))
    driver.pass_time(PROFILE.doubt_max)
    assert driver.status(2) == "suspect", "its time was over after 5 s, and nobody was heard"
    driver.pass_time(2.0)
    assert driver.status(2) == "failed"


def test_refusals_prove_that_this_node_receives() -> None:
    driver = Driver()
    driver.meet(2, 3, 4)
    while driver.core.counters["knocks"] == 0:
        driver.pass_time(0.01)
    (knock,) = driver.core._detection._refusals._knocks
    driver.core.knocked(knock, "refused", "silent", driver.now)
    driver.pass_time(PROFILE.probe_window)
    assert len(accused(driver)) == 1, "the failed probe is spoken at once"


def test_time_that_this_process_stood_still_is_no_time_for_doubt() -> None:
    driver = Driver()
    driver.meet(2, 3, 4)
    fail_one(driver)
    driver.now += 60.0
    driver.core.advance(driver.now)
    assert accused(driver) == []


def suspicions(world: World, accuser: int, since: float) -> list[str]:
    return [
        seen.event.member.status
        for seen in world.observed
        if isinstance(seen.event, MemberChanged) and seen.node == accuser and seen.at >= since
    ]


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_a_node_that_sends_and_cannot_receive_accuses_nobody_within_the_bound(nodes: int) -> None:
    """hashicorp/consul#5928: one half-detached agent marked everyone failed."""
    world = World(nodes, seed=41)
    world.form()
    world.run(3.0)
    deaf, others = nodes - 1, range(nodes - 1)
    world.network.cut(others, [deaf])
    since = world.now
    world.run(LAN.doubt_max)
    assert suspicions(world, deaf, since) == []
    world.network.heal()
    world.run(60.0)
    assert "failed" not in suspicions(world, deaf, since)
    assert world.is_whole()


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_a_node_that_is_cut_off_for_good_sees_the_others_failed_in_the_end(nodes: int) -> None:
    world = World(nodes, seed=42)
    world.form()
    world.network.partition(range(nodes - 1), [nodes - 1])
    last = world.nodes[-1]
    took = world.run_until(
        lambda: all(last.status_of(other) == "failed" for other in world.nodes[:-1]), within=300.0
    )
    assert took > LAN.doubt_max


def test_who_has_spoken_doubts_no_more_until_somebody_is_heard() -> None:
    doubt = Doubt(PROFILE, Counters())
    first, second, third = (verdict(number, Status.SUSPECT) for number in (2, 3, 4))
    assert doubt.failed(Failure(first, 1.0), 1.0) == []
    over = 1.0 + PROFILE.doubt_max
    assert doubt.advance(over) == [first]
    assert doubt.failed(Failure(second, over), over + 1.0) == [second]
    doubt.heard(node_id(4), 2, over + 2.0)
    assert doubt.failed(Failure(third, over + 3.0), over + 4.0) == []


def test_a_standstill_is_no_time_in_which_a_member_was_spared() -> None:
    doubt = Doubt(PROFILE, Counters())
    accusation = verdict(3, Status.SUSPECT)
    assert doubt.failed(Failure(accusation, 1.0), 1.0) == []
    assert doubt.heard(node_id(2), 2, 2.0) == []
    doubt.grant_time(PROFILE.doubt_max)
    late = 1.5 + PROFILE.doubt_max
    assert doubt.failed(Failure(accusation, late), late) == []
    assert doubt.failed(Failure(accusation, late), 1.0 + 2 * PROFILE.doubt_max) == [accusation]
