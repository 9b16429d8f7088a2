"""What follows from claims: refutation, corrections, spreading, contests."""

import pytest

from gossip.effects import PersistIncarnation
from gossip.events import LeaveFinished, MemberChanged, MemberForgotten
from gossip.member import Member, Status, record_mark
from gossip.messages.changes import CHECK_BYTES, Heartbeat, Request
from gossip.messages.membership import Ack, Alive, Ping, Verdict
from gossip.replica import GENESIS, Head
from tests.gossip.drive import PROFILE, Driver, address, alive, metadata, node_id, verdict


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.meet(2, 3)
    return driver


@pytest.mark.parametrize("status", [Status.SUSPECT, Status.FAILED, Status.LEAVING, Status.LEFT])
def test_a_verdict_about_this_node_is_refuted_above_its_incarnation(
    driver: Driver, status: Status
) -> None:
    driver.receive(2, verdict(1, status, incarnation=7))
    assert driver.done(PersistIncarnation) == [PersistIncarnation(8)]
    refutations = driver.sent(Alive)
    assert {where for where, _ in refutations} == {address(2), address(3)}
    assert all((c.node_id, c.incarnation) == (node_id(1), 8) for _, c in refutations)


def test_a_stale_accusation_is_corrected_not_refuted(driver: Driver) -> None:
    driver.receive(2, verdict(1, Status.SUSPECT, incarnation=5))
    driver.receive(3, verdict(1, Status.SUSPECT, incarnation=5))
    assert driver.done(PersistIncarnation) == []
    corrections = [(where, claim) for where, claim in driver.sent(Alive) if where == address(3)]
    assert corrections
    assert corrections[0][1].incarnation == 6


def test_refuting_costs_health(driver: Driver) -> None:
    driver.receive(2, verdict(1, Status.SUSPECT))
    assert driver.core.counters["refutations"] == 1


def test_a_suspect_that_does_not_refute_is_failed_after_its_time(driver: Driver) -> None:
    driver.receive(2, verdict(3, Status.SUSPECT))
    driver.pass_time_answering(4.9, 2)
    assert driver.status(3) == "suspect"
    driver.pass_time_answering(0.2, 2)
    assert driver.status(3) == "failed"


def test_suspicion_is_refuted_by_a_higher_incarnation(driver: Driver) -> None:
    driver.receive(2, verdict(3, Status.SUSPECT))
    driver.receive(2, alive(3, incarnation=2))
    driver.pass_time_answering(10, 2, 3)
    assert driver.status(3) == "alive"


def test_a_stale_claim_is_answered_with_what_is_held(driver: Driver) -> None:
    driver.receive(2, verdict(3, Status.FAILED, incarnation=100))
    driver.receive(3, alive(3, incarnation=1))
    assert (address(3), verdict(3, Status.FAILED, 100, by=1)) in driver.sent(Verdict)
    assert driver.core.counters["claims_answered"] == 1


def test_a_ping_from_a_member_held_for_dead_is_answered_with_the_verdict(driver: Driver) -> None:
    driver.receive(2, verdict(3, Status.FAILED))
    driver.receive(3, Ping(5))
    assert [ack for _, ack in driver.sent(Ack)] == [Ack(5)]
    assert (address(3), verdict(3, Status.FAILED, by=1)) in driver.sent(Verdict)


def test_an_equal_claim_is_not_passed_on(driver: Driver) -> None:
    driver.receive(2, verdict(3, Status.LEFT))
    for _ in range(50):
        driver.receive(2, Ping(1))
    changed = driver.core.counters["claims_changed"]
    driver.receive(2, verdict(3, Status.LEFT))
    assert driver.events(MemberChanged) == []
    driver.receive(2, Ping(1))
    assert driver.sent(Verdict) == []
    assert driver.core.counters["claims_changed"] == changed


def test_news_rides_on_packets_a_bounded_number_of_times(driver: Driver) -> None:
    driver.receive(2, alive(4))
    carried = 0
    for _ in range(50):
        driver.receive(2, Ping(1))
        carried += sum(claim.node_id == node_id(4) for _, claim in driver.sent(Alive))
    assert carried == PROFILE.retransmit_mult


def test_a_stranger_may_speak_for_itself_only(driver: Driver) -> None:
    driver.receive(8, alive(4), verdict(3, Status.FAILED), Request(Head((0, 0, 0), bytes(32))))
    assert driver.status(4) is None
    assert driver.status(3) == "alive"
    assert driver.core.counters["dropped_stranger"] == 3
    driver.receive(8, alive(8), alive(4))
    assert driver.status(8) == driver.status(4) == "alive"


def test_a_failed_verdict_in_a_table_is_only_a_suspicion(driver: Driver) -> None:
    driver.receive_table(2, verdict(3, Status.FAILED))
    assert driver.status(3) == "suspect"
    # By who told of it, not by whoever it heard that from, nor by this node.
    assert {told.accuser for _, told in driver.sent(Verdict)} == {node_id(2)}


def test_members_appear_and_change_with_an_event_each(driver: Driver) -> None:
    driver.receive(2, alive(4))
    (event,) = driver.events(MemberChanged)
    assert (event.member.name, event.member.status, event.previous) == ("node-4", "alive", None)
    driver.receive(2, verdict(4, Status.FAILED))
    (event,) = driver.events(MemberChanged)
    assert (event.member.status, event.previous) == ("failed", "alive")


