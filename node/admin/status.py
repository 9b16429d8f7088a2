"""``/status`` in Kong's shape with a ``cluster`` object, and ``/status/ready`` for balancers."""

from collections import Counter
from typing import Any

from aiohttp import web

from node.admin.answers import json_answer, message
from node.admin.memory import SCALE_DIGITS_MAX, format_bytes, resident_bytes
from node.admin.node_view import NodeView

SERVER_COUNTERS = (
    "connections_accepted",
    "connections_active",
    "connections_handled",
    "connections_reading",
    "connections_waiting",
    "connections_writing",
    "total_requests",
)
"""What Kong reports of nginx; here the sum over the node's proxy workers."""

DEFAULT_SCALE = 2


class Status:
    """How one node is doing."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def show(self, request: web.Request) -> web.Response:
        """``GET /status``; ``unit`` and ``scale`` say how memory is printed."""
        unit = request.query.get("unit", "m")
        scale = _scale(request.query.get("scale", ""))
        counters = self._node.worker_counters()
        body = {
            "memory": {
                "workers_lua_vms": [
                    {
                        "pid": pid,
                        "http_allocated_gc": format_bytes(resident_bytes(pid), unit, scale),
                    }
                    for pid in sorted(self._node.worker_pids())
                ],
                "lua_shared_dicts": {},
            },
            "server": {name: counters.get(name, 0) for name in SERVER_COUNTERS},
            "database": {"reachable": self._node.authority_status().reachable},
            "cluster": self._cluster(),
        }
        return json_answer(body)

    async def ready(self, request: web.Request) -> web.Response:
        """``GET /status/ready``: 200 when this node should get traffic, else 503 and why."""
        ready, reason = self._node.ready()
        return message("ready", 200) if ready else message(reason, 503)

    def _cluster(self) -> dict[str, Any]:
        node = self._node
        head = node.head()
        authority = node.authority_status()
        kept = node.replica_file_status()
        return {
            "node_id": node.node_id,
            "node_name": node.node_name,
            "members": dict(Counter(member["status"] for member in node.members())),
            "revision": str(head.version),
            "digest": head.digest.hex(),
            "authority": {
                "id": authority.info.id if authority.info else None,
                "reachable": authority.reachable,
                "reason": authority.reason,
                "split": authority.split or None,
                "changed": authority.changed or None,
            },
            "replica": {"problem": node.replica_problem()},
            "replica_file": {
                "revision": str(kept.version) if kept.version is not None else None,
                "problem": kept.problem,
            },
            "propagation": node.measures.propagation.summary(),
            "audits": dict(node.audits()),
            "counters": dict(node.counters()),
        }


def _scale(text: str) -> int:
    """Decimals to print; what is no small number means the default, as in Kong."""
    if text.isascii() and text.isdigit() and len(text) == 1 and int(text) <= SCALE_DIGITS_MAX:
        return int(text)
    return DEFAULT_SCALE
