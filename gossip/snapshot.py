"""Taking a peer's whole state, for a replica that no log can repair.

    idle --(begin)--> asking a peer --(the last slice)--> installed, or the next peer
                      asking --(dead, slow)--> another that has the same state, from there on
                      asking --(refused, wrong, nobody has it)--> the next peer, from the start
                      asking --(no peer left, or enough tried)--> failed

A question per slice: the giver sends no more than was asked for, and a peer that stops giving is
left after the time of one slice, however large the whole is. One more is asked for than is being
taken in, so that neither side waits for the other. Each slice is taken in as it comes,
beside what is served; nothing of that changes before the last one is in. Pushes that arrive
meanwhile wait in the early buffer, and what the peer had learned after its snapshot was pinned is
repaired from its log as ever.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from gossip import limits
from gossip.counters import Counters
from gossip.donors import Donors, Failure
from gossip.events import SnapshotFailed, SnapshotInstalled
from gossip.identity import wire_id
from gossip.member import Member
from gossip.members import Members
from gossip.messages.changes import Fetch, NoSlice, Slice
from gossip.outbox import Origin, Outbox
from gossip.profiles import Profile
from gossip.replica import Head, Installation, Replica
from gossip.streams import Stream, Streams


@dataclass(slots=True, eq=False)
class _Intake:
    """A snapshot at one head, as far as it has been taken in, from whatever peers."""

    head: Head
    state_hash: bytes
    installation: Installation
    taken: int = 0
    """Slices."""
    size: int = 0
    """Bytes of the slices."""
    left: list[str] = field(default_factory=list)
    """Peers that broke off, or couldn't go on."""


@dataclass(slots=True, eq=False)
class _Attempt:
    """A peer that is being asked."""

    stream: Stream
    peer: str
    intake: _Intake | None
    """None before the first slice."""
    resuming: bool
    """Whether it hasn't given anything yet of what another began."""
    asked: int
    """Slices that it was asked for, and those before them."""


