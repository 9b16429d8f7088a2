"""The run itself, as a process of its own (``enclosure``): standard input is its lifeline."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import uvloop

from node.agent.init_process import become_init_if_pid_1
from simulations.real import checker, summary
from simulations.real.enclosure import INTERRUPTED
from simulations.real.faults import FAULTS, Fault
from simulations.real.history import Journal
from simulations.real.load import Load
from simulations.real.network import Loopback, Namespaces
from simulations.real.nodes import Node
from simulations.real.options import Options, decoded
from simulations.real.postgres import Authority
from simulations.real.relay import Relay, free_port
from simulations.real.rounds import run_rounds
from simulations.real.upstream import serve
from simulations.real.world import ASK_SECONDS, World

SCRATCH_MEGABYTES = 2_048


def main() -> None:
    """Run what the first argument says; the exit code is 0 when all promises held, 1 else."""
    options = decoded(sys.argv[1])
    lifeline = os.dup(0)
    become_init_if_pid_1()
    try:
        code = uvloop.run(_run(options, lifeline))
    except asyncio.CancelledError:
        say("stopped early")
        code = INTERRUPTED
    sys.exit(code)


def say(line: str) -> None:
    """Print one line at once, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _run(options: Options, lifeline: int) -> int:
    """Run until the end or until the lifeline is cut, and judge what there was."""
    task = asyncio.current_task()
    assert task is not None

    def cut() -> None:
        asyncio.get_running_loop().remove_reader(lifeline)
        task.cancel()

    asyncio.get_running_loop().add_reader(lifeline, cut)
    with (options.folder / "history.jsonl").open("w") as file:
        journal = Journal(file)
        async with AsyncExitStack() as stack:
            world = await _build(options, journal, stack)
            possible, impossible = _possible(options)
            for name, reason in impossible.items():
                say(f"not possible here: {name}: {reason}")
            try:
                await _attack(world, possible, options)
            except Exception as error:
                journal.add(f"the run broke off: {error!r}")
    verdict = checker.check(journal.history, tuple(node.name for node in world.nodes))
    calms = [calm.end - calm.start for calm in journal.history.calms]
    counted = summary.summed_up(
        options, verdict, world.injected, impossible, world.relay.happened, world.clock(),
        max(calms, default=0.0),
    )  # fmt: skip
    (options.folder / "summary.json").write_text(summary.encoded(counted))
    for line in summary.lines(counted):
        say(line)
    return 0 if verdict.ok else 1


def _possible(options: Options) -> tuple[list[Fault], dict[str, str]]:
    """The faults to draw from, and why others can't be had."""
    obstacles = {
        None: "",
        "namespaces": "" if options.enclosed else "needs network namespaces (root, Linux)",
    }
    wanted = [fault for fault in FAULTS if not options.faults or fault.name in options.faults]
    impossible = {fault.name: obstacles[fault.needs] for fault in wanted if obstacles[fault.needs]}
    return [fault for fault in wanted if fault.name not in impossible], impossible


async def _build(options: Options, journal: Journal, stack: AsyncExitStack) -> World:
    """Start everything; ``stack`` takes it down."""
    rng = random.Random(options.seed)
    scratch = _room(options)
    network = (Namespaces if options.enclosed else Loopback)(options.nodes)
    center = network.center
    authority = Authority(center, options.folder)
    stack.callback(authority.remove)
    await authority.create()
    nodes = [
        Node(options.folder, scratch, number, network) for number in range(1, options.nodes + 1)
    ]
    relay = Relay(random.Random(rng.getrandbits(64)))
    stack.push_async_callback(relay.close)
    for node in nodes:
        node.prepare(authority.settings())
        await relay.lay(node.number, (node.host, node.ports.gossip), (center, node.advertised))
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    session = await stack.enter_async_context(
        aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=ASK_SECONDS))
    )
    world = World(network, nodes, authority, relay, journal, rng, session, scratch)
    upstream = (center, free_port(center))
    server = await serve(*upstream)
    stack.callback(server.close)
    world.load = Load(nodes, upstream, journal, random.Random(rng.getrandbits(64)), world.clock)
    stack.push_async_callback(_end, nodes)
    await world.bootstrap()
    await asyncio.gather(*(node.start() for node in nodes))
    await asyncio.gather(*(node.until_ready(session) for node in nodes))
    await world.calm()  # a node that hasn't met the others yet fences for itself alone
    await world.load.prepare(session)
    return world


async def _attack(world: World, faults: list[Fault], options: Options) -> None:
    """Load and faults, then the last look."""
    say(f"{world.clock():7.1f}  {len(world.nodes)} nodes run ({world.network.name})")
    clients = world.load.start(world.session)
    try:
        await world.calm()
        await run_rounds(world, faults, options.seconds, say)
    finally:
        world.load.stop()
        await asyncio.gather(*clients)
    world.journal.add(await world.load.final(world.session))
    for node in world.nodes:
        for line in node.surprises():
            world.journal.add(f"{node.name} logged: {line}")
        code = await node.stop()
        if code != 0:
            world.journal.add(f"{node.name} exited with {code} at the end")


async def _end(nodes: list[Node]) -> None:
    for node in nodes:
        if node.running:
            with contextlib.suppress(OSError):
                await node.kill()


def _room(options: Options) -> Path:
    """A disk for prefixes and the servers' files, of this run's own where that is possible."""
    if options.enclosed:
        size = f"size={SCRATCH_MEGABYTES}m,mode=711"
        command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(options.scratch)]
        subprocess.run(command, check=True)
    tempfile.tempdir = str(options.scratch)
    return options.scratch


if __name__ == "__main__":
    main()
