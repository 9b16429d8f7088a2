"""A cluster for the time of a measurement: all its processes end with it, and tell why they failed.

Ctrl-C cancels what is under way, so everything here is undone then, too.
"""

import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from node.demo.cluster import LocalCluster
from node.demo.ports import choose_base

TOGETHER = 4
"""Nodes that start at a time: what a start takes is mostly processor time."""


@contextlib.asynccontextmanager
async def cluster_of(
    nodes: int, home: Path, base_port: int | None, settings: Mapping[str, str], *, spare: int = 0
) -> AsyncIterator[LocalCluster]:
    """So many nodes on an authority that holds nothing yet; ``spare`` more may be added later."""
    cluster = LocalCluster(home, nodes, choose_base(nodes + spare, base_port), settings)
    try:
        await cluster.bootstrap()
        await cluster.start(TOGETHER)
        yield cluster
    except Exception:
        for node in cluster.nodes:
            code = "runs" if node.running else f"exit {node.process and node.process.returncode}"
            print(f"--- {node.name}: {code}\n{node.log_tail()}", file=sys.stderr)
        raise
    finally:
        await cluster.stop()
