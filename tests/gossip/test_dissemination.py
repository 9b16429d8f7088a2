"""How changesets travel, driven by hand at one node."""

import pytest

from gossip import limits
from gossip.effects import CloseStream, OpenStream, SendDatagram
from gossip.events import Behind, ChangesetApplied
from gossip.member import Status
from gossip.messages.changes import Announce, Heartbeat, Missing, Pull, Push, Request
from gossip.messages.membership import Ping
from gossip.messages.repair import Compare
from gossip.replica import Changeset, Head
from simulations.authority import EMPTY, LogAuthority
from tests.gossip.drive import PROFILE, Driver, address, alive, node_id, packet, verdict

PATIENCE = PROFILE.repair_patience


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.meet(2, 3)
    return driver


def head_of(changeset: Changeset) -> Head:
    return Head(changeset.version, changeset.digest)


def commit(driver: Driver, body: bytes = b"body") -> Changeset:
    """This node commits, and pushes."""
    changeset = driver.authority.commit(body)
    assert driver.replica.offer(*changeset) == "applied"
    driver.core.committed(driver.now)
    driver.effects = driver.core.effects()
    return changeset


def push(changeset: Changeset, residence: float | None = 0.0, hops: int = 0) -> Push:
    return Push(changeset, residence, hops)


def test_a_commit_goes_at_once_to_every_running_member(driver: Driver) -> None:
    driver.meet(4, 5, 6)
    driver.receive(2, verdict(4, Status.SUSPECT), verdict(5, Status.FAILED))
    driver.receive(6, verdict(6, Status.LEAVING, by=6))
    changeset = commit(driver)
    pushed = driver.sent(Push)
    assert sorted(where for where, _ in pushed) == [address(n) for n in (2, 3, 4, 6)]
    assert all(message == push(changeset) for _, message in pushed)


def test_a_push_carries_the_head_it_leads_to(driver: Driver) -> None:
    changeset = commit(driver)
    heartbeats = [message._replace(record=0) for _, message in driver.sent(Heartbeat)]
    assert heartbeats == [Heartbeat.of(head_of(changeset), None)] * 2


def test_a_commit_is_pushed_once(driver: Driver) -> None:
    commit(driver)
    driver.core.committed(driver.now)
    driver.effects = driver.core.effects()
    assert driver.sent(Push) == []


def test_what_was_read_at_the_authority_is_not_pushed_as_our_own(driver: Driver) -> None:
    for body in (b"a", b"b"):
        driver.replica.offer(*driver.authority.commit(body))
    driver.core.authority_confirmed(Head(*driver.replica.head()), driver.now)
    mine = commit(driver)
    assert {message.changeset for _, message in driver.sent(Push)} == {mine}


def test_several_small_commits_share_a_packet(driver: Driver) -> None:
    for body in (b"a", b"b", b"c"):
        driver.replica.offer(*driver.authority.commit(body))
    driver.core.committed(driver.now)
    driver.effects = driver.core.effects()
    assert len(driver.done(SendDatagram)) == 2
    assert len(driver.sent(Push)) == 6


def test_what_does_not_fit_a_packet_is_announced(driver: Driver) -> None:
    changeset = commit(driver, b"x" * limits.PACKET_BYTES_MAX)
    assert driver.sent(Push) == []
    announced = [message for _, message in driver.sent(Announce)]
    assert announced == [Announce(head_of(changeset))] * 2
    assert all(len(p.data) <= limits.PACKET_BYTES_MAX for p in driver.done(SendDatagram))


def test_a_pushed_changeset_is_applied_and_reported(driver: Driver) -> None:
    changeset = driver.authority.commit(b"body")
    driver.receive(2, push(changeset, residence=0.5, hops=1))
    assert driver.replica.head() == head_of(changeset)
    assert driver.events(ChangesetApplied) == [ChangesetApplied(changeset, 0.5, 2)]


def test_what_others_committed_is_not_pushed_as_ours(driver: Driver) -> None:
    driver.receive(2, push(driver.authority.commit(b"theirs")))
    mine = commit(driver)
    assert {message.changeset for _, message in driver.sent(Push)} == {mine}


