"""Asking members to read their authority again, and being asked (DESIGN 3, two at once).

By packet and to members only. A question is repeated until it is answered or its time is over; one
that comes again is answered again, without the authority being read twice. What the answers mean is
for the application to judge.
"""

import random
from collections import OrderedDict

from gossip import limits
from gossip.counters import Counters
from gossip.events import HistoryAnswered, HistoryAsked
from gossip.member import Member
from gossip.members import Members
from gossip.messages.history import Answer, Question, Stance
from gossip.outbox import Outbox
from gossip.replica import Version


class HistoryInquiry:
    """This node's questions, one at a time, and those of others."""

    def __init__(
        self, members: Members, outbox: Outbox, rng: random.Random, counters: Counters
    ) -> None:
        self._members = members
        self._outbox = outbox
        self._rng = rng
        self._counters = counters
        self._question: Question | None = None
        self._sequence = 0
        self._waiting: dict[str, None] = {}
        """Node ids of those who haven't answered."""
        self._ends_at = 0.0
        self._asked: OrderedDict[tuple[str, int], Answer | None] = OrderedDict()
        """(who, sequence) -> what was answered; None while the application reads its authority."""
        self.deadline: float | None = None

    def ask(self, at_least: Version, mine: Stance, now: float) -> list[str]:
        """Ask members that serve at least this version; their node ids. What was asked before is
        over."""
        claimants = [
            member
            for member in self._members.reachable()
            if member.serving is not None and member.serving >= at_least
        ]
        if len(claimants) > limits.HISTORY_ASKED_MAX:
            claimants = self._rng.sample(claimants, limits.HISTORY_ASKED_MAX)
        self._sequence = (self._sequence + 1) % 2**32
        self._question = Question(self._sequence, mine)
        self._waiting = {member.node_id: None for member in claimants}
        self._ends_at = now + limits.HISTORY_SECONDS
        self._send(now)
        return [*self._waiting]

    def answer(self, asker: str, sequence: int, mine: Stance | None) -> None:
        """What the application has found for ``HistoryAsked``."""
        answer = Answer(sequence, mine)
        if (asker, sequence) in self._asked:
            self._asked[asker, sequence] = answer
        member = self._members.get(asker)
        if member is not None:
            self._counters.add("histories_answered")
            self._outbox.send(member, [answer])

    def questioned(self, message: Question, sender: Member) -> None:
        """A member asks."""
        key = (sender.node_id, message.sequence)
        if key in self._asked:
            answer = self._asked[key]
            if answer is not None:
                self._outbox.send(sender, [answer])
            return
        if len(self._asked) >= limits.HISTORY_QUESTIONS_MAX:
            self._asked.popitem(last=False)
        self._asked[key] = None
        self._counters.add("histories_questioned")
        self._outbox.notify(HistoryAsked(sender.node_id, message.sequence, message.mine))

    def answered(self, message: Answer, sender: Member) -> None:
        """A member has answered."""
        question = self._question
        is_ours = question is not None and question.sequence == message.sequence
        if not is_ours or sender.node_id not in self._waiting:
            self._counters.add("histories_unexpected")
        else:
            del self._waiting[sender.node_id]
            if not self._waiting:
                self.deadline = None
            self._outbox.notify(HistoryAnswered(sender.node_id, message.mine))

    def advance(self, now: float) -> None:
        """Repeat what may have been lost."""
        if self.deadline is None or now < self.deadline:
            return
        if now >= self._ends_at:
            self._waiting.clear()
            self.deadline = None
        else:
            self._send(now)

    def _send(self, now: float) -> None:
        assert self._question is not None
        members = [self._members.get(node_id) for node_id in self._waiting]
        present = [member for member in members if member is not None]
        self._counters.add("histories_asked", len(present))
        self._outbox.broadcast(present, [self._question])
        self.deadline = now + limits.HISTORY_REPEAT_SECONDS if self._waiting else None
