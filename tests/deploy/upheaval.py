"""Everything that may change on running nodes, under load through nginx: which requests fail.

Clients ask through two nginxes at once: one keeps the connections of its clients and those to the
nodes, the other opens new ones for each request. Meanwhile routes are changed without pause, and
one after the other nodes are reloaded with another number of workers, lose a worker to kill -9, and
are restarted whole.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from node.demo.cluster import LocalCluster, LocalNode
from tests.deploy.load import Load
from tests.system.test_cluster import worker_pids
from tests.system.waiting import until

PAUSE_SECONDS = 0.01
"""Between two requests of a client: a load that leaves the machine room for the changes."""
WORKERS = ("1", "2")
"""Each reload sets the one that wasn't set before."""


@dataclass
class Outcome:
    """What came of the requests, and what was done meanwhile."""

    answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Of requests that nothing excuses, by what the client saw."""
    in_flight: Counter[str] = field(default_factory=Counter)
    """Of those that failed while a killed worker was replaced."""
    done: Counter[str] = field(default_factory=Counter)
    """Reloads, restarts, kills and route changes."""

    def table(self) -> str:
        rows = [
            ("requests answered", self.answered),
            ("requests failed", self.failures.total()),
            ("requests in flight on killed workers", self.in_flight.total()),
            *self.done.items(),
        ]
        seen = [f"{count} x {what}" for what, count in (self.failures + self.in_flight).items()]
        return "\n".join([*(f"{count:>8}  {name}" for name, count in rows), *seen])


class Upheaval:
    """Changes to a cluster that is asked by ``loads``."""

    def __init__(self, cluster: LocalCluster, loads: tuple[Load, ...]) -> None:
        self._cluster = cluster
        self._loads = loads
        self._away: LocalNode | None = None
        self._workers: dict[str, int] = {}
        self.outcome = Outcome()

    async def round(self, number: int) -> None:
        """A reload, a kill and a restart, each of another node."""
        nodes = self._cluster.nodes
        for turn, change in enumerate((self.reload, self.kill_worker, self.restart)):
            await self._answered(20)
            await change(nodes[(number + turn) % len(nodes)])
            await self._answered(20)

    async def reload(self, node: LocalNode) -> None:
        """HUP with another number of workers, until none of the old ones is left in charge."""
        turn = self._workers[node.name] = 1 - self._workers.get(node.name, 0)
        self._cluster.configure(node, {"nginx_worker_processes": WORKERS[turn]})
        before = await worker_pids(self._cluster, node)
        node.signal(signal.SIGHUP)
        await self._until_workers(
            node, lambda pids: len(pids) == turn + 1 and not set(pids) & set(before)
        )
        self.outcome.done["reloads"] += 1

    async def kill_worker(self, node: LocalNode) -> None:
        """kill -9; what fails until it is replaced was in flight there."""
        before = await worker_pids(self._cluster, node)
        failed = self._failed()
        os.kill(before[0], signal.SIGKILL)
        await self._until_workers(
            node, lambda pids: len(pids) == len(before) and before[0] not in pids
        )
        self.outcome.in_flight += self._failed() - failed
        self.outcome.done["workers killed"] += 1

    async def restart(self, node: LocalNode) -> None:
        """TERM, the end, and a new process on the same files: also what an upgrade does."""
        self._away = node
        assert await node.stop() == 0
        await node.start()
        await node.until_ready(self._cluster.session)
        self._away = None
        self.outcome.done["restarts"] += 1

    async def change_routes(self, count: int, seconds: float) -> None:
        """So many changes of routes, spread over the time: made, changed and deleted, and the one
        that is asked for is changed, too."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(count):
            method, path, body = _change(number)
            await self._write(method, path, body)
            self.outcome.done["route changes"] += 1
            await asyncio.sleep(began + (number + 1) * seconds / count - loop.time())

    async def _write(self, method: str, path: str, body: dict[str, object]) -> None:
        """At any node that is there; one that ends just then is no reason to give up."""
        for _ in range(100):
            node = next(one for one in self._cluster.nodes if one is not self._away)
            try:
                async with self._cluster.session.request(
                    method, f"{node.admin_url}{path}", json=body
                ) as answer:
                    if answer.status < 300 or answer.status == 409:
                        return
                    problem = f"{answer.status} {await answer.text()}"
            except (aiohttp.ClientError, TimeoutError) as error:
                problem = repr(error)
            await asyncio.sleep(0.05)
        raise AssertionError(f"{method} {path}: {problem}")

    async def _until_workers(self, node: LocalNode, wanted: Callable[[list[int]], bool]) -> None:
        async def are_there() -> bool:
            return wanted(await worker_pids(self._cluster, node))

        await until(are_there, f"{node.name} has the workers that it should")

    async def _answered(self, more: int) -> None:
        await asyncio.gather(*(load.until_answered(more) for load in self._loads))

    def _failed(self) -> Counter[str]:
        return sum((load.failures for load in self._loads), Counter())

    def finish(self) -> Outcome:
        """What came of it all."""
        self.outcome.answered = sum(load.answered for load in self._loads)
        self.outcome.failures = self._failed() - self.outcome.in_flight
        return self.outcome


def _change(number: int) -> tuple[str, str, dict[str, object]]:
    name = f"/services/upstream/routes/changing{number // 4 % 50}"
    if number % 4 == 0:
        return "PUT", name, {"paths": [f"/changing{number}"]}
    if number % 4 == 1:
        return "PATCH", name, {"paths": [f"/changed{number}"], "hosts": [f"h{number}.test"]}
    if number % 4 == 2:
        return "DELETE", name, {}
    return "PATCH", "/services/upstream/routes/asked", {"tags": [f"t{number}"]}


@asynccontextmanager
async def upheaval(
    cluster: LocalCluster, kept: str, fresh: str, clients: int
) -> AsyncIterator[Upheaval]:
    """With so many clients at each of the two URLs; the outcome is complete after the block."""
    async with (
        Load(kept, clients, pause=PAUSE_SECONDS) as keeping,
        Load(fresh, clients, fresh=True, pause=PAUSE_SECONDS) as renewing,
    ):
        going_on = Upheaval(cluster, (keeping, renewing))
        yield going_on
    going_on.finish()
