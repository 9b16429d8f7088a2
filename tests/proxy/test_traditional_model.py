"""The index of the flavor ``traditional`` against its rules, followed list by list as Kong does."""

import json
import re
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.proxy.entities import EntityRefused, read_route
from node.proxy.router import Request
from node.proxy.traditional import TraditionalRouter

WEIGHTS = {"hosts": 0x40, "headers": 0x20, "paths": 0x10, "methods": 0x08, "snis": 0x04}


@dataclass
class Pseudo:
    """A route with one of its paths (rule 1)."""

    fields: dict[str, Any]
    path: str | None
    number: int

    @property
    def category(self) -> int:
        return sum(bit for name, bit in WEIGHTS.items() if self.fields.get(name))

    def order(self) -> tuple[Any, ...]:
        """Rule 3: how they are sorted."""
        hosts = self.fields.get("hosts") or []
        wildcards = [host for host in hosts if "*" in host]
        is_regex = (self.path or "").startswith("~")
        weight = 4 if any(":" in host for host in wildcards) else 0
        weight += 2 if hosts and not wildcards else 0
        weight += 1 if is_regex else 0
        return (
            -weight,
            -len(self.fields.get("headers") or {}),
            -self.fields["regex_priority"] if is_regex else 0,
            0 if is_regex else -len(self.path or ""),
            self.fields["created_at"],
            self.fields["id"],
            self.number,
        )


@dataclass
class Asked:
    """A request, as the rules see it."""

    method: str
    host: str
    path: str
    ssl: bool
    sni: str
    headers: dict[str, list[str]] = field(default_factory=dict)

    @property
    def without_port(self) -> str:
        return self.host.partition(":")[0]

    @property
    def with_port(self) -> str:
        return self.host if ":" in self.host else f"{self.host}:{443 if self.ssl else 80}"

    def request(self) -> Request:
        return Request(
            self.method.encode(),
            self.without_port.encode(),
            self.path.encode(),
            self.ssl,
            self.sni.encode(),
            8000,
            lambda name: [value.encode() for value in self.headers.get(name.decode(), [])],
            int(self.host.partition(":")[2] or 0),
        )


def wildcard_fits(pattern: str, asked: Asked) -> bool:
    """Rule 5: the pattern as an expression, on the host with its port."""
    if not asked.host:
        return False
    text = pattern.replace(".", r"\.").replace("*", ".+")
    port = "" if ":" in pattern else r"(?::\d+)?"
    return re.match(f"{text}{port}$", asked.with_port) is not None


def path_fits(path: str, asked: Asked) -> bool:
    if path.startswith("~"):
        return re.match(path[1:], asked.path) is not None
    return asked.path.startswith(path)


def header_fits(values: list[str], sent: list[str]) -> bool:
    lowered = [value.lower() for value in sent]
    if any(value.lower() in lowered for value in values):
        return True
    if len(values) == 1 and values[0].startswith("~*"):
        return any(re.search(values[0][2:], value) for value in lowered)
    return False


def fits(pseudo: Pseudo, asked: Asked) -> bool:
    """Rule 5."""
    fields = pseudo.fields
    hosts = fields.get("hosts")
    if hosts and not any(
        wildcard_fits(host, asked)
        if "*" in host
        else bool(asked.host) and host in (asked.host, asked.without_port)
        for host in hosts
    ):
        return False
    for name, values in (fields.get("headers") or {}).items():
        if not header_fits(values, asked.headers.get(name, [])):
            return False
    if pseudo.path is not None and not path_fits(pseudo.path, asked):
        return False
    if fields.get("methods") and asked.method not in fields["methods"]:
        return False
    return not (fields.get("snis") and asked.ssl and asked.sni not in fields["snis"])


