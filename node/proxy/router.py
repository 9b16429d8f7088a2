"""Kong's router of flavor ``traditional_compatible``, as an index that changes route by route.

Each route becomes candidates with one integer priority; of all candidates that match a request,
the one of highest (priority, route id) wins (kong/router/transform.lua; the tie is broken as
ATC's ordered map does). Priorities, from the highest bit down: how many kinds of attribute are
set; no wildcard host; number of headers; a regex path; regex_priority; length of the plain path.

No request is compared with all routes. Candidates are kept per host pattern, and there by the
literal prefix that a path must have to match: a plain path is its own prefix, and a regex has the
one that its first characters spell. So a look-up costs a few dict accesses for each length of
prefix in use, whatever the number of routes, and a change touches the candidates of its route only.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import re2

from node.proxy import limits
from node.proxy.entities import EntityRefused, HeaderPattern, Route
from node.proxy.regexes import compile_regex, literal_prefix, required_literal, searchable

REGEX_PRIORITY_MAX = 2**32 - 1
HEADER_COUNT_MAX = 255
_PATH_LENGTH_MASK = 0x7FFFF


class Request(NamedTuple):
    """What of a request the router looks at."""

    method: bytes
    host: bytes
    """Lower-cased, without port."""
    path: bytes
    """Normalised."""
    ssl: bool
    sni: bytes
    """Lower-cased; empty without TLS or name."""
    port: int
    """The listener's."""
    header_values: Callable[[bytes], Iterable[bytes]]
    """All values of the field of that (lower-cased) name."""
    named_port: int = 0
    """The port in the Host field; 0: none."""


Rank = tuple[int | str | bytes, ...]
"""Sorts the winner first."""


