"""rate-limiting: how many requests per period (``kong/plugins/rate-limiting``).

Periods are those of the calendar, in UTC: a limit per minute begins anew with each full minute.
Policy ``local`` counts for the whole node (node.plugins.counters); as in Kong, each node counts for
itself.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

from node.plugins import limits
from node.plugins.context import Context
from node.plugins.fields import Field, header_field
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
        "_end",
        "_from",
        "_until",
        "left",
        "limit",
        "mark",
        "most",
        "period",
        "seconds",
        "shown",
    )

    def __init__(self, period: str, most: float) -> None:
        name = period.capitalize()
        self.period = period
        self.seconds = _SECONDS[period]
        self.most = most
        self.shown = _shown(most)
        self.limit = header_field(f"X-RateLimit-Limit-{name}", self.shown)
        self.left = header_field(f"X-RateLimit-Remaining-{name}", "")
        self.mark = (PERIODS.index(period) + 1) * _SPREAD
        """Tells the periods of one identifier apart, added to its hash."""
        self._from = self._until = self._end = 0

    def end(self, now: float) -> int:
        """When the period that ``now`` is in ends. It is found out once for each, and for those of
        many days once a day."""
        if not self._from <= now < self._until:
            start = period_start(self.period, now)
            self._end = start + self.seconds
            span = min(self.seconds, _SECONDS["day"])
            self._from = int(now) - int(now) % span
            self._until = self._from + span
        return self._end


_Usage = tuple[_Limit, float, int, int]
"""How a limit stands before a request: what is left of it, its counter's key, and the period's
end."""

_TIGHTEST = tuple(
    header_field(name, "") for name in ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
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
            _Limit(each, config[each]) for each in PERIODS if config.get(each) is not None
        ]
        fields = [field for limit in self._limits for field in (limit.limit, limit.left)]
        self._told = frozenset(key for key, _, _ in (*fields, *_TIGHTEST))
        """Names of the headers that are set."""
        self._keys: dict[str, int] = {}
        """Hashes by identifier."""
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
        whose = self._key(self._identifier(context))
        counters, stop = self._counters, None
        usage: list[_Usage] = []
        for limit in self._limits:
            end = limit.end(now)
            key = (whose + limit.mark) & _KEY_MASK or 1
            left = limit.most - counters.count(key, end)
            if left <= 0:
                stop = limit
            usage.append((limit, left, key, end))
        reset = None if self._hidden else self._tell(context, usage, stop, now)
        if stop is not None:
            if reset is not None:
                context.response.set_header("Retry-After", reset)
            context.error(self._status, self._message)
        for _, _, key, end in usage:
            counters.add(key, end, now)

    def _key(self, identifier: str) -> int:
        key = self._keys.get(identifier)
        if key is None:
            key = self._counters.key(f"{self._of}:{identifier}")
            if len(self._keys) >= limits.RATE_KEYS_REMEMBERED_MAX:
                self._keys.clear()
            self._keys[identifier] = key
        return key

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
        told: list[Field] = []
        tightest, most_left, ends, tells = usage[0][0], math.inf, 0, b""
        for limit, before, _, end in usage:
            left = max(0, before - (stop is None or stop is limit))
            shown = b"%d" % left if isinstance(left, int) else _shown(left).encode()
            key, name, _ = limit.left
            told += (limit.limit, (key, name, shown))
            if left < most_left or (left == most_left and limit.seconds > tightest.seconds):
                tightest, most_left, ends, tells = limit, left, end, shown
        reset = max(1, ends - int(now))
        for (key, name, _), value in zip(
            _TIGHTEST, (tightest.limit[2], tells, b"%d" % reset), strict=True
        ):
            told.append((key, name, value))
        context.response.put(self._told, told)
        return str(reset)


def _shown(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:.14g}"


PLUGIN = RateLimiting
