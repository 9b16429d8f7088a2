"""Admission on streams: what it costs, and that nothing recorded is read."""

import random

import pytest

from gossip.counters import Counters
from gossip.effects import Notify, SendFrame
from gossip.events import KeyUnknown
from gossip.identity import NOBODY
from gossip.keyring import Keyring, configured, key_id
from gossip.limits import HEADER_BYTES
from gossip.seal import WINDOW
from gossip.sessions import Opened, Sessions
from gossip.stream_sessions import StreamSessions
from gossip.wire import Rejected, cluster_binding, cluster_digest, decode_header
from tests.gossip.drive import CLUSTER, address, wire

K1, K2 = b"1" * 32, b"2" * 32
RING = configured(K1)
QUESTION, ANSWER, MORE = b"question" * 100, b"answer" * 100, b"more"


class Process:
    """One process of a node. Another seed is another process."""

    def __init__(self, number: int, keyring: Keyring, seed: int = 0) -> None:
        self.number = number
        self.counters = Counters()
        rng = random.Random(f"{number} {seed}")
        digest, binding = cluster_digest(CLUSTER), cluster_binding(CLUSTER)
        self.sessions = Sessions(keyring, wire(number), digest, binding, rng, self.counters, 1.0)
        self.streams = StreamSessions(self.sessions, self.counters)
        self.read: list[bytes] = []
        self.unknown_keys: list[str] = []

    def receive(self, data: bytes, stream: int, *, accepted: bool) -> list[bytes]:
        """Take in a frame; the frames sent in turn."""
        header = decode_header(data)
        try:
            opened = self.streams.open(header, data, stream, 1.0, accepted=accepted)
        except Rejected as rejected:
            opened = Opened(None, (), rejected.reason)
        if opened.refused:
            self.counters.add(opened.refused)
        elif opened.body is not None:
            self.read.append(opened.body)
        for effect in opened.effects:
            if isinstance(effect, Notify) and isinstance(effect.event, KeyUnknown):
                self.unknown_keys.append(effect.event.key_id)
        return [effect.frame for effect in opened.effects if isinstance(effect, SendFrame)]


class Pair:
    """An opener (node 1), an acceptor (node 2) and the frames between them."""

    def __init__(self, opener: Keyring = RING, acceptor: Keyring = RING) -> None:
        self.opener, self.acceptor = Process(1, opener), Process(2, acceptor)
        self.sent: list[tuple[int, bytes]] = []
        """To whom, and what, on the last stream."""
        self.stream = 0

    def converse(self, *, receiver: int | None = 2) -> int:
        """Ask and answer on a new stream; how many frames that took."""
        self.stream += 2
        opener, acceptor, stream = self.opener, self.acceptor, self.stream
        to = NOBODY if receiver is None else wire(receiver)
        self.sent = []
        way = [(2, opener.streams.opening(stream, to, QUESTION))]
        while way:
            number, data = way.pop(0)
            self.sent.append((number, data))
            process = acceptor if number == 2 else opener
            own = stream + 1 if number == 2 else stream
            known = len(process.read)
            way += [(3 - number, d) for d in process.receive(data, own, accepted=number == 2)]
            if number == 2 and len(process.read) > known:
                way.append((1, acceptor.streams.frame(stream + 1, wire(1), ANSWER)))
        return len(self.sent)

    def close(self) -> None:
        self.opener.streams.forget(self.stream)
        self.acceptor.streams.forget(self.stream + 1)


@pytest.mark.parametrize(
    ("receiver", "later"), [(2, 2), (None, 4)], ids=["a member", "whoever is there"]
)
def test_a_stream_to_a_stranger_costs_one_round_trip_more_and_a_later_one_to_a_member_none(
    receiver: int | None, later: int
) -> None:
    pair = Pair()
    assert pair.converse(receiver=receiver) == 4
    assert (pair.acceptor.read, pair.opener.read) == ([QUESTION], [ANSWER])
    assert pair.converse(receiver=receiver) == later
    assert (pair.acceptor.read, pair.opener.read) == ([QUESTION] * 2, [ANSWER] * 2)


