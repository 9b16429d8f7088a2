"""Taking a peer's whole state, for a replica that no log can repair while the authority is away.

    idle --(begin)--> asking a peer --(the last slice)--> installed, or the next peer
                      asking --(refused, dead, slow, wrong)--> the next peer
                      asking --(no peer left, or enough tried)--> failed

A question per slice: the giver sends no more than was asked for, and a peer that stops giving is
left after the time of one slice, however large the whole is. Each slice is taken in as it comes,
beside what is served; nothing of that changes before the last one is in. Pushes that arrive
meanwhile wait in the early buffer, and what the peer had learned after its snapshot was pinned is
repaired from its log as ever.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gossip import limits
from gossip.counters import Counters
from gossip.events import SnapshotFailed, SnapshotInstalled
from gossip.identity import wire_id
from gossip.member import Member
from gossip.members import Members
from gossip.messages.changes import Fetch, NoSlice, Slice
from gossip.outbox import Origin, Outbox
from gossip.profiles import Profile
from gossip.replica import Head, Installation, Replica, Version
from gossip.streams import Stream, Streams

Failure = Literal["busy", "silent", "broken", "oversized", "corrupt"]

_GRAVITY: tuple[Failure, ...] = ("busy", "silent", "broken", "oversized", "corrupt")

_CANDIDATES = 3
"""Of so many peers drawn by lot the one furthest ahead is asked: newcomers that start together
spread, and none picks a laggard."""


@dataclass(slots=True, eq=False)
class _Attempt:
    """A snapshot on its way from one peer."""

    stream: Stream
    peer: str
    above: Version
    """Ours when the peer was asked; it had shown a higher one."""
    head: Head | None = None
    """What the snapshot is of, as its first slice said."""
    installation: Installation | None = None
    """What has been taken in; None before the first slice."""
    taken: int = 0
    """Slices."""
    size: int = 0
    """Bytes of the slices."""

    def judge(self, message: Slice) -> Failure | None:
        """What is wrong with this slice; None when it is the next one."""
        if message.head.version <= self.above or message.head != (self.head or message.head):
            return "broken"
        if message.cursor != self.taken:
            return "broken"
        too_large = self.size + len(message.body) > limits.SNAPSHOT_BYTES_MAX
        if too_large or message.cursor >= limits.SNAPSHOT_SLICES_MAX:
            return "oversized"
        return None

    def take(self, message: Slice, replica: Replica) -> bool:
        """Take in the next one; False when it is damaged."""
        if self.installation is None:
            self.head = message.head
            self.installation = replica.begin_install(*message.head)
        self.taken += 1
        self.size += len(message.body)
        return self.installation.feed(message.body)

    def abandon(self) -> None:
        """Nothing comes of it."""
        if self.installation is not None:
            self.installation.abandon()
            self.installation = None


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
        self._members = members
        self._streams = streams
        self._outbox = outbox
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._installed = installed
        self._attempt: _Attempt | None = None
        self._failures: dict[str, Failure] = {}
        """Peers tried in this effort."""

    def begin(self, now: float) -> bool:
        """Ask a peer, unless that is under way; False when no peer can be asked."""
        if self._attempt is None:
            self._failures.clear()
            self._ask_next(now)
        return self._attempt is not None

    def received(self, message: Slice, sender: Member, origin: Origin, now: float) -> None:
        """A slice has come: take it in and ask for the next, or serve them all."""
        attempt = self._answered(sender, origin)
        if attempt is None:
            return
        self._counters.add("slices_in")
        failure = attempt.judge(message)
        if failure is not None:
            self._fail(attempt, failure, now)
            return
        if message.head.version <= self._replica.head()[0]:
            self._overtaken(attempt)
            return
        if not attempt.take(message, self._replica):
            self._fail(attempt, "corrupt", now)
            return
        if message.last:
            self._finish(attempt, message.head, now)
            return
        attempt.stream.deadline = now + self._profile.slice_timeout
        following = Fetch(message.cursor + 1)
        self._outbox.send_frame(attempt.stream.id, wire_id(attempt.peer), [following])

    def declined(self, message: NoSlice, sender: Member, origin: Origin, now: float) -> None:
        """The peer doesn't give one now."""
        attempt = self._answered(sender, origin)
        if attempt is not None:
            self._fail(attempt, "busy", now)

    def ended(self, stream: Stream, now: float) -> None:
        """A stream of this purpose has closed, or ran out of time."""
        if self._attempt is not None and self._attempt.stream is stream:
            self._fail(self._attempt, "silent", now)

    def _answered(self, sender: Member, origin: Origin) -> _Attempt | None:
        """The attempt that a message answers."""
        attempt = self._attempt
        expected = None if attempt is None else (attempt.stream.id, attempt.peer)
        if attempt is None or (origin.stream, sender.node_id) != expected:
            self._counters.add("slices_unexpected")
            return None
        return attempt

    def _ask_next(self, now: float) -> None:
        self._attempt = None
        peer = self._choose() if len(self._failures) < limits.SNAPSHOT_PEERS_MAX else None
        if peer is None:
            self._give_up()
            return
        self._counters.add("snapshots_asked")
        above = self._replica.head()[0]
        frame = self._outbox.frame(peer.wire, [Fetch(0)])
        stream = self._streams.open("snapshot", peer.address, peer.node_id, frame, now)
        if stream is None:
            self._failures[peer.node_id] = "silent"
            self._give_up()
            return
        stream.deadline = now + self._profile.slice_timeout
        self._attempt = _Attempt(stream, peer.node_id, above)

    def _choose(self) -> Member | None:
        mine = self._replica.head()[0]
        able = [
            (member.serving, member)
            for member in self._members.reachable()
            if member.serving is not None
            and member.serving > mine
            and member.node_id not in self._failures
        ]
        drawn = self._rng.sample(able, min(len(able), _CANDIDATES))
        return max(drawn, key=lambda candidate: candidate[0])[1] if drawn else None

    def _finish(self, attempt: _Attempt, head: Head, now: float) -> None:
        installation, attempt.installation = attempt.installation, None
        assert installation is not None, "its last slice has just been taken in"
        outcome = installation.finish()
        if outcome == "corrupt":
            self._fail(attempt, "corrupt", now)
        elif outcome == "stale":
            self._overtaken(attempt)
        else:
            self._end(attempt)
            self._counters.add("snapshots_installed")
            self._outbox.notify(SnapshotInstalled(head))
            self._installed(now)

    def _fail(self, attempt: _Attempt, failure: Failure, now: float) -> None:
        """Leave this peer, and try another."""
        self._counters.add(f"snapshots_{failure}")
        self._end(attempt)
        self._failures[attempt.peer] = failure
        self._ask_next(now)

    def _overtaken(self, attempt: _Attempt) -> None:
        """Nothing to gain any more: the authority is back, or a log did reach."""
        self._counters.add("snapshots_overtaken")
        self._end(attempt)
        self._outbox.notify(SnapshotFailed("overtaken"))

    def _end(self, attempt: _Attempt) -> None:
        attempt.abandon()
        self._streams.finish(attempt.stream.id)
        self._attempt = None

    def _give_up(self) -> None:
        failures: Sequence[Failure] = tuple(self._failures.values())
        if failures:
            self._counters.add("snapshots_failed")
            self._outbox.notify(SnapshotFailed(max(failures, key=_GRAVITY.index)))
