"""Path rules; facts from Kong's spec/fixtures/router_path_handling_tests.lua and tools/uri.lua."""

import pytest

from node.proxy.paths import PathHandling, escape, normalise, upstream_path

HANDLING = """
service    route    strip  request      v0                  v1
/         /        *     /            /                   /
/         /        *     /route       /route              /route
/         /        *     /route/      /route/             /route/
/         /        *     /routereq    /routereq           /routereq
/         /        *     /route/req   /route/req          /route/req
/         /route   -     /route       /route              /route
/         /route   -     /route/      /route/             /route/
/         /route   -     /routereq    /routereq           /routereq
/         /route   +     /route       /                   /
/         /route   +     /route/      /                   /
/         /route   +     /routereq    /req                /req
/         /route/  -     /route/      /route/             /route/
/         /route/  -     /route/req   /route/req          /route/req
/         /route/  +     /route/      /                   /
/         /route/  +     /route/req   /req                /req
/srv      /rou     -     /roureq      /srv/roureq         /srvroureq
/srv      /rou     +     /roureq      /srv/req            /srvreq
/srv/     /rou     -     /rou         /srv/rou            /srv/rou
/srv/     /rou     +     /rou         /srv                /srv/
/service  /        *     /            /service            /service
/service  /        *     /route       /service/route      /serviceroute
/service  /        *     /route/      /service/route/     /serviceroute/
/service  /        *     /routereq    /service/routereq   /serviceroutereq
/service  /        *     /route/req   /service/route/req  /serviceroute/req
/service  /route   -     /route       /service/route      /serviceroute
/service  /route   -     /route/      /service/route/     /serviceroute/
/service  /route   -     /routereq    /service/routereq   /serviceroutereq
/service  /route   +     /route       /service            /service
/service  /route   +     /route/      /service/           /service/
/service  /route   +     /routereq    /service/req        /servicereq
/service  /route/  -     /route/      /service/route/     /serviceroute/
/service  /route/  -     /route/req   /service/route/req  /serviceroute/req
/service  /route/  +     /route/      /service/           /service
/service  /route/  +     /route/req   /service/req        /servicereq
/service/ /        *     /            /service/           /service/
/service/ /        *     /route/      /service/route/     /service/route/
/service/ /        *     /route       /service/route      /service/route
/service/ /        *     /routereq    /service/routereq   /service/routereq
/service/ /        *     /route/req   /service/route/req  /service/route/req
/service/ /route   -     /route       /service/route      /service/route
/service/ /route   -     /route/      /service/route/     /service/route/
/service/ /route   -     /routereq    /service/routereq   /service/routereq
/service/ /route   +     /route       /service            /service/
/service/ /route   +     /route/      /service/           /service/
/service/ /route   +     /routereq    /service/req        /service/req
/service/ /route/  -     /route/      /service/route/     /service/route/
/service/ /route/  -     /route/req   /service/route/req  /service/route/req
/service/ /route/  +     /route/      /service/           /service/
/service/ /route/  +     /route/req   /service/req        /service/req
/         .        *     /            /                   /
/         .        *     /route       /route              /route
/         .        *     /route/      /route/             /route/
/service  .        *     /            /service            /service
/service  .        *     /route       /service/route      /serviceroute
/service  .        *     /route/      /service/route/     /serviceroute/
/service/ .        *     /            /service/           /service/
/service/ .        *     /route       /service/route      /service/route
/service/ .        *     /route/      /service/route/     /service/route/
"""
"""In ``strip``, ``*`` is both; a route ``.`` has no paths."""


@pytest.mark.parametrize("row", HANDLING.splitlines()[2:])
def test_the_upstream_path_is_built_as_kong_builds_it(row: str) -> None:
    service, route, strip, path, v0, v1 = row.split()
    matched = None if route == "." else route.encode()
    expected: list[tuple[PathHandling, str]] = [("v0", v0), ("v1", v1)]
    for handling, result in expected:
        for stripping in {"*": (True, False), "+": (True,), "-": (False,)}[strip]:
            built = upstream_path(service.encode(), path.encode(), matched, stripping, handling)
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