class Match:
    """The outcome of a look-up; never changed. It is equal to one of the same outcome."""

    __slots__ = ("groups", "matched", "rank", "route")

    def __init__(
        self,
        route: Route,
        rank: Rank,
        matched: bytes | None,
        groups: "Callable[[bytes], re2._Match[bytes] | None] | None" = None,
    ) -> None:
        self.route = route
        self.rank = rank
        self.matched = matched
        """The part of the path that the route's path matched; None when it has no paths."""
        self.groups = groups
        """Matches a path anew, for the groups of the expression; None without one."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Match) and (self.route, self.matched, self.groups) == (
            other.route,
            other.matched,
            other.groups,
        )


class HeaderPredicate:
    """A header condition of a candidate, its expressions compiled."""

    __slots__ = ("_expressions", "_values", "name")

    def __init__(self, pattern: HeaderPattern) -> None:
        self.name = pattern.name
        self._values = pattern.values
        self._expressions = [
            compile_regex(text.lower(), "header value ~*") for text in pattern.expressions
        ]

    def __call__(self, request: Request) -> bool:
        for value in request.header_values(self.name):
            lowered = value.lower()
            if lowered in self._values:
                return True
            if any(expression.search(lowered) for expression in self._expressions):
                return True
        return False


class _Shape(NamedTuple):
    """A candidate to be, and where."""

    host: bytes | None
    wildcard: int
    prefix: bytes
    priority: int
    plain: bytes | None
    regex: str | None
    port: int


class Candidate(Match):
    """A route, or the part of it whose paths have one priority, under one host pattern.

    Without an expression it is its own match: one object fewer for each of very many routes.
    """

    __slots__ = ("_simple", "headers", "needs", "port", "regex", "sure")

    def __init__(
        self,
        route: Route,
        rank: Rank,
        plain: bytes | None,
        regex: "re2._Regexp[bytes] | None",
        headers: Sequence[HeaderPredicate],
        port: int,
    ) -> None:
        super().__init__(route, rank, plain)
        self._simple = not (route.methods or route.snis or headers or port)
        self.sure = self._simple and regex is None
        """Whether nothing but host and literal prefix is asked for."""
        self.needs = "" if regex is None else required_literal(regex.pattern.decode())
        """What a path must hold for the expression to match it."""
        self.regex = regex
        self.headers = headers
        self.port = port

    def has(self, shape: _Shape) -> bool:
        """Whether it is what it was made to be."""
        pattern = None if self.regex is None else self.regex.pattern
        return (
            self.rank == _rank_of(self.route, shape.priority)
            and (self.matched, self.port) == (shape.plain, shape.port)
            and pattern == (None if shape.regex is None else shape.regex.encode())
            and len(self.headers) == len(self.route.headers)
        )

    def match(self, request: Request) -> Match | None:
        """The host and the path's literal prefix are known to fit, and the path to hold what it
        must."""
        if not (self._simple or self._fits(request)):
            return None
        return self if self.regex is None else self.run(request.path)

    def run(self, path: bytes) -> Match | None:
        """The match of the expression."""
        assert self.regex is not None
        found = self.regex.match(path)
        if found is None:
            return None
        return Match(self.route, self.rank, found.group(0), self.regex.match)

    def _fits(self, request: Request) -> bool:
        """Whether everything but host and path fits."""
        route = self.route
        if route.methods and request.method not in route.methods:
            return False
        if self.port and request.port != self.port:
            return False
        if route.snis and request.ssl and not _sni_fits(route.snis, request.sni):
            return False
        return all(header(request) for header in self.headers)


def _rank(candidate: Candidate) -> Rank:
    return candidate.rank


class PrefixIndex:
    """Candidates of one host pattern, by the literal prefix of their path.

    A look-up among very many routes costs what it touches that no processor's cache holds. So the
    only candidate of a prefix, as most are, stands there itself if it is sure to match; others are
    in a sorted list.
    """

    __slots__ = ("_counts", "_lengths", "by_prefix")

    def __init__(self) -> None:
        self.by_prefix: dict[bytes, Candidate | list[Candidate]] = {}
        self._counts: dict[int, int] = {}
        """How many prefixes there are of each length."""
        self._lengths: tuple[int, ...] = ()
        """The lengths in use."""

    def add(self, prefix: bytes, candidate: Candidate) -> None:
        present = self.by_prefix.get(prefix)
        if present is None:
            self.by_prefix[prefix] = candidate if candidate.sure else [candidate]
            self._count(len(prefix), 1)
        elif isinstance(present, list):
            insort(present, candidate, key=_rank)
        else:
            self.by_prefix[prefix] = sorted((present, candidate), key=_rank)

    def remove(self, prefix: bytes, candidate: Candidate) -> None:
        present = self.by_prefix[prefix]
        if isinstance(present, list):
            del present[_position(present, candidate)]
            if len(present) == 1 and present[0].sure:
                self.by_prefix[prefix] = present[0]
        if present is candidate or not present:
            del self.by_prefix[prefix]
            self._count(len(prefix), -1)

    def _count(self, length: int, by: int) -> None:
        """A prefix of that length came (1) or went (-1)."""
        count = self._counts[length] = self._counts.get(length, 0) + by
        if not count:
            del self._counts[length]
        if count == (by > 0):  # the first one, or the last one
            self._lengths = tuple(self._counts)

    def has(self, prefix: bytes, candidate: Candidate) -> bool:
        """Whether this very candidate would be found."""
        present = self.by_prefix.get(prefix, [])
        if isinstance(present, list):
            position = _position(present, candidate)
            found = position < len(present)
        else:
            found = present is candidate
        return found and len(prefix) in self._lengths

    def under(self, path: bytes) -> Iterable[Sequence[Candidate]]:
        """The candidates whose literal prefix a path has, sorted."""
        for length in self._lengths:
            if length <= len(path):
                found = self.by_prefix.get(path[:length])
                if found is not None:
                    yield found if isinstance(found, list) else (found,)

    def best(self, request: Request, best: Match | None, passed_over: set[str]) -> Match | None:
        """The better one of ``best`` and the first here that matches, those of some services
        passed over."""
        path = request.path
        size = len(path)
        at = self.by_prefix.get
        for length in self._lengths:
            if length > size:
                continue
            found = at(path[:length])
            if found is None:
                continue
            if isinstance(found, list):
                best = first_of(found, request, best, passed_over)
            elif (best is None or found.rank < best.rank) and not (
                passed_over and found.route.service_id in passed_over
            ):
                best = found
        return best


def first_of(
    candidates: list[Candidate], request: Request, best: Match | None, passed_over: set[str]
) -> Match | None:
    """The first in a sorted list that matches, if it is better than ``best``; else that."""
    text = searchable(request.path)
    for candidate in candidates:
        if best is not None and candidate.rank >= best.rank:
            break
        if candidate.needs not in text:
            continue
        if passed_over and candidate.route.service_id in passed_over:
            continue
        match = candidate if candidate.sure else candidate.match(request)
        if match is not None:
            return match
    return best


def _position(candidates: list[Candidate], candidate: Candidate) -> int:
    """Where this very one stands in a sorted list; behind its end when it doesn't."""
    position = bisect_left(candidates, candidate.rank, key=_rank)
    while position < len(candidates) and candidates[position] is not candidate:
        position += 1
    return position


