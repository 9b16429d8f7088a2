"""Keyrings in a cluster: changed while it runs, missed, changed twice at once."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from gossip.effects import SendDatagram
from gossip.events import KeyringChanged, KeyUnknown, MemberChanged
from gossip.identity import Identity
from gossip.keyring import Keyring, configured, encode, install, key_id, remove, use
from gossip.messages.changes import Heartbeat
from gossip.messages.keys import Keys, KeysWanted
from gossip.messages.membership import Ping
from gossip.profiles import LAN
from gossip.replica import Head
from simulations.links import Link
from simulations.node import Node
from simulations.world import World
from tests.gossip.drive import Driver, alive, node_id

K1, K2, K3 = b"1" * 32, b"2" * 32, b"3" * 32
LOSSY = Link(loss=0.05, duplication=0.05, jitter=0.001)
PATIENT = replace(LAN, failed_ttl=3_600.0)


def identity(node: Node) -> Identity:
    return Identity(node.id, node.generation, node.generation)


def ring(node: Node) -> Keyring:
    held = node.core.keyring
    assert held is not None
    return held


def change(node: Node, how: Callable[[Keyring, bytes, Identity], Keyring], key: bytes) -> Keyring:
    """What an operator does on a node."""
    changed = how(ring(node), key, identity(node))
    node.application.offer_keyring(changed)
    return changed


def everywhere(world: World, keyring: Keyring) -> Callable[[], bool]:
    """Whether every running node holds it, and knows that the others do."""

    def holds() -> bool:
        running = [node for node in world.nodes if node.running]
        return all(ring(node) == keyring for node in running) and all(
            member.keyring == keyring.counter
            for node in running
            for member in node.core.members(world.now)
            if member.status == "alive"
        )

    return holds


def rotate(world: World, node: Node) -> None:
    """From K1 to K2, each step once all have the one before."""
    for how, key in ((install, K2), (use, K2), (remove, K1)):
        world.run_until(everywhere(world, change(node, how, key)), within=60.0)


def counted(world: World, name: str) -> int:
    return sum(node.core.counters[name] for node in world.nodes if node.running)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_running_cluster_changes_its_key_under_loss_and_nobody_is_suspected(seed: int) -> None:
    world = World(10, seed, link=LOSSY, keyring=configured(K1))
    world.form()
    world.run(10.0)
    begun = len(world.observed)
    rotate(world, world.nodes[3])
    world.run(30.0)
    assert {ring(node).keys for node in world.nodes} == {(K2,)}
    assert world.is_whole()
    changes = [seen.event for seen in world.observed[begun:]]
    assert [e for e in changes if isinstance(e, MemberChanged | KeyUnknown)] == []
    assert counted(world, "dropped_unknown_key") == 0
    stored = [e.keyring for e in changes if isinstance(e, KeyringChanged)]
    assert len(stored) == 3 * 9
    assert {node.keyring for node in world.nodes} == {ring(world.nodes[0])}


def test_changes_reach_everyone_in_one_hop_without_loss() -> None:
    world = World(10, seed=3, keyring=configured(K1))
    world.form()
    world.run(5.0)
    changed = change(world.nodes[0], install, K2)
    took = world.run_until(lambda: all(ring(n) == changed for n in world.nodes), within=1.0)
    assert took < 0.01


def test_who_changed_the_keyring_knows_in_one_round_trip_that_all_have_it() -> None:
    world = World(10, seed=3, keyring=configured(K1))
    world.form()
    world.run(5.0)
    change(world.nodes[0], install, K2)
    known = [0] * 10

    def all_told() -> bool:
        members = world.nodes[0].core.members(world.now)
        known[:] = [member.keyring or 0 for member in members]
        return known == [1] * 10

    assert world.run_until(all_told, within=1.0) < 0.02


def test_who_was_down_during_the_whole_rotation_says_so_and_comes_back_with_the_keyring() -> None:
    """hashicorp/consul#719: it came back with the old key, and formed a cluster of its own."""
    world = World(5, seed=4, profile=PATIENT, link=LOSSY, keyring=configured(K1))
    world.form()
    late = world.nodes[4]
    late.crash()
    world.run(30.0)
    rotate(world, world.nodes[0])
    late.start()
    begun = len(world.observed)
    world.run(20.0)
    told = [seen for seen in world.observed[begun:] if isinstance(seen.event, KeyUnknown)]
    assert late.index in {seen.node for seen in told}
    assert {seen.event for seen in told} <= {KeyUnknown(key_id(key)[:4]) for key in (K1, K2)}
    assert all(late.status_of(node) is None for node in world.nodes[:4])
    per_node = [sum(1 for seen in told if seen.node == node.index) for node in world.nodes]
    assert max(per_node) <= 20.0 / 5.0 + 1
    assert ring(late) == configured(K1), "a hint changes nothing"
    late.application.offer_keyring(ring(world.nodes[0]))
    world.run_until(world.is_whole, within=30.0)


def test_who_was_down_while_a_key_was_installed_gets_it_from_its_peers() -> None:
    world = World(5, seed=5, link=LOSSY, keyring=configured(K1))
    world.form()
    late = world.nodes[4]
    late.crash()
    change(world.nodes[0], install, K2)
    changed = change(world.nodes[0], use, K2)
    world.run(10.0)
    late.start()
    world.run_until(lambda: ring(late) == changed, within=30.0)
    world.run_until(world.is_whole, within=30.0)
    world.run(1.0)
    assert late.keyring == changed


