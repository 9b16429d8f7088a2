"""Reloads, restarts, a killed worker and a thousand changes of routes, under load through nginx."""

import asyncio
from pathlib import Path

import pytest

from tests.deploy.balancer import Balancer, free_port
from tests.deploy.conftest import Balanced
from tests.deploy.upheaval import upheaval

CLIENTS = 4
CHANGES = 1000
SECONDS = 8.0


@pytest.mark.long
async def test_no_request_fails_whatever_changes(balanced: Balanced, tmp_path: Path) -> None:
    """`make bench-upheaval` does this for a minute."""
    cluster = balanced.cluster
    ports = [node.ports.proxy for node in cluster.nodes]
    keeping = Balancer(tmp_path / "keeping", free_port(), ports, keepalive=True)
    await keeping.start()
    try:
        urls = (keeping.url, balanced.balancer.url)
        async with upheaval(cluster, *urls, CLIENTS) as going_on:
            changing = asyncio.create_task(going_on.change_routes(CHANGES, SECONDS))
            for number in range(len(ports)):  # so that each of the nodes is restarted
                await going_on.round(number)
            await changing
    finally:
        await keeping.stop()
    outcome = going_on.outcome
    print(outcome.table())
    assert outcome.failures == {}, keeping.errors()
    assert outcome.in_flight.total() <= 2 * CLIENTS
    assert outcome.done["route changes"] == CHANGES
    assert outcome.answered > CHANGES
