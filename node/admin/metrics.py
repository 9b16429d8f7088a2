"""``GET /metrics``: what this node tells Prometheus, without any plugin (DESIGN 9)."""

from aiohttp import web

from node.admin.node_view import NodeView
from node.metrics.families import METRICS, Reading
from node.metrics.text import CONTENT_TYPE, head_of, lines_of

_DECLARED = tuple((metric, head_of(metric.family)) for metric in METRICS)


class Metrics:
    """One node's metrics. Their number is fixed, whatever the node holds."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def show(self, request: web.Request) -> web.Response:
        """``GET /metrics``"""
        reading = Reading(self._node)
        parts: list[str] = []
        for metric, head in _DECLARED:
            parts.append(head)
            parts.extend(lines_of(metric.family.name, metric.read(reading)))
        return web.Response(body="".join(parts).encode(), headers={"Content-Type": CONTENT_TYPE})
