"""A cold kind for tests: credentials with a unique key, an owner, and an end."""

from collections.abc import Iterator
from contextlib import contextmanager

from store import schema as schemas
from store.canonical import encode_entity
from store.changeset import Change
from store.schema.entity import Schema
from store.schema.field import Field

KIND = "keycards"

KEYCARDS = Schema(
    kind=KIND,
    entity_name="keycard",
    endpoint_key="key",
    cold=True,
    fields={
        "id": Field("string", uuid=True),
        "key": Field("string", unique=True),
        "consumer": Field("foreign", reference="services"),
        "expires_at": Field("integer"),
    },
)


@contextmanager
def known_keycards() -> Iterator[None]:
    """Within it the kind is known."""
    schemas._SCHEMAS[KIND] = KEYCARDS
    try:
        yield
    finally:
        del schemas._SCHEMAS[KIND]


def keycard(number: int, key: str, consumer: str = "c0", expires_at: int | None = None) -> Change:
    """Card ``number``; its id has the form of an id."""
    entity = {
        "id": card_id(number),
        "key": key,
        "consumer": {"id": consumer},
        "expires_at": expires_at,
    }
    return Change(KIND, card_id(number), encode_entity(entity))


def no_keycard(number: int) -> Change:
    """Its deletion."""
    return Change(KIND, card_id(number), None)


def card_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"
