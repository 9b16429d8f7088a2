"""ai-proxy: a language model in place of an upstream."""

from store.schema.field import Field
from store.schema.plugins.llm import MAX_REQUEST_BODY_SIZE, llm
from store.schema.plugins.plugin import PluginSchema

PLUGIN = PluginSchema(
    name="ai-proxy",
    priority=770,
    config=llm(
        response_streaming=Field(
            "string",
            "Whether answers may come in pieces.",
            default="allow",
            one_of=("allow", "deny", "always"),
        ),
        max_request_body_size=MAX_REQUEST_BODY_SIZE,
        model_name_header=Field(
            "boolean", "Whether X-Kong-LLM-Model names the model.", default=True
        ),
    ),
)
