"""What a cluster asks of its authority: statements and connections a minute, idle and written to.

Real processes on this machine without workers (they never ask the authority), on a Postgres of the
benchmark's own that logs every statement and connection (``log_statement = all``): the counts are
exact, from the server's own log, by kind of statement. For each number of nodes a while without any
write is logged, then a while with one write a second at one node, and with one at each node in
turn. A load that is flat has the same figures for every number of nodes. Connections that aren't
used are closed after some seconds (``pg_keepalive_timeout``), and what the start took is gone
before counting begins.

SQLite's reads can't be counted: they are calls within each node's process.

    python -m benchmarks.authority_load [--nodes 5,10,20] [--seconds 60] [--base-port PORT]
"""

import argparse
import asyncio
import json
import os
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.clusters import cluster_of
from benchmarks.databases import Database, database
from node.demo.cluster import LocalCluster

SETTLE_SECONDS = 15.0
"""After the start: rows are written, connections that aren't needed any more are closed."""
LOGGING = {
    "log_statement": "all",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_line_prefix": "%t [%p] ",
    "log_min_messages": "log",
}
STATEMENT = re.compile(r"LOG: {2}(?:statement|execute [^:]*): (.*)")
KINDS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Window:
    """What the server logged in a while; rates are a minute."""

    statements: float
    connections: float
    open_connections: int
    """At the end."""
    kinds: dict[str, float]


def kind_of(statement: str) -> str:
    """A statement without its details: its verb, and the table that it is about."""
    words = re.sub(r"\s+", " ", statement).strip()
    verb = words.split(" ", 1)[0].rstrip(";").upper()
    if verb in ("BEGIN", "COMMIT", "ROLLBACK"):
        return verb
    table = re.search(
        r"\b(?:FROM|INTO|UPDATE|LISTEN|UNLISTEN)\s+\(?([\w.\"*]+)", words, re.IGNORECASE
    )
    if table is None:
        return words[:40]
    return f"{verb} {table[1].replace('grapevine.', '')}"


def read_log(text: str, seconds: float, open_connections: int) -> Window:
    """Count what stands in a piece of the server's log."""
    lines = text.replace("\n\t", " ").splitlines()  # a statement's further lines are indented
    kinds = Counter(kind_of(found[1]) for found in map(STATEMENT.search, lines) if found)
    each = {kind: 60 * count / seconds for kind, count in kinds.most_common()}
    return Window(
        statements=60 * kinds.total() / seconds,
        connections=60 * text.count("connection authorized:") / seconds,
        open_connections=open_connections,
        kinds=each,
    )


def open_connections(log: str) -> int:
    """Of the nodes, by the whole log so far."""
    return log.count("connection authorized:") - log.count("disconnection: session time")


async def logged(authority: Database, work: Any, seconds: float) -> Window:
    """What the server logs while ``work`` is done."""
    assert authority.server is not None
    log = authority.server.log
    before = log.stat().st_size
    began = time.monotonic()
    await work
    await asyncio.sleep(seconds - (time.monotonic() - began))
    taken = time.monotonic() - began
    whole = log.read_bytes()
    return read_log(
        whole[before:].decode(errors="replace"),
        taken,
        open_connections(whole.decode(errors="replace")),
    )


async def write_each_second(cluster: LocalCluster, writers: int, seconds: float) -> None:
    """One write a second, at the first ``writers`` nodes in turn."""
    for number in range(int(seconds)):
        due = time.monotonic() + 1.0
        node = cluster.nodes[number % writers]
        fields = {"name": f"written-{writers}-{number}", "host": "bench.internal"}
        await cluster.post_json(f"{node.admin_url}/services", fields)
        if number + 1 < int(seconds):
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def measure(nodes: int, seconds: float, base_port: int | None) -> dict[str, Window]:
    """One cluster, idle and written to."""
    with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as folder:
        async with database("postgres", Path(folder), LOGGING) as authority:
            settings = {**authority.settings, "proxy_listen": "off"}
            async with cluster_of(nodes, Path(folder), base_port, settings) as cluster:
                await asyncio.sleep(SETTLE_SECONDS)
                return {
                    "idle": await logged(authority, asyncio.sleep(0), seconds),
                    "a write a second at one node": await logged(
                        authority, write_each_second(cluster, 1, seconds), seconds
                    ),
                    "a write a second at each in turn": await logged(
                        authority, write_each_second(cluster, nodes, seconds), seconds
                    ),
                }


def report(nodes: int, name: str, window: Window) -> None:
    """One row of the table, and the kinds of statements."""
    print(
        f"{nodes:>5}  {name:<33} {window.statements:>12.0f} {window.connections:>14.1f}"
        f" {window.open_connections:>12}"
    )
    shown = sorted(window.kinds.items(), key=lambda item: -item[1])[:KINDS_SHOWN]
    print("       " + ", ".join(f"{kind} {rate:.0f}" for kind, rate in shown))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nodes", default="5,10,20", help="cluster sizes (default 5,10,20)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each load")
    parser.add_argument("--base-port", type=int, help="node 1's (default: a free one)")
    options = parser.parse_args()
    print("A minute at the authority (Postgres, counted in its own log); open: at the end")
    print("nodes  what                                statements    connections         open")
    for size in map(int, options.nodes.split(",")):
        windows = uvloop.run(measure(size, options.seconds, options.base_port))
        for name, window in windows.items():
            report(size, name, window)
            figures = {
                "statements": round(window.statements, 1),
                "connections": round(window.connections, 1),
                "open": window.open_connections,
                "kinds": {kind: round(rate, 1) for kind, rate in window.kinds.items()},
            }
            line = {"benchmark": "authority_load", "nodes": size, "load": name, **figures}
            print(
                json.dumps({**line, "seconds": options.seconds, "load_average": os.getloadavg()[0]})
            )


if __name__ == "__main__":
    main()
