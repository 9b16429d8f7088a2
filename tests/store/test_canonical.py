"""Canonical bytes: one entity, one text; one text, one digest."""

import contextlib
import hashlib
import json
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from store.canonical import decode_entity, encode_entity
from store.changeset import Body, Change, chain, decode_body, encode_body

GOLDEN = "7da9352dffeacf8871fdfe81071e4206f5c91497c4f90358487d5f5250e822ec"
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
entities = st.dictionaries(texts, values, max_size=5)
bodies = st.builds(
    Body,
    st.binary(min_size=16, max_size=16),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.lists(st.builds(Change, texts, texts, st.none() | texts), max_size=4).map(tuple),
)


def reversed_keys(value: Any) -> Any:
    """The same value with every object's keys in another order."""
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(list(value))}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@given(entities)
def test_an_entity_has_one_text_whatever_the_order_of_its_keys(entity: dict[str, Any]) -> None:
    text = encode_entity(entity)
    assert encode_entity(reversed_keys(entity)) == text
    assert encode_entity(decode_entity(text)) == text
    assert decode_entity(text) == entity


def test_the_text_is_compact_sorted_and_not_escaped() -> None:
    entity = {"name": "é\u2028", "id": None, "tags": ["b", "a"], "n": {"z": 1.5, "a": True}}
    assert encode_entity(entity) == (
        '{"id":null,"n":{"a":true,"z":1.5},"name":"é\u2028","tags":["b","a"]}'
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"a": "\udfff"}])
def test_what_has_no_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON compliant|surrogates not allowed"):
        encode_entity({"value": value})


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", '"a"', "[" * 100_000])
def test_what_is_no_entity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|not an entity"):
        decode_entity(text)


def test_blanks_around_a_text_are_read_over() -> None:
    assert decode_entity(' {"a":1}\n') == decode_entity('{"a":1}') == {"a": 1}


@given(bodies)
def test_a_body_reads_as_it_was_written(body: Body) -> None:
    assert decode_body(encode_body(body)) == body
    assert encode_body(decode_body(encode_body(body))) == encode_body(body)


@given(st.binary(max_size=200))
def test_garbage_is_no_body_and_raises_nothing_else(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        decode_body(data)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=64))
def test_the_chain_covers_the_past_and_the_body(predecessor: bytes, body: bytes) -> None:
    digest = chain(predecessor, body)
    assert digest == hashlib.sha256(predecessor + blake3(body).digest()).digest()
    assert chain(digest, body) != digest
    assert chain(predecessor, body + b"x") != digest


def test_a_known_body_keeps_its_bytes() -> None:
    """A golden value: were it to change, mixed versions would no longer agree."""
    entity = encode_entity({"id": "a", "host": "é"})
    body = encode_body(Body(bytes(16), 1.5, "n", (Change("services", "a", entity),)))
    assert json.loads(entity) == {"id": "a", "host": "é"}
    assert blake3(body).hexdigest() == GOLDEN
