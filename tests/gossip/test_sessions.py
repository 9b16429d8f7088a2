"""The conversation by which processes are admitted: what it costs, and what replays are worth."""

import random
from collections import deque

import pytest

from gossip import limits
from gossip.counters import Counters
from gossip.effects import Effect, Notify, SendDatagram
from gossip.events import KeyUnknown
from gossip.keyring import Keyring, configured, key_id
from gossip.seal import COUNTER_LAST
from gossip.sessions import Opened, Sessions
from gossip.wire import Rejected, cluster_binding, cluster_digest, decode_header
from tests.gossip.drive import CLUSTER, address, wire

K1, K2, K3 = b"1" * 32, b"2" * 32, b"3" * 32
RING = configured(K1)
PING, ACK = b"ping" * 10, b"ack" * 10


class Process:
    """One process of a node. Another seed is another process."""

    def __init__(self, number: int, keyring: Keyring = RING, seed: int = 0) -> None:
        self.number = number
        self.counters = Counters()
        self.now = 100.0
        self.sessions = Sessions(
            keyring,
            wire(number),
            cluster_digest(CLUSTER),
            cluster_binding(CLUSTER),
            random.Random(f"{number} {seed}"),
            self.counters,
            self.now,
        )
        self.answer = b""
        """What it sends to whoever sent it PING."""
        self.read: list[bytes] = []
        self.unknown_keys: list[str] = []

    def packet(self, other: int, body: bytes = PING) -> bytes:
        return self.sessions.packet(address(other), wire(other), body)

    def receive(self, data: bytes, sender: int) -> list[SendDatagram]:
        """Take in a packet that comes from that node's address; what is sent in turn."""
        effects: list[Effect] = []
        try:
            opened = self.sessions.open(decode_header(data), data, address(sender), self.now)
        except Rejected as rejected:
            opened = Opened(None, (), rejected.reason)
        effects += opened.effects
        if opened.refused:
            self.counters.add(opened.refused)
        elif opened.body:
            self.read.append(opened.body[: len(PING)])
            if self.answer and self.read[-1] == PING:
                answer = self.packet(sender, self.answer)
                effects.append(SendDatagram(address(sender), answer))
        effects += self.sessions.settle()
        for effect in effects:
            if isinstance(effect, Notify) and isinstance(effect.event, KeyUnknown):
                self.unknown_keys.append(effect.event.key_id)
        return [effect for effect in effects if isinstance(effect, SendDatagram)]


class Net:
    """Processes, and every packet that went between them."""

    def __init__(self, *processes: Process) -> None:
        self.processes = {process.number: process for process in processes}
        self.recorded: list[tuple[int, int, bytes]] = []

    def replace(self, process: Process) -> Process:
        """A node restarts."""
        self.processes[process.number] = process
        return process

    def send(self, sender: int, receiver: int, body: bytes = PING) -> int:
        """Send a packet and deliver all that follows; how many went, the first included."""
        return self.deliver(sender, receiver, self.processes[sender].packet(receiver, body))

    def deliver(self, sender: int, receiver: int, data: bytes) -> int:
        begun = len(self.recorded)
        way = deque([(sender, receiver, data)])
        while way:
            sender, receiver, data = way.popleft()
            self.recorded.append((sender, receiver, data))
            for reply in self.processes[receiver].receive(data, sender):
                other = next(n for n in self.processes if address(n) == reply.address)
                way.append((receiver, other, reply.data))
        return len(self.recorded) - begun


def met(answer: bytes = ACK) -> tuple[Net, Process, Process]:
    """Two processes that have admitted each other."""
    net = Net(Process(1), Process(2))
    net.processes[2].answer = answer
    net.send(1, 2)
    return net, net.processes[1], net.processes[2]


def test_strangers_admit_each_other_with_three_messages_and_the_first_ping_is_answered() -> None:
    net = Net(Process(1), Process(2))
    net.processes[2].answer = ACK
    assert net.send(1, 2) == 4, "ping, challenge, proof with ping, proof with ack"
    assert net.processes[2].read == [PING]
    assert net.processes[1].read == [ACK[: len(PING)]]
    assert net.send(1, 2) == 2, "ping, ack"
    assert net.send(2, 1, b"x" * 40) == 1