def test_what_was_said_to_whoever_is_there_is_not_read_by_another_node() -> None:
    """Although the frame is new to it, and its sender known."""
    pair = Pair()
    pair.converse()
    to_anyone = pair.opener.streams.opening(50, NOBODY, b"old news")
    assert len(pair.acceptor.receive(to_anyone, 51, accepted=True)) == 1, "a challenge"
    packet = pair.opener.sessions.packet(address(2), NOBODY, b"x" * 40)
    with pytest.raises(Rejected, match="dropped_receiver"):
        pair.acceptor.sessions.open(decode_header(packet), packet, address(1), 1.0)
    assert pair.acceptor.read == [QUESTION]


@pytest.mark.parametrize("restarted", [1, 2])
def test_a_restart_of_either_side_costs_one_round_trip(restarted: int) -> None:
    pair = Pair()
    pair.converse()
    fresh = Process(restarted, configured(K1), seed=1)
    if restarted == 1:
        pair.opener = fresh
    else:
        pair.acceptor = fresh
    assert pair.converse() == 4
    assert (pair.acceptor.read[-1], pair.opener.read[-1]) == (QUESTION, ANSWER)
    assert pair.converse() == 2


def test_packets_and_streams_share_the_admission() -> None:
    pair = Pair()
    pair.converse()
    for sender, receiver in ((pair.opener, pair.acceptor), (pair.acceptor, pair.opener)):
        to = receiver.number
        data = sender.sessions.packet(address(to), wire(to), b"x" * 40)
        source = address(sender.number)
        opened = receiver.sessions.open(decode_header(data), data, source, 1.0)
        assert opened == Opened(b"x" * 40)


def test_frames_go_both_ways_after_the_answer() -> None:
    pair = Pair()
    pair.converse()
    to_acceptor = pair.opener.streams.frame(2, wire(2), MORE)
    pair.acceptor.receive(to_acceptor, 3, accepted=True)
    to_opener = pair.acceptor.streams.frame(3, wire(1), MORE)
    pair.opener.receive(to_opener, 2, accepted=False)
    assert pair.acceptor.read[-1] == pair.opener.read[-1] == MORE


def test_no_frame_is_read_twice_on_its_own_stream() -> None:
    pair = Pair()
    for _ in range(2):
        pair.converse()
        read = [list(process.read) for process in (pair.opener, pair.acceptor)]
        for number, data in pair.sent:
            if number == 1:
                pair.opener.receive(data, pair.stream, accepted=False)
            else:
                pair.acceptor.receive(data, pair.stream + 1, accepted=True)
        assert read == [pair.opener.read, pair.acceptor.read]


def test_a_frame_is_not_late_because_many_packets_overtook_it() -> None:
    pair = Pair()
    pair.converse()
    frame = pair.opener.streams.opening(50, wire(2), b"slow")
    for _ in range(2 * WINDOW):
        packet = pair.opener.sessions.packet(address(2), wire(2), b"x" * 40)
    pair.acceptor.sessions.open(decode_header(packet), packet, address(1), 1.0)
    pair.acceptor.receive(frame, 51, accepted=True)
    assert pair.acceptor.read[-1] == b"slow"


@pytest.mark.parametrize("fresh", [False, True], ids=["the same process", "a fresh process"])
def test_nothing_recorded_is_read_by_an_acceptor(fresh: bool) -> None:
    pair = Pair()
    pair.converse(receiver=None)
    recorded = [data for number, data in pair.sent if number == 2]
    pair.converse()
    recorded += [data for number, data in pair.sent if number == 2]
    acceptor = Process(2, configured(K1), seed=1) if fresh else pair.acceptor
    read = list(acceptor.read)
    for stream, data in enumerate(recorded):
        replies = acceptor.receive(data, 101 + 2 * stream, accepted=True)
        for again in recorded:
            replies += acceptor.receive(again, 101 + 2 * stream, accepted=True)
        assert len(replies) <= 1, "a challenge"
    assert acceptor.read == read


