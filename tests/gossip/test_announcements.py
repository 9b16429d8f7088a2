"""Telling a few others what has come, and asking for what is missing when one is told."""

from itertools import pairwise

import pytest

from gossip import limits
from gossip.effects import SendDatagram
from gossip.events import ChangesetApplied
from gossip.messages.changes import Heartbeat, Push, Request
from gossip.messages.spreading import Holds, Run
from gossip.replica import Changeset, Head
from simulations.authority import EMPTY
from tests.gossip.drive import PROFILE, Driver, address, alive

DELAY, FANOUT, PATIENCE = (
    PROFILE.announce_delay,
    PROFILE.announce_fanout,
    PROFILE.repair_patience,
)
STRAIGHT_FANOUT = FANOUT // 2


def cluster_of(size: int) -> Driver:
    driver = Driver()
    driver.core.acquaint([alive(number) for number in range(2, size + 1)], driver.now)
    driver.core.effects()
    return driver


def heartbeat(changeset: Changeset) -> Heartbeat:
    return Heartbeat.of(Head(changeset.version, changeset.digest), None)


def receive_new(driver: Driver, sender: int = 2) -> Changeset:
    """Another node's commit arrives."""
    changeset = driver.authority.commit(b"body")
    driver.receive(sender, Push(changeset, 0.0, 0), heartbeat(changeset))
    return changeset


def told(driver: Driver, seconds: float) -> list[Holds]:
    driver.pass_time(seconds)
    return [message for _, message in driver.sent(Holds)]


@pytest.mark.parametrize(("members", "fanout"), [(50, STRAIGHT_FANOUT), (80, FANOUT)])
def test_what_came_is_told_to_a_few_others_a_little_later(members: int, fanout: int) -> None:
    """To fewer where the origin tells everybody itself."""
    driver = cluster_of(members)
    changeset = receive_new(driver)
    assert driver.sent(Holds) == []
    assert told(driver, DELAY * 0.9) == []
    assert told(driver, DELAY * 0.2) == [Holds(changeset.version, ())] * fanout
    assert len({where for where, _ in driver.sent(Holds)}) == fanout


def test_whoever_commits_tells_nobody_afterwards() -> None:
    driver = cluster_of(50)
    driver.replica.offer(*driver.authority.commit(b"mine"))
    driver.core.committed(driver.now)
    assert told(driver, 0.5) == []


def test_a_cluster_of_two_sends_none() -> None:
    driver = cluster_of(2)
    receive_new(driver)
    assert told(driver, 0.5) == []


def test_in_a_cluster_of_three_the_third_is_told() -> None:
    driver = cluster_of(3)
    receive_new(driver)
    assert len(told(driver, DELAY)) == 1
    assert [where for where, _ in driver.sent(Holds)] == [address(3)]


def test_whoever_is_known_to_have_it_is_not_told() -> None:
    driver = cluster_of(3)
    changeset = receive_new(driver)
    driver.receive(3, Holds(changeset.version, ()))
    assert told(driver, 0.5) == []


def test_what_is_known_already_is_not_told_again() -> None:
    driver = cluster_of(50)
    changeset = receive_new(driver)
    driver.pass_time(DELAY)
    driver.receive(3, Push(changeset, 0.0, 0))
    assert told(driver, 0.5) == []


def test_what_waits_for_its_predecessor_is_told_as_such() -> None:
    driver = cluster_of(50)
    first = receive_new(driver)
    driver.pass_time(1.0)
    for _ in range(2):
        driver.authority.commit(b"lost")
    later = [driver.authority.commit(b"%d" % number) for number in range(3)]
    for changeset in later:
        driver.receive(2, Push(changeset, 0.0, 0))
    epoch, tag, revision = later[0].version
    assert set(told(driver, DELAY)) == {
        Holds(first.version, (Run(epoch, tag, revision, revision + 2),))
    }


@pytest.mark.parametrize(
    ("apart", "to_each_peer"), [(0.0, 1), (0.000_1, 1), (0.001, 4), (0.003, 50), (0.02, 320)]
)
def test_a_burst_costs_a_handful_of_packets_to_each_peer(apart: float, to_each_peer: int) -> None:
    driver = cluster_of(20)
    packets = 0
    for _ in range(1_000):
        receive_new(driver)
        packets += len(told(driver, apart))
    packets += len(told(driver, 0.5))
    assert 0 < packets / 19 <= to_each_peer


def test_the_end_of_a_burst_is_told_at_once() -> None:
    driver = cluster_of(50)
    for _ in range(250):
        changeset = receive_new(driver)
        driver.pass_time(0.001)
    assert [message.serving for message in told(driver, DELAY)] == [
        changeset.version
    ] * STRAIGHT_FANOUT


