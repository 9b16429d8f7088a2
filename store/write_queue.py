"""Which writes of a node share a transaction, and what each is told: decided without I/O.

While one transaction is under way, further writes wait; the next one takes as many of them as the
bounds allow. The caller runs it (``store.write.write_all``), says how it ended, and is told which
writes are answered with what. All others wait again, in their old order. An answer is given once it
is known that the transaction is committed: a refusal, too, may rest on what it has not committed
yet.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from store.authority import Committed, Put, weight
from store.changeset import Changeset
from store.errors import (
    AuthorityUnavailable,
    EntityError,
    HistoryForked,
    OutcomeUnknown,
    Overloaded,
)
from store.limits import (
    ATTEMPTS_MAX,
    COMMITS_MAX,
    MUTATIONS_TOGETHER_MAX,
    WRITERS_TOGETHER_MAX,
    WRITES_WAITING_MAX,
)
from store.transaction import WriteRequest
from store.write import Outcome

MEANINGS = {
    "transactions": "transactions begun for writes",
    "transactions_shared": "transactions begun for several writes",
    "writes": "writes that a transaction was begun for, each time it was",
    "writes_committed": "writes that made a revision",
    "writes_forbidden": "writes that a rule of their entities forbade",
    "writes_refused": "writes refused because too many wait",
    "writes_timed_out": "writes that waited too long for their transaction",
    "writes_raced": "writes that lost a row or a value to another node at the last moment",
    "writes_blocked": "transactions given up because of another's lock",
    "writes_forked": "transactions given up because the database has lost what was confirmed",
    "commits_lost": "COMMITs that weren't answered",
    "commits_found": "COMMITs that weren't answered and had taken effect",
    "commits_unknown": "COMMITs that weren't answered and could not be looked up",
}
"""What is counted, by name."""


@dataclass(eq=False, slots=True)
class Ticket:
    """A write that waits, or is under way."""

    request: WriteRequest
    deadline: float
    """Until when a write that others' locks keep out is tried again."""
    alone: bool = False
    """Whether it shares no transaction, since one that it was in was kept waiting."""
    races_lost: int = 0
    commits_lost: int = 0
    elsewhere: str = ""
    """A server that was to commit it and isn't the one that is asked by now: it may have."""

    def told(self, error: Exception) -> Exception:
        """What a client is told when it ended like this: no more than is known."""
        if not self.elsewhere:
            return error
        reason = f"{self.elsewhere} may have committed it, and can't be asked any more"
        unknown = OutcomeUnknown(
            f"{reason}; at the server that is asked now: {error}", self.request.write_id
        )
        if not isinstance(error, HistoryForked):
            return unknown
        error.unknown = unknown
        return error


Answers = list[tuple[Ticket, Committed | Exception]]


