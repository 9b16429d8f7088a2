"""proxy-cache: answers that are kept and given again."""

from store.schema.field import Field
from store.schema.plugins.plugin import ALL_PROTOCOLS, PluginSchema, config
from store.schema.plugins.typedefs import STRINGS
from store.schema.typedefs import having

PLUGIN = PluginSchema(
    name="proxy-cache",
    priority=100,
    protocols=ALL_PROTOCOLS,
    config=config(
        {
            "response_code": Field(
                "array",
                "Statuses of answers to keep.",
                required=True,
                default=[200, 301, 404],
                len_min=1,
                elements=Field("integer", between=(100, 900)),
            ),
            "request_method": Field(
                "array",
                "Methods of requests whose answers to keep.",
                required=True,
                default=["GET", "HEAD"],
                elements=Field("string", one_of=("HEAD", "GET", "POST", "PATCH", "PUT")),
            ),
            "content_type": Field(
                "array",
                "Content types to keep, compared as a whole.",
                required=True,
                default=["text/plain", "application/json"],
                elements=Field("string"),
            ),
            "cache_ttl": Field(
                "integer", "Seconds for which an answer is good.", default=300, gt=0
            ),
            "strategy": Field(
                "string", "Where answers are kept.", required=True, one_of=("memory",)
            ),
            "cache_control": Field(
                "boolean", "Whether Cache-Control has a say.", required=True, default=False
            ),
            "ignore_uri_case": Field(
                "boolean", "Whether paths in either case are one.", default=False
            ),
            "storage_ttl": Field("integer", "Seconds for which an answer is kept."),
            "memory": config(
                {
                    "dictionary_name": Field(
                        "string", "Taken, and of no effect.", required=True, default="kong_db_cache"
                    )
                },
                description="Of the strategy memory.",
            ),
            "vary_query_params": having(
                STRINGS, description="Arguments that tell answers apart; null: all."
            ),
            "vary_headers": having(
                STRINGS, description="Headers that tell answers apart; null: none."
            ),
            "response_headers": config(
                {
                    name: Field("boolean", f"Whether the answer says {name}.", default=True)
                    for name in ("age", "X-Cache-Status", "X-Cache-Key")
                },
                description="What kept answers tell of themselves.",
            ),
        }
    ),
)