def test_early_changesets_wait_and_go_in_in_order(driver: Driver) -> None:
    first, second, third = (driver.authority.commit(body) for body in (b"1", b"2", b"3"))
    driver.receive(2, push(third))
    driver.receive(2, push(second))
    assert driver.events(ChangesetApplied) == []
    driver.receive(3, push(first))
    applied = [event.changeset for event in driver.events(ChangesetApplied)]
    assert applied == [first, second, third]


def test_waiting_counts_as_delay(driver: Driver) -> None:
    """dskit#916: spikes of minutes that nobody saw, for the delay wasn't measured."""
    first, second = (driver.authority.commit(body) for body in (b"1", b"2"))
    driver.receive(2, push(second))
    driver.now += 0.25
    driver.receive(2, push(first))
    delays = [event.delay for event in driver.events(ChangesetApplied)]
    assert delays == [pytest.approx(0.0), pytest.approx(0.25)]


def test_an_own_commit_whose_predecessor_is_under_way_is_pushed_at_once(driver: Driver) -> None:
    theirs, mine = driver.authority.commit(b"theirs"), driver.authority.commit(b"mine")
    assert driver.replica.offer(*mine) == "early"
    driver.core.committed(driver.now, early=[mine])
    driver.effects = driver.core.effects()
    assert [message.changeset for _, message in driver.sent(Push)] == [mine, mine]
    driver.receive(2, push(theirs))
    reported = [(event.changeset, event.hops) for event in driver.events(ChangesetApplied)]
    assert reported == [(theirs, 1), (mine, 0)]


def test_a_gap_is_asked_for_after_patience_of_the_peer_that_showed_it(driver: Driver) -> None:
    _, second = (driver.authority.commit(body) for body in (b"1", b"2"))
    driver.receive(3, push(second))
    assert driver.sent(Request) == []
    driver.pass_time(PATIENCE)
    assert driver.sent(Request) == [(address(3), Request(EMPTY))]


def test_a_gap_that_closes_in_time_is_not_asked_for(driver: Driver) -> None:
    first, second = (driver.authority.commit(body) for body in (b"1", b"2"))
    driver.receive(3, push(second))
    driver.receive(2, push(first))
    driver.pass_time(1.0)
    assert driver.sent(Request) == []


def test_a_higher_head_on_a_ping_is_asked_for(driver: Driver) -> None:
    changeset = driver.authority.commit(b"lost")
    driver.receive(2, Ping(1), Heartbeat.of(head_of(changeset), None))
    driver.pass_time(PATIENCE)
    assert driver.sent(Request) == [(address(2), Request(EMPTY))]


def test_without_an_answer_another_peer_is_asked_then_a_stream_opened(driver: Driver) -> None:
    head = head_of(driver.authority.commit(b"lost"))
    driver.receive(2, Heartbeat.of(head, None))
    driver.receive(3, Heartbeat.of(head, None))
    driver.pass_time(PATIENCE + 5 * PROFILE.repair_timeout)
    assert len(driver.sent(Request)) == 2
    assert driver.framed(Pull) == [Pull(EMPTY)]


def test_an_announcement_is_pulled_by_stream(driver: Driver) -> None:
    big = driver.authority.commit(b"x" * 10_000)
    driver.receive(2, Announce(head_of(big)), Heartbeat.of(head_of(big), None))
    driver.pass_time(0.0)
    (stream,) = driver.done(OpenStream)
    assert stream.address == address(2)
    answer = packet(2, push(big), Heartbeat.of(head_of(big), None))
    driver.core.frame_received(stream.stream, answer, driver.now)
    driver.effects = driver.core.effects()
    assert driver.replica.head() == head_of(big)
    assert driver.done(CloseStream) == [CloseStream(stream.stream)]


