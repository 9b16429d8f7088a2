"""Path rules; facts from Kong's spec/fixtures/router_path_handling_tests.lua and tools/uri.lua."""

import pytest

from node.proxy.paths import PathHandling, escape, normalise, upstream_path

# service path, route path, strip_path, request path, v0, v1
HANDLING: list[tuple[str, str | None, bool | None, str, str, str]] = [
    ("/", "/", None, "/", "/", "/"),
    ("/", "/", None, "/route", "/route", "/route"),
    ("/", "/", None, "/route/", "/route/", "/route/"),
    ("/", "/route", False, "/route", "/route", "/route"),
    ("/", "/route", False, "/routereq", "/routereq", "/routereq"),
    ("/", "/route", True, "/route", "/", "/"),
    ("/", "/route", True, "/route/", "/", "/"),
    ("/", "/route", True, "/routereq", "/req", "/req"),
    ("/", "/route/", True, "/route/", "/", "/"),
    ("/", "/route/", True, "/route/req", "/req", "/req"),
    ("/srv", "/rou", False, "/roureq", "/srv/roureq", "/srvroureq"),
    ("/srv", "/rou", True, "/roureq", "/srv/req", "/srvreq"),
    ("/srv/", "/rou", False, "/rou", "/srv/rou", "/srv/rou"),
    ("/srv/", "/rou", True, "/rou", "/srv", "/srv/"),
    ("/service", "/", None, "/", "/service", "/service"),
    ("/service", "/", None, "/route", "/service/route", "/serviceroute"),
    ("/service", "/", None, "/route/", "/service/route/", "/serviceroute/"),
    ("/service", "/route", False, "/route", "/service/route", "/serviceroute"),
    ("/service", "/route", True, "/route", "/service", "/service"),
    ("/service", "/route", True, "/route/", "/service/", "/service/"),
    ("/service", "/route", True, "/routereq", "/service/req", "/servicereq"),
    ("/service", "/route/", False, "/route/", "/service/route/", "/serviceroute/"),
    ("/service", "/route/", True, "/route/", "/service/", "/service"),
    ("/service", "/route/", True, "/route/req", "/service/req", "/servicereq"),
    ("/service/", "/", None, "/", "/service/", "/service/"),
    ("/service/", "/", None, "/route", "/service/route", "/service/route"),
    ("/service/", "/route", False, "/routereq", "/service/routereq", "/service/routereq"),
    ("/service/", "/route", True, "/route", "/service", "/service/"),
    ("/service/", "/route", True, "/route/", "/service/", "/service/"),
    ("/service/", "/route", True, "/routereq", "/service/req", "/service/req"),
    ("/service/", "/route/", True, "/route/", "/service/", "/service/"),
    ("/service/", "/route/", True, "/route/req", "/service/req", "/service/req"),
    ("/", None, None, "/route/", "/route/", "/route/"),
    ("/service", None, None, "/", "/service", "/service"),
    ("/service", None, None, "/route", "/service/route", "/serviceroute"),
    ("/service/", None, None, "/", "/service/", "/service/"),
    ("/service/", None, None, "/route/", "/service/route/", "/service/route/"),
]


@pytest.mark.parametrize(("base", "matched", "strip", "path", "v0", "v1"), HANDLING)
def test_the_upstream_path_is_built_as_kong_builds_it(
    base: str, matched: str | None, strip: bool | None, path: str, v0: str, v1: str
) -> None:
    prefix = None if matched is None else matched.encode()
    expected: list[tuple[PathHandling, str]] = [("v0", v0), ("v1", v1)]
    for handling, result in expected:
        for stripping in (True, False) if strip is None else (strip,):
            built = upstream_path(base.encode(), path.encode(), prefix, stripping, handling)
            assert built == result.encode(), (handling, stripping)


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        (b"/", b"/"),
        (b"/a/b", b"/a/b"),
        (b"/a//b///c", b"/a/b/c"),
        (b"/a/./b/.", b"/a/b/"),
        (b"/a/../../b/..", b"/"),
        (b"/a/b/..", b"/a/"),
        (b"/a/b//", b"/a/b/"),
        (b"/..hidden/.well-known", b"/..hidden/.well-known"),
        (b"/%61%2d%7e", b"/a-~"),
        (b"/%2e%2e/a", b"/a"),
        (b"/a%2fb%3F", b"/a%2Fb%3F"),
        (b"/a%20b", b"/a b"),
        (b"/100%", b"/100%"),
    ],
)
def test_paths_are_normalised_before_routing(raw: bytes, normal: bytes) -> None:
    assert normalise(raw) == normal


def test_what_may_not_stand_in_a_target_is_escaped_again() -> None:
    assert escape(normalise(b"/a%20%22%0d%0aX:%20y%C3%A9")) == b"/a%20%22%0D%0AX:%20y%C3%A9"


def test_a_stripped_path_can_not_climb_out_of_the_service() -> None:
    assert upstream_path(b"/base", b"/x../secret", b"/x", True) == b"/base/secret"
