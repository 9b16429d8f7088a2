"""The health of targets in a worker: what it counts, tells, and takes over."""

from collections.abc import Sequence
from typing import Any

import pytest

from node.channel import Change, Doubted, Judged, Observed
from node.proxy import limits
from node.proxy.balancing.address import Health, TargetAddress
from node.proxy.health.counters import Result, State
from node.proxy.health.health import WorkerHealth
from tests.proxy.health.upstreams import (
    UPSTREAM_ID,
    address,
    passive,
    target,
    upstream,
    uuid_of,
)

FIRST, SECOND = address(1), address(2)
TWO_FAILURES = passive(successes=1, http_failures=2, tcp_failures=2, timeouts=2)


class Situation:
    """A worker's health with some upstreams, and what it wanted to tell."""

    def __init__(self, *changes: Change) -> None:
        self.now = 0.0
        self.calls = 0
        self.health = WorkerHealth(lambda: self.now, self._called)
        self.load(*changes)

    def _called(self) -> None:
        self.calls += 1

    def load(self, *changes: Change) -> None:
        self.health.load(changes, first=True, last=True)

    def judged(self, which: TargetAddress, state: State) -> None:
        self.health.judged(Judged(((*which, int(state)),)))

    def told(self) -> list[Any]:
        frame = self.health.take()
        return [] if frame is None else list(frame.results)


def checked(checks: dict[str, Any] = TWO_FAILURES) -> Situation:
    return Situation(upstream(checks), target(1), target(2))


def test_it_is_the_health_that_the_balancer_asks() -> None:
    health: Health = Situation().health
    assert health.is_available(FIRST)


def test_where_nothing_is_checked_nothing_is_counted_or_told() -> None:
    situation = checked({})
    for _ in range(10):
        situation.health.tcp_failed(FIRST)
    assert situation.health.is_available(FIRST)
    assert situation.calls == 0
    assert situation.health.is_upstream_available(UPSTREAM_ID, [(FIRST, 0)])


@pytest.mark.parametrize("kind", ["responded", "tcp_failed", "timed_out"])
def test_an_address_is_out_as_soon_as_its_failures_reach_their_limit(kind: str) -> None:
    situation = checked()
    more = [500] if kind == "responded" else []
    getattr(situation.health, kind)(FIRST, *more)
    assert situation.health.is_available(FIRST)
    getattr(situation.health, kind)(FIRST, *more)
    assert not situation.health.is_available(FIRST)
    assert situation.health.is_available(SECOND)


def test_successes_of_a_healthy_address_are_not_told_and_those_on_the_way_are() -> None:
    situation = checked()
    situation.health.responded(FIRST, 200)
    assert situation.calls == 0
    situation.health.responded(FIRST, 500)
    situation.health.responded(FIRST, 200)
    assert situation.calls == 1
    assert situation.told() == [
        (*FIRST, int(Result.HTTP_FAILURE), False),
        (*FIRST, int(Result.SUCCESS), False),
    ]


def test_passive_checks_never_bring_an_address_back_by_themselves() -> None:
    # Nobody sends requests there; one that was under way ends well.
    situation = checked(passive(http_failures=1))
    situation.health.responded(FIRST, 500)
    situation.health.responded(FIRST, 200)
    assert not situation.health.is_available(FIRST)


def test_what_the_agent_says_holds_whatever_was_found_here() -> None:
    situation = checked()
    situation.health.timed_out(FIRST)
    situation.health.timed_out(FIRST)
    situation.judged(FIRST, State.HEALTHY)
    assert situation.health.is_available(FIRST)
    situation.health.timed_out(FIRST)
    assert situation.health.is_available(FIRST), "it counts from the beginning"
    situation.judged(SECOND, State.UNHEALTHY)
    assert not situation.health.is_available(SECOND)


def test_a_state_loaded_anew_changes_nothing_of_targets_that_stay() -> None:
    situation = checked()
    situation.judged(FIRST, State.UNHEALTHY)
    situation.judged(SECOND, State.UNHEALTHY)
    situation.load(upstream(TWO_FAILURES), target(1))
    assert not situation.health.is_available(FIRST)
    assert situation.health.is_available(SECOND), "its target is gone"


def test_a_state_that_comes_before_its_target_is_kept_for_it() -> None:
    situation = Situation()
    situation.judged(FIRST, State.UNHEALTHY)
    situation.load(upstream(TWO_FAILURES), target(1))
    assert not situation.health.is_available(FIRST)


