"""Credentials by which auth plugins know a consumer (``kong/plugins/*/daos.lua``).

Those of oauth2 have a module of their own.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from store.limits import UNIQUE_CHARS_MAX
from store.schema.checks import Conditional, Match
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

OF_CONSUMER = Field(
    "foreign", "Whose it is.", reference="consumers", required=True, on_delete="cascade"
)

KEYAUTH_CREDENTIALS = Schema(
    kind="keyauth_credentials",
    entity_name="keyauth_credential",
    endpoint_key="key",
    admin_name="key-auths",
    nested_name="key-auth",
    cold=True,
    ttl=True,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "consumer": OF_CONSUMER,
        "key": having(
            UNIQUE_TEXT,
            description="What clients show; drawn when it isn't given.",
            auto=True,
            encrypted=True,
        ),
        "tags": TAGS,
        "ttl": TTL,
        "expires_at": EXPIRES_AT,
    },
    transformations=(EXPIRY,),
)


def _hash_password(entity: Mapping[str, Any], now: float) -> dict[str, str]:
    """Kong's: SHA-1 of the password, salted with the consumer's id."""
    salted = f"{entity['password']}{entity['consumer']['id']}"
    return {"password": hashlib.sha1(salted.encode("utf-8")).hexdigest()}


BASICAUTH_CREDENTIALS = Schema(
    kind="basicauth_credentials",
    entity_name="basicauth_credential",
    endpoint_key="username",
    admin_name="basic-auths",
    nested_name="basic-auth",
    cold=True,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "consumer": OF_CONSUMER,
        "username": having(UNIQUE_TEXT, description="What the client names.", required=True),
        "password": Field("string", "Stored as a hash.", required=True, encrypted=True),
        "tags": TAGS,
    },
    transformations=(Transformation(("password",), _hash_password, once=True),),
)

HMACAUTH_CREDENTIALS = Schema(
    kind="hmacauth_credentials",
    entity_name="hmacauth_credential",
    endpoint_key="username",
    admin_name="hmac-auths",
    nested_name="hmac-auth",
    cold=True,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "consumer": OF_CONSUMER,
        "username": having(UNIQUE_TEXT, description="What the client names.", required=True),
        "secret": Field(
            "string", "Signs requests; drawn when it isn't given.", auto=True, encrypted=True
        ),
        "tags": TAGS,
    },
)


def _public_key_error(key: str) -> str | None:
    from store.schema.pem import is_public_key

    return None if is_public_key(key) else "invalid key"


JWT_SECRETS = Schema(
    kind="jwt_secrets",
    entity_name="jwt_secret",
    endpoint_key="key",
    admin_name="jwts",
    nested_name="jwt",
    cold=True,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "consumer": OF_CONSUMER,
        "key": having(
            UNIQUE_TEXT, description="What tokens name; drawn when it isn't given.", auto=True
        ),
        "secret": Field(
            "string", "Of the HS algorithms; drawn when it isn't given.", auto=True, encrypted=True
        ),
        "rsa_public_key": Field("string", "Of the other algorithms, in PEM."),
        "algorithm": Field(
            "string",
            "How tokens are signed.",
            default="HS256",
            one_of=(
                "HS256",
                "HS384",
                "HS512",
                "RS256",
                "RS384",
                "RS512",
                "ES256",
                "ES384",
                "ES512",
                "PS256",
                "PS384",
                "PS512",
                "EdDSA",
            ),
        ),
        "tags": TAGS,
    },
    checks=(
        Conditional(
            "algorithm",
            Match(one_of=("RS256", "RS384", "RS512")),
            "rsa_public_key",
            Match(required=True, check=_public_key_error),
        ),
    ),
)

ACLS = Schema(
    kind="acls",
    entity_name="acl",
    endpoint_key=None,
    cold=True,
    fields={
        "id": UUID,
        "created_at": CREATED_AT,
        "consumer": OF_CONSUMER,
        "group": Field(
            "string",
            "A group that the consumer belongs to.",
            required=True,
            len_max=UNIQUE_CHARS_MAX,
        ),
        "tags": TAGS,
    },
    unique_together=(("consumer", "group"),),
    scoped_key=("consumer", "group"),
)
