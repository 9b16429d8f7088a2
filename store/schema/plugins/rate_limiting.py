"""rate-limiting: how many requests per period."""

from collections.abc import Mapping
from typing import Any

from store.schema.checks import AtLeastOneOf, Conditional, Match
from store.schema.field import Field
from store.schema.plugins.periods import LIMITS, PERIODS, order_error
from store.schema.plugins.plugin import PluginSchema, config
from store.schema.plugins.redis import REDIS, old_redis_names
from store.schema.plugins.typedefs import HEADER_NAME
from store.schema.typedefs import PATH, having

_AT_ONCE = -1
"""The sync_rate under which every request asks the store."""

_SYNC_SECONDS_MIN = 0.02


def _error(settings: Mapping[str, Any]) -> str | None:
    wrong = order_error(settings, "The")
    if wrong is not None or settings["sync_rate"] == _AT_ONCE:
        return wrong
    if settings["policy"] != "redis":
        return "sync_rate can only be used with the redis policy"
    if settings["sync_rate"] < _SYNC_SECONDS_MIN:
        return "sync_rate must be greater than 0.02, or -1 to disable"
    return None


def _required(path: str, value: str, then: str) -> Conditional:
    return Conditional(f"config.{path}", Match(eq=value), f"config.{then}", Match(required=True))


PLUGIN = PluginSchema(
    name="rate-limiting",
    priority=910,
    config=config(
        {
            **LIMITS,
            "limit_by": Field(
                "string",
                "Whose requests are counted together.",
                default="consumer",
                one_of=("consumer", "credential", "ip", "service", "header", "path"),
            ),
            "header_name": having(HEADER_NAME, description="For limit_by header."),
            "path": having(PATH, description="For limit_by path."),
            "policy": Field(
                "string",
                "Where the counters are: in each node, in the cluster, or in Redis.",
                default="local",
                len_min=0,
                one_of=("local", "cluster", "redis"),
            ),
            "fault_tolerant": Field(
                "boolean",
                "Whether requests pass while the counters can't be reached.",
                required=True,
                default=True,
            ),
            "redis": REDIS,
            "hide_client_headers": Field(
                "boolean", "Leave the RateLimit headers out.", required=True, default=False
            ),
            "error_code": Field("number", "Status of a refusal.", default=429, gt=0),
            "error_message": Field(
                "string", "Text of a refusal.", default="API rate limit exceeded"
            ),
            "sync_rate": Field(
                "number",
                "Seconds between exchanges with Redis; -1: at each request.",
                required=True,
                default=_AT_ONCE,
            ),
        },
        check=_error,
        shorthands=old_redis_names("rate-limiting"),
    ),
    checks=(
        AtLeastOneOf(tuple(f"config.{period}" for period in PERIODS)),
        _required("policy", "redis", "redis.host"),
        _required("policy", "redis", "redis.port"),
        _required("policy", "redis", "redis.timeout"),
        _required("limit_by", "header", "header_name"),
        _required("limit_by", "path", "path"),
    ),
)
