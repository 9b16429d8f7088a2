"""How long a node takes to catch up: one that was away for 10,000 revisions, and a brand-new one.

Real processes on this machine, one worker each. The authority is filled with entities, a service
with a route each (``--held``). A node of the cluster is stopped (TERM, its files kept) or paused
(SIGSTOP), revisions are committed behind its back, each of which changes a service, and it goes on:
with the database there, and with the database away, from its peers alone. Then the authority is
filled up to ``--entities``, and a node with no files joins, again with the database there and away.
So every round finds as many entities as the one before. Away means: Postgres is stopped;
the SQLite file is renamed, so that a starting node doesn't find it (a paused node holds it open,
so that case is Postgres' alone).

Phases, in seconds from the start of the process or from SIGCONT: ``answers``, the status listener
answers; ``state``, the agent holds the last revision; ``ready``, /status/ready is 200; ``live``,
every worker that listens serves it, as the node itself notes (``live_at``): while none listens yet
that is the agent's state, so a starting node serves at the later of ``ready`` and ``live``. The
first three are asked for on one kept connection every 50 ms, and are late by up to that and the
answer's own time. The yardstick is an interpreter that imports what a node imports, and ends.

Processor seconds, user and system, from the same moment until it was seen to be ``live``, imports
included: of the node's ``agent``, of its ``workers``, and of all the ``others`` that run. They say
what is the node's own work, whoever else uses the machine. ``held`` is how many entities the node
held at the end: one that was stopped reads those of before from its disk.

    python -m benchmarks.catching_up [--revisions 10000] [--held 10000] [--entities 100000]
        [--nodes 3] [--rounds 1] [--database sqlite|postgres] [--base-port PORT]
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import uvloop

from benchmarks.clusters import cluster_of
from benchmarks.databases import DATABASES, Database, database
from benchmarks.idle import descendants, processor_seconds
from benchmarks.kept_connection import KeptConnection
from benchmarks.restart import warm_import_seconds
from node.agent.authorities import make_authority
from node.config.load import load
from node.demo.cluster import LocalCluster, LocalNode, NodeFailed
from store.authority import Authority, Create, Mutation, Patch

LOOK_SECONDS = 0.05
"""The node answers by its one thread, which has better to do."""
SECONDS_MAX = 120.0
TOGETHER = 64
"""Writes that wait for the authority at once, so that they share its transactions."""
FILL_ENTITIES = 10_000
"""In one write."""
PHASES = ("answers", "state", "ready", "live")
SPENT = ("agent", "workers", "others")
COUNTED = ("pulls", "repairs_requested", "behind", "snapshots_asked", "snapshots_installed")

Phases = dict[str, float]


@contextlib.asynccontextmanager
async def direct(cluster: LocalCluster) -> AsyncIterator[Authority]:
    """The authority, without a node in between."""
    authority = make_authority(load(str(cluster.nodes[0].conf), {}, {}))
    await authority.open()
    try:
        yield authority
    finally:
        await authority.close()


async def commit_revisions(cluster: LocalCluster, count: int, held: int, label: str) -> str:
    """Make so many revisions, each of which changes one of the services held; the last one's
    version."""
    numbers = iter(range(count))
    async with direct(cluster) as authority:

        async def writer() -> None:
            for number in numbers:
                change = Patch(
                    "services",
                    f"pair-{number % (held // 2)}",
                    {"host": f"{number}.{label}.internal"},
                )
                await authority.write([change], origin="benchmark")

        await asyncio.gather(*(writer() for _ in range(TOGETHER)))
        return str((await authority.head()).version)


async def fill(cluster: LocalCluster, held: int, entities: int) -> str:
    """Make services with a route each, until there are so many; the last version."""
    async with direct(cluster) as authority:
        for first in range(held // 2, entities // 2, FILL_ENTITIES // 2):
            numbers = range(first, min(first + FILL_ENTITIES // 2, entities // 2))
            await authority.write(tuple(_pairs(numbers)), origin="benchmark")
        return str((await authority.head()).version)


def _pairs(numbers: range) -> Iterator[Mutation]:
    for number in numbers:
        name = f"pair-{number}"
        yield Create("services", {"name": name, "host": f"{number}.internal"})
        fields = {"name": name, "paths": [f"/pair/{number}"], "service": {"name": name}}
        yield Create("routes", fields)


@contextlib.asynccontextmanager
async def away(authority: Database, home: Path) -> AsyncIterator[None]:
    """The database can't be reached by who looks for it now."""
    if authority.server is not None:
        await asyncio.to_thread(authority.server.stop)
        yield
        await asyncio.to_thread(authority.server.start)
        return
    moved = [(home / f"authority.db{end}", home / f"away.db{end}") for end in ("", "-wal", "-shm")]
    for path, elsewhere in moved:
        os.rename(path, elsewhere)
    yield
    for path, elsewhere in moved:
        os.rename(elsewhere, path)


