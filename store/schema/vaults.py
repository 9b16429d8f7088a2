"""Vaults: where ``{vault://prefix/secret}`` is looked up (``entities/vaults.lua``)."""

import re

from store.limits import UNIQUE_CHARS_MAX
from store.schema.entity import Schema
from store.schema.field import Field, Pattern
from store.schema.parts import Subschema
from store.schema.typedefs import CREATED_AT, TAGS, UPDATED_AT, UUID

_ENV = Subschema(
    fields={
        "config": Field(
            "record",
            "Settings of this kind of vault.",
            required=True,
            fields={
                "prefix": Field(
                    "string",
                    "What the names of the environment variables begin with.",
                    match=Pattern(
                        re.compile(r"\A[A-Za-z_][A-Za-z0-9_]*\Z"),
                        "^[%a_][%w_]*$",
                        "invalid value: ",
                    ),
                )
            },
        )
    }
)


def _unknown(name: str) -> str:
    return f"vault '{name}' is not installed"


_KINDS = {"env": _ENV}

VAULTS = Schema(
    kind="vaults",
    entity_name="vault",
    endpoint_key="prefix",
    subschema_key="name",
    subschemas=_KINDS,
    unknown_subschema=_unknown,
    fields={
        "id": UUID,
        "prefix": Field(
            "string",
            "What references name it by.",
            required=True,
            unique=True,
            len_max=UNIQUE_CHARS_MAX,
            match=Pattern(
                re.compile(r"\A[a-z][a-z0-9-]*?[a-z0-9]+\Z"),
                "^[a-z][a-z%d-]-[a-z%d]+$",
                "invalid value: ",
            ),
            not_one_of=tuple(_KINDS),
        ),
        "name": Field("string", "The kind of vault.", required=True),
        "description": Field("string", "What it is for."),
        "config": Field("record", "Settings of this kind of vault.", abstract=True),
        "created_at": CREATED_AT,
        "updated_at": UPDATED_AT,
        "tags": TAGS,
    },
)
