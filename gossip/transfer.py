"""States on their way between replicas: both ways of taking a peer's, and of giving ours."""

import random
from collections.abc import Callable

from gossip.counters import Counters
from gossip.member import Member
from gossip.members import Members
from gossip.messages.changes import Fetch, NoSlice, Slice
from gossip.messages.repair import Reconcile, Reconciled, Unreconciled
from gossip.outbox import Origin, Outbox
from gossip.pinned import Pins
from gossip.profiles import Profile
from gossip.reconcile import ReconcileWithPeers
from gossip.reconcile_supply import ReconcileSupply
from gossip.replica import GENESIS, Replica
from gossip.snapshot import SnapshotFetch
from gossip.snapshot_supply import SnapshotSupply
from gossip.streams import Stream, Streams

Message = Fetch | Slice | NoSlice | Reconcile | Reconciled | Unreconciled


class Transfer:
    """``installed(now)`` is called when the replica has come to a peer's state."""

    def __init__(
        self,
        replica: Replica,
        members: Members,
        streams: Streams,
        outbox: Outbox,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
        installed: Callable[[float], None],
    ) -> None:
        self._replica = replica
        self._streams = streams
        self._tell_installed = installed
        self._snapshot = SnapshotFetch(
            replica, members, streams, outbox, profile, rng, counters, self._installed
        )
        self._reconcile = ReconcileWithPeers(
            replica, members, streams, outbox, profile, rng, counters, self._installed,
            self._snapshot.begin,
        )  # fmt: skip
        self.pins = Pins(replica)
        self._snapshot_supply = SnapshotSupply(self.pins, streams, outbox, profile, counters)
        self._reconcile_supply = ReconcileSupply(self.pins, streams, outbox, profile, counters)

    def begin(self, now: float, *, damaged: bool) -> bool:
        """See ``Gossip.fetch_snapshot``."""
        if self._snapshot.under_way or self._reconcile.under_way:
            return True
        if self._replica.head()[0] == GENESIS:
            return self._snapshot.begin(now)
        return self._reconcile.begin(now, renew=damaged)

    def received(self, message: Message, sender: Member, origin: Origin, now: float) -> None:
        """A member asks for something of our state, or gives something of its own."""
        match message:
            case Fetch():
                self._snapshot_supply.fetched(message, origin, now)
            case Slice():
                self._snapshot.received(message, sender, origin, now)
            case NoSlice():
                self._snapshot.declined(message, sender, origin, now)
            case Reconcile():
                self._reconcile_supply.asked(message, origin, now)
            case Reconciled():
                self._reconcile.received(message, sender, origin, now)
            case Unreconciled():
                self._reconcile.declined(message, sender, origin, now)

    def ended(self, stream: Stream, now: float) -> None:
        """A stream has closed, or ran out of time."""
        if stream.purpose == "snapshot":
            self._snapshot.ended(stream, now)
        elif stream.purpose == "reconcile":
            self._reconcile.ended(stream, now)

    def advance(self, now: float) -> None:
        """Do a piece of the work that is to be done."""
        self.pins.advance(now)
        self._reconcile.advance(now)
        self._reconcile_supply.advance(now)

    def _installed(self, now: float) -> None:
        self.forget()
        self._tell_installed(now)

    def forget(self) -> None:
        """What was held was replaced, as it may have been damaged: nobody is given more of it."""
        self.pins.forget()
        self._streams.end_takings()

    def next_deadline(self) -> float | None:
        deadlines = (
            self.pins.next_deadline(),
            self._reconcile.next_deadline(),
            self._reconcile_supply.next_deadline(),
        )
        return min([deadline for deadline in deadlines if deadline is not None], default=None)