@dataclass(slots=True)
class WriteQueue:
    """The writes of one node that go one transaction after the other."""

    together_max: int = WRITERS_TOGETHER_MAX
    mutations_max: int = MUTATIONS_TOGETHER_MAX
    waiting_max: int = WRITES_WAITING_MAX
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MEANINGS, 0))
    under_way: tuple[Ticket, ...] = ()
    _waiting: deque[Ticket] = field(default_factory=deque)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def put(self, ticket: Ticket) -> None:
        """Let a write wait. Raises Overloaded when too many do."""
        if len(self._waiting) >= self.waiting_max:
            self.counters["writes_refused"] += 1
            raise Overloaded(f"{self.waiting_max} writes wait for the database already; try again")
        self._waiting.append(ticket)

    def withdraw(self, ticket: Ticket, *, timed_out: bool = False) -> bool:
        """Let a write wait no longer; False when it doesn't wait, but is under way or answered."""
        if ticket not in self._waiting:
            return False
        self._waiting.remove(ticket)
        self.counters["writes_timed_out"] += timed_out
        return True

    def take(self) -> tuple[Ticket, ...]:
        """The writes of the next transaction: none while one is under way, or none waits."""
        if self.under_way or not self._waiting:
            return ()
        taken = [self._waiting.popleft()]
        room = self.mutations_max - weight(taken[0].request.mutations)
        write_ids = {taken[0].request.write_id}
        while self._waiting and len(taken) < self.together_max and not taken[0].alone:
            ticket = self._waiting[0]
            room -= weight(ticket.request.mutations)
            # A retry with the write id of its first try waits for it, and then finds it in the log.
            if room < 0 or ticket.alone or ticket.request.write_id in write_ids:
                break
            write_ids.add(ticket.request.write_id)
            taken.append(self._waiting.popleft())
        self.under_way = tuple(taken)
        self.counters["transactions"] += 1
        self.counters["transactions_shared"] += len(taken) > 1
        self.counters["writes"] += len(taken)
        return self.under_way

    def committed(self, outcomes: Sequence[Outcome]) -> Answers:
        """The transaction was committed, or had nothing to commit."""
        for outcome in outcomes:
            self.counters["writes_committed"] += changed_something(outcome)
            self.counters["writes_forbidden"] += isinstance(outcome, EntityError)
        return list(zip(self._end(), outcomes, strict=True))

    def raced(self, number: int, error: EntityError) -> Answers:
        """One of the writes lost what it was to make to another node; nothing was committed.

        A PUT is done again, for now there is something to replace (unless it is gone once more);
        others are refused.
        """
        self.counters["writes_raced"] += 1
        tickets = self._end()
        loser = tickets[number]
        upserts = any(isinstance(item, Put) for item in loser.request.mutations)
        loser.races_lost += 1
        if upserts and loser.races_lost < ATTEMPTS_MAX:
            self._wait_again(tickets)
            return []
        self._wait_again([ticket for ticket in tickets if ticket is not loser])
        return [(loser, error)]

    def blocked(self, error: AuthorityUnavailable, now: float) -> Answers:
        """Another transaction kept a lock for too long; nothing was committed.

        Which of the writes wanted it isn't known, so each goes on alone, and the one that is still
        kept out goes behind the others.
        """
        self.counters["writes_blocked"] += 1
        tickets = self._end()
        if len(tickets) > 1:
            for ticket in tickets:
                ticket.alone = True
            self._wait_again(tickets)
            return []
        (ticket,) = tickets
        if now >= ticket.deadline:
            return [(ticket, error)]
        self._waiting.append(ticket)
        return []

    def looked_up(
        self,
        outcomes: Sequence[Outcome],
        logged: Mapping[bytes, Changeset],
        reason: str,
        elsewhere: str = "",
    ) -> Answers:
        """COMMIT wasn't answered; ``logged`` has those of the write ids that the log has now.

        Is it the log of another server than the one that was to commit (``elsewhere``), it says
        nothing of that one, which may go on beside it (split brain) or have been read before it
        died. What is made again here is made; what isn't has an unknown outcome.

        Revisions are part of the chain, so the last changeset in the log proves them all. An older
        one may be that of a retry, which was there before.
        """
        self.counters["commits_lost"] += 1
        if _last(outcomes) in logged.values():
            self.counters["commits_found"] += 1
            return self.committed(outcomes)
        answers: Answers = []
        again = []
        for ticket, outcome in zip(self._end(), outcomes, strict=True):
            ticket.commits_lost += 1
            if changed_something(outcome):
                ticket.elsewhere = ticket.elsewhere or elsewhere
            if ticket.commits_lost < COMMITS_MAX:
                again.append(ticket)
            else:
                answers.append((ticket, AuthorityUnavailable(f"{reason}; nothing was written")))
        self._wait_again(again)
        return answers

    def unknown(self, outcomes: Sequence[Outcome], reason: str) -> Answers:
        """COMMIT wasn't answered, and can't be looked up.

        What changed nothing by itself is known not to be in the log, but what it rests on isn't.
        """
        self.counters["commits_lost"] += 1
        self.counters["commits_unknown"] += 1
        return [
            (
                ticket,
                OutcomeUnknown(reason, ticket.request.write_id)
                if changed_something(outcome)
                else AuthorityUnavailable(f"{reason}; nothing was written"),
            )
            for ticket, outcome in zip(self._end(), outcomes, strict=True)
        ]

    def failed(self, make_error: Callable[[], Exception]) -> Answers:
        """Nothing was committed, and the same again won't help. Each write gets an error of its
        own."""
        return [(ticket, make_error()) for ticket in self._end()]

    def forked(self, make_error: Callable[[], Exception]) -> Answers:
        """The database isn't in the history that was confirmed; nothing was committed. Only raising
        its epoch helps, and whoever is told sees to that."""
        self.counters["writes_forked"] += 1
        return self.failed(make_error)

    def close(self, make_error: Callable[[], Exception]) -> Answers:
        """Answer all that wait; what is under way ends by itself."""
        tickets = list(self._waiting)
        self._waiting.clear()
        return [(ticket, make_error()) for ticket in tickets]

    def _end(self) -> tuple[Ticket, ...]:
        tickets, self.under_way = self.under_way, ()
        return tickets

    def _wait_again(self, tickets: Sequence[Ticket]) -> None:
        self._waiting.extendleft(reversed(tickets))


def changed_something(outcome: Outcome) -> bool:
    """Whether it depends on COMMIT that this is so."""
    return isinstance(outcome, Committed) and outcome.changeset is not None


def _last(outcomes: Sequence[Outcome]) -> Changeset | None:
    changesets = [outcome.changeset for outcome in outcomes if isinstance(outcome, Committed)]
    return max(
        (changeset for changeset in changesets if changeset is not None),
        key=lambda changeset: changeset.version,
        default=None,
    )