def test_both_sides_are_admitted_when_there_is_nothing_to_answer() -> None:
    net, *_ = met(answer=b"")
    assert [net.send(1, 2), net.send(2, 1)] == [1, 1]


def test_sealing_costs_28_bytes_and_small_packets_are_padded_to_a_challenge() -> None:
    _, first, _ = met()
    assert len(first.packet(2, b"x" * 40)) == limits.HEADER_BYTES + 40 + 28
    challenge = limits.CHALLENGE_BYTES
    assert {len(first.packet(2, b"x" * size)) for size in range(30)} == {challenge}


@pytest.mark.parametrize("restarted", [1, 2])
def test_a_restart_of_either_side_costs_one_round_trip(restarted: int) -> None:
    net, *_ = met()
    net.replace(Process(restarted, seed=1)).answer = ACK
    net.processes[2].read.clear()
    assert net.send(1, 2) == 4
    assert net.processes[2].read == [PING]
    assert net.send(1, 2) == 2


def test_two_that_speak_to_each_other_at_once_lose_nothing() -> None:
    net = Net(Process(1), Process(2))
    ways = deque([(1, 2, net.processes[1].packet(2)), (2, 1, net.processes[2].packet(1))])
    went = 0
    while ways:
        sender, receiver, data = ways.popleft()
        went += 1
        for reply in net.processes[receiver].receive(data, sender):
            ways.append((receiver, 3 - receiver, reply.data))
    assert went == 6, "each a ping, a challenge and a proof"
    assert net.processes[1].read == net.processes[2].read == [PING]
    assert [net.send(1, 2), net.send(2, 1)] == [1, 1]


def test_all_that_was_sent_in_the_meantime_is_sent_again() -> None:
    first, second = Process(1), Process(2)
    bodies = [b"%02d" % number * 20 for number in range(limits.RESENT_MAX)]
    packets = [first.packet(2, body) for body in bodies]
    (challenge,) = [reply for data in packets for reply in second.receive(data, 1)]
    proof, *others = first.receive(challenge.data, 2)
    for reply in (proof, *others):
        second.receive(reply.data, 1)
    assert second.read == bodies


def test_a_lost_message_of_the_conversation_only_delays_it() -> None:
    for lost in range(1, 4):
        first, second = Process(1), Process(2)
        second.answer = ACK
        way = deque([(first, second, first.packet(2))])
        number = 0
        while way:
            sender, receiver, data = way.popleft()
            if number != lost:
                for reply in receiver.receive(data, sender.number):
                    way.append((receiver, sender, reply.data))
            number += 1
        first.now = second.now = 101.0
        net = Net(first, second)
        assert net.send(1, 2) <= 4
        assert second.read[-1] == PING
        assert first.read[-1] == ACK[: len(PING)]


def test_nothing_recorded_is_read_by_a_process_that_has_just_started() -> None:
    net, *_ = met()
    net.send(1, 2)
    net.send(2, 1)
    recorded = [data for _, receiver, data in net.recorded if receiver == 2]
    for order in (recorded, recorded[::-1]):
        fresh = Process(2, seed=1)
        for data in order:
            fresh.receive(data, 1)
        assert fresh.read == []
        assert len(fresh.sessions.admissions) == 0


def test_an_old_recording_does_not_even_move_its_author_to_prove_itself() -> None:
    net, first, _ = met()
    net.send(1, 2)
    recorded = [data for _, receiver, data in net.recorded if receiver == 2]
    fresh = net.replace(Process(2, seed=1))
    first.now = fresh.now = 100.0 + 2 * limits.SENT_SECONDS_MAX
    for data in recorded:
        net.deliver(1, 2, data)
    assert fresh.read == []
    assert len(fresh.sessions.admissions) == 0
    assert first.counters["challenges_unexpected"] >= 1


def test_a_new_recording_of_a_living_process_makes_it_speak_anew_and_once() -> None:
    net, first, _ = met(answer=b"")
    net.send(1, 2, b"a" * 40)
    recorded = net.recorded[-1][2]
    fresh = net.replace(Process(2, seed=1))
    net.deliver(1, 2, recorded)
    assert fresh.read == [b"a" * 40], "from a packet that was sealed for this process"
    for _ in range(3):
        net.deliver(1, 2, recorded)
    assert fresh.read == [b"a" * 40]
    assert first.counters["challenges_answered"] == 2


