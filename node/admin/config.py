"""``/config``: the whole configuration as one declarative document.

With ``database = off`` it is what is served; with a database it is brought there (``whole.py``).
"""

import asyncio
from typing import Any

from aiohttp import web

from node.admin.answers import json_answer, message
from node.admin.bodies import read_limited
from node.admin.errors import Refusal
from node.admin.fence import note_written
from node.admin.form import decode_urlencoded
from node.admin.limits import DOCUMENTS_AT_ONCE_MAX
from node.admin.multipart import decode_multipart
from node.admin.node_view import NodeView
from node.admin.whole import put_in_place
from store import off
from store.declarative.document import parse_document
from store.declarative.flattened import flatten
from store.declarative.text import TextRefused, parse
from store.errors import EntityError
from store.limits import DOCUMENT_BYTES_MAX
from store.schema.violations import DECLARATIVE_INVALID, declarative_violation

_ELSEWHERE = "this endpoint is only available when Kong is configured to not use a database"
_JSON = "application/json"
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_YAML = ("text/yaml", "text/x-yaml", "application/yaml", "application/x-yaml", "text/plain", "")


class Config:
    """The document that says the whole configuration."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._one = asyncio.Lock()
        """Documents and states are large: of those with a database, one at a time is compared."""
        self._waiting = 0

    async def show(self, request: web.Request) -> web.Response:
        """``GET /config``: ``{"config": text}``."""
        documents = self._node.documents
        if documents is None:
            return message(_ELSEWHERE, 400)
        return json_answer({"config": await documents.shown()})

    async def load(self, request: web.Request) -> web.Response:
        """``POST /config``: 201 with all entities by kind and id, once this node serves them;
        304 with ``check_hash=1`` when it is what is served. With a database, what was changed."""
        documents = self._node.documents
        if documents is None:
            return await self._put_in_place(request)
        text = await _document(request)
        unless_served = request.query.get("check_hash", "") in ("1", "true")
        try:
            loaded = await documents.load(text, unless_served=unless_served)
        except EntityError as error:
            return await _invalid(request, text, error)
        note_written(request, loaded.version)
        headers = {"Grapevine-Revision": off.shown(loaded.version)}
        if loaded.document is None:
            return web.Response(status=304, headers=headers)
        entities: dict[str, dict[str, Any]] = {}
        for kind, entity in loaded.document.entities:
            entities.setdefault(kind, {})[entity["id"]] = entity
        return json_answer(entities, 201, headers)

    async def _put_in_place(self, request: web.Request) -> web.Response:
        if self._waiting >= DOCUMENTS_AT_ONCE_MAX:
            why = f"{DOCUMENTS_AT_ONCE_MAX} documents are being compared with the database already"
            raise Refusal(503, f"{why}; try again", {"Retry-After": "1"}, close=True)
        self._waiting += 1
        try:
            text = await _document(request)
            async with self._one:
                return await put_in_place(request, self._node, text)
        except EntityError as error:
            return await _invalid(request, text, error)
        finally:
            self._waiting -= 1


async def _invalid(request: web.Request, text: str, error: EntityError) -> web.Response:
    """The errors of a document's entities, as a list of their own if that is asked for."""
    flat_wished = request.query.get("flatten_errors", "") in ("1", "true")
    if error.code != DECLARATIVE_INVALID or not flat_wished:
        raise error
    flat, rest = await asyncio.to_thread(lambda: flatten(parse_document(text), error.fields))
    told = declarative_violation(rest)
    return json_answer(
        {
            "code": told.code,
            "name": told.name,
            "message": told.message,
            "fields": told.fields,
            "flattened_errors": flat,
        },
        400,
    )


async def _document(request: web.Request) -> str:
    """The document's text, as any of Kong's clients sends it: as the body itself, or in a field
    named ``config`` of JSON or a form. Raises Refusal."""
    content_type = request.headers.get("Content-Type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if request.can_read_body and media_type not in (_JSON, *_FORMS, *_YAML):
        raise Refusal(415, "Unsupported Media Type")
    body = await read_limited(request, DOCUMENT_BYTES_MAX)
    if media_type in _FORMS:
        multipart = media_type == _FORMS[1]
        fields = decode_multipart(body, content_type) if multipart else decode_urlencoded(body)
        return _text_of(fields.get("config"))
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(400, "the document is not UTF-8") from None
    if media_type == _JSON:
        try:
            values = await asyncio.to_thread(parse, text)
        except TextRefused:
            return text  # which is then told as any other document's mistake
        if "_format_version" not in values:
            return _text_of(values.get("config"))
    return _text_of(text)


def _text_of(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Refusal(400, "expected a declarative configuration")
    return value
