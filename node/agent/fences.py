"""Fences, as this node asks for them and as it is asked (DESIGN 4, point 8).

A node has a version when all its workers that can answer a request serve it, which ``Workers``
knows; gossip carries questions and answers (``gossip.fence``).
"""

import asyncio
from typing import Literal

from gossip.events import FenceAsked, FenceEnded
from gossip.fence import TooManyFences
from gossip.fence_questions import Answer
from node import logs
from node.admin.node_view import Fenced
from node.agent.limits import FENCE_GUARD_SECONDS
from node.agent.membership import Membership
from node.agent.serving import Serving
from node.agent.workers import Workers
from node.named_version import WHOLE_TAG_DIGITS, NamedVersion
from store.history import Reach
from store.version import Version

log = logs.get("fences")

_RUNNING = ("alive", "suspect", "leaving")
_ANSWERS: dict[Reach, Answer] = {"reached": "reached", "behind": "missing", "forked": "forked"}


class Fences:
    """Those of one node."""

    def __init__(self, membership: Membership, serving: Serving, workers: Workers) -> None:
        self._membership = membership
        self._serving = serving
        self._workers = workers
        self._outcomes: dict[int, asyncio.Future[FenceEnded]] = {}
        self._moved = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()

    async def fence(self, wanted: NamedVersion, seconds: float) -> Fenced:
        """Wait until every member serves a version; satisfies NodeView.fence."""
        clock = asyncio.get_running_loop().time
        ends = clock() + seconds
        version = await self._version(wanted, seconds)
        left = ends - clock()
        if version is None or left <= 0:
            return self._unknown()
        try:
            number = self._membership.begin_fence(version, left)
        except TooManyFences as error:
            log.warning("a fence could not be begun", reason=str(error))
            return self._unknown()
        if number is None:
            return Fenced("partial", 0, (), ())
        outcome = self._outcomes[number] = asyncio.get_running_loop().create_future()
        try:
            self._membership.flush()
            async with asyncio.timeout(left + FENCE_GUARD_SECONDS):
                return _fenced(await outcome)
        except TimeoutError:
            return self._unknown()
        finally:
            del self._outcomes[number]

    def asked(self, event: FenceAsked) -> None:
        """A fence waits for this node."""
        version = Version(*event.version)
        stands = self._workers.reach(version)
        if stands == "behind":
            task = asyncio.create_task(self._answer(event.token, version, event.seconds))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        else:
            self._membership.answer_fence(event.token, _ANSWERS[stands])

    def ended(self, event: FenceEnded) -> None:
        """The outcome of one that this node has begun."""
        outcome = self._outcomes.get(event.number)
        if outcome is not None and not outcome.done():
            outcome.set_result(event)

    def moved(self) -> None:
        """The replica has come to another version."""
        self._moved.set()
        self._moved.clear()

    async def _answer(self, token: int, version: Version, seconds: float) -> None:
        stands = await self._workers.until(version, seconds)
        self._membership.answer_fence(token, _ANSWERS[stands])

    async def _version(self, wanted: NamedVersion, seconds: float) -> Version | None:
        """The version that is meant; None when this node hasn't heard of its epoch in time."""
        try:
            async with asyncio.timeout(seconds):
                while (version := self._resolve(wanted)) is None:
                    await self._moved.wait()
        except TimeoutError:
            return None
        return version

    def _resolve(self, wanted: NamedVersion) -> Version | None:
        mine = self._serving.version
        if len(wanted.tag) == WHOLE_TAG_DIGITS:
            return Version(wanted.epoch, int(wanted.tag, 16), wanted.revision)
        if wanted.epoch > mine.epoch:
            return None
        line = [mine, *(epoch.kept.version for epoch in self._serving.replica.epochs())]
        tags = [one.tag for one in line if one.epoch == wanted.epoch and wanted.is_of(one.tag)]
        # Of a history that didn't lead here, any tag is as good.
        tag = tags[0] if tags else int(wanted.tag.ljust(WHOLE_TAG_DIGITS, "0"), 16)
        return Version(wanted.epoch, tag, wanted.revision)

    def _unknown(self) -> Fenced:
        """Nobody is known to have it."""
        names = [one["name"] for one in self._membership.members() if one["status"] in _RUNNING]
        return Fenced("partial", len(names), names, ())


def _fenced(event: FenceEnded) -> Fenced:
    reached, missing, unreachable, forked = event[2:]
    members = len(reached) + len(missing) + len(unreachable) + len(forked)
    outcome: Literal["complete", "partial", "forked"] = "forked" if forked else "complete"
    if not forked and (missing or unreachable):
        outcome = "partial"
    return Fenced(outcome, members, missing, unreachable)
