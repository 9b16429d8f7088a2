"""ai-request-transformer: a language model rewrites the request."""

from store.schema.plugins.ai_transformer import transformer

PLUGIN = transformer("ai-request-transformer", 777, "request")
