"""The router of flavor traditional_compatible: what matches, and which of several wins."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.proxy.entities import EntityRefused, read_route
from node.proxy.regexes import compile_regex, literal_prefix, required_literal, searchable
from node.proxy.router import Request, Router

IDS = [f"00000000-0000-4000-8000-00000000000{digit}" for digit in range(8)]


def routes(*definitions: dict[str, Any]) -> Router:
    """A router; each route's id is its position."""
    router = Router()
    for route_id, fields in zip(IDS, definitions, strict=False):
        router.add(read_route(json.dumps({"id": route_id, **fields})))
    return router


def winner(router: Router, path: str = "/", **request: Any) -> int | None:
    """Position of the route that wins."""
    headers = {name.encode(): values for name, values in request.get("headers", {}).items()}
    match = router.match(
        Request(
            request.get("method", "GET").encode(),
            request.get("host", "").encode(),
            path.encode(),
            request.get("ssl", False),
            request.get("sni", "").encode(),
            request.get("port", 8000),
            lambda name: headers.get(name, ()),
        )
    )
    return None if match is None else IDS.index(match.route.id)


def test_a_longer_path_wins() -> None:
    router = routes({"paths": ["/a"]}, {"paths": ["/a/b", "/"]}, {"paths": ["/a/b/c"]})
    assert [winner(router, path) for path in ("/", "/a", "/ab", "/a/bc", "/a/b/c/d")] == [
        1,
        0,
        0,
        1,
        2,
    ]


def test_no_match_is_none() -> None:
    assert winner(routes({"paths": ["/a"]}), "/b") is None
    assert winner(routes({"hosts": ["a.test"]}), host="b.test") is None
    assert winner(Router(), "/") is None


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"hosts": ["a.test"], "paths": ["/"]}, {"paths": ["/path"]}),
        ({"methods": ["GET"], "paths": ["/"]}, {"paths": ["/path"]}),
        ({"hosts": ["a.test"]}, {"hosts": ["*.test"]}),
        ({"hosts": ["a.test"]}, {"paths": ["/path"]}),
        ({"headers": {"x": ["1"], "y": ["2"]}}, {"headers": {"x": ["1"]}}),
        ({"headers": {"x": ["1"]}}, {"paths": ["~/path$"]}),
        ({"paths": ["~/p"]}, {"paths": ["/path"]}),
        ({"paths": ["~/p"], "regex_priority": 2}, {"paths": ["~/path"], "regex_priority": 1}),
        ({"paths": ["/path"]}, {"paths": ["/pat"]}),
    ],
)
def test_priority(better: dict[str, Any], worse: dict[str, Any]) -> None:
    request: dict[str, Any] = {"host": "a.test", "headers": {"x": [b"1"], "y": [b"2"]}}
    assert winner(routes(better, worse), "/path", **request) == 0
    assert winner(routes(worse, better), "/path", **request) == 1


def test_of_equal_routes_the_greater_id_wins() -> None:
    same = {"paths": ["/a"]}
    assert winner(routes(same, same, same), "/a") == 2


@pytest.mark.parametrize(
    ("pattern", "host", "port", "matches"),
    [
        ("a.test", "a.test", 8000, True),
        ("A.Test", "a.test", 8000, True),
        ("*.a.test", "x.a.test", 8000, True),
        ("*.a.test", "x.y.a.test", 8000, True),
        ("*.a.test", "a.test", 8000, False),
        ("a.*", "a.example", 8000, True),
        ("a.*", "b.a.example", 8000, False),
        ("a.test:9000", "a.test", 9000, True),
        ("a.test:9000", "a.test", 8000, False),
        ("[::1]", "[::1]", 8000, True),
    ],
)
def test_hosts(pattern: str, host: str, port: int, matches: bool) -> None:
    assert (winner(routes({"hosts": [pattern]}), host=host, port=port) == 0) is matches


def test_any_of_a_headers_values_matches_in_any_case() -> None:
    router = routes(
        {"headers": {"X-Env": ["Blue", "green"]}}, {"headers": {"x-id": ["~*^[0-9]+$"]}}
    )
    assert winner(router, headers={"x-env": [b"BLUE"]}) == 0
    assert winner(router, headers={"x-env": [b"red", b"green"]}) == 0
    assert winner(router, headers={"x-env": [b"red"]}) is None
    assert winner(router, headers={"x-id": [b"12"]}) == 1
    assert winner(router, headers={"x-id": [b"1a"]}) is None


def test_the_server_name_counts_only_with_tls() -> None:
    router = routes({"snis": ["a.test."], "paths": ["/"]})
    assert winner(router) == 0
    assert winner(router, ssl=True, sni="a.test") == 0
    assert winner(router, ssl=True, sni="b.test") is None


def test_a_regex_matches_from_the_start_only() -> None:
    router = routes({"paths": [r"~/v(?<version>\d+)/(a|b)$"]})
    assert winner(router, "/v12/a") == 0
    assert winner(router, "/v12/ab") is None
    assert winner(router, "/x/v12/a") is None


def test_a_route_may_mix_plain_paths_and_regexes() -> None:
    router = routes({"paths": ["/plain", r"~/re/\d"]}, {"paths": ["/re/1"]})
    assert [winner(router, path) for path in ("/plain/x", "/re/1", "/re/x")] == [0, 0, None]


