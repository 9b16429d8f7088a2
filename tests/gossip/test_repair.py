"""When repair asks whom, and when it gives up."""

import random

import pytest

from gossip import limits
from gossip.member import Member, Status
from gossip.repair import Ask, GiveUp, Repair
from gossip.replica import Head, Version
from simulations.authority import EMPTY
from tests.gossip.drive import PROFILE, address, metadata, node_id

HIGH = Head((1, 1, 9), b"9" * 32)
HIGHER = Head((1, 1, 10), b"A" * 32)


def peer(number: int, serving: Version | None = HIGH.version) -> Member:
    return Member(
        node_id(number), 1, 1, 1, Status.ALIVE, address(number), metadata("x"), 0.0, serving=serving
    )


@pytest.fixture
def repair() -> Repair:
    return Repair(PROFILE, random.Random(1))


def at_deadline(repair: Repair, mine: Head, *peers: Member) -> Ask | GiveUp | None:
    assert repair.deadline is not None
    return repair.decide(mine, peers, repair.deadline)


def test_an_idle_repair_has_no_deadline(repair: Repair) -> None:
    assert repair.deadline is None
    assert repair.decide(EMPTY, [peer(2)], 0.0) is None


def test_patience_comes_first(repair: Repair) -> None:
    repair.behind(HIGH.version, node_id(2), now=5.0)
    assert repair.deadline == 5.0 + PROFILE.repair_patience
    assert repair.decide(EMPTY, [peer(2)], 5.0) is None
    assert at_deadline(repair, EMPTY, peer(2), peer(3)) == Ask(node_id(2), by_stream=False)


def test_reaching_the_head_ends_the_effort(repair: Repair) -> None:
    repair.behind(HIGH.version, node_id(2), now=0.0)
    repair.progressed(HIGH, now=0.0005)
    assert repair.deadline is None


def test_what_gets_us_further_by_packets_begins_patience_anew(repair: Repair) -> None:
    repair.behind(HIGHER.version, node_id(2), now=0.0)
    repair.progressed(HIGH, now=1.0)
    assert repair.deadline == 1.0 + PROFILE.repair_patience


def test_each_attempt_waits_longer(repair: Repair) -> None:
    repair.behind(HIGH.version, node_id(2), now=0.0)
    waits = []
    for _ in range(2):
        asked_at = repair.deadline
        assert isinstance(at_deadline(repair, EMPTY, peer(2)), Ask)
        assert asked_at is not None
        assert repair.deadline is not None
        waits.append(repair.deadline - asked_at)
    assert waits == [pytest.approx(PROFILE.repair_timeout), pytest.approx(2 * waits[0])]


def test_announcements_in_a_burst_do_not_use_up_attempts(repair: Repair) -> None:
    repair.announced(HIGH.version, node_id(2), now=0.0)
    assert at_deadline(repair, EMPTY, peer(2)) == Ask(node_id(2), by_stream=True)
    deadline = repair.deadline
    for _ in range(50):
        repair.announced(HIGHER.version, node_id(3), now=0.001)
    assert repair.deadline == deadline


def test_while_a_pull_takes_its_time_others_are_asked_by_packet(repair: Repair) -> None:
    repair.announced(HIGH.version, node_id(2), now=0.0)
    assert at_deadline(repair, EMPTY, peer(2)) == Ask(node_id(2), by_stream=True)
    asked = []
    while isinstance(decision := at_deadline(repair, EMPTY, peer(3)), Ask):
        asked.append(decision)
        assert repair.deadline is not None
        assert repair.deadline < 2 * PROFILE.stream_timeout
    assert asked == [Ask(node_id(3), by_stream=False)] * round(PROFILE.stream_timeout / 0.5 - 1)
    assert decision == GiveUp(HIGH.version, "silent")


def test_an_answer_is_awaited_for_a_few_round_trips(repair: Repair) -> None:
    near = peer(2)
    near.rtt = 0.001
    repair.behind(HIGH.version, node_id(2), now=0.0)
    at_deadline(repair, EMPTY, near)
    assert repair.deadline == pytest.approx(PROFILE.repair_patience + 0.004)


def test_where_a_round_trip_is_not_known_the_usual_one_is_taken(repair: Repair) -> None:
    repair.behind(HIGH.version, node_id(2), now=0.0)
    repair.decide(EMPTY, [peer(2)], PROFILE.repair_patience, typical_rtt=0.002)
    assert repair.deadline == pytest.approx(PROFILE.repair_patience + 0.008)


def test_a_peer_that_refused_is_not_asked_again(repair: Repair) -> None:
    repair.behind(HIGH.version, node_id(2), now=0.0)
    at_deadline(repair, EMPTY, peer(2), peer(3))
    repair.refused(node_id(2), "log", now=0.01)
    assert at_deadline(repair, EMPTY, peer(2), peer(3)) == Ask(node_id(3), by_stream=False)


def test_when_all_refuse_it_gives_up_with_their_reason(repair: Repair) -> None:
    repair.behind(HIGH.version, node_id(2), now=0.0)
    at_deadline(repair, EMPTY, peer(2))
    repair.refused(node_id(2), "forked", now=0.01)
    assert at_deadline(repair, EMPTY, peer(2)) == GiveUp(HIGH.version, "forked")
    assert repair.deadline is not None
    assert repair.deadline >= 0.01 + PROFILE.repair_rest


def test_silence_is_given_up_after_its_time_and_tried_again_after_rest(repair: Repair) -> None:
    repair.behind(HIGH.version, node_id(2), now=0.0)
    decision: Ask | GiveUp | None = None
    while not isinstance(decision, GiveUp):
        decision = at_deadline(repair, EMPTY, peer(2))
        if isinstance(decision, Ask) and decision.by_stream:
            assert repair.deadline is not None
            repair.stream_ended(repair.deadline - 0.5 + 0.01)
    assert decision.reason == "silent"
    assert isinstance(at_deadline(repair, EMPTY, peer(2)), Ask)


def test_after_rest_a_head_that_nobody_shows_is_forgotten(repair: Repair) -> None:
    repair.behind(HIGHER.version, node_id(2), now=0.0)
    at_deadline(repair, EMPTY, peer(2))
    repair.refused(node_id(2), "log", now=0.01)
    assert isinstance(at_deadline(repair, EMPTY, peer(2)), GiveUp)
    assert at_deadline(repair, EMPTY, peer(3, EMPTY.version)) is None
    assert repair.deadline is None


def test_with_nobody_to_ask_it_waits_for_a_peer_that_shows_the_head(repair: Repair) -> None:
    repair.behind(HIGH.version, node_id(1), now=0.0)
    assert at_deadline(repair, EMPTY, peer(2, serving=None)) is None
    repair.behind(HIGH.version, node_id(2), now=0.01)
    assert repair.deadline == 0.01 + PROFILE.repair_patience
    assert at_deadline(repair, EMPTY, peer(2)) == Ask(node_id(2), by_stream=False)


def test_a_few_logs_that_do_not_reach_speak_for_all(repair: Repair) -> None:
    peers = [peer(number) for number in range(2, 200)]
    repair.behind(HIGH.version, node_id(2), now=0.0)
    asked = 0
    while isinstance(decision := at_deadline(repair, EMPTY, *peers), Ask):
        asked += 1
        repair.refused(decision.peer, "log", now=0.01)
    assert decision == GiveUp(HIGH.version, "log")
    assert asked == limits.LOG_REFUSALS_MAX
