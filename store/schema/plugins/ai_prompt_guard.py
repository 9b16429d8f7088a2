"""ai-prompt-guard: which questions may be asked."""

from store.schema.checks import AtLeastOneOf, Conditional, Match
from store.schema.field import Field
from store.schema.plugins.llm import MAX_REQUEST_BODY_SIZE
from store.schema.plugins.plugin import PluginSchema, config

_PATTERN = Field("string", len_min=1, len_max=500)

PLUGIN = PluginSchema(
    name="ai-prompt-guard",
    priority=771,
    config=config(
        {
            "allow_patterns": Field(
                "array", "Expressions of what may be asked.", len_max=10, elements=_PATTERN
            ),
            "deny_patterns": Field(
                "array", "Expressions of what may not be asked.", len_max=10, elements=_PATTERN
            ),
            "allow_all_conversation_history": Field(
                "boolean", "Look at the last question alone.", required=True, default=False
            ),
            "max_request_body_size": MAX_REQUEST_BODY_SIZE,
            "match_all_roles": Field(
                "boolean", "Look at more than the user's messages.", required=True, default=False
            ),
        }
    ),
    checks=(
        AtLeastOneOf(("config.allow_patterns", "config.deny_patterns")),
        Conditional(
            "config.match_all_roles",
            Match(eq=True),
            "config.allow_all_conversation_history",
            Match(eq=False),
        ),
    ),
)
