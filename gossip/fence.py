"""How a client learns that everyone has its write (DESIGN 4, point 8).

    asker                 down the tree                    every counted member
      | -- FenceQuestion -------------------------------------> | has it: REACHED at once
      | <------------------------------ WAITING --------------- | not yet: said after a while
      | -- FenceQuestion, straight to whom nothing is settled-> | and whenever it is asked again
      | <------------------------------ REACHED --------------- | as soon as it has it

Counted is who may answer a client as of the start: members that are alive, suspect or leaving, and
those that have failed for less than ``limits.FENCE_FAILED_GRACE``: a failed one may be on the far
side of a partition, proxying. Nobody counts as having the version without saying so, and nobody is
missing before the time is over. One that says ``forked`` ends the fence: it knows a history in
which the version is no part, so the others can't all come there.

Packets get lost, both ways: whoever isn't settled is asked again, straight, with backoff, and once
more shortly before the end; those that were heard every other time. Answers come in a stream, which
is the longer the more members there are; the first time they are asked again is when it ceases.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gossip import limits
from gossip.counters import Counters
from gossip.events import FenceEnded
from gossip.fence_questions import Answer, FenceQuestions
from gossip.member import Member, Status
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.changes import Heartbeat
from gossip.messages.fence import FenceAnswer, FenceQuestion, Standing
from gossip.outbox import Outbox
from gossip.profiles import Profile
from gossip.replica import Version
from gossip.tree import Tree

_RETRY = 2.5
"""Times ``repair_timeout``: an answer waits for workers, not just for a round trip."""
_QUIET_ROUND_TRIPS = 4
_QUIET_SECONDS_MIN = 0.01
"""After so many of the usual round trips without any answer, and no less than so long, the stream
of them has ceased."""


class TooManyFences(Exception):
    """As many fences as this node may have are under way."""


@dataclass(slots=True)
class _Asked:
    member: Member
    heard: bool = False
    """Whether it has answered that it is waited for."""


@dataclass(slots=True)
class _Fence:
    number: int
    version: Version
    ends_at: float
    least: float
    """Seconds from the last round of questions to the end."""
    retry: float
    """Seconds from the last round to the next; doubled each time. At first, without an answer."""
    latest: float
    """When the first round is due even if answers still come."""
    ask_at: float
    rounds: int
    unsettled: dict[str, _Asked]
    """By node id: who hasn't answered finally."""
    reached: list[Member] = field(default_factory=list)
    forked: list[Member] = field(default_factory=list)


