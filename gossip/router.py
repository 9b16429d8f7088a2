"""From messages to the parts that they concern, by who may send them.

Anyone who can seal an envelope (or, in clear, anyone) may speak for itself: strangers introduce
themselves, ask who is there, and are told what is held about them. Everything else takes a member.
"""

from gossip.allegiance import Allegiance
from gossip.claims import Claims
from gossip.contest import Contests
from gossip.counters import Counters
from gossip.detection import Detection
from gossip.dissemination import Dissemination
from gossip.fence import Fences
from gossip.history import HistoryInquiry
from gossip.identity import wire_id
from gossip.member import Member, Status
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.changes import (
    Announce,
    Distant,
    Fetch,
    Heartbeat,
    Missing,
    NoSlice,
    Pull,
    Push,
    Request,
    Slice,
)
from gossip.messages.fence import FenceAnswer, FenceQuestion
from gossip.messages.history import Answer, Question
from gossip.messages.keys import Keys, KeysWanted
from gossip.messages.membership import (
    Ack,
    Alive,
    Check,
    Checked,
    Identified,
    Identify,
    Nack,
    Ping,
    PingRequest,
    PushPull,
    TableDigest,
    Unwatch,
    Verdict,
    Watch,
)
from gossip.messages.observations import Observation
from gossip.messages.purges import Purge, PurgeMark, PurgesWanted
from gossip.messages.registers import Register
from gossip.messages.repair import Compare, Reconcile, Reconciled, Unreconciled
from gossip.messages.spreading import Holds
from gossip.observations import Observations
from gossip.outbox import Origin, Outbox
from gossip.own_record import OwnRecord
from gossip.purges import Purges
from gossip.pushpull import TableExchange
from gossip.registers import Registers
from gossip.relaying import Relaying
from gossip.rotation import Rotation
from gossip.transfer import Transfer
from gossip.wire import Parts


class Router:
    """Sends each message to the part that it concerns."""

    def __init__(
        self,
        members: Members,
        own: OwnRecord,
        allegiance: Allegiance,
        claims: Claims,
        contests: Contests,
        detection: Detection,
        exchange: TableExchange,
        dissemination: Dissemination,
        relaying: Relaying,
        rotation: Rotation,
        transfer: Transfer,
        history: HistoryInquiry,
        fences: Fences,
        purges: Purges,
        registers: Registers,
        observations: Observations,
        outbox: Outbox,
        counters: Counters,
    ) -> None:
        self._members = members
        self._own = own
        self._allegiance = allegiance
        self._claims = claims
        self._contests = contests
        self._detection = detection
        self._exchange = exchange
        self._dissemination = dissemination
        self._relaying = relaying
        self._rotation = rotation
        self._transfer = transfer
        self._purges = purges
        self._registers = registers
        self._observations = observations
        self._history = history
        self._fences = fences
        self._outbox = outbox
        self._counters = counters

    def received(self, parts: Parts, origin: Origin, now: float) -> None:
        """What a packet or frame held."""
        for message, author in self._relaying.unwrap(parts, origin, now):
            if self._own.ended:
                return
            self._dispatch(message, author, now)
        sender = self._members.sender(origin.sender)
        if sender is not None and sender is not self._members.me:
            sender.heard_at = now
            self._detection.heard(sender, now)
        self._relaying.release(now)
        self._claims.compare_records(now)
        self._claims.correct(origin)

    def _dispatch(self, message: Message, origin: Origin, now: float) -> None:
        """Messages that anyone may send: claims (strangers about themselves or us), pings,
        questions of identity and table exchanges. Looked up per message: a claim may have made the
        sender a member just now."""
        sender = self._members.sender(origin.sender)
        match message:
            case Alive() if sender is not None or wire_id(message.node_id) == origin.sender:
                self._claims.alive(message, origin, now)
            case Ping():
                self._answer_ping(message, sender, origin, now)
            case Identify():
                self._contests.asked(message, origin, now)
            case Identified():
                self._contests.answered(message, origin)
            case PushPull() | TableDigest() if self._allegiance.is_foreign(origin.sender):
                self._exchange.refused(message, origin)
            case PushPull():
                self._exchange.received(message, origin, now)
            case TableDigest():
                self._exchange.compared(message, origin, now)
            case Verdict() if message.node_id == self._members.me.node_id:
                # From strangers too: who buried this node must be able to tell it.
                self._claims.verdict(message, origin, now)
            case _ if sender is None:
                self._counters.add("dropped_stranger")
            case _:
                self._dispatch_member(message, sender, origin, now)

    def _dispatch_member(
        self, message: Message, sender: Member, origin: Origin, now: float
    ) -> None:
        """Messages that only members may send."""
        match message:
            case Verdict():
                self._claims.verdict(message, origin, now)
            case Heartbeat():
                self._dissemination.heard(message, sender, now)
                self._rotation.heard(message, sender, now)
                self._claims.marked(sender, message.record)
            case Push():
                self._dissemination.pushed(message, sender, now)
            case Ack() | Nack() | PingRequest() | Check() | Checked() | Watch() | Unwatch():
                self._detection.received(message, sender, origin, now)
            case Holds():
                self._dissemination.told(message, sender, now)
            case Announce():
                self._dissemination.announced(message, sender, now)
            case Missing():
                self._dissemination.missing(message, sender, now)
            case Distant():
                self._dissemination.sent_away(message, sender, now)
            case Request():
                self._dissemination.requested(sender, message, now)
            case Pull() if origin.stream is not None:
                self._dissemination.pulled(origin, message, now)
            case Fetch() | Slice() | NoSlice() | Reconcile() | Reconciled() | Unreconciled():
                self._transfer.received(message, sender, origin, now)
            case Compare():
                self._dissemination.comparison.compared(message, sender, now)
            case Keys():
                if self._rotation.told(message, sender, now):
                    self._outbox.send(sender, [self._dissemination.heartbeat(now)])
            case Question():
                self._history.questioned(message, sender)
            case Answer():
                self._history.answered(message, sender)
            case FenceQuestion() | FenceAnswer():
                self._fences.received(message, sender, now)
            case KeysWanted():
                self._rotation.wanted(sender, now)
            case Purge():
                self._purges.received(message, sender, now)
            case PurgeMark():
                self._purges.shown(message, sender, now)
            case PurgesWanted():
                self._purges.wanted(message, sender)
            case Register():
                by_stream = origin.stream is not None
                self._registers.received(message, sender, now, by_stream=by_stream)
            case Observation():
                self._observations.received(message, sender, now)
            case _:
                self._counters.add("messages_malformed")

    def _answer_ping(
        self, message: Ping, sender: Member | None, origin: Origin, now: float
    ) -> None:
        if sender is not None:
            self._detection.clock_heard(message.clock, now)
        answers: list[Message] = [Ack(message.sequence)]
        if sender is not None and sender.status <= Status.SUSPECT:
            answers += self._members.accusations(sender)
        else:
            # Whoever is held for dead (or forgotten as such) must hear of it to refute. Where there
            # is no room for that it isn't acked, either, and asks again by stream: told no more
            # than that all is well it would go on believing so.
            held = self._members.held_claim(origin.sender)
            if held is not None:
                answers.insert(0, held)
        answers.append(self._dissemination.heartbeat(now))
        self._outbox.answer(origin, answers)
