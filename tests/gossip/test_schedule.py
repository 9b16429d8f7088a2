"""The even probe order: who probes whom, when, as all members compute it."""

import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from gossip import limits
from gossip.member import Member, Status
from gossip.members import Members
from gossip.messages.membership import Ping
from gossip.profiles import LAN
from gossip.schedule import ClusterClock, Schedule, shift
from simulations.world import World
from tests.gossip.drive import PROFILE, Driver, address, alive, metadata, node_id, wire

SIZES = pytest.mark.parametrize("size", [2, 3, 4, 5, 7, 10, 13, 100])


@SIZES
def test_each_cycle_takes_every_shift_once(size: int) -> None:
    for cycle in range(5):
        rounds = range(cycle * (size - 1), (cycle + 1) * (size - 1))
        assert sorted(shift(r, size) for r in rounds) == list(range(1, size))


@SIZES
def test_a_member_is_never_probed_twice_in_a_row_by_the_same_one(size: int) -> None:
    shifts = [shift(r, size) for r in range(20 * size)]
    if size > 2:
        assert all(a != b for a, b in pairwise(shifts))


@SIZES
def test_whoever_probes_a_member_does_so_again_within_2n_minus_3_rounds(size: int) -> None:
    last: dict[int, int] = {}
    for number in range(20 * size):
        ahead = shift(number, size)
        assert number - last.get(ahead, number) <= 2 * size - 3
        last[ahead] = number


def test_the_order_changes_from_cycle_to_cycle_and_is_the_same_everywhere() -> None:
    golden = [1, 3, 5, 7, 2, 4, 6, 1, 7, 6, 5, 4, 3, 2, 1, 5, 2, 6, 3, 7, 4]
    assert [shift(r, 8) for r in range(21)] == golden
    assert len({tuple(shift(c * 22 + p, 23) for p in range(22)) for c in range(10)}) > 5


def test_the_highest_clock_is_followed_and_never_lowered() -> None:
    clock = ClusterClock()
    assert clock.heard(150_000, now=100.0)
    assert clock.read(110.0) == 160.0
    assert not clock.heard(100_000, now=110.0)
    assert clock.read(110.0) == 160.0


def test_two_clocks_do_not_drive_each_other_up() -> None:
    first, second, now = ClusterClock(), ClusterClock(), 1.0007
    for _ in range(1_000):
        second.heard(first.told(now), now)
        first.heard(second.told(now), now)
    assert first.read(now) == second.read(now) == now


def cluster(numbers: range, zones: int = 1, every: int = 4) -> list[Schedule]:
    """One schedule for each of these nodes; all see all alive. Zones alternate."""
    data = {n: metadata(f"node-{n}")._replace(zone=f"zone-{n % zones}") for n in numbers}
    schedules = []
    for number in numbers:
        me = Member(node_id(number), 1, 1, 1, Status.ALIVE, address(number), data[number], 0.0)
        members = Members(me, LAN)
        for other in random.Random(number).sample(list(numbers), len(numbers)):
            if other != number:
                members.admit_alive(alive(other)._replace(metadata=data[other]), 0.0)
        schedule = Schedule(members, replace(LAN, cross_zone_every=every))
        schedule.start(0.0)
        schedules.append(schedule)
    return schedules


def probes(schedules: list[Schedule], rounds: int) -> list[tuple[float, int, bytes]]:
    """(when, index of the prober, wire id of the probed) in the first rounds, in order."""
    seen = []
    for prober, schedule in enumerate(schedules):
        while (turn := schedule.next_turn(0)) is not None and turn.at < rounds:
            target = schedule.take(0, turn.at)
            assert target is turn.target
            seen.append((turn.at, prober, target.wire))
    return sorted(seen)


@pytest.mark.parametrize("nodes", [2, 3, 10])
def test_every_member_is_probed_once_in_every_interval_at_an_even_phase(nodes: int) -> None:
    seen = probes(cluster(range(1, nodes + 1)), rounds=30)
    for rank, number in enumerate(range(1, nodes + 1)):
        times = [at for at, _, target in seen if target == wire(number)]
        assert times == pytest.approx([r + rank / nodes for r in range(30)])
    assert Counter(prober for _, prober, _ in seen) == dict.fromkeys(range(nodes), 30)


