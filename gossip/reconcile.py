"""Making good for what differs from a peer's state, in bytes that grow with what differs.

    idle --(begin)--> greeting a peer --(its head)--> asking, working, asking ... --> installed
                      asking --(dead, slow)--> another that has the same state, from there on
                      asking --(refused, wrong, nobody has it)--> the next peer, from the start
                      asking --(so much differs)--> the whole state instead
                      asking --(no peer left, or enough tried)--> failed

What is asked, and what it comes to, the replica knows; here is whom to ask and for how long. A
question per answer. The work in between (the replica indexes itself, and reads what came) is done a
piece at a time, between which everything else goes on.
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
from gossip.messages.repair import Reconcile, Reconciled, Unreconciled
from gossip.outbox import Origin, Outbox
from gossip.profiles import Profile
from gossip.replica import Head, Reconciliation, Replica, Step
from gossip.streams import Stream, Streams


@dataclass(slots=True, eq=False)
class _Effort:
    """Towards one state, with whatever peers have it."""

    head: Head
    state_hash: bytes
    reconciliation: Reconciliation
    question: bytes = b""
    """The one that waits for its answer; empty while there is work to do."""
    size: int = 0
    """Bytes of the answers."""
    left: list[str] = field(default_factory=list)
    """Peers that broke off, or couldn't go on."""


@dataclass(slots=True, eq=False)
class _Attempt:
    """A peer that is being asked."""

    stream: Stream
    peer: str
    effort: _Effort | None
    """None before its state is known."""
    since: float
    """When it last said anything of use."""
    greeted: bool = False
    """Whether it has said that it has the state."""


