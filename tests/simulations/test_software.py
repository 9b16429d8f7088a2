"""Clusters in which nodes run software of several versions."""

import pytest

from gossip.keyring import KEY_BYTES, configured
from gossip.limits import HEADER_BYTES, PACKET_BYTES_MAX
from gossip.messages.membership import Ack, Ping
from gossip.wire import CLEAR, cluster_digest, decode_parts, encode_header, encode_parts
from simulations.links import Link
from simulations.software import FIRST, LAST, NEXT, Software
from simulations.world import World

PACKET = encode_header(CLEAR, cluster_digest("x"), b"sender--", b"receiver") + encode_parts(
    [Ping(1, 2), Ack(3)]
)


def cluster(*software: Software, sealed: bool = False) -> World:
    keyring = configured(b"k" * KEY_BYTES) if sealed else None
    world = World(len(software), seed=9, link=Link(loss=0.05), keyring=keyring)
    for node, installed in zip(world.nodes, software, strict=True):
        node.installed = installed
    return world


def counted(world: World, counter: str) -> int:
    return sum(node.core.counters[counter] for node in world.nodes)


def test_the_first_version_changes_nothing() -> None:
    assert FIRST.packet(PACKET) == FIRST.incoming(PACKET) == PACKET


def test_a_newer_packet_holds_what_an_older_one_did_and_more() -> None:
    new = NEXT.packet(PACKET)
    assert len(new) > len(PACKET)
    parts = decode_parts(new[HEADER_BYTES:], 10)
    assert (parts.messages, parts.unknown, parts.malformed) == ((Ping(1, 2), Ack(3)), 1, 0)


def test_a_newer_node_understands_what_an_older_one_skips() -> None:
    parts = decode_parts(NEXT.incoming(NEXT.packet(PACKET))[HEADER_BYTES:], 10)
    assert (parts.messages, parts.unknown) == ((Ping(1, 2), Ack(3)), 0)


def test_a_packet_that_would_not_fit_any_more_is_as_it_was() -> None:
    full = PACKET + bytes((77, 0)) * ((PACKET_BYTES_MAX - len(PACKET)) // 2)
    assert NEXT.packet(full) == full


@pytest.mark.parametrize("cut", range(HEADER_BYTES, len(PACKET)))
def test_what_is_truncated_is_left_to_the_core(cut: int) -> None:
    NEXT.incoming(PACKET[:cut])
    NEXT.packet(PACKET[:cut])


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
def test_neighbouring_versions_form_one_cluster(sealed: bool) -> None:
    for software in ([FIRST, NEXT, FIRST, NEXT], [NEXT, LAST, LAST, NEXT]):
        world = cluster(*software, sealed=sealed)
        world.form(within=60.0)
        world.commit(0, b"x")
        world.run_until(world.has_spread, within=10.0)
        world.run(60.0)
        assert world.is_whole()
        assert counted(world, "dropped_version") == counted(world, "messages_malformed") == 0
        skipped = counted(world, "messages_unknown")
        assert (skipped > 0) == (FIRST in software and not sealed)


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
def test_versions_without_overlap_refuse_each_other(sealed: bool) -> None:
    world = cluster(FIRST, LAST, FIRST, LAST, sealed=sealed)
    world.start()
    world.run(30.0)
    assert {len(node.alive_seen()) for node in world.nodes} == {2}
    assert counted(world, "dropped_version") > 0


def test_a_rolling_upgrade_interrupts_nobody() -> None:
    world = cluster(*[FIRST] * 5)
    world.form()
    for software in (NEXT, LAST):
        for node in world.nodes:
            node.crash()
            node.installed = software
            node.start()
            world.run_until(world.is_whole, within=10.0)
    assert {node.software for node in world.nodes} == {LAST}