class Model:
    """Rules 1 to 4 over lists."""

    def __init__(self, routes: list[dict[str, Any]]) -> None:
        pseudos = [
            Pseudo(fields, path, number)
            for fields in routes
            for number, path in enumerate(plain_first(fields.get("paths")) or [None])
        ]
        self.sorted = sorted(pseudos, key=Pseudo.order)

    def winner(self, asked: Asked) -> str | None:
        hits, could = self._could(asked)
        if not could:
            return None
        categories = sorted(
            {pseudo.category for pseudo in self.sorted},
            key=lambda bits: (-bits.bit_count(), -bits),
        )
        start = categories.index(could) if could in categories else 0
        for bits in categories[start:]:
            routes = [pseudo for pseudo in self.sorted if pseudo.category == bits]
            for candidates in (self._reduced(bits, routes, hits), routes):
                for pseudo in candidates:
                    if fits(pseudo, asked):
                        return str(pseudo.fields["id"])
        return None

    def _could(self, asked: Asked) -> tuple[dict[str, str], int]:
        """Rule 4: by what it might be matched."""
        hits = {"methods": asked.method, "snis": asked.sni, "hosts": asked.host}
        could = 0
        names = [
            (pseudo.order(), name)
            for pseudo in self.sorted
            for name in pseudo.fields.get("headers") or {}
            if asked.headers.get(name)
        ]
        if names:
            hits["headers"] = min(names)[1]
            could |= WEIGHTS["headers"]
        hosts = [host for pseudo in self.sorted for host in pseudo.fields.get("hosts") or []]
        if asked.host and {asked.with_port, asked.without_port} & set(hosts):
            could |= WEIGHTS["hosts"]
        else:
            wild = [
                (pseudo.order(), host)
                for pseudo in self.sorted
                for host in pseudo.fields.get("hosts") or []
                if "*" in host and wildcard_fits(host, asked)
            ]
            if wild:
                hits["hosts"] = min(wild)[1]
                could |= WEIGHTS["hosts"]
        could |= self._could_by_path(asked, hits)
        for name, value in (("methods", asked.method), ("snis", asked.sni)):
            if any(value in (pseudo.fields.get(name) or []) for pseudo in self.sorted):
                could |= WEIGHTS[name]
        return hits, could

    def _could_by_path(self, asked: Asked, hits: dict[str, str]) -> int:
        paths = [pseudo.path for pseudo in self.sorted if pseudo.path is not None]
        fitting = [path for path in paths if path.startswith("~") and path_fits(path, asked)]
        if not fitting:
            plain = [path for path in paths if path.startswith("/") and path_fits(path, asked)]
            fitting = sorted(plain, key=len, reverse=True)
        if not fitting:
            return 0
        hits["paths"] = fitting[0]
        return WEIGHTS["paths"]

    def _reduced(self, bits: int, routes: list[Pseudo], hits: dict[str, str]) -> list[Pseudo]:
        smallest: list[Pseudo] | None = None
        for name, bit in WEIGHTS.items():
            if not bits & bit or name not in hits:
                continue
            if name == "paths":
                bucket = [pseudo for pseudo in routes if pseudo.path == hits[name]]
            else:
                bucket = [pseudo for pseudo in routes if hits[name] in (pseudo.fields[name])]
            if not bucket:
                continue
            if name == "headers":
                return bucket
            if smallest is None or len(bucket) < len(smallest):
                smallest = bucket
        return smallest or []


def plain_first(paths: list[str] | None) -> list[str]:
    """The order that settles what Kong leaves to chance."""
    return sorted(paths or [], key=lambda path: path.startswith("~"))


HOSTS = ["a.test", "b.a.test", "a.test:81", "*.test", "*.a.test", "a.*", "*.test:81", "b.*:443"]
PATHS = ["/", "/a", "/ab", "/a/b", "/b", "~/a/[bc]", "~/a.*b$", "~/[ab]+/b", "~/b|/a"]
HEADERS: list[dict[str, list[str]]] = [
    {},
    {"x": ["1"]},
    {"y": ["2"]},
    {"x": ["1", "2"], "y": ["1"]},
    {"x": ["~*^[12]$"]},
    {"y": ["1", "~*2"]},
]


def some(values: list[str], size: int = 3, least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=size, unique=True)


definitions = st.fixed_dictionaries(
    {
        "hosts": some(HOSTS),
        "paths": some(PATHS),
        "methods": some(["GET", "POST"]),
        "headers": st.sampled_from(HEADERS),
        "snis": some(["a.test", "b.test"], 2),
        "regex_priority": st.integers(0, 2),
        "created_at": st.integers(1, 3),
    }
)


