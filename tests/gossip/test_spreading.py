"""How changes travel in simulated clusters: dead relays, rough links, liars, large changes."""

import dataclasses

import pytest

from gossip.events import ChangesetApplied, FenceEnded
from gossip.keyring import Keyring, configured
from gossip.messages import Message
from gossip.messages.changes import Push
from gossip.replica import Changeset, Version
from gossip.wire import encode_parts
from simulations.links import Link
from simulations.world import World

CALM = Link(latency=0.000_2, jitter=0.000_1)


def formed(nodes: int, link: Link = CALM, seed: int = 1, keyring: Keyring | None = None) -> World:
    """A cluster that has run for a while, so that round trips are known."""
    world = World(nodes, seed, link=link, keyring=keyring)
    world.begin_formed()
    world.run(3.0)
    return world


def delays(world: World, version: Version) -> list[float]:
    """What each node measured."""
    return [
        seen.event.delay
        for seen in world.observed
        if isinstance(seen.event, ChangesetApplied)
        and seen.event.changeset.version == version
        and seen.event.delay is not None
    ]


def total(world: World, counter: str) -> int:
    return sum(node.core.counters[counter] for node in world.nodes)


@pytest.mark.parametrize("nodes", [2, 3, 64, 65, 150])
def test_a_change_reaches_everybody_once_within_milliseconds(nodes: int) -> None:
    world = formed(nodes)
    world.commit(1, b"change")
    assert world.run_until(world.has_spread, within=0.01) < 0.003
    world.run(0.5)
    assert total(world, "changesets_applied") == nodes - 1
    assert total(world, "changesets_known") == 0
    assert (total(world, "packets_relayed") > 0) == (nodes > 64)


def test_relays_and_children_that_never_met_first_prove_that_they_live() -> None:
    """A young cluster with a key: each pair's first packet costs a round trip more."""
    world = formed(70, keyring=configured(b"k" * 32))
    before = total(world, "challenges")
    world.commit(1, b"change")
    assert world.run_until(world.has_spread, within=0.1) < 0.01
    world.run(0.5)
    assert total(world, "challenges") > before
    assert total(world, "changesets_applied") == 69


@pytest.mark.parametrize("nodes", [10, 100])
def test_what_nodes_measure_is_what_it_took(nodes: int) -> None:
    """Over one hop and over two: residence, and half a round trip for each hop."""
    world = formed(nodes)
    changeset = world.commit(1, b"change")
    begun = world.now
    world.run(0.1)
    took = [
        seen.at - begun
        for seen in world.observed
        if isinstance(seen.event, ChangesetApplied)
        and seen.event.changeset.version == changeset.version
    ]
    measured = delays(world, changeset.version)
    assert len(measured) == nodes - 1
    assert sum(measured) / len(measured) == pytest.approx(sum(took) / len(took), rel=0.25)


def test_a_lost_push_is_repaired_in_milliseconds() -> None:
    world = formed(10, dataclasses.replace(CALM, loss=0.05))
    slow = 0
    for number in range(40):
        world.commit(number % 10, b"change %d" % number)
        slow += world.run_until(world.has_spread, within=5.0) > 0.012
        world.run(0.05)
    assert total(world, "news_missing") > 0, "something was lost"
    assert slow <= 2


def test_children_of_a_dead_relay_hear_it_from_others() -> None:
    world = formed(100)
    for node in world.nodes[40:60]:
        node.silence()
    world.nodes = [node for node in world.nodes if node.running]
    for number in range(5):
        world.commit(number, b"change %d" % number)
        assert world.run_until(world.has_spread, within=1.0) < 0.1
        world.run(0.05)
    assert total(world, "repairs_requested") > 0, "some relays were dead"


def test_who_does_not_hear_the_origin_hears_of_its_changes_from_others() -> None:
    world = formed(6)
    world.network.cut([0], [3])
    for number in range(5):
        world.commit(0, b"change %d" % number)
        assert world.run_until(world.has_spread, within=1.0) < 0.02
        world.run(0.2)


ROUGH = dataclasses.replace(
    CALM, loss=0.03, duplication=0.2, corruption=0.02, truncation=0.01, replay=0.05,
    replay_seconds=200.0, spike=0.02, spike_seconds=0.02,
)  # fmt: skip


@pytest.mark.parametrize(("nodes", "seconds"), [(8, 120.0), (70, 5.0)])
def test_rough_links_change_nothing_but_the_time(nodes: int, seconds: float) -> None:
    """Lost, doubled, damaged, cut short, overtaken, and turning up again minutes later."""
    world = formed(nodes, ROUGH)
    for number in range(20):
        world.commit(number % nodes, b"change %d" % number)
        world.run(0.02)
    assert world.run_until(world.has_spread, within=10.0) < 5.0
    world.run(seconds)
    assert all(len(node.replica.state) == 20 for node in world.nodes)


@pytest.mark.parametrize("nodes", [5, 80])
def test_a_large_change_goes_down_the_tree_by_streams(nodes: int) -> None:
    world = formed(nodes)
    before = world.nodes[1].core.counters["pulls_answered"]
    world.commit(1, b"x" * 500_000)
    assert world.run_until(world.has_spread, within=5.0) < 0.1
    asked = world.nodes[1].core.counters["pulls_answered"] - before
    assert asked <= max(4, nodes / 4), "the origin doesn't give it to everybody"


def test_a_burst_is_spread_in_few_packets() -> None:
    world = formed(80)
    before = total(world, "datagrams_out")
    for number in range(200):
        world.commit(0, b"change %d" % number)
        world.run(0.000_1)
    assert world.run_until(world.has_spread, within=1.0) < 0.1
    world.run(0.2)
    assert total(world, "changesets_applied") == 79 * 200
    # 20 ms at a packet each ms, some 150 bytes a change, and news of them.
    assert (total(world, "datagrams_out") - before) / 79 < 60


def test_a_fence_is_asked_through_relays_and_answered_to_its_asker() -> None:
    world = formed(100)
    changeset = world.commit(7, b"change")
    asker = world.nodes[7]
    asker.application.fences.begin(changeset.version, 2.0)
    world.run(0.5)
    (ended,) = [seen.event for seen in world.observed if isinstance(seen.event, FenceEnded)]
    assert len(ended.reached) == 100
    assert asker.core.counters["relays_told"] >= 18


def lie(world: World, liar: int, victim: int, messages: list[Message]) -> None:
    """A member sends what a member must not."""
    sender, receiver = world.nodes[liar], world.nodes[victim]
    member = sender.core._members.get(receiver.id)
    assert member is not None
    sender.core._outbox.broadcast_parts([member], encode_parts(messages))
    sender.flush()


def test_what_a_liar_offers_is_refused_and_asked_of_another() -> None:
    world = formed(5)
    world.network.cut([0], [4])
    world.network.cut([1, 2, 3], [4], ["udp"])
    good = world.commit(0, b"good")
    world.network.heal()
    world.network.cut([0], [4])
    evil = Changeset(good.version, good.predecessor, good.digest, b"evil")
    lie(world, 1, 4, [Push(evil, 0.0, 0)])
    world.run_until(world.has_spread, within=3.0)
    assert world.nodes[4].core.counters["changesets_corrupt"] == 1
    assert world.nodes[4].replica.state == [b"good"]
