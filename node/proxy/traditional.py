"""Kong's router of flavor ``traditional``, as an index that changes route by route.

The rules are those of kong/router/traditional.lua. A route with several paths counts as one for
each. Routes are grouped in categories by which attributes they have; a request begins at the
category of all attributes by which it might be matched, and goes down from there. In a category,
routes under the rarest of its attributes' values are looked at before all others (*the bucket*);
among those looked at, the first in the order of `_rank_of` that matches wins.

That sounds like lists that are walked, and in Kong they are. Here each category has the index that
the other flavor has. The first that matches is nearly always in the bucket, whichever that is; only
where it may not be, the bucket is worked out, and what that leaves out is passed over in a second
search. Four facts about all routes decide where a search begins and what the bucket is; they are
kept beside: which header names, wildcard hosts, expressions and plain paths there are, the first
ones first.

Two things differ from Kong. Expressions are RE2's. And routes of a disabled service match nothing,
but still count when the bucket is chosen: so disabling a service costs the same with any number of
routes.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterator, Sequence

import re2

from node.proxy.entities import EntityRefused, HeaderPattern, HostPattern, Route
from node.proxy.regexes import compile_regex, literal_prefix
from node.proxy.router import (
    Candidate,
    HostIndex,
    Match,
    Place,
    Rank,
    Request,
    Router,
    first_of,
)
from node.proxy.traditional_attributes import (
    HEADER,
    HOST,
    METHOD,
    SNI,
    URI,
    Asked,
    Attributes,
    host_text,
    port_of,
)

_HAS_REGEX, _PLAIN_HOSTS_ONLY, _WILDCARD_WITH_PORT = 0x01, 0x02, 0x04


def category_of(route: Route) -> int:
    """The attributes that a route has, as bits."""
    return (
        (HOST if route.hosts else 0)
        | (HEADER if route.headers else 0)
        | (URI if route.paths or route.regexes else 0)
        | (METHOD if route.methods else 0)
        | (SNI if route.snis else 0)
    )


def _rank_of(route: Route, number: int, plain: bytes | None, regex: str | None) -> Rank:
    """Sorts the winner first. What Kong leaves to chance is settled by id."""
    wildcards = [host for host in route.hosts if host.wildcard]
    return (
        -(
            (_HAS_REGEX if regex is not None else 0)
            | (_PLAIN_HOSTS_ONLY if route.hosts and not wildcards else 0)
            | (_WILDCARD_WITH_PORT if any(host.port for host in wildcards) else 0)
        ),
        -len(route.headers),
        -route.regex_priority if regex is not None else 0,
        -len(plain or b""),
        route.created_at,
        route.id,
        number,
    )


class _Header:
    """A header condition: one value that begins with ``~*`` is an expression; of several, none."""

    __slots__ = ("_expression", "_values", "name")

    def __init__(self, pattern: HeaderPattern) -> None:
        self.name = pattern.name
        literal = [f"~*{text.lower()}".encode() for text in pattern.expressions]
        self._values = pattern.values | set(literal)
        self._expression = None
        if len(pattern.expressions) == 1 and not pattern.values:
            self._expression = compile_regex(pattern.expressions[0], "header value ~*")

    def fits(self, request: Request) -> bool:
        for value in request.header_values(self.name):
            lowered = value.lower()
            if lowered in self._values:
                return True
            if self._expression is not None and self._expression.search(lowered):
                return True
        return False


class _Standing(Candidate):
    """A route with one of its paths, under one of its hosts."""

    __slots__ = ("exact", "header_conditions", "header_names", "host", "hosts", "length", "uri")

    def __init__(
        self,
        route: Route,
        rank: Rank,
        plain: bytes | None,
        regex: "re2._Regexp[bytes] | None",
        conditions: list[_Header],
        host: HostPattern | None,
    ) -> None:
        super().__init__(route, rank, plain, regex, (), 0)
        self.host = host
        self.hosts = frozenset(map(host_text, route.hosts))
        self.header_conditions = conditions
        self.header_names = frozenset(each.name for each in conditions)
        self.sure = self.sure and not conditions and not (host and (host.wildcard or host.port))
        self.uri = plain if regex is None else regex.pattern
        """Its path's text, as a key."""
        # Both are in other objects, too; but of very many those are in no processor's cache.
        self.exact = host is None or host.wildcard == 0
        self.length = len(plain or b"")
        """The plain path's."""

    def run(self, path: bytes) -> Match | None:
        """The match of the expression, which tells whose it is."""
        match = super().run(path)
        return match and _Found(self, match)

    def match(self, request: Request) -> Match | None:
        """The host and the path's literal prefix may fit, and the path holds what it must."""
        route = self.route
        if self.host is not None and not _host_fits(self.host, request):
            return None
        if route.methods and request.method not in route.methods:
            return None
        if route.snis and request.ssl and request.sni not in route.snis:
            return None
        for condition in self.header_conditions:
            if not condition.fits(request):
                return None
        return self if self.regex is None else self.run(request.path)


