"""What plugins keep for themselves (``daos.lua`` of session and acme)."""

from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.typedefs import CREATED_AT, EXPIRES_AT, EXPIRY, TTL, UNIQUE_TEXT, UUID, having

SESSIONS = Schema(
    kind="sessions",
    entity_name="session",
    endpoint_key="session_id",
    cold=True,
    runtime=True,
    ttl=True,
    fields={
        "id": UUID,
        "session_id": having(UNIQUE_TEXT, required=True, encrypted=True),
        "expires": Field("integer", "Unix seconds."),
        "data": Field("string", "Opaque here.", encrypted=True),
        "created_at": CREATED_AT,
        "ttl": TTL,
        "expires_at": EXPIRES_AT,
    },
    transformations=(EXPIRY,),
)

ACME_STORAGE = Schema(
    kind="acme_storage",
    entity_name="acme_storage",
    endpoint_key=None,
    cold=True,
    runtime=True,
    ttl=True,
    fields={
        "id": UUID,
        "key": having(UNIQUE_TEXT, required=True, auto=True),
        "value": Field("string", "Opaque here.", required=True, auto=True, encrypted=True),
        "created_at": CREATED_AT,
        "ttl": TTL,
        "expires_at": EXPIRES_AT,
    },
    transformations=(EXPIRY,),
)
