"""What encryption means for a whole core: nothing in clear, at little cost, and healing."""

import pytest

from gossip.limits import CHALLENGE_BYTES, SEAL_BYTES
from gossip.messages.membership import Ping
from gossip.profiles import LAN
from gossip.wire import encode_parts
from simulations.authority import LogAuthority
from simulations.links import Link
from simulations.world import World
from tests.gossip.drive import Driver, alive, packet
from tests.gossip.hostile import RING, Insider, Tapped, cluster, just_started

NAMES = ("datagrams_out", "datagram_bytes_out")


def test_clear_packets_are_dropped_with_a_key_and_sealed_ones_without() -> None:
    driver = Driver(keyring=RING)
    driver.receive(2, alive(2))
    assert driver.core.counters["dropped_clear"] == 1
    world = Tapped(2, seed=1, keyring=RING)
    world.form()
    world.run(5.0)
    in_clear = World(2, seed=1)
    in_clear.form()
    core = in_clear.nodes[0].core
    sealed = [data for kind, node, data in world.tape if (kind, node) == ("datagram", 0)]
    for data in sealed:
        core.datagram_received(data, in_clear.nodes[1].address, in_clear.now)
    assert core.counters["dropped_sealed"] == len(sealed) > 0
    assert driver.status(2) is None


def test_nothing_of_what_is_said_can_be_read_on_the_wire() -> None:
    worlds = [Tapped(3, seed=2, keyring=keyring) for keyring in (None, RING)]
    said = (b"node-1", b"traditional", b"secret of a consumer")
    for world, readable in zip(worlds, (True, False), strict=True):
        world.form()
        world.commit(0, b"secret of a consumer" * 10)
        world.run(5.0)
        wire = b"".join(data for _, _, data in world.tape)
        assert [text in wire for text in said] == [readable] * 3


def test_an_idle_cluster_pays_28_bytes_a_packet_and_no_packet_more() -> None:
    sent = []
    for keyring in (None, RING):
        world = World(5, seed=3, keyring=keyring)
        world.authority = LogAuthority(tag=2**63 + 1)
        world.form()
        world.commit(0, b"x")
        world.run(30.0)
        before = [sum(node.core.counters[name] for node in world.nodes) for name in NAMES]
        world.run(60.0)
        after = [sum(node.core.counters[name] for node in world.nodes) for name in NAMES]
        sent.append([b - a for a, b in zip(before, after, strict=True)])
    (clear_packets, clear_bytes), (packets, sealed_bytes) = sent
    assert packets == pytest.approx(clear_packets, rel=0.02)
    assert sealed_bytes / packets - clear_bytes / clear_packets == pytest.approx(SEAL_BYTES, abs=1)


@pytest.mark.parametrize("restarted", [0, 1])
def test_no_probe_fails_for_a_restart(restarted: int) -> None:
    world = World(2, seed=4, profile=LAN, link=Link(), keyring=RING)
    world.form()
    world.run(20.0)
    world.nodes[restarted].crash()
    world.nodes[restarted].start()
    before = [node.core.counters["probes_failed"] for node in world.nodes]
    world.run_until(world.is_whole, within=3.0)
    world.run(20.0)
    assert [node.core.counters["probes_failed"] for node in world.nodes] == before
    saved = sum(node.core.counters["probes_saved_by_stream"] for node in world.nodes)
    assert saved == 0, "the first ping is answered, by packet"


@pytest.mark.parametrize("size", range(0, 60, 3))
def test_a_stranger_is_answered_with_no_more_than_it_sent(size: int) -> None:
    world = cluster()
    victim = just_started(world)
    stranger = Insider(victim, world, [])
    stranger.tell(encode_parts([Ping(1)]))
    question = stranger.seal_unpadded(encode_parts([Ping(2)]) + bytes([0, size, *bytes(size)]))
    sent = victim.packet(question)
    assert sum(map(len, sent)) <= len(question)
    assert len(sent) == (len(question) >= CHALLENGE_BYTES)


def test_another_cluster_name_is_refused_under_the_same_key() -> None:
    driver = Driver(keyring=RING)
    driver.core.datagram_received(packet(2, alive(2), cluster="other"), ("10.0.0.2", 8005), 100.0)
    assert driver.core.counters["dropped_cluster"] == 1
