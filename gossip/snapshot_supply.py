"""Giving this node's whole state to others: one slice per question, so that nothing piles up here.

The first question pins the state of its moment, or takes up a state that another one has pinned
(``gossip.pinned``). What is taken hangs on the stream and goes with it, so nothing else has to
remember to let go; each slice given buys time for the next question.
"""

from gossip import limits
from gossip.counters import Counters
from gossip.messages.changes import Fetch, NoSlice, Slice
from gossip.outbox import Origin, Outbox
from gossip.pinned import Pins, Taking
from gossip.profiles import Profile
from gossip.streams import Stream, Streams


class SnapshotSupply:
    """Answers Fetch."""

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

    def fetched(self, message: Fetch, origin: Origin, now: float) -> None:
        """A member asks for a slice on a stream that it opened."""
        stream = self._streams.asked_on(origin.stream)
        if stream is None:
            return
        if stream.taking is None:
            self._begin(stream, message, now)
        taking = stream.taking
        if taking is not None and taking.is_end(message.cursor):
            return  # asked for before it was known that the one before is the last
        taken = None if taking is None else taking.take(message.cursor)
        if taking is None or taken is None:
            self._counters.add("snapshots_declined")
            self._outbox.answer(origin, [NoSlice(message.cursor)])
            return
        self._counters.add("slices_out")
        self._counters.add("snapshots_given", int(taken.last))
        self._pins.use(taking.pin, now)
        stream.deadline = now + self._profile.slice_timeout
        state_hash = taking.pin.giving.state_hash
        answer = Slice(taking.pin.head, message.cursor, taken.body, taken.last, state_hash)
        self._outbox.answer(origin, [answer])

    def _begin(self, stream: Stream, message: Fetch, now: float) -> None:
        """Pin what is asked for, unless it isn't here, or too many are taking something."""
        goes_on = message.cursor > 0
        makes_sense = goes_on == bool(message.resume) == (message.head is not None)
        if not makes_sense or self._streams.taking() >= limits.SNAPSHOTS_GIVEN_MAX:
            return
        pin = self._pins.get(message.head, now)
        if pin is None:
            return
        taking = Taking(pin)
        try:
            taking.begin(message.cursor, message.resume)
        except ValueError:
            self._counters.add("messages_malformed")
            return
        stream.taking = taking
