"""ai-response-transformer: a language model rewrites the response."""

from store.schema.field import Field
from store.schema.plugins.ai_transformer import transformer

PLUGIN = transformer(
    "ai-response-transformer",
    768,
    "response",
    parse_llm_response_json_instructions=Field(
        "boolean",
        "Whether the answer says status, headers and body in JSON.",
        required=True,
        default=False,
    ),
)