def test_changes_further_apart_are_told_one_by_one() -> None:
    driver = cluster_of(50)
    for _ in range(20):
        receive_new(driver)
        assert len(told(driver, 0.2)) == STRAIGHT_FANOUT


def test_an_idle_node_tells_nothing() -> None:
    driver = cluster_of(5)
    receive_new(driver)
    driver.pass_time(1.0)
    before = driver.core.counters["news_told"]
    driver.pass_time_answering(60.0, 2, 3, 4, 5)
    assert driver.core.counters["news_told"] == before


def test_what_one_hears_of_and_lacks_is_asked_of_who_told_first_after_patience() -> None:
    driver = cluster_of(10)
    lost = driver.authority.commit(b"lost")
    driver.receive(4, Holds(lost.version, ()))
    driver.receive(4, Holds(lost.version, ()))
    driver.pass_time(PATIENCE * 0.9)
    assert driver.sent(Request) == []
    driver.pass_time(PATIENCE * 0.2)
    assert driver.sent(Request) == [(address(4), Request(EMPTY))]
    assert driver.core.counters["news_missing"] == 2


def test_when_a_second_one_tells_of_it_patience_is_over() -> None:
    driver = cluster_of(10)
    lost = driver.authority.commit(b"lost")
    driver.receive(4, Holds(lost.version, ()))
    driver.receive(5, Holds(lost.version, ()))
    driver.pass_time(0.0)
    assert driver.sent(Request) == [(address(4), Request(EMPTY))]
    driver.receive(6, Holds(lost.version, ()))
    driver.pass_time(PATIENCE)
    assert driver.sent(Request) == [], "one is asked already"


def test_what_comes_within_the_patience_is_not_asked_for() -> None:
    driver = cluster_of(10)
    changeset = driver.authority.commit(b"slow")
    driver.receive(4, Holds(changeset.version, ()))
    driver.receive(2, Push(changeset, 0.0, 0))
    driver.pass_time(0.5)
    assert driver.core.counters["repairs_requested"] == 0


def test_what_waits_elsewhere_and_is_missing_here_is_asked_for() -> None:
    driver = cluster_of(10)
    driver.authority.commit(b"lost everywhere")
    waiting = driver.authority.commit(b"waits elsewhere")
    epoch, tag, revision = waiting.version
    driver.receive(4, Holds(EMPTY.version, (Run(epoch, tag, revision, revision),)))
    driver.pass_time(PATIENCE)
    assert [where for where, _ in driver.sent(Request)] == [address(4)]
    driver.receive(4, Push(waiting, 0.0, 0))
    heard = driver.core.counters["news_missing"]
    driver.receive(5, Holds(EMPTY.version, (Run(epoch, tag, revision, revision),)))
    assert driver.core.counters["news_missing"] == heard, "it waits here, too, by now"


def test_a_question_is_answered_with_what_waits_here_too() -> None:
    driver = cluster_of(10)
    driver.authority.commit(b"lost everywhere")
    waiting = driver.authority.commit(b"waits here")
    driver.receive(2, Push(waiting, 0.0, 0))
    driver.receive(3, Request(EMPTY))
    assert [(where, message.changeset) for where, message in driver.sent(Push)] == [
        (address(3), waiting)
    ]


def test_an_unanswered_question_is_put_to_another_after_a_few_round_trips() -> None:
    driver = cluster_of(10)
    lost = driver.authority.commit(b"lost")
    for number in (4, 5):
        driver.receive(number, Holds(lost.version, ()))
    member = driver.core._members.get(driver.core._members.listed()[3].node_id)
    assert member is not None
    member.rtt = 0.000_5
    driver.pass_time(PATIENCE)
    assert len(driver.sent(Request)) == 1
    driver.pass_time(PROFILE.repair_timeout / 4)
    assert len(driver.sent(Request)) == 1


def test_old_news_that_turn_up_minutes_later_change_nothing() -> None:
    driver = cluster_of(10)
    first, second = receive_new(driver), receive_new(driver)
    driver.pass_time_answering(120.0, *range(2, 11))
    driver.receive(4, Holds(first.version, ()))
    driver.receive(2, Push(first, 0.0, 0), heartbeat(first))
    driver.pass_time(0.01)
    assert driver.sent(Request) == []
    assert driver.sent(Holds) == []
    assert driver.replica.head() == (second.version, second.digest)


