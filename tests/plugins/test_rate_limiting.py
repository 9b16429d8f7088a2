"""rate-limiting: windows, whose requests are counted together, and what clients are told."""

import calendar
import os
from typing import Any

import pytest

from node.plugins import limits
from node.plugins.bundled.rate_limiting import period_start
from node.plugins.context import Consumer
from node.plugins.counters import SharedCounters, shared_memory
from node.plugins.holding import Plugins
from tests.plugins.gateway import plugin
from tests.plugins.harness import (
    SmallWorker,
    context_of,
    head,
    one,
    plugins_of,
    run_access,
    sent_back,
)


def ask(
    worker: SmallWorker,
    held: Plugins,
    *fields: str,
    target: str = "/",
    who: str = "",
    cred: str = "",
) -> tuple[int, dict[str, str]]:
    """The status and fields that a request comes to."""
    context = context_of(head(target, *fields), worker)
    if who:
        context.authenticate(Consumer(who, who, ""), {"id": cred or who})
    phases, outcome = run_access(context, held)
    status = 200 if outcome is None else outcome.status
    return status, sent_back(phases, status)


def test_a_limit_lets_so_many_pass_and_tells_how_many_are_left() -> None:
    worker = SmallWorker()
    worker.time = calendar.timegm((2026, 1, 31, 10, 5, 20))
    held = one("rate-limiting", worker, minute=2)
    assert ask(worker, held) == (
        200,
        {
            "x-ratelimit-limit-minute": "2",
            "x-ratelimit-remaining-minute": "1",
            "ratelimit-limit": "2",
            "ratelimit-remaining": "1",
            "ratelimit-reset": "40",
        },
    )
    assert ask(worker, held)[1]["ratelimit-remaining"] == "0"
    status, fields = ask(worker, held)
    assert status == 429
    assert fields["retry-after"] == fields["ratelimit-reset"] == "40"
    assert fields["x-ratelimit-remaining-minute"] == "0"
    worker.time += 40
    assert ask(worker, held)[0] == 200


def test_the_tightest_limit_is_the_one_that_is_told() -> None:
    worker = SmallWorker()
    worker.time = calendar.timegm((2026, 1, 31, 10, 5, 20))
    held = one("rate-limiting", worker, second=3, minute=4, hour=4)
    _, fields = ask(worker, held)
    assert (fields["ratelimit-limit"], fields["ratelimit-remaining"]) == ("3", "2")
    ask(worker, held)
    worker.time += 1
    _, fields = ask(worker, held)
    assert (fields["ratelimit-limit"], fields["ratelimit-remaining"]) == ("4", "1")
    assert fields["ratelimit-reset"] == str(3600 - 5 * 60 - 21), "of equals, the longest period"


def test_a_refused_request_counts_for_no_period() -> None:
    worker = SmallWorker()
    held = one("rate-limiting", worker, second=1, minute=3)
    statuses = []
    for second in range(3):
        worker.time = 1_000_000_020.0 + second
        statuses += [ask(worker, held)[0] for _ in range(2)]
    assert statuses == [200, 429] * 3


@pytest.mark.parametrize(
    ("period", "start"),
    [
        ("second", (2024, 3, 31, 23, 59, 58)),
        ("minute", (2024, 3, 31, 23, 59, 0)),
        ("hour", (2024, 3, 31, 23, 0, 0)),
        ("day", (2024, 3, 31, 0, 0, 0)),
        ("month", (2024, 3, 1, 0, 0, 0)),
        ("year", (2024, 1, 1, 0, 0, 0)),
    ],
)
def test_periods_are_the_calendars_in_utc(period: str, start: tuple[int, ...]) -> None:
    now = calendar.timegm((2024, 3, 31, 23, 59, 58)) + 0.75
    assert period_start(period, now) == calendar.timegm(start)


@pytest.mark.parametrize(
    ("config", "one_request", "another", "together"),
    [
        ({}, {"who": "a"}, {"who": "b"}, False),
        ({}, {"who": "a", "cred": "1"}, {"who": "a", "cred": "2"}, True),
        ({}, {"who": "a"}, {}, False),
        ({"limit_by": "credential"}, {"who": "a", "cred": "1"}, {"who": "a", "cred": "2"}, False),
        ({"limit_by": "ip"}, {"who": "a"}, {"who": "b"}, True),
        ({"limit_by": "service"}, {"who": "a"}, {}, True),
        ({"limit_by": "path", "path": "/p"}, {"target": "/p"}, {"target": "/q"}, False),
        ({"limit_by": "path", "path": "/p"}, {"target": "/r"}, {"target": "/q"}, True),
        ({"limit_by": "path", "path": "/p"}, {"target": "/p?x"}, {"target": "/p?y"}, True),
    ],
)
def test_whose_requests_are_counted_together(
    config: dict[str, Any],
    one_request: dict[str, str],
    another: dict[str, str],
    together: bool,
) -> None:
    worker = SmallWorker()
    held = one("rate-limiting", worker, minute=1, **config)
    assert ask(worker, held, **one_request)[0] == 200
    assert ask(worker, held, **another)[0] == (429 if together else 200)


def test_a_header_may_say_whose_requests_they_are() -> None:
    worker = SmallWorker()
    held = one("rate-limiting", worker, minute=1, limit_by="header", header_name="X-Tenant")
    fields = ("X-Tenant: a", "X-Tenant: b", "X-Tenant: a")
    assert [ask(worker, held, field)[0] for field in fields] == [200, 200, 429]
    assert [ask(worker, held)[0] for _ in range(2)] == [200, 429]


def test_clients_may_be_told_nothing_and_other_than_usual() -> None:
    worker = SmallWorker()
    held = one("rate-limiting", worker, minute=1, hide_client_headers=True, error_code=404)
    assert ask(worker, held) == (200, {})
    assert ask(worker, held) == (404, {})


def test_another_policy_answers_500_rather_than_not_to_count() -> None:
    worker = SmallWorker()
    stored = plugin("rate-limiting", {"minute": 1, "policy": "cluster"})
    held = plugins_of(worker, stored)
    assert ask(worker, held)[0] == 500


def test_workers_share_their_counts() -> None:
    descriptor = shared_memory(3)
    try:
        first, second, third = (SharedCounters(descriptor, worker) for worker in range(3))
        key = first.key("a")
        assert key == third.key("a")
        for counters in (first, second, second):
            counters.add(key, 60, now=1.0)
        assert [each.count(key, 60) for each in (first, second, third)] == [3, 3, 3]
        assert third.count(key, 120) == 0
        second.add(key, 120, now=61.0)
        assert (third.count(key, 120), third.count(key, 60)) == (1, 1)
    finally:
        os.close(descriptor)


def test_the_memory_for_counters_is_bounded_and_what_gives_way_is_counted() -> None:
    counters = SharedCounters(-1, 0)
    bucket = [limits.RATE_BUCKETS * number + 7 for number in range(1, limits.RATE_WAYS + 3)]
    for number, key in enumerate(bucket[: limits.RATE_WAYS]):
        counters.add(key, 100 + number, now=1.0)
    assert counters.evictions == 0
    counters.add(bucket[-1], 500, now=1.0)
    assert counters.evictions == 1
    assert counters.count(bucket[0], 100) == 0, "the one whose period ends first"
    assert counters.count(bucket[1], 101) == 1
    counters.add(bucket[-2], 500, now=101.5)
    assert counters.evictions == 1, "what has ended gives way unnoticed"
