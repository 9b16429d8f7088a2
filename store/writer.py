"""Runs a ``WriteQueue`` on an event loop, for either engine."""

import asyncio
import contextlib
import copy
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from store.authority import Committed
from store.changeset import Changeset
from store.errors import AuthorityUnavailable, CommitLost, HistoryForked, Overloaded
from store.log_trim import is_due
from store.transaction import WriteRequest
from store.write import Outcome, Raced
from store.write_queue import Answers, Ticket, WriteQueue, changed_something

Execute = Callable[[Sequence[WriteRequest]], Awaitable[list[Outcome]]]
"""Runs ``store.write.write_all`` in one transaction. Raises Raced, Blocked, CommitLost (with the
outcomes), HistoryForked and AuthorityUnavailable."""


class LookedUp(NamedTuple):
    """What the log has of the writes of a transaction, once that has ended for certain."""

    logged: Mapping[bytes, Changeset]
    elsewhere: str = ""
    """The server that was to commit it, if the log is another one's: there it may have happened."""


LookUp = Callable[[Sequence[WriteRequest], CommitLost], Awaitable[LookedUp]]
"""Raises AuthorityUnavailable."""


Trim = Callable[[int], Awaitable[int]]
"""Lets go of log rows that are too old, given the last revision. Raises AuthorityUnavailable."""


class Blocked(Exception):
    """Another transaction kept a lock for too long; ``error`` says so to a client."""

    def __init__(self, error: AuthorityUnavailable) -> None:
        super().__init__(str(error))
        self.error = error


class Writer:
    """One transaction at a time, shared by the writes that waited for it.

    ``patience``: seconds that a write waits for its transaction to begin.
    """

    def __init__(self, execute: Execute, look_up: LookUp, trim: Trim, patience: float) -> None:
        self.queue = WriteQueue()
        self._execute = execute
        self._look_up = look_up
        self._trim = trim
        self._patience = patience
        self._answers: dict[Ticket, asyncio.Future[Committed | Exception]] = {}
        self._under_way: asyncio.Task[None] | None = None
        self._trimming: asyncio.Task[None] | None = None

    async def write(self, request: WriteRequest) -> Committed:
        """Raises EntityError, AuthorityUnavailable, HistoryForked, OutcomeUnknown, Overloaded.

        A write that is cancelled is undone if all that share its transaction are.
        """
        loop = asyncio.get_running_loop()
        ticket = Ticket(request, loop.time() + self._patience)
        self.queue.put(ticket)
        future = self._answers[ticket] = loop.create_future()
        if self._under_way is None:
            self._begin()
        timer = loop.call_later(self._patience, self._late, ticket)
        try:
            answer = await future
        except asyncio.CancelledError:
            self._abandon(ticket)
            raise
        finally:
            timer.cancel()
            self._answers.pop(ticket, None)
        if isinstance(answer, Committed):
            return answer
        raise ticket.told(answer)

    def close(self, reason: str) -> None:
        """Answer all that wait with AuthorityUnavailable; what is under way ends by itself."""
        self._tell(self.queue.close(lambda: AuthorityUnavailable(reason)))

    def _begin(self) -> None:
        self._under_way = asyncio.get_running_loop().create_task(self._transaction())
        self._under_way.add_done_callback(self._ended)

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._under_way = None
        if self.queue:
            self._begin()

    def _late(self, ticket: Ticket) -> None:
        if self.queue.withdraw(ticket, timed_out=True):
            reason = f"other writes of this node kept it waiting for over {self._patience:g} s"
            self._tell([(ticket, Overloaded(reason))])

    async def _transaction(self) -> None:
        """Its first step comes after the writes of this turn of the loop: they share it."""
        tickets = self.queue.take()
        if not tickets:
            return
        try:
            answers = await self._answer([ticket.request for ticket in tickets])
        except asyncio.CancelledError:
            self.queue.failed(asyncio.InvalidStateError)  # nobody is left to be told
            raise
        self._tell(answers)
        self._trim_now_and_then(answers)

    async def _answer(self, requests: Sequence[WriteRequest]) -> Answers:
        try:
            return self.queue.committed(await self._execute(requests))
        except Raced as raced:
            return self.queue.raced(raced.maker, raced.error)
        except Blocked as blocked:
            return self.queue.blocked(blocked.error, asyncio.get_running_loop().time())
        except CommitLost as lost:
            return await self._find(requests, lost)
        except Exception as error:
            return self._failed(error)

    async def _find(self, requests: Sequence[WriteRequest], lost: CommitLost) -> Answers:
        outcomes: list[Outcome] = lost.result
        if not any(changed_something(outcome) for outcome in outcomes):
            return self.queue.committed(outcomes)  # they rest on what others have committed
        try:
            logged, elsewhere = await self._look_up(requests, lost)
        except Exception as error:  # whatever it is, nothing is known
            reason = f"the connection was lost in COMMIT ({lost}), and the outcome can't be looked"
            return self.queue.unknown(outcomes, f"{reason} up: {error}")
        reason = f"the connection was lost in COMMIT ({lost})"
        return self.queue.looked_up(outcomes, logged, reason, elsewhere)

    def _failed(self, error: Exception) -> Answers:
        """A copy for each, since each is raised in a task of its own; mistakes of ours are not."""
        copied = isinstance(error, AuthorityUnavailable)
        forked = isinstance(error, HistoryForked)
        tell = self.queue.forked if forked else self.queue.failed
        return tell(lambda: copy.copy(error) if copied else error)

    def _tell(self, answers: Answers) -> None:
        for ticket, answer in answers:
            future = self._answers.get(ticket)
            if future is not None and not future.done():
                future.set_result(answer)

    def _trim_now_and_then(self, answers: Answers) -> None:
        """Beside the writes that follow. One that fails is made up for by the next, anywhere."""
        revisions = [
            answer.head.version.revision
            for _, answer in answers
            if isinstance(answer, Committed) and answer.changeset is not None
        ]
        if not revisions or not is_due(max(revisions), len(revisions)):
            return
        if self._trimming is None or self._trimming.done():
            self._trimming = asyncio.create_task(self._trim_log(max(revisions)))

    async def _trim_log(self, revision: int) -> None:
        with contextlib.suppress(AuthorityUnavailable):
            await self._trim(revision)

    def _abandon(self, ticket: Ticket) -> None:
        """A write whose client is gone; the others of its transaction go on."""
        del self._answers[ticket]
        if self.queue.withdraw(ticket) or ticket not in self.queue.under_way:
            return
        wanted = any(item in self._answers for item in self.queue.under_way)
        if not wanted and self._under_way is not None:
            self._under_way.cancel()
