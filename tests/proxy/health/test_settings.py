"""What is read of upstreams and targets."""

import json

import pytest

from node.proxy.health.settings import CheckedUpstreams, read_checks, split_target
from tests.proxy.health.upstreams import (
    UPSTREAM_ID,
    active,
    checks_of,
    passive,
    target,
    upstream,
    uuid_of,
)


def test_what_is_missing_has_the_defaults_of_kong_with_all_checks_off() -> None:
    checks = checks_of({})
    assert not checks.on
    assert checks.threshold == 0
    assert (checks.active.kind, checks.active.timeout, checks.active.concurrency) == ("http", 1, 10)
    assert (checks.active.path, checks.active.verify) == ("/", True)
    assert checks.active.limits.unhealthy_statuses == {429, 404, 500, 501, 502, 503, 504, 505}
    assert checks.passive.unhealthy_statuses == {429, 500, 503}
    assert 226 in checks.passive.healthy_statuses


@pytest.mark.parametrize(
    ("checks", "is_on"),
    [
        (active(interval=1), True),
        (active(interval=0), False),
        (passive(timeouts=1), True),
        (passive(successes=1), False),
    ],
)
def test_checks_are_on_where_something_can_find_a_target_unhealthy(
    checks: dict[str, object], is_on: bool
) -> None:
    assert checks_of(checks).on is is_on


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("10.0.0.1:81", ("10.0.0.1", 81)),
        ("10.0.0.1", ("10.0.0.1", 8000)),
        ("[2001:0db8::0001]:81", ("2001:db8::1", 81)),
        ("[2001:db8::1]", ("2001:db8::1", 8000)),
        ("example.test:81", ("example.test", 81)),
    ],
)
def test_a_target_is_split_and_its_address_written_for_short(
    text: str, parts: tuple[str, int]
) -> None:
    assert split_target(text) == parts


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", json.dumps({"id": 1, "healthchecks": 3})])
def test_what_cannot_be_read_is_no_upstream(text: str) -> None:
    assert read_checks(text) is None


def test_upstreams_and_targets_come_change_and_go() -> None:
    known = CheckedUpstreams()
    assert known.apply(*upstream(passive(timeouts=1)))
    assert known.apply(*target(1))
    assert known.apply(*target(2))
    assert not known.apply("routes", "r", "{}")
    assert UPSTREAM_ID in known.checked
    assert [each.host for each in known.below(UPSTREAM_ID)] == ["10.0.0.1", "10.0.0.2"]
    known.apply(*upstream({}))
    assert UPSTREAM_ID not in known.checked
    known.apply("targets", uuid_of(101), None)
    assert [each.host for each in known.below(UPSTREAM_ID)] == ["10.0.0.2"]
    known.apply("upstreams", UPSTREAM_ID, None)
    assert known.upstreams == {}
