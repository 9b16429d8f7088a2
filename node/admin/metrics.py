"""``GET /metrics``: what this node tells Prometheus, without any plugin (DESIGN 9)."""

from aiohttp import web

from node.admin.node_view import NodeView
from node.config.plugins import enabled
from node.metrics.families import METRICS, Reading
from node.metrics.kong import kong_metrics
from node.metrics.kong_health import target_health
from node.metrics.text import CONTENT_TYPE, head_of, lines_of

_DECLARED = tuple((metric, head_of(metric.family)) for metric in METRICS)


class Metrics:
    """One node's metrics. The number of its own is fixed, whatever the node holds; that of what the
    plugin prometheus counts is bounded in the workers."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    async def show(self, request: web.Request) -> web.Response:
        """``GET /metrics``"""
        reading = Reading(self._node)
        parts: list[str] = []
        for metric, head in _DECLARED:
            parts.append(head)
            parts.extend(lines_of(metric.family.name, metric.read(reading)))
        if "prometheus" in enabled(self._node.settings.plugins):
            series = self._node.worker_labelled()
            for family, samples in kong_metrics(self._node, reading.proxy, series):
                parts.append(head_of(family))
                parts.extend(lines_of(family.name, samples))
            health = await target_health(self._node, series)
            if health is not None:
                parts.append(head_of(health[0]))
                parts.extend(lines_of(health[0].name, health[1]))
        return web.Response(body="".join(parts).encode(), headers={"Content-Type": CONTENT_TYPE})
