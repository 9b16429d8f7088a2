"""An authority that comes back isn't overrun by those that waited for it."""

import random
from collections import Counter

import pytest

from store.reconnect import CROWD, FOLLOW_SECONDS, PAUSES_SECONDS, Reconnect


def test_one_node_alone_keeps_the_pace_of_the_table() -> None:
    reconnect = Reconnect(random.Random(1))
    now = 0.0
    for pause in (*PAUSES_SECONDS, PAUSES_SECONDS[-1]):
        due = reconnect.failed(now, 1)
        assert pause <= due - now <= 1.5 * pause
        now = due
    reconnect.succeeded()
    assert reconnect.failed(now, 1) - now <= 1.5 * PAUSES_SECONDS[0]


@pytest.mark.parametrize("members", [3, 16, 100, 1_000])
def test_while_it_is_away_attempts_stay_at_one_pace_whatever_the_number(members: int) -> None:
    attempts: Counter[int] = Counter()
    for number in range(members):
        reconnect = Reconnect(random.Random(number))
        now = 0.0
        while now < 600:
            now = reconnect.failed(now, members)
            attempts[int(now) // 60] += 1
    later = [attempts[minute] / 60 for minute in range(5, 10)]
    assert max(later) <= CROWD / PAUSES_SECONDS[-1], "attempts a second of all together"


@pytest.mark.parametrize("members", [10, 100, 1_000])
def test_when_one_gets_through_the_others_follow_spread_out(members: int) -> None:
    at = []
    for number in range(members):
        reconnect = Reconnect(random.Random(number))
        due = reconnect.failed(0.0, members)
        at.append(reconnect.reached_elsewhere(0.0, members, due))
    assert max(at) <= members * FOLLOW_SECONDS
    per_second = Counter(int(time) for time in at)
    assert max(per_second.values()) <= 1.5 / FOLLOW_SECONDS


def test_hearing_of_it_again_does_not_move_the_time() -> None:
    reconnect = Reconnect(random.Random(1))
    due = reconnect.failed(0.0, 1_000)
    first = reconnect.reached_elsewhere(0.0, 1_000, due)
    assert reconnect.reached_elsewhere(0.1, 1_000, first) == first