def test_a_pull_asks_on_until_it_has_the_peers_head(driver: Driver) -> None:
    first, second = (driver.authority.commit(b"x" * 10_000) for _ in range(2))
    driver.receive(2, Announce(head_of(second)))
    driver.pass_time(0.0)
    (stream,) = driver.done(OpenStream)
    answer = packet(2, push(first), Heartbeat.of(head_of(second), None))
    driver.core.frame_received(stream.stream, answer, driver.now)
    driver.effects = driver.core.effects()
    assert driver.framed(Pull) == [Pull(head_of(first))]


def test_a_gap_request_is_answered_with_what_follows(driver: Driver) -> None:
    first, second = commit(driver), commit(driver)
    driver.receive(2, Request(head_of(first)))
    ((where, message),) = driver.sent(Push)
    assert (where, message.changeset) == (address(2), second)
    assert message.residence == 0.0


def test_a_gap_request_for_too_much_is_answered_with_an_announcement(driver: Driver) -> None:
    for _ in range(30):
        last = commit(driver, b"x" * 1_000)
    driver.receive(2, Request(EMPTY))
    assert driver.sent(Push) == []
    assert (address(2), Announce(head_of(last))) in driver.sent(Announce)


def test_a_gap_request_from_an_unknown_head_is_answered_missing(driver: Driver) -> None:
    commit(driver)
    stranger = head_of(LogAuthority(tag=0).commit(b"other"))
    driver.receive(2, Request(stranger))
    assert driver.sent(Missing) == [(address(2), Missing(stranger))]


def test_a_gap_request_from_ahead_of_us_is_answered_with_our_head_only(driver: Driver) -> None:
    ahead = head_of(driver.authority.commit(b"not here yet"))
    driver.receive(2, Request(ahead))
    assert driver.sent(Missing) == []
    assert [message._replace(record=0) for _, message in driver.sent(Heartbeat)] == [
        Heartbeat.of(EMPTY, None)
    ]


def test_a_pull_brings_what_waits_for_its_predecessor_too(driver: Driver) -> None:
    _, second = (driver.authority.commit(body) for body in (b"1", b"2"))
    driver.receive(3, push(second))
    driver.receive_table(2, Pull(EMPTY))
    assert [message.changeset for message in driver.framed(Push)] == [second]


