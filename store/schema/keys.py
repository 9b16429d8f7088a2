"""Keys for signatures and tokens, and sets of them (``entities/keys.lua``, ``key_sets.lua``)."""

import json
from collections.abc import Mapping
from typing import Any

from store.errors import EntityError
from store.schema.checks import AtLeastOneOf, Custom, MutuallyExclusive
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.typedefs import CREATED_AT, TAGS, UNIQUE_TEXT, UPDATED_AT, UUID, having
from store.schema.values import errors_of, is_reference
from store.schema.violations import schema_violation

_TEXT = Field("string")
_JWK = Field(
    "record",
    fields={
        **dict.fromkeys(("issuer", "kty", "use", "alg", "x5u", "x5t", "x5t#S256"), _TEXT),
        "kid": Field("string", required=True),
        **dict.fromkeys(("key_ops", "x5c"), Field("array", elements=_TEXT)),
        **dict.fromkeys(("k", "x", "y", "crv", "n", "e", "d", "p", "q"), _TEXT),
        **dict.fromkeys(("dp", "dq", "qi", "oth", "r", "t"), _TEXT),
    },
)
"""A JSON Web Key (RFC 7517), decoded."""


def _jwk_error(entity: Mapping[str, Any]) -> str | None:
    text = entity.get("jwk")
    if text is None:
        return None
    try:
        key = json.loads(text)
    except (ValueError, RecursionError):
        return "could not json decode jwk string"
    if not isinstance(key, dict) or key.get("kid") != entity["kid"]:
        return "kid in jwk.kid must be equal to keys.kid"
    from store.schema.pem import is_jwk

    if not is_jwk(key):
        return "could not load JWK, likely not a valid key"
    wrong = errors_of(_JWK, key)
    return None if wrong is None else _told(schema_violation(wrong))


def _told(error: EntityError) -> str:
    return error.message


def _pem_error(pair: Mapping[str, Any]) -> str | None:
    from store.schema.pem import key_pair_error

    return None if any(is_reference(part) for part in pair.values()) else key_pair_error(pair)


KEY_SETS = Schema(
    kind="key_sets",
    entity_name="set",
    endpoint_key="name",
    admin_name="key-sets",
    fields={
        "id": UUID,
        "name": having(UNIQUE_TEXT, description="A unique name, usable in place of the id."),
        "tags": TAGS,
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
    },
)

KEYS = Schema(
    kind="keys",
    entity_name="key",
    endpoint_key="name",
    fields={
        "id": UUID,
        "set": Field("foreign", "Which it is in.", reference="key_sets", on_delete="cascade"),
        "name": having(UNIQUE_TEXT, description="A unique name, usable in place of the id."),
        "kid": Field("string", "What tokens name; unique within the set.", required=True),
        "jwk": Field("string", "A JSON Web Key.", referenceable=True, encrypted=True),
        "pem": Field(
            "record",
            "A pair of keys, or one of them.",
            fields={
                "private_key": Field("string", referenceable=True, encrypted=True),
                "public_key": Field("string", referenceable=True),
            },
            checks=(AtLeastOneOf(("private_key", "public_key")),),
            check=_pem_error,
        ),
        "tags": TAGS,
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
    },
    checks=(
        MutuallyExclusive(("jwk", "pem")),
        AtLeastOneOf(("jwk", "pem")),
        Custom(("jwk", "kid"), _jwk_error),
    ),
    unique_together=(("kid", "set"),),
)
