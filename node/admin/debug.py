"""The log's level while the node runs (``kong/api/routes/debug.lua``)."""

import math
from collections.abc import Callable

from aiohttp import web

from gossip.limits import REGISTER_SECONDS_MAX
from node import logs
from node.admin.answers import message
from node.admin.bodies import read_fields
from node.admin.errors import Refusal
from node.admin.node_view import NodeView

TIMEOUT_SECONDS = 60
"""How long a level holds that is set without saying so."""


class Debug:
    """``/debug`` and below."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        nodes = "/control-planes-nodes" if node.settings.role == "control_plane" else ""
        self.cluster_path = f"/debug/cluster{nodes}/log-level/{{log_level}}"
        """Kong calls it otherwise on a control plane."""

    async def show_level(self, request: web.Request) -> web.Response:
        """``GET /debug/node/log-level``: what is in force on this node."""
        return message(f"log level: {self._node.log_levels.current()}", 200)

    async def set_level_here(self, request: web.Request) -> web.Response:
        """``PUT /debug/node/log-level/{log_level}?timeout=60``: on this node, for so long."""
        return await self._set(request, self._node.log_levels.set_here, is_here=True)

    async def set_level_everywhere(self, request: web.Request) -> web.Response:
        """``PUT /debug/cluster/log-level/{log_level}?timeout=60``: on every node, for so long."""
        return await self._set(request, self._node.log_levels.set_everywhere, is_here=False)

    async def _set(
        self, request: web.Request, change: Callable[[str, float], None], *, is_here: bool
    ) -> web.Response:
        level = request.match_info["log_level"]
        if level not in logs.LEVELS:
            raise Refusal(400, f"unknown log level: {level}")
        fields = await read_fields(request) if request.body_exists else {}
        timeout = _timeout(request.query.get("timeout", fields.get("timeout")))
        # What is in force here says nothing of the other nodes.
        if is_here and timeout and level == self._node.log_levels.current():
            return message(f"log level is already {level}", 200)
        change(level, timeout)
        return message("log level changed", 200)


def _timeout(given: object) -> float:
    """In seconds; what is no number means the default, as in Kong."""
    try:
        seconds = math.ceil(float(given)) if isinstance(given, str | int | float) else None
    except (ValueError, OverflowError):
        seconds = None
    if seconds is None:
        return TIMEOUT_SECONDS
    if seconds < 0:
        raise Refusal(400, "timeout must be greater than or equal to 0")
    if seconds > REGISTER_SECONDS_MAX:
        raise Refusal(400, f"timeout must be at most {REGISTER_SECONDS_MAX:.0f}")
    return seconds