class Fences:
    """The fences that this node has begun, and the questions of others' (``FenceQuestions``)."""

    def __init__(
        self,
        members: Members,
        tree: Tree,
        outbox: Outbox,
        profile: Profile,
        counters: Counters,
        heartbeat: Callable[[float], Heartbeat],
    ) -> None:
        self._members = members
        self._tree = tree
        self._outbox = outbox
        self._profile = profile
        self._counters = counters
        self._heartbeat = heartbeat
        self._questions = FenceQuestions(members, outbox, profile, counters)
        self._fences: dict[int, _Fence] = {}
        self._last_number = 0
        self._due = math.inf
        """No later than the first of all deadlines."""

    @property
    def held(self) -> int:
        """Questions of all members that wait for this node's application."""
        return len(self._questions)

    def __len__(self) -> int:
        """Fences under way here."""
        return len(self._fences)

    def begin(self, version: Version, seconds: float, now: float) -> int:
        """Ask everyone; FenceEnded with this number tells the outcome within ``seconds``.

        Raises ValueError for seconds that are not above 0 and at most ``limits.FENCE_SECONDS_MAX``,
        and TooManyFences.
        """
        if not 0.0 < seconds <= limits.FENCE_SECONDS_MAX:
            raise ValueError(f"a fence of {seconds} s; up to {limits.FENCE_SECONDS_MAX:g} may be")
        if len(self._fences) >= limits.FENCES_MAX:
            self._counters.add("fences_refused")
            raise TooManyFences(f"{limits.FENCES_MAX} fences are under way at this node")
        self._counters.add("fences")
        self._last_number = self._last_number % limits.FENCE_NUMBER_MAX + 1
        least = min(_RETRY * self._profile.repair_timeout, seconds / 4)
        quiet = self._quiet(least)
        fence = _Fence(
            self._last_number, version, now + seconds, least, quiet, now + least, now + quiet, 0,
            {member.node_id: _Asked(member) for member in self._counted(now)},
        )  # fmt: skip
        self._fences[fence.number] = fence
        self._due = min(self._due, fence.ask_at)
        # With the heartbeat, by which one that has lost the change itself notices it.
        question = self._question(fence, now)
        messages: Sequence[Message] = [question, self._heartbeat(now)]
        asked = {member.node_id for member in self._tree.spread(messages, now)}
        rest = [one for one in self._others(fence) if one.node_id not in asked]
        self._outbox.broadcast(rest, messages)
        self._questions.ask_own(question, now)
        return fence.number

    def received(self, message: FenceQuestion | FenceAnswer, sender: Member, now: float) -> None:
        """A member asks, or answers."""
        if isinstance(message, FenceQuestion):
            self._questions.received(message, now)
            return
        fence = self._fences.get(message.number) if message.tag == self._members.me.tag else None
        if fence is None or sender.node_id not in fence.unsettled:
            # Late, doubled, of a former process' fence, or made up.
            self._counters.add("fence_answers_unexpected")
            return
        if not fence.rounds:
            fence.ask_at = min(now + fence.retry, fence.latest)
        self._settle(fence, sender.node_id, message.standing)

    def answered(self, token: int, answer: Answer) -> None:
        """This node's application answers."""
        own = self._questions.answered(token, answer)
        if own is not None:
            number, standing = own
            self._settle(self._fences[number], self._members.me.node_id, standing)

    def advance(self, now: float) -> None:
        """End what is over, ask again whom nothing is known of."""
        self._questions.advance(now)
        if now < self._due:
            return
        for fence in list(self._fences.values()):
            if fence.ends_at <= now:
                self._end(fence)
            elif fence.ask_at <= now:
                self._ask_again(fence, now)
        deadlines = (min(fence.ask_at, fence.ends_at) for fence in self._fences.values())
        self._due = min(deadlines, default=math.inf)

    def next_deadline(self) -> float | None:
        due = min(self._due, self._questions.next_deadline())
        return None if due == math.inf else due

    def stop(self) -> None:
        """This node has no part any more: nothing that is unknown will be learnt."""
        for fence in list(self._fences.values()):
            self._end(fence)

    def _counted(self, now: float) -> Iterable[Member]:
        def counts(member: Member) -> bool:
            if member.status is Status.FAILED:
                return now - member.status_since < limits.FENCE_FAILED_GRACE
            return member.status is not Status.LEFT or member is self._members.me

        return filter(counts, self._members.listed())

    def _others(self, fence: _Fence) -> list[Member]:
        me = self._members.me
        return [asked.member for asked in fence.unsettled.values() if asked.member is not me]

    def _question(self, fence: _Fence, now: float) -> FenceQuestion:
        me = self._members.me
        left = fence.ends_at - now
        return FenceQuestion(me.node_id, me.tag, fence.number, fence.version, left)

    def _ask_again(self, fence: _Fence, now: float) -> None:
        fence.rounds += 1
        fence.retry = min(2 * fence.retry, limits.FENCE_RETRY_SECONDS_MAX)
        last = fence.ends_at - fence.least
        fence.ask_at = now + fence.retry
        is_last = now >= last
        if fence.ask_at > last:
            fence.ask_at = math.inf if is_last else last
        others = self._others(fence)
        if fence.rounds % 2 and not is_last:
            others = [one for one in others if not fence.unsettled[one.node_id].heard]
        self._counters.add("fence_questions_again", len(others))
        self._outbox.broadcast(others, [self._question(fence, now), self._heartbeat(now)])

    def _quiet(self, least: float) -> float:
        rtt = self._members.typical_rtt
        if rtt is None:
            return least
        return min(least, max(_QUIET_ROUND_TRIPS * rtt, _QUIET_SECONDS_MIN))

    def _settle(self, fence: _Fence, node_id: str, standing: Standing) -> None:
        if standing is Standing.WAITING:
            fence.unsettled[node_id].heard = True
            return
        member = fence.unsettled.pop(node_id).member
        if standing is Standing.FORKED:
            fence.forked.append(member)
            self._end(fence)
            return
        fence.reached.append(member)
        if not fence.unsettled:
            self._end(fence)

    def _end(self, fence: _Fence) -> None:
        del self._fences[fence.number]
        self._questions.own_ended(fence.number)
        me = self._members.me
        missing: list[Member] = []
        unreachable: list[Member] = []
        for asked in fence.unsettled.values():
            heard = asked.heard or asked.member is me
            (missing if heard else unreachable).append(asked.member)
        outcome = "forked" if fence.forked else "partial" if fence.unsettled else "complete"
        self._counters.add(f"fences_{outcome}")
        self._outbox.notify(
            FenceEnded(
                fence.number,
                fence.version,
                _names(fence.reached),
                _names(missing),
                _names(unreachable),
                _names(fence.forked),
            )
        )


def _names(members: Iterable[Member]) -> tuple[str, ...]:
    return tuple(member.metadata.name for member in members)
