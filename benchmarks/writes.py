"""How many writes the authority takes: single entities by one node and by three, and a sync.

Nodes are processes that call the authority as a node does; each client creates one service after
the other, without pause. A commit is made to take longer: in front of Postgres stands a proxy, a
process of its own, that keeps each COMMIT back, so that its locks are held for as long as a slow
disk's flush would hold them; in SQLite the connection's thread sleeps before COMMIT, with the
file's lock held. Both come on top of what the machine takes by itself (Postgres: fsync off). The
sync puts services and routes in one write, twice: all new, then all changed.

    python -m benchmarks.writes [--short] [--seconds 2] [--sync 10000] [--engines sqlite,postgres]
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.slow_commit import delay_sqlite
from node.demo.local_postgres import LocalPostgres
from store.authority import Authority, Create, Mutation, Put
from store.migrations.postgres_runner import PostgresMigrations
from store.migrations.sqlite_runner import SqliteMigrations
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress, PostgresHost
from store.sqlite import SqliteAuthority
from store.version import EMPTY, Head

LATENCIES_MS = (0.1, 2.0, 10.0)
SHAPES = ((1, 1), (1, 10), (1, 50), (3, 10))
"""(nodes, clients of each)"""

SHORT_LATENCIES_MS = (2.0,)
SHORT_SHAPES = ((1, 1), (1, 50), (3, 10))


def authority_of(where: str, confirmed: Callable[[], Head] = lambda: EMPTY) -> Authority:
    """A SQLite file, or ``host:port`` and password of the benchmark's Postgres."""
    if where.startswith("/"):
        return SqliteAuthority(where, confirmed=confirmed)
    host, port, password = where.split("|")
    hosts = (PostgresHost(host, int(port)),)
    address = PostgresAddress(hosts, "postgres", "postgres", password, timeout=60.0)
    return PostgresAuthority(address, confirmed=confirmed)


async def be_a_node(where: str, name: str, clients: int, seconds: float, delay: float) -> None:
    """One node: says that it is ready, waits to be told to begin, and prints its latencies."""
    delay_sqlite(delay)
    confirmed = EMPTY
    authority = authority_of(where, lambda: confirmed)
    await authority.open()
    took: list[float] = []
    end = 0.0

    async def client(number: int) -> None:
        nonlocal confirmed
        count = 0
        while (began := time.perf_counter()) < end:
            fields = {"name": f"{name}-{number}-{count}", "host": "bench", "tags": [name]}
            committed = await authority.write([Create("services", fields)], origin=name)
            confirmed = max(confirmed, committed.head)
            took.append(time.perf_counter() - began)
            count += 1

    await authority.write([Create("services", {"host": "warm"})], origin=name)
    print("ready", flush=True)
    sys.stdin.readline()
    end = time.perf_counter() + seconds
    await asyncio.gather(*(client(number) for number in range(clients)))
    print(json.dumps(took))
    await authority.close()


