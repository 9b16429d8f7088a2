"""Whole clusters in the simulated world: what N nodes do together."""

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from gossip.events import (
    Behind,
    ChangesetApplied,
    LeaveFinished,
    MemberChanged,
    PathChanged,
    SnapshotInstalled,
)
from gossip.keyring import configured
from gossip.profiles import LAN
from simulations.authority import LogReplica
from simulations.links import Arrivals, Link
from simulations.world import World
from tests.rings import first_few

EVERY_SIZE = pytest.mark.parametrize("nodes", [1, 2, 3, 10])
LOSSY = Link(loss=0.05, duplication=0.05, jitter=0.001)


def statuses_of(world: World, index: int, observers: Sequence[int]) -> set[str | None]:
    return {world.nodes[observer].status_of(world.nodes[index]) for observer in observers}


def detection_bound(nodes: int) -> float:
    """Seconds until all say failed: found within 2n - 1 probes, then the longest suspicion."""
    longest = LAN.suspicion_mult * LAN.suspicion_max_mult * max(1.0, math.log10(nodes))
    return (2 * nodes + longest) * LAN.probe_interval


@EVERY_SIZE
@pytest.mark.parametrize("seed", [1, 2])
def test_a_cluster_forms_under_loss(nodes: int, seed: int) -> None:
    world = World(nodes, seed, link=LOSSY)
    assert world.form(within=10.0) < 10.0
    world.run(60.0)
    assert world.is_whole()


def test_nodes_that_start_at_once_form_a_cluster() -> None:
    world = World(10, seed=1)
    world.start(apart=0.0)
    world.run_until(lambda: all(node.running for node in world.nodes), within=0.1)
    world.run_until(world.is_whole, within=5.0)


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_a_node_that_falls_silent_is_failed_everywhere_within_the_formula(nodes: int) -> None:
    """As by a power cut: nothing refuses, nothing ends."""
    world = World(nodes, seed=3)
    world.form()
    world.network.partition(range(nodes - 1), [nodes - 1])
    others = range(nodes - 1)
    took = world.run_until(
        lambda: statuses_of(world, -1, others) == {"failed"}, within=detection_bound(nodes)
    )
    shortest = LAN.suspicion_mult * max(1.0, math.log10(nodes)) * LAN.probe_interval
    assert took >= shortest, "nobody is failed before it had its time to refute"


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_no_node_is_failed_in_ten_minutes_of_loss(nodes: int) -> None:
    world = World(nodes, seed=4, link=LOSSY)
    world.form()
    world.run(600.0)
    failures = [
        seen
        for seen in world.observed
        if isinstance(seen.event, MemberChanged) and seen.event.member.status == "failed"
    ]
    assert failures == []


def test_a_node_that_is_deaf_for_a_while_refutes() -> None:
    world = World(10, seed=5)
    world.form()
    world.network.cut(range(9), [9])
    world.run_until(lambda: "suspect" in statuses_of(world, 9, range(9)), within=30.0)
    world.network.heal()
    world.run(60.0)
    assert world.is_whole()
    assert "failed" not in statuses_of(world, 9, range(9))
    assert world.nodes[9].incarnation > 1