def test_a_newer_generation_is_listed_at_its_new_address(driver: Driver) -> None:
    driver.receive(2, verdict(3, Status.FAILED, incarnation=50))
    driver.receive(2, alive(3, generation=2, at=33))
    member = driver.member(3)
    assert member is not None
    assert (member.status, member.generation, member.address) == ("alive", 2, address(33))


def test_our_own_higher_incarnation_of_before_is_exceeded(driver: Driver) -> None:
    driver.receive(2, alive(1, incarnation=20))
    assert driver.done(PersistIncarnation) == [PersistIncarnation(21)]


def test_who_leaves_the_listing_is_told_of(driver: Driver) -> None:
    driver.receive(2, verdict(3, Status.LEFT))
    driver.pass_time_answering(PROFILE.left_ttl - 1, 2)
    assert driver.status(3) == "left"
    driver.pass_time(3)
    (event,) = driver.events(MemberForgotten)
    assert (event.member.id, event.member.generation) == (node_id(3), 1)


def test_a_view_tells_how_long_ago_something_came_from_a_member(driver: Driver) -> None:
    driver.receive(2, Ping(1))
    driver.receive(2, alive(4))
    driver.now += 1.5
    heard = {member.id: member.heard for member in driver.core.members(driver.now)}
    assert heard == {node_id(1): None, node_id(2): 1.5, node_id(3): 1.5, node_id(4): None}


def test_leaving_is_told_to_all_and_then_finished(driver: Driver) -> None:
    driver.core.leave(driver.now)
    driver.effects = driver.core.effects()
    leaving = driver.sent(Verdict)
    assert {where for where, _ in leaving} == {address(2), address(3)}
    assert all(claim.status is Status.LEAVING for _, claim in leaving)
    driver.pass_time(3 * PROFILE.leave_delay)
    assert any(claim.status is Status.LEFT for _, claim in driver.sent(Verdict))
    assert len(driver.events(LeaveFinished)) == 1
    assert driver.core.next_deadline() is None


def test_a_leaving_node_does_not_refute_its_own_leave(driver: Driver) -> None:
    driver.core.leave(driver.now)
    driver.core.effects()
    driver.receive(2, verdict(1, Status.LEFT, incarnation=2))
    assert driver.done(PersistIncarnation) == []


def test_a_lone_node_leaves_at_once() -> None:
    driver = Driver()
    driver.core.leave(driver.now)
    driver.pass_time(0.0)
    assert len(driver.events(LeaveFinished)) == 1


def test_after_leaving_packets_are_counted_and_dropped(driver: Driver) -> None:
    driver.core.leave(driver.now)
    driver.pass_time(1.0)
    driver.receive(2, Ping(1))
    assert driver.effects == []
    assert driver.core.counters["dropped_finished"] == 1


def test_who_is_known_from_the_start_is_a_member_of_whom_nothing_is_told() -> None:
    driver = Driver()
    driver.core.acquaint([alive(1), alive(2), alive(3)], driver.now)
    driver.effects = driver.core.effects()
    assert driver.status(2) == driver.status(3) == "alive"
    assert driver.events(MemberChanged) == []
    assert driver.sent(Alive) == []
    driver.receive(2, verdict(3, Status.SUSPECT, by=2))
    assert driver.status(3) == "suspect", "and is heard about others"


def heartbeat(record: int) -> Heartbeat:
    return Heartbeat(GENESIS, bytes(CHECK_BYTES), None, record=record)


def mark(incarnation: int) -> int:
    """Of node 2 in its first generation."""
    me = Member(node_id(2), 1, 2, incarnation, Status.ALIVE, address(2), metadata("node-2"), 0.0)
    return record_mark(me)


def test_a_record_that_was_lost_is_asked_for_when_its_node_is_heard(driver: Driver) -> None:
    driver.receive(2, Ack(7), heartbeat(mark(incarnation=2)))
    shown = {
        (where, one.incarnation) for where, one in driver.sent(Alive) if one.node_id == node_id(2)
    }
    assert shown == {(address(2), 1)}
    assert driver.core.counters["records_asked"] == 1
    driver.receive(2, Ack(8), heartbeat(mark(incarnation=2)))
    assert driver.core.counters["records_asked"] == 1  # once per interval
    driver.receive(2, alive(2, incarnation=2))
    driver.pass_time_answering(2 * PROFILE.probe_interval, 2, 3)
    driver.receive(2, Ack(9), heartbeat(mark(incarnation=2)))
    assert driver.core.counters["records_asked"] == 1


def test_a_record_that_comes_in_the_same_packet_is_not_asked_for(driver: Driver) -> None:
    driver.receive(2, Ack(7), heartbeat(mark(incarnation=2)), alive(2, incarnation=2))
    assert driver.core.counters["records_asked"] == 0


def test_who_is_shown_its_old_record_answers_with_the_new_one(driver: Driver) -> None:
    driver.receive(2, verdict(1, Status.SUSPECT, incarnation=1))
    driver.receive(3, Ack(1), alive(1, incarnation=1))
    assert (address(3), 2) in [(where, one.incarnation) for where, one in driver.sent(Alive)]