async def measure(
    where: str, nodes: int, clients: int, seconds: float, delay: float
) -> dict[str, float]:
    """Writes per second of all nodes together, and how long one took."""
    label = str(time.time_ns())
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.writes", "--node", where, f"{label}-{number}"),
            *(str(clients), str(seconds), str(delay)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=64 * 1024 * 1024,
        )
        for number in range(nodes)
    ]
    took: list[float] = []
    for process in processes:
        assert process.stdout is not None
        await process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
    for process in processes:
        printed, _ = await process.communicate()
        took.extend(json.loads(printed))
    took.sort()
    return {
        "writes_per_second": round(len(took) / seconds, 1),
        "p50_ms": round(1000 * statistics.median(took), 2),
        "p99_ms": round(1000 * took[len(took) * 99 // 100], 2),
    }


async def sync_seconds(authority: Authority, entities: int) -> tuple[float, float]:
    """How long it takes to make that many entities in one write, and to change all of them."""

    def mutations(host: str) -> Iterator[Mutation]:
        for number in range(entities // 2):
            name = f"sync{number}"
            yield Put("services", name, {"host": host, "tags": ["sync"]})
            fields = {"paths": [f"/{host}/{number}"], "service": {"name": name}, "tags": ["sync"]}
            yield Put("routes", name, fields)

    await authority.open()
    took = []
    for host in ("first", "second"):
        wanted = tuple(mutations(host))
        began = time.perf_counter()
        await authority.write(wanted, origin="sync")
        took.append(time.perf_counter() - began)
    await authority.close()
    return took[0], took[1]


@contextlib.asynccontextmanager
async def delayed(host: PostgresHost, seconds: float) -> AsyncIterator[PostgresHost]:
    """A proxy in front of a server, in a process of its own."""
    proxy = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.slow_commit", host.host, str(host.port), str(seconds)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert proxy.stdout is not None
    try:
        yield PostgresHost(host.host, int(await proxy.stdout.readline()))
    finally:
        proxy.terminate()
        await proxy.communicate()


@contextlib.asynccontextmanager
async def reached(where: str, delay: float) -> AsyncIterator[str]:
    """The authority, with its commits taking longer by that many seconds."""
    if where.startswith("/"):
        yield where
        return
    host, port, password = where.split("|")
    async with delayed(PostgresHost(host, int(port)), delay) as proxy:
        yield f"{proxy.host}|{proxy.port}|{password}"


async def run_engine(engine: str, where: str, options: argparse.Namespace) -> None:
    figures = []
    for latency in SHORT_LATENCIES_MS if options.short else LATENCIES_MS:
        for nodes, clients in SHORT_SHAPES if options.short else SHAPES:
            async with reached(where, latency / 1000) as proxied:
                found = await measure(proxied, nodes, clients, options.seconds, latency / 1000)
            figures.append({"commit_ms": latency, "nodes": nodes, "clients": clients, **found})
            print(
                f"{engine:<9} {latency:>9g} {nodes:>6} {clients:>8}"
                f" {found['writes_per_second']:>9.0f} {found['p50_ms']:>8} {found['p99_ms']:>8}"
            )
    made, changed = await sync_seconds(authority_of(where), options.sync)
    print(f"{engine:<9} sync of {options.sync}: new {made:.2f} s, changed {changed:.2f} s")
    sync = {"entities": options.sync, "new_s": round(made, 3), "changed_s": round(changed, 3)}
    print(json.dumps({"benchmark": "writes", "engine": engine, "single": figures, "sync": sync}))


async def run(options: argparse.Namespace) -> None:
    print("engine    commit ms  nodes  clients  writes/s   p50 ms   p99 ms")
    for engine in options.engines.split(","):
        if engine == "sqlite":
            folder = Path(tempfile.mkdtemp(prefix="grapevine-bench-"))
            try:
                await SqliteMigrations(folder / "authority.db").bootstrap()
                await run_engine(engine, str(folder / "authority.db"), options)
            finally:
                shutil.rmtree(folder)
            continue
        server = LocalPostgres()
        try:
            server.create()
            server.start()
            address = server.address()
            await PostgresMigrations(replace(address, schema="grapevine")).bootstrap()
            (host,) = address.hosts
            where = f"{host.host}|{host.port}|{address.password}"
            await run_engine(engine, where, options)
        finally:
            server.remove()


def main() -> None:
    if sys.argv[1:2] == ["--node"]:
        where, name, clients, seconds, delay = sys.argv[2:]
        asyncio.run(be_a_node(where, name, int(clients), float(seconds), float(delay)))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="one latency, half a second each")
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--sync", type=int, default=None)
    parser.add_argument("--engines", default="sqlite,postgres")
    options = parser.parse_args()
    options.seconds = options.seconds or (0.5 if options.short else 2.0)
    options.sync = options.sync or (1_000 if options.short else 10_000)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
