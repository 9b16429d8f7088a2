"""Least connections: the least loaded by weight, and counts that always come back."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from node.proxy.balancing.least_connections import LeastConnections
from node.proxy.balancing.peer import Peer
from tests.proxy.balancing.peers import SOME_WEIGHT, always, peers


def made(weights: list[int]) -> LeastConnections:
    algorithm = LeastConnections()
    algorithm.update(peers(weights), 0.0)
    return algorithm


def begin(algorithm: LeastConnections) -> Peer:
    chosen = algorithm.choose(always, b"", 0.0)
    assert chosen is not None
    algorithm.began(chosen)
    return chosen


@given(SOME_WEIGHT, st.integers(1, 100))
def test_requests_under_way_are_shared_by_weight(weights: list[int], count: int) -> None:
    algorithm = made(weights)
    held = Counter(begin(algorithm) for _ in range(count))
    for one in held:
        # Had it gone anywhere else, that would have been more loaded by its weight.
        for other in peers(weights):
            if other.weight:
                assert held[one] / one.weight <= (held[other] + 1) / other.weight


@given(SOME_WEIGHT, st.lists(st.booleans(), max_size=60))
def test_counts_are_those_of_what_is_under_way(weights: list[int], steps: list[bool]) -> None:
    algorithm = made(weights)
    under_way: list[Peer] = []
    for begins in steps:
        if begins or not under_way:
            under_way.append(begin(algorithm))
        else:
            algorithm.ended(under_way.pop(0), None, 0.0)
        algorithm.update(peers(weights), 0.0)
        counts = Counter(under_way)
        assert all(algorithm.under_way(one) == counts[one] for one in peers(weights))


def test_one_request_after_another_goes_round() -> None:
    algorithm = made([100, 100, 100])
    row = []
    for _ in range(9):
        row.append(begin(algorithm))
        algorithm.ended(row[-1], 0.1, 0.0)
    assert set(Counter(row).values()) == {3}


def test_a_request_that_ends_elsewhere_than_it_began_lowers_nothing_below_0() -> None:
    algorithm = made([100])
    algorithm.ended(peers([100])[0], None, 0.0)
    assert algorithm.under_way(peers([100])[0]) == 0


def test_weight_0_and_the_unusable_get_nothing() -> None:
    algorithm = made([0, 100, 100])
    for _ in range(10):
        assert (
            algorithm.choose(lambda one: one != peers([0, 0, 100])[2], b"", 0.0)
            == (peers([0, 100])[1])
        )
    assert made([0]).choose(always, b"", 0.0) is None