def paths_of(world: World, index: int, observers: Sequence[int]) -> set[str | None]:
    """How these see a node answer."""
    return {
        member.path
        for observer in observers
        for member in world.nodes[observer].core.members(world.now)
        if member.id == world.nodes[index].id
    }


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_a_node_without_udp_but_with_tcp_is_alive_on_path_tcp(nodes: int) -> None:
    """hashicorp/serf#283, hashicorp/consul#1180: there it joins and fails in turn for ever."""
    world = World(nodes, seed=6)
    world.form()
    others = range(nodes - 1)
    world.network.cut(others, [nodes - 1], ["udp"])
    world.network.cut([nodes - 1], others, ["udp"])
    took = world.run_until(lambda: paths_of(world, -1, others) == {"tcp"}, within=60.0)
    assert took <= 2 * nodes * LAN.probe_interval
    world.run(120.0)
    assert statuses_of(world, -1, others) == {"alive"}
    assert statuses_of(world, 0, [nodes - 1]) == {"alive"}
    assert not any(
        isinstance(seen.event, MemberChanged) and seen.event.member.status != "alive"
        for seen in world.observed
    )
    world.network.heal()
    world.run_until(lambda: paths_of(world, -1, others) == {"udp"}, within=60.0)
    changes = [
        seen.event.member.path
        for seen in world.observed
        if isinstance(seen.event, PathChanged)
        and (seen.node, seen.event.member.id) == (0, world.nodes[-1].id)
    ]
    assert changes.count("tcp") == changes.count("udp") == 1
    events = [seen.event for seen in world.observed if isinstance(seen.event, PathChanged)]
    assert not any(event.member.is_self for event in events)


def test_packets_lost_now_and_then_do_not_change_the_path() -> None:
    world = World(10, seed=6, link=LOSSY)
    world.form()
    world.run(300.0)
    assert not any(isinstance(seen.event, PathChanged) for seen in world.observed)


@pytest.mark.parametrize(("nodes", "bound"), [(2, 0.2), (3, 0.05), (4, 0.05), (10, 0.05)])
def test_a_killed_node_is_failed_everywhere_in_milliseconds(nodes: int, bound: float) -> None:
    world = World(nodes, seed=3)
    world.form()
    world.run(5.0)
    world.nodes[-1].crash()
    others = range(nodes - 1)
    world.run_until(lambda: statuses_of(world, -1, others) == {"failed"}, within=bound)
    world.run(30.0)
    assert statuses_of(world, -1, others) == {"failed"}
    assert all(statuses_of(world, other, others) == {"alive"} for other in others)
    assert all(world.nodes[other].core.health_score() == 0 for other in others)


def test_a_node_alone_probes_watches_and_doubts_nobody() -> None:
    world = World(1, seed=3)
    world.form()
    world.run(120.0)
    counters = world.nodes[0].core.counters
    names = ("probes", "knocks", "refusal_cases", "watches_opened", "doubts", "stalls")
    assert [counters[name] for name in names] == [0] * len(names)
    assert world.nodes[0].core.health_score() == 0


def test_many_nodes_killed_at_once_are_failed_in_a_second() -> None:
    """Those asked to look, too, are dead for the most part."""
    world = World(12, seed=3)
    world.form()
    world.run(5.0)
    for node in world.nodes[4:]:
        node.crash()
    world.run_until(
        lambda: all(statuses_of(world, dead, range(4)) == {"failed"} for dead in range(4, 12)),
        within=5.0,
    )


def test_before_watch_streams_stand_an_overdue_ack_finds_the_killed() -> None:
    world = World(3, seed=3)
    world.form()
    world.nodes[-1].crash()
    assert sum(node.core.counters["watches_opened"] for node in world.nodes) == 0
    world.run_until(lambda: statuses_of(world, -1, [0, 1]) == {"failed"}, within=2.5)


@pytest.mark.parametrize("seed", range(4))
def test_a_process_that_stands_still_for_five_seconds_survives(seed: int) -> None:
    world = World(10, seed)
    world.form()
    world.run(3.0 + seed * 0.27)
    world.nodes[5].pause()
    world.run(5.0)
    world.nodes[5].resume()
    world.run(30.0)
    assert world.is_whole()
    assert not any(
        isinstance(seen.event, MemberChanged) and seen.event.member.status == "failed"
        for seen in world.observed
    )
    world.run(30.0)
    assert all(node.core.health_score() == 0 for node in world.nodes)


