"""response-ratelimiting: limits on what upstreams count in a response header."""

from store.schema.checks import AtLeastOneOf, Conditional, Match
from store.schema.field import Field
from store.schema.plugins.periods import LIMITS, PERIODS, order_error
from store.schema.plugins.plugin import PluginSchema, config
from store.schema.plugins.redis import REDIS, old_redis_names

PLUGIN = PluginSchema(
    name="response-ratelimiting",
    priority=900,
    config=config(
        {
            "header_name": Field("string", "Response header that counts.", default="x-kong-limit"),
            "limit_by": Field(
                "string",
                "Whose responses are counted together.",
                default="consumer",
                one_of=("consumer", "credential", "ip"),
            ),
            "policy": Field(
                "string",
                "Where the counters are: in each node, in the cluster, or in Redis.",
                default="local",
                one_of=("local", "cluster", "redis"),
            ),
            "fault_tolerant": Field(
                "boolean",
                "Whether requests pass while the counters can't be reached.",
                required=True,
                default=True,
            ),
            "redis": REDIS,
            "block_on_first_violation": Field(
                "boolean",
                "Whether one exceeded limit stops requests that count on others, too.",
                required=True,
                default=False,
            ),
            "hide_client_headers": Field(
                "boolean", "Leave the limits' headers out.", required=True, default=False
            ),
            "limits": Field(
                "map",
                "Limits by the name of what is counted.",
                required=True,
                len_min=1,
                keys=Field("string"),
                values=Field(
                    "record",
                    required=True,
                    fields=LIMITS,
                    checks=(AtLeastOneOf(PERIODS),),
                    check=lambda limits: order_error(limits, "the"),
                ),
            ),
        },
        shorthands=old_redis_names("response-ratelimiting"),
    ),
    checks=tuple(
        Conditional(
            "config.policy", Match(eq="redis"), f"config.redis.{name}", Match(required=True)
        )
        for name in ("host", "port", "timeout")
    ),
)
