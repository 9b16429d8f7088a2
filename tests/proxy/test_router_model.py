"""The router's index against the rule itself: of all routes that match, the highest priority."""

import json
import re
import uuid
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from node.proxy.entities import Route, read_route
from node.proxy.router import Request, Router, priority

HOSTS = ["a.test", "b.a.test", "*.test", "*.a.test", "a.*", "b.*"]
PATHS = ["/", "/a", "/ab", "/a/b", "/b", "~/a/[bc]", "~/a.*b$", "~/[ab]+/b", r"~/a\b", "~/b|/a"]
METHODS = ["GET", "POST"]


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), max_size=3, unique=True)


definitions = st.fixed_dictionaries(
    {
        "hosts": some(HOSTS),
        "paths": some(PATHS),
        "methods": some(METHODS),
        "headers": st.sampled_from([{}, {"x": ["1"]}, {"x": ["1", "2"], "y": ["1"]}]),
        "regex_priority": st.integers(0, 2),
    }
)
requests = st.builds(
    lambda method, host, path, x, y: Request(
        method,
        host,
        path,
        False,
        b"",
        80,
        lambda name: [value for value in ((x,) if name == b"x" else (y,)) if value],
    ),
    st.sampled_from([b"GET", b"POST", b"PUT"]),
    st.sampled_from([b"a.test", b"b.a.test", b"c.test", b"a.example", b"b.example", b""]),
    st.sampled_from([b"/", b"/a", b"/abc", b"/a/b", b"/a/c/b", b"/ab/b", b"/b", b"/c"]),
    st.sampled_from([b"", b"1", b"2"]),
    st.sampled_from([b"", b"1"]),
)


def best_priority(route: Route, request: Request) -> int | None:
    """The priority with which a route matches a request, found by trying everything."""
    if route.methods and request.method not in route.methods:
        return None
    fitting = [
        host
        for host in route.hosts
        if (host.wildcard == 0 and request.host == host.text)
        or (host.wildcard == -1 and request.host.endswith(host.text))
        or (host.wildcard == 1 and request.host.startswith(host.text))
    ]
    if route.hosts and not fitting:
        return None
    for header in route.headers:
        if not set(request.header_values(header.name)) & header.values:
            return None
    ranks = [
        priority(route, len(path), False) for path in route.paths if request.path.startswith(path)
    ]
    ranks += [
        priority(route, 0, True)
        for regex in route.regexes
        if re.match(regex.encode(), request.path)
    ]
    if not route.paths and not route.regexes:
        ranks.append(priority(route, 0, False))
    return max(ranks, default=None)


def expected(routes: dict[str, Route], request: Request) -> str | None:
    ranked = [
        (rank, route.id)
        for route in routes.values()
        if (rank := best_priority(route, request)) is not None
    ]
    return max(ranked)[1] if ranked else None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.none() | definitions), max_size=25),
    st.lists(requests, min_size=1, max_size=8),
)
def test_after_any_changes_the_winner_is_the_one_that_the_rule_names(
    changes: list[tuple[int, dict[str, Any] | None]], asked: list[Request]
) -> None:
    router, routes = Router(), dict[str, Route]()
    for number, fields in changes:
        route_id = str(uuid.UUID(int=number))
        router.remove(route_id)
        routes.pop(route_id, None)
        if fields is not None:
            routes[route_id] = read_route(json.dumps({"id": route_id, **fields}))
            router.add(routes[route_id])
        for request in asked:
            match = router.match(request)
            assert (match.route.id if match else None) == expected(routes, request)