def test_a_process_that_stands_still_for_good_is_failed_though_its_ports_are_open() -> None:
    world = World(5, seed=3)
    world.form()
    world.nodes[-1].pause()
    took = world.run_until(
        lambda: statuses_of(world, -1, range(4)) == {"failed"}, within=detection_bound(5)
    )
    assert took >= LAN.suspicion_mult * LAN.probe_interval


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_a_leave_is_seen_as_left_and_never_as_failed(nodes: int) -> None:
    world = World(nodes, seed=7, link=LOSSY)
    world.form()
    leaver = world.nodes[-1]
    leaver.leave()
    world.run_until(
        lambda: any(isinstance(seen.event, LeaveFinished) for seen in world.observed), within=5.0
    )
    leaver.crash()
    world.run_until(lambda: statuses_of(world, -1, range(nodes - 1)) == {"left"}, within=30.0)
    assert not any(
        isinstance(seen.event, MemberChanged) and seen.event.member.status == "failed"
        for seen in world.observed
    )
    world.run(LAN.left_ttl + 5)
    assert statuses_of(world, -1, range(nodes - 1)) == {None}


@pytest.mark.parametrize("seconds", first_few([20.0, 600.0, 3000.0], 2))
def test_a_partition_of_any_length_heals(seconds: float) -> None:
    world = World(6, seed=8)
    world.form()
    world.network.partition(range(3), range(3, 6))
    world.run(seconds)
    world.network.heal()
    world.run_until(world.is_whole, within=3 * LAN.reconnect_interval)


def test_a_partition_heals_through_seeds_when_the_failed_are_no_longer_listed() -> None:
    world = World(4, seed=9, profile=replace(LAN, failed_ttl=30.0))
    world.form()
    world.network.partition(range(2), range(2, 4))
    world.run(300.0)
    assert statuses_of(world, 3, [0, 1]) == {None}
    world.network.heal()
    world.run_until(world.is_whole, within=120.0)


@pytest.mark.parametrize("nodes", [1, 2, 3, 10])
def test_a_restarted_node_is_back_at_once_with_a_newer_generation(nodes: int) -> None:
    world = World(nodes, seed=10)
    world.form()
    victim = world.nodes[-1]
    victim.crash()
    world.run(0.5)
    victim.start()
    assert world.run_until(world.is_whole, within=1.0) < 1.0
    world.run(60.0)
    assert world.is_whole()


def test_a_node_that_all_hold_for_failed_comes_back() -> None:
    world = World(5, seed=11)
    world.form()
    victim = world.nodes[0]
    victim.crash()
    world.run(60.0)
    assert statuses_of(world, 0, range(1, 5)) == {"failed"}
    victim.start()
    world.run_until(world.is_whole, within=2.0)


@pytest.mark.parametrize("nodes", [2, 3, 10])
@pytest.mark.parametrize("size", [100, 5_000], ids=["by packet", "by stream"])
def test_changesets_reach_all_under_loss(nodes: int, size: int) -> None:
    world = World(nodes, seed=12, link=LOSSY)
    world.form()
    for number in range(50):
        world.commit(world.rng.randrange(nodes), b"%d" % number + b"x" * size)
        world.run(0.01)
    world.run_until(world.has_spread, within=5.0)
    for index in range(nodes):
        applied = [
            seen.event.changeset.version[2]
            for seen in world.observed
            if seen.node == index and isinstance(seen.event, ChangesetApplied)
        ]
        assert applied == sorted(set(applied)), "each once, in the order of revisions"
    assert not any(isinstance(seen.event, Behind) for seen in world.observed)


def test_without_loss_a_commit_is_everywhere_after_one_hop() -> None:
    link = Link(latency=0.001, jitter=0.0)
    world = World(10, seed=13, link=link)
    world.form()
    world.commit(4, b"x")
    assert world.run_until(world.has_spread, within=1.0) == pytest.approx(link.latency)


def test_a_head_on_probes_repairs_a_lost_push() -> None:
    world = World(5, seed=14)
    world.form()
    world.network.cut([0], [3])
    world.commit(0, b"lost on the way to node 3")
    world.run(0.000_1)
    world.network.heal()
    took = world.run_until(world.has_spread, within=5 * LAN.probe_interval)
    assert took > 0.001, "the push was lost"