def test_of_many_runs_the_lowest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = cluster_of(10)
    for number in range(4 * limits.HELD_RUNS_MAX):
        changeset = driver.authority.commit(b"%d" % number)
        if number % 2:
            driver.receive(2, Push(changeset, 0.0, 0))
    (*_, holds) = told(driver, DELAY)
    assert len(holds.waiting) == limits.HELD_RUNS_MAX
    assert all(one.last < other.first for one, other in pairwise(holds.waiting))
    packets = driver.done(SendDatagram)
    assert max(len(one.data) for one in packets) < 300


# Bursts of this node's own commits


def commit(driver: Driver, body: bytes = b"body") -> int:
    """Commit here; answers how many packets leave at once."""
    assert driver.replica.offer(*driver.authority.commit(body)) == "applied"
    driver.core.committed(driver.now)
    driver.effects = driver.core.effects()
    return len(driver.done(SendDatagram))


def test_a_lone_commit_leaves_at_once() -> None:
    driver = cluster_of(4)
    for _ in range(5):
        assert commit(driver) == 3
        driver.now += limits.COALESCE_SECONDS


def test_commits_within_a_millisecond_of_a_push_share_a_packet() -> None:
    driver = cluster_of(4)
    begun = driver.now
    assert commit(driver) == 3
    assert [commit(driver) for _ in range(5)] == [0] * 5
    driver.pass_time(limits.COALESCE_SECONDS)
    assert len(driver.done(SendDatagram)) == 3
    assert len(driver.sent(Push)) == 15
    assert driver.now == pytest.approx(begun + limits.COALESCE_SECONDS)
    residences = [message.residence for _, message in driver.sent(Push)]
    assert residences == [pytest.approx(limits.COALESCE_SECONDS)] * 15


def test_a_packet_full_of_commits_leaves_before_the_millisecond_is_over() -> None:
    driver = cluster_of(2)
    commit(driver)
    assert [commit(driver, b"x" * 500) > 0 for _ in range(3)] == [False, False, True]


def test_what_comes_from_others_meanwhile_does_not_keep_a_commit_back() -> None:
    driver = cluster_of(3)
    commit(driver)
    mine = driver.authority.head()
    commit(driver)
    driver.receive(2, Push(driver.authority.commit(b"theirs"), 0.0, 0))
    driver.pass_time(limits.COALESCE_SECONDS)
    assert {message.changeset.predecessor for _, message in driver.sent(Push)} == {mine.digest}


# Applying many in slices


@pytest.mark.parametrize("by_stream", [False, True])
def test_many_changesets_are_applied_in_slices(
    monkeypatch: pytest.MonkeyPatch, by_stream: bool
) -> None:
    monkeypatch.setattr(limits, "APPLIED_AT_ONCE_MAX", 10)
    driver = cluster_of(2)
    first, *others = [driver.authority.commit(b"%d" % number) for number in range(55)]
    if by_stream:
        driver.receive_table(2, *[Push(one, 0.0, 0) for one in (first, *others)])
    else:
        for changeset in others:
            driver.receive(2, Push(changeset, 0.0, 0))
        driver.receive(2, Push(first, 0.0, 0))
    slices = [len(driver.events(ChangesetApplied))]
    while driver.core.next_deadline() == driver.now:
        driver.core.advance(driver.now)
        driver.effects = driver.core.effects()
        slices.append(len(driver.events(ChangesetApplied)))
    assert slices == [10, 10, 10, 10, 10, 5]
    assert driver.replica.head() == (others[-1].version, others[-1].digest)


def test_what_arrives_between_two_slices_takes_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "APPLIED_AT_ONCE_MAX", 10)
    driver = cluster_of(2)
    all_of_them = [driver.authority.commit(b"%d" % number) for number in range(25)]
    driver.receive_table(2, *[Push(one, 0.0, 0) for one in all_of_them[:20]])
    for changeset in all_of_them[20:]:
        driver.receive(2, Push(changeset, 0.0, 0))
    driver.pass_time(0.0)
    assert driver.replica.head()[0] == all_of_them[-1].version


def test_what_waits_for_its_slice_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "APPLIED_AT_ONCE_MAX", 10)
    driver = cluster_of(3)
    pushes = [Push(driver.authority.commit(b"%d" % number), 0.0, 0) for number in range(50)]
    driver.receive_table(2, *pushes, heartbeat(pushes[-1].changeset))
    while driver.core.next_deadline() == driver.now:
        driver.now += 0.015
        driver.core.advance(driver.now)
        driver.effects = driver.core.effects()
        assert driver.sent(Request) == []
    assert driver.core.counters["changesets_applied"] == 50
