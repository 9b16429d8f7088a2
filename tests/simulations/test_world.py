"""The simulated world itself: what it does to packets, streams and time."""

import pytest

from simulations.authority import EMPTY, LogAuthority, LogReplica
from simulations.links import Link, Network
from simulations.world import World


def test_time_passes_only_as_far_as_asked() -> None:
    world = World(3, seed=1)
    world.start()
    world.run(7.5)
    assert world.now == 7.5


def test_a_condition_that_is_not_met_says_what_replays_it() -> None:
    world = World(2, seed=77)
    with pytest.raises(TimeoutError, match="seed 77, 2 nodes, trace "):
        world.run_until(lambda: False, within=5.0)


def test_loss_and_duplication_follow_their_probabilities() -> None:
    world = World(1, seed=1)
    network = Network(Link(loss=0.25, duplication=0.5), world.rng)
    copies = [len(network.datagram(0, 1)) for _ in range(4_000)]
    assert copies.count(0) / 4_000 == pytest.approx(0.25, abs=0.03)
    assert copies.count(2) / 4_000 == pytest.approx(0.375, abs=0.03)


def test_a_cut_is_one_way_and_per_protocol() -> None:
    world = World(1, seed=1)
    network = Network(Link(), world.rng)
    network.cut([0], [1], ["udp"])
    assert network.datagram(0, 1) == []
    assert network.datagram(1, 0) != []
    assert network.passes(0, 1, "tcp")
    network.heal()
    assert network.datagram(0, 1) != []


def test_a_crashed_node_neither_sends_nor_receives() -> None:
    world = World(2, seed=1)
    world.form()
    victim = world.nodes[1]
    victim.crash()
    before = dict(victim.core.counters)
    world.run(30.0)
    assert victim.core.counters == before


def test_a_world_without_time_passing_is_reproducible() -> None:
    hashes = set()
    for _ in range(2):
        world = World(5, seed=3, link=Link(loss=0.1, duplication=0.1))
        world.form()
        world.commit(0, b"x")
        world.run(20.0)
        hashes.add(world.trace_hash)
    assert len(hashes) == 1


def test_the_replica_takes_the_next_changeset_only() -> None:
    authority, replica = LogAuthority(), LogReplica()
    first, second = authority.commit(b"1"), authority.commit(b"2")
    assert replica.offer(*second) == "early"
    assert replica.offer(*first._replace(body=b"evil")) == "corrupt"
    assert replica.offer(*first) == "applied"
    assert replica.offer(*first) == "known"
    other = LogAuthority()
    other.commit(b"other")
    assert replica.offer(*other.commit(b"2")) == "forked"


def test_the_replicas_log_serves_from_any_head_that_it_reaches() -> None:
    authority, replica = LogAuthority(), LogReplica(log_max=2)
    changesets = [authority.commit(b"12345") for _ in range(3)]
    for changeset in changesets:
        replica.offer(*changeset)
    first = changesets[0]
    assert replica.changesets(*EMPTY, max_bytes=100) is None
    assert replica.changesets(first.version, first.digest, max_bytes=100) == changesets[1:]
    assert replica.changesets(first.version, first.digest, max_bytes=1) == changesets[1:2]
    assert replica.changesets(first.version, bytes(32), max_bytes=100) is None
    last = changesets[-1]
    assert replica.changesets(last.version, last.digest, max_bytes=100) == []