def test_concurrent_commits_on_all_nodes_end_in_one_order() -> None:
    world = World(10, seed=15)
    world.form()
    for _ in range(20):
        for index in range(10):
            world.commit(index, b"from %d" % index)
        world.run(0.000_05)
    world.run_until(world.has_spread, within=2.0)
    assert not any(isinstance(seen.event, Behind) for seen in world.observed)


def test_a_node_that_was_away_catches_up_on_its_return() -> None:
    world = World(3, seed=16)
    world.form()
    world.nodes[2].crash()
    for number in range(2_000):
        world.commit(number % 2, b"x" * 1_000)
        world.run(0.001)
    world.nodes[2].start()
    world.run_until(world.has_spread, within=2.0)
    assert world.nodes[2].core.counters["pulls"] >= 1


def test_a_node_whose_gap_no_log_covers_loads_from_the_authority() -> None:
    world = World(2, seed=17)
    world.form()
    world.nodes[1].crash()
    world.nodes[0].replica.keep_log(10)
    for _ in range(50):
        world.commit(0, b"x")
    world.run(0.1)
    world.nodes[1].start()
    world.run_until(world.has_spread, within=10.0)
    assert any(isinstance(seen.event, Behind) for seen in world.observed)


def world_without_authority(nodes: int, newcomers: int, seed: int, link: Link) -> World:
    """The first ``nodes`` hold a state of 1.5 MB that no log leads to; the others never ran."""
    world = World(nodes + newcomers, seed, link=link)
    for node in world.nodes[:nodes]:
        node.replica = LogReplica(log_max=20)
    world.form(count=nodes)
    for number in range(60):
        world.commit(number % nodes, world.rng.randbytes(25_000))
        world.run(0.01)
    world.run_until(world.has_spread, within=10.0)
    world.authority.available = False
    return world


@pytest.mark.parametrize("link", [Link(), LOSSY], ids=["clean", "lossy"])
@pytest.mark.parametrize("nodes", [1, 2, 10])
def test_a_brand_new_node_fills_itself_from_its_peers(nodes: int, link: Link) -> None:
    world = world_without_authority(nodes, 1, 21, link)
    world.nodes[-1].start()
    world.run_until(world.has_spread, within=1.0 if link is not LOSSY else 10.0)
    assert world.nodes[-1].replica.state == world.authority.state()


def test_more_newcomers_than_one_peer_serves_at_once_all_fill_themselves() -> None:
    world = world_without_authority(1, 12, 22, Link())
    for node in world.nodes[1:]:
        node.start()
    world.run_until(world.has_spread, within=10.0)
    assert world.nodes[0].core.counters["snapshots_declined"] > 0


def test_a_node_that_lost_its_disk_fills_itself_again() -> None:
    world = world_without_authority(3, 0, 23, Link())
    world.nodes[1].crash()
    world.nodes[1].erase()
    world.nodes[1].start()
    world.run_until(world.has_spread, within=1.0)
    assert world.nodes[1].replica.state == world.authority.state()


def test_a_giver_that_crashes_in_mid_stream_is_replaced_by_another() -> None:
    world = world_without_authority(3, 1, 24, Link())
    newcomer = world.nodes[-1]
    newcomer.start()
    world.run_until(lambda: newcomer.core.counters["slices_in"] == 1, within=1.0)
    (giver,) = (node for node in world.nodes[:3] if node.core.counters["slices_out"])
    giver.crash()
    world.run_until(world.has_spread, within=30.0)
    assert newcomer.core.counters["snapshots_silent"] == 1


