"""Round-robin gives each address its share, evenly spread, whatever changes meanwhile."""

import itertools
import math
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from node.proxy.balancing.peer import Peer
from node.proxy.balancing.round_robin import RoundRobin
from tests.proxy.balancing.peers import SOME_WEIGHT, WEIGHTS, always, peer, peers


def made(given_peers: list[Peer], seed: int = 1) -> RoundRobin:
    algorithm = RoundRobin(random.Random(seed))
    algorithm.update(given_peers, 0.0)
    return algorithm


def choices(algorithm: RoundRobin, count: int) -> list[Peer]:
    chosen = [algorithm.choose(always, b"", 0.0) for _ in range(count)]
    return [one for one in chosen if one is not None]


@given(SOME_WEIGHT, st.integers(0, 50), st.integers())
def test_in_any_row_of_weight_by_gcd_choices_each_has_its_share(
    weights: list[int], skipped: int, seed: int
) -> None:
    algorithm = made(peers(weights), seed)
    divisor = math.gcd(*weights)
    choices(algorithm, skipped)
    row = Counter(choices(algorithm, sum(weights) // divisor))
    assert row == {one: one.weight // divisor for one in peers(weights) if one.weight}


@given(SOME_WEIGHT, st.integers())
def test_turns_of_one_address_lie_as_far_apart_as_its_weight_says(
    weights: list[int], seed: int
) -> None:
    algorithm = made(peers(weights), seed)
    row = choices(algorithm, 3 * sum(weights))
    for one in peers(weights):
        turns = [number for number, chosen in enumerate(row) if chosen == one]
        for first, second in itertools.pairwise(turns):
            # Each other address has at most one turn more than its share in between.
            others = sum(math.ceil(other / one.weight) + 1 for other in weights if other) - 1
            assert second - first <= others


@given(WEIGHTS)
def test_weight_0_gets_nothing(weights: list[int]) -> None:
    algorithm = made(peers(weights))
    drained = {one for one in peers(weights) if not one.weight}
    assert not drained & set(choices(algorithm, 50))
    if not any(weights):
        assert algorithm.choose(always, b"", 0.0) is None


@given(SOME_WEIGHT, st.data())
def test_what_can_not_be_used_is_passed_over_and_makes_nothing_up_later(
    weights: list[int], data: st.DataObject
) -> None:
    algorithm = made(peers(weights))
    out = data.draw(st.sampled_from(peers(weights)))
    for _ in range(200):
        chosen = algorithm.choose(lambda one: one != out, b"", 0.0)
        assert chosen != out
        assert (chosen is None) == (not any(one.weight for one in peers(weights) if one != out))
    divisor = math.gcd(*weights)
    choices(algorithm, len(weights))  # the ends of the rows that were under way
    row = Counter(choices(algorithm, sum(weights) // divisor))
    assert abs(row[out] - out.weight // divisor) <= 1


@given(SOME_WEIGHT, st.integers(0, 30))
def test_a_change_of_one_target_leaves_the_turns_of_the_others(
    weights: list[int], skipped: int
) -> None:
    before, after = made(peers(weights)), made(peers(weights))
    choices(before, skipped)
    choices(after, skipped)
    other = peer(99, 5)
    after.update([*peers(weights), other], 1.0)
    row = [one for one in choices(after, 60) if one != other]
    assert row == choices(before, len(row))


def test_an_update_at_each_choice_favours_nobody() -> None:
    algorithm = RoundRobin(random.Random(1))
    row = []
    for _ in range(40):
        algorithm.update(peers([100] * 4), 0.0)
        row += choices(algorithm, 1)
    assert set(Counter(row).values()) == {10}


def test_workers_do_not_march_in_step() -> None:
    firsts = {choices(made(peers([100] * 8), seed), 1)[0] for seed in range(40)}
    assert len(firsts) > 4
