"""The authority as this node sees it: whose history it follows, and what an operator can decide."""

from typing import Any

from aiohttp import web

from node.admin.answers import json_answer, message
from node.admin.node_view import HistoryStatus, NodeView, Side
from store.version import Head


class History:
    """``/cluster/authority`` and below."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def show(self, request: web.Request) -> web.Response:
        """``GET /cluster/authority``: the database is asked now."""
        return json_answer(_shown(await self._node.history.status()))

    async def adopt(self, request: web.Request) -> web.Response:
        """``POST /cluster/authority/adopt``: of two histories, that of this node's database is the
        one to keep; or the database that is found in place of the former is to be followed."""
        return message(await self._node.history.adopt(), 200)


def _shown(status: HistoryStatus) -> dict[str, Any]:
    split, changed = status.split, status.changed
    return {
        "id": status.id,
        "reachable": not status.reason,
        "reason": status.reason,
        "server": None if status.side is None else status.side.server,
        "timeline": None if status.side is None else status.side.timeline,
        "head": None if status.side is None else _head(status.side.head),
        "confirmed": _head(status.confirmed),
        "split": None
        if split is None
        else {"writes": "refused" if split.refuses else "taken", "other": _side(split.other)},
        "changed": None if changed is None else {"serves": changed[0], "found": changed[1]},
        "abandoned": list(status.abandoned),
    }


def _side(side: Side) -> dict[str, Any]:
    return {"server": side.server, "timeline": side.timeline, "head": _head(side.head)}


def _head(head: Head) -> dict[str, str]:
    version, digest = head
    return {
        "revision": str(version),
        "tag": f"{version.tag:016x}",
        "digest": digest.hex(),
    }
