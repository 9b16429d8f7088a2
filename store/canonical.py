"""The canonical text of an entity: the bytes that hashes and the chain cover.

JSON with sorted keys, no blanks and no escapes beyond those JSON demands, so that one entity has
one text. It is written once, by the node that takes the write; replicas and peers keep and forward
the text as it is, unknown kinds and fields included, and decode a copy (DESIGN 3).
"""

import json
from typing import Any

from blake3 import blake3

CONTENT_HASH_BYTES = 16

_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
_DECODER = json.JSONDecoder()
"""What ``json.loads`` uses for text, without the way there: it is used for every entity."""


def encode_entity(entity: dict[str, Any]) -> str:
    """The canonical text. Raises ValueError for what JSON or UTF-8 can't express (NaN, surrogates).

    Keys must be strings: the encoder would otherwise write 1 and "1" alike.
    """
    text = _ENCODER.encode(entity)
    text.encode("utf-8")  # UnicodeEncodeError, a ValueError, on a lone surrogate
    return text


def content_hash(text: str) -> str:
    """What stands for an entity's content: 32 hexadecimal digits of the blake3 of its canonical
    text. Equal on every node."""
    return blake3(text.encode("utf-8")).hexdigest(CONTENT_HASH_BYTES)


def _decode(text: str) -> Any:
    """Without looking for blanks around it, which a canonical text hasn't."""
    try:
        value, end = _DECODER.raw_decode(text)
    except ValueError:
        return _DECODER.decode(text)
    return value if end == len(text) else _DECODER.decode(text)


def decode_entity(text: str) -> dict[str, Any]:
    """Read an entity's text. Raises ValueError when it isn't a JSON object."""
    try:
        entity = _decode(text)
    except RecursionError as error:
        raise ValueError("not an entity: nested too deep") from error
    if not isinstance(entity, dict):
        raise ValueError(f"not an entity: a JSON {type(entity).__name__}")
    return entity