def rivals(paths: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """In few categories, so that it matters what the bucket is."""
    return st.fixed_dictionaries(
        {
            "hosts": some(["a.test", "a.test:81", "*.test", "a.*"], 2, least=1),
            "paths": some(paths, 2, least=1),
            "methods": st.just([]),
            "headers": st.sampled_from([{}, {}, {"x": ["1"]}, {"y": ["2"]}]),
            "snis": st.just([]),
            "regex_priority": st.integers(0, 2),
            "created_at": st.integers(1, 3),
        }
    )


def changes_of(
    routes: st.SearchStrategy[dict[str, Any]], least: int = 0
) -> st.SearchStrategy[list[tuple[int, dict[str, Any] | None]]]:
    return st.lists(st.tuples(st.integers(0, 9), st.none() | routes), min_size=least, max_size=20)


requests = st.builds(
    Asked,
    method=st.sampled_from(["GET", "POST", "PUT"]),
    host=st.sampled_from(
        ["a.test", "a.test:81", "b.a.test", "c.test", "c.test:81", "a.example", "b.example", ""]
    ),
    path=st.sampled_from(["/", "/a", "/abc", "/a/b", "/a/c/b", "/ab/b", "/b", "/c"]),
    ssl=st.booleans(),
    sni=st.sampled_from(["", "a.test", "b.test", "c.test"]),
    headers=st.fixed_dictionaries(
        {name: st.sampled_from([[], ["1"], ["2"], ["3", "1"]]) for name in ("x", "y")}
    ),
).map(lambda asked: asked if asked.ssl else replace(asked, sni=""))
"""Without TLS there is no server name."""
contested = st.builds(
    Asked,
    method=st.just("GET"),
    host=st.sampled_from(["a.test", "a.test:81", "c.test"]),
    path=st.sampled_from(["/a", "/a/b"]),
    ssl=st.just(False),
    sni=st.just(""),
    headers=st.sampled_from([{}, {"x": ["1"], "y": ["2"]}]),
)
"""What most of the rivals match."""


@settings(max_examples=400, deadline=None)
@given(
    st.tuples(changes_of(definitions), st.lists(requests, min_size=1, max_size=6))
    | st.tuples(
        changes_of(rivals(["/", "/a", "/a/b"]), least=4)
        | changes_of(rivals(["/a", "/a/b", "~/a.*b$"]), least=4),
        st.lists(contested, min_size=2, max_size=6),
    )
)
def test_after_any_changes_the_winner_is_the_one_that_the_rules_name(
    drawn: tuple[list[tuple[int, dict[str, Any] | None]], list[Asked]],
) -> None:
    changes, asked = drawn
    router, routes = TraditionalRouter(), dict[str, dict[str, Any]]()
    for number, fields in changes:
        route_id = str(uuid.UUID(int=number))
        router.remove(route_id)
        routes.pop(route_id, None)
        if fields is not None and any(fields[name] for name in WEIGHTS):
            routes[route_id] = {"id": route_id, **fields}
            route = read_route(json.dumps(routes[route_id]))
            router.add(route)
            assert router.holds(route)
    model = Model(list(routes.values()))
    for each in asked:
        match = router.match(each.request())
        assert (match.route.id if match else None) == model.winner(each)
    for route_id in list(routes):
        router.remove(route_id)
    assert shape(router) == shape(TraditionalRouter()), "nothing is left behind"


def shape(value: object) -> object:
    """An object's content, as something that can be compared."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items() if key != "_cache"}
    if isinstance(value, tuple | list):
        return [shape(each) for each in value]
    if type(value).__module__.startswith("node."):
        names = getattr(value, "__slots__", None) or vars(value)
        return {name: shape(getattr(value, name)) for name in names if name != "_cache"}
    return value


def test_a_route_that_nothing_could_match_is_refused() -> None:
    with pytest.raises(EntityRefused, match="nothing to be matched by"):
        TraditionalRouter().add(read_route('{"id": "r"}'))


A, B, C = {"hosts": ["a.test"]}, {"hosts": ["*.test"]}, {"hosts": ["a.test:81"]}
X, Y = {"headers": {"x": ["1"]}}, {"headers": {"y": ["2"]}}
SENT = {"x": ["1"], "y": ["2"]}


@pytest.mark.parametrize(
    ("routes", "host", "headers"),
    [
        pytest.param(
            [A | {"paths": ["/a"]}, A | {"paths": ["/"]}, B | {"paths": ["/a/b"]}],
            "a.test",
            {},
            id="few have the longest path",
        ),
        pytest.param(
            [A | {"paths": ["/a/b"]}, A | {"paths": ["/"]}, B | {"paths": ["~/a.*b"]}],
            "a.test",
            {},
            id="few have the expression",
        ),
        pytest.param(
            [A | {"paths": ["/a"]}, A | {"paths": ["/a"]}, C | {"paths": ["/"]}],
            "a.test:81",
            {},
            id="few have the port",
        ),
        pytest.param(
            [A | Y, B | X, A | {"headers": {"x": ["1"], "z": ["3"]}, "snis": ["b"]}],
            "a.test",
            SENT,
            id="the header that a route of another category has first",
        ),
    ],
)
def test_the_bucket_comes_before_whoever_would_be_first(
    routes: list[dict[str, Any]], host: str, headers: dict[str, list[str]]
) -> None:
    fields = [
        {"id": str(uuid.UUID(int=number)), "created_at": 1, "regex_priority": 0, **route}
        for number, route in enumerate(routes)
    ]
    every = [{name: each.get(name, []) for name in WEIGHTS} | each for each in fields]
    asked = Asked("GET", host, "/a/b", True, "a.test", headers)
    winner = Model(every).winner(asked)
    assert winner == fields[2 if not headers else 1]["id"]
    router = TraditionalRouter()
    for each in fields:
        router.add(read_route(json.dumps(each)))
    match = router.match(asked.request())
    assert match is not None
    assert match.route.id == winner


def test_without_tls_a_route_with_server_names_comes_after_those_that_have_what_was_asked() -> None:
    router = TraditionalRouter()
    for number, snis in enumerate((["b"], [])):
        fields = A | {"id": str(uuid.UUID(int=number)), "paths": ["/a"], "snis": snis}
        router.add(read_route(json.dumps(fields)))
    for path, winner in (("/a", 1), ("/b", None)):
        match = router.match(Asked("GET", "a.test", path, False, "").request())
        assert (match and match.route.id) == (winner and str(uuid.UUID(int=winner)))
    router.remove(str(uuid.UUID(int=1)))
    assert router.match(Asked("GET", "a.test", "/a", False, "").request()) is not None
