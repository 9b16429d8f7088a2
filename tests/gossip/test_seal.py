"""Sealing under a cluster key: nobody without it reads, forges or replays."""

import pytest

from gossip import limits
from gossip.effects import SendDatagram
from gossip.messages import Message, Ping
from gossip.seal import Seal
from gossip.wire import SEALED, Rejected, cluster_digest, encode_header, encode_parts
from tests.gossip.drive import CLUSTER, PROFILE, Driver, address, alive, packet, wire

KEY = b"k" * 32
SALT = b"s" * 16


def sealed(seal: Seal, *messages: Message, sender: int = 2, receiver: int = 1) -> bytes:
    header = encode_header(SEALED, cluster_digest(CLUSTER), wire(sender), wire(receiver))
    return header + seal.seal(header, encode_parts(messages), frame=False)


@pytest.fixture
def driver() -> Driver:
    return Driver(PROFILE, key=KEY)


def test_a_sealed_packet_is_read(driver: Driver) -> None:
    data = sealed(Seal(KEY, wire(2), SALT), alive(2))
    driver.core.datagram_received(data, address(2), driver.now)
    assert driver.status(2) == "alive"


def test_what_this_node_sends_is_not_readable(driver: Driver) -> None:
    seal = Seal(KEY, wire(2), SALT)
    driver.core.datagram_received(sealed(seal, alive(2), Ping(1)), address(2), driver.now)
    sent = [effect for effect in driver.core.effects() if isinstance(effect, SendDatagram)]
    assert sent
    assert all(b"node-" not in packet.data for packet in sent)
    body = sent[0].data
    header = body[: limits.HEADER_BYTES]
    opened = seal.open(header, wire(1), body[limits.HEADER_BYTES :], frame=False)
    assert opened


@pytest.mark.parametrize("position", range(0, limits.HEADER_BYTES + limits.SEAL_BYTES + 40, 3))
def test_a_changed_byte_anywhere_is_refused(driver: Driver, position: int) -> None:
    data = bytearray(sealed(Seal(KEY, wire(2), SALT), alive(2)))
    data[position] ^= 1
    driver.core.datagram_received(bytes(data), address(2), driver.now)
    assert driver.status(2) is None
    drops = {k: v for k, v in driver.core.counters.items() if k.startswith("dropped") and v}
    assert sum(drops.values()) == 1


def test_a_replayed_packet_is_refused_and_counted(driver: Driver) -> None:
    data = sealed(Seal(KEY, wire(2), SALT), alive(2))
    for _ in range(3):
        driver.core.datagram_received(data, address(2), driver.now)
    assert driver.core.counters["dropped_replayed"] == 2


def test_reordered_packets_are_read_once_each() -> None:
    seal, reader = Seal(KEY, wire(2), SALT), Seal(KEY, wire(1), SALT)
    header = encode_header(SEALED, cluster_digest(CLUSTER), wire(2), wire(1))
    bodies = [seal.seal(header, b"%d" % number, frame=False) for number in range(50)]
    for body in reversed(bodies):
        reader.open(header, wire(2), body, frame=False)
    for body in bodies:
        with pytest.raises(Rejected, match="dropped_replayed"):
            reader.open(header, wire(2), body, frame=False)


def test_a_packet_can_not_be_replayed_as_a_frame() -> None:
    seal, reader = Seal(KEY, wire(2), SALT), Seal(KEY, wire(1), SALT)
    header = encode_header(SEALED, cluster_digest(CLUSTER), wire(2), wire(1))
    with pytest.raises(Rejected, match="dropped_forged"):
        reader.open(header, wire(2), seal.seal(header, b"x", frame=False), frame=True)


def test_another_key_is_refused_as_such(driver: Driver) -> None:
    data = sealed(Seal(b"o" * 32, wire(2), SALT), alive(2))
    driver.core.datagram_received(data, address(2), driver.now)
    assert driver.core.counters["dropped_unknown_key"] == 1


def test_clear_packets_are_dropped_with_a_key_and_sealed_ones_without(driver: Driver) -> None:
    driver.core.datagram_received(packet(2, alive(2)), address(2), driver.now)
    assert driver.core.counters["dropped_clear"] == 1
    in_clear = Driver()
    data = sealed(Seal(KEY, wire(2), SALT), alive(2))
    in_clear.core.datagram_received(data, address(2), in_clear.now)
    assert in_clear.core.counters["dropped_sealed"] == 1
    assert driver.status(2) is in_clear.status(2) is None


def test_forged_packets_leave_nothing_in_memory() -> None:
    reader = Seal(KEY, wire(1), SALT)
    header = encode_header(SEALED, cluster_digest(CLUSTER), wire(2), wire(1))
    genuine = Seal(KEY, wire(2), SALT).seal(header, b"x", frame=False)
    for number in range(20):
        forged = genuine[:4] + bytes([number]) * 16 + genuine[20:]
        with pytest.raises(Rejected, match="dropped_forged"):
            reader.open(header, wire(2), forged, frame=False)
    assert len(reader._senders) == 0


def test_senders_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SENDERS_SEALED_MAX", 2)
    reader = Seal(KEY, wire(1), SALT)
    header = encode_header(SEALED, cluster_digest(CLUSTER), wire(2), wire(1))
    for number in range(5):
        other = Seal(KEY, wire(2), bytes([number]) * 16)
        reader.open(header, wire(2), other.seal(header, b"x", frame=False), frame=False)
    assert len(reader._senders) == 2


def test_a_key_of_the_wrong_size_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="the cluster key has 5 bytes; 32 are needed"):
        Driver(key=b"short")


def test_every_packet_uses_a_new_nonce() -> None:
    seal = Seal(KEY, wire(2), SALT)
    header = encode_header(SEALED, cluster_digest(CLUSTER), wire(2), wire(1))
    sealed_twice = [seal.seal(header, b"same", frame=False) for _ in range(2)]
    assert sealed_twice[0] != sealed_twice[1]
