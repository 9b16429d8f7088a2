"""What a request costs here, beside nginx, nginx with Lua, HAProxy, Caddy, Envoy and Traefik.

    python -m benchmarks.proxy [--rounds 15] [--seconds 3] [--only plain,tls,…]

Each proxy has core 0 to itself, one worker; wrk and the upstream (nginx, 1 KB) share core 1.
64 connections, 11 request fields, keep-alive, access logs on. Rounds alternate over the proxies;
a ratio is the median of the rounds' ratios, with its bootstrap 95 % interval. ``goal`` and
``floor``: the whole interval meets it; ``not shown``: it straddles the floor.

On a virtual machine system calls are dear and the same for everybody, which brings all ratios
nearer to 1 than they are elsewhere. ``lua phases`` stands for a chain of phases in nginx with Lua;
it is not Kong. Linux only (taskset, /proc).
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.kept_connection import KeptConnection
from benchmarks.proxy import peers
from benchmarks.proxy.load import LOAD_CORE, Request, Sample, resident_bytes, run
from benchmarks.proxy.peers import OTHERS, Node, NotHere, Origin, Peer, origin, pin
from benchmarks.proxy.ratios import Aim, Ratio, ratio_of
from node.proxy import heads
from tests.proxy.certificates import self_signed

CONNECTIONS = 64
ROUTES = 10_000
CHANGES_PER_SECOND = 100
SIZES = {"1k": 1024, "1m": 2**20, "100m": 100 * 2**20}

PLAIN_AIMS = {
    "nginx": Aim(0.5, 0.65),
    "lua look-up": Aim(0.85, 1.0),
    "lua phases": Aim(1.2, 1.6),
    "caddy": Aim(2.0, 3.0),
}

Measured = Callable[[], Awaitable[Sample]]


class Bench:
    """One run of the whole: its folder, its upstream, and how it measures."""

    def __init__(
        self, home: Path, upstream: Origin, certificate: Path, rounds: int, seconds: float
    ) -> None:
        self.home = home
        self.upstream = upstream
        self.certificate = certificate
        self.rounds = rounds
        self.seconds = seconds
        self.results: list[dict[str, Any]] = []

    def node(self, name: str, workers: int = 1) -> contextlib.AbstractAsyncContextManager[Node]:
        """A node of ours, with the one route."""
        return peers.node(name, self.home, self.upstream, self.certificate, workers)

    def other(self, name: str) -> contextlib.AbstractAsyncContextManager[Peer]:
        """One of OTHERS. Raises NotHere."""
        return peers.other(name, self.home, self.upstream, self.certificate)

    def load(
        self,
        peer: Peer,
        request: Request = Request(),  # noqa: B008 (immutable)
        connections: int = CONNECTIONS,
        *,
        tls: bool = False,
    ) -> Measured:
        """One run of the load against a proxy, to be made as often as is needed."""
        url = peer.tls_url if tls else peer.url
        return lambda: run(self.home, url, request, connections, self.seconds, peer.pids)

    async def alternate(self, subjects: Mapping[str, Measured]) -> dict[str, list[Sample]]:
        """A warm-up of each, then the rounds, each in another order."""
        for measure in subjects.values():
            await measure()
        samples: dict[str, list[Sample]] = {name: [] for name in subjects}
        names = list(subjects)
        for number in range(self.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                sample = await subjects[name]()
                if sample.errors:
                    print(f"{name}: {sample.errors} errors in a run")
                samples[name].append(sample)
        return samples

    def show(self, title: str, samples: Mapping[str, Sequence[Sample]]) -> None:
        """The medians of each."""
        print(f"\n{title}")
        print(f"{'':24} {'req/s':>9} {'CPU us/req':>11} {'p50 us':>8} {'p99 us':>9} {'errors':>7}")
        for name, taken in samples.items():
            figures = [
                statistics.median(getattr(one, field) for one in taken)
                for field in ("requests", "cpu", "p50", "p99")
            ]
            errors = sum(one.errors for one in taken)
            print(
                f"{name:24} {figures[0]:>9.0f} {figures[1]:>11.1f} {figures[2]:>8.0f}"
                f" {figures[3]:>9.0f} {errors:>7}"
            )

    def judge(self, what: str, ratio: Ratio, aim: Aim | None) -> None:
        """One line of the page."""
        shown = aim.shown(ratio) if aim else "-"
        asked = f"floor {aim.floor:g}, goal {aim.goal:g}" if aim else ""
        print(f"  {what:44} {ratio!s:26} {asked:22} {shown}")
        self.results.append({"what": what, **ratio._asdict(), "shown": shown})


def rates(samples: Sequence[Sample]) -> list[float]:
    return [sample.requests for sample in samples]


def costs(samples: Sequence[Sample]) -> list[float]:
    return [sample.cpu for sample in samples]


async def plain(bench: Bench) -> None:
    """One route, beside everybody."""
    async with contextlib.AsyncExitStack() as stack:
        ours = await stack.enter_async_context(bench.node("grapevine"))
        idle = max(resident_bytes(pid) for pid in ours.workers) / 1e6
        subjects = {"grapevine": bench.load(ours.peer)}
        for name in OTHERS:
            try:
                peer = await stack.enter_async_context(bench.other(name))
            except NotHere as reason:
                print(f"{name} is left out: {reason}")
            else:
                subjects[name] = bench.load(peer)
        samples = await bench.alternate(subjects)
    made = "plain Python" if str(heads.__file__).endswith(".py") else "compiled"
    bench.show(f"1 route, {made}", samples)
    own = samples.pop("grapevine")
    for name, theirs in samples.items():
        bench.judge(
            f"requests/s, of {name}", ratio_of(rates(own), rates(theirs)), PLAIN_AIMS.get(name)
        )
        bench.judge(f"CPU per request, of {name}", ratio_of(costs(own), costs(theirs)), None)
    bench.judge("memory of a worker, idle, MB", Ratio(idle, idle, idle), Aim(60, 40))


async def latency(bench: Bench) -> None:
    """What is added at one connection."""
    async with bench.node("grapevine") as ours, bench.other("nginx") as nginx:
        samples = await bench.alternate(
            {peer.name: bench.load(peer, connections=1) for peer in (ours.peer, nginx)}
        )
    bench.show("1 connection", samples)
    own, theirs = ([one.p50 for one in samples[name]] for name in ("grapevine", "nginx"))
    bench.judge("p50 at 1 connection, of nginx's", ratio_of(own, theirs), Aim(1.5, 1.2))


async def tls(bench: Bench) -> None:
    """Keep-alive over TLS, with the same certificate."""
    async with bench.node("grapevine") as ours, bench.other("nginx") as nginx:
        samples = await bench.alternate(
            {peer.name: bench.load(peer, tls=True) for peer in (ours.peer, nginx)}
        )
    bench.show("TLS, keep-alive", samples)
    own, theirs = rates(samples["grapevine"]), rates(samples["nginx"])
    bench.judge("requests/s over TLS, of nginx", ratio_of(own, theirs), Aim(0.5, 0.75))


async def routes(bench: Bench) -> None:
    """Many routes beside one."""
    async with bench.node("1 route") as one, bench.node("10,000 routes") as many:
        async with aiohttp.ClientSession(many.admin_url, raise_for_status=True) as session:
            names = iter(range(ROUTES - 1))
            await asyncio.gather(*(_add_routes(session, names) for _ in range(16)))
        samples = await bench.alternate(
            {each.peer.name: bench.load(each.peer) for each in (one, many)}
        )
    bench.show("Routes", samples)
    ratio = ratio_of(rates(samples["10,000 routes"]), rates(samples["1 route"]))
    bench.judge("10,000 routes, of 1 route", ratio, Aim(0.9, 1.0))


async def _add_routes(session: aiohttp.ClientSession, names: Iterator[int]) -> None:
    for number in names:
        fields = {"hosts": [f"host{number % 100}.test"], "paths": [f"/other/{number}"]}
        await session.post("/services/origin/routes", json=fields)


async def plugins(bench: Bench) -> None:
    """key-auth and rate-limiting on the route, beside none."""
    async with bench.node("plain") as bare, bench.node("2 plugins") as guarded:
        async with aiohttp.ClientSession(guarded.admin_url, raise_for_status=True) as session:
            await session.post("/consumers", json={"username": "bench"})
            await session.post("/consumers/bench/key-auth", json={"key": "bench-key"})
            await session.post("/routes/bench/plugins", json={"name": "key-auth"})
            limits = {"year": 1_000_000_000, "policy": "local"}
            plugin = {"name": "rate-limiting", "config": limits}
            await session.post("/routes/bench/plugins", json=plugin)
        await asyncio.sleep(1)
        request = Request(key="bench-key")
        samples = await bench.alternate(
            {each.peer.name: bench.load(each.peer, request) for each in (bare, guarded)}
        )
    bench.show("Plugins", samples)
    ratio = ratio_of(rates(samples["2 plugins"]), rates(samples["plain"]))
    bench.judge("key-auth and rate-limiting, of none", ratio, Aim(0.6, 0.75))


async def workers(bench: Bench) -> None:
    """What a request costs with a second worker. Both cores are theirs and the load's."""
    async with bench.node("1 worker") as one, bench.node("2 workers", workers=2) as two:
        samples = await bench.alternate(
            {each.peer.name: bench.load(each.peer) for each in (one, two)}
        )
    bench.show("Workers", samples)
    ratio = ratio_of(costs(samples["2 workers"]), costs(samples["1 worker"]))
    bench.judge("CPU per request with 2 workers, of 1", ratio, Aim(1.2, 1.05))


