"""Giving this node's whole state to others: one slice per question, so that nothing piles up here.

The first question pins the state of its moment. The pin hangs on the stream and goes with it, so
nothing else has to remember to let go; each slice given buys time for the next question.
"""

from gossip import limits
from gossip.counters import Counters
from gossip.messages.changes import Fetch, NoSlice, Slice
from gossip.outbox import Origin, Outbox
from gossip.pinned import PinnedSnapshot
from gossip.profiles import Profile
from gossip.replica import GENESIS, Head, Replica
from gossip.streams import Streams


class SnapshotSupply:
    """Answers Fetch."""

    def __init__(
        self,
        replica: Replica,
        streams: Streams,
        outbox: Outbox,
        profile: Profile,
        counters: Counters,
    ) -> None:
        self._replica = replica
        self._streams = streams
        self._outbox = outbox
        self._profile = profile
        self._counters = counters

    def fetched(self, message: Fetch, origin: Origin, now: float) -> None:
        """A member asks for a slice on a stream that it opened."""
        stream = None if origin.stream is None else self._streams.get(origin.stream)
        if stream is None or stream.purpose != "accepted":
            self._counters.add("messages_malformed")
            return
        if stream.pinned is None and message.cursor == 0:
            stream.pinned = self._pin()
        taken = None if stream.pinned is None else stream.pinned.take(message.cursor)
        if stream.pinned is None or taken is None:
            self._counters.add("snapshots_declined")
            self._outbox.answer(origin, [NoSlice(message.cursor)])
            return
        self._counters.add("slices_out")
        self._counters.add("snapshots_given", int(taken.last))
        stream.deadline = now + self._profile.slice_timeout
        answer = Slice(stream.pinned.head, message.cursor, taken.body, taken.last)
        self._outbox.answer(origin, [answer])

    def _pin(self) -> PinnedSnapshot | None:
        """The state as it is now; None when there is none, or too many are being taken."""
        head = Head(*self._replica.head())
        if head.version == GENESIS or self._full():
            return None
        return PinnedSnapshot(head, self._replica.snapshot(limits.SLICE_BYTES))

    def _full(self) -> bool:
        return self._streams.taking_snapshots() >= limits.SNAPSHOTS_GIVEN_MAX