class ReconcileWithPeers:
    """The effort to come to some peer's state. ``installed`` is called when it was reached, and
    ``take_whole(now, renew)`` when the whole is better taken."""

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
        take_whole: Callable[[float, bool], bool],
    ) -> None:
        self._replica = replica
        self._streams = streams
        self._outbox = outbox
        self._profile = profile
        self._counters = counters
        self._installed = installed
        self._take_whole = take_whole
        self._attempt: _Attempt | None = None
        self._donors = Donors(members, replica, rng)
        self._work_at: float | None = None

    @property
    def under_way(self) -> bool:
        return self._attempt is not None

    def begin(self, now: float, *, renew: bool) -> bool:
        """Ask a peer, unless that is under way; False when no peer can be asked.

        With ``renew`` what is held here is damaged: a state of its own version will do.
        """
        if self._attempt is None:
            self._donors.begin(renew=renew)
            self._ask_next(None, now)
        return self._attempt is not None

    def received(self, message: Reconciled, sender: Member, origin: Origin, now: float) -> None:
        """A peer has answered."""
        attempt = self._answered(sender, origin)
        if attempt is None:
            return
        self._counters.add("reconcile_bytes_in", len(message.answer))
        failure = self._judge(message, attempt.effort)
        if failure is not None:
            self._fail(attempt, failure, now)
            return
        effort = attempt.effort
        if effort is None:
            begun = self._replica.begin_reconcile(
                *message.head, message.state_hash, renew=self._donors.renew
            )
            effort = attempt.effort = _Effort(message.head, message.state_hash, begun)
            attempt.greeted = True
            self._go_on(attempt, effort, begun.proceed(), now)
        elif not attempt.greeted:
            attempt.greeted = True
            attempt.since = now
            self._ask_on(attempt, effort, now)
        elif not effort.question:
            self._counters.add("reconciles_unexpected")
        elif not message.answer:
            self._ask_again(attempt, effort, now)
        else:
            effort.size += len(message.answer)
            effort.question = b""
            attempt.since = now
            self._go_on(attempt, effort, effort.reconciliation.proceed(message.answer), now)

    def declined(self, message: Unreconciled, sender: Member, origin: Origin, now: float) -> None:
        """The peer doesn't answer this."""
        attempt = self._answered(sender, origin)
        if attempt is None:
            return
        if attempt.effort is not None:
            # It hasn't got what was begun, or no longer. It may well have its own.
            self._break_off(attempt, now)
        else:
            self._fail(attempt, "busy", now)

    def ended(self, stream: Stream, now: float) -> None:
        """A stream of this purpose has closed, or ran out of time."""
        attempt = self._attempt
        if attempt is None or attempt.stream is not stream:
            return
        self._counters.add("reconciles_silent")
        self._donors.failures[attempt.peer] = "silent"
        self._break_off(attempt, now)

    def advance(self, now: float) -> None:
        """Do a piece of the work."""
        attempt = self._attempt
        if self._work_at is None or now < self._work_at:
            return
        self._work_at = None
        if attempt is not None and attempt.effort is not None and not attempt.effort.question:
            self._go_on(attempt, attempt.effort, attempt.effort.reconciliation.proceed(), now)

    def next_deadline(self) -> float | None:
        return self._work_at

    def _judge(self, message: Reconciled, effort: _Effort | None) -> Failure | None:
        """What is wrong with this answer, apart from what it says."""
        if effort is None:
            return None if self._donors.is_of_use(message.head.version) else "broken"
        if (message.head, message.state_hash) != (effort.head, effort.state_hash):
            return "broken"
        too_large = effort.size + len(message.answer) > limits.SNAPSHOT_BYTES_MAX
        return "oversized" if too_large else None

    def _answered(self, sender: Member, origin: Origin) -> _Attempt | None:
        """The attempt that a message answers."""
        attempt = self._attempt
        expected = None if attempt is None else (attempt.stream.id, attempt.peer)
        if attempt is None or (origin.stream, sender.node_id) != expected:
            self._counters.add("reconciles_unexpected")
            return None
        return attempt

    def _go_on(self, attempt: _Attempt, effort: _Effort, step: bytes | Step, now: float) -> None:
        """Do what the replica says comes next."""
        if isinstance(step, bytes):
            effort.question = step
            if attempt.greeted:
                self._ask_on(attempt, effort, now)
        elif step == "working":
            attempt.stream.deadline = now + limits.RECONCILE_SECONDS
            self._work_at = now + limits.WORK_PAUSE
        elif step == "ready":
            self._finish(attempt, effort, now)
        elif step == "large":
            self._counters.add("reconciles_large")
            self._end(attempt)
            self._take_whole(now, self._donors.renew)
        else:
            self._fail(attempt, "corrupt", now)

    def _ask_on(self, attempt: _Attempt, effort: _Effort, now: float) -> None:
        if not effort.question:
            attempt.stream.deadline = now + limits.RECONCILE_SECONDS
            return
        attempt.stream.deadline = now + self._profile.slice_timeout
        question = Reconcile(effort.head, effort.question)
        self._outbox.send_frame(attempt.stream.id, wire_id(attempt.peer), [question])

    def _ask_again(self, attempt: _Attempt, effort: _Effort, now: float) -> None:
        """It isn't ready: ask on, for a bounded time."""
        if now - attempt.since < limits.RECONCILE_SECONDS:
            self._ask_on(attempt, effort, now)
            return
        self._counters.add("reconciles_silent")
        self._donors.failures[attempt.peer] = "silent"
        self._break_off(attempt, now)

    def _ask_next(self, effort: _Effort | None, now: float) -> None:
        """Ask another peer: to go on with what was begun, if somebody can."""
        self._attempt = None
        if effort is not None:
            successor = self._donors.successor(effort.head, effort.left)
            if successor is not None:
                self._counters.add("reconciles_resumed")
                self._greet(successor, effort, now)
                return
            effort.reconciliation.abandon()
        peer = self._donors.next()
        if peer is None:
            self._give_up(now)
        else:
            self._counters.add("reconciles_asked")
            self._greet(peer, None, now)

    def _greet(self, peer: Member, effort: _Effort | None, now: float) -> None:
        greeting = Reconcile(None if effort is None else effort.head, b"")
        frame = self._outbox.frame(peer.wire, [greeting])
        stream = self._streams.open("reconcile", peer.address, peer.node_id, frame, now)
        if stream is None:
            if effort is not None:
                effort.reconciliation.abandon()
            self._donors.failures[peer.node_id] = "silent"
            self._give_up(now)
            return
        stream.deadline = now + self._profile.slice_timeout
        self._attempt = _Attempt(stream, peer.node_id, effort, now)

    def _finish(self, attempt: _Attempt, effort: _Effort, now: float) -> None:
        attempt.effort = None
        outcome = effort.reconciliation.finish()
        if outcome == "corrupt":
            self._fail(attempt, "corrupt", now)
            return
        self._end(attempt)
        if outcome == "stale":
            self._counters.add("reconciles_overtaken")
            self._outbox.notify(SnapshotFailed("overtaken"))
            return
        self._counters.add("reconciles_installed")
        self._outbox.notify(SnapshotInstalled(Head(*self._replica.head())))
        self._installed(now)

    def _fail(self, attempt: _Attempt, failure: Failure, now: float) -> None:
        """Leave this peer and what it said, and try another."""
        self._counters.add(f"reconciles_{failure}")
        self._end(attempt)
        self._donors.failures[attempt.peer] = failure
        self._ask_next(None, now)

    def _break_off(self, attempt: _Attempt, now: float) -> None:
        """Leave this peer, but keep what was found."""
        effort, attempt.effort = attempt.effort, None
        self._end(attempt)
        if effort is not None:
            effort.left.append(attempt.peer)
        self._ask_next(effort, now)

    def _end(self, attempt: _Attempt) -> None:
        if attempt.effort is not None:
            attempt.effort.reconciliation.abandon()
            attempt.effort = None
        self._streams.finish(attempt.stream.id)
        self._attempt = None

    def _give_up(self, now: float) -> None:
        gravest = self._donors.gravest()
        if gravest is None:
            return
        self._counters.add("reconciles_failed")
        if gravest == "corrupt" and self._take_whole(now, self._donors.renew):
            return  # what lies here may be why no answer led anywhere; the whole doesn't need it
        self._outbox.notify(SnapshotFailed(gravest))
