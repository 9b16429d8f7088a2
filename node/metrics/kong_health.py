"""The health of targets under Kong's name for it, while a configuration of the plugin prometheus
asks for it (``upstream_health_metrics``)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from node.admin.node_view import NodeView
from node.metrics.kong_names import TARGET_HEALTH
from node.metrics.text import Family, Labels, Samples
from node.proxy.health.settings import checks_of
from store.authority import Query

_STATES = ("healthchecks_off", "healthy", "unhealthy", "dns_error")
_FAMILY = Family(
    TARGET_HEALTH,
    "gauge",
    "Health status of targets of upstream. States = healthchecks_off|healthy|unhealthy|dns_error, "
    "value is 1 when state is populated.",
)
UPSTREAMS_MAX = 1_000
"""Upstreams whose targets are shown."""
SECONDS_MAX = 2.0
"""What is known by then is shown: names of targets may have to be looked up."""


async def target_health(node: NodeView, series: Mapping[str, int]) -> tuple[Family, Samples] | None:
    """The family; None when nobody asks for it."""
    if TARGET_HEALTH not in series:
        return None
    samples: dict[Labels, float] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SECONDS_MAX):
            async for upstream, target, address, found in _targets(node):
                labels = (("upstream", upstream), ("target", target), ("address", address))
                for state in _STATES:
                    key = (*labels, ("state", state), ("subsystem", "http"))
                    samples[key] = int(state == found)
    return _FAMILY, samples


async def _targets(node: NodeView) -> AsyncIterator[tuple[str, str, str, str]]:
    """Upstream, target, address and state."""
    for entity in node.replica.list(Query("upstreams", size=UPSTREAMS_MAX)).entities:
        checks = checks_of(entity)
        for report in await node.health.report_upstream(checks.upstream_id):
            target = f"{report.target.host}:{report.target.port}"
            if not report.addresses:
                yield checks.name, target, "", "dns_error"
            for one in report.addresses:
                state = "healthy" if one.available else "unhealthy"
                shown = f"[{one.host}]" if ":" in one.host else one.host
                address = f"{shown}:{one.port}"
                yield checks.name, target, address, state if checks.on else "healthchecks_off"
