"""rate-limiting: how many requests per period (``kong/plugins/rate-limiting``).

Periods are those of the calendar, in UTC: a limit per minute begins anew with each full minute.
Policy ``local`` counts for the whole node (node.plugins.counters); as in Kong, each node counts for
itself.
"""

import math
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
_NOBODY = "00000000-0000-0000-0000-000000000000"


def period_start(period: str, now: float) -> int:
    """When the period that ``now`` is in began, in Unix seconds."""
    second = int(now)
    if period in _EXACT:
        return second - second % _SECONDS[period]
    date = time.gmtime(second)
    days = (date.tm_mday if period == "month" else date.tm_yday) - 1
    return second - second % _SECONDS["day"] - days * _SECONDS["day"]


class _Usage(NamedTuple):
    """How a limit stands before this request."""

    period: str
    limit: float
    left: float
    key: int
    start: int


class RateLimiting(Plugin):
    """See the module's text."""

    schema = rate_limiting.PLUGIN
    version = KONG_API_VERSION

    def __init__(self, config: Mapping[str, Any], bound: Bound, worker: Worker) -> None:
        problem = self.problem(config)
        if problem is not None:
            raise PluginRefused(problem)
        self._limits = [(each, config[each]) for each in PERIODS if config.get(each) is not None]
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
        usage = [self._usage(context, period, limit, now) for period, limit in self._limits]
        stop = next((each.period for each in reversed(usage) if each.left <= 0), None)
        reset = None if self._hidden else self._tell(context, usage, stop, now)
        if stop is not None:
            if reset is not None:
                context.response.set_header("Retry-After", str(reset))
            context.error(self._status, self._message)
        for each in usage:
            self._counters.add(each.key, each.start + _SECONDS[each.period], now)

    def _usage(self, context: Context, period: str, limit: float, now: float) -> _Usage:
        start = period_start(period, now)
        key = self._counters.key(f"{self._of}:{self._identifier(context)}:{period}")
        used = self._counters.count(key, start + _SECONDS[period])
        return _Usage(period, limit, limit - used, key, start)

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

    def _tell(self, context: Context, usage: list[_Usage], stop: str | None, now: float) -> int:
        """Set the headers; returns in how many seconds the tightest limit begins anew."""
        response = context.response
        tightest: tuple[float, float, _Usage] | None = None
        for each in usage:
            left = max(0, each.left - (stop is None or stop == each.period))
            name = each.period.capitalize()
            response.set_header(f"X-RateLimit-Limit-{name}", _shown(each.limit))
            response.set_header(f"X-RateLimit-Remaining-{name}", _shown(left))
            rank = (left, -_SECONDS[each.period])
            if tightest is None or rank < tightest[:2]:
                tightest = (*rank, each)
        assert tightest is not None
        left, _, limit = tightest
        reset = max(1, _SECONDS[limit.period] - math.floor(int(now) - limit.start))
        response.set_header("RateLimit-Limit", _shown(limit.limit))
        response.set_header("RateLimit-Remaining", _shown(left))
        response.set_header("RateLimit-Reset", str(reset))
        return reset


def _shown(number: float) -> str:
    return f"{number:.14g}"


PLUGIN = RateLimiting