async def bodies(bench: Bench) -> None:
    """Large bodies up and down, beside HAProxy; and what they leave in memory."""
    async with bench.node("grapevine") as ours, bench.other("haproxy") as haproxy:
        before = max(resident_bytes(pid) for pid in ours.workers)
        for name, size, connections in (("1m", SIZES["1m"], 16), ("100m", SIZES["100m"], 2)):
            down = Request(f"/bench/{name}")
            up = Request("/bench/upload", "POST", size)
            for way, request in (("down", down), ("up", up)):
                samples = await bench.alternate(
                    {
                        peer.name: bench.load(peer, request, connections)
                        for peer in (ours.peer, haproxy)
                    }
                )
                bench.show(f"{name} {way}", samples)
                field = "bytes" if way == "down" else "requests"
                own, theirs = (
                    [getattr(one, field) for one in samples[peer]]
                    for peer in ("grapevine", "haproxy")
                )
                ratio = ratio_of(own, theirs)
                bench.judge(f"{name} bodies {way}, of haproxy's throughput", ratio, Aim(0.7, 1.2))
        grown = (max(resident_bytes(pid) for pid in ours.workers) - before) / 1e6
    bench.judge("memory that large bodies leave, MB", Ratio(grown, grown, grown), None)


async def changes(bench: Bench) -> None:
    """The slowest requests while routes change.

    Whoever makes the changes, and the agent that takes them, need processor time, and what is left
    to them here is the core of the load and the upstream: so the slowest requests become slower
    whatever the proxy does. So beside the row that compares with rest there is one that compares
    with the same changes at another node, whose agent and worker burn that core just as well while
    the measured one rests. What that alone does to the slowest requests is shown at nginx.
    """
    async with (
        bench.node("at rest") as still,
        bench.node("changing") as changing,
        bench.node("elsewhere") as elsewhere,
        bench.other("nginx") as nginx,
    ):
        for pid in elsewhere.workers:  # or it would hold up the measured proxy's
            pin(pid, {LOAD_CORE})
        async with contextlib.AsyncExitStack() as stack:
            writers = {}
            for node in (changing, elsewhere):
                async with aiohttp.ClientSession(node.admin_url, raise_for_status=True) as session:
                    names = iter(range(1_000))
                    await asyncio.gather(*(_add_routes(session, names) for _ in range(16)))
                writers[node.peer.name] = writer = KeptConnection(node.admin_port)
                stack.callback(writer.close)

            made: dict[str, list[float]] = {}

            def while_changing(peer: Peer, node: Node) -> Measured:
                rates = made.setdefault(f"{peer.name}, changing {node.peer.name}", [])
                return lambda: _while_changing(bench.load(peer), writers[node.peer.name], rates)

            samples = await bench.alternate(
                {
                    "at rest": bench.load(still.peer),
                    "changing": while_changing(changing.peer, changing),
                    "changes elsewhere": while_changing(still.peer, elsewhere),
                    "nginx at rest": bench.load(nginx),
                    "nginx, changes elsewhere": while_changing(nginx, elsewhere),
                }
            )
    bench.show(f"{CHANGES_PER_SECOND} routes a second change", samples)
    for name, taken in made.items():
        print(f"{name:40} {statistics.median(taken):>5.0f} changes a second")
    p99 = {name: [one.p99 for one in taken] for name, taken in samples.items()}
    beside, aim = "changes elsewhere", Aim(1.5, 1.1)
    for what, name, rest, judged_by in (
        ("p99 while routes change, of at rest", "changing", "at rest", aim),
        ("the same, of while others' routes change", "changing", beside, aim),
        ("p99 while others' routes change, of at rest", beside, "at rest", None),
        ("nginx's p99 meanwhile, of at rest", f"nginx, {beside}", "nginx at rest", None),
    ):
        bench.judge(what, ratio_of(p99[name], p99[rest]), judged_by)