class HostIndex:
    """Prefix indexes by host pattern: exact, by suffix, by prefix, and for any host."""

    def __init__(self) -> None:
        self._indexes: tuple[dict[bytes, PrefixIndex], ...] = ({}, {}, {})
        """Exact, prefix (``a.*``), suffix (``*.a``): by HostPattern.wildcard 0, 1 and -1."""
        self._any = PrefixIndex()
        self._lengths: tuple[dict[int, int], ...] = ({}, {}, {})

    def at(self, text: bytes | None, wildcard: int) -> PrefixIndex:
        """The index of a pattern, made if need be; ``text`` None stands for any host."""
        if text is None:
            return self._any
        index = self._indexes[wildcard].get(text)
        if index is None:
            index = self._indexes[wildcard][text] = PrefixIndex()
            lengths = self._lengths[wildcard]
            lengths[len(text)] = lengths.get(len(text), 0) + 1
        return index

    def prune(self, text: bytes | None, wildcard: int) -> None:
        """Forget a pattern that has no candidates any more."""
        if text is None or self._indexes[wildcard][text].by_prefix:
            return
        del self._indexes[wildcard][text]
        lengths = self._lengths[wildcard]
        lengths[len(text)] -= 1
        if not lengths[len(text)]:
            del lengths[len(text)]

    def has(self, place: "Place") -> bool:
        """Whether what stands there would be found."""
        if place.host is None:
            return self._any.has(place.prefix, place.candidate)
        index = self._indexes[place.wildcard].get(place.host)
        return (
            index is not None
            and len(place.host) in self._lengths[place.wildcard]
            and index.has(place.prefix, place.candidate)
        )

    def best(self, request: Request, passed_over: set[str]) -> Match | None:
        """The first of all candidates that matches, those of some services passed over."""
        best: Match | None = None
        for index in self.matching(request.host):
            best = index.best(request, best, passed_over)
        return best

    def matching(self, host: bytes) -> list[PrefixIndex]:
        """The indexes of all patterns that a host fits."""
        exact, prefixes, suffixes = self._indexes
        index = exact.get(host)
        found = [] if index is None else [index]
        if suffixes:
            for length in self._lengths[-1]:
                index = suffixes.get(host[-length:]) if length <= len(host) else None
                if index is not None:
                    found.append(index)
        if prefixes:
            for length in self._lengths[1]:
                index = prefixes.get(host[:length])
                if index is not None:
                    found.append(index)
        if self._any.by_prefix:
            found.append(self._any)
        return found


class Place(NamedTuple):
    host: bytes | None
    wildcard: int
    prefix: bytes
    candidate: Candidate


class Router:
    """Finds the route of a request. Pure: no clock, no I/O."""

    def __init__(self) -> None:
        self._hosts = HostIndex()
        self._places: dict[str, list[Place]] = {}
        self._header_names: dict[bytes, int] = {}
        """How many routes ask for each header."""
        self._passed_over: set[str] = set()
        """Services whose routes match nothing for now."""
        self._cache: dict[tuple[object, ...], Match | None] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, route: Route) -> None:
        """Add a route that isn't there yet. Raises EntityRefused for a bad regex."""
        self._add(route, self._places_for(route))

    def add_after(self, other: "Router", route: Route) -> None:
        """Add a route that another router of this flavor has. What was made of it there, which
        never changes, is shared; it is most of the work."""
        self._add(route, other._places[route.id])

    def _add(self, route: Route, places: list[Place]) -> None:
        assert route.id not in self._places
        self._put(route, places)
        for header in route.headers:
            self._header_names[header.name] = self._header_names.get(header.name, 0) + 1
        self._places[route.id] = places
        self._cache.clear()

    def remove(self, route_id: str) -> None:
        """Remove a route; one that isn't there is none."""
        places = self._places.pop(route_id, None)
        if places is None:
            return
        route = places[0].candidate.route
        self._take(route, places)
        for header in route.headers:
            self._header_names[header.name] -= 1
            if not self._header_names[header.name]:
                del self._header_names[header.name]
        self._cache.clear()

    def holds(self, route: Route) -> bool:
        """Whether this very route is where it would be looked for."""
        places = self._places.get(route.id, [])
        shapes = _shapes(route)
        return len(places) == len(shapes) and all(
            place.candidate.route is route
            and place.candidate.has(shape)
            and (place.host, place.wildcard, place.prefix) == shape[:3]
            and self._hosts.has(place)
            for place, shape in zip(places, shapes, strict=True)
        )

    def admits(self, route: Route) -> bool:
        """Whether it could be added."""
        try:
            self._places_for(route)
        except EntityRefused:
            return False
        return True

    def passes_over(self, service_id: str) -> bool:
        """Whether a service's routes are left out of account."""
        return service_id in self._passed_over

    def pass_over(self, service_id: str, passed_over: bool) -> None:
        """Whether a service's routes, however many, are left out of account."""
        if passed_over == (service_id in self._passed_over):
            return
        if passed_over:
            self._passed_over.add(service_id)
        else:
            self._passed_over.remove(service_id)
        self._cache.clear()

    def match(self, request: Request) -> Match | None:
        """The route of a request; None when no route matches it."""
        if len(request.path) > limits.ROUTER_CACHE_PATH_BYTES_MAX:
            return self._search(request)
        key: tuple[object, ...] = request[:6]
        if request.named_port:
            key = (*key, request.named_port)
        if self._header_names:
            key = (*key, *[tuple(request.header_values(name)) for name in self._header_names])
        try:
            return self._cache[key]
        except KeyError:
            match = self._search(request)
        if len(self._cache) >= limits.ROUTER_CACHE_ENTRIES_MAX:
            self._cache.clear()
        self._cache[key] = match
        return match

    # What differs between the flavors, with `holds`

    def _places_for(self, route: Route) -> list[Place]:
        """Where a route is to stand, never nowhere. Raises EntityRefused."""
        return _places(route)

    def _put(self, route: Route, places: Sequence[Place]) -> None:
        """Put a route where it is looked for."""
        for host, wildcard, prefix, candidate in places:
            self._hosts.at(host, wildcard).add(prefix, candidate)

    def _take(self, route: Route, places: Sequence[Place]) -> None:
        """Take it from there."""
        for host, wildcard, prefix, candidate in places:
            self._hosts.at(host, wildcard).remove(prefix, candidate)
            self._hosts.prune(host, wildcard)

    def _search(self, request: Request) -> Match | None:
        return self._hosts.best(request, self._passed_over)