class SnapshotFetch:
    """The effort to install some peer's whole state. ``installed`` is called when it was."""

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
        self._outbox = outbox
        self._profile = profile
        self._counters = counters
        self._installed = installed
        self._attempt: _Attempt | None = None
        self._donors = Donors(members, replica, rng)

    @property
    def under_way(self) -> bool:
        return self._attempt is not None

    def begin(self, now: float, renew: bool = False) -> bool:
        """Ask a peer, unless that is under way; False when no peer can be asked.

        With ``renew`` what is held here is damaged: a state of its own version will do.
        """
        if self._attempt is None:
            self._donors.begin(renew=renew)
            self._ask_next(None, now)
        return self._attempt is not None

    def received(self, message: Slice, sender: Member, origin: Origin, now: float) -> None:
        """A slice has come: take it in and ask for the next, or serve them all."""
        attempt = self._answered(sender, origin)
        if attempt is None:
            return
        self._counters.add("slices_in")
        failure = self._judge(message, attempt.intake)
        if failure is not None:
            self._fail(attempt, failure, now)
            return
        if message.head.version <= self._replica.head()[0] and not self._donors.renew:
            self._overtaken(attempt)
            return
        intake = attempt.intake = attempt.intake or _Intake(
            message.head,
            message.state_hash,
            self._replica.begin_install(
                *message.head, message.state_hash, renew=self._donors.renew
            ),
        )
        attempt.resuming = False
        intake.taken += 1
        intake.size += len(message.body)
        if not intake.installation.feed(message.body):
            self._fail(attempt, "corrupt", now)
            return
        if message.last:
            self._finish(attempt, intake, now)
            return
        attempt.stream.deadline = now + self._profile.slice_timeout
        end = intake.taken + limits.SLICES_ASKED_MAX
        following = [Fetch(cursor) for cursor in range(attempt.asked, end)]
        attempt.asked = end
        self._outbox.send_frame(attempt.stream.id, wire_id(attempt.peer), following)

    def declined(self, message: NoSlice, sender: Member, origin: Origin, now: float) -> None:
        """The peer doesn't give one now."""
        attempt = self._answered(sender, origin)
        if attempt is None:
            return
        if attempt.resuming:
            # It hasn't got what was begun elsewhere. It may well give its own.
            self._break_off(attempt, now)
        else:
            self._fail(attempt, "busy", now)

    def ended(self, stream: Stream, now: float) -> None:
        """A stream of this purpose has closed, or ran out of time."""
        attempt = self._attempt
        if attempt is None or attempt.stream is not stream:
            return
        self._counters.add("snapshots_silent")
        self._donors.failures[attempt.peer] = "silent"
        self._break_off(attempt, now)

    def _judge(self, message: Slice, intake: _Intake | None) -> Failure | None:
        """What is wrong with this slice; None when it is the next one."""
        taken = size = 0
        if intake is None:
            if not self._donors.is_of_use(message.head.version):
                return "broken"
        else:
            taken, size = intake.taken, intake.size
            if (message.head, message.state_hash) != (intake.head, intake.state_hash):
                return "broken"
        if message.cursor != taken:
            return "broken"
        too_large = size + len(message.body) > limits.SNAPSHOT_BYTES_MAX
        if too_large or message.cursor >= limits.SNAPSHOT_SLICES_MAX:
            return "oversized"
        return None

    def _answered(self, sender: Member, origin: Origin) -> _Attempt | None:
        """The attempt that a message answers."""
        attempt = self._attempt
        expected = None if attempt is None else (attempt.stream.id, attempt.peer)
        if attempt is None or (origin.stream, sender.node_id) != expected:
            self._counters.add("slices_unexpected")
            return None
        return attempt

    def _ask_next(self, intake: _Intake | None, now: float) -> None:
        """Ask another peer: to go on with what was begun, if somebody can."""
        self._attempt = None
        if intake is not None:
            successor = self._donors.successor(intake.head, intake.left)
            if successor is not None:
                self._counters.add("snapshots_resumed")
                resume = intake.installation.resume()
                self._ask(successor, Fetch(intake.taken, intake.head, resume), intake, now)
                return
            intake.installation.abandon()
        peer = self._donors.next()
        if peer is None:
            self._give_up()
            return
        self._counters.add("snapshots_asked")
        self._ask(peer, Fetch(0), None, now)

    def _ask(self, peer: Member, question: Fetch, intake: _Intake | None, now: float) -> None:
        frame = self._outbox.frame(peer.wire, [question])
        stream = self._streams.open("snapshot", peer.address, peer.node_id, frame, now)
        if stream is None:
            if intake is not None:
                intake.installation.abandon()
            self._donors.failures[peer.node_id] = "silent"
            self._give_up()
            return
        stream.deadline = now + self._profile.slice_timeout
        taken = 0 if intake is None else intake.taken
        self._attempt = _Attempt(stream, peer.node_id, intake, intake is not None, taken + 1)

    def _finish(self, attempt: _Attempt, intake: _Intake, now: float) -> None:
        attempt.intake = None
        outcome = intake.installation.finish()
        if outcome == "corrupt":
            self._fail(attempt, "corrupt", now)
        elif outcome == "stale":
            self._overtaken(attempt)
        else:
            self._end(attempt)
            self._counters.add("snapshots_installed")
            self._outbox.notify(SnapshotInstalled(Head(*self._replica.head())))
            self._installed(now)

    def _fail(self, attempt: _Attempt, failure: Failure, now: float) -> None:
        """Leave this peer and what it gave, and try another."""
        self._counters.add(f"snapshots_{failure}")
        self._end(attempt)
        self._donors.failures[attempt.peer] = failure
        self._ask_next(None, now)

    def _break_off(self, attempt: _Attempt, now: float) -> None:
        """Leave this peer, but keep what has been taken in."""
        intake, attempt.intake = attempt.intake, None
        self._end(attempt)
        if intake is not None:
            intake.left.append(attempt.peer)
        self._ask_next(intake, now)

    def _overtaken(self, attempt: _Attempt) -> None:
        """Nothing to gain any more: the authority is back, or a log did reach."""
        self._counters.add("snapshots_overtaken")
        self._end(attempt)
        self._outbox.notify(SnapshotFailed("overtaken"))

    def _end(self, attempt: _Attempt) -> None:
        if attempt.intake is not None:
            attempt.intake.installation.abandon()
            attempt.intake = None
        self._streams.finish(attempt.stream.id)
        self._attempt = None

    def _give_up(self) -> None:
        gravest = self._donors.gravest()
        if gravest is not None:
            self._counters.add("snapshots_failed")
            self._outbox.notify(SnapshotFailed(gravest))