def test_a_replayed_packet_is_refused_and_counted() -> None:
    net, first, second = met()
    data = first.packet(2)
    for _ in range(3):
        second.receive(data, 1)
    assert second.counters["dropped_replayed"] == 2
    for _, receiver, seen in net.recorded:
        net.processes[receiver].receive(seen, 3 - receiver)
    assert second.read == [PING, PING]


def test_a_proof_is_read_once() -> None:
    net, first, second = met(answer=b"")
    read = list(second.read)
    for _, receiver, data in [*net.recorded[1:], *net.recorded[1:]]:
        net.processes[receiver].receive(data, 3 - receiver)
    assert second.read == read
    assert first.counters["dropped_replayed"] + second.counters["dropped_replayed"] >= 4


def test_reordered_packets_are_read_once_each() -> None:
    _, first, second = met()
    bodies = [b"%02d" % number * 20 for number in range(50)]
    packets = [first.packet(2, body) for body in bodies]
    for data in [*packets[::-1], *packets]:
        second.receive(data, 1)
    assert second.read[1:] == bodies[::-1]


def test_what_was_sealed_before_the_proof_is_not_read_after_it() -> None:
    first, second = Process(1), Process(2)
    early, packet = first.packet(2, b"e" * 40), first.packet(2)
    net = Net(first, second)
    net.deliver(1, 2, packet)
    assert second.read == [PING]
    (challenge,) = second.receive(early, 1)
    assert second.read == [PING], "it may be a recording of any age"
    net.deliver(2, 1, challenge.data)
    assert second.read == [PING, b"e" * 40], "its sender says it again"


def test_a_challenge_is_answered_once() -> None:
    first, second = Process(1), Process(2)
    (challenge,) = second.receive(first.packet(2), 1)
    assert len(first.receive(challenge.data, 2)) == 1
    assert first.receive(challenge.data, 2) == []
    assert first.counters["challenges_unexpected"] == 1


def test_a_challenge_names_its_question_by_the_end_of_a_large_counter() -> None:
    net = Net(Process(1), Process(2))
    net.processes[1].sessions.seal.counter = (1 << 32) - 1
    assert net.send(1, 2) == 4
    net.replace(Process(2, seed=1))
    net.processes[1].sessions.seal.counter = (1 << 33) - 2
    assert net.send(1, 2) == 4


def test_a_challenge_from_another_address_is_answered_to_where_the_packet_went() -> None:
    first, second = Process(1), Process(2)
    (challenge,) = second.receive(first.packet(2), 1)
    (proof,) = first.receive(challenge.data, 9)
    assert proof.address == address(2)


def test_a_challenge_is_never_longer_than_its_question() -> None:
    first, second = Process(1), Process(2)
    question = first.packet(2, b"")
    (challenge,) = second.receive(question, 1)
    assert len(challenge.data) == len(question) == limits.CHALLENGE_BYTES
    third = Process(3)
    assert second.receive(third.packet(2, b"")[:-1], 3) == []
    assert second.counters["amplification_prevented"] == 1


def test_strangers_can_not_have_more_challenges_sent_than_the_limits_say() -> None:
    target = Process(1)
    data = Process(2).packet(1)
    sent = 0
    for number in range(2 * limits.CHALLENGES_PER_SECOND):
        forged = data[: limits.HEADER_BYTES + 2] + number.to_bytes(4, "big") + data[26:]
        sent += len(target.receive(forged, 9))
        assert target.receive(forged, 9) == [], "not again within the interval"
    assert sent == limits.CHALLENGES_PER_SECOND
    assert len(target.sessions.challenges) <= limits.CHALLENGES_MAX
    assert len(target.sessions.admissions) == 0


def test_the_least_recently_heard_is_forgotten_and_challenged_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "SALTS_ADMITTED_MAX", 2)
    net = Net(*(Process(number) for number in range(1, 5)))
    target = net.processes[1]
    for number in (2, 3, 4):
        net.send(number, 1, b"%02d" % number * 20)
    assert len(target.sessions.admissions) == 2
    read = list(target.read)
    for sender, receiver, data in [*net.recorded]:
        if receiver == 1:
            target.receive(data, sender)
    assert target.read == read, "nothing recorded is read again"
    target.now = 101.0
    net.send(2, 1, b"new!" * 10)
    assert target.read == [*read, b"new!" * 10]


