"""The one fixture that owns ports, logs and clean-up of real node processes."""

import fcntl
import itertools
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from node.demo.cluster import LocalCluster, LocalNode
from node.demo.ports import taken_port
from node.demo.upstream import SampleUpstream
from tests.system.processes import end_all

PORTS_FIRST, PORTS_LAST = 10_000, 32_000
"""Below the range that the kernel hands out by itself."""
PORTS_PER_BASE = 1_000
"""Room for ten nodes; a range belongs to one test process until that ends."""

TOGETHER = 3
"""Nodes that start at a time: on two cores five take longer than each may."""

StartCluster = Callable[..., Awaitable[LocalCluster]]

_ranges: list[int] = []
"""First ports of the ranges that this process has taken."""
_locks: list[int] = []
_turns = itertools.count()


def free_base(nodes: int) -> int:
    """A base port whose whole range is free, for a cluster of at most ten nodes."""
    assert 100 * nodes <= PORTS_PER_BASE
    if not _ranges:
        _ranges.append(_take_range())
    for _ in range(10):
        base = _ranges[0] + next(_turns) % 9 * 10
        if taken_port(base, nodes) is None:
            return base
    raise AssertionError(f"no {nodes} nodes' ports are free from {_ranges[0]} on")


def _take_range() -> int:
    """A range that no other test process, of this run or another, uses; freed by the kernel when
    this process ends."""
    folder = Path(tempfile.gettempdir()) / f"grapevine-test-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for first in range(PORTS_FIRST, PORTS_LAST, PORTS_PER_BASE):
        lock = os.open(folder / str(first), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _locks.append(lock)
        return first
    raise AssertionError(f"every range of ports in {folder} is taken")


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

    ``spare`` more nodes may be added to it later; ``own`` is what each is configured with beside
    ``settings``. When the test failed, the ends of the nodes' logs
    are printed.
    """
    clusters: list[LocalCluster] = []

    async def start(
        nodes: int,
        settings: Mapping[str, str] | None = None,
        *,
        spare: int = 0,
        own: Callable[[LocalNode], Mapping[str, str]] = lambda node: {},
    ) -> LocalCluster:
        home = tmp_path / f"cluster{len(clusters)}"
        home.mkdir()
        cluster = LocalCluster(home, nodes, free_base(nodes + spare), settings, own)
        clusters.append(cluster)
        await cluster.bootstrap()
        await cluster.start(TOGETHER)
        return cluster

    yield start
    for cluster in clusters:
        await cluster.stop()
        for node in cluster.nodes:
            print(f"--- {node.name}\n{node.log_tail(60)}")
