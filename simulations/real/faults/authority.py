"""Faults of the database, and what operators do about them, right and wrong."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from pathlib import Path

from node.demo.local_postgres import SUPERUSER, PostgresNotStarted
from simulations.real import processes
from simulations.real.faults.kind import Fault
from simulations.real.network import Cut
from simulations.real.nodes import Node
from simulations.real.postgres import DATABASE, Server, execute, fetch
from simulations.real.world import World

AWAY_MAX = 8.0
PAUSE_MAX = 10.0
UNCOPIED_MAX = 3.0
SPLIT_MIN, SPLIT_MAX = 8.0, 20.0
RECOVERY_SECONDS = 30.0
TOOL_SECONDS = 60.0
RESTORES_MAX = 10
IN_COMMIT = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


async def _stop(world: World, rng: random.Random, node: Node) -> None:
    primary = world.authority.primary
    with world.window("authority", "postgres_stop"):
        await asyncio.to_thread(primary.stop)
        await asyncio.sleep(rng.uniform(0.0, AWAY_MAX))
        await asyncio.to_thread(primary.start)


async def _pause(world: World, rng: random.Random, node: Node) -> None:
    primary = world.authority.primary
    with world.window("authority", "postgres_pause"):
        pids = [primary.pid(), *primary.children()]
        processes.send(signal.SIGSTOP, pids)
        try:
            await asyncio.sleep(rng.uniform(0.1, PAUSE_MAX))
        finally:
            processes.send(signal.SIGCONT, pids)


async def _kill_in_commit(world: World, rng: random.Random, node: Node) -> None:
    """kill -9 while commits wait for the standby: they are done, and nobody has been told."""
    authority = world.authority
    assert authority.standby is not None
    receivers = [
        pid for pid in authority.standby.children() if "walreceiver" in processes.command(pid)
    ]
    with world.window("authority", "postgres_kill_in_commit"):
        processes.send(signal.SIGSTOP, receivers)
        try:
            with contextlib.suppress(PostgresNotStarted):  # nobody wrote: it is killed idle
                await authority.until(bool, IN_COMMIT, "somebody is in COMMIT")
            await asyncio.to_thread(authority.primary.kill)
        finally:
            processes.send(signal.SIGCONT, receivers)
        await asyncio.sleep(rng.uniform(0.0, AWAY_MAX))
        await asyncio.to_thread(authority.primary.start)


async def _kill_backend(world: World, rng: random.Random, node: Node) -> None:
    """kill -9 of one connection's process: Postgres ends all others, and recovers."""
    primary = world.authority.primary
    with world.window("authority", "postgres_backend_kill"):
        rows = await fetch(
            primary.address(), f"SELECT pid FROM pg_stat_activity WHERE datname = '{DATABASE}'"
        )
        if rows:
            processes.send(signal.SIGKILL, [rng.choice(rows)["pid"]])
        await _until_answers(primary)


async def _promote(world: World, rng: random.Random, node: Node) -> None:
    """The primary dies; every acknowledged commit is on the standby."""
    with world.window("authority", "promote"):
        former = await world.authority.promote()
    await asyncio.sleep(rng.uniform(0.0, AWAY_MAX))
    await world.authority.replace_former(former)


async def _promote_with_loss(world: World, rng: random.Random, node: Node) -> None:
    """The primary dies with commits that it has acknowledged and nobody else has."""
    authority = world.authority
    world.may_lose("promote_with_loss")
    await _detach(world)
    await asyncio.sleep(rng.uniform(0.5, UNCOPIED_MAX))
    with world.window("authority", "promote_with_loss"):
        former = await authority.promote()
    await asyncio.sleep(rng.uniform(0.0, AWAY_MAX))
    await authority.replace_former(former)


