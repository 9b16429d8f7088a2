"""The cluster's keys: listed by their ids, installed, used, removed. No answer holds a key."""

import re
from typing import Any

from aiohttp import web

from node.admin.answers import json_answer
from node.admin.bodies import read_fields
from node.admin.errors import Refusal
from node.admin.node_view import NodeView
from node.config.values import cluster_key

KEY_ID = re.compile(r"[0-9a-fA-F]{8}")


class Keys:
    """``/cluster/keys`` and below."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def list(self, request: web.Request) -> web.Response:
        """``GET /cluster/keys``"""
        status = self._node.keys.status()
        return json_answer(
            {
                "data": [
                    {"id": shown_id, "primary": number == 0}
                    for number, shown_id in enumerate(status.ids)
                ],
                "counter": status.counter,
                "members": {
                    "total": status.total,
                    "current": status.total - len(status.behind),
                    "behind": list(status.behind),
                },
            }
        )

    async def install(self, request: web.Request) -> web.Response:
        """``POST /cluster/keys {key}``: without a key, one is drawn. 200 when it was there."""
        fields = await read_fields(request)
        _refuse_others(fields, "key")
        force = _force(request)
        shown_id, is_new = await self._node.keys.install(
            _key(fields.get("key")), replace_unopened=force
        )
        return json_answer({"id": shown_id}, 201 if is_new else 200)

    async def use(self, request: web.Request) -> web.Response:
        """``PATCH /cluster/keys/{id} {primary: true}``"""
        shown_id = _id(request)
        fields = await read_fields(request)
        _refuse_others(fields, "primary")
        primary = fields.get("primary")
        if primary is not True and primary != "true":  # as a form has it
            raise Refusal(400, "primary: expected true; another key is used instead of this one")
        await self._node.keys.use(shown_id)
        return json_answer({"id": shown_id, "primary": True})

    async def remove(self, request: web.Request) -> web.Response:
        """``DELETE /cluster/keys/{id}``"""
        await self._node.keys.remove(_id(request), force=_force(request))
        return web.Response(status=204)


def _id(request: web.Request) -> str:
    """A key's id. What isn't one isn't repeated: it may be a key, put there by mistake."""
    text = request.match_info["id"]
    if not KEY_ID.fullmatch(text):
        raise Refusal(400, "id: expected the 8 hexadecimal digits that GET /cluster/keys lists")
    return text.lower()


def _key(text: object) -> bytes | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise Refusal(400, "key: expected a string; `grapevine cluster keygen` makes a key")
    try:
        return cluster_key(text)
    except ValueError as error:
        raise Refusal(400, f"key: {error}") from None


def _refuse_others(fields: dict[str, Any], known: str) -> None:
    """A key under a wrong name would have another one drawn in its place."""
    if fields.keys() - {known}:
        raise Refusal(400, f"expected no field but {known}")


def _force(request: web.Request) -> bool:
    text = request.query.get("force", "false")
    if text not in ("true", "false"):
        raise Refusal(400, "force: expected true or false")
    return text == "true"
