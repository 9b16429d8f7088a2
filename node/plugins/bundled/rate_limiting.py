"""rate-limiting: how many requests per period (``kong/plugins/rate-limiting``).

Periods are those of the calendar, in UTC: a limit per minute begins anew with each full minute.
Policy ``local`` counts for the whole node (node.plugins.counters); as in Kong, each node counts for
itself.
"""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from node.plugins.context import Context
from node.plugins.interface import Bound, Plugin, PluginRefused, Worker
from node.version import KONG_API_VERSION
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
_NOBODY = "00000000-0000-0000-0000-000000000000"


def period_start(period: str, now: float) -> int:
    """When the period that ``now`` is in began, in Unix seconds."""
    second = int(now)
    if period in _EXACT:
        return second - second % _SECONDS[period]
    date = time.gmtime(second)
    days = (date.tm_mday if period == "month" else date.tm_yday) - 1
    return second - second % _SECONDS["day"] - days * _SECONDS["day"]


class _Limit(NamedTuple):
    """One of the limits, and how it is told."""

    period: str
    seconds: int
    most: float
    shown: str
    limit_header: str
    left_header: str
    mark: int
    """Tells the periods of one identifier apart, added to its hash."""


class _Usage(NamedTuple):
    """How a limit stands before this request."""

    limit: _Limit
    left: float
    key: int
    end: int


def _limit(period: str, most: float) -> _Limit:
    name = period.capitalize()
    return _Limit(
        period,
        _SECONDS[period],
        most,
        _shown(most),
        f"X-RateLimit-Limit-{name}",
        f"X-RateLimit-Remaining-{name}",
        (PERIODS.index(period) + 1) * _SPREAD,
    )


class RateLimiting(Plugin):
    """See the module's text."""

    schema = rate_limiting.PLUGIN
    version = KONG_API_VERSION

    def __init__(self, config: Mapping[str, Any], bound: Bound, worker: Worker) -> None:
        problem = self.problem(config)
        if problem is not None:
            raise PluginRefused(problem)
        self._limits = [
            _limit(each, config[each]) for each in PERIODS if config.get(each) is not None
        ]
        self._limit_by: str = config.get("limit_by") or "consumer"
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
        whose = self._counters.key(f"{self._of}:{self._identifier(context)}")
        usage = [self._usage(limit, whose, now) for limit in self._limits]
        stop = next((each.limit for each in reversed(usage) if each.left <= 0), None)
        reset = None if self._hidden else self._tell(context, usage, stop, now)
        if stop is not None:
            if reset is not None:
                context.response.set_header("Retry-After", reset)
            context.error(self._status, self._message)
        for each in usage:
            self._counters.add(each.key, each.end, now)

    def _usage(self, limit: _Limit, whose: int, now: float) -> _Usage:
        end = period_start(limit.period, now) + limit.seconds
        key = (whose + limit.mark) % 2**64 or 1
        return _Usage(limit, limit.most - self._counters.count(key, end), key, end)

    def _identifier(self, context: Context) -> str:
        """Whose requests this one is counted with; whoever has no such thing, by address."""
        found: str | None = None
        if self._limit_by == "consumer":
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

    def _tell(self, context: Context, usage: list[_Usage], stop: _Limit | None, now: float) -> str:
        """Set the headers; returns in how many seconds the tightest limit begins anew."""
        set_header = context.response.set_header
        tightest: tuple[float, int, _Usage] | None = None
        for each in usage:
            limit = each.limit
            left = max(0, each.left - (stop is None or stop is limit))
            set_header(limit.limit_header, limit.shown)
            set_header(limit.left_header, _shown(left))
            rank = (left, -limit.seconds)
            if tightest is None or rank < tightest[:2]:
                tightest = (*rank, each)
        assert tightest is not None
        left, _, told = tightest
        reset = str(max(1, told.end - int(now)))
        set_header("RateLimit-Limit", told.limit.shown)
        set_header("RateLimit-Remaining", _shown(left))
        set_header("RateLimit-Reset", reset)
        return reset


def _shown(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.14g}"


PLUGIN = RateLimiting