def test_nodes_whose_own_clocks_differ_keep_one_order() -> None:
    schedules = cluster(range(1, 5))
    starts = [0.0, 77.7, 5_000.123, 31.0]
    for schedule, start in zip(schedules, starts, strict=True):
        schedule.start(start)
        schedule.heard(9_000_000, start)
    seen = []
    for schedule, start in zip(schedules, starts, strict=True):
        while (turn := schedule.next_turn(0)) is not None and turn.at - start < 20:
            schedule.take(0, turn.at)
            seen.append((turn.at - start, turn.target.wire))
    for rank, number in enumerate(range(1, 5)):
        times = sorted(at for at, target in seen if target == wire(number))
        assert times[-20:] == pytest.approx([r + rank / 4 for r in range(20)])


def test_a_node_alone_probes_nobody() -> None:
    (schedule,) = cluster(range(1, 2))
    assert schedule.next_turn(0) is None


def test_probes_stay_in_the_zone_but_in_every_fourth_round() -> None:
    numbers = range(1, 13)
    seen = probes(cluster(numbers, zones=3), rounds=40)
    crossing = [
        at for at, prober, target in seen if (numbers[prober] - int.from_bytes(target[-2:])) % 3
    ]
    assert crossing
    assert all(int(at) % 4 == 0 for at in crossing)
    assert all(len([1 for _, _, target in seen if target == wire(n)]) == 40 for n in numbers)


def test_every_pair_across_zones_meets_whatever_the_stride() -> None:
    """With a stride that divides N - 1, counting all rounds would leave out pairs for ever."""
    numbers = range(1, 14)
    seen = probes(cluster(numbers, zones=2), rounds=4 * 12)
    crossing = {(prober, target) for at, prober, target in seen if int(at) % 4 == 0}
    assert len(crossing) == 13 * 12


def test_a_node_alone_in_its_zone_probes_across_zones_in_every_round() -> None:
    numbers = range(1, 5)
    schedules = cluster(numbers, zones=4)
    assert len(probes(schedules, rounds=20)) == 4 * 20


def test_a_node_in_bad_health_leaves_out_rounds() -> None:
    schedule = cluster(range(1, 4))[0]
    times = []
    for _ in range(5):
        turn = schedule.next_turn(2)
        assert turn is not None
        schedule.take(2, turn.at)
        times.append(turn.round)
    assert [b - a for a, b in pairwise(times)] == [3, 3, 3, 3]


def test_missed_turns_are_not_made_up_for() -> None:
    schedule = cluster(range(1, 4))[0]
    assert schedule.take(0, 60.0) is None
    turn = schedule.next_turn(0)
    assert turn is not None
    assert 60.0 <= turn.at < 62.0


def test_pings_carry_the_clock_and_who_hears_a_higher_one_goes_by_it() -> None:
    driver = Driver()
    driver.meet(2)
    driver.receive(2, Ping(1, 5_000_000))
    driver.pass_time(2 * PROFILE.probe_interval)
    clocks = [ping.clock for _, ping in driver.sent(Ping)]
    assert clocks
    assert all(5_000_000 <= clock <= 5_002_000 for clock in clocks)


def test_a_forged_clock_stops_nothing() -> None:
    driver = Driver()
    driver.meet(2, 3)
    driver.receive(2, Ping(1, limits.CLOCK_MS_MAX))
    driver.pass_time_answering(10 * PROFILE.probe_interval, 2, 3)
    assert driver.core.counters["probes"] == pytest.approx(10, abs=1)
    assert driver.core.counters["probes_failed"] == 0


def test_a_strangers_clock_is_not_followed() -> None:
    driver = Driver()
    driver.meet(2)
    driver.receive(7, Ping(1, 5_000_000))
    driver.pass_time(2 * PROFILE.probe_interval)
    assert all(ping.clock < 1_000_000 for _, ping in driver.sent(Ping))


@pytest.mark.parametrize("nodes", [2, 3, 10, 30])
def test_a_whole_cluster_keeps_the_order(nodes: int) -> None:
    world = World(nodes, seed=31)
    world.form()
    world.run(5.0)
    before = [node.core.counters["probes"] for node in world.nodes]
    world.run(60.0)
    for node, count in zip(world.nodes, before, strict=True):
        assert 59 <= node.core.counters["probes"] - count <= 61
        assert node.core.counters["probes_failed"] == 0
