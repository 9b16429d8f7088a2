"""ai-prompt-template: prompts that clients fill in."""

from store.schema.field import Field
from store.schema.plugins.llm import MAX_REQUEST_BODY_SIZE
from store.schema.plugins.plugin import PluginSchema, config

PLUGIN = PluginSchema(
    name="ai-prompt-template",
    priority=773,
    config=config(
        {
            "templates": Field(
                "array",
                "The prompts.",
                required=True,
                elements=Field(
                    "record",
                    required=True,
                    fields={
                        "name": Field("string", "Asked for as {template://NAME}.", required=True),
                        "template": Field("string", "Text with {{placeholders}}.", required=True),
                    },
                ),
            ),
            "allow_untemplated_requests": Field(
                "boolean", "Whether other requests pass.", required=True, default=True
            ),
            "log_original_request": Field(
                "boolean", "Log what was asked for.", required=True, default=False
            ),
            "max_request_body_size": MAX_REQUEST_BODY_SIZE,
        }
    ),
)