async def watch(node: LocalNode, wanted: str, began: float) -> Phases:
    """See a node through its phases until its workers serve ``wanted``; ``began`` in Unix
    seconds."""
    status, admin = KeptConnection(node.ports.status), KeptConnection(node.ports.admin)
    found: Phases = {}
    try:
        async with asyncio.timeout(SECONDS_MAX):
            while "live" not in found:
                try:
                    await _look(status, admin, wanted, began, found)
                except (OSError, EOFError):
                    status.close()
                    admin.close()
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise NodeFailed(f"{node.name}: {found} after {SECONDS_MAX:g} s") from None
    finally:
        status.close()
        admin.close()
    return found


async def _look(
    status: KeptConnection, admin: KeptConnection, wanted: str, began: float, found: Phases
) -> None:
    told = (await status.request("GET", "/status")).json()["cluster"]
    found.setdefault("answers", time.time() - began)
    if told["revision"] == wanted:
        found.setdefault("state", time.time() - began)
    if "ready" not in found and (await status.request("GET", "/status/ready")).status == 200:
        found["ready"] = time.time() - began
    if {"state", "ready"} <= found.keys():
        live = (await admin.request("GET", "/cluster/revision")).json()
        if live["live"] == wanted:
            found["live"] = live["live_at"] - began
            found.update({name: told["counters"].get(name, 0) for name in COUNTED})


async def until_others(cluster: LocalCluster, but: LocalNode, wanted: str) -> None:
    """Wait until the workers of all other running nodes serve a version."""
    others = [node for node in cluster.nodes if node is not but and node.running]
    await asyncio.gather(*(watch(node, wanted, time.time()) for node in others))


def _spent(cluster: LocalCluster, node: LocalNode) -> Phases:
    """Processor seconds so far, by SPENT."""
    spent = dict.fromkeys(SPENT, 0.0)
    for one in cluster.nodes:
        if one.process is None or not one.running:
            continue
        agent, *workers = descendants(one.process.pid)
        if one is node:
            spent["agent"] = processor_seconds(agent)
            spent["workers"] = sum(map(processor_seconds, workers))
        else:
            spent["others"] += sum(map(processor_seconds, (agent, *workers)))
    return spent


