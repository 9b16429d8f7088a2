"""acl: which groups of consumers may pass."""

from store.schema.checks import AtLeastOneOf, OnlyOneOf
from store.schema.field import Field
from store.schema.plugins.plugin import NO_CONSUMER, PluginSchema, config
from store.schema.plugins.typedefs import STRINGS
from store.schema.typedefs import having

_LISTS = ("config.allow", "config.deny")

PLUGIN = PluginSchema(
    name="acl",
    priority=950,
    scopes=NO_CONSUMER,
    config=config(
        {
            "allow": having(STRINGS, description="Groups that may pass, and no others."),
            "deny": having(STRINGS, description="Groups that may not pass."),
            "hide_groups_header": Field(
                "boolean",
                "Keep X-Consumer-Groups from the upstream.",
                required=True,
                default=False,
            ),
            "always_use_authenticated_groups": Field(
                "boolean",
                "Prefer the groups that authentication found to the consumer's own.",
                required=True,
                default=False,
            ),
        }
    ),
    checks=(OnlyOneOf(_LISTS), AtLeastOneOf(_LISTS)),
)