@pytest.mark.parametrize("regex", ["/a(?=b)", "/(", r"/(a)\1"])
def test_a_regex_that_re2_does_not_know_is_refused_by_name(regex: str) -> None:
    with pytest.raises(EntityRefused, match=r"path ~.*RE2"):
        routes({"paths": [f"~{regex}"]})


@pytest.mark.parametrize(
    ("regex", "prefix"),
    [
        (r"/api/v\d+", "/api/v"),
        (r"/api\.json$", "/api.json"),
        ("/ab?c", "/a"),
        ("/ab{2}", "/a"),
        ("/a|/b", ""),
        ("(?i)/a", ""),
        (".*", ""),
        ("^/x[0-9]", "/x"),
        ("/ü+", "/"),
        ("/ab(?i)*", "/a"),
        ("/ab(?i)(?s)?c", "/a"),
        (r"/ab\Q\E*", "/a"),
    ],
)
def test_the_literal_prefix_never_promises_too_much(regex: str, prefix: str) -> None:
    assert literal_prefix(regex) == prefix.encode()


@pytest.mark.parametrize(
    ("regex", "literal"),
    [
        (r"/a/(?<id>\d+)/items$", "/items"),
        (r"/\w+/resource042$", "/resource042"),
        (r"/a[bc]+/d\.e", "/d.e"),
        (r"/a.*bc?d", "b"),
        (r"/.(xyz)*/ab{0}c", "/a"),
        (r"/(ab|cd)/efg", ""),
        (r"/\d(?i)abc", ""),
        (r"/\d\Qabc\E", ""),
        (r"/\d\x41abc", ""),
        (r"/[[:alpha:]]abc", ""),
        (r"/plain", ""),
    ],
)
def test_the_required_literal_never_promises_too_much(regex: str, literal: str) -> None:
    assert required_literal(regex) == literal


@settings(max_examples=500, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                *("a", "b", "/", ".", r"\.", r"\d", "[ab]", "[^]a]", "(a)", "(?:b/)", "(?P<n>a)"),
                *("|", "*", "?", "+", "{0,2}", "{0}", "$", "^", "(a(b)c)", r"\b", "(?i)", "é"),
                *(r"\Q", r"\E"),
            ]
        ),
        max_size=8,
    ),
    st.text("ab/.1\né", max_size=8),
)
def test_whatever_an_expression_matches_holds_its_required_literal(
    pieces: list[str], path: str
) -> None:
    regex = "/" + "".join(pieces)
    try:
        compiled = compile_regex(regex, "")
    except EntityRefused:
        return
    asked = f"/{path}".encode()
    if compiled.match(asked):
        assert required_literal(regex) in searchable(asked)
        assert asked.startswith(literal_prefix(regex))


def test_a_removed_route_leaves_nothing_behind() -> None:
    router = routes({"hosts": ["*.a.test"], "paths": ["/x", "~/y"]}, {"headers": {"x": ["1"]}})
    assert winner(router, "/x", host="b.a.test") == 0
    for route_id in IDS:
        router.remove(route_id)
    assert winner(router, "/x", host="b.a.test", headers={"x": [b"1"]}) is None
    assert len(router) == 0


def test_the_cache_knows_requests_apart_by_the_headers_that_routes_ask_for() -> None:
    router = routes({"headers": {"x": ["1"]}}, {"headers": {"x": ["2"]}})
    for _ in range(2):
        assert winner(router, headers={"x": [b"1"]}) == 0
        assert winner(router, headers={"x": [b"2"]}) == 1


def test_a_change_is_seen_through_the_cache() -> None:
    router = routes({"paths": ["/a"]})
    assert winner(router, "/a/b") == 0
    router.add(read_route(json.dumps({"id": IDS[1], "paths": ["/a/b"]})))
    assert winner(router, "/a/b") == 1
    router.remove(IDS[1])
    assert winner(router, "/a/b") == 0


def test_the_work_for_a_look_up_does_not_grow_with_the_routes() -> None:
    router = Router()
    for number in range(5_000):
        fields = {"id": f"{number:036d}", "paths": [f"/tenant/{number:05d}"], "hosts": ["a.test"]}
        router.add(read_route(json.dumps(fields)))
    looked_at = 0

    class CountingBytes(bytes):
        def __getitem__(self, key: Any) -> Any:
            nonlocal looked_at
            looked_at += 1
            return super().__getitem__(key)

    path = CountingBytes(b"/tenant/04711/x")
    match = router.match(Request(b"GET", b"a.test", path, False, b"", 80, lambda _: ()))
    assert match is not None
    assert match.route.paths == (b"/tenant/04711",)
    assert looked_at == 1


@pytest.mark.parametrize("path", ["/a", "~/(?<item>a)"])
def test_a_match_is_equal_to_one_of_the_same_outcome(path: str) -> None:
    asked = Request(b"GET", b"", b"/a", False, b"", 80, lambda _: ())
    router = routes({"paths": [path]})
    match = router.match(asked)
    assert match is not None
    router.add(read_route(json.dumps({"id": IDS[1], "paths": ["/b"]})))
    assert router.match(asked) == match
    router.add(read_route(json.dumps({"id": IDS[2], "paths": [path], "regex_priority": 1})))
    assert router.match(asked) != match
    router.remove(IDS[2])
    assert router.match(asked) == match
    router.remove(IDS[0])
    router.add(read_route(json.dumps({"id": IDS[0], "paths": [path], "strip_path": False})))
    assert router.match(asked) != match
    router.remove(IDS[0])
    assert router.match(asked) != match
