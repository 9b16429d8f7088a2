"""``GET /``: who this node is; and ``GET /endpoints``: what it answers.

Clients parse ``version`` as Kong's (decK wants 3.0 or higher), so it names the level of the API;
the software's own version stands in ``grapevine``.
"""

import asyncio
import os
import platform
from collections import Counter
from typing import Any

from aiohttp import web

from node.admin.answers import json_answer, message
from node.admin.node_view import NodeView
from node.config.listen import ListenAddress
from node.config.plugins import enabled as enabled_plugins
from node.config.plugins import on_server
from node.kong_version import KONG_API_VERSION


class Root:
    """Information about one node."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def show(self, request: web.Request) -> web.Response:
        """``GET /``"""
        node = self._node
        states = Counter(member["status"] for member in node.members())
        body = {
            "tagline": "Welcome to grapevine",
            "version": KONG_API_VERSION,
            "edition": "community",
            "hostname": node.hostname,
            "node_id": node.node_id,
            "lua_version": f"{platform.python_implementation()} {platform.python_version()}",
            "timers": {"running": len(asyncio.all_tasks()), "pending": 0},
            "plugins": self._plugins(),
            "pids": {"master": os.getpid(), "workers": sorted(node.worker_pids())},
            "configuration": {
                **node.settings_public(),
                **self._listeners(),
                "loaded_plugins": dict.fromkeys(self._enabled(), True),
            },
            "grapevine": {
                "version": node.version,
                "node_name": node.node_name,
                "revision": str(node.head().version),
                "members": dict(states),
            },
        }
        return json_answer(body)

    async def timers(self, request: web.Request) -> web.Response:
        """``GET /timers``: in Kong's shape, the tasks of the process that answers. None of them
        waits for a turn, and how often they ran isn't counted."""
        tasks = len(asyncio.all_tasks())
        worker = {"id": 0, "count": len(self._node.worker_pids())}
        counts = {"running": tasks, "pending": 0, "waiting": 0, "total": tasks}
        return json_answer({"worker": worker, "stats": {"sys": counts, "timers": {}}})

    def _plugins(self) -> dict[str, Any]:
        """Kong reads every plugin that is configured here (Kong/kong#9117: 18 s); an index has what
        they are called."""
        return {
            **on_server(self._node.settings.plugins),
            "enabled_in_cluster": sorted(self._node.replica.variants("plugins")),
        }

    async def enabled_plugins(self, request: web.Request) -> web.Response:
        """``GET /plugins/enabled``: what may be configured."""
        return json_answer({"enabled_plugins": self._enabled()})

    def _enabled(self) -> list[str]:
        return sorted(enabled_plugins(self._node.settings.plugins))

    def _listeners(self) -> dict[str, list[dict[str, Any]]]:
        """Listeners taken apart, beside their texts: Kong Manager builds its links from them."""
        settings = self._node.settings
        return {
            "proxy_listeners": [_parts(listener) for listener in settings.proxy_listen],
            "admin_listeners": [_parts(listener) for listener in settings.admin_listen],
            "admin_gui_listeners": [_parts(listener) for listener in settings.admin_gui_listen],
            "status_listeners": [_parts(listener) for listener in settings.status_listen],
        }


def _parts(listener: ListenAddress) -> dict[str, Any]:
    return {
        "listener": str(listener),
        "ip": listener.host,
        "port": listener.port,
        "ssl": listener.ssl,
        "http2": listener.http2,
        "proxy_protocol": listener.proxy_protocol,
        "deferred": listener.deferred,
        "bind": listener.bind,
        "reuseport": listener.reuseport,
        "backlog": listener.backlog,
    }


async def no_wasm(request: web.Request) -> web.Response:
    """What Kong answers for filter chains while ``wasm`` is off; here it always is."""
    return message("this endpoint is only available when wasm is enabled", 400)


async def no_control_plane(request: web.Request) -> web.Response:
    """What Kong answers unless its role is control_plane; here no node gives configuration to nodes
    that take part in nothing else."""
    return message(
        "this endpoint is only available when Kong is configured to run as Control Plane for the "
        "cluster",
        400,
    )


async def endpoints(request: web.Request) -> web.Response:
    """``GET /endpoints``: every path, ordered by its segments."""
    paths = {resource.canonical for resource in request.app.router.resources()}
    listed = {path.rstrip("/") or "/" for path in paths}
    return json_answer({"data": sorted(listed, key=lambda path: path.split("/"))})
