"""What the oauth2 plugin keeps: applications, codes and tokens (its ``daos.lua``)."""

import base64
import hashlib
import re
import uuid
from collections.abc import Mapping
from typing import Any

from store.schema.credentials import OF_CONSUMER
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.parts import Transformation
from store.schema.typedefs import (
    CREATED_AT,
    EXPIRES_AT,
    EXPIRY,
    TAGS,
    TTL,
    UNIQUE_TEXT,
    UUID,
    having,
)

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]+[^#]*(?P<fragment>#.*)?", re.DOTALL)
HASH_ROUNDS = 10_000
HASH_BYTES = 32
_HASHED = "$pbkdf2-sha512$"


def _redirect_uri_error(uri: str) -> str | None:
    parsed = _URI.fullmatch(uri)
    if parsed is None:
        return f"cannot parse '{uri}'"
    return f"fragment not allowed in '{uri}'" if parsed.group("fragment") is not None else None


def _hash_secret(entity: Mapping[str, Any], now: float) -> dict[str, str]:
    """Kong's PHC string of PBKDF2. The salt is the entity's id: as good as no other one's."""
    secret = entity["client_secret"]
    if not entity["hash_secret"] or secret is None or secret.startswith(_HASHED):
        return {}
    salt = uuid.UUID(entity["id"]).bytes
    digest = hashlib.pbkdf2_hmac("sha512", secret.encode("utf-8"), salt, HASH_ROUNDS, HASH_BYTES)
    shown = "$".join(base64.b64encode(part).decode().rstrip("=") for part in (salt, digest))
    return {"client_secret": f"{_HASHED}i={HASH_ROUNDS},l={HASH_BYTES}${shown}"}


OAUTH2_CREDENTIALS = Schema(
    kind="oauth2_credentials",
    entity_name="oauth2_credential",
    endpoint_key="client_id",
    admin_name="oauth2",
    cold=True,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "consumer": OF_CONSUMER,
        "name": Field("string", "Of the application.", required=True),
        "client_id": having(UNIQUE_TEXT, description="Drawn when it isn't given.", auto=True),
        "client_secret": Field("string", "Drawn when it isn't given.", auto=True, encrypted=True),
        "hash_secret": Field(
            "boolean", "Whether the secret is stored as a hash.", required=True, default=False
        ),
        "redirect_uris": Field(
            "array",
            "Where users may be sent back to.",
            elements=Field("string", check=_redirect_uri_error),
        ),
        "tags": TAGS,
        "client_type": Field(
            "string",
            "Whether the application can keep a secret.",
            required=True,
            default="confidential",
            one_of=("confidential", "public"),
        ),
    },
    transformations=(Transformation(("hash_secret", "client_secret"), _hash_secret, once=True),),
)

_CREDENTIAL = Field(
    "foreign",
    "Whose it is.",
    reference="oauth2_credentials",
    required=True,
    on_delete="cascade",
)
_SERVICE = Field("foreign", "Which service it is for.", reference="services", on_delete="cascade")
_USER = Field("string", "Whom the application acts for.")
_SCOPE = Field("string", "What it allows.")

OAUTH2_AUTHORIZATION_CODES = Schema(
    kind="oauth2_authorization_codes",
    entity_name="oauth2_authorization_code",
    endpoint_key=None,
    endpoints="nowhere",
    cold=True,
    runtime=True,
    ttl=True,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "service": _SERVICE,
        "credential": _CREDENTIAL,
        "code": having(UNIQUE_TEXT, auto=True, encrypted=True),
        "authenticated_userid": _USER,
        "scope": _SCOPE,
        "challenge": Field("string", "Of PKCE (RFC 7636)."),
        "challenge_method": Field("string", "Of PKCE.", one_of=("S256",)),
        "plugin": Field(
            "foreign", "Which one gave it out.", reference="plugins", on_delete="cascade"
        ),
        "ttl": TTL,
        "expires_at": EXPIRES_AT,
    },
    transformations=(EXPIRY,),
)

OAUTH2_TOKENS = Schema(
    kind="oauth2_tokens",
    entity_name="oauth2_token",
    endpoint_key="access_token",
    cold=True,
    runtime=True,
    ttl=True,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "service": _SERVICE,
        "credential": _CREDENTIAL,
        "token_type": Field(
            "string", "Bearer is the only one.", required=True, default="bearer", one_of=("bearer",)
        ),
        "expires_in": Field("integer", "Seconds; 0 for ever.", required=True),
        "access_token": having(UNIQUE_TEXT, auto=True, encrypted=True),
        "refresh_token": having(UNIQUE_TEXT, encrypted=True),
        "authenticated_userid": _USER,
        "scope": _SCOPE,
        "tags": TAGS,
        "ttl": TTL,
        "expires_at": EXPIRES_AT,
    },
    transformations=(EXPIRY,),
)
