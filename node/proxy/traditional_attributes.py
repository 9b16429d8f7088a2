"""What all routes of the flavor ``traditional`` ask for, and what of it a request has.

Kong computes for each request by which attributes it might be matched, before it looks at any
route: is there one with this host, this method, a path like this? Values are kept with the ranks of
the routes that have them, since the first of several that fit counts.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator

import re2

from node.proxy.entities import HostPattern, Route
from node.proxy.regexes import required_literal, searchable
from node.proxy.router import Rank, Request

HOST, HEADER, URI, METHOD, SNI = 0x40, 0x20, 0x10, 0x08, 0x04


def host_text(host: HostPattern) -> bytes:
    """A pattern as it was configured, lower-cased."""
    text = (b"*" if host.wildcard < 0 else b"") + host.text + (b"*" if host.wildcard > 0 else b"")
    return b"%b:%d" % (text, host.port) if host.port else text


def port_of(request: Request) -> int:
    """The one in the Host field, else the scheme's own."""
    return request.named_port or (443 if request.ssl else 80)


class Asked:
    """What of a request decides where the search begins, and the bucket; each is worked out when it
    is first asked for."""

    __slots__ = ("_attributes", "_keys", "_request")

    def __init__(self, attributes: "Attributes", request: Request) -> None:
        self._attributes = attributes
        self._request = request
        self._keys: dict[int, bytes] = {}

    def key(self, attribute: int) -> bytes:
        """That of the bucket. Of HOST: the wildcard that matched first, else the Host field. Of
        URI: the expression that matched first, else the longest plain path."""
        key = self._keys.get(attribute)
        if key is None:
            key = self._keys[attribute] = self._attributes.key(attribute, self._request)
        return key

    def leads_to(self, length: int) -> bool:
        """Whether a plain path of that length, that some route has and the request's begins with,
        is the key of URI; False, too, where that isn't known at once."""
        return self._attributes.leads_to(length, self._request.path)

    def category(self) -> int:
        """The attributes by which the request might be matched, as bits."""
        attributes, host = self._attributes, self.key(HOST)
        return (
            (HOST if attributes.has_host(host, self._request) else 0)
            | (HEADER if self.key(HEADER) else 0)
            | (URI if self.key(URI) else 0)
            | (METHOD if self._request.method in attributes.methods else 0)
            | (SNI if self._request.sni in attributes.snis else 0)
        )


class _Firsts:
    """Values with the ranks of those that have them: which value is first, and which there are."""

    def __init__(self) -> None:
        self._ranks: dict[bytes, list[Rank]] = {}

    def __contains__(self, value: bytes) -> bool:
        return value in self._ranks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._ranks)

    def __len__(self) -> int:
        return len(self._ranks)

    def add(self, value: bytes, rank: Rank) -> bool:
        """Whether it is the first with this value."""
        ranks = self._ranks.setdefault(value, [])
        insort(ranks, rank)
        return len(ranks) == 1

    def remove(self, value: bytes, rank: Rank) -> bool:
        """Whether it was the last with this value."""
        ranks = self._ranks[value]
        del ranks[bisect_left(ranks, rank)]
        if not ranks:
            del self._ranks[value]
        return not ranks

    def first(self, values: Iterable[bytes]) -> bytes:
        """The one whose first rank comes first; empty for none."""
        return min(values, key=lambda value: (self._ranks[value][0], value), default=b"")


