"""The primary dies under load and its standby is promoted: nodes find it, and lose no write."""

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.local_postgres import LocalPostgres, settings_for
from node.demo.upstream import SampleUpstream
from simulations.real.postgres import execute, fetch
from tests.postgres_server import PostgresDatabases, running_server
from tests.postgres_standby import Standby, running_standby
from tests.system.conftest import StartCluster
from tests.system.load import load
from tests.system.test_authority_away import add_sample, until_serves
from tests.system.waiting import until

AFTER_FAILOVER = 20
"""Writes that each node must have answered 201 once the standby was promoted."""


@pytest.fixture
def primary() -> Iterator[LocalPostgres]:
    with running_server() as server:
        yield server


@pytest.fixture
def standby(primary: LocalPostgres) -> Iterator[Standby]:
    with running_standby(primary) as server:
        yield server


class Writers:
    """Writes one service after another on a node, and remembers each answer."""

    def __init__(self, cluster: LocalCluster, node: LocalNode) -> None:
        self._cluster = cluster
        self._node = node
        self._stop = asyncio.Event()
        self.answers: dict[str, int] = {}
        """Name -> status; 0 when the connection failed, -503 when the outcome is unknown."""
        self.reasons: dict[str, str] = {}

    def created(self) -> list[str]:
        return [name for name, status in self.answers.items() if status == 201]

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        while not self._stop.is_set():
            name = f"{self._node.name}-{len(self.answers)}"
            body = {"name": name, "host": "a.test"}
            url = f"{self._node.admin_url}/services"
            try:
                async with self._cluster.session.post(url, json=body) as response:
                    self.answers[name] = response.status
                    if response.status == 503:
                        answer = await response.json()
                        self.reasons[name] = answer["message"]
                        if answer.get("outcome") == "unknown":
                            self.answers[name] = -503
            except aiohttp.ClientError:
                self.answers[name] = 0


async def synchronous(primary: LocalPostgres) -> None:
    """From now on a COMMIT is answered once the standby has it."""
    admin = primary.address()
    await execute(admin, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    await execute(admin, "SELECT pg_reload_conf()")

    async def streams() -> bool:
        rows = await fetch(admin, "SELECT sync_state FROM pg_stat_replication")
        return [row["sync_state"] for row in rows] == ["sync"]

    await until(streams, "the standby replicates synchronously")


async def test_writes_go_on_at_the_promoted_standby_and_none_is_lost(
    primary: LocalPostgres,
    standby: Standby,
    start_cluster: StartCluster,
    upstream: SampleUpstream,
) -> None:
    await synchronous(primary)
    address = await PostgresDatabases(primary.address()).create()
    hosts = f"127.0.0.1:{primary.port}, 127.0.0.1:{standby.port}"
    cluster = await start_cluster(2, {**settings_for(address), "pg_host": hosts})
    await add_sample(cluster, upstream)
    for node in cluster.nodes:
        await until_serves(cluster, node, "/s")
    writers = [Writers(cluster, node) for node in cluster.nodes]

    async def all_wrote(count: int) -> bool:
        return all(len(writer.created()) >= count for writer in writers)

    async with load([node.ports.proxy for node in cluster.nodes], "/s") as result:
        tasks = [asyncio.create_task(writer.run()) for writer in writers]
        await until(lambda: all_wrote(20), "both nodes write at the primary")
        primary.kill()
        await execute(standby.address(), "SELECT pg_promote()")
        before = max(len(writer.created()) for writer in writers)
        await until(
            lambda: all_wrote(before + AFTER_FAILOVER), "both write at the promoted standby"
        )
        for writer in writers:
            writer.stop()
        await asyncio.gather(*tasks)
    assert result.failures == {}, "proxying goes on all the while"

    for writer in writers:
        assert set(writer.answers.values()) <= {201, 503, -503}, "no answer but yes, no, unknown"
        for name, status in writer.answers.items():
            found = await _exists(cluster, cluster.nodes[0], name)
            if status == 201:
                assert found, f"{name} was answered 201 and is lost"
            elif status == 503:
                assert not found, f"{name} is there, but was answered {writer.reasons[name]}"
    rows = await fetch(standby.address(address.database), "SELECT max(revision) FROM grapevine.log")
    await cluster.until_revision(f"1.{rows[0]['max']}")


async def _exists(cluster: LocalCluster, node: LocalNode, name: str) -> bool:
    async with cluster.session.get(f"{node.admin_url}/services/{name}") as response:
        assert response.status in (200, 404)
        assert "Grapevine-Source" not in response.headers, "the authority answers, not the replica"
        return response.status == 200
