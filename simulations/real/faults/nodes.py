"""Faults of one node's processes and of its machine: killed, stopped, replaced, out of room."""

import asyncio
import random
import signal

from simulations.real import processes
from simulations.real.client import Connection, NoAnswer
from simulations.real.faults.kind import Fault
from simulations.real.nodes import FILLER, WORKERS, Node
from simulations.real.world import World

DOWN_MAX = 6.0
PAUSE_MAX = 12.0
DISK_MAX = 8.0
RELOAD_SECONDS = 60.0
ANSWERED_IN_A_ROW = 20
CHUNK = bytes(64 * 1024)
CLOCK_STEP_MAX = 10 * 86_400


async def _kill_worker(world: World, rng: random.Random, node: Node) -> None:
    victim = rng.choice(node.workers())
    with world.window("queue", "worker_kill", node.name):
        with world.window("worker", "worker_kill", node.name):
            processes.send(signal.SIGKILL, [victim])
        await _until_workers(node, {victim})
        await _until_all_accept(node)


async def _kill_node(world: World, rng: random.Random, node: Node) -> None:
    with world.window("down", "node_kill", node.name):
        await node.kill()
        await _back(world, rng, node)


async def _kill_supervisor(world: World, rng: random.Random, node: Node) -> None:
    with world.window("down", "supervisor_kill", node.name):
        await node.kill_supervisor()
        await _back(world, rng, node)


async def _restart(world: World, rng: random.Random, node: Node) -> None:
    with world.window("down", "restart", node.name):
        code = await node.stop()
        if code != 0:
            world.journal.add(f"{node.name} was told to stop and exited with {code}")
        await _back(world, rng, node)


async def _reload(world: World, rng: random.Random, node: Node) -> None:
    with world.window("worker", "reload", node.name):
        former = set(node.workers())
        processes.send(signal.SIGHUP, [node.pid])
        await _until_workers(node, former)


async def _pause_node(world: World, rng: random.Random, node: Node) -> None:
    with world.window("paused", "node_pause", node.name):
        await _stand_still(rng, node.pids())


async def _pause_worker(world: World, rng: random.Random, node: Node) -> None:
    with world.window("paused", "worker_pause", node.name):
        await _stand_still(rng, [rng.choice(node.workers())])


async def _pause_supervisor(world: World, rng: random.Random, node: Node) -> None:
    with world.window("agent", "supervisor_pause", node.name):
        await _stand_still(rng, [node.pid])


async def _fill_disk(world: World, rng: random.Random, node: Node) -> None:
    filler = node.prefix / FILLER
    with world.window("disk", "disk_full", node.name):
        try:
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(CHUNK)
                except OSError:
                    pass
            await asyncio.sleep(rng.uniform(1.0, DISK_MAX))
        finally:
            filler.unlink(missing_ok=True)


async def _step_clock(world: World, rng: random.Random, node: Node) -> None:
    seconds = rng.uniform(-CLOCK_STEP_MAX, CLOCK_STEP_MAX)
    with world.window("clock", "clock_step", node.name):
        node.step_clock(seconds)
        try:
            await asyncio.sleep(rng.uniform(2.0, PAUSE_MAX))
        finally:
            node.step_clock(0.0)


async def _back(world: World, rng: random.Random, node: Node) -> None:
    await asyncio.sleep(rng.uniform(0.0, DOWN_MAX))
    await node.start()
    await node.until_ready(world.session)


async def _stand_still(rng: random.Random, pids: list[int]) -> None:
    processes.send(signal.SIGSTOP, pids)
    try:
        await asyncio.sleep(rng.choice((rng.uniform(0.05, 1.0), rng.uniform(1.0, PAUSE_MAX))))
    finally:
        processes.send(signal.SIGCONT, pids)


async def _until_all_accept(node: Node) -> None:
    """Wait until so many connections in a row are answered that each worker must have had some."""
    answered = 0
    async with asyncio.timeout(RELOAD_SECONDS):
        while answered < ANSWERED_IN_A_ROW:
            try:
                connection = await Connection.open(node.host, node.ports.proxy)
                await connection.get("/register-0", {})
                connection.close()
                answered += 1
            except NoAnswer:
                answered = 0


async def _until_workers(node: Node, former: set[int]) -> None:
    """Wait until none of the former runs and as many others do."""
    async with asyncio.timeout(RELOAD_SECONDS):
        while True:
            workers = set(node.workers())
            if len(workers) == WORKERS and not workers & former:
                return
            await asyncio.sleep(0.02)


worker_kill = Fault("worker_kill", "node", _kill_worker)
node_kill = Fault("node_kill", "node", _kill_node)
supervisor_kill = Fault("supervisor_kill", "node", _kill_supervisor)
restart = Fault("restart", "node", _restart)
reload = Fault("reload", "node", _reload)
node_pause = Fault("node_pause", "node", _pause_node)
worker_pause = Fault("worker_pause", "node", _pause_worker)
supervisor_pause = Fault("supervisor_pause", "node", _pause_supervisor)
disk_full = Fault("disk_full", "node", _fill_disk, "namespaces")
clock_step = Fault("clock_step", "node", _step_clock)
