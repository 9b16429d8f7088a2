"""Purging caches: those of all nodes, and Kong's ``/cache`` of this one."""

import json
from typing import Any

from aiohttp import web

from gossip.invalidation import By, Invalidation
from gossip.limits import PURGE_TEXT_BYTES_MAX
from node import caches
from node.admin.answers import json_answer
from node.admin.bodies import read_fields
from node.admin.errors import Refusal, not_found
from node.admin.node_view import NodeView
from node.admin.redaction import CACHE_KEY
from store.cold.cache_key import read_cache_key

_FIELDS = ("key", "tag", "cache")


class Caches:
    """``/cluster/invalidate``, and ``/cache`` and below."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def invalidate(self, request: web.Request) -> web.Response:
        """``POST /cluster/invalidate {key | tag}``: on every node; 202, as it is under way."""
        purging = self._node.caches.invalidate(_invalidation(await read_fields(request)))
        return json_answer({"origin": purging.origin, "sequence": purging.sequence}, 202)

    async def show(self, request: web.Request) -> web.Response:
        """``GET /cache/{key}``: what a worker of this node has cached. Looks nothing up."""
        key = request.match_info[CACHE_KEY]
        texts = await self._node.caches.peek(key) if _is_key(key) else None
        if not texts:
            raise not_found()
        found = [json.loads(text) for text in texts]
        return json_answer(found[0] if len(found) == 1 else found)

    async def forget(self, request: web.Request) -> web.Response:
        """``DELETE /cache/{key}``: on this node. 204 whether or not there was anything."""
        key = request.match_info[CACHE_KEY]
        if _is_key(key):
            self._node.caches.forget(key)
        return web.Response(status=204)

    async def forget_all(self, request: web.Request) -> web.Response:
        """``DELETE /cache``: on this node."""
        self._node.caches.forget(None)
        return web.Response(status=204)


def _invalidation(fields: dict[str, Any]) -> Invalidation:
    """What the fields of a request name. Raises Refusal 400."""
    unknown = [name for name in fields if name not in _FIELDS]
    if unknown:
        raise Refusal(400, f"expected no field but {', '.join(_FIELDS)}")
    named = [name for name in ("key", "tag") if name in fields]
    if len(named) != 1:
        raise Refusal(400, "expected exactly one of key and tag")
    (name,) = named
    text = fields[name]
    if not isinstance(text, str) or not _is_key(text):
        raise Refusal(400, f"{name}: expected a text of 1 to {PURGE_TEXT_BYTES_MAX} bytes")
    cache = fields.get("cache", caches.ENTITIES)
    if cache not in caches.NAMES:
        raise Refusal(400, f"cache: expected one of {', '.join(caches.NAMES)}")
    if name == "key" and cache == caches.ENTITIES:
        try:
            read_cache_key(text)
        except ValueError as error:
            raise Refusal(400, f"key: {error}") from None
    return Invalidation(cache, By.KEY if name == "key" else By.TAG, text)


def _is_key(text: str) -> bool:
    """Whether something may be cached under it; under lone surrogates, which JSON can write and a
    URL, nothing is."""
    try:
        return 1 <= len(text.encode()) <= PURGE_TEXT_BYTES_MAX
    except UnicodeEncodeError:
        return False