def test_a_pull_is_answered_with_a_bounded_frame(driver: Driver) -> None:
    for _ in range(3):
        commit(driver, b"x" * (limits.PULL_BYTES_MAX // 2))
    driver.receive_table(2, Pull(EMPTY))
    assert len(driver.framed(Push)) == 2


@pytest.mark.parametrize("answering", [True, False])
def test_when_no_peer_can_repair_the_application_is_told(driver: Driver, answering: bool) -> None:
    head = head_of(driver.authority.commit(b"trimmed everywhere"))
    driver.receive(2, Heartbeat.of(head, None))
    if answering:
        driver.pass_time(PATIENCE)
        driver.receive(2, Missing(EMPTY))
        driver.pass_time(0.0)
        assert driver.events(Behind) == [Behind(head.version, "log")]
    else:
        driver.pass_time_answering(90.0, 2, 3)
        assert driver.core.counters["behind"] >= 1


def test_a_corrupt_changeset_is_counted_and_asked_of_another_peer(driver: Driver) -> None:
    good = driver.authority.commit(b"good")
    driver.receive(3, Heartbeat.of(head_of(good), None))
    driver.receive(2, push(good._replace(body=b"evil")))
    assert driver.core.counters["changesets_corrupt"] == 1
    assert driver.replica.head() == EMPTY
    driver.pass_time(PATIENCE)
    assert driver.sent(Request) == [(address(3), Request(EMPTY))]


def test_a_forked_changeset_is_counted_and_not_applied(driver: Driver) -> None:
    mine = commit(driver)
    other = LogAuthority()
    other.commit(b"another first")
    driver.receive(2, push(other.commit(b"another second")))
    assert driver.core.counters["changesets_forked"] == 1
    assert driver.replica.head() == head_of(mine)


def test_another_digest_at_our_version_is_told_once(driver: Driver) -> None:
    mine = head_of(commit(driver))
    other = head_of(LogAuthority().commit(b"another"))
    driver.receive(2, Heartbeat.of(other, None))
    assert driver.sent(Compare) == [(address(2), Compare(mine, b"", answer=False))]
    driver.receive(2, Compare(other, b"", answer=True))
    assert driver.events(Behind) == [Behind(other.version, "forked")]
    driver.receive(2, Compare(other, b"", answer=True))
    assert driver.events(Behind) == []
    assert driver.core.counters["heads_forked"] == 2


def test_a_forged_high_head_costs_one_event_and_then_rest(driver: Driver) -> None:
    driver.receive(2, Heartbeat.of(Head((9, 9, 9), b"f" * 32), None))
    driver.receive(2, verdict(2, Status.LEFT, by=2))
    driver.pass_time_answering(60.0, 3)
    assert driver.core.counters["behind"] <= 1


def test_a_restarted_member_may_hold_less_than_before(driver: Driver) -> None:
    head = head_of(driver.authority.commit(b"x"))
    driver.receive(2, Heartbeat.of(head, None))
    driver.receive(2, alive(2, generation=2))
    driver.receive(2, Heartbeat.of(EMPTY, None))
    member = driver.member(2)
    assert member is not None
    assert member.serving == EMPTY.version


def test_the_confirmation_age_spreads_and_never_gets_younger_by_echo(driver: Driver) -> None:
    assert driver.core.confirmation_age(driver.now) == float("inf")
    driver.receive(2, Heartbeat.of(EMPTY, 2.0))
    told = driver.core.confirmation_age(driver.now)
    assert 2.0 <= told < 3.0
    for _ in range(100):
        driver.now += 0.01
        driver.receive(2, Heartbeat.of(EMPTY, driver.core.confirmation_age(driver.now)))
    assert driver.core.confirmation_age(driver.now) >= told + 0.99


def test_who_holds_less_has_confirmed_less(driver: Driver) -> None:
    driver.replica.load([driver.authority.commit(b"what the authority is about to lose")])
    driver.receive(2, Heartbeat.of(EMPTY, 0.0))
    assert driver.core.confirmation_age(driver.now) == float("inf")
    driver.receive(3, Heartbeat.of(driver.authority.head(), 0.0))
    assert driver.core.confirmation_age(driver.now) < 1.0


def test_a_confirmation_of_ours_rides_on_the_next_heartbeat(driver: Driver) -> None:
    driver.core.authority_confirmed(EMPTY, driver.now)
    driver.core.effects()
    driver.now += 1.5
    driver.receive(2, Ping(1))
    assert [message.confirmation_age for _, message in driver.sent(Heartbeat)] == [1.5]


def test_what_was_read_at_the_authority_is_told_to_everybody_at_once(driver: Driver) -> None:
    driver.replica.load([driver.authority.commit(b"of a writer that died")])
    driver.core.authority_confirmed(driver.authority.head(), driver.now)
    driver.effects = driver.core.effects()
    told = {to: message.version for to, message in driver.sent(Heartbeat)}
    assert told == dict.fromkeys((address(2), address(3)), driver.authority.head().version)


def test_a_reading_that_has_brought_nothing_is_told_to_those_alone_who_would_read_next(
    driver: Driver,
) -> None:
    for readers, told in (((), []), ((node_id(1), node_id(3), node_id(9)), [address(3)])):
        driver.core.authority_confirmed(EMPTY, driver.now, readers)
        driver.effects = driver.core.effects()
        assert [(to, each.confirmation_age) for to, each in driver.sent(Heartbeat)] == [
            (to, 0.0) for to in told
        ]


def test_the_early_buffer_is_bounded(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EARLY_COUNT_MAX", 2)
    changesets = [driver.authority.commit(b"%d" % number) for number in range(5)]
    for changeset in reversed(changesets[1:]):
        driver.receive(2, push(changeset))
    assert driver.core.counters["changesets_early_dropped"] == 2
    driver.receive(2, push(changesets[0]))
    assert driver.replica.head() == head_of(changesets[2]), "those that come next were kept"
