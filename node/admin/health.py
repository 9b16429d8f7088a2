"""The health of an upstream's targets (``kong/api/routes/upstreams.lua``): as this node sees it,
and set by hand for all nodes.

``PUT`` is Kong 3's method for setting it; clients of before send ``POST``.
"""

from typing import Any
from urllib.parse import quote

from aiohttp import web

from node.admin.answers import json_answer
from node.admin.collections import Collection
from node.admin.errors import Refusal
from node.admin.nested import Children
from node.admin.node_view import AddressReport, NodeView, TargetReport
from node.admin.paging import page_body, page_query
from node.admin.reads import read_page
from node.proxy.health.settings import Checks, checks_of, split_target, target_of
from store import schema
from store.authority import Entity, Page

OFF = "HEALTHCHECKS_OFF"


class Health:
    """``/upstreams/{upstreams}/health``, and what is below a target."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._upstreams = Collection(node, schema.schema("upstreams"))
        targets = Collection(node, schema.schema("targets"))
        self._targets = Children(self._upstreams, targets, "upstream")
        self.path = f"{self._upstreams.entity_path}/health"
        self.target_path = self._targets.entity_path

    async def show(self, request: web.Request) -> web.Response:
        """``GET /upstreams/{upstreams}/health``: the targets with their health on this node, or
        with ``balancer_health=1`` that of the upstream."""
        upstream = await self._upstreams.find(request)
        checks = checks_of(upstream)
        if request.query.get("balancer_health") == "1":
            body: dict[str, Any] = {"data": await self._balancer(checks), "next": None}
            return json_answer(body | {"node_id": self._node.node_id})
        query = page_query("targets", request.query, {"upstream": upstream["id"]})
        page, headers = await read_page(self._node, query)
        shown = tuple([await self._shown(entity, checks) for entity in page.entities])
        key = quote(self._upstreams.key_in(request), safe="")
        body = page_body(Page(shown, page.next_id), f"/upstreams/{key}/health", {})
        return json_answer(body | {"node_id": self._node.node_id}, headers=headers)

    async def set_healthy(self, request: web.Request) -> web.Response:
        """``PUT /upstreams/{upstreams}/targets/{targets}/healthy``: on every node, until checks
        find otherwise."""
        return await self._set(request, healthy=True)

    async def set_unhealthy(self, request: web.Request) -> web.Response:
        """``PUT /upstreams/{upstreams}/targets/{targets}/unhealthy``: on every node, until checks
        find otherwise."""
        return await self._set(request, healthy=False)

    async def _set(self, request: web.Request, *, healthy: bool) -> web.Response:
        checks = checks_of(await self._upstreams.find(request))
        target = target_of(await self._targets.find(request))
        if not checks.on:
            raise Refusal(400, f"no healthchecker found for {checks.name}")
        host, port = "", 0
        if "address" in request.match_info:
            try:
                host, port = split_target(request.match_info["address"])
            except ValueError:
                raise Refusal(400, "not a valid address") from None
        self._node.health.set(target.upstream_id, target.id, host, port, healthy=healthy)
        return web.Response(status=204)

    async def _shown(self, entity: Entity, checks: Checks) -> Entity:
        report = await self._node.health.report(target_of(entity))
        data = _data(report) | {"addresses": [_address(one, checks) for one in report.addresses]}
        return {**entity, "health": _health(report, checks), "data": data}

    async def _balancer(self, checks: Checks) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": checks.upstream_id, "health": OFF}
        if not checks.on:
            return shown
        reports = await self._node.health.report_upstream(checks.upstream_id)
        healthy = self._node.health.is_healthy(checks, reports)
        hosts = []
        for report in reports:
            addresses = [
                {"ip": one.host, "port": one.port, "weight": one.weight, "healthy": one.available}
                for one in report.addresses
            ]
            hosts.append(_data(report) | {"addresses": addresses})
        weights = [host["weight"] for host in hosts]
        names = ("total", "available", "unavailable")
        total = {name: sum(weight[name] for weight in weights) for name in names}
        details = {"healthy": healthy, "weight": total, "hosts": hosts}
        return shown | {"health": "HEALTHY" if healthy else "UNHEALTHY", "details": details}


def _health(report: TargetReport, checks: Checks) -> str:
    """Of a target with several addresses: healthy when one is."""
    if not report.addresses:
        return "DNS_ERROR"
    if not checks.on:
        return OFF
    return "HEALTHY" if any(one.available for one in report.addresses) else "UNHEALTHY"


def _data(report: TargetReport) -> dict[str, Any]:
    total = sum(one.weight for one in report.addresses)
    available = sum(one.weight for one in report.addresses if one.available)
    return {
        "host": report.target.host,
        "port": report.target.port,
        "dns": report.problem or ("AAAA" if ":" in report.addresses[0].host else "A"),
        "nodeWeight": report.target.weight,
        "weight": {"total": total, "available": available, "unavailable": total - available},
    }


def _address(one: AddressReport, checks: Checks) -> dict[str, Any]:
    health = ("HEALTHY" if one.available else "UNHEALTHY") if checks.on else OFF
    return {"ip": one.host, "port": one.port, "weight": one.weight, "health": health}
