"""Refusals: what the kernel of a member's machine says when the process is gone.

A closed port answers at once: a TCP connection is refused, a packet brings "port unreachable". A
machine that is silent does neither, nor does a process that stands still. So a refusal tells a
crash from every kind of slowness, in one round trip (docs/decisions/0003-refusals.md).

Theory of operation
-------------------

Whoever has a *hint* about a member (a refused or reset stream, a watch stream that ended, an ack
that is overdue) *knocks*: throw-away sockets try its port over UDP and TCP. There are three
outcomes:

    reached    the TCP port is open, or a packet came back      ends the case
    refused    one of them is refused, and nothing reached      goes on below
    silent     neither                                          ends the case: SWIM decides

One observer doesn't convict: ICMP can be spoofed, and a firewall may reject it alone. It asks
others (``Check``) who knock for themselves (``Checked``). Two distinct observers that were refused,
and none that reached the member, are a verdict: failed, now. With fewer than two others that could
be asked, this node's own refusal twice, ``_REPEAT_SECONDS`` apart, is enough, unless the one that
could be asked has reached it.

A case is about one process life at one incarnation: when either is no longer held it ends. A
member that refutes a refusal verdict of ours (so that only some of us are rejected) gets none from
us for ``_IMMUNE_SECONDS``.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from gossip import limits
from gossip.counters import Counters
from gossip.effects import Knock
from gossip.member import Member, Status
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.membership import Check, Checked, Outcome
from gossip.outbox import Outbox
from gossip.profiles import Profile

UdpOutcome = Literal["answered", "refused", "silent"]
TcpOutcome = Literal["open", "refused", "silent"]

_REPEAT_SECONDS = 0.1
"""Between the two refusals of an observer that has nobody else to ask."""
_HELPERS_MIN = 2
"""Others that could be asked, below which this node's own refusals are enough."""
_BATCHES_MAX = 3
"""How often others are asked in one case: those asked first may be dead themselves."""
_SETTLE_SECONDS = 0.02
"""With two refusals at hand, how long the answers still under way are waited for: one of them may
have reached it."""
_FRESH_SECONDS = 0.05
"""An outcome so young is told again instead of knocking anew: at most so often is a member knocked
at for others, however many ask."""
_REST_SECONDS = 0.25
"""From the end of a case without verdict to the next about the same member."""
_IMMUNE_SECONDS = 60.0
_KNOCK_GRACE_SECONDS = 0.5
"""How much later than it should a transport's report may come."""
_REMEMBERED_MAX = 1_024

_Value = TypeVar("_Value")


def outcome_of(udp: UdpOutcome, tcp: TcpOutcome) -> Outcome:
    """What a knock's two ways say together: whatever reached it vetoes."""
    if udp == "answered" or tcp == "open":
        return Outcome.REACHED
    return Outcome.REFUSED if "refused" in (udp, tcp) else Outcome.SILENT


@dataclass(slots=True, eq=False)
class _Knock:
    """One knock of this node, for its own case, for others, or both."""

    target: str
    generation: int
    ends_at: float
    own: bool
    askers: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Case:
    """What this node looks into. ``helpers`` are those asked, with what they said."""

    target: str
    generation: int
    incarnation: int
    refusals: int = 0
    """Of this node's own."""
    helpers: dict[str, Outcome | None] = field(default_factory=dict)
    batches: int = 0
    next_at: float | None = None
    """When to knock again, ask further helpers, or decide; None while our knock is under way."""


