"""Taking a peer's whole state, and giving ours: the rules, driven by hand."""

from collections.abc import Callable, Sequence
from typing import Any

import msgpack
import pytest

from gossip import limits
from gossip.effects import CloseStream, OpenStream
from gossip.events import Behind, ChangesetApplied, SnapshotFailed, SnapshotInstalled
from gossip.messages import Message
from gossip.messages.changes import Fetch, Heartbeat, Missing, NoSlice, Push, Slice
from gossip.messages.membership import PushPull
from gossip.replica import GENESIS, Head
from simulations.authority import EMPTY, LogAuthority, LogInstallation, LogReplica
from tests.gossip.drive import PROFILE, Driver, address, packet

PEERS = (2, 3, 4)


class Asking:
    """Node 1 holds nothing; the peers hold a state that no log leads to."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.driver.meet(*PEERS)
        self.source = LogReplica()
        for number in range(5):
            self.source.offer(*self.driver.authority.commit(b"body %d" % number))
        self.head = Head(*self.source.head())
        self.slices = list(self.source.give().slices(10))
        assert len(self.slices) == 3
        self.asked: list[int] = []
        """The peers asked so far."""
        self.stream = -1
        self.requested: list[int] = []
        """Cursors asked for by the last input."""

    @property
    def peer(self) -> int:
        """The peer asked last."""
        return self.asked[-1]

    def show_heads(self, *numbers: int) -> None:
        for number in numbers:
            self.driver.receive(number, Heartbeat.of(self.head, None))

    def begin(self) -> bool:
        begun = self.driver.core.fetch_snapshot(self.driver.now)
        self._collect()
        return begun

    def give(self, *messages: Message, sender: int | None = None) -> None:
        """A frame arrives on the stream that is open for the snapshot."""
        data = packet(self.peer if sender is None else sender, *messages)
        self.driver.core.frame_received(self.stream, data, self.driver.now)
        self._collect()

    def give_slice(self, cursor: int) -> None:
        last = cursor == len(self.slices) - 1
        self.give(Slice(self.head, cursor, self.slices[cursor], last))

    def give_all(self) -> None:
        for cursor in range(len(self.slices)):
            self.give_slice(cursor)

    def die(self) -> None:
        """The peer's end of the stream closes."""
        self.driver.core.stream_closed(self.stream, self.driver.now)
        self._collect()

    def failures(self) -> list[str]:
        return [event.reason for event in self.driver.events(SnapshotFailed)]

    def count(self, counter: str) -> int:
        return self.driver.core.counters[counter]

    def _collect(self) -> None:
        self.driver.effects = self.driver.core.effects()
        for opened in self.driver.done(OpenStream):
            if self.driver.framed(Fetch):
                self.stream = opened.stream
                self.asked += [n for n in PEERS if address(n) == opened.address]
        self.requested = [message.cursor for message in self.driver.framed(Fetch)]


@pytest.fixture
def asking() -> Asking:
    asking = Asking()
    asking.show_heads(*PEERS)
    return asking


def test_a_peers_state_is_taken_slice_by_slice_and_installed(asking: Asking) -> None:
    assert asking.begin()
    assert asking.requested == [0]
    asking.give_slice(0)
    assert asking.requested == [1, 2], "one more than is taken in next"
    asking.give_slice(1)
    assert asking.requested == [3]
    assert asking.driver.replica.head() == EMPTY
    asking.give_slice(2)
    assert asking.driver.replica.head() == asking.head
    assert asking.driver.replica.state == asking.source.state
    assert asking.driver.events(SnapshotInstalled) == [SnapshotInstalled(asking.head)]
    assert asking.driver.done(CloseStream) == [CloseStream(asking.stream)]


def test_one_is_taken_at_a_time(asking: Asking) -> None:
    assert asking.begin()
    assert asking.begin()
    assert asking.requested == []
    assert len(asking.asked) == 1


def test_without_a_peer_above_us_nothing_is_asked() -> None:
    asking = Asking()
    assert not asking.begin()
    asking.driver.receive(2, Heartbeat.of(EMPTY, None))
    assert not asking.begin()
    assert asking.asked == []
    assert asking.failures() == []


