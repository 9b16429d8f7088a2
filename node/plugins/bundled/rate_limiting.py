"""rate-limiting: how many requests per period (``kong/plugins/rate-limiting``).

Periods are those of the calendar, in UTC: a limit per minute begins anew with each full minute.
Policy ``local`` counts for the whole node (node.plugins.counters); as in Kong, each node counts for
itself.
"""

import math
import time
from collections.abc import Mapping
from typing import Any, NoReturn

from node.kong_version import KONG_API_VERSION
from node.plugins import limits
from node.plugins.context import Context
from node.plugins.counters import Counter
from node.plugins.interface import Bound, Plugin, PluginRefused, Worker
from store.schema.plugins import rate_limiting
from store.schema.plugins.periods import PERIODS

_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3_600,
    "day": 86_400,
    "month": 2_592_000,
    "year": 31_536_000,
}
"""Kong's: a month has 30 days where its length is asked for."""
_EXACT = ("second", "minute", "hour", "day")
_SPREAD = 0x9E3779B97F4A7C15
"""Odd and without a pattern (2^64 over the golden ratio): the periods' counters lie far apart."""
_KEY_MASK = 2**64 - 1
_NOBODY = "00000000-0000-0000-0000-000000000000"


def period_start(period: str, now: float) -> int:
    """When the period that ``now`` is in began, in Unix seconds."""
    second = int(now)
    if period in _EXACT:
        return second - second % _SECONDS[period]
    date = time.gmtime(second)
    days = (date.tm_mday if period == "month" else date.tm_yday) - 1
    return second - second % _SECONDS["day"] - days * _SECONDS["day"]


class _Limit:
    """One of the limits, its period, and how it is told."""

    __slots__ = (
        "_from",
        "_until",
        "end",
        "mark",
        "most",
        "names",
        "own",
        "period",
        "seconds",
        "told",
    )

    def __init__(self, period: str, most: float) -> None:
        limit, left = (
            f"X-RateLimit-{name}-{period.capitalize()}" for name in ("Limit", "Remaining")
        )
        self.period = period
        self.seconds = _SECONDS[period]
        self.most = most
        self.names = (limit, left)
        number = "%d" if isinstance(most, int) else "%.14g"
        shown = number % most
        self.own = f"{limit}: {shown}\r\n{left}: {number}\r\n".encode()
        """How it is told, in lines but for what is left."""
        self.told = (
            f"RateLimit-Limit: {shown}\r\nRateLimit-Remaining: {number}\r\nRateLimit-Reset: %d\r\n"
        ).encode()
        """How all limits are told if this is the tightest one: but for what is left of each and of
        this one, and the seconds to its end."""
        self.end = 0
        """When the period ends, as far as that is known: see `reach`."""
        self.mark = (PERIODS.index(period) + 1) * _SPREAD
        """Tells the periods of one identifier apart, added to its hash."""
        self._from = self._until = 0

    def reach(self, now: float) -> tuple[int, int]:
        """Find the end of the period that ``now`` is in. Returns from when and until when that is
        right: for periods of many days, one day."""
        if not self._from <= now < self._until:
            start = period_start(self.period, now)
            self.end = start + self.seconds
            span = min(self.seconds, _SECONDS["day"])
            self._from = int(now) - int(now) % span
            self._until = self._from + span
        return self._from, self._until


_Counted = tuple[tuple[_Limit, Counter], ...]
"""The limits, with somebody's counters."""

_TIGHTEST = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