def _places(route: Route) -> list[Place]:
    """Where a route's candidates stand in the index. Raises EntityRefused for a bad regex."""
    headers = tuple([HeaderPredicate(header) for header in route.headers])
    compiled = {regex: compile_regex(regex, "path ~") for regex in route.regexes}
    places: list[Place] = []
    for host, wildcard, prefix, weight, plain, regex, port in _shapes(route):
        expression = None if regex is None else compiled[regex]
        rank = _rank_of(route, weight)
        candidate = Candidate(route, rank, plain, expression, headers, port)
        places.append(Place(host, wildcard, prefix, candidate))
    return places


_ANY_HOST: tuple[tuple[None, int, int], ...] = ((None, 0, 0),)


def _shapes(route: Route) -> list[_Shape]:
    """What a route's candidates are, and where they stand."""
    hosts: Sequence[tuple[bytes | None, int, int]] = route.hosts or _ANY_HOST
    shapes: list[_Shape] = []
    for path in route.paths:
        weight = priority(route, len(path), False)
        for text, wildcard, port in hosts:
            shapes.append(_Shape(text, wildcard, path, weight, path, None, port))
    for regex in route.regexes:
        weight, prefix = priority(route, 0, True), literal_prefix(regex)
        for text, wildcard, port in hosts:
            shapes.append(_Shape(text, wildcard, prefix, weight, None, regex, port))
    if not shapes:
        weight = priority(route, 0, False)
        for text, wildcard, port in hosts:
            shapes.append(_Shape(text, wildcard, b"", weight, None, None, port))
    return shapes


def priority(route: Route, path_length: int, regex: bool) -> int:
    """Kong's 64-bit priority (kong/router/transform.lua, get_priority)."""
    hosts, headers = route.hosts, route.headers
    kinds = bool(route.methods) + bool(hosts) + bool(headers) + bool(route.snis)
    kinds += bool(route.paths or route.regexes)
    weight = kinds << 61 | path_length & _PATH_LENGTH_MASK
    if hosts and not any(host.wildcard for host in hosts):
        weight |= 1 << 60
    if headers:
        weight |= min(len(headers), HEADER_COUNT_MAX) << 52
    if regex:
        weight |= 1 << 51 | min(max(route.regex_priority, 0), REGEX_PRIORITY_MAX) << 19
    return weight


def _sni_fits(snis: frozenset[bytes], sni: bytes) -> bool:
    if sni in snis:
        return True
    return any(
        (pattern.startswith(b"*") and sni.endswith(pattern[1:]))
        or (pattern.endswith(b"*") and sni.startswith(pattern[:-1]))
        for pattern in snis
    )


def _rank_of(route: Route, weight: int) -> Rank:
    return (-weight, _descending(route.id))


_INVERTED = bytes(range(0xFF, -1, -1))


def _descending(text: str) -> bytes:
    """What sorts the other way round, for texts of one length: ids are UUIDs."""
    return text.encode().translate(_INVERTED)
