"""cors: what preflights and other requests are told, as Kong's plugin tells them."""

from typing import Any

import pytest

from tests.plugins.harness import (
    SmallWorker,
    context_of,
    head,
    one,
    run_access,
    sent_back,
)

ALL_METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"
PREFLIGHT = ("Origin: http://a.test", "Access-Control-Request-Method: GET")


def preflight(config: dict[str, Any], *fields: str) -> tuple[int | None, dict[str, str]]:
    worker = SmallWorker()
    context = context_of(head("/", *fields, method="OPTIONS"), worker)
    phases, outcome = run_access(context, one("cors", worker, **config))
    answer = sent_back(phases, 200, source="exit" if outcome else "service")
    return (outcome.status if outcome else None), answer


def plain(config: dict[str, Any], *fields: str, has: tuple[tuple[str, str], ...] = ()) -> Any:
    worker = SmallWorker()
    phases, outcome = run_access(
        context_of(head("/", *fields), worker), one("cors", worker, **config)
    )
    assert outcome is None
    return sent_back(phases, 200, *has)


def test_a_preflight_is_answered_here() -> None:
    status, fields = preflight({}, *PREFLIGHT)
    assert status == 200
    assert fields == {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": ALL_METHODS,
    }


def test_a_preflight_says_all_that_is_configured() -> None:
    config = {
        "origins": ["http://a.test"],
        "methods": ["GET", "POST"],
        "headers": ["origin", "x-own"],
        "exposed_headers": ["x-auth"],
        "max_age": 23,
        "credentials": True,
        "private_network": True,
    }
    fields = (*PREFLIGHT, "Access-Control-Request-Private-Network: true")
    assert preflight(config, *fields) == (
        200,
        {
            "vary": "Origin",
            "access-control-allow-origin": "http://a.test",
            "access-control-allow-credentials": "true",
            "access-control-allow-headers": "origin,x-own",
            "access-control-allow-methods": "GET,POST",
            "access-control-max-age": "23",
            "access-control-allow-private-network": "true",
        },
    )


def test_headers_that_are_asked_for_are_allowed_unless_configured() -> None:
    _, fields = preflight({}, *PREFLIGHT, "Access-Control-Request-Headers: x-a, x-b")
    assert fields["access-control-allow-headers"] == "x-a, x-b"


@pytest.mark.parametrize("left_out", [0, 1])
def test_options_without_an_origin_or_method_are_no_preflight(left_out: int) -> None:
    fields = [each for at, each in enumerate(PREFLIGHT) if at != left_out]
    status, answer = preflight({}, *fields)
    assert status is None
    assert answer == {"access-control-allow-origin": "*"}


def test_a_preflight_may_be_left_to_the_upstream_with_all_of_its_answer() -> None:
    assert preflight({"preflight_continue": True}, *PREFLIGHT) == (None, {})


@pytest.mark.parametrize(
    ("origins", "origin", "told"),
    [
        (["http://a.test"], "http://b.test", "http://a.test"),
        (["http://a.test", "http://b.test"], "http://b.test", "http://b.test"),
        (["http://a.test", "http://b.test"], "http://c.test", None),
        (["http://a.test:80", "http://x"], "http://a.test", "http://a.test"),
        (["https://a.test", "http://x"], "https://a.test:443", "https://a.test"),
        (["http://a.test:90", "http://x"], "http://a.test", None),
        ([r".*\.?a\.test$"], "http://sub.a.test", "http://sub.a.test"),
        ([r".*\.?a\.test$"], "http://a.test.evil", None),
        ([r"a\.test"], "http://aXtest", None),
        ([r"(.*[./])?a\.test"], "http://eviltest", None),
        ([r"http://.*\.a\.test", "http://x"], "http://b.a.test", "http://b.a.test"),
        ([r"https://.*\.a\.test", "http://x"], "http://b.a.test", None),
        ([r"^https?://a\.test(:\d+)?$", "http://x"], "http://a.test:9", "http://a.test:9"),
        (["http://a.test", "http://b.test"], "null", None),
        (["http://a.test", "http://b.test"], "http://[::1", None),
        (["http://a.test", "*"], "http://c.test", "*"),
    ],
)
def test_which_origins_may_call(origins: list[str], origin: str, told: str | None) -> None:
    fields = plain({"origins": origins}, f"Origin: {origin}")
    assert fields.get("access-control-allow-origin") == told
    assert fields["vary"] == "Origin"


def test_answers_of_the_upstream_are_completed_and_its_vary_kept() -> None:
    config = {"origins": ["http://a.test", "http://b.test"], "exposed_headers": ["x", "y"]}
    has = (("Vary", "Accept"), ("Access-Control-Allow-Origin", "http://evil"), ("X", "1"))
    assert plain(config, "Origin: http://b.test", has=has) == {
        "vary": "Accept, Origin",
        "access-control-allow-origin": "http://b.test",
        "access-control-expose-headers": "x,y",
        "x": "1",
    }


def test_an_origin_that_may_not_call_isnt_let_in_by_the_upstream() -> None:
    has = (("Access-Control-Allow-Origin", "*"),)
    config = {"origins": ["http://a.test", "http://b.test"]}
    assert "access-control-allow-origin" not in plain(config, "Origin: http://c", has=has)


def test_with_credentials_any_origin_is_called_by_its_name() -> None:
    fields = plain({"credentials": True}, "Origin: http://q.test")
    assert fields == {
        "access-control-allow-origin": "http://q.test",
        "access-control-allow-credentials": "true",
        "vary": "Origin",
    }
    assert plain({"credentials": True}) == {"access-control-allow-origin": "*"}
