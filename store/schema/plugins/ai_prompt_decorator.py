"""ai-prompt-decorator: messages put before and after a chat."""

from store.schema.checks import AtLeastOneOf
from store.schema.field import Field
from store.schema.plugins.llm import MAX_REQUEST_BODY_SIZE
from store.schema.plugins.plugin import PluginSchema, config

_MESSAGE = Field(
    "record",
    fields={
        "role": Field(
            "string",
            "Whose message it is.",
            required=True,
            default="system",
            one_of=("system", "assistant", "user"),
        ),
        "content": Field("string", "Its text.", required=True, len_min=1, len_max=500),
    },
)

PLUGIN = PluginSchema(
    name="ai-prompt-decorator",
    priority=772,
    config=config(
        {
            "prompts": Field(
                "record",
                "The messages.",
                fields={
                    "prepend": Field("array", "Put before.", len_max=15, elements=_MESSAGE),
                    "append": Field("array", "Put after.", len_max=15, elements=_MESSAGE),
                },
            ),
            "max_request_body_size": MAX_REQUEST_BODY_SIZE,
        }
    ),
    checks=(AtLeastOneOf(("config.prompts.prepend", "config.prompts.append")),),
)