class _Found(Match):
    """The match of an expression."""

    __slots__ = ("standing",)

    def __init__(self, standing: _Standing, match: Match) -> None:
        super().__init__(match.route, match.rank, match.matched, match.groups)
        self.standing = standing


def _standing_of(match: Match) -> _Standing:
    if isinstance(match, _Standing):
        return match
    assert isinstance(match, _Found)
    return match.standing


def _host_fits(host: HostPattern, request: Request) -> bool:
    if host.wildcard == 0:  # only a port that the client names is compared
        return host.port in (0, request.named_port)
    return len(request.host) > len(host.text) and host.port in (0, port_of(request))


class _Category:
    """The routes with the same attributes."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.index = HostIndex()
        self.size = 0
        self._sizes: dict[int, Counter[bytes]] = {
            attribute: Counter()
            for attribute in (HOST, HEADER, URI, METHOD, SNI)
            if attribute & bits
        }
        """How many there are under each value of each of its attributes."""

    def count(self, standing: _Standing, by: int) -> None:
        """One route with one path came (1) or went (-1)."""
        self.size += by
        for attribute, value in self._keys(standing):
            sizes = self._sizes[attribute]
            sizes[value] += by
            if not sizes[value]:
                del sizes[value]

    def _keys(self, standing: _Standing) -> Iterator[tuple[int, bytes]]:
        route = standing.route
        yield from ((HOST, host) for host in standing.hosts)
        yield from ((HEADER, name) for name in standing.header_names)
        if standing.uri is not None:
            yield URI, standing.uri
        yield from ((METHOD, method) for method in route.methods)
        yield from ((SNI, sni) for sni in route.snis)

    def best(self, request: Request, asked: Asked, passed_over: set[str]) -> Match | None:
        """The bucket matters only where it might not hold the first of all that match."""
        best = self.index.best(request, passed_over)
        if best is None:
            return None
        standing = _standing_of(best)
        if self._is_in_any(standing, request, asked):
            return best
        bucket = self._bucket(asked)
        if bucket is None or _is_in(standing, bucket):
            return best
        return self._search(request, passed_over, bucket) or best

    def _is_in_any(self, standing: _Standing, request: Request, asked: Asked) -> bool:
        """Whether one that matches is in the bucket, whichever that is. Most are, and that can be
        told without counting anything."""
        if self.bits & HEADER:
            return asked.key(HEADER) in standing.header_names
        if standing.exact and not request.named_port:
            if standing.length and asked.leads_to(standing.length):
                return True
        elif standing.host is not None and asked.key(HOST) not in standing.hosts:
            return False
        return standing.uri is None or standing.uri == asked.key(URI)

    def _bucket(self, asked: Asked) -> tuple[int, bytes] | None:
        """The attribute and value whose routes come first; None when that leaves out none: whoever
        matches has the request's method and server name."""
        smallest, least = 0, 0
        for attribute, sizes in self._sizes.items():
            size = sizes.get(asked.key(attribute), 0)
            if not size:
                continue
            if attribute == HEADER:
                return HEADER, asked.key(HEADER)
            if not smallest or size < least:
                smallest, least = attribute, size
        return None if smallest in (0, METHOD, SNI) else (smallest, asked.key(smallest))

    def _search(
        self, request: Request, passed_over: set[str], bucket: tuple[int, bytes]
    ) -> Match | None:
        """The first of a bucket that matches."""
        best: Match | None = None
        for prefixes in self.index.matching(request.host):
            for candidates in prefixes.under(request.path):
                rivals = [each for each in candidates if _is_in(_standing_of(each), bucket)]
                best = first_of(rivals, request, best, passed_over)
        return best


def _is_in(standing: _Standing, bucket: tuple[int, bytes]) -> bool:
    attribute, value = bucket
    if attribute == HOST:
        return value in standing.hosts
    return value in standing.header_names if attribute == HEADER else value == standing.uri


