"""The cluster as this node sees it: its members and revision (DESIGN 9)."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from node.admin import fence
from node.admin.answers import json_answer, message
from node.admin.bodies import read_fields
from node.admin.errors import Refusal
from node.admin.limits import ADDRESS_CHARS_MAX, FENCE_NAMES_LISTED_MAX
from node.admin.node_view import Conflict, NodeView, NoSuchMember
from node.config.listen import parse_host_port
from node.config.values import CLUSTER_PORT
from node.named_version import parse_named


class Cluster:
    """``/cluster`` and below, without the event stream."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def members(self, request: web.Request) -> web.Response:
        """``GET /cluster``"""
        members = self._node.members()
        return json_answer(
            {
                "data": members,
                "total": len(members),
                "notices": list(self._node.notices()),
                "propagation": self._node.measures.propagation.summary(),
            }
        )

    async def join(self, request: web.Request) -> web.Response:
        """``POST /cluster {address}``: joining goes on after the answer; /cluster shows it."""
        fields = await read_fields(request)
        address = check_address(fields.get("address"))
        await self._node.join([address])
        return message(f"joining {address}", 202)

    async def leave(self, request: web.Request) -> web.Response:
        """``POST /cluster/leave``: the node leaves and stops after the answer."""
        self._node.leave()
        return message(f"{self._node.node_name} leaves the cluster and stops", 202)

    async def force_leave(self, request: web.Request) -> web.Response:
        """``DELETE /cluster/nodes/{name}``: by name or id, until it is restarted."""
        name = request.match_info["name"]
        member = member_called(name, self._node.members())
        if member["id"] == self._node.node_id:
            raise Conflict(f"'{name}' is this node itself; to stop it, use grapevine stop")
        await self._node.force_leave(member["id"])
        return web.Response(status=204)

    async def revision(self, request: web.Request) -> web.Response:
        """``GET /cluster/revision``: what this node serves, and whether all others do too; with
        ``fence`` it waits for a revision to be everywhere."""
        if "fence" in request.query:
            return await self._fence(request)
        head, live = self._node.head(), self._node.live()
        state = self._node.state_hash()
        revision = str(head.version)
        alive = [member for member in self._node.members() if member["status"] == "alive"]
        return json_answer(
            {
                "revision": revision,
                "tag": f"{head.version.tag:016x}",
                "digest": head.digest.hex(),
                "state_hash": None if state is None else state.hex(),
                "live": None if live is None else str(live.version),
                "live_at": None if live is None else live.at,
                "converged": all(member["revision"] == revision for member in alive),
            }
        )

    async def _fence(self, request: web.Request) -> web.Response:
        try:
            wanted = parse_named(request.query["fence"])
        except ValueError as error:
            raise Refusal(400, f"fence: {error}") from None
        seconds = fence.read_timeout(request.query.get("timeout"))
        fenced = await self._node.fence(wanted, seconds)
        headers = {fence.FENCE: fence.header(fenced)}
        if fenced.outcome == "forked":
            return message(fence.forked(str(wanted)), 409, headers)
        complete = fenced.outcome == "complete"
        body: dict[str, Any] = {
            "revision": str(wanted),
            "complete": complete,
            "members": fenced.members,
        }
        if not complete:
            for kind, names in fence.lists(fenced).items():
                body[kind] = names[:FENCE_NAMES_LISTED_MAX]
                body[f"{kind}_total"] = len(names)
        return json_answer(body, 200 if complete else 202, headers)


def member_called(name: str, members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The member of that node id or name. Raises NoSuchMember, and Conflict for several."""
    found = [member for member in members if member["id"] == name.lower()]
    found = found or [member for member in members if member["name"] == name]
    if not found:
        raise NoSuchMember(f"No member named '{name}'")
    if len(found) > 1:
        ids = ", ".join(member["id"] for member in found)
        raise Conflict(f"{len(found)} members are called '{name}'; name one by its id: {ids}")
    return found[0]


def check_address(address: object) -> str:
    """``host:port`` to join by; without a port it is the default one. Raises Refusal 400."""
    if not isinstance(address, str) or len(address) > ADDRESS_CHARS_MAX:
        raise Refusal(400, f"address: expected host:port of at most {ADDRESS_CHARS_MAX} characters")
    try:
        return str(parse_host_port(address, default_port=CLUSTER_PORT))
    except ValueError as error:
        raise Refusal(400, f"address: '{address}' {error}") from None
