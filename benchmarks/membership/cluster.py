"""A cluster of one system: its agents on a ground, and the views read from their lines."""

import asyncio
import base64
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.membership.agent import Agent
from benchmarks.membership.grounds import Ground
from benchmarks.membership.systems import System
from benchmarks.membership.views import AgentsFailed, Views

UP_SECONDS_MAX = 90.0
FORM_SECONDS_MAX = 60.0
KEY_BYTES = 32


class Cluster:
    """Agents 1 to ``count``. ``prefix`` is put before each command (``nice``, say)."""

    def __init__(
        self,
        system: System,
        ground: Ground,
        count: int,
        home: Path,
        *,
        encrypted: bool = False,
        prefix: tuple[str, ...] = (),
    ) -> None:
        self.numbers = range(1, count + 1)
        self._system = system
        self._ground = ground
        self._prefix = prefix
        self._home = home
        self._key = base64.b64encode(os.urandom(KEY_BYTES)).decode() if encrypted else None
        self._seats = {number: ground.seat(number, home) for number in self.numbers}
        self._agents: dict[int, Agent] = {}
        self._joining: dict[int, float] = {}
        self._up = {number: asyncio.Event() for number in self.numbers}
        self._ended: AgentsFailed | None = None
        self.views = Views(
            [seat.name for seat in self._seats.values()], tells_recovery=system.tells_recovery
        )

    def name(self, number: int) -> str:
        """What the others call an agent."""
        return self._seats[number].name

    def port(self, number: int) -> int:
        """Where an agent talks."""
        return self._seats[number].port

    def pids(self) -> list[int]:
        """The agents' own processes."""
        return [agent.pid for agent in self._agents.values() if agent.running]

    async def form(self) -> float | None:
        """Start all agents and wait until everybody sees everybody.

        The first agent is up before the others start, all at once. Answers the seconds from the
        moment that the last of them began to join; None if that took over FORM_SECONDS_MAX.
        Raises AgentsFailed.
        """
        await self._system.found(self._home)
        await self.start(self.numbers[0])
        others = self.numbers[1:]
        await asyncio.gather(*(self._spawn(number) for number in others))
        await asyncio.gather(*(self._until_up(number) for number in others))
        if not await self.until(self.views.whole, FORM_SECONDS_MAX):
            return None
        return self.views.whole_since - max(self._joining[number] for number in others)

    async def start(self, number: int) -> None:
        """Start an agent, by a member that runs, and wait until it is up. Raises AgentsFailed."""
        await self._spawn(number)
        await self._until_up(number)

    async def kill(self, number: int) -> float:
        """kill -9 with all its children; when that was."""
        self.views.forget(self.name(number))
        return await self._agents.pop(number).kill()

    def signal(self, number: int, what: signal.Signals) -> None:
        """Signal an agent and its children."""
        self._agents[number].signal(what)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """As ``Views.until``; an agent that ends in the meantime is an error: AgentsFailed."""
        if self._ended is not None:
            raise self._ended
        return await self.views.until(condition, seconds)

    async def quiet(self, seconds: float) -> None:
        """Let time pass. Raises AgentsFailed when an agent ends in it."""
        await self.until(lambda: False, seconds)

    async def close(self) -> None:
        """End all agents."""
        agents, self._agents = self._agents, {}
        for agent in agents.values():
            agent.signal(signal.SIGKILL)
        await asyncio.gather(*(agent.kill() for agent in agents.values()))

    async def _spawn(self, number: int) -> None:
        seat = self._seats[number]
        running = [one for one, agent in self._agents.items() if agent.running]
        seeds = [self._seats[one].address for one in running[:1]]
        self._up[number].clear()
        agent = self._agents[number] = Agent(
            lambda at, line: self._heard(number, at, line), lambda: self._agent_ended(number)
        )
        launch = self._system.launch(seat, seeds, self._key)
        await agent.start(launch, [*self._prefix, *self._ground.enter(number)])

    def _heard(self, number: int, at: float, line: str) -> None:
        said = self._system.read(line)
        if said is None:
            return
        if said.kind == "joining":
            self._joining[number] = at
        if said.kind in ("joining", "up"):
            self._up[number].set()
        elif number in self._agents:  # a killed agent's last lines may still be in the pipe
            self.views.hear(at, self.name(number), said)

    def _agent_ended(self, number: int) -> None:
        tail = self._agents[number].tail() if number in self._agents else ""
        self._ended = AgentsFailed(f"{self._system.name}'s {self.name(number)} ended:\n{tail}")
        self.views.fail(self._ended)
        self._up[number].set()

    async def _until_up(self, number: int) -> None:
        try:
            async with asyncio.timeout(UP_SECONDS_MAX):
                await self._up[number].wait()
        except TimeoutError as error:
            raise AgentsFailed(
                f"{self._system.name}'s {self.name(number)} wasn't up in {UP_SECONDS_MAX:g} s:\n"
                f"{self._agents[number].tail()}"
            ) from error
        if self._ended is not None:
            raise self._ended


@asynccontextmanager
async def running(
    system: System,
    ground: Ground,
    count: int,
    *,
    encrypted: bool = False,
    prefix: tuple[str, ...] = (),
) -> AsyncIterator[Cluster]:
    """A cluster, not yet formed, on a ground that is opened for it; all gone afterwards.

    Raises Unavailable when the ground can't be made.
    """
    home = Path(tempfile.mkdtemp(prefix="grapevine-bench-"))
    try:
        await ground.open()
        cluster = Cluster(system, ground, count, home, encrypted=encrypted, prefix=prefix)
        try:
            yield cluster
        finally:
            await cluster.close()
    finally:
        ground.close()
        shutil.rmtree(home, ignore_errors=True)


async def formed(cluster: Cluster, settle_seconds: float) -> None:
    """Form the cluster and let it settle. Raises AgentsFailed if it doesn't become whole."""
    if await cluster.form() is None:
        raise AgentsFailed(f"no whole view in {FORM_SECONDS_MAX:g} s")
    await cluster.quiet(settle_seconds)