class CatchingUp:
    """A cluster and what was measured on it so far."""

    def __init__(self, cluster: LocalCluster, authority: Database, home: Path) -> None:
        self._cluster = cluster
        self._authority = authority
        self._home = home
        self._turn = 0
        self._entities = 0
        """In the authority."""
        self.filled = ""
        """The version to which it was filled last."""
        self.found: dict[str, list[Phases]] = {}

    @contextlib.asynccontextmanager
    async def _with(self, *, there: bool) -> AsyncIterator[None]:
        if there:
            yield
            return
        async with away(self._authority, self._home):
            yield

    async def _watch(self, what: str, node: LocalNode, wanted: str, *, there: bool) -> None:
        """See a node through its phases, from this moment, and note them."""
        began, before = time.time(), _spent(self._cluster, node)
        if not node.running:
            await node.start()
        phases = await watch(node, wanted, began)
        after = _spent(self._cluster, node)
        phases |= {name: after[name] - before[name] for name in SPENT}
        phases["held"] = self._entities
        self.found.setdefault(f"{what}, database {'there' if there else 'away'}", []).append(phases)

    async def stopped(self, revisions: int, *, there: bool) -> None:
        """A node that was stopped starts again, so many revisions behind."""
        node = self._cluster.nodes[-1]
        await node.stop()
        wanted = await self._commit("stopped", revisions)
        await until_others(self._cluster, node, wanted)
        async with self._with(there=there):
            await self._watch("stopped", node, wanted, there=there)

    async def paused(self, revisions: int, *, there: bool) -> None:
        """A node whose processes stood still goes on."""
        node = self._cluster.nodes[-1]
        assert node.process is not None
        pids = descendants(node.process.pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            wanted = await self._commit("paused", revisions)
            await until_others(self._cluster, node, wanted)
            async with self._with(there=there):
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
                await self._watch("paused", node, wanted, there=there)
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    async def newcomer(self, *, there: bool) -> None:
        """A node with no files joins."""
        seed = self._cluster.nodes[0].ports.gossip
        node = self._cluster.add_node({"cluster_seeds": f"127.0.0.1:{seed}"})
        try:
            async with self._with(there=there):
                await self._watch("newcomer", node, self.filled, there=there)
        finally:
            await node.stop()

    async def fill(self, entities: int) -> None:
        """Make entities until there are so many, and wait until all nodes serve them."""
        wanted = await fill(self._cluster, self._entities, entities)
        self._entities = max(self._entities, entities // 2 * 2)
        await asyncio.gather(*(watch(node, wanted, time.time()) for node in self._cluster.nodes))
        self.filled = wanted

    async def _commit(self, what: str, revisions: int) -> str:
        self._turn += 1
        label = f"{what}{self._turn}"
        return await commit_revisions(self._cluster, revisions, self._entities, label)


def report(found: dict[str, list[Phases]]) -> None:
    """Print the table."""
    print("case                         " + "".join(f"{name:>22}" for name in PHASES))
    for name, rounds in found.items():
        print(f"{name:<29}" + "".join(f"{_cell(rounds, phase):>22}" for phase in PHASES))
        spent = ", ".join(f"{key} {[round(one[key], 2) for one in rounds]}" for key in SPENT)
        print(f"    processor seconds: {spent}")
        told = (f"{key} {[int(one[key]) for one in rounds]}" for key in ("held", *COUNTED))
        print("    " + ", ".join(told))


def _cell(rounds: list[Phases], phase: str) -> str:
    times = [one[phase] for one in rounds]
    return f"{statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f})"


async def _all_cases(
    case: CatchingUp, cluster: LocalCluster, authority: Database, options: argparse.Namespace
) -> None:
    await case.fill(options.held)
    for _ in range(options.rounds):
        for there in (True, False):
            await case.stopped(options.revisions, there=there)
            if there or authority.server is not None:
                await case.paused(options.revisions, there=there)
    await case.fill(options.entities)
    for _ in range(options.rounds):
        for there in (True, False):
            await case.newcomer(there=there)


async def measure(options: argparse.Namespace) -> None:
    """Run all cases and print what came of them."""
    with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as folder:
        home = Path(folder)
        loads = [os.getloadavg()[0]]
        floor = await asyncio.to_thread(warm_import_seconds)
        async with (
            database(options.database, home) as authority,
            cluster_of(
                options.nodes, home, options.base_port, authority.settings, spare=2 * options.rounds
            ) as cluster,
        ):
            case = CatchingUp(cluster, authority, home)
            await _all_cases(case, cluster, authority, options)
        loads.append(os.getloadavg()[0])
    print(
        f"{options.revisions} revisions behind with {options.held} entities; then a newcomer with"
        f" {options.entities}; {options.nodes} nodes, {options.database}: seconds, median (range)"
    )
    report(case.found)
    print(f"imports alone {floor:.2f} s; load average before and after: "
          f"{loads[0]:.1f}, {loads[1]:.1f}")  # fmt: skip
    fields = {name: getattr(options, name) for name in ("database", "nodes", "revisions", "held")}
    told = {
        name: [{key: round(value, 3) for key, value in one.items()} for one in rounds]
        for name, rounds in case.found.items()
    }
    whole = {"benchmark": "catching_up", **fields, "entities": options.entities, "cases": told}
    print(json.dumps({**whole, "imports": round(floor, 3), "loads": loads}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--revisions", type=int, default=10_000)
    parser.add_argument("--held", type=int, help="default: as many as revisions")
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--base-port", type=int, help="node 1's (default: a free one)")
    options = parser.parse_args()
    if options.held is None:
        options.held = options.revisions
    uvloop.run(measure(options))


if __name__ == "__main__":
    main()