@pytest.mark.parametrize("link", [Link(), LOSSY], ids=["no loss", "loss"])
@pytest.mark.parametrize("seed", [6, 7, 8])
def test_two_changes_at_once_end_with_one_keyring_everywhere(seed: int, link: Link) -> None:
    world = World(8, seed, link=link, keyring=configured(K1))
    world.form()
    first = change(world.nodes[1], install, K2)
    second = change(world.nodes[6], install, K3)
    assert first.counter == second.counter
    winner = second if second.newer_than(first) else first
    world.run_until(everywhere(world, winner), within=60.0)
    assert world.is_whole()


def test_two_changes_of_which_each_reached_one_half_end_with_one_keyring() -> None:
    world = World(6, seed=9, keyring=configured(K1))
    world.form()
    world.network.partition([0, 1, 2], [3, 4, 5])
    first = change(world.nodes[0], install, K2)
    second = change(world.nodes[3], install, K3)
    world.run(1.0)
    world.network.heal()
    winner = second if second.newer_than(first) else first
    world.run_until(everywhere(world, winner), within=60.0)


def test_what_is_not_newer_is_not_adopted() -> None:
    driver = Driver(keyring=configured(K1))
    newer = install(configured(K1), K2, Identity(node_id(2), 1, 7))
    assert driver.core.offer_keyring(newer, driver.now)
    assert driver.core.keyring == newer
    for other in (newer, configured(K1), configured(K3)):
        assert not driver.core.offer_keyring(other, driver.now)
    assert driver.core.keyring == newer


def test_a_keyring_does_not_travel_in_clear() -> None:
    driver = Driver()
    driver.meet(2)
    changed = install(configured(K1), K2, Identity(node_id(2), 1, 7))
    assert not driver.core.offer_keyring(changed, driver.now)
    driver.receive(2, Keys(changed))
    driver.receive(2, KeysWanted())
    assert driver.core.keyring is None
    assert driver.core.counters["keyrings_refused"] == 2
    sent = [effect for effect in driver.effects if isinstance(effect, SendDatagram)]
    assert all(K1 not in packet.data for packet in sent)
    driver.receive(2, Heartbeat.of(Head((0, 0, 0), bytes(32)), None, (5, 0)), Ping(1))
    assert driver.sent(Keys) == []
    assert driver.sent(KeysWanted) == []


def test_a_new_keyring_is_told_under_a_key_that_is_in_it() -> None:
    """Whoever holds the key that is thrown out must not read what replaces it."""
    world = World(2, seed=10, keyring=configured(K1))
    world.form()
    world.run(5.0)
    first, second = world.nodes
    only_new = Keyring(9, first.id, 1, (K2,))
    before = second.core.counters["dropped_unknown_key"]
    first.application.offer_keyring(only_new)
    world.run(0.01)
    assert second.core.counters["dropped_unknown_key"] == before + 1
    assert ring(second) == configured(K1)


def test_members_show_the_keyring_they_told_last() -> None:
    world = World(3, seed=11, keyring=configured(K1))
    world.form()
    world.run(5.0)
    views = world.nodes[0].core.members(world.now)
    assert [member.keyring for member in views] == [0, 0, 0]
    changed = change(world.nodes[0], install, K2)
    assert world.nodes[0].core.members(world.now)[0].keyring == 1
    world.run_until(everywhere(world, changed), within=10.0)


def test_a_restarted_member_has_told_nothing_yet() -> None:
    driver = Driver()
    driver.meet(2)
    driver.receive(2, Heartbeat.of(Head((0, 0, 0), bytes(32)), None, (0, 0)))
    member = driver.member(2)
    assert member is not None
    assert member.keyring == 0
    driver.receive(2, alive(2, generation=2))
    member = driver.member(2)
    assert member is not None
    assert member.keyring is None


def test_a_member_is_told_or_asked_once_a_second_and_at_once_of_what_is_new() -> None:
    world = World(3, seed=13, keyring=configured(K1))
    world.form()
    core, now = world.nodes[0].core, world.now
    rings = [configured(K1)]
    for key in (K2, K3):
        rings.append(install(rings[-1], key, identity(world.nodes[1])))
    core.offer_keyring(rings[1], now)
    rotation, counters = core._rotation, core.counters
    one, other = core._members.reachable()
    head = Head((0, 0, 0), bytes(32))

    def told_after(seconds: float, keyring: Keyring) -> tuple[int, int]:
        before = counters["keyrings_told"], counters["keyrings_asked"]
        rotation.heard(Heartbeat.of(head, None, keyring.mark), one, now + seconds)
        return counters["keyrings_told"] - before[0], counters["keyrings_asked"] - before[1]

    assert told_after(0.5, rings[0]) == (0, 0), "it was told at once when it changed"
    assert told_after(1.5, rings[0]) == (1, 0)
    assert told_after(1.6, rings[0]) == (0, 0)
    assert told_after(1.6, rings[2]) == (0, 1)
    assert told_after(1.7, rings[2]) == (0, 0)
    assert rotation.told(Keys(rings[2]), other, now + 1.7)
    assert told_after(1.8, rings[0]) == (1, 0)


def test_an_encrypted_cluster_of_any_seed_is_replayed_to_the_bit() -> None:
    hashes = set()
    for _ in range(2):
        world = World(4, seed=12, link=LOSSY, keyring=configured(K1))
        world.form()
        rotate(world, world.nodes[0])
        hashes.add(world.trace_hash)
    assert len(hashes) == 1


def test_a_full_keyring_fits_a_packet() -> None:
    rng = random.Random(1)
    full = Keyring(2**62, node_id(1), 2**64 - 1, tuple(rng.randbytes(32) for _ in range(8)))
    assert len(encode(full)) < 400
