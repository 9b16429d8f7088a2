"""What a match and a change cost in the worker's router, with many routes and with one.

Pure: no sockets. Times are medians of rounds, of processor time, in microseconds. The router's own
cache of results is passed by except in the row that says so: traffic of few paths never misses it,
traffic of many never hits it.
"""

import argparse
import json
import random
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from node.proxy.entities import Route, read_route
from node.proxy.router import Request, Router
from node.proxy.traditional import TraditionalRouter

FLAVORS: dict[str, type[Router]] = {
    "traditional_compatible": Router,
    "traditional": TraditionalRouter,
}
ROUTES_PER_HOST = 100
ROUNDS = 7
MATCHES = 2_000
CHANGES = 200

Fields = dict[str, Any]


class Case(NamedTuple):
    """Routes and requests of one kind; both by number."""

    name: str
    fields: Callable[[int], Fields]
    path: Callable[[int], str]
    host: Callable[[int], str]
    header: Callable[[int], str] = lambda number: ""
    """The value of X-Version."""
    goal_us: float = 1.0
    floor_us: float = 2.0


def _host(number: int) -> str:
    return f"h{number // ROUTES_PER_HOST}.test"


def _path(number: int) -> str:
    return f"/api/v1/resource{number % ROUTES_PER_HOST:03}"


CASES = (
    Case(
        "plain hosts and prefixes",
        lambda number: {"hosts": [_host(number)], "paths": [_path(number)]},
        lambda number: f"{_path(number)}/items/7",
        _host,
    ),
    Case(
        "one host, plain prefixes",
        lambda number: {"paths": [f"/r{number:06}"]},
        lambda number: f"/r{number:06}/items/7",
        lambda number: "a.test",
    ),
    Case(
        "headers",
        lambda number: {
            "hosts": [_host(number)],
            "paths": [_path(number // 4 * 4)],
            "headers": {"x-version": [str(number % 4)]},
        },
        lambda number: f"{_path(number // 4 * 4)}/items/7",
        _host,
        lambda number: str(number % 4),
        20.0,
        50.0,
    ),
    Case(
        "wildcard hosts",
        lambda number: {"hosts": [f"*.{_host(number)}"], "paths": [_path(number)]},
        lambda number: f"{_path(number)}/items/7",
        lambda number: f"www.{_host(number)}",
        goal_us=20.0,
        floor_us=50.0,
    ),
    Case(
        "regexes",
        lambda number: {
            "hosts": [_host(number)],
            "paths": [rf"~{_path(number)}/items/(?<item>\d+)$"],
        },
        lambda number: f"{_path(number)}/items/7",
        _host,
        goal_us=20.0,
        floor_us=50.0,
    ),
    Case(
        "regexes, one prefix",
        lambda number: {
            "hosts": [_host(number)],
            "paths": [rf"~/(?<kind>\w+)/resource{number % ROUTES_PER_HOST:03}$"],
        },
        lambda number: f"/things/resource{number % ROUTES_PER_HOST:03}",
        _host,
        goal_us=20.0,
        floor_us=50.0,
    ),
    Case(
        "mixed",
        lambda number: (
            {"hosts": [_host(number)], "paths": [_path(number)]}
            if number % 10
            else {
                "hosts": [f"*.h{number}.test", _host(number)],
                "paths": [rf"~{_path(number)}/\d+$"],
                "headers": {"x-version": ["1"]},
                "methods": ["GET", "POST"],
            }
        ),
        lambda number: f"{_path(number)}/7",
        _host,
        lambda number: "1",
        20.0,
        50.0,
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.router", description=__doc__)
    parser.add_argument("--routes", type=int, default=100_000)
    parser.add_argument("--short", action="store_true", help="10,000 routes, the first case")
    arguments = parser.parse_args()
    count = 10_000 if arguments.short else arguments.routes
    rows = list(_rows(count, CASES[:1] if arguments.short else CASES))
    print(f"{'flavor':24}{'routes':>8}  {'case':26}{'match':>8}{'p99':>8}{'miss':>8}{'change':>9}")
    for row in rows:
        print(
            f"{row['flavor']:24}{row['routes']:8}  {row['case']:26}{row['match_us']:8.2f}"
            f"{row['match_p99_us']:8.1f}{row['miss_us']:8.2f}{row['change_us']:9.1f}"
            f"  {'' if row['match_us'] <= row['goal_us'] else 'over the goal'}"
        )
    print(json.dumps({"benchmark": "router", "rows": rows}))


def _rows(count: int, cases: tuple[Case, ...]) -> Iterator[dict[str, Any]]:
    for flavor, router in FLAVORS.items():
        for case in cases:
            sizes = (1, count // 10, count) if case is cases[0] else (count,)
            for size in sizes:
                yield {"flavor": flavor, "routes": size, "case": case.name} | _measured(
                    router(), case, size
                )


def _measured(router: Router, case: Case, count: int) -> dict[str, float]:
    rng = random.Random(count)
    for number in range(count):
        router.add(_route(case, number))
    asked = [_request(case, rng.randrange(count)) for _ in range(MATCHES)]
    missing = [request._replace(host=b"none.example", path=b"/none") for request in asked]
    for request in asked[:20]:
        assert router.match(request) is not None, request
    single = sorted(_timed(lambda request=request: router._search(request)) for request in asked)  # type: ignore[misc]
    return {
        "match_us": _each(router._search, asked),
        "match_p99_us": single[int(len(single) * 0.99)] * 1e6,
        "miss_us": _each(router._search, missing),
        "cached_us": _each(router.match, asked[:100] * 20),
        "change_us": _change(router, case, count, rng),
        "goal_us": case.goal_us,
        "floor_us": case.floor_us,
    }


def _each(look_up: Callable[[Request], object], requests: list[Request]) -> float:
    """Microseconds for each."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for request in requests:
            look_up(request)
        rounds.append((time.process_time() - started) / len(requests) * 1e6)
    return statistics.median(rounds)


def _change(router: Router, case: Case, count: int, rng: random.Random) -> float:
    """Microseconds to replace one route by another one of the same kind."""
    routes = [_route(case, rng.randrange(count)) for _ in range(CHANGES)]

    def replace(route: Route) -> None:
        router.remove(route.id)
        router.add(route)

    return statistics.median(_timed(lambda route=route: replace(route)) for route in routes) * 1e6  # type: ignore[misc]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _route(case: Case, number: int) -> Route:
    entity = {"id": str(uuid.UUID(int=number)), "created_at": 1_700_000_000 + number}
    return read_route(json.dumps(entity | case.fields(number)))


def _request(case: Case, number: int) -> Request:
    value = case.header(number).encode()
    return Request(
        b"GET",
        case.host(number).encode(),
        case.path(number).encode(),
        False,
        b"",
        8000,
        lambda name: [value] if value and name == b"x-version" else [],
    )


if __name__ == "__main__":
    main()