def test_when_the_givers_link_is_cut_in_mid_stream_another_is_asked() -> None:
    world = world_without_authority(3, 1, 25, Link())
    newcomer = world.nodes[-1]
    newcomer.start()
    world.run_until(lambda: newcomer.core.counters["slices_in"] == 1, within=1.0)
    (giver,) = (node for node in world.nodes[:3] if node.core.counters["slices_out"])
    world.network.partition([giver.index], [newcomer.index])
    world.run_until(world.has_spread, within=LAN.slice_timeout + 5.0)
    installed = [seen for seen in world.observed if isinstance(seen.event, SnapshotInstalled)]
    assert [seen.node for seen in installed] == [newcomer.index]


def test_an_encrypted_cluster_does_all_of_this_too() -> None:
    world = World(3, seed=18, link=LOSSY, keyring=configured(b"k" * 32))
    world.form()
    world.commit(0, b"x")
    world.commit(1, b"x" * 5_000)
    world.run_until(world.has_spread, within=5.0)
    world.nodes[2].crash()
    world.run_until(lambda: statuses_of(world, 2, [0, 1]) == {"failed"}, detection_bound(3))
    world.nodes[2].start()
    world.run_until(world.is_whole, within=5.0)


def test_idle_traffic_does_not_grow_with_the_cluster() -> None:
    def packets_per_node_second(nodes: int) -> float:
        world = World(nodes, seed=19)
        world.form()
        world.run(60.0)
        before = sum(node.core.counters["datagrams_out"] for node in world.nodes)
        world.run(60.0)
        after = sum(node.core.counters["datagrams_out"] for node in world.nodes)
        assert sum(node.core.counters["knocks"] for node in world.nodes) == 0
        return (after - before) / nodes / 60.0

    for nodes in (2, 20):
        assert packets_per_node_second(nodes) == pytest.approx(2.0, abs=0.2)


def test_the_same_seed_gives_the_same_trace_in_processes_with_other_hash_seeds() -> None:
    command = [sys.executable, "-m", "simulations", "run", "spread", "--nodes=5", "--json"]
    outputs = [
        subprocess.run(
            command,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]


def test_another_seed_gives_another_trace() -> None:
    hashes = []
    for seed in (1, 2):
        world = World(3, seed)
        world.form()
        hashes.append(world.trace_hash)
    assert hashes[0] != hashes[1]


def test_a_cluster_too_large_for_telling_all_at_once_forms_too() -> None:
    world = World(70, seed=20)
    world.start(apart=0.02)
    world.run(15.0)
    assert world.is_whole()


def zoned(*zones: str) -> World:
    """A cluster at rest with a node in each of these zones."""
    world = World(len(zones), seed=20)
    for node, zone in zip(world.nodes, zones, strict=True):
        node.zone = zone
    world.form()
    world.run(20.0)
    return world


def test_probes_cross_zones_at_a_lower_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    world = zoned(*["east", "west"] * 6)
    packets = {"within": 0, "across": 0}
    carry = world.network.carry

    def counting(sender: int, receiver: int, data: bytes, now: float) -> Arrivals:
        packets["within" if (sender - receiver) % 2 == 0 else "across"] += 1
        return carry(sender, receiver, data, now)

    monkeypatch.setattr(world.network, "carry", counting)
    world.run(120.0)
    # In three rounds of four nothing crosses; in the fourth 6 of the 11 others are in the far zone.
    assert packets["across"] / sum(packets.values()) == pytest.approx(6 / 11 / 4, abs=0.03)


@pytest.mark.parametrize(
    ("victim", "rounds"), [(0, 2), (4, LAN.cross_zone_every + 1)], ids=["in a zone", "alone in one"]
)
def test_a_silent_member_is_suspected_as_soon_as_its_zone_allows(victim: int, rounds: int) -> None:
    world = zoned("east", "east", "west", "west", "south")
    world.nodes[victim].silence()
    others = [index for index in range(5) if index != victim]
    within = rounds * LAN.probe_interval + LAN.probe_window
    world.run_until(lambda: "suspect" in statuses_of(world, victim, others), within)
    world.run_until(lambda: statuses_of(world, victim, others) == {"failed"}, within=60.0)