class TraditionalRouter(Router):
    """See the module's text."""

    def __init__(self) -> None:
        super().__init__()
        self._categories: dict[int, _Category] = {}
        self._order: list[int] = []
        """Of the categories: more attributes first, then the greater bits."""
        self._attributes = Attributes()

    def _places_for(self, route: Route) -> list[Place]:
        """A route that nothing could match is refused, too."""
        return list(_places(route))

    def _put(self, route: Route, places: Sequence[Place]) -> None:
        category = self._category(category_of(route))
        for place, is_new in _with_paths(places):
            category.index.at(place.host, place.wildcard).add(place.prefix, place.candidate)
            if is_new:
                self._note(category, place, 1)

    def _take(self, route: Route, places: Sequence[Place]) -> None:
        category = self._categories[category_of(route)]
        for place, is_new in _with_paths(places):
            category.index.at(place.host, place.wildcard).remove(place.prefix, place.candidate)
            category.index.prune(place.host, place.wildcard)
            if is_new:
                self._note(category, place, -1)
        if not category.size:
            del self._categories[category.bits]
            self._order.remove(category.bits)

    def holds(self, route: Route) -> bool:
        """Whether this very route is where it would be looked for."""
        places = self._places.get(route.id, [])
        category = self._categories.get(category_of(route))
        if category is None or not places:
            return False
        made = list(_places(route))
        return len(places) == len(made) and all(
            place.candidate.route is route
            and place[:3] == other[:3]
            and _is_alike(place.candidate, other.candidate)
            and category.index.has(place)
            for place, other in zip(places, made, strict=True)
        )

    def _category(self, bits: int) -> _Category:
        category = self._categories.get(bits)
        if category is None:
            category = self._categories[bits] = _Category(bits)
            insort(self._order, bits, key=lambda each: (-each.bit_count(), -each))
        return category

    def _note(self, category: _Category, place: Place, by: int) -> None:
        """One route with one path came (1) or went (-1)."""
        standing = place.candidate
        assert isinstance(standing, _Standing)
        category.count(standing, by)
        self._attributes.note(
            standing.route, standing.rank, standing.matched, standing.regex, place.prefix, by
        )

    def _search(self, request: Request) -> Match | None:
        asked = Asked(self._attributes, request)
        categories = self._categories
        for bits in self._order_for(request, asked):
            match = categories[bits].best(request, asked, self._passed_over)
            if match is not None:
                return match
        return None

    def _order_for(self, request: Request, asked: Asked) -> list[int]:
        """The categories to look in. Those above where Kong begins hold nothing that matches, but
        for routes with server names, which match all requests without TLS."""
        if request.ssl or not self._attributes.snis:
            return self._order
        begin = asked.category()
        if not begin:
            return []
        return self._order[self._order.index(begin) :] if begin in self._categories else self._order


def _is_alike(one: Candidate, other: Candidate) -> bool:
    assert isinstance(one, _Standing)
    assert isinstance(other, _Standing)
    return (one.rank, one.matched, one.uri, one.host, one.hosts, one.header_names) == (
        other.rank,
        other.matched,
        other.uri,
        other.host,
        other.hosts,
        other.header_names,
    ) and (one.regex is None) == (other.regex is None)


def _with_paths(places: Sequence[Place]) -> Iterator[tuple[Place, bool]]:
    """Each place, and whether it is the first of its path."""
    last: Rank | None = None
    for place in places:
        yield place, place.candidate.rank != last
        last = place.candidate.rank


def _places(route: Route) -> Iterator[Place]:
    """Where a route stands in its category's index: the hosts of its first path, then those of the
    next. Raises EntityRefused."""
    if not category_of(route):
        raise EntityRefused(f"route {route.id}: it has nothing to be matched by")
    conditions = [_Header(header) for header in route.headers]
    paths: list[tuple[bytes, bytes | None, str | None]]
    paths = [(path, path, None) for path in route.paths]
    paths += [(literal_prefix(regex), None, regex) for regex in route.regexes]
    for number, (prefix, plain, regex) in enumerate(paths or [(b"", None, None)]):
        rank = _rank_of(route, number, plain, regex)
        compiled = None if regex is None else compile_regex(regex, "path ~")
        for host in route.hosts or (None,):
            standing = _Standing(route, rank, plain, compiled, conditions, host)
            yield Place(
                None if host is None else host.text,
                0 if host is None else host.wildcard,
                prefix,
                standing,
            )