def test_at_the_end_of_its_counter_a_process_goes_on_under_a_new_salt() -> None:
    net, first, second = met()
    first.sessions.seal.counter = COUNTER_LAST - 1
    assert net.send(1, 2) == 2
    assert net.send(1, 2) == 4, "to the other it is a new process"
    assert net.send(1, 2) == 2
    assert second.read == [PING] * 4


def test_packets_under_any_key_of_the_ring_are_read() -> None:
    old, both = configured(K1), configured(K2, K1)
    net = Net(Process(1, old), Process(2, both))
    net.send(1, 2)
    assert net.processes[2].read == [PING], "although only one key is known to both"
    assert len(net.processes[1].sessions.admissions) == 1


def test_keys_that_left_the_ring_open_nothing_any_more() -> None:
    net, first, second = met(answer=b"")
    under_old = first.packet(2)
    for process in (first, second):
        process.sessions.adopt(configured(K2, K1))
    assert net.send(1, 2) == 1
    second.receive(under_old, 1)
    assert second.read == [PING] * 3, "what was under way is read while the old key is there"
    under_old = first.sessions.packet(address(2), wire(2), PING, bytes.fromhex(key_id(K1)[:4]))
    second.sessions.adopt(configured(K2))
    second.receive(under_old, 1)
    assert second.read == [PING] * 3
    assert second.counters["dropped_unknown_key"] == 1


def test_whoever_held_a_key_that_was_replaced_can_not_have_spoiled_the_windows() -> None:
    net, first, second = met(answer=b"")
    first.sessions.seal.counter = COUNTER_LAST - 1
    assert net.send(1, 2) == 1, "as a thief of the key could"
    first.sessions.seal.counter = 1_000
    for process in (first, second):
        process.sessions.adopt(configured(K2))
    assert net.send(1, 2) == 1
    assert len(second.read) == 3


def test_whoever_had_a_process_admitted_in_the_name_of_another_delays_it_once() -> None:
    """By a proof with its salt and a high counter; that needs a key of the ring."""
    thief, second = Process(1), Process(2)
    thief.sessions.seal.counter = COUNTER_LAST - 100
    net = Net(thief, second)
    net.send(1, 2)
    net.replace(Process(1))
    second.now += 1.0
    assert net.send(1, 2) == 3, "packet, challenge, proof"
    assert [net.send(1, 2), net.send(1, 2)] == [1, 1]
    assert second.read == [PING] * 4
    assert len(second.sessions.admissions) == 1


def test_an_unknown_key_is_reported_by_both_sides_and_changes_nothing() -> None:
    net = Net(Process(1, configured(K1)), Process(2, configured(K2)))
    assert net.send(1, 2) == 2, "packet and hint"
    assert len(net.recorded[1][2]) < len(net.recorded[0][2])
    for process in net.processes.values():
        assert process.unknown_keys == [key_id(K1)[:4]]
    assert net.processes[1].sessions.keyring == configured(K1)
    assert net.send(1, 2) == 1, "no second hint at once"
    for process in net.processes.values():
        process.now += limits.KEY_UNKNOWN_INTERVAL
    assert net.send(1, 2) == 2
    assert [len(p.unknown_keys) for p in net.processes.values()] == [2, 2]


def test_a_hint_that_names_nothing_sent_lately_or_comes_from_elsewhere_is_refused() -> None:
    first, second = Process(1, configured(K1)), Process(2, configured(K2))
    (hint,) = second.receive(first.packet(2), 1)
    first.receive(hint.data, 3)
    first.receive(hint.data[:-1] + b"\xff", 2)
    first.now += 2 * limits.SENT_SECONDS_MAX
    first.receive(hint.data, 2)
    assert first.counters["hints_unexpected"] == 3
    assert first.unknown_keys == []


def test_hints_are_few_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HINT_SOURCES_MAX", 5)
    target = Process(1, configured(K2))
    packets = [Process(number).packet(1) for number in range(2, 100)]
    sent = sum(len(target.receive(data, number)) for number, data in enumerate(packets, 2))
    assert sent == limits.HINTS_PER_SECOND
    assert len(target.sessions.hints) <= 5
