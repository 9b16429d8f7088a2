"""What the simulated network does to packets."""

import random

import pytest

from simulations.links import Link, Network


def network(link: Link) -> Network:
    return Network(link, random.Random(1))


def arrivals(link: Link, count: int = 4_000, data: bytes = b"0123456789") -> list[list[bytes]]:
    net = network(link)
    net.checksums = False
    return [[d for _, d, _ in net.carry(0, 1, data, now=float(n))] for n in range(count)]


def test_loss_and_duplication_follow_their_probabilities() -> None:
    copies = [len(got) for got in arrivals(Link(loss=0.25, duplication=0.5))]
    assert copies.count(0) / 4_000 == pytest.approx(0.25, abs=0.03)
    assert copies.count(2) / 4_000 == pytest.approx(0.375, abs=0.03)


def test_corruption_changes_one_byte_and_truncation_shortens() -> None:
    changed = [got[0] for got in arrivals(Link(corruption=1.0))]
    differing = [sum(a != b for a, b in zip(got, b"0123456789", strict=True)) for got in changed]
    assert set(differing) == {1}
    assert all(len(got[0]) < 10 for got in arrivals(Link(truncation=1.0)))


def test_the_kernels_checksum_drops_what_is_corrupted_in_clear() -> None:
    net = network(Link(corruption=1.0))
    assert list(net.carry(0, 1, b"x", 0.0)) == []


def test_a_replay_turns_up_again_within_its_time() -> None:
    net = network(Link(replay=1.0, replay_seconds=300.0))
    later = [delay for n in range(500) for delay, _, again in net.carry(0, 1, b"x", n) if again]
    assert len(later) == 500
    assert 250.0 < max(later) <= 301.0


def test_jitter_reorders_and_latency_is_the_least() -> None:
    net = network(Link(latency=0.01, jitter=0.005))
    delays = [net.carry(0, 1, b"x", 0.0)[0][0] for _ in range(2_000)]
    assert min(delays) >= 0.01
    assert sum(delays) / 2_000 == pytest.approx(0.015, rel=0.1)
    assert delays != sorted(delays)


def test_a_burst_loses_everything_for_a_while() -> None:
    net = network(Link(burst=0.01, burst_seconds=1.0))
    got = [bool(net.carry(0, 1, b"x", n * 0.01)) for n in range(10_000)]
    runs = "".join("x" if here else "." for here in got).split("x")
    assert max(map(len, runs)) > 100, "spells last seconds, not single packets"


def test_bandwidth_queues_and_then_drops() -> None:
    net = network(Link(bandwidth=1_000.0, backlog_seconds=0.1, jitter=0.0))
    delays = [[d for d, _, _ in net.carry(0, 1, bytes(50), 0.0)] for _ in range(10)]
    assert delays[0][0] < delays[1][0] < delays[2][0]
    assert delays[-1] == []


def test_a_clog_holds_everything_until_its_end() -> None:
    net = network(Link(jitter=0.0))
    net.clog([0], [1], until=5.0)
    ((delay, _, _),) = net.carry(0, 1, b"x", now=1.0)
    assert delay == pytest.approx(4.0002)
    assert net.carry(1, 0, b"x", now=1.0)[0][0] < 0.1


def test_a_cut_is_one_way_and_per_protocol_and_can_be_mended() -> None:
    net = network(Link())
    net.cut([0], [1], ["udp"])
    assert not net.carry(0, 1, b"x", 0.0)
    assert net.carry(1, 0, b"x", 0.0)
    assert net.passes(0, 1, "tcp")
    net.mend([0], [1])
    assert net.carry(0, 1, b"x", 0.0)


def test_a_pair_may_have_a_link_of_its_own() -> None:
    net = network(Link())
    net.own_links[0, 1] = Link(loss=1.0)
    assert not net.carry(0, 1, b"x", 0.0)
    assert net.carry(1, 0, b"x", 0.0)


@pytest.mark.parametrize("size", [0, 10_000])
def test_loss_costs_tcp_time_and_nothing_else(size: int) -> None:
    clean = network(Link(jitter=0.0)).segment(0, 1, size, 0.0)
    lossy = [network(Link(jitter=0.0, loss=0.9)).segment(0, 1, size, 0.0) for _ in range(5)]
    assert clean == pytest.approx(0.0002)
    assert all(delay > clean + 0.1 for delay in lossy)
