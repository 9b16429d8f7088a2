"""The one fixture that owns ports, logs and clean-up of real node processes."""

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from node.demo.cluster import LocalCluster
from node.demo.ports import taken_port
from node.demo.upstream import SampleUpstream
from tests.system.processes import end_all

PORTS_FIRST = 10_000
PORTS_PER_WORKER = 2_500
"""Each test process takes ports of its own, below the range that the kernel hands out."""

StartCluster = Callable[..., Awaitable[LocalCluster]]

_counter = itertools.count()


def free_base(nodes: int) -> int:
    """A base port whose whole range is free, never handed out twice in a row."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    first = PORTS_FIRST + PORTS_PER_WORKER * (worker % 8)
    for _ in range(PORTS_PER_WORKER // 10):
        base = first + next(_counter) * 10 % (PORTS_PER_WORKER - 100 * nodes)
        if taken_port(base, nodes) is None:
            return base
    raise AssertionError(f"no {nodes} nodes' ports are free from {first} on")


@pytest.fixture(autouse=True)
async def no_process_is_left() -> AsyncIterator[None]:
    """Whatever a test started with ``grapevine`` ends with it."""
    yield
    await end_all()


@pytest.fixture
async def upstream() -> AsyncIterator[SampleUpstream]:
    """A running sample upstream."""
    sample = SampleUpstream()
    await sample.start()
    yield sample
    await sample.stop()


@pytest.fixture
async def start_cluster(
    tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[StartCluster]:
    """Starts a bootstrapped cluster of real processes; at the end none is left.

    When the test failed, the ends of the nodes' logs are printed.
    """
    clusters: list[LocalCluster] = []

    async def start(nodes: int, settings: Mapping[str, str] | None = None) -> LocalCluster:
        home = tmp_path / f"cluster{len(clusters)}"
        home.mkdir()
        cluster = LocalCluster(home, nodes, free_base(nodes), settings)
        clusters.append(cluster)
        await cluster.bootstrap()
        await cluster.start()
        return cluster

    yield start
    for cluster in clusters:
        await cluster.stop()
        for node in cluster.nodes:
            print(f"--- {node.name}\n{node.log_tail(60)}")
