"""``/tags`` and ``/tags/{tag}``: which entities have which tags, across all kinds.

They are asked of the authority alone: a replica has no such list, so without it they are 503.
"""

from urllib.parse import quote

from aiohttp import web

from node.admin.answers import json_answer
from node.admin.node_view import NodeView
from node.admin.paging import decode_key, list_body, page_size
from store.authority import Tagged
from store.errors import AuthorityUnavailable
from store.schema.typedefs import tag_error
from store.schema.violations import invalid_unique


class Tags:
    """Lists of the uses of tags."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def list(self, request: web.Request) -> web.Response:
        """``GET /tags``"""
        return await self._page(request, None)

    async def list_one(self, request: web.Request) -> web.Response:
        """``GET /tags/{tag}``"""
        tag = request.match_info["tag"]
        wrong = tag_error(tag)
        if wrong is not None:
            raise invalid_unique("tag", wrong)
        return await self._page(request, tag)

    async def _page(self, request: web.Request, tag: str | None) -> web.Response:
        status = self._node.authority_status()
        if not status.reachable:
            raise AuthorityUnavailable(status.reason)
        size, offset = page_size(request.query), request.query.get("offset")
        after = Tagged(*decode_key(offset, len(Tagged._fields))) if offset else None
        found = list(await self._node.authority.tags(tag, size + 1, after))
        listed = found[:size]
        data = [{"tag": use.tag, "entity_name": use.kind, "entity_id": use.id} for use in listed]
        path = "/tags" if tag is None else f"/tags/{quote(tag, safe='')}"
        more = len(found) > size
        body = list_body(data, tuple(listed[-1]) if more else None, path, request.query)
        return json_answer(body)
