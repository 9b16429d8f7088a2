"""What a schema says of fields that it refuses."""

from collections.abc import Mapping
from typing import Any

import pytest

from store.errors import EntityError
from store.schema import schema

NOW = 1_700_000_000.25
ID = "5fd1b1e0-0000-4000-8000-00000000000a"
OTHER_ID = "5fd1b1e0-0000-4000-8000-00000000000b"


def new(kind: str, **fields: Any) -> dict[str, Any]:
    """The entity that a POST makes, with ids and secrets that tests know."""
    return schema(kind).validate_new(fields, NOW, lambda: ID, lambda: "drawn")


def refusal(kind: str, fields: Mapping[str, Any]) -> EntityError:
    """The error that a POST gets."""
    with pytest.raises(EntityError) as caught:
        new(kind, **fields)
    return caught.value


def said(kind: str, fields: Mapping[str, Any]) -> str:
    """What is in the parentheses of the message that a POST gets."""
    error = refusal(kind, fields)
    assert (error.code, error.name) == (2, "schema violation")
    return error.message.partition("(")[2].removesuffix(")")
