"""The cluster of a run, and everything around it, as faults and clients see it."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from node.agent.authorities import make_migrations
from node.config.load import load as load_configuration
from simulations.real.history import EVERYWHERE, Calm, Journal, Window, WindowKind
from simulations.real.load import Load
from simulations.real.network import Cut, Loopback
from simulations.real.nodes import Node
from simulations.real.postgres import Authority, fetch
from simulations.real.relay import Relay

CALM_SECONDS = 45.0
"""Within this after the last fault all nodes are alive in every view and have one state: two rounds
of calls to whoever is missing (1.5 reconnect intervals each), a doubt of ten intervals, the poll of
the authority (1.5 times 5 s), and the slowness of a machine that runs all of it."""
HEAD = "SELECT epoch, revision, tag, chain FROM grapevine.head"
POLL_SECONDS = 0.2
ASK_SECONDS = 5.0


@dataclass(slots=True)
class World:
    """One run's."""

    network: Loopback
    nodes: list[Node]
    authority: Authority
    relay: Relay
    journal: Journal
    rng: random.Random
    session: aiohttp.ClientSession
    scratch: Path
    began: float = field(default_factory=time.monotonic)
    injected: Counter[str] = field(default_factory=Counter)
    load: Load = field(init=False)
    _cuts: Counter[Cut] = field(default_factory=Counter)
    _lossy: list[tuple[str, float]] = field(default_factory=list)

    def clock(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.began

    @contextlib.contextmanager
    def window(self, kind: WindowKind, fault: str, node: str = EVERYWHERE) -> Iterator[None]:
        """While the block runs, something is wrong."""
        start = self.clock()
        try:
            yield
        finally:
            self.journal.add(
                Window(kind=kind, node=node, start=start, end=self.clock(), fault=fault)
            )

    def may_lose(self, fault: str) -> None:
        """From now on commits may be lost, until the next calm."""
        self._lossy.append((fault, self.clock()))

    @contextlib.asynccontextmanager
    async def cut(self, cuts: set[Cut]) -> AsyncIterator[None]:
        """While the block runs, these are cut."""
        self._cuts.update(cuts)
        await self.network.cut(frozenset(self._cuts))
        try:
            yield
        finally:
            self._cuts.subtract(cuts)
            self._cuts = +self._cuts
            await self.network.cut(frozenset(self._cuts))

    async def bootstrap(self) -> None:
        """Make the authority's tables."""
        configuration = load_configuration(str(self.nodes[0].conf), {}, {})
        await make_migrations(configuration).bootstrap()

    async def calm(self) -> None:
        """Nothing is injected any more: write down whether the cluster comes to one state."""
        start = self.clock()
        await self.load.hold_writes()
        problem = "nobody was asked"
        while problem and self.clock() < start + CALM_SECONDS:
            problem = await self._problem()
            if problem:
                await asyncio.sleep(POLL_SECONDS)
        end = self.clock()
        self.journal.add(Calm(start=start, end=end, bound=CALM_SECONDS, problem=problem))
        for fault, since in self._lossy:
            self.journal.add(
                Window(kind="lossy", node=EVERYWHERE, start=since, end=end, fault=fault)
            )
        if self._lossy:
            self.load.forget()
        self._lossy.clear()
        self.load.go_on()

    async def _problem(self) -> str:
        """Why the cluster and its authority aren't one yet; empty when they are."""
        wanted = {node.name: "alive" for node in self.nodes}
        states: dict[str, tuple[Any, ...]] = {}
        try:
            async with asyncio.timeout(ASK_SECONDS):
                for node in self.nodes:
                    members = (await node.ask(self.session, "/cluster"))["data"]
                    view = {member["name"]: member["status"] for member in members}
                    if view != wanted:
                        return f"{node.name} sees {view}"
                    answer = await node.ask(self.session, "/cluster/revision")
                    keys = ("state_hash", "revision", "tag", "digest")
                    states[node.name] = tuple(answer[key] for key in keys)
                [row] = await fetch(self.authority.address(), HEAD)
        except (aiohttp.ClientError, asyncpg.PostgresError, TimeoutError, OSError) as error:
            return repr(error)
        head = (f"{row['epoch']}.{row['revision']}", row["tag"].hex(), row["chain"].hex())
        if len(set(states.values())) > 1 or any(state[1:] != head for state in states.values()):
            return f"the authority holds {head}, the nodes hold {states}"
        return ""
