"""``grapevine demo``: a cluster to look at, gone without a trace when it ends."""

import asyncio
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from node.demo.cluster import LocalCluster, NodeFailed
from node.demo.local_postgres import LocalPostgres, PostgresNotStarted, settings_for
from node.demo.ports import DEFAULT_BASES, PortsTaken, choose_base
from node.demo.upstream import SampleUpstream
from node.demo.watching import Watching
from node.top.terminal import usable
from store.errors import AuthorityUnavailable

TITLES = {"sqlite": "SQLite", "postgres": "Postgres"}


def say(line: str) -> None:
    """Print one line at once, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def run_demo(
    nodes: int, base_port: int | None, database: str = "sqlite", *, plain: bool = False
) -> int:
    """Run a demo cluster until SIGINT or SIGTERM; answers the exit code.

    What happens is shown by the live view where there is a terminal, unless ``plain``.
    """
    stop = _stop_on_signals()
    started = time.monotonic()
    try:
        base = choose_base(nodes, base_port)
    except PortsTaken as error:
        sys.stderr.write(f"grapevine demo: {error}\n")
        return 1
    if base_port is None and base != DEFAULT_BASES[0]:
        say(f"A default port is taken: this demo uses ports from {base} on.")
    with tempfile.TemporaryDirectory(prefix="grapevine-demo-") as home, ExitStack() as servers:
        try:
            settings = await _start_postgres(servers) if database == "postgres" else {}
        except (PostgresNotStarted, AuthorityUnavailable) as error:
            sys.stderr.write(f"grapevine demo: {error}\n")
            return 1
        upstream = SampleUpstream()
        cluster = LocalCluster(Path(home), nodes, base, settings)
        try:
            say(f"Starting {nodes} nodes on one {TITLES[database]} authority in {home} …")
            await upstream.start()
            bring_up = asyncio.ensure_future(_bring_up(cluster, upstream))
            await asyncio.wait({bring_up, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not bring_up.done():
                bring_up.cancel()
                await asyncio.wait({bring_up})
                return 0
            bring_up.result()
            _introduce(cluster, time.monotonic() - started)
            await Watching(cluster, f"grapevine demo, {TITLES[database]}", say).run(
                stop, live=usable(plain)
            )
            say("Stopping …")
        except NodeFailed as error:
            sys.stderr.write(f"grapevine demo: {error}\n")
            return 1
        finally:
            await cluster.stop()
            await upstream.stop()
    say("All nodes have stopped.")
    return 0


async def _start_postgres(servers: ExitStack) -> dict[str, str]:
    """Start a private server, which ``servers`` removes; answers the nodes' settings."""
    say("Starting a private Postgres …")
    server = LocalPostgres()
    servers.callback(server.remove)
    await asyncio.to_thread(server.create)
    await asyncio.to_thread(server.start)
    return settings_for(await server.create_database("grapevine"))


def _stop_on_signals() -> "asyncio.Future[None]":
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()

    def on_signal() -> None:
        if not stop.done():
            stop.set_result(None)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return stop


async def _bring_up(cluster: LocalCluster, upstream: SampleUpstream) -> None:
    await cluster.bootstrap()
    await cluster.start()
    first = cluster.nodes[0]
    await cluster.post_json(
        f"{first.admin_url}/services",
        {"name": "hello", "url": f"http://127.0.0.1:{upstream.port}"},
    )
    await cluster.post_json(
        f"{first.admin_url}/services/hello/routes", {"name": "hello", "paths": ["/hello"]}
    )


def _introduce(cluster: LocalCluster, seconds: float) -> None:
    say(f"{len(cluster.nodes)} nodes are up after {seconds:.1f} s.")
    say("")
    for node in cluster.nodes:
        say(
            f"  {node.name}   proxy {node.proxy_url}   Admin API {node.admin_url}"
            f"   status {node.status_url}"
        )
    writer = cluster.nodes[min(1, len(cluster.nodes) - 1)]
    reader = cluster.nodes[-1]
    say("")
    say("Try, in another terminal:")
    say("")
    say(f"  curl -i {cluster.nodes[0].proxy_url}/hello")
    say(f"  curl -i -X POST {writer.admin_url}/services/hello/routes -d name=new -d 'paths[]=/new'")
    say(f"  curl -i {reader.proxy_url}/new")
    say("")
    say("The second writes a route on one node, the third calls it through another.")
    say("Ctrl-C stops everything. What happens from here on:")
    say("")