class Refusals:
    """Looks into hints, and helps others to. Methods that can end in a verdict answer the member
    that counts as failed now."""

    def __init__(
        self,
        members: Members,
        outbox: Outbox,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
        take_sequence: Callable[[], int],
        ping: Callable[[int, float], list[Message]],
    ) -> None:
        self._members = members
        self._outbox = outbox
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._take_sequence = take_sequence
        self._ping = ping
        self._cases: dict[str, _Case] = {}
        self._knocks: dict[int, _Knock] = {}
        """By number, which is the sequence of the ping that the knock carries."""
        self._outcomes: dict[str, tuple[int, float, Outcome]] = {}
        """The newest outcome about a member: its generation, when, and what."""
        self._rests: dict[str, float] = {}
        """Until when a member isn't looked into again."""
        self._verdicts: dict[str, tuple[int, float]] = {}
        """Refusal verdicts of ours: generation and time."""

    def hint(self, member: Member, now: float) -> None:
        """Something says that this member's process may be gone."""
        me = self._members.me
        if member is me or member.status > Status.SUSPECT or member.node_id in self._cases:
            return
        if me.status is not Status.ALIVE or now < self._rests.get(member.node_id, 0.0):
            return
        generation, at = self._verdicts.get(member.node_id, (0, 0.0))
        if generation == member.generation and now < at + _IMMUNE_SECONDS:
            self._counters.add("refusals_immune")
            return
        if len(self._cases) >= limits.CASES_MAX:
            self._counters.add("refusal_cases_dropped")
            return
        self._counters.add("refusal_cases")
        case = _Case(member.node_id, member.generation, member.incarnation)
        self._cases[member.node_id] = case
        self._knock_for(case, member, now)

    def knocked(
        self, knock: int, udp: UdpOutcome, tcp: TcpOutcome, now: float
    ) -> tuple[Outcome, Member | None]:
        """A knock's outcome, and whom it convicts. One that isn't under way counts as silent."""
        known = self._knocks.pop(knock, None)
        if known is None:
            return Outcome.SILENT, None
        outcome = outcome_of(udp, tcp)
        return outcome, self._conclude(known, outcome, now)

    def answer_to(self, sequence: int, sender: Member) -> bool:
        """Whether an ack answers a knock: the member it came from lives."""
        knock = self._knocks.get(sequence)
        return knock is not None and knock.target == sender.node_id

    def check(self, message: Check, sender: Member, now: float) -> Message | None:
        """Another member asks for a knock. Only at members, at the address held here: nobody can
        have us knock where they choose. Answers what is to be sent at once, if anything."""
        target = self._members.get(message.target)
        if target is None or target is self._members.me or target is sender:
            self._counters.add("checks_refused")
            return None
        if target.generation != message.generation:
            self._counters.add("checks_refused")
            # The asker's case is about an earlier life: what is held says so.
            later = target.generation > message.generation
            return self._members.held_claim(target.wire) if later else None
        generation, at, outcome = self._outcomes.get(target.node_id, (0, 0.0, Outcome.SILENT))
        if generation == target.generation and now < at + _FRESH_SECONDS:
            return Checked(message.target, message.generation, outcome)
        knock = self._knock_at(target, now)
        if knock is None or len(knock.askers) >= limits.KNOCK_ASKERS_MAX:
            self._counters.add("checks_refused")
            return None
        if sender.node_id not in knock.askers:
            knock.askers.append(sender.node_id)
        self._counters.add("checks_for_others")
        return None

    def checked(self, message: Checked, sender: Member, now: float) -> Member | None:
        """What another member's knock has shown."""
        case = self._cases.get(message.target)
        waiting = (
            case is not None
            and case.generation == message.generation
            and case.helpers.get(sender.node_id, Outcome.SILENT) is None
        )
        if case is None or not waiting:
            self._counters.add("checks_unexpected")
            return None
        case.helpers[sender.node_id] = message.outcome
        return self._decide(case, now)

    def advance(self, now: float) -> list[Member]:
        """Do what is due; answers whom that convicts."""
        convicted: list[Member] = []
        for number, knock in list(self._knocks.items()):
            if knock.ends_at <= now:
                del self._knocks[number]
                self._conclude(knock, Outcome.SILENT, now)
        for case in list(self._cases.values()):
            if case.next_at is not None and case.next_at <= now:
                member = self._proceed(case, now)
                if member is not None:
                    convicted.append(member)
        return convicted

    def next_deadline(self) -> float | None:
        if not self._knocks and not self._cases:
            return None
        deadlines = [knock.ends_at for knock in self._knocks.values()]
        deadlines += [case.next_at for case in self._cases.values() if case.next_at is not None]
        return min(deadlines, default=None)

    def stop(self) -> None:
        """This node leaves."""
        self._cases.clear()

    def _knock_for(self, case: _Case, member: Member, now: float) -> None:
        case.next_at = None
        knock = self._knock_at(member, now)
        if knock is None:
            self._end(case, now)
        else:
            knock.own = True

    def _knock_at(self, member: Member, now: float) -> _Knock | None:
        """The knock under way there, or a new one; None, counted, when too many are."""
        for knock in self._knocks.values():
            if (knock.target, knock.generation) == (member.node_id, member.generation):
                return knock
        if len(self._knocks) >= limits.KNOCKS_MAX:
            self._counters.add("knocks_dropped")
            return None
        self._counters.add("knocks")
        sequence = self._take_sequence()
        ends_at = now + limits.KNOCK_SECONDS_MAX + _KNOCK_GRACE_SECONDS
        knock = _Knock(member.node_id, member.generation, ends_at, own=False)
        self._knocks[sequence] = knock
        packet = self._outbox.packet(member, self._ping(sequence, now))
        self._outbox.add(Knock(sequence, member.address, packet))
        return knock

    def _conclude(self, knock: _Knock, outcome: Outcome, now: float) -> Member | None:
        """Tell those who asked, and go on with our own case."""
        self._counters.add(f"knocks_{outcome.name.lower()}")
        _remember(self._outcomes, knock.target, (knock.generation, now, outcome))
        for asker in knock.askers:
            member = self._members.get(asker)
            if member is not None:
                checked = Checked(knock.target, knock.generation, outcome)
                self._outbox.send(member, [checked])
        case = self._cases.get(knock.target)
        if case is None or not knock.own or case.generation != knock.generation:
            return None
        if outcome is not Outcome.REFUSED or self._target(case) is None:
            self._end(case, now)
            return None
        case.refusals += 1
        if case.refusals == 1:
            self._ask(case, now)
        return self._decide(case, now)

    def _ask(self, case: _Case, now: float) -> None:
        """Have others knock, too; whoever has nobody to ask knocks again."""
        case.batches += 1
        helpers = [member for member in self._helpers(case) if member.node_id not in case.helpers]
        count = min(max(self._profile.indirect_checks, 3), len(helpers))
        chosen = self._rng.sample(helpers, count)
        for helper in chosen:
            case.helpers[helper.node_id] = None
            self._outbox.send(helper, [Check(case.target, case.generation)])
        few = len(self._helpers(case)) < _HELPERS_MIN
        wait = limits.KNOCK_SECONDS_MAX + self._profile.knock_after
        case.next_at = now + (_REPEAT_SECONDS if few else wait)

    def _decide(self, case: _Case, now: float) -> Member | None:
        """Convict, end, or wait."""
        said = list(case.helpers.values())
        if Outcome.REACHED in said:
            self._end(case, now)
            return None
        if case.refusals and Outcome.REFUSED in said:
            if None not in said:
                return self._convict(case, now)
            settled = now + _SETTLE_SECONDS
            case.next_at = settled if case.next_at is None else min(case.next_at, settled)
        elif len(self._helpers(case)) < _HELPERS_MIN:
            if case.refusals >= 2:
                return self._convict(case, now)
        elif None not in said:
            # All are silent, or gone meanwhile: others may know more.
            case.next_at = now
        return None

    def _proceed(self, case: _Case, now: float) -> Member | None:
        """The wait is over."""
        member = self._target(case)
        if member is None:
            self._end(case, now)
            return None
        if case.refusals and Outcome.REFUSED in case.helpers.values():
            return self._convict(case, now)
        if len(self._helpers(case)) < _HELPERS_MIN:
            self._knock_for(case, member, now)
            return None
        if case.batches >= _BATCHES_MAX or all(
            helper.node_id in case.helpers for helper in self._helpers(case)
        ):
            self._end(case, now)
            return None
        self._ask(case, now)
        return None

    def _convict(self, case: _Case, now: float) -> Member | None:
        del self._cases[case.target]
        member = self._target(case)
        if member is not None:
            self._counters.add("refusal_verdicts")
            _remember(self._verdicts, case.target, (case.generation, now))
        return member

    def _end(self, case: _Case, now: float) -> None:
        """Without a verdict."""
        del self._cases[case.target]
        _remember(self._rests, case.target, now + _REST_SECONDS)

    def _target(self, case: _Case) -> Member | None:
        """Whom a case is about, while it is still about that process and its word."""
        member = self._members.get(case.target)
        if member is None or member.status > Status.SUSPECT:
            return None
        held = (member.generation, member.incarnation)
        return member if held == (case.generation, case.incarnation) else None

    def _helpers(self, case: _Case) -> list[Member]:
        return [
            member
            for member in self._members.reachable()
            if member.status is Status.ALIVE and member.node_id != case.target
        ]


def _remember(table: dict[str, _Value], key: str, value: _Value) -> None:
    """Put at the end of a table that forgets the oldest."""
    table.pop(key, None)
    table[key] = value
    if len(table) > _REMEMBERED_MAX:
        del table[next(iter(table))]