class RateLimiting(Plugin):
    """See the module's text."""

    schema = rate_limiting.PLUGIN
    version = KONG_API_VERSION

    def __init__(self, config: Mapping[str, Any], bound: Bound, worker: Worker) -> None:
        problem = self.problem(config)
        if problem is not None:
            raise PluginRefused(problem)
        self._limits = [
            _Limit(each, config[each]) for each in PERIODS if config.get(each) is not None
        ]
        names = [name for limit in self._limits for name in limit.names]
        self._names = frozenset(name.lower().encode() for name in (*names, *_TIGHTEST))
        """Names of the headers that are set."""
        self._is_one = len(self._limits) == 1
        each = b"".join(limit.own for limit in self._limits)
        for limit in self._limits:
            limit.told = each + limit.told
        self._from = self._until = 0
        """When the limits' ends are right."""
        self._counted: dict[str, _Counted] = {}
        """By identifier."""
        self._limit_by: str = config.get("limit_by") or "consumer"
        self._by_consumer = self._limit_by == "consumer"
        self._header: str = config.get("header_name") or ""
        self._path: str = config.get("path") or ""
        self._hidden: bool = config["hide_client_headers"]
        self._status = int(config.get("error_code") or 429)
        self._message: str = config.get("error_message") or "API rate limit exceeded"
        self._of = f"{bound.route_id or _NOBODY}:{bound.service_id or _NOBODY}"
        self._counters = worker.counters
        self._now = worker.now

    @classmethod
    def problem(cls, config: Mapping[str, Any]) -> str | None:
        policy = config.get("policy")
        if policy in (None, "local"):
            return None
        return f"policy '{policy}' is not available: this version of grapevine only counts locally"

    def access(self, context: Context) -> None:
        now = self._now()
        if not self._from <= now < self._until:
            spans = [limit.reach(now) for limit in self._limits]
            self._from, self._until = max(each[0] for each in spans), min(each[1] for each in spans)
        consumer = context.consumer if self._by_consumer else None
        whose = consumer.id if consumer is not None else self._identifier(context)
        counted = self._counted.get(whose) or self._counters_of(whose)
        if self._is_one:
            limit, counter = counted[0]
            rest = limit.most - counter.take(limit.most, limit.end, now) - 1
            if rest < 0:
                if rest <= -1:
                    self._refuse(context, counted, limit, now)
                rest = 0  # of a limit that is no whole number
            if not self._hidden:
                lines = limit.told % (rest, rest, limit.end - int(now))
                context.response.put(self._names, lines)
        else:
            self._count_all(context, counted, now)

    def _count_all(self, context: Context, counted: _Counted, now: float) -> None:
        """The same for several limits: it counts for all of them, or for none."""
        tightest, least, left = self._limits[0], math.inf, []
        for limit, counter in counted:
            rest = limit.most - counter.count(limit.end) - 1
            if rest < 0:
                if rest <= -1:
                    self._refuse(context, counted, limit, now)
                rest = 0
            left.append(rest)
            if rest < least or (rest == least and limit.seconds > tightest.seconds):
                tightest, least = limit, rest
        if not self._hidden:
            lines = tightest.told % (*left, least, tightest.end - int(now))
            context.response.put(self._names, lines)
        for limit, counter in counted:
            counter.add(limit.end, now)

    def _refuse(self, context: Context, counted: _Counted, reached: _Limit, now: float) -> NoReturn:
        """A limit is reached; of several that are, the last one counts as asked."""
        before = [limit.most - counter.count(limit.end) for limit, counter in counted]
        stop = reached
        for limit, here in zip(self._limits, before, strict=True):
            if here <= 0:
                stop = limit
        left = [
            max(0, here - 1 if limit is stop else here)
            for limit, here in zip(self._limits, before, strict=True)
        ]
        least = min(left)
        tightest = max(
            (each for each, here in zip(self._limits, left, strict=True) if here == least),
            key=lambda limit: limit.seconds,
        )
        if not self._hidden:
            reset = tightest.end - int(now)
            context.response.put(self._names, tightest.told % (*left, least, reset))
            context.response.set_header("Retry-After", str(reset))
        context.error(self._status, self._message)

    def _counters_of(self, identifier: str) -> _Counted:
        shared = self._counters
        whose = shared.key(f"{self._of}:{identifier}")
        counted = tuple(
            (limit, shared.counter((whose + limit.mark) & _KEY_MASK or 1)) for limit in self._limits
        )
        if len(self._counted) >= limits.RATE_KEYS_REMEMBERED_MAX:
            self._counted.clear()
        self._counted[identifier] = counted
        return counted

    def _identifier(self, context: Context) -> str:
        """Whose requests this one is counted with; whoever has no such thing, by address."""
        found: str | None = None
        if self._by_consumer:
            found = context.consumer_id or context.credential_id
        elif self._limit_by == "credential":
            found = context.credential_id
        elif self._limit_by == "service":
            found = context.service.id if context.service is not None else None
        elif self._limit_by == "header":
            found = context.headers.get(self._header)
        elif self._limit_by == "path":
            found = context.path if context.path == self._path else None
        return found or context.client_ip


PLUGIN = RateLimiting
