"""Names of upstream hosts to addresses, remembered for as long as their records say.

A request waits for a name only when nothing is known of it. An answer whose time is up is used
while it is asked for anew, and for as long as the name service fails; only a name that doesn't
exist any more loses its addresses. Names of targets are asked for anew in the background, whether
there are requests or not.
"""

import asyncio
import functools
import ipaddress
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from node.proxy import limits


class Record(NamedTuple):
    """One address of a name."""

    host: str
    """An IPv4 or IPv6 address, with a zone if it has one."""
    port: int = 0
    """That of an SRV record; 0: none is named."""
    weight: int | None = None
    """That of an SRV record; None: it has none of its own."""
    name: str = ""
    """The host that an SRV record names."""


class Found(NamedTuple):
    """The answer to a look-up."""

    records: tuple[Record, ...]
    """In an order that depends on them alone."""
    ttl: float
    """Seconds."""


class NoSuchName(Exception):
    """The name service says that there is no such name, or that it has no address."""


class ResolutionFailed(Exception):
    """The name has no addresses; the message says why."""


class _Entry(NamedTuple):
    records: tuple[Record, ...]
    reason: str
    expires: float


_GOLDEN = (5**0.5 - 1) / 2
Lookup = Callable[[str], Awaitable[Found]]
"""Raises NoSuchName, OSError, UnicodeError or TimeoutError."""


class Resolver:
    """A bounded cache in front of a look-up. Concurrent questions for one name are one question.

    ``on_change(name)`` is called when a name has other addresses than before.
    """

    def __init__(
        self, clock: Callable[[], float], lookup: Lookup, on_change: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._lookup = lookup
        self._on_change = on_change
        self._entries: dict[str, _Entry] = {}
        self._asked: dict[str, asyncio.Task[_Entry]] = {}
        self._watched: dict[str, int] = {}
        """Names of targets, and how many upstreams have them."""
        self._slots = asyncio.Semaphore(limits.RESOLVER_AT_ONCE_MAX)
        self._ticked = -limits.RESOLVER_TICK_SECONDS
        self._turns: dict[str, int] = {}
        self.lookups = 0
        self.failures = 0

    def look_up_by(self, lookup: Lookup) -> None:
        """Ask this way from now on, and for every watched name soon; the addresses that are known
        stay until then."""
        self._lookup = lookup
        now = self._clock()
        for name, entry in self._entries.items():
            self._entries[name] = entry._replace(expires=min(entry.expires, now))

    def known(self, name: str) -> tuple[Record, ...]:
        """The addresses of a name or literal as far as they are known now; maybe none."""
        entry = self._entries.get(name)
        if entry is None:
            literal = literal_of(name)
            return () if literal is None else (literal,)
        if entry.records and self._clock() >= entry.expires:
            self._ask(name)
        return entry.records

    def next_of(self, name: str) -> Record | None:
        """One of the addresses that are known, in turn; None when none is."""
        records = self.known(name)
        if len(records) < 2:
            return records[0] if records else None
        turn = self._turns.get(name, -1) + 1
        self._turns[name] = turn
        if records[0].weight is None:
            return records[turn % len(records)]
        # Multiples of the golden ratio, modulo 1, are spread evenly however many are taken.
        left = turn * _GOLDEN % 1.0 * sum(_share(record) for record in records)
        for record in records:
            left -= _share(record)
            if left < 0:
                return record
        return records[-1]

    async def resolve(self, name: str) -> tuple[Record, ...]:
        """The addresses of a name or literal, never none. Raises ResolutionFailed."""
        records = self.known(name)
        if records:
            return records
        entry = self._entries.get(name)
        if entry is None or self._clock() >= entry.expires:
            try:
                async with asyncio.timeout(limits.RESOLVER_TIMEOUT_SECONDS):
                    entry = await asyncio.shield(self._ask(name))
            except TimeoutError:
                raise ResolutionFailed(f"'{name}': too many names are asked for") from None
        if not entry.records:
            raise ResolutionFailed(entry.reason)
        return entry.records

    def watch(self, name: str) -> None:
        """Keep a target's name resolved."""
        if literal_of(name) is None:
            self._watched[name] = self._watched.get(name, 0) + 1

    def unwatch(self, name: str) -> None:
        """One of those who watch it doesn't any more."""
        left = self._watched.pop(name, 0) - 1
        if left > 0:
            self._watched[name] = left

    def tick(self, now: float) -> None:
        """Called now and then: ask for whatever is due among the watched names."""
        if now - self._ticked < limits.RESOLVER_TICK_SECONDS:
            return
        self._ticked = now
        for name in self._watched:
            entry = self._entries.get(name)
            if entry is None or now >= entry.expires:
                self._ask(name)

    def counters(self) -> dict[str, int]:
        """Look-ups, and those that failed."""
        return {
            "upstream_resolutions": self.lookups,
            "upstream_resolve_failures": self.failures,
        }

    def close(self) -> None:
        """Ask no more."""
        for task in self._asked.values():
            task.cancel()

    def _ask(self, name: str) -> "asyncio.Task[_Entry]":
        task = self._asked.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._answer(name))
            self._asked[name] = task
        return task

    async def _answer(self, name: str) -> _Entry:
        before = self._entries.get(name)
        records = before.records if before else ()
        reason, lifetime = "", limits.RESOLVER_FAILURE_SECONDS
        try:
            async with self._slots, asyncio.timeout(limits.RESOLVER_TIMEOUT_SECONDS):
                self.lookups += 1
                records, ttl = await self._lookup(name)
            lifetime = min(
                max(ttl, limits.RESOLVER_TTL_MIN_SECONDS), limits.RESOLVER_TTL_MAX_SECONDS
            )
        except NoSuchName as error:
            self.failures += 1
            records, reason = (), f"'{name}' does not resolve: {error}"
        except (OSError, UnicodeError, TimeoutError) as error:
            self.failures += 1
            reason = f"'{name}' does not resolve: {error or 'no answer in time'}"
        finally:
            self._asked.pop(name, None)
        entry = _Entry(records[: limits.RESOLVER_ADDRESSES_MAX], reason, self._clock() + lifetime)
        self._keep(name, entry)
        if before is None or before.records != entry.records:
            self._on_change(name)
        return entry

    def _keep(self, name: str, entry: _Entry) -> None:
        self._entries.pop(name, None)
        if len(self._entries) - len(self._watched) >= limits.RESOLVER_NAMES_MAX:
            for oldest in self._entries:
                if oldest not in self._watched:
                    del self._entries[oldest]
                    self._turns.pop(oldest, None)
                    break
        self._entries[name] = entry


def _share(record: Record) -> int:
    """How many turns a record has. An SRV weight of 0 is hit least, not never (RFC 2782)."""
    return 1 if record.weight is None else max(record.weight, 1)


def literal_of(name: str) -> Record | None:
    """The address as it is written for short, if it is one and no name."""
    if ":" not in name and not name[-1:].isdecimal():
        return None  # nearly always: neither IPv6 nor dotted digits
    return _address(name)


@functools.lru_cache(limits.LITERALS_MAX)
def _address(name: str) -> Record | None:
    try:
        return Record(str(ipaddress.ip_address(name)))
    except ValueError:
        return None