def test_only_peers_above_us_are_asked() -> None:
    for _ in range(10):
        asking = Asking()
        asking.show_heads(3)
        asking.begin()
        assert asking.asked == [3]


def test_of_the_peers_drawn_the_one_furthest_ahead_is_asked(asking: Asking) -> None:
    further = Head((1, 1, 6), b"f" * 32)
    asking.driver.receive(4, Heartbeat.of(further, None))
    asking.begin()
    assert asking.asked == [4]


def test_a_leaving_node_asks_for_nothing(asking: Asking) -> None:
    asking.driver.core.leave(asking.driver.now)
    assert not asking.begin()


def test_pushes_that_arrive_meanwhile_go_in_after_it(asking: Asking) -> None:
    asking.begin()
    asking.give_slice(0)
    late = asking.driver.authority.commit(b"meanwhile")
    asking.driver.receive(3, Push(late, 0.0, 0))
    asking.give_slice(1)
    asking.give_slice(2)
    assert asking.driver.replica.head() == (late.version, late.digest)
    assert [e.changeset for e in asking.driver.events(ChangesetApplied)] == [late]


def test_a_peer_that_is_busy_is_left_for_another(asking: Asking) -> None:
    asking.begin()
    left = asking.stream
    asking.give(NoSlice(0))
    assert asking.driver.done(CloseStream) == [CloseStream(left)]
    assert len(asking.asked) == 2
    asking.give_all()
    assert asking.driver.replica.head() == asking.head
    assert asking.count("snapshots_busy") == 1


def test_a_peer_that_dies_in_mid_stream_is_followed_by_another_from_there_on(
    asking: Asking,
) -> None:
    asking.begin()
    asking.give_slice(0)
    asking.give_slice(1)
    asking.die()
    (question,) = asking.driver.framed(Fetch)
    assert question == Fetch(2, asking.head, b"4"), "four bodies have been taken in"
    asking.give_slice(2)
    assert asking.driver.replica.state == asking.source.state
    assert asking.count("snapshots_silent") == 1
    assert asking.count("snapshots_resumed") == 1
    assert len(set(asking.asked)) == 2


def test_who_stands_at_that_head_is_asked_to_go_on(asking: Asking) -> None:
    further = Head((1, 1, 9), b"f" * 32)
    for _ in range(5):
        asking.driver.receive(4, Heartbeat.of(further, None))
        asking.driver.receive(3, Heartbeat.of(further, None))
        asking.begin()
        asking.give_slice(0)
        if asking.peer != 2:
            asking.die()
            assert asking.peer == 2, "the others have gone further"
            return
    raise AssertionError("the one that lags was asked each time")


def test_where_nobody_can_go_on_it_begins_anew(asking: Asking) -> None:
    asking.begin()
    asking.give_slice(0)
    first = asking.peer
    asking.die()
    asking.give(NoSlice(1))
    assert asking.requested == [1]
    asking.give(NoSlice(1))
    assert asking.requested == [0]
    assert asking.peer != first
    asking.give_all()
    assert asking.driver.replica.state == asking.source.state
    assert asking.count("snapshots_busy") == 0


def test_who_goes_on_with_something_else_is_refused(asking: Asking) -> None:
    asking.begin()
    asking.give_slice(0)
    asking.die()
    asking.give(Slice(Head(asking.head.version, b"x" * 32), 1, asking.slices[1], False))
    assert asking.count("snapshots_broken") == 1
    assert asking.requested == [0], "nothing of that is kept"