async def _while_changing(load: Measured, writer: KeptConnection, rates: list[float]) -> Sample:
    """The load's sample; how many changes a second there were meanwhile is added to the rates:
    where the cores are busy, there may be fewer than are due."""
    number = itertools.count()
    enough = asyncio.Event()
    made = asyncio.create_task(_change_routes(writer, number, enough))
    started = time.monotonic()
    try:
        return await load()
    finally:
        rates.append(next(number) / (time.monotonic() - started))
        enough.set()
        await made


async def _change_routes(
    writer: KeptConnection, numbers: Iterator[int], enough: asyncio.Event
) -> None:
    listed = await writer.request("GET", "/routes?size=1000")
    ids = [route["id"] for route in listed.json()["data"] if not route["name"]]
    loop = asyncio.get_running_loop()
    due = loop.time()
    while not enough.is_set():
        number = next(numbers)
        fields = {"paths": [f"/changed/{number}-{due}"]}
        answer = await writer.request("PATCH", f"/routes/{ids[number % len(ids)]}", fields)
        if answer.status != 200:
            raise RuntimeError(f"a change was refused: {answer.body!r}")
        due += 1 / CHANGES_PER_SECOND
        await asyncio.sleep(due - loop.time())


PARTS = {
    part.__name__: part for part in (plain, latency, routes, plugins, workers, bodies, changes, tls)
}


async def measure(parts: Sequence[str], rounds: int, seconds: float) -> None:
    """Run the parts and print the page."""
    os.sched_setaffinity(0, {LOAD_CORE})
    results: list[dict[str, Any]] = []
    for name in parts:
        with tempfile.TemporaryDirectory(prefix="grapevine-bench-") as home:
            certificate = Path(home) / "certificate"
            certificate.mkdir()
            self_signed(certificate, "localhost")
            async with origin(Path(home), SIZES) as upstream:
                bench = Bench(Path(home), upstream, certificate, rounds, seconds)
                await PARTS[name](bench)
                results += bench.results
    print(json.dumps({"benchmark": "proxy", "rounds": rounds, "results": results}))


def main() -> None:
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proxy", description=description)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=3, help="of each run")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    options = parser.parse_args()
    parts = options.only.split(",")
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        parser.error(f"--only: {', '.join(unknown)}: not one of {', '.join(PARTS)}")
    for command in ("wrk", "taskset", "nginx"):
        if shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
            sys.exit(f"{command} isn't installed, and this benchmark needs it")
    asyncio.run(measure(parts, options.rounds, options.seconds))


if __name__ == "__main__":
    main()
