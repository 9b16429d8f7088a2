"""The simulated world itself: time, machines, processes, disks and streams."""

from functools import partial

import pytest

from gossip.events import Event, MemberChanged
from simulations.authority import EMPTY, LogAuthority, LogReplica
from simulations.conditions import hold
from simulations.connection import Connection
from simulations.links import Link
from simulations.node import Node
from simulations.operations import Double, RestartAll, Start, StepWallClock, SwapAddresses
from simulations.world import World


def formed(nodes: int, *, skewed: bool = False) -> World:
    world = World(nodes, seed=1, skewed=skewed)
    world.form()
    return world


def says(world: World, status: str) -> list[str]:
    events: list[Event] = [seen.event for seen in world.observed]
    return [
        event.member.name
        for event in events
        if isinstance(event, MemberChanged) and event.member.status == status
    ]


def test_time_passes_only_as_far_as_asked() -> None:
    world = World(3, seed=1)
    world.start()
    world.run(7.5)
    assert world.now == 7.5


def test_a_condition_that_is_not_met_says_in_which_world() -> None:
    world = World(2, seed=77)
    with pytest.raises(TimeoutError, match="seed 77, 2 nodes, trace "):
        world.run_until(lambda: False, within=5.0)


def test_the_same_seed_gives_the_same_trace_and_another_seed_another() -> None:
    hashes = []
    for seed in (3, 3, 4):
        world = World(5, seed, link=Link(loss=0.1, duplication=0.1))
        world.form()
        world.commit(0, b"x")
        world.run(20.0)
        hashes.append(world.trace_hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_every_fact_changes_the_trace() -> None:
    traces = []
    for kind, what in ((1, b"a"), (2, b"a"), (1, b"b")):
        world = World(1, seed=1)
        world.record(kind, 0, what)
        traces.append(world.trace_hash)
    assert len(set(traces)) == 3


def test_clocks_that_began_elsewhere_and_run_unevenly_change_nothing_that_matters() -> None:
    world = formed(5, skewed=True)
    assert len({round(node.now()) for node in world.nodes}) == 5
    world.run(120.0)
    assert world.is_whole()
    assert says(world, "suspect") == []


def test_a_wall_clock_that_jumps_is_not_seen_by_the_core() -> None:
    counters = []
    for step in (0.0, -1e9):
        world = formed(3)
        StepWallClock(1, step)(world)
        world.run(60.0)
        counters.append([dict(node.core.counters) for node in world.nodes])
    assert counters[0] == counters[1]


def test_a_dead_process_neither_sends_nor_receives() -> None:
    world = formed(2)
    victim = world.nodes[1]
    victim.crash()
    before = dict(victim.core.counters)
    world.run(30.0)
    assert victim.core.counters == before


def closing(world: World, opener: Node, target: Node) -> list[tuple[float, bool]]:
    """When, and whether with a refusal, a stream from one to the other is told to have ended."""
    told: list[tuple[float, bool]] = []
    begun = world.now

    class Opener(Node):
        def stream_closed(self, stream: int, *, refused: bool) -> None:
            told.append((world.now - begun, refused))

    caller = Opener(world, opener.index)
    caller.running = True
    Connection(world, caller, 1_000, target.address).connect(b"")
    world.run(30.0)
    return told


def test_a_kernel_without_the_process_refuses_at_once() -> None:
    world = formed(2)
    world.nodes[1].crash()
    ((after, refused),) = closing(world, *world.nodes)
    assert refused
    assert after < 0.01


def test_a_machine_without_power_says_nothing() -> None:
    world = formed(2)
    world.nodes[1].silence()
    assert closing(world, *world.nodes) == []


def test_a_firewall_turns_refusals_into_silence() -> None:
    world = formed(2)
    world.nodes[1].crash()
    world.network.hides_refusals[1] = None
    assert closing(world, *world.nodes) == []


def test_a_killed_process_is_found_sooner_than_a_silent_machine() -> None:
    took = []
    for end in (Node.crash, Node.silence):
        world = formed(5)
        world.run(5.0)
        end(world.nodes[4])
        took.append(world.run_until(partial(hold(range(4), 4, "failed"), world), within=60.0))
    assert took[0] < 1.0 < took[1]


def test_a_paused_process_finds_its_packets_on_resume() -> None:
    world = formed(3)
    node = world.nodes[2]
    before = node.core.counters["datagrams_in"]
    node.pause()
    world.run(3.0)
    assert node.core.counters["datagrams_in"] == before
    node.resume()
    assert node.core.counters["datagrams_in"] > before
    world.run(30.0)
    assert says(world, "failed") == []


def test_a_kernel_buffer_that_is_full_loses_the_rest() -> None:
    received = []
    for size in (0, 2, 256):
        world = formed(3)
        node = world.nodes[2]
        before = node.core.counters["datagrams_in"]
        node.pause(kernel_buffer=size)
        world.run(3.0)
        node.resume()
        received.append(node.core.counters["datagrams_in"] - before)
    assert received[0] == 0
    assert received[1] <= 2 < received[2]


def test_a_nat_that_forgets_changes_where_packets_come_from_and_nothing_else() -> None:
    world = formed(3)
    world.rebind(world.nodes[1])
    world.run(60.0)
    assert world.nodes[1].source != world.nodes[1].address
    assert world.is_whole()
    assert says(world, "suspect") == []


def test_swapped_addresses_lead_to_the_other_node() -> None:
    world = formed(3)
    first = world.nodes[0].address
    SwapAddresses(0, 2)(world)
    assert world.nodes[2].address == first
    assert world.at_address(first) is world.nodes[2]
    world.run_until(world.is_whole, within=10.0)


def test_a_double_is_another_process_of_the_same_node() -> None:
    world = formed(3)
    Double(2, seconds=5.0)(world)
    double = world.nodes[3]
    assert (double.id, double.generation) == (world.nodes[2].id, world.nodes[2].generation)
    assert double.address != world.nodes[2].address
    world.run(6.0)
    assert not double.running


def test_a_saved_disk_holds_the_generation_of_its_time() -> None:
    world = formed(2)
    image = world.nodes[1].disk.snapshot(world.now)
    for _ in range(3):
        world.nodes[1].crash()
        Start(1)(world)
        world.run(1.0)
    world.nodes[1].crash()
    world.nodes[1].restore(image)
    Start(1)(world)
    assert world.nodes[1].generation == 2
    world.run_until(lambda: world.nodes[1].generation > 4 and world.is_whole(), within=10.0)
    assert world.nodes[1].generation == 5, "it has learnt of its later lives, and goes beyond"


def test_a_power_cut_loses_what_was_not_synced() -> None:
    world = formed(2)
    for body in (b"1", b"2", b"3"):
        world.commit(0, body)
    world.run(1.0)
    world.nodes[1].silence(unsynced=2)
    assert world.nodes[1].replica.state == [b"1"]
    Start(1)(world)
    world.run_until(world.has_spread, within=5.0)


def test_a_restart_storm_ends_whole() -> None:
    world = formed(5)
    RestartAll()(world)
    world.run(0.001)
    assert all(node.generation == 2 for node in world.nodes)
    world.run_until(world.is_whole, within=10.0)


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
