"""request-termination: a fixed answer in place of the upstream's."""

from collections.abc import Mapping
from typing import Any

from store.schema.field import Field
from store.schema.plugins.plugin import PluginSchema, config
from store.schema.plugins.typedefs import HEADER_NAME
from store.schema.typedefs import having


def _error(settings: Mapping[str, Any]) -> str | None:
    body, content_type = settings.get("body"), settings.get("content_type")
    if settings.get("message") and (body or content_type):
        return "message cannot be used with content_type or body"
    if content_type and not body:
        return "content_type requires a body"
    if settings.get("echo") and (body or content_type):
        return "echo cannot be used with content_type and body"
    return None


PLUGIN = PluginSchema(
    name="request-termination",
    priority=2,
    config=config(
        {
            "status_code": Field(
                "integer", "Status of the answer.", required=True, default=503, between=(100, 599)
            ),
            "message": Field("string", "Text in the usual form of errors."),
            "content_type": Field("string", "Of body."),
            "body": Field("string", "The whole answer."),
            "echo": Field(
                "boolean", "Answer with a copy of the request.", required=True, default=False
            ),
            "trigger": having(
                HEADER_NAME, description="Header or query argument without which nothing happens."
            ),
        },
        check=_error,
    ),
)
