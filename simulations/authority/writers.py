"""Processes that write to one authority, collide, lose connections, are killed and stand still.

The engines are those of ``store`` as they are; the seed decides what is written, how fast anything
is, and what fails when. ``ledger`` judges the end.
"""

import asyncio
import random
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from simulations.authority.families import SCHEMAS, Families
from simulations.authority.grounds import Ground, with_schemas
from simulations.authority.ledger import Ledger, Tables, read_tables
from simulations.authority.loop import ProcessLoop
from simulations.clock import Clock, Trace
from store.authority import Committed, Mutation, State
from store.changeset import Changeset
from store.engine import Engine
from store.errors import AuthorityUnavailable, EntityError, OutcomeUnknown
from store.version import EMPTY, Head

WITHIN_SECONDS = 600.0
"""Virtual: by then all writers must be through."""
_WALL = 1_700_000_000.0


class Writer:
    """One process that writes."""

    def __init__(self, run: "Run", name: str, writes: int) -> None:
        self.name = name
        self.loop = ProcessLoop.on(run.clock)
        self._run = run
        self._left = writes
        self._life = 0
        self._drawn = b""
        self._running = False

    @property
    def is_done(self) -> bool:
        return self._left == 0

    def start(self) -> None:
        self._life += 1
        self._running = True
        run = self._run
        engine = run.ground.engine(self.name, died=self.restart, **self.sources())
        self.engine = with_schemas(engine, SCHEMAS)
        self.loop.create_task(self._main())

    def sources(self) -> dict[str, Any]:
        """Of time and randomness, for its engine."""
        run = self._run
        return {
            "clock": lambda: _WALL + run.clock.now,
            "draw_write_id": self._draw_write_id,
            "new_id": lambda: str(uuid.UUID(int=run.rng.getrandbits(128), version=4)),
        }

    def restart(self) -> None:
        """Killed as by kill -9, and started again a little later."""
        if self._running:
            self._running = False
            self._run.ground.cut(self.name, deliver=self._run.rng.random() < 0.5)
            self.loop.kill()
            self._run.clock.after(self._run.rng.uniform(0.01, 2.0), self.start)

    def _draw_write_id(self) -> bytes:
        return self._drawn

    async def _main(self) -> None:
        await self._opened()
        while self._left:
            self._left -= 1
            rng = self._run.rng
            batch = rng.randrange(2, 6) if rng.random() < self._run.together else 1
            work = [self.loop.create_task(self._write()) for _ in range(batch)]
            for task in work:
                await task
            await asyncio.sleep(self._run.rng.expovariate(1 / self._run.pause))

    async def _opened(self) -> None:
        while True:
            try:
                await self.engine.open()
                return
            except AuthorityUnavailable:
                await asyncio.sleep(0.5)

    async def _write(self) -> None:
        run = self._run
        mutations = run.families.draw()
        write_id = run.rng.randbytes(16)
        named = run.rng.random() < 0.4
        if named and run.rng.random() < 0.2:
            # The client has lost patience and asks another node, too.
            run.rng.choice(run.writers).also(write_id, mutations)
        answer = await self._once(write_id, mutations, named=named)
        for _ in range(run.rng.choice((0, 1, 3))):
            if not named or not isinstance(answer, OutcomeUnknown):
                break
            answer = await self._once(write_id, mutations, named=True)

    def also(self, write_id: bytes, mutations: tuple[Mutation, ...]) -> None:
        """Write what another process is about to write."""
        if self._running:
            self.loop.create_task(self._once(write_id, mutations, named=True))

    async def _once(
        self, write_id: bytes, mutations: tuple[Mutation, ...], *, named: bool
    ) -> Committed | Exception:
        answer: Committed | Exception
        self._run.ledger.begin(write_id, mutations)
        try:
            if named:
                answer = await self._call(mutations, write_id)
            else:
                self._drawn = write_id  # asked for before anything is awaited
                answer = await self._call(mutations, None)
        except Exception as error:
            answer = error
        self._run.answered(self.name, write_id, answer)
        return answer

    async def _call(self, mutations: tuple[Mutation, ...], write_id: bytes | None) -> Committed:
        write: Callable[..., Coroutine[Any, Any, Committed]] = self.engine.write
        return await write(mutations, origin=self.name, write_id=write_id)


