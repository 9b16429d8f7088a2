"""``<prefix>/replica.db``: the replica on disk, read at the start, written off the serving path.

What is written when is decided by ``store.replica_file.persister``; here it is done, in the thread
of the file's connection. Whatever goes wrong with the disk, the node goes on from memory.
"""

import asyncio
import contextlib
import math
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from node import logs
from node.admin.node_view import ReplicaFileStatus
from node.agent.limits import (
    REPLICA_FINISH_SECONDS,
    REPLICA_SERVE_FIRST_SECONDS,
    REPLICA_SERVE_LOOK_SECONDS,
)
from node.agent.replica_disk import ReplicaDisk
from node.agent.serving import Serving
from store.changeset import Changeset
from store.contents import PinnedState
from store.replica_file.file import problem_of
from store.replica_file.layout import About, FileDamaged, OutOfStep, shape
from store.replica_file.limits import PENDING_CHANGESETS_MAX
from store.replica_file.persister import Job, Persister, Whole
from store.replica_file.work import work_of
from store.version import EMPTY, Head, Version

log = logs.get("replica")

FAILURES = (sqlite3.Error, FileDamaged, OutOfStep, OSError)


class ReplicaKeeper:
    """``on_written()`` is called when the file has come to a version (see ``kept``).

    Call ``look`` first, then ``load``, then ``start``; ``finish`` ends it.
    """

    def __init__(
        self,
        path: Path,
        serving: Serving,
        on_written: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem = ""
        """Why the file can't be written; empty when it can."""
        self._disk = ReplicaDisk(path)
        self._serving = serving
        self._on_written = on_written
        self._clock = clock
        self._persister = Persister(None, "")
        self._kept: About | None = None
        """The same, while it is of the history that is served."""
        self._replacements = 0
        self._aside_reason = ""
        self._held: About | None = None
        """What stands in the file."""
        self._found: About | None = None
        """The same before it was loaded."""
        self._writes = self._failures = self._set_aside = 0
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """See what file there is, before anything is asked of the authority: what it holds was
        confirmed. Of one that can't be read ``load`` will tell."""
        with contextlib.suppress(*FAILURES):
            file = await self._disk.file()
            self._found = await self._disk.call(file.about)

    async def load(
        self,
        expected_id: Callable[[], str],
        on_hot: Callable[[PinnedState], Awaitable[None]],
    ) -> str | None:
        """Serve what the file holds; the id of the authority that it is a copy of.

        ``on_hot(state)`` is awaited once what workers hold of it is there.

        None when there is nothing, when it can't be read, or when it is a copy of another authority
        than ``expected_id()`` (empty: any will do): then it is set aside.
        """
        try:
            about = await self._load(expected_id, on_hot)
        except FAILURES as error:
            await self._start_without(error)
            return None
        finally:
            self._found = None
        return None if about is None else about.authority_id

    def start(self, serves: Callable[[], bool] = lambda: True) -> None:
        """Begin to write once the node ``serves()``, or that takes its time, or much waits: what is
        kept on disk is of use at the next start, and a node that catches up is waited for."""
        self._task = asyncio.create_task(self._run_after(serves))

    async def finish(self) -> None:
        """Write what waits, and close the file; each within REPLICA_FINISH_SECONDS."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=REPLICA_FINISH_SECONDS)
            for task in late:
                task.cancel()
        with contextlib.suppress(TimeoutError, *FAILURES):
            await asyncio.wait_for(self._disk.close(), REPLICA_FINISH_SECONDS)

    # What the node tells

    def applied(self, changeset: Changeset) -> None:
        """The replica has applied the next changeset."""
        is_planned = self._persister.deadline() is not None
        self._persister.applied(changeset)
        if not is_planned:  # else it is known when to write, and this goes along
            self._wake.set()

    def replaced(self) -> None:
        """The replica holds another whole state."""
        self._kept = None
        self._replacements += 1
        self._persister.replaced()
        self._wake.set()

    def identified(self, authority_id: str) -> None:
        """The replica is, or is going to be, a copy of this authority."""
        self._persister.identified(authority_id)
        self._wake.set()

    def abandon(self) -> None:
        """The file turned out to be a copy of another authority."""
        self._held = self._kept = None
        self._aside_reason = "it is of another authority"
        self._persister.abandon()

    # What it is asked

    def status(self) -> ReplicaFileStatus:
        """How far the file has come, and what is wrong with it."""
        version = None if self._held is None else self._held.head.version
        return ReplicaFileStatus(version, self.problem)

    def found(self, authority_id: str) -> Head:
        """The head of the file that is still to be loaded; EMPTY when there is none, or a copy of
        another authority than that (empty: any will do)."""
        if self._found is None or _is_foreign(self._found, authority_id):
            return EMPTY
        return self._found.head

    def kept(self) -> tuple[bytes, Version] | None:
        """(fill, version) of the file; None unless it is of the history that is served."""
        return None if self._kept is None else (self._kept.fill, self._kept.head.version)

    def counters(self) -> dict[str, int]:
        """Of writes, of failures, and of files set aside."""
        return {
            "replica_file_writes": self._writes,
            "replica_file_failures": self._failures,
            "replica_file_overflows": self._persister.overflows,
            "replica_file_set_aside": self._set_aside,
        }

    # Reading

    async def _load(
        self,
        expected_id: Callable[[], str],
        on_hot: Callable[[PinnedState], Awaitable[None]],
    ) -> About | None:
        file = await self._disk.file()
        about = await self._disk.call(file.about)
        if about is None:
            return None
        if _is_foreign(about, expected_id()):
            self.abandon()
            return None
        loading = self._serving.replica.begin_load(about.head)
        try:
            await self._disk.call(lambda: file.load_hot(loading.add))
            self._kept = about if about.shape == shape() else None
            await on_hot(loading.pin())
            loaded = await self._disk.call(lambda: file.load_rest(loading.add, about))
        except FAILURES:
            self._serving.give_up(loading)
            raise
        # The authority may have answered meanwhile.
        if self._serving.loaded or _is_foreign(about, expected_id()):
            self._serving.give_up(loading)
            self.abandon()
            return None
        self._serving.restore(loading, loaded.log)
        self._persister = Persister(about.head, about.authority_id)
        self._held = about
        if loaded.is_fit:
            self._kept = about  # ``restore`` may have said that the replica was replaced
            self._on_written()
        else:
            self._persister.replaced()
        log.notice("the replica was read from disk", at=about.head.version)
        return about

    async def _start_without(self, error: Exception) -> None:
        problem = problem_of(error)
        if problem == "damage":
            self._persister.abandon()
            self._aside_reason = str(error)
            with contextlib.suppress(OSError):
                await self._put_aside()
                self._persister = Persister(None, "")
        else:
            self._failed(error)

    # Writing

    async def _run_after(self, serves: Callable[[], bool]) -> None:
        deadline = self._clock() + REPLICA_SERVE_FIRST_SECONDS
        while not (serves() or self._stopping or self._clock() >= deadline):
            if self._persister.waiting > PENDING_CHANGESETS_MAX // 2:
                break
            await asyncio.sleep(REPLICA_SERVE_LOOK_SECONDS)
        await self._run()

    async def _run(self) -> None:
        while True:
            hurries = self._stopping and not self.problem
            job = self._persister.next(math.inf if hurries else self._clock())
            if job is not None:
                await self._do(job)
                continue
            deadline = self._persister.deadline()
            if self._stopping and (deadline is None or self.problem):
                return
            timeout = None if deadline is None else max(0.0, deadline - self._clock())
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._wake.wait()

    async def _do(self, job: Job) -> None:
        try:
            if isinstance(job, Whole) and job.set_aside:
                await self._put_aside()
            file = await self._disk.file()
            work = work_of(job, file, self._serving.replica)
            replacements = self._replacements
            for transaction in work.transactions:
                await self._disk.call(transaction)
            about = await self._disk.call(file.about)
        except Exception as error:
            self._failures += 1
            self._aside_reason = str(error)
            self._failed(error)
            self._persister.failed(self._clock(), problem_of(error))
            if isinstance(job, Whole):
                await self._give_back()
            return
        assert about is not None
        self._held = about
        self._writes += 1
        is_of_now = isinstance(job, Whole) and replacements == self._replacements
        if is_of_now or self._kept is not None:
            self._kept = about
        self._persister.written(self._clock(), work.head)
        self._on_written()
        if self.problem:
            self.problem = ""
            log.notice("the replica is kept on disk again", path=self._disk.path)

    def _failed(self, error: Exception) -> None:
        """A line when it begins to fail; that it goes on failing is told by ``/status``."""
        if problem_of(error) == "step":
            log.info("the replica file is written anew", reason=str(error))
            return
        if not self.problem:
            log.error(
                "the replica can't be kept on disk and goes on in memory",
                path=self._disk.path,
                reason=str(error),
            )
        self.problem = str(error)

    async def _put_aside(self) -> None:
        self._held = self._kept = None
        with contextlib.suppress(FileNotFoundError):
            target = await self._disk.set_aside()
            self._set_aside += 1
            log.error(
                "the replica file is set aside and written anew",
                path=self._disk.path,
                as_=target.name,
                reason=self._aside_reason,
            )

    async def _give_back(self) -> None:
        """Half a state is of no use, and takes room that may be what is lacking."""
        with contextlib.suppress(*FAILURES):
            file = await self._disk.file()
            await self._disk.call(file.drop_unused)


def _is_foreign(about: About, expected_id: str) -> bool:
    """Whether it is known to be a copy of another authority."""
    return bool(about.authority_id and expected_id) and about.authority_id != expected_id
