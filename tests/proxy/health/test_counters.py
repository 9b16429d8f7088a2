"""Counters and states of one address: lua-resty-healthcheck's rules."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.proxy.health.counters import (
    NEW,
    Counters,
    Result,
    Standing,
    State,
    after,
    result_of_status,
)
from node.proxy.health.settings import Limits
from tests.proxy.health.upstreams import limits

SUCCESS, HTTP, TCP, TIMEOUT = Result


def run(of: Limits, *results: Result, start: Standing = NEW) -> Standing:
    return reduce(lambda standing, result: after(standing, result, of), results, start)


@pytest.mark.parametrize("failure", [HTTP, TCP, TIMEOUT])
def test_as_many_failures_as_the_limit_make_unhealthy(failure: Result) -> None:
    of = limits(successes=1, http_failures=3, tcp_failures=3, timeouts=3)
    assert run(of, failure, failure).state is State.MOSTLY_HEALTHY
    assert run(of, failure, failure, failure).state is State.UNHEALTHY


def test_failures_of_different_kinds_are_counted_apart() -> None:
    of = limits(http_failures=2, tcp_failures=2, timeouts=2)
    mixed = run(of, HTTP, TCP, TIMEOUT)
    assert mixed == Standing(State.MOSTLY_HEALTHY, Counters(0, 1, 1, 1))
    assert run(of, TCP, start=mixed).state is State.UNHEALTHY


def test_a_success_sets_all_failures_back_and_a_failure_the_successes() -> None:
    of = limits(successes=2, http_failures=2, tcp_failures=2)
    assert run(of, HTTP, TCP, SUCCESS).counters == Counters(successes=1)
    assert run(of, HTTP, SUCCESS, HTTP).counters == Counters(http_failures=1)


def test_a_limit_of_no_successes_means_that_failures_are_never_set_back() -> None:
    of = limits(successes=0, http_failures=2)
    assert run(of, HTTP, SUCCESS, SUCCESS, HTTP).state is State.UNHEALTHY


def test_a_limit_of_zero_counts_nothing() -> None:
    assert run(limits(), HTTP, TCP, TIMEOUT, SUCCESS) == NEW


def test_successes_while_healthy_and_failures_while_unhealthy_are_not_counted() -> None:
    of = limits(successes=2, http_failures=1)
    assert run(of, SUCCESS) == NEW
    unhealthy = run(of, HTTP)
    assert run(of, HTTP, HTTP, start=unhealthy) == unhealthy


def test_as_many_successes_as_the_limit_make_healthy_again() -> None:
    of = limits(successes=2, http_failures=1)
    assert run(of, HTTP, SUCCESS).state is State.MOSTLY_UNHEALTHY
    assert run(of, HTTP, SUCCESS, SUCCESS).state is State.HEALTHY


def test_a_failure_on_the_way_back_begins_it_anew() -> None:
    of = limits(successes=2, http_failures=2)
    back = run(of, HTTP, HTTP, SUCCESS, HTTP)
    assert back == Standing(State.MOSTLY_UNHEALTHY, Counters(http_failures=1))
    assert run(of, SUCCESS, start=back).state is State.MOSTLY_UNHEALTHY
    assert run(of, SUCCESS, SUCCESS, start=back).state is State.HEALTHY


def test_active_checks_bring_back_what_passive_ones_took_out() -> None:
    passive, active = limits(tcp_failures=1), limits(successes=1)
    out = run(passive, TCP)
    assert run(passive, SUCCESS, start=out).state is State.UNHEALTHY
    assert run(active, SUCCESS, start=out).state is State.HEALTHY


def test_a_status_that_is_in_neither_list_says_nothing_and_no_status_is_a_failure() -> None:
    of = limits(successes=1, http_failures=1)
    results = [result_of_status(of, status) for status in (200, 500, 404, 0)]
    assert results == [SUCCESS, HTTP, None, HTTP]


_numbers = st.integers(0, 4)
_results = st.lists(st.sampled_from(Result), max_size=30)


@given(st.tuples(_numbers, _numbers, _numbers, _numbers), _results)
def test_the_last_result_that_is_counted_decides_which_side_has_counters(
    numbers: tuple[int, int, int, int], results: list[Result]
) -> None:
    of = limits(*numbers)
    standing = run(of, *results)
    assert not (standing.counters.successes and standing.counters.failing)
    # Never above a limit that it has already reached: then nothing is counted any more.
    assert all(count <= limit for count, limit in zip(standing.counters, of.numbers, strict=True))


@given(st.tuples(_numbers, _numbers, _numbers, _numbers), _results)
def test_only_a_counter_that_reaches_its_limit_takes_an_address_in_or_out(
    numbers: tuple[int, int, int, int], results: list[Result]
) -> None:
    of = limits(*numbers)
    standing = NEW
    for result in results:
        before, standing = standing, after(standing, result, of)
        if before.state.available != standing.state.available:
            assert standing.counters[result] == of.numbers[result] > 0
            assert standing.state.available == (result is SUCCESS)
