"""The simulator's models as engines under test: virtual time passes while a test awaits."""

import asyncio
import random
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from simulations.authority.loop import ProcessLoop
from simulations.authority.postgres.bootstrap import bootstrapped
from simulations.authority.postgres.cluster import Cluster
from simulations.authority.postgres.driver import Driver
from simulations.authority.postgres.session import Answer, Settings
from simulations.authority.postgres.tables import Database
from simulations.authority.sqlite import SqliteFile, SqliteModel
from simulations.clock import Clock
from store.authority import Authority
from store.postgres import PostgresAuthority
from store.postgres_address import PostgresAddress, PostgresHost

Result = TypeVar("Result")

WITHIN_SECONDS = 3_600.0
EPOCH = 1_700_000_000.0
"""The wall clock when virtual time begins."""
ADDRESS = PostgresAddress((PostgresHost("db1"),), "grapevine", "grapevine")


class VirtualTime:
    """A clock that runs while somebody waits for something in it."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = Clock()
        self.rng = random.Random(seed)
        self.loop = ProcessLoop.on(self.clock)
        self.turn = threading.Lock()
        """Held by whoever uses what lives in this time: it runs in another thread."""

    async def until_done(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in virtual time; others that the test has begun run beside it."""
        with self.turn:
            task = self.loop.create_task(work)
        await asyncio.sleep(0)  # whoever was begun together with this
        # In a thread of its own: a thread can't run two loops at once.
        await asyncio.to_thread(self._run, task)
        return task.result()

    def _run(self, task: asyncio.Task[Any]) -> None:
        with self.turn:
            took = self.clock.run_until(task.done, WITHIN_SECONDS)
        assert took is not None, "it takes for ever"
        assert self.loop.errors == []


class InVirtualTime:
    """``store.authority.Authority``: every method of a model's, in virtual time."""

    def __init__(self, time: VirtualTime, model: Authority) -> None:
        self._time = time
        self._model = model

    def counters(self) -> Mapping[str, int]:
        return self._model.counters()

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._model, name)

        async def run(*arguments: Any, **named: Any) -> Any:
            return await self._time.until_done(method(*arguments, **named))

        return run


def sources(rng: random.Random, clock: Clock) -> dict[str, Any]:
    """Time and randomness for a simulated engine."""
    return {
        "clock": lambda: EPOCH + clock.now,
        "draw_write_id": lambda: rng.randbytes(16),
        "new_id": lambda: str(uuid.UUID(int=rng.getrandbits(128), version=4)),
    }


class SqliteModelUnderTest:
    """A simulated file, and any number of processes that share it."""

    def __init__(self) -> None:
        self._time = VirtualTime()
        self._file = SqliteFile.bootstrapped(self._time.clock, self._time.rng)

    def authority(self, **options: Any) -> Authority:
        model = SqliteModel(self._file, **sources(self._time.rng, self._time.clock), **options)
        return InVirtualTime(self._time, model)

    async def sql(self, text: str) -> None:
        with self._time.turn:
            self._file.sql(text)

    def backup(self) -> bytes:
        with self._time.turn:
            return self._file.image()

    def restore(self, image: bytes) -> None:
        with self._time.turn:
            self._file.restore(image)


class PostgresModelUnderTest:
    """A simulated server, and any number of processes that share it."""

    def __init__(self) -> None:
        self._time = VirtualTime()
        self._cluster = Cluster(self._time.clock, self._time.rng, bootstrapped(self._time.rng))

    def authority(self, **options: Any) -> Authority:
        driver = Driver(self._cluster, "node")
        made = sources(self._time.rng, self._time.clock)
        model = PostgresAuthority(ADDRESS, driver=driver, **made, **options)
        return InVirtualTime(self._time, model)

    def backup(self) -> Database:
        with self._time.turn:
            return self._cluster.servers["db1"].database.copy()

    def restore(self, image: Database) -> None:
        with self._time.turn:
            self._cluster.restore(self._cluster.servers["db1"], image)

    async def sql(self, text: str) -> None:
        server = self._cluster.servers["db1"]
        if text.startswith("DROP TABLE "):
            del server.database.tables[text.removeprefix("DROP TABLE ")]
            return
        answers: list[Answer] = []
        with self._time.turn:
            session = server.open(Settings(), lambda: None)
            session.receive(text, ((),), answers.append)
            session.hang_up()
        assert not isinstance(answers[0], Exception), answers
