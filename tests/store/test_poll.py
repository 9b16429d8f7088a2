"""The poll: the cluster as a whole asks the authority about once per interval."""

import heapq
import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.poll import Poll, patience


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


def asked_in(nodes: int, seconds: float, first: int, seed: int) -> list[float]:
    """When nodes of a cluster ask in which news reaches three times as many each second."""
    rng = random.Random(seed)
    polls = [
        Poll(
            5.0,
            random.Random(rng.random()),
            patience=lambda number=number: 0.0 if number < first else patience(5.0, nodes),  # type: ignore[misc]
        )
        for number in range(nodes)
    ]
    news: list[tuple[float, int, float]] = []
    asked: list[float] = []
    now = 0.0
    while now < seconds:
        next_news = news[0][0] if news else math.inf
        now = min(next_news, *(poll.deadline for poll in polls))
        while news and news[0][0] <= now:
            _, number, at = heapq.heappop(news)
            polls[number].confirmed(at)
        for number, poll in enumerate(polls):
            if poll.due(now):
                asked.append(now)
                poll.confirmed(now)
                others = [other for other in range(nodes) if other != number]
                rng.shuffle(others)
                for place, other in enumerate(others):
                    heapq.heappush(news, (now + math.log(place + 3, 3), other, now))
    return asked


@given(st.integers(1, 60), st.integers(0, 2**32))
@settings(max_examples=15)
def test_the_cluster_asks_about_once_per_interval_whatever_its_size(nodes: int, seed: int) -> None:
    first = min(3, nodes)
    asked = asked_in(nodes, 200.0, first, seed)
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert all(gap <= 7.5 for gap in gaps)
    # Of the first, those ask beside the one whose turn it is whose own comes before the news.
    assert len(asked) <= first * 200 / 5.0


def test_when_the_first_do_not_reach_the_authority_the_others_ask() -> None:
    asked = asked_in(40, 100.0, 0, seed=1)
    assert asked[0] <= 7.5 + patience(5.0, 40)
    assert all(later - earlier < 20 for earlier, later in itertools.pairwise(asked))