def test_a_bounded_number_of_peers_is_asked_to_go_on(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RESUMES_MAX", 1)
    asking.begin()
    asking.give_slice(0)
    asking.die()
    assert asking.requested == [0]


def test_the_deadline_is_for_each_slice_and_not_for_the_whole(asking: Asking) -> None:
    nearly = PROFILE.slice_timeout * 0.9
    asking.begin()
    for cursor in range(3):
        asking.driver.pass_time_answering(nearly, *PEERS)
        asking.give_slice(cursor)
    assert asking.driver.replica.head() == asking.head
    assert asking.count("snapshots_silent") == 0


def test_a_peer_that_stands_still_is_left(asking: Asking) -> None:
    asking.begin()
    asking.give_slice(0)
    first = asking.peer
    asking.driver.pass_time_answering(PROFILE.slice_timeout + 0.1, *PEERS)
    assert asking.count("snapshots_silent") == 1
    assert asking.count("snapshots_resumed") == 1
    assert asking.begin(), "another is being asked"
    assert asking.asked == [first]


@pytest.mark.parametrize("cursor", [0, 2])
def test_a_slice_out_of_order_is_refused(asking: Asking, cursor: int) -> None:
    asking.begin()
    asking.give_slice(0)
    asking.give(Slice(asking.head, cursor, b"out of order", False))
    assert asking.count("snapshots_broken") == 1
    assert len(asking.asked) == 2


def test_a_head_that_changes_on_the_way_is_refused(asking: Asking) -> None:
    asking.begin()
    asking.give_slice(0)
    asking.give(Slice(Head(asking.head.version, b"x" * 32), 1, asking.slices[1], False))
    assert asking.count("snapshots_broken") == 1


def test_a_snapshot_that_is_not_above_us_is_refused(asking: Asking) -> None:
    asking.begin()
    asking.give(Slice(EMPTY, 0, b"nothing", True))
    assert asking.count("snapshots_broken") == 1
    assert asking.driver.replica.head() == EMPTY


def test_a_head_that_the_slices_do_not_lead_to_is_corrupt_and_changes_nothing(
    asking: Asking,
) -> None:
    asking.begin()
    lie = Head((9, 9, 9), b"l" * 32)
    for cursor, body in enumerate(asking.slices):
        asking.give(Slice(lie, cursor, body, cursor == 2))
    assert asking.driver.replica.head() == EMPTY
    assert asking.count("snapshots_corrupt") == 1
    asking.give_all()
    assert asking.driver.replica.head() == asking.head


def test_a_damaged_slice_is_told_when_it_comes(asking: Asking) -> None:
    asking.begin()
    asking.give(Slice(asking.head, 0, b"\xc1", False))
    assert asking.count("snapshots_corrupt") == 1
    assert len(asking.asked) == 2
    asking.give_all()
    assert asking.driver.replica.head() == asking.head


def test_what_was_taken_of_a_peer_that_failed_is_let_go(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    for ending in ("finish", "abandon"):
        monkeypatch.setattr(LogInstallation, ending, noted(ended, ending))
    asking.begin()
    asking.give_slice(0)
    asking.die()
    asking.give(NoSlice(1))
    asking.give(NoSlice(1))
    asking.give_slice(0)
    asking.give(Slice(asking.head, 1, b"\xc1", False))
    asking.give_all()
    assert ended == ["abandon", "abandon", "finish"]


def noted(calls: list[str], name: str) -> Callable[[LogInstallation], Any]:
    """The method of that name, which leaves a note."""
    method = getattr(LogInstallation, name)

    def call(installation: LogInstallation) -> Any:
        calls.append(name)
        return method(installation)

    return call


def test_a_snapshot_above_the_bound_is_given_up(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_BYTES_MAX", len(asking.slices[0]) + 1)
    asking.begin()
    asking.give_slice(0)
    asking.give_slice(1)
    assert asking.count("snapshots_oversized") == 1


def test_a_snapshot_of_too_many_slices_is_given_up(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_SLICES_MAX", 1)
    asking.begin()
    asking.give_slice(0)
    asking.give_slice(1)
    assert asking.count("snapshots_oversized") == 1


def test_a_snapshot_that_is_not_needed_any_more_is_dropped(asking: Asking) -> None:
    asking.begin()
    asking.give_slice(0)
    for changeset in asking.driver.authority.log:
        asking.driver.replica.offer(*changeset)
    asking.give_slice(1)
    assert asking.failures() == ["overtaken"]
    assert asking.driver.done(CloseStream) == [CloseStream(asking.stream)]


def test_when_all_peers_have_failed_the_gravest_reason_is_told(asking: Asking) -> None:
    asking.begin()
    asking.give(NoSlice(0))
    asking.give(Slice(EMPTY, 0, b"nothing", True))
    asking.die()
    assert sorted(asking.asked) == list(PEERS), "each was tried once"
    assert asking.failures() == ["broken"]
    assert asking.count("snapshots_failed") == 1
    assert asking.begin(), "the next effort asks them anew"


def test_an_effort_tries_a_bounded_number_of_peers(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SNAPSHOT_PEERS_MAX", 2)
    asking.begin()
    asking.give(NoSlice(0))
    asking.give(NoSlice(0))
    assert asking.failures() == ["busy"]


def test_without_a_free_stream_the_effort_ends(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STREAMS_OPENED_MAX", 0)
    assert not asking.begin()
    assert asking.failures() == ["silent"]


def test_a_slice_that_nobody_asked_for_is_counted_and_dropped(asking: Asking) -> None:
    unasked = Slice(asking.head, 0, asking.slices[0], True)
    asking.driver.receive(2, unasked)
    asking.driver.receive_table(3, unasked)
    asking.begin()
    others = [number for number in PEERS if number != asking.peer]
    asking.give(unasked, sender=others[0])
    asking.give(NoSlice(0), sender=others[0])
    assert asking.count("slices_unexpected") == 4
    assert asking.driver.replica.head() == EMPTY


def test_an_empty_replica_among_peers_with_a_state_is_told_at_once(asking: Asking) -> None:
    told: list[Behind] = []
    for _ in range(10):
        asking.driver.pass_time(0.005)
        told += asking.driver.events(Behind)
        for number in PEERS:
            asking.driver.receive(number, Missing(EMPTY))
    assert told == [Behind(asking.head.version, "log")]


def test_after_a_failed_fetch_it_is_told_again(asking: Asking) -> None:
    for _ in range(3):
        before = asking.count("behind")
        for _ in range(60):
            asking.driver.pass_time_answering(0.1, *PEERS)
            for number in PEERS:
                asking.driver.receive(number, Missing(EMPTY), Heartbeat.of(asking.head, None))
            if asking.count("behind") > before:
                break
        assert asking.count("behind") > before
        asking.begin()
        while not asking.failures():
            asking.give(NoSlice(0))


class Giving:
    """Node 1 holds a state; others take it."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.driver.meet(*PEERS)
        for _ in range(5):
            self.commit(b"x" * limits.SLICE_BYTES)

    def commit(self, body: bytes) -> None:
        assert self.driver.replica.offer(*self.driver.authority.commit(body)) == "applied"

    def connect(self, stream: int) -> None:
        self.driver.core.stream_accepted(stream, address(2), self.driver.now)

    def ask(self, stream: int, message: Message, sender: int = 2) -> None:
        self.driver.core.frame_received(stream, packet(sender, message), self.driver.now)
        self.driver.effects = self.driver.core.effects()

    def given(self) -> list[Slice]:
        return self.driver.framed(Slice)

    def declined(self) -> list[int]:
        return [message.cursor for message in self.driver.framed(NoSlice)]


@pytest.fixture
def giving() -> Giving:
    return Giving()


def test_a_whole_state_is_given_in_slices_pinned_at_its_first(giving: Giving) -> None:
    head, state = giving.driver.replica.head(), list(giving.driver.replica.state)
    giving.connect(1)
    given: list[Slice] = []
    while not given or not given[-1].last:
        giving.ask(1, Fetch(len(given)))
        given += giving.given()
        giving.commit(b"meanwhile")
    assert {piece.head for piece in given} == {head}
    assert [body for piece in given for body in msgpack.unpackb(piece.body)] == state
    assert giving.driver.core.counters["snapshots_given"] == 1


def test_a_question_is_answered_with_one_slice_of_bounded_size(giving: Giving) -> None:
    giving.connect(1)
    giving.ask(1, Fetch(0))
    (piece,) = giving.given()
    assert limits.SLICE_BYTES <= len(piece.body) < limits.SLICE_BYTES + 100


def test_a_slice_beyond_the_last_that_was_asked_for_ahead_is_no_question(giving: Giving) -> None:
    giving.connect(1)
    cursor = 0
    while giving.driver.core.counters["snapshots_given"] == 0:
        giving.ask(1, Fetch(cursor))
        cursor += 1
    giving.ask(1, Fetch(cursor))
    assert giving.given() == []
    assert giving.declined() == []
    giving.ask(1, Fetch(cursor + 1))
    assert giving.declined() == [cursor + 1]


def test_who_goes_on_elsewhere_asks_there_for_what_is_missing(asking: Asking) -> None:
    asking.begin()
    asking.give_slice(0)
    assert asking.requested == [1, 2]
    asking.die()
    assert asking.requested == [1], "neither of the two has come"
    asking.give_slice(1)
    assert asking.requested == [2, 3]
    asking.give_slice(2)
    assert asking.driver.replica.state == asking.source.state


@pytest.mark.parametrize("cursor", [0, 2])
def test_slices_are_given_in_order_and_once(giving: Giving, cursor: int) -> None:
    giving.connect(1)
    giving.ask(1, Fetch(0))
    giving.ask(1, Fetch(cursor))
    assert giving.declined() == [cursor]
    giving.ask(1, Fetch(1))
    assert len(giving.given()) == 1


def test_a_question_in_the_middle_of_nothing_is_declined(giving: Giving) -> None:
    giving.connect(1)
    giving.ask(1, Fetch(1))
    assert giving.declined() == [1]


def test_another_stream_goes_on_at_a_state_that_is_kept(giving: Giving) -> None:
    giving.connect(1)
    given: list[Slice] = []
    for cursor in range(2):
        giving.ask(1, Fetch(cursor))
        given += giving.given()
    giving.commit(b"meanwhile")
    giving.driver.core.stream_closed(1, giving.driver.now)
    giving.driver.pass_time_answering(limits.PIN_SECONDS * 0.9, *PEERS)
    giving.connect(3)
    giving.ask(3, Fetch(2, given[0].head, b"2"))
    (third,) = giving.given()
    assert (third.head, third.cursor) == (given[0].head, 2)
    assert msgpack.unpackb(third.body) == giving.driver.replica.state[2:3]


def test_a_state_that_nobody_has_asked_for_lately_is_let_go(giving: Giving) -> None:
    giving.connect(1)
    giving.ask(1, Fetch(0))
    (first,) = giving.given()
    giving.commit(b"meanwhile")
    giving.driver.core.stream_closed(1, giving.driver.now)
    giving.driver.pass_time_answering(limits.PIN_SECONDS + 0.1, *PEERS)
    giving.connect(3)
    giving.ask(3, Fetch(1, first.head, b"1"))
    assert giving.declined() == [1]


def test_a_bounded_number_of_states_is_kept(giving: Giving) -> None:
    heads = []
    for number in range(limits.PINS_MAX + 1):
        stream = 2 * number + 1
        giving.connect(stream)
        giving.ask(stream, Fetch(0))
        heads += [piece.head for piece in giving.given()]
        giving.driver.core.stream_closed(stream, giving.driver.now)
        giving.commit(b"meanwhile")
    answers = []
    for number, head in enumerate(heads):
        giving.connect(2 * number + 101)
        giving.ask(2 * number + 101, Fetch(1, head, b"1"))
        answers.append(len(giving.given()))
        giving.driver.core.stream_closed(2 * number + 101, giving.driver.now)
    assert answers == [0] + [1] * limits.PINS_MAX


@pytest.mark.parametrize(
    "question",
    [
        Fetch(0, None, b"1"),
        Fetch(1, None, b"1"),
        Fetch(1, Head((9, 9, 9), b"x" * 32), b"1"),
        Fetch(1, Head((9, 9, 9), b"x" * 32)),
    ],
)
def test_where_it_is_not_known_how_to_go_on_it_is_declined(giving: Giving, question: Fetch) -> None:
    giving.connect(1)
    giving.ask(1, question)
    assert giving.declined() == [question.cursor]


def test_a_place_that_is_none_is_declined(giving: Giving) -> None:
    giving.connect(1)
    giving.ask(1, Fetch(1, Head(*giving.driver.replica.head()), b"99"))
    assert giving.declined() == [1]
    assert giving.driver.core.counters["messages_malformed"] == 1


def test_who_holds_nothing_gives_nothing() -> None:
    driver = Driver()
    driver.meet(2)
    assert driver.replica.head()[0] == GENESIS
    driver.receive_table(2, Fetch(0))
    assert driver.framed(NoSlice) == [NoSlice(0)]


def test_too_many_at_once_are_declined_until_one_ends(giving: Giving) -> None:
    streams = range(1, 2 * limits.SNAPSHOTS_GIVEN_MAX + 2, 2)
    for stream in streams:
        giving.connect(stream)
        giving.ask(stream, Fetch(0))
    assert giving.declined() == [0]
    assert giving.driver.core.counters["snapshots_declined"] == 1
    giving.driver.core.stream_closed(1, giving.driver.now)
    giving.ask(streams[-1], Fetch(0))
    assert len(giving.given()) == 1


def test_however_its_stream_ends_a_snapshot_is_let_go(giving: Giving) -> None:
    for stream in range(1, 2 * limits.SNAPSHOTS_GIVEN_MAX, 2):
        giving.connect(stream)
        giving.ask(stream, Fetch(0))
        # Ends an exchange of tables, and whatever else it was open for.
        giving.ask(stream, PushPull(answer=True))
    giving.connect(99)
    giving.ask(99, Fetch(0))
    assert len(giving.given()) == 1


def test_who_asks_slowly_is_given_all(giving: Giving) -> None:
    giving.connect(1)
    for cursor in range(5):
        giving.ask(1, Fetch(cursor))
        assert len(giving.given()) == 1
        giving.driver.pass_time_answering(PROFILE.slice_timeout * 0.9, *PEERS)


def test_who_stops_asking_is_given_no_more(giving: Giving) -> None:
    giving.connect(1)
    giving.ask(1, Fetch(0))
    giving.driver.pass_time_answering(PROFILE.slice_timeout - 0.1, *PEERS)
    giving.ask(1, NoSlice(0))
    giving.driver.pass_time_answering(0.2, *PEERS)
    giving.ask(1, Fetch(1))
    assert giving.given() == [], "other messages bought it no time"
    assert giving.driver.core.counters["dropped_stream"] == 1


def test_a_stream_without_a_snapshot_does_not_live_for_ever(giving: Giving) -> None:
    giving.connect(1)
    for _ in range(8):
        giving.driver.pass_time_answering(PROFILE.stream_timeout * 0.9, *PEERS)
        giving.ask(1, NoSlice(0))
    assert giving.driver.core.counters["dropped_stream"] > 0


def test_strangers_and_packets_are_given_nothing(giving: Giving) -> None:
    giving.connect(1)
    giving.ask(1, Fetch(0), sender=9)
    assert giving.given() == []
    assert giving.driver.core.counters["dropped_stranger"] == 1
    giving.driver.receive(2, Fetch(0))
    assert giving.driver.sent(Slice) == []
    assert giving.driver.core.counters["messages_malformed"] == 1


def test_the_model_replica_refuses_a_snapshot_that_does_not_fit_its_head() -> None:
    authority, source, target = LogAuthority(), LogReplica(), LogReplica()
    for _ in range(3):
        source.offer(*authority.commit(b"x"))
    head = Head(*source.head())
    slices = list(source.give().slices(1))
    assert outcome(target, head, slices[:-1]) == "corrupt"
    assert outcome(target, Head(head.version, bytes(32)), slices) == "corrupt"
    assert outcome(target, head, [b"\xc1"]) == "corrupt"
    assert target.head() == EMPTY


def test_the_model_replica_takes_a_snapshot_once() -> None:
    authority, source, target = LogAuthority(), LogReplica(), LogReplica()
    for _ in range(3):
        source.offer(*authority.commit(b"x"))
    head = Head(*source.head())
    slices = list(source.give().slices(1))
    assert outcome(target, head, slices) == "installed"
    assert outcome(target, head, slices) == "stale"
    assert target.changesets(*head, 1) == []
    assert target.changesets(*EMPTY, 1) is None


def outcome(target: LogReplica, head: Head, slices: Sequence[bytes]) -> str:
    installation = target.begin_install(*head, b"")
    fed = all(installation.feed(data) for data in slices)
    return installation.finish() if fed else "corrupt"