class Run:
    """One seed."""

    ground: Ground

    def __init__(self, seed: int, writers: int, writes: int, *, faults: bool = True) -> None:
        self.rng = random.Random(seed)
        self.clock = Clock()
        self.trace = Trace()
        self.ledger = Ledger()
        self.counts: dict[str, int] = {}
        self.families = Families(self.rng)
        self.together = self.rng.choice((0.0, 0.3, 0.9))
        """How often a process has several writes at once, which share transactions."""
        self.pause = self.rng.choice((0.000_01, 0.001, 0.05))
        """Mean seconds between a writer's writes."""
        self.writers = [self.new_writer(f"writer-{number}", writes) for number in range(writers)]
        self._faults = self.rng.choice((0.0, 0.05, 0.3, 1.0, 5.0)) if faults else 0.0
        """Mean seconds between faults; 0 for none."""
        self._failure: BaseException | None = None

    def new_writer(self, name: str, writes: int) -> Writer:
        """One of the processes."""
        return Writer(self, name, writes)

    def answered(self, name: str, write_id: bytes, answer: Committed | Exception) -> None:
        """A writer was told what became of a write."""
        what = type(answer).__name__
        if isinstance(answer, EntityError):
            what = f"refused_{answer.code}"
        self.count(what)
        revision = answer.head.version.revision if isinstance(answer, Committed) else 0
        self.trace.add(self.clock.now, 1, revision % 30_000, write_id + what.encode())
        try:
            self.ledger.answered(write_id, answer)
        except AssertionError as error:
            self._failure = self._failure or error

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def perform(self, ground: Ground) -> None:
        """Run it to its end on one ground. Raises TimeoutError when somebody is never through."""
        self.ground = ground
        for writer in self.writers:
            self.clock.after(self.rng.uniform(0.0, 0.2), writer.start)
        if self._faults:
            self.clock.after(self.rng.expovariate(1 / self._faults), self._disturb)
        took = self.clock.run_until(self._is_over, WITHIN_SECONDS)
        if self._failure is not None:
            raise self._failure
        if took is None:
            late = [writer.name for writer in self.writers if not writer.is_done]
            raise TimeoutError(f"{', '.join(late)} not through in {WITHIN_SECONDS:g} s")
        self.ground.heal()
        for writer in self.writers:
            writer.loop.resume()
        self.clock.run(30.0)  # what is still under way ends, whatever it waits for
        for writer in self.writers:
            assert writer.loop.errors == [], f"{writer.name}: {writer.loop.errors[0]}"

    def judge(self) -> list[Changeset]:
        """Check the history; answers the commits that were lost after they had been answered."""
        log, state, tables = self.read()
        return self.ledger.check(log, state, tables, SCHEMAS)

    def read(self) -> tuple[list[Changeset], State, Tables]:
        """What the healed authority holds: its log, its state, and the tables beside it."""
        reader = self.writers[0]
        task = reader.loop.create_task(self._read(reader.engine))
        if self.clock.run_until(task.done, 60.0) is None:
            raise TimeoutError("the healed authority doesn't answer within 60 s")
        return task.result()

    async def _read(self, engine: Engine) -> tuple[list[Changeset], State, Tables]:
        log: list[Changeset] = []
        point = EMPTY
        while following := await engine.log(point):
            log += following
            point = Head(following[-1].version, following[-1].digest)
        return log, await engine.state(), await engine._read(read_tables)

    def _is_over(self) -> bool:
        return self._failure is not None or all(writer.is_done for writer in self.writers)

    def _disturb(self) -> None:
        if not self._is_over():
            self.harm(self.rng.choice(self.writers))
            self.clock.after(self.rng.expovariate(1 / self._faults), self._disturb)

    def harm(self, victim: Writer) -> None:
        """Do some harm, to one of the processes or to the authority."""
        match self.rng.randrange(6):
            case 0:
                self.trace.add(self.clock.now, 2, 0, victim.name.encode())
                victim.restart()
            case 1:
                victim.loop.pause()
                self.clock.after(self.rng.choice((0.01, 1.0, 8.0)), victim.loop.resume)
            case _:
                self.ground.disturb([writer.name for writer in self.writers])
