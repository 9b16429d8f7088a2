"""Latency: what answers sooner is chosen more, old news fade, newcomers begin in the middle."""

import math
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from node.proxy.balancing.latency import DECAY_SECONDS, Average, Latency
from tests.proxy.balancing.peers import SOME_WEIGHT, always, peer, peers


def made(count: int, seed: int = 1) -> Latency:
    algorithm = Latency(random.Random(seed))
    algorithm.update(peers([100] * count), 0.0)
    return algorithm


def test_of_two_the_faster_one_is_chosen() -> None:
    algorithm = made(2)
    fast, slow = peers([100, 100])
    algorithm.ended(fast, 0.01, 1.0)
    algorithm.ended(slow, 1.0, 1.0)
    assert {algorithm.choose(always, b"", 1.0) for _ in range(20)} == {fast}


def test_of_many_the_slowest_is_never_chosen_and_no_single_one_always() -> None:
    algorithm = made(6)
    for number, one in enumerate(peers([100] * 6)):
        algorithm.ended(one, 0.1 * (number + 1), 1.0)
    row = Counter(algorithm.choose(always, b"", 1.0) for _ in range(600))
    assert row[peer(5)] == 0
    assert len(row) == 5
    assert row[peer(0)] > row[peer(3)]


def test_equals_share() -> None:
    algorithm = made(2)
    row = Counter(algorithm.choose(always, b"", 0.0) for _ in range(200))
    assert min(row.values()) > 60


def test_weight_divides_the_latency() -> None:
    algorithm = Latency(random.Random(1))
    light, heavy = peers([1, 100])
    algorithm.update([light, heavy], 0.0)
    algorithm.ended(light, 0.1, 1.0)
    algorithm.ended(heavy, 1.0, 1.0)
    assert algorithm.choose(always, b"", 1.0) == heavy


@given(st.floats(0, 60), st.floats(0, 60), st.floats(0, 100))
def test_an_average_lies_between_what_it_was_and_the_sample(
    before: float, sample: float, seconds: float
) -> None:
    after = Average(before, 5.0).with_sample(sample, 5.0 + seconds)
    assert min(before, sample) - 1e-9 <= after <= max(before, sample) + 1e-9


def test_what_is_not_used_is_forgotten_within_the_decay_time() -> None:
    decayed = Average(1.0, 0.0).with_sample(0.0, DECAY_SECONDS)
    assert math.isclose(decayed, 1 / math.e)


def test_a_newcomer_begins_at_the_mean_of_the_others() -> None:
    algorithm = made(2)
    algorithm._averages = {
        peer(0).address: Average(0.2, 5.0),
        peer(1).address: Average(0.4, 5.0),
    }
    algorithm.update(peers([100] * 3), 5.0)
    assert math.isclose(algorithm._averages[peer(2).address].seconds, 0.3)
    assert algorithm._averages[peer(0).address] == Average(0.2, 5.0)


@given(SOME_WEIGHT, st.integers())
def test_only_what_is_usable_and_has_weight_is_chosen(weights: list[int], seed: int) -> None:
    algorithm = Latency(random.Random(seed))
    algorithm.update(peers(weights), 0.0)
    out = peers(weights)[0]
    chosen = algorithm.choose(lambda one: one != out, b"", 0.0)
    assert (chosen is None) == (not any(weights[1:]))
    if chosen is not None:
        assert chosen.weight
        assert chosen != out


def test_a_failure_is_no_sample_and_strangers_leave_no_trace() -> None:
    algorithm = made(1)
    algorithm.ended(peer(0), None, 1.0)
    algorithm.ended(peer(7), 1.0, 1.0)
    assert algorithm._averages == {peer(0).address: Average(0.0, 0.0)}
