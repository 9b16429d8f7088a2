"""Consumers: who uses services (``entities/consumers.lua``)."""

from store.limits import UNIQUE_CHARS_MAX
from store.schema.checks import AtLeastOneOf
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.typedefs import CREATED_AT, TAGS, UPDATED_AT, UUID

CONSUMERS = Schema(
    kind="consumers",
    entity_name="consumer",
    endpoint_key="username",
    cold=True,
    query_key="custom_id",
    fields={
        "id": UUID,
        "username": Field(
            "string",
            "A unique name, usable in place of the id.",
            unique=True,
            len_max=UNIQUE_CHARS_MAX,
        ),
        "custom_id": Field(
            "string",
            "A unique name that another system has for it.",
            unique=True,
            len_max=UNIQUE_CHARS_MAX,
        ),
        "tags": TAGS,
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
    },
    checks=(AtLeastOneOf(("custom_id", "username")),),
)