class _Lengths:
    """Values by their length: how many there are of each length."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.descending: tuple[int, ...] = ()
        """The lengths that there are."""

    def change(self, length: int, by: int) -> None:
        self._counts[length] += by
        count = self._counts[length]
        if not count:
            del self._counts[length]
        if count == (by > 0):  # the first one, or the last one
            self.descending = tuple(sorted(self._counts, reverse=True))


class Attributes:
    """Which hosts, header names, paths, methods and server names there are in all routes."""

    def __init__(self) -> None:
        self._hosts = _Firsts()
        """All host patterns, as configured."""
        self._wildcards: dict[tuple[int, bytes], dict[bytes, HostPattern]] = {}
        self._wildcard_lengths = (_Lengths(), _Lengths())
        self._names = _Firsts()
        self._paths = _Firsts()
        self._path_lengths = _Lengths()
        self._regex_texts = _Firsts()
        self._regexes: dict[bytes, dict[bytes, tuple[str, re2._Regexp[bytes]]]] = {}
        """By literal prefix and text, with what a path must hold."""
        self._regex_lengths = _Lengths()
        self.methods: Counter[bytes] = Counter()
        self.snis: Counter[bytes] = Counter()

    def note(
        self,
        route: Route,
        rank: Rank,
        plain: bytes | None,
        regex: "re2._Regexp[bytes] | None",
        prefix: bytes,
        by: int,
    ) -> None:
        """A route with one of its paths came (1) or went (-1)."""
        for host in route.hosts:
            self._note_host(host, rank, by)
        for header in route.headers:
            _change(self._names, header.name, rank, by)
        if plain is not None:
            if _change(self._paths, plain, rank, by):
                self._path_lengths.change(len(plain), by)
        elif regex is not None:
            self._note_regex(regex, prefix, rank, by)
        for counter, values in ((self.methods, route.methods), (self.snis, route.snis)):
            for value in values:
                counter[value] += by
                if not counter[value]:
                    del counter[value]

    def _note_host(self, host: HostPattern, rank: Rank, by: int) -> None:
        text = host_text(host)
        if not _change(self._hosts, text, rank, by) or not host.wildcard:
            return
        key = (host.wildcard, host.text)
        patterns = self._wildcards.setdefault(key, {})
        if by > 0:
            patterns[text] = host
        else:
            del patterns[text]
        if not patterns:
            del self._wildcards[key]
        self._wildcard_lengths[host.wildcard > 0].change(len(host.text), by)

    def _note_regex(self, regex: "re2._Regexp[bytes]", prefix: bytes, rank: Rank, by: int) -> None:
        text = regex.pattern
        if not _change(self._regex_texts, text, rank, by):
            return
        if by > 0:
            self._regexes.setdefault(prefix, {})[text] = (
                required_literal(text.decode()),
                regex,
            )
        else:
            del self._regexes[prefix][text]
            if not self._regexes[prefix]:
                del self._regexes[prefix]
        self._regex_lengths.change(len(prefix), by)

    def key(self, attribute: int, request: Request) -> bytes:
        """See ``Asked.key``."""
        if attribute == HOST:
            return self._host_asked(request)
        if attribute == HEADER:
            return self._header_asked(request) if self._names else b""
        if attribute == URI:
            return self._uri_asked(request.path)
        return request.method if attribute == METHOD else request.sni

    def has_host(self, key: bytes, request: Request) -> bool:
        """Whether there is a pattern that the host fits, given the key of HOST."""
        return key in self._hosts or self._has_exact(request)

    def leads_to(self, length: int, path: bytes) -> bool:
        """See ``Asked.leads_to``."""
        if self._regexes:
            return False
        for longer in self._path_lengths.descending:
            if longer <= length:
                return True
            if longer <= len(path) and path[:longer] in self._paths:
                return False
        return True

    def _has_exact(self, request: Request) -> bool:
        host = request.host
        return host in self._hosts or b"%b:%d" % (host, port_of(request)) in self._hosts

    def _host_asked(self, request: Request) -> bytes:
        host = request.host
        named = b"%b:%d" % (host, request.named_port) if request.named_port else host
        if not host or self._has_exact(request):
            return named
        return self._hosts.first(self._wildcards_of(host, port_of(request))) or named

    def _wildcards_of(self, host: bytes, port: int) -> Iterator[bytes]:
        for lengths, wildcard in zip(self._wildcard_lengths, (-1, 1), strict=True):
            for length in lengths.descending:
                if length < len(host):
                    text = host[-length:] if wildcard < 0 else host[:length]
                    for name, pattern in self._wildcards.get((wildcard, text), {}).items():
                        if pattern.port in (0, port):
                            yield name

    def _header_asked(self, request: Request) -> bytes:
        return self._names.first(
            name for name in self._names if any(True for _ in request.header_values(name))
        )

    def _uri_asked(self, path: bytes) -> bytes:
        regex = self._regex_asked(path, searchable(path)) if self._regexes else b""
        if regex:
            return regex
        for length in self._path_lengths.descending:
            if length <= len(path) and path[:length] in self._paths:
                return path[:length]
        return b""

    def _regex_asked(self, path: bytes, text: str) -> bytes:
        return self._regex_texts.first(
            pattern
            for length in self._regex_lengths.descending
            if length <= len(path)
            for pattern, (needed, regex) in self._regexes.get(path[:length], {}).items()
            if needed in text and regex.match(path)
        )


def _change(firsts: _Firsts, value: bytes, rank: Rank, by: int) -> bool:
    return firsts.add(value, rank) if by > 0 else firsts.remove(value, rank)
