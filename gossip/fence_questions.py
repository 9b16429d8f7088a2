"""The asked side of fences: questions that wait for this node's application (``gossip.fence``).

A question is held until the application has the version; meanwhile, and whenever it is asked again,
the asker is told that it is waited for. Once it is answered nothing of it is remembered: a question
whose answer was lost comes again, and the application answers it at once.
"""

import math
from dataclasses import dataclass
from typing import Literal

from gossip import limits
from gossip.counters import Counters
from gossip.events import FenceAsked
from gossip.members import Members
from gossip.messages.fence import FenceAnswer, FenceQuestion, Standing
from gossip.outbox import Outbox
from gossip.profiles import Profile

Answer = Literal["reached", "missing", "forked"]
"""Of the application. ``missing`` only when the time is over."""

STANDINGS: dict[Answer, Standing] = {
    "reached": Standing.REACHED,
    "missing": Standing.WAITING,
    "forked": Standing.FORKED,
}

_Key = tuple[str, int, int]
"""Asker, the tag of its process, and the number of its fence."""


_TOKENS = 2**32
"""Above the questions of any process."""


@dataclass(slots=True)
class _Held:
    key: _Key
    forget_at: float
    tell_at: float
    """When the asker is told that it is waited for; inf once it was."""


class FenceQuestions:
    """Those that this node's application has not answered yet, by the token it knows them by."""

    def __init__(
        self, members: Members, outbox: Outbox, profile: Profile, counters: Counters
    ) -> None:
        self._members = members
        self._outbox = outbox
        self._profile = profile
        self._counters = counters
        self._held: dict[int, _Held] = {}
        self._tokens: dict[_Key, int] = {}
        # An application outlives this process' part in the cluster, and answers by token.
        self._last_token = members.me.tag * _TOKENS
        self._due = math.inf
        """No later than the first of all deadlines."""

    def __len__(self) -> int:
        return len(self._held)

    def received(self, question: FenceQuestion, now: float) -> None:
        """A member asks, or asks again."""
        me = self._members.me
        if question.asker == me.node_id or self._members.get(question.asker) is None:
            self._counters.add("fence_askers_unknown")
            return
        self._counters.add("fence_questions")
        key = (question.asker, question.tag, question.number)
        token = self._tokens.get(key)
        if token is not None:
            held = self._held[token]
            held.forget_at, held.tell_at = now + question.seconds, math.inf
            self._tell(key, Standing.WAITING)
        elif len(self._held) >= limits.FENCE_QUESTIONS_MAX:
            self._counters.add("fence_questions_dropped")
            self._tell(key, Standing.WAITING)
        else:
            patience = min(self._profile.repair_timeout, question.seconds / 8)
            self._hold(key, question, now, now + patience)

    def ask_own(self, question: FenceQuestion, now: float) -> None:
        """This node's own fence counts this node, too."""
        key = (question.asker, question.tag, question.number)
        self._hold(key, question, now, math.inf)

    def answered(self, token: int, answer: Answer) -> tuple[int, Standing] | None:
        """The application's answer; the number and standing if the fence is this node's own.

        What is unknown was dropped, or its time is over.
        """
        held = self._forget(token)
        if held is None:
            return None
        asker, _, number = held.key
        standing = STANDINGS[answer]
        if asker == self._members.me.node_id:
            return number, standing
        if standing is not Standing.WAITING or held.tell_at < math.inf:
            self._tell(held.key, standing)
        return None

    def own_ended(self, number: int) -> None:
        """The answer to a fence of this node isn't waited for any more."""
        me = self._members.me
        token = self._tokens.get((me.node_id, me.tag, number))
        if token is not None:
            self._forget(token)

    def advance(self, now: float) -> None:
        """Forget whom nobody waits for any more; tell the others that they wait."""
        if now < self._due:
            return
        for token, held in list(self._held.items()):
            if held.forget_at <= now:
                self._forget(token)
            elif held.tell_at <= now:
                held.tell_at = math.inf
                self._tell(held.key, Standing.WAITING)
        self._due = min(
            (min(held.forget_at, held.tell_at) for held in self._held.values()), default=math.inf
        )

    def next_deadline(self) -> float:
        return self._due

    def _hold(self, key: _Key, question: FenceQuestion, now: float, tell_at: float) -> None:
        self._last_token += 1
        self._held[self._last_token] = _Held(key, now + question.seconds, tell_at)
        self._tokens[key] = self._last_token
        self._due = min(self._due, tell_at, now + question.seconds)
        self._outbox.notify(FenceAsked(self._last_token, question.version, question.seconds))

    def _forget(self, token: int) -> _Held | None:
        held = self._held.pop(token, None)
        if held is not None:
            del self._tokens[held.key]
        return held

    def _tell(self, key: _Key, standing: Standing) -> None:
        """To the member's own address: where the question came from was perhaps a relay's."""
        asker, tag, number = key
        member = self._members.get(asker)
        if member is not None:
            self._outbox.send(member, [FenceAnswer(tag, number, standing)])
