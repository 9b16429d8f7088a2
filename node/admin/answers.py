"""Answers in JSON, and the ETag of an entity."""

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from store.authority import Entity
from store.canonical import content_hash, encode_entity

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def json_answer(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer with Kong's content type."""
    text = _ENCODER.encode(body)
    return web.Response(
        # A request's header that is not UTF-8 may be quoted in an answer, as lone surrogates; what
        # ``backslashreplace`` makes of those is JSON's own escape.
        body=text.encode("utf-8", "backslashreplace"),
        status=status,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )


def message(text: str, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """The ``{"message": …}`` of Kong's plain answers."""
    return json_answer({"message": text}, status, headers)


def entity_answer(
    entity: Entity,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    stored: Entity | None = None,
) -> web.Response:
    """One entity as clients see it, with the content hash of what is stored as ETag (DESIGN 4,
    point 8)."""
    return json_answer(entity, status, {**(headers or {}), "ETag": etag(stored or entity)})


def etag(entity: Entity) -> str:
    """Content hash of an entity: equal on every node, whatever order its fields came in."""
    return f'"{content_hash(encode_entity(entity))}"'
