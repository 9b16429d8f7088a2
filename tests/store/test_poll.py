"""The poll: the cluster as a whole asks the authority about once per interval."""

import heapq
import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.poll import Poll


def test_a_node_that_hears_nothing_asks_within_one_and_a_half_intervals() -> None:
    for seed in range(50):
        poll = Poll(5.0, random.Random(seed), now=100.0)
        assert 105.0 <= poll.deadline <= 107.5
        assert not poll.due(104.9)
        assert poll.due(poll.deadline)


def test_a_confirmation_heard_puts_the_question_off() -> None:
    poll = Poll(5.0, random.Random(1), now=0.0)
    poll.confirmed(4.0)
    assert not poll.due(8.9)
    assert poll.due(11.5)


def test_old_news_changes_nothing() -> None:
    poll = Poll(5.0, random.Random(1), now=10.0)
    deadline = poll.deadline
    poll.confirmed(9.0)
    poll.confirmed(10.0)
    assert (poll.deadline, poll.confirmed_at) == (deadline, 10.0)


def test_a_question_that_fails_is_repeated_at_the_same_pace() -> None:
    poll = Poll(5.0, random.Random(1), now=0.0)
    asked = [now for now in range(100) if poll.due(now)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert len(gaps) > 10
    assert all(5 <= gap <= 8 for gap in gaps)


def test_an_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="db_update_frequency must be above 0 s, not 0"):
        Poll(0, random.Random(1))


@given(st.integers(1, 200), st.integers(0, 2**32))
def test_the_cluster_asks_about_once_per_interval_whatever_its_size(nodes: int, seed: int) -> None:
    rng = random.Random(seed)
    polls = [Poll(5.0, random.Random(rng.random())) for _ in range(nodes)]
    spread_seconds = 0.2
    arrivals: list[float] = []
    asked: list[float] = []
    now = 0.0
    while now < 200.0:
        now = min(min(poll.deadline for poll in polls), *(arrivals[:1] or [float("inf")]))
        if arrivals and arrivals[0] <= now:
            at = heapq.heappop(arrivals) - spread_seconds
            for poll in polls:
                poll.confirmed(at)
        for poll in polls:
            if poll.due(now):
                asked.append(now)
                poll.confirmed(now)
                heapq.heappush(arrivals, now + spread_seconds)
    rounds = [later for earlier, later in itertools.pairwise(asked) if later > earlier + 1]
    gaps = [later - earlier for earlier, later in itertools.pairwise(rounds)]
    assert all(4.5 <= gap <= 7.5 + spread_seconds for gap in gaps)
    # Beside one per round, only those ask whose turn comes before the news of it does.
    assert len(rounds) <= 200 / 5.0
    assert len(asked) <= (len(rounds) + 1) * (2 + 2 * nodes * spread_seconds / 2.5)