@pytest.mark.parametrize(
    "change",
    [("targets", uuid_of(101), None), target(1, weight=0), upstream({})],
)
def test_a_target_that_goes_is_forgotten(change: Change) -> None:
    situation = checked()
    situation.judged(FIRST, State.UNHEALTHY)
    situation.health.apply([change])
    assert situation.health.is_available(FIRST)


@pytest.mark.parametrize(
    ("threshold", "out", "available"),
    [
        (0, [FIRST], True),
        (0, [FIRST, SECOND], False),
        (49, [FIRST], True),
        (50, [FIRST], False),
        (50, [], True),
        (100, [], False),
    ],
)
def test_more_than_the_threshold_of_weight_must_be_available(
    threshold: int, out: Sequence[TargetAddress], available: bool
) -> None:
    situation = checked({**TWO_FAILURES, "threshold": threshold})
    for each in out:
        situation.judged(each, State.UNHEALTHY)
    weights = [(FIRST, 100), (SECOND, 100)]
    assert situation.health.is_upstream_available(UPSTREAM_ID, weights) is available


def test_whether_an_upstream_is_available_follows_each_change() -> None:
    situation = checked({**TWO_FAILURES, "threshold": 40})
    both, one = [(FIRST, 100), (SECOND, 100)], [(FIRST, 100)]
    ask = situation.health.is_upstream_available
    situation.judged(FIRST, State.UNHEALTHY)
    assert (ask(UPSTREAM_ID, both), ask(UPSTREAM_ID, one)) == (True, False)
    situation.health.apply([upstream({**TWO_FAILURES, "threshold": 60})])
    assert not ask(UPSTREAM_ID, both)
    situation.judged(FIRST, State.HEALTHY)
    assert ask(UPSTREAM_ID, both)
    situation.judged(FIRST, State.UNHEALTHY)
    assert not ask(UPSTREAM_ID, both)
    situation.health.apply([("targets", FIRST.target_id, None)])
    assert ask(UPSTREAM_ID, both)


def test_an_upstream_without_weight_is_not_available() -> None:
    assert not checked().health.is_upstream_available(UPSTREAM_ID, [(FIRST, 0)])


def doubt(situation: Situation, which: TargetAddress = FIRST, seconds: float = 30.0) -> None:
    situation.health.doubted(Doubted(*which, seconds))


def test_after_another_nodes_finding_one_failure_suffices_for_a_while() -> None:
    situation = checked()
    doubt(situation)
    assert situation.health.is_available(FIRST), "a hint alone takes nothing out"
    situation.health.responded(FIRST, 500)
    assert not situation.health.is_available(FIRST)
    assert situation.told() == [(*FIRST, int(Result.HTTP_FAILURE), True)]


def test_a_doubt_ends_in_its_time_or_with_a_success() -> None:
    for end in ("time", "success"):
        situation = checked()
        doubt(situation)
        if end == "time":
            situation.now = 31.0
        else:
            situation.health.responded(FIRST, 200)
        situation.health.responded(FIRST, 500)
        assert situation.health.is_available(FIRST)


def test_a_doubt_does_not_make_a_kind_of_failure_count_that_does_not() -> None:
    situation = checked(passive(http_failures=2))
    doubt(situation)
    situation.health.timed_out(FIRST)
    assert situation.health.is_available(FIRST)


def test_a_doubt_never_takes_out_the_last_target_that_is_surely_there() -> None:
    situation = checked()
    situation.judged(SECOND, State.UNHEALTHY)
    doubt(situation)
    situation.health.responded(FIRST, 500)
    assert situation.health.is_available(FIRST)
    situation.health.responded(FIRST, 500)
    assert not situation.health.is_available(FIRST), "its own findings do"


def test_doubts_are_bounded() -> None:
    situation = checked()
    for number in range(limits.DOUBTS_MAX + 1):
        doubt(situation, address(1, port=1 + number))
    last = address(1, port=1 + limits.DOUBTS_MAX)
    situation.health.responded(last, 500)
    assert situation.health.is_available(last)


def test_results_are_told_some_at_a_time_and_dropped_when_too_many_wait() -> None:
    situation = checked(passive(http_failures=255))
    for number in range(limits.RESULTS_WAITING_MAX + 3):
        situation.health.responded(address(1, port=1 + number % 60), 500)
    assert situation.calls == 1
    assert situation.health.dropped == 3
    frame = situation.health.take()
    assert isinstance(frame, Observed)
    assert len(frame.results) == limits.RESULTS_TOLD_MAX
