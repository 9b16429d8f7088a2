"""Failure detection as a whole: which observations become which verdicts.

Four parts observe. Probes find members that don't answer (``probe``, in the order that ``schedule``
gives), refusals find processes that are gone (``refusal``), watch streams say where to look
(``watch``), and doubt holds back what may be this node's own fault (``doubt``). None of them
touches the member table: what they find becomes a claim here, and is settled like anybody's
(``claims``).
"""

from collections.abc import Iterable

from gossip.claims import Claims
from gossip.doubt import Doubt
from gossip.member import Member, Status
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.membership import (
    Ack,
    Check,
    Checked,
    Nack,
    Outcome,
    PingRequest,
    Unwatch,
    Verdict,
    Watch,
)
from gossip.outbox import Origin, Outbox
from gossip.probe import Prober
from gossip.refusal import Refusals, TcpOutcome, UdpOutcome
from gossip.streams import Stream
from gossip.watch import Watches


class Detection:
    """Watches over the other members."""

    def __init__(
        self,
        members: Members,
        outbox: Outbox,
        claims: Claims,
        prober: Prober,
        refusals: Refusals,
        watches: Watches,
        doubt: Doubt,
    ) -> None:
        self._members = members
        self._outbox = outbox
        self._claims = claims
        self._prober = prober
        self._refusals = refusals
        self._watches = watches
        self._doubt = doubt

    def start(self, now: float) -> None:
        self._prober.start(now)
        self._watches.start()

    def stop(self) -> None:
        """This node leaves: whether others run is no longer its business."""
        self._prober.stop()
        self._refusals.stop()
        self._watches.stop()

    def heard(self, sender: Member, now: float) -> None:
        """Anything at all has come from a member."""
        self._hear(sender.node_id, now)

    def clock_heard(self, milliseconds: int, now: float) -> None:
        """A member's ping carried its cluster clock."""
        self._prober.clock_heard(milliseconds, now)

    def received(self, message: Message, sender: Member, origin: Origin, now: float) -> None:
        """A message of one of the parts, from a member."""
        match message:
            case Ack() if self._refusals.answer_to(message.sequence, sender):
                self._prober.answered(sender)
            case Ack():
                self._prober.acked(message, sender, origin, now)
            case Nack():
                self._prober.nacked(message, sender)
            case PingRequest():
                self._prober.requested(message, sender, now)
            case Check():
                answer = self._refusals.check(message, sender, now)
                if answer is not None:
                    self._outbox.send(sender, [answer])
            case Checked():
                self._condemn(self._refusals.checked(message, sender, now), now)
            case Watch():
                self._watches.requested(sender, origin, now)
            case Unwatch():
                self._watches.parted(message, origin, now)

    def stream_ended(self, stream: Stream, refused: bool, now: float) -> None:
        """A stream has ended without having served its purpose, or at the other side's hands."""
        if stream.purpose in ("watch", "watched"):
            self._watches.ended(stream, now)
        member = self._members.get(stream.peer)
        if refused and member is not None and stream.generation in (0, member.generation):
            self._refusals.hint(member, now)

    def knocked(self, knock: int, udp: UdpOutcome, tcp: TcpOutcome, now: float) -> None:
        """What came of a knock."""
        outcome, convicted = self._refusals.knocked(knock, udp, tcp, now)
        if outcome is not Outcome.SILENT:
            # What refuses is heard, too.
            self._hear(None, now)
        self._condemn(convicted, now)

    def advance(self, now: float) -> None:
        findings = self._prober.advance(now)
        for failure in findings.failures:
            self._accuse(self._doubt.failed(failure, now), now)
        self._accuse(self._doubt.advance(now), now)
        for member in findings.overdue:
            self._refusals.hint(member, now)
        for member in self._refusals.advance(now):
            self._condemn(member, now)
        if self._doubt.ends_at is None:
            for member in self._members.condemned(now):
                self._condemn(member, now)
        self._watches.advance(now)

    def next_deadline(self) -> float | None:
        judged_at, doubt_ends_at = self._members.next_judgement(), self._doubt.ends_at
        if judged_at is not None and doubt_ends_at is not None:
            judged_at = max(judged_at, doubt_ends_at)
        deadlines = (
            self._prober.next_deadline(),
            self._refusals.next_deadline(),
            self._watches.next_deadline(),
            doubt_ends_at,
            judged_at,
        )
        return min([deadline for deadline in deadlines if deadline is not None], default=None)

    def grant_time(self, seconds: float) -> None:
        """This process stood still for so long and judges nobody for that."""
        self._members.grant_time(seconds)
        self._prober.grant_time(seconds)
        self._doubt.grant_time(seconds)

    def _accuse(self, accusations: Iterable[Verdict], now: float) -> None:
        for accusation in accusations:
            self._claims.accuse(accusation, now)

    def _condemn(self, member: Member | None, now: float) -> None:
        if member is not None:
            self._claims.condemn(member, now)

    def _hear(self, sender: str | None, now: float) -> None:
        running = self._members.reachable() if self._doubt.ends_at is not None else ()
        others = sum(1 for member in running if member.status <= Status.SUSPECT)
        self._accuse(self._doubt.heard(sender, others, now), now)