def test_nothing_recorded_is_read_by_an_opener() -> None:
    pair = Pair()
    pair.converse()
    recorded = [data for number, data in pair.sent if number == 1]
    for opener in (pair.opener, Process(1, configured(K1), seed=1)):
        read = list(opener.read)
        opener.streams.opening(50, wire(2), QUESTION)
        for data in recorded:
            opener.receive(data, 50, accepted=False)
        assert opener.read == read


def test_a_frame_sealed_before_its_senders_admission_is_asked_for_again() -> None:
    pair = Pair()
    slow = pair.opener.streams.opening(50, wire(2), b"slow")
    pair.converse()
    (challenge,) = pair.acceptor.receive(slow, 51, accepted=True)
    assert pair.acceptor.read == [QUESTION]
    (proof,) = pair.opener.receive(challenge, 50, accepted=False)
    pair.acceptor.receive(proof, 51, accepted=True)
    assert pair.acceptor.read == [QUESTION, b"slow"]


def test_a_challenge_is_answered_once_and_only_about_the_streams_own_frame() -> None:
    pair = Pair()
    first = pair.opener.streams.opening(50, wire(2), QUESTION)
    pair.opener.streams.opening(52, wire(2), QUESTION)
    (challenge,) = pair.acceptor.receive(first, 51, accepted=True)
    assert pair.opener.receive(challenge, 52, accepted=False) == []
    assert len(pair.opener.receive(challenge, 50, accepted=False)) == 1
    assert pair.opener.receive(challenge, 50, accepted=False) == []
    assert pair.opener.counters["challenges_unexpected"] == 2


def test_an_acceptor_challenges_once_per_stream() -> None:
    pair = Pair()
    frames = [pair.opener.streams.opening(number, wire(2), QUESTION) for number in (50, 52)]
    replies = [len(pair.acceptor.receive(data, 51, accepted=True)) for data in frames]
    assert replies == [1, 0]
    assert pair.acceptor.counters["dropped_unproven"] == 1


def test_the_first_key_of_one_side_need_not_be_known_to_the_other() -> None:
    pair = Pair(opener=configured(K1), acceptor=configured(K2, K1))
    assert pair.converse() == 4
    assert pair.converse() == 2
    assert pair.opener.read == [ANSWER] * 2


def test_an_unknown_key_is_told_on_the_stream_and_reported_by_both_sides() -> None:
    pair = Pair(acceptor=configured(K2))
    assert pair.converse() == 2
    assert pair.opener.unknown_keys == pair.acceptor.unknown_keys == [key_id(K1)[:4]]
    _, hint = pair.sent[1]
    pair.opener.streams.opening(50, wire(2), QUESTION)
    pair.opener.receive(hint, 50, accepted=False)
    assert pair.opener.counters["hints_unexpected"] == 1, "it names another frame"


def test_packets_are_not_read_as_frames_nor_frames_as_packets() -> None:
    pair = Pair()
    pair.converse()
    packet = pair.opener.sessions.packet(address(2), wire(2), b"x" * 40)
    pair.acceptor.receive(packet, 51, accepted=True)
    frame = pair.opener.streams.frame(2, wire(2), b"x" * 40)
    with pytest.raises(Rejected, match="dropped_forged"):
        pair.acceptor.sessions.open(decode_header(frame), frame, address(1), 1.0)
    assert pair.acceptor.counters["dropped_forged"] == 1


def test_what_is_left_of_a_closed_stream_is_nothing() -> None:
    pair = Pair()
    pair.converse()
    pair.close()
    assert len(pair.opener.streams) == len(pair.acceptor.streams) == 0


def test_a_frame_cut_short_is_refused() -> None:
    pair = Pair()
    data = pair.opener.streams.opening(50, wire(2), QUESTION)
    for size in range(HEADER_BYTES, len(data), 7):
        pair.acceptor.receive(data[:size], 51, accepted=True)
        pair.acceptor.streams.forget(51)
    assert pair.acceptor.read == []
