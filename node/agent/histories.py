"""Drives ``store.verdict``: what it wants to know is read at the authority and asked of members.

Reads and raises are done one after the other by one task; who needs a verdict waits for it.
"""

import asyncio
import contextlib
import hashlib
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from gossip.limits import SERVER_BYTES_MAX
from node import logs
from node.agent.limits import (
    EPOCH_KNOWN_HEADS,
    HISTORY_QUESTIONS_MAX,
    HISTORY_SETTLE_SECONDS,
)
from store.authority import Authority, Committed
from store.errors import AuthorityUnavailable
from store.history import Server, Standing
from store.replica import Replica
from store.verdict import (
    ANSWER_SECONDS,
    Ask,
    Compare,
    Effect,
    HistoryVerdict,
    Look,
    Raise,
    Reading,
    Split,
    Stance,
    leaves_open,
    reading_of,
    stance_of,
)
from store.version import Head, Version

log = logs.get("authority")


class AuthoritySplit(AuthorityUnavailable):
    """Two databases take writes under one authority id, and this node's is the one that yields."""


class Asked(NamedTuple):
    """A member's question."""

    asker: str
    sequence: int
    theirs: Stance


class Histories:
    """``confirmed()`` is the newest head that this node knows to be confirmed; ``replica`` knows
    the history that led there. ``still_ours()`` raises AuthorityUnavailable when another authority
    answers now in this one's place. ``ask(at_least, mine)`` asks members and answers whom,
    ``answer(asker, sequence, mine)`` is for their questions, ``members()`` how many run.
    ``raised(committed)`` is called after this node has raised the epoch, ``lost(reason)`` when the
    authority has failed to answer.
    """

    def __init__(
        self,
        authority: Authority,
        origin: Callable[[], str],
        confirmed: Callable[[], Head],
        replica: Replica,
        still_ours: Callable[[], Awaitable[object]],
        ask: Callable[[Version, Stance], Sequence[str]],
        answer: Callable[[str, int, Stance | None], None],
        members: Callable[[], int],
        raised: Callable[[Committed], None],
        lost: Callable[[str], None],
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authority = authority
        self._origin = origin
        self._confirmed = confirmed
        self._replica = replica
        self._still_ours = still_ours
        self._ask = ask
        self._answer = answer
        self._members = members
        self._raised = raised
        self._lost = lost
        self._clock = clock
        self._verdict = HistoryVerdict(rng)
        self._jobs: deque[Effect] = deque()
        self._questions: dict[tuple[str, int], Stance] = {}
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()
        self._told: tuple[Server, Server, bool] | None = None
        self.has_met: Callable[[], bool] = lambda: True
        """Whether who could tell of a split has been met, or given up on. Nothing is concluded
        before: a node that has just started would find nobody to ask."""

    @property
    def split(self) -> Split | None:
        """The one that is known of now."""
        return self._verdict.split

    def refusal(self) -> str:
        """Why this node must not write; empty when it may."""
        split = self._verdict.split
        if split is None or not split.refuses:
            return ""
        return f"authority split: {_sides(split)}; {_WAY_OUT}"

    async def standing(self) -> Stance:
        """How the authority stands now. Raises AuthorityUnavailable."""
        confirmed = self._confirmed()
        return stance_of(await self._read(confirmed), confirmed)

    async def settle(self, standing: Standing, confirmed: Head, *, to_write: bool = False) -> None:
        """The authority has shown proof: return once the epoch is raised, or there is a split.

        Raises AuthorityUnavailable when it comes to nothing, AuthoritySplit where ``to_write``
        this node's side takes no writes.
        """
        await self._still_ours()
        if not self.has_met():
            raise AuthorityUnavailable(
                "the database lacks what was confirmed before, and no other node has been met yet"
            )
        reading = reading_of(_bounded(standing), confirmed)
        self._take(self._verdict.stood(reading, confirmed, self._clock(), to_write=to_write))
        try:
            async with asyncio.timeout(HISTORY_SETTLE_SECONDS):
                while self._verdict.phase != "agreed":
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise AuthorityUnavailable(
                "the database lacks what was confirmed before; what to do isn't settled yet"
            ) from None
        if to_write and (refusal := self.refusal()):
            raise AuthoritySplit(refusal)

    def heard(self) -> None:
        """A member follows another history."""
        self._take(self._verdict.heard(self._clock()))

    def asked(self, asker: str, sequence: int, theirs: Stance) -> None:
        """A member wants to know how the authority stands."""
        if len(self._questions) < HISTORY_QUESTIONS_MAX:
            self._questions[asker, sequence] = theirs
            self._wake.set()

    def answered(self, member: str, theirs: Stance | None) -> None:
        """A member that was asked has answered."""
        self._take(self._verdict.answered(member, theirs, self._clock()))

    def renew(self) -> None:
        """Look at a split again, now: an operator has acted, or the authority was reached anew."""
        self._take(self._verdict.renew(self._clock()))

    async def adopt(self) -> Committed:
        """Raise the epoch so that this side of a split is the one that is kept. Raises
        AuthorityUnavailable."""
        split = self._verdict.split
        assert split is not None
        # Above the other's, of whose history no head is known to be shared: ours aren't its own.
        committed = await self._authority.raise_epoch(
            split.theirs.head, origin=self._origin(), forced=True
        )
        self._raised(committed)
        self.renew()
        return committed

    async def run(self) -> None:
        """Do what the verdict wants until cancelled."""
        while True:
            if self._jobs:
                await self._perform(self._jobs.popleft())
            elif self._questions:
                await self._reply()
            else:
                await self._until_due()
                self._take(self._verdict.advance(self._clock()))

    async def _until_due(self) -> None:
        self._wake.clear()
        deadline = self._verdict.deadline
        timeout = None if deadline is None else max(0.0, deadline - self._clock())
        # Not wait_for: in Python 3.11 that may swallow a cancellation (python/cpython#86296).
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._wake.wait()

    def _take(self, effects: Sequence[Effect]) -> None:
        self._verdict.members = self._members()
        for effect in effects:
            if isinstance(effect, Ask):
                asked = self._ask(effect.at_least, effect.mine)
                log.notice(
                    "the database lacks what was confirmed; asking who has it still"
                    if not effect.mine.holds
                    else "other nodes follow another history; asking where",
                    database=effect.mine.server.address,
                    at=effect.mine.head.version,
                    confirmed=effect.mine.confirmed.version,
                    asked=len(asked),
                )
                self._take(self._verdict.asked(asked, self._clock()))
            else:
                self._jobs.append(effect)
        self._tell()
        self._wake.set()
        self._moved.set()

    async def _perform(self, effect: Effect) -> None:
        try:
            if isinstance(effect, Raise):
                await self._raise(effect.confirmed)
            elif isinstance(effect, Compare):
                reading = await self._read(effect.head)
                self._take(self._verdict.compared(reading, self._clock()))
            elif isinstance(effect, Look):
                confirmed = self._confirmed()
                reading = await self._read(confirmed)
                self._take(self._verdict.stood(reading, confirmed, self._clock()))
        except AuthorityUnavailable as error:
            self._jobs.clear()
            self._take(self._verdict.lost(self._clock()))
            self._lost(str(error))

    async def _raise(self, confirmed: Head) -> None:
        committed = await self._authority.raise_epoch(
            confirmed,
            origin=self._origin(),
            known=self._replica.heads(EPOCH_KNOWN_HEADS),
            epochs=self._replica.epochs(),
        )
        if committed.changeset is not None:
            log.warning(
                "the database had lost confirmed changes: its epoch is raised",
                lost=confirmed.version,
                to=committed.head.version,
            )
        self._raised(committed)
        self._take(self._verdict.raised())

    async def _reply(self) -> None:
        """One reading answers all that wait."""
        questions, self._questions = self._questions, {}
        confirmed = self._confirmed()
        mine: Stance | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reading = await self._read(confirmed)
            mine = stance_of(reading, confirmed)
        except (AuthorityUnavailable, TimeoutError):
            pass
        for asker, sequence in questions:
            self._answer(asker, sequence, mine)
        if mine is not None:
            self._verdict.noted(reading, confirmed)
            for theirs in questions.values():
                self._take(self._verdict.faced(theirs))

    async def _read(self, head: Head) -> Reading:
        standing = _bounded(await self._authority.standing(head))
        logged = False
        if leaves_open(standing, head):
            logged = await self._authority.log(head, 1) is not None
        return reading_of(standing, head, logged=logged)

    def _tell(self) -> None:
        split = self._verdict.split
        known = None if split is None else (split.mine.server, split.theirs.server, split.refuses)
        if known == self._told:
            return
        self._told = known
        if split is None:
            log.notice("the authority isn't split any more")
        else:
            takes = "this node refuses writes" if split.refuses else "this node goes on writing"
            log.error(f"authority split: {_sides(split)}; {takes}. {_WAY_OUT}")


_WAY_OUT = (
    "stop the one that must go, or keep this one with 'grapevine cluster authority adopt' on a node"
    " that uses it"
)


def _sides(split: Split) -> str:
    mine, theirs = _side(split.mine), _side(split.theirs)
    return f"this node writes to {mine}, others write to {theirs}, each with a history of its own"


def _side(side: Stance) -> str:
    return f"{side.server.address} (timeline {side.server.timeline}, at {side.head.version})"


def _bounded(standing: Standing) -> Standing:
    """With a server's name that fits a packet."""
    name = standing.server.address.encode()
    if len(name) <= SERVER_BYTES_MAX:
        return standing
    short = hashlib.sha256(name).hexdigest()
    return standing._replace(server=Server(short, standing.server.timeline))
