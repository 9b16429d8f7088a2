"""Answering others that ask what differs between this node's state and theirs.

What answers need (an index of the whole state, a search in it) is made a piece at a time, between
which everything else goes on. Who asked waits meanwhile, and is told now and then to ask again.
"""

from typing import NamedTuple

from gossip import limits
from gossip.counters import Counters
from gossip.messages.repair import Reconcile, Reconciled, Unreconciled
from gossip.outbox import Origin, Outbox
from gossip.pinned import Pin, Pins, Taking
from gossip.profiles import Profile
from gossip.streams import Stream, Streams


class _Waiting(NamedTuple):
    """A question whose answer takes work."""

    origin: Origin
    stream: Stream
    question: bytes
    since: float


class ReconcileSupply:
    """Answers Reconcile."""

    def __init__(
        self,
        pins: Pins,
        streams: Streams,
        outbox: Outbox,
        profile: Profile,
        counters: Counters,
    ) -> None:
        self._pins = pins
        self._streams = streams
        self._outbox = outbox
        self._profile = profile
        self._counters = counters
        self._waiting: dict[int, _Waiting] = {}
        """By stream."""
        self._busy: list[Pin] = []
        """Those that may have work to do."""
        self._work_at = 0.0

    def asked(self, message: Reconcile, origin: Origin, now: float) -> None:
        """A member asks on a stream that it opened."""
        stream = self._streams.asked_on(origin.stream)
        if stream is None:
            return
        full = self._streams.taking() >= limits.SNAPSHOTS_GIVEN_MAX
        if stream.taking is None and not full:
            pin = self._pins.get(message.head, now)
            stream.taking = None if pin is None else Taking(pin)
        taking = stream.taking
        if taking is None or message.head not in (None, taking.pin.head):
            self._decline(origin)
            return
        self._pins.use(taking.pin, now)
        stream.deadline = now + limits.RECONCILE_SECONDS
        if not message.question:
            self._answer(origin, taking.pin, b"")
        else:
            self._serve(_Waiting(origin, stream, message.question, now), taking.pin, now)

    def advance(self, now: float) -> None:
        """Do a piece of work, and answer what it was for."""
        if not self._busy or now < self._work_at:
            return
        self._work_at = now + limits.WORK_PAUSE
        pin = self._busy.pop(0)
        if pin.giving.work():
            self._busy.append(pin)
        for number, waiting in list(self._waiting.items()):
            if self._streams.get(number) is not waiting.stream:
                del self._waiting[number]
            elif waiting.stream.taking is not None and waiting.stream.taking.pin is pin:
                self._serve(waiting, pin, now)

    def next_deadline(self) -> float | None:
        return self._work_at if self._busy else None

    def _serve(self, waiting: _Waiting, pin: Pin, now: float) -> None:
        number = waiting.stream.id
        self._waiting.pop(number, None)
        try:
            answer = pin.giving.answer(waiting.question)
        except ValueError:
            self._counters.add("messages_malformed")
            self._decline(waiting.origin)
            return
        if pin not in self._busy:
            self._work_at = self._work_at if self._busy else now
            self._busy.append(pin)
        if answer is None and now - waiting.since < self._profile.slice_timeout / 2:
            self._waiting[number] = waiting
        else:
            self._answer(waiting.origin, pin, answer or b"")

    def _answer(self, origin: Origin, pin: Pin, answer: bytes) -> None:
        self._counters.add("reconciles_answered")
        self._outbox.answer(origin, [Reconciled(pin.head, pin.giving.state_hash, answer)])

    def _decline(self, origin: Origin) -> None:
        self._counters.add("reconciles_declined")
        self._outbox.answer(origin, [Unreconciled()])
