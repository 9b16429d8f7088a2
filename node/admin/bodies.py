"""The body of a write: read within bounds, decoded by its content type (Kong's before_filter)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from node.admin.errors import MESSAGE_BY_STATUS, Refusal
from node.admin.form import decode_urlencoded
from node.admin.json_body import decode_json_object
from node.admin.limits import BODY_BYTES_MAX, BODY_SECONDS_MAX
from node.admin.multipart import decode_multipart
from store.authority import Entity
from store.schema import Schema


async def read_fields(
    request: web.Request,
    schema: Schema | None = None,
    current: Callable[[], Awaitable[Entity | None]] | None = None,
) -> dict[str, Any]:
    """The fields that a POST, PUT or PATCH carries; {} without a body.

    Text from forms is turned into the types of ``schema`` where it reads as such; JSON is taken as
    it is. ``current`` answers the entity that a PATCH changes: what kind of plugin it is says what
    types its settings have. Raises Refusal: 400, 408, 413 or 415.
    """
    content_type = request.headers.get("Content-Type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in ("", *_MEDIA_TYPES):
        raise Refusal(415, MESSAGE_BY_STATUS[415])
    body = await read_limited(request, BODY_BYTES_MAX)
    if media_type == "application/json":
        return decode_json_object(body)
    if media_type == "":
        if body:
            raise Refusal(415, MESSAGE_BY_STATUS[415])
        return {}
    if media_type == "multipart/form-data":
        fields = decode_multipart(body, content_type)
    else:
        fields = decode_urlencoded(body)
    if schema is None:
        return fields
    known = await current() if current is not None and schema.subschema_key else None
    return schema.infer(fields, known)


_MEDIA_TYPES = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")


def _is_identity(request: web.Request) -> bool:
    """Compressed bodies are refused unread: nothing here gains by them, and bombs are made so."""
    return request.headers.get("Content-Encoding", "identity").strip().lower() == "identity"


async def read_limited(request: web.Request, bytes_max: int) -> bytes:
    """The body as it came. Raises Refusal: 408, 413 or 415."""
    if not _is_identity(request):
        raise Refusal(415, MESSAGE_BY_STATUS[415])
    if (request.content_length or 0) > bytes_max:
        raise _too_large()
    if request.content.is_eof():  # the body has come with the head, as small ones do
        whole = request.content.read_nowait()
        if len(whole) > bytes_max:
            raise _too_large()
        return whole
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > bytes_max:
                    raise _too_large()
    except TimeoutError:
        raise Refusal(408, MESSAGE_BY_STATUS[408], close=True) from None
    return bytes(body)


def _too_large() -> Refusal:
    return Refusal(413, MESSAGE_BY_STATUS[413], close=True)