async def _restore(world: World, rng: random.Random, node: Node) -> None:
    """A backup is put back under running nodes, as docs/operations.md says."""
    primary = world.authority.primary
    file = world.scratch / "grapevine.dump"
    world.may_lose("restore")
    await _tool(primary, "pg_dump", "-Fc", "-n", "grapevine", "-f", str(file), DATABASE)
    await asyncio.sleep(rng.uniform(0.5, AWAY_MAX))
    with world.window("authority", "restore"):
        clean = ("--clean", "--if-exists", "--single-transaction")
        for attempt in range(RESTORES_MAX):
            try:
                await _tool(primary, "pg_restore", *clean, "-d", DATABASE, str(file))
                return
            except PostgresNotStarted as error:
                # It locks table after table; where a node's statement holds the next, it gives up.
                if "deadlock" not in str(error) or attempt == RESTORES_MAX - 1:
                    raise


async def _split(world: World, rng: random.Random, node: Node) -> None:
    """The standby is promoted while the primary lives, and some nodes reach the one only."""
    authority = world.authority
    some = rng.sample(world.nodes, rng.randint(1, len(world.nodes) - 1))
    world.may_lose("split_brain")
    with world.window("authority", "split_brain"):
        await _detach(world)
        former = await authority.promote(keep_former=True)
        async with world.cut({Cut(one.number, "tcp", former.port) for one in some}):
            await asyncio.sleep(rng.uniform(SPLIT_MIN, SPLIT_MAX))
            await asyncio.to_thread(former.kill)
    await authority.replace_former(former)


async def _old_primary_back(world: World, rng: random.Random, node: Node) -> None:
    """The former primary is started again beside the promoted one, and a node finds it first."""
    authority = world.authority
    with world.window("authority", "old_primary_back"):
        former = await authority.promote()
        await asyncio.sleep(rng.uniform(1.0, AWAY_MAX))
        await asyncio.to_thread(former.start)
        with world.window("down", "old_primary_back", node.name):
            await node.kill()
            await node.start()
            await node.until_ready(world.session)
        await asyncio.sleep(rng.uniform(1.0, AWAY_MAX))
        await asyncio.to_thread(former.kill)
    await authority.replace_former(former)


async def _detach(world: World) -> None:
    """From now on the primary commits by itself, and the standby hears nothing of it."""
    authority = world.authority
    assert authority.standby is not None
    await authority.synchronous(False)
    await execute(
        authority.standby.address(),
        "ALTER SYSTEM SET primary_conninfo = 'host=127.0.0.1 port=1'",
        "SELECT pg_reload_conf()",
    )


async def _until_answers(server: Server) -> None:
    async with asyncio.timeout(RECOVERY_SECONDS):
        while True:
            with contextlib.suppress(Exception):
                await fetch(server.address(), "SELECT 1")
                return
            await asyncio.sleep(0.1)


async def _tool(server: Server, program: str, *arguments: str | Path) -> None:
    """Run a client program of Postgres'."""
    where = ("-h", server.host, "-p", str(server.port), "-U", SUPERUSER)
    done = await asyncio.to_thread(
        subprocess.run,
        [server.binaries / program, *where, *arguments],
        env={**os.environ, "PGPASSWORD": server.password, "PGSSLMODE": "disable"},
        capture_output=True,
        text=True,
        timeout=TOOL_SECONDS,
        check=False,
    )
    if done.returncode:
        raise PostgresNotStarted(f"{program}: {done.stderr}")


postgres_stop = Fault("postgres_stop", "authority", _stop)
postgres_pause = Fault("postgres_pause", "authority", _pause)
postgres_kill_in_commit = Fault("postgres_kill_in_commit", "authority", _kill_in_commit)
postgres_backend_kill = Fault("postgres_backend_kill", "authority", _kill_backend)
promote = Fault("promote", "authority", _promote)
promote_with_loss = Fault("promote_with_loss", "authority", _promote_with_loss)
restore = Fault("restore", "authority", _restore)
split_brain = Fault("split_brain", "authority", _split, "namespaces")
old_primary_back = Fault("old_primary_back", "authority", _old_primary_back)
