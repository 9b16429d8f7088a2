"""Watch streams: idle TCP connections whose end tells at once that a process was killed.

A standing stream carries nothing, but when a process ends, however it does, its kernel closes what
it had open, and the other side learns that one round trip later. So each node keeps a stream to its
``WATCHES_OPENED_MAX`` successors in the ring of running members, sorted by (zone, wire id): most
watch neighbours in their own zone, and each is watched by as many.

An end without notice is a hint, to both sides, that the other process may be gone: it is looked
into (``gossip.refusal``) and convicts nobody by itself. Who closes one on purpose says so first, by
``Unwatch``. Middle boxes that cut idle connections make for hints that a knock disproves; such a
stream is opened again ever later.

Rings move while nodes join. A stream is opened only once the successors have been the same for
about ``_CALM_SECONDS``, so that a cluster that starts opens each stream once.
"""

import random
from dataclasses import dataclass
from heapq import nsmallest

from gossip import limits
from gossip.counters import Counters
from gossip.member import Member, Status
from gossip.members import Members
from gossip.messages.membership import Parting, Unwatch, Watch
from gossip.outbox import Origin, Outbox
from gossip.streams import Stream, Streams

_CALM_SECONDS = 1.0
_RETRY_SECONDS_MIN = 1.0
_RETRY_SECONDS_MAX = 300.0
_STOOD_SECONDS = 600.0
"""A stream that stood for so long before it ended doesn't count against its successor."""


@dataclass(slots=True, eq=False)
class _Retry:
    """A successor whose stream ended, or couldn't be opened."""

    generation: int
    attempts: int
    at: float


class Watches:
    """The watch streams of this node, those it opened and those that others did."""

    def __init__(
        self,
        members: Members,
        streams: Streams,
        outbox: Outbox,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._members = members
        self._streams = streams
        self._outbox = outbox
        self._rng = rng
        self._counters = counters
        self._running = False
        self._others: tuple[Member, ...] | None = None
        self._successors: list[str] = []
        self._calm_at: float | None = None
        """When streams are opened and closed to fit the successors; None when they do."""
        self._retries: dict[str, _Retry] = {}

    def start(self) -> None:
        self._running = True

    def stop(self) -> None:
        """This node leaves: no end of a stream of ours means anything from now on."""
        self._running = False
        self._calm_at = None
        for stream in self._streams.watches():
            self._part(stream, Parting.LEAVING)

    def advance(self, now: float) -> None:
        if not self._running:
            return
        self._follow_ring(now)
        if self._calm_at is not None and self._calm_at <= now:
            self._calm_at = None
            self._arrange(now)

    def next_deadline(self) -> float | None:
        """When streams are opened or closed. That the ring has moved is noticed at any ``advance``:
        probes see to it that there is one in every interval."""
        return self._calm_at

    def requested(self, sender: Member, origin: Origin, now: float) -> None:
        """A member wants to keep a stream that it opened; or it keeps one of ours."""
        stream = None if origin.stream is None else self._streams.get(origin.stream)
        if stream is None:
            self._counters.add("messages_malformed")
        elif stream.purpose == "watch" and stream.peer == sender.node_id:
            self._streams.stand(stream, now)
        elif stream.purpose == "accepted":
            self._accept(stream, sender, now)

    def parted(self, message: Unwatch, origin: Origin, now: float) -> None:
        """The other side closes a watch stream on purpose."""
        stream = None if origin.stream is None else self._streams.get(origin.stream)
        if stream is None or stream.purpose not in ("watch", "watched"):
            self._counters.add("messages_malformed")
            return
        self._streams.finish(stream.id)
        if stream.purpose == "watch":
            full = message.reason is Parting.FULL
            self._retry_later(stream, now, _RETRY_SECONDS_MAX if full else 0.0)

    def ended(self, stream: Stream, now: float) -> None:
        """One of ours has ended without notice, or could not be opened."""
        self._counters.add("watches_ended")
        if stream.purpose == "watch":
            if stream.stood_since is not None and now - stream.stood_since >= _STOOD_SECONDS:
                self._retries.pop(stream.peer, None)
            self._retry_later(stream, now)

    def _accept(self, stream: Stream, sender: Member, now: float) -> None:
        stream.peer, stream.generation = sender.node_id, sender.generation
        accepted = [watch for watch in self._streams.watches() if watch.purpose == "watched"]
        for watch in accepted:
            if watch.peer == sender.node_id:
                # Its end hasn't come through here.
                accepted.remove(watch)
                self._streams.finish(watch.id)
                break
        full = len(accepted) >= limits.WATCHES_ACCEPTED_MAX
        if full or not self._running or sender.status > Status.SUSPECT:
            self._counters.add("watches_refused")
            self._part(stream, Parting.FULL if full else Parting.LEAVING)
            return
        self._counters.add("watches_accepted")
        stream.purpose = "watched"
        self._streams.stand(stream, now)
        self._outbox.send_frame(stream.id, sender.wire, [Watch()])

    def _follow_ring(self, now: float) -> None:
        others = self._members.reachable()
        if others is self._others:
            return
        self._others = others
        successors = self._find_successors(others)
        if successors != self._successors:
            self._successors = successors
            self._calm_at = now + _CALM_SECONDS * self._rng.uniform(0.75, 1.5)
        elif self._calm_at is None and self._gone():
            self._calm_at = now

    def _find_successors(self, others: tuple[Member, ...]) -> list[str]:
        me = _ring_key(self._members.me)
        keys = [
            (_ring_key(member), member.node_id)
            for member in others
            if member.status <= Status.SUSPECT
        ]
        # Those that sort after this node come first. No two have one wire id.
        after = [key for key in keys if key[0] >= me]
        nearest = nsmallest(limits.WATCHES_OPENED_MAX, after)
        if len(nearest) < limits.WATCHES_OPENED_MAX:
            before = [key for key in keys if key[0] < me]
            nearest += nsmallest(limits.WATCHES_OPENED_MAX - len(nearest), before)
        return [node_id for _, node_id in nearest]

    def _gone(self) -> list[Stream]:
        """Streams with processes that don't run any more, as far as is known."""
        return [stream for stream in self._streams.watches() if not self._runs(stream)]

    def _runs(self, stream: Stream) -> bool:
        member = self._members.get(stream.peer)
        return (
            member is not None
            and member.status <= Status.SUSPECT
            and member.generation == stream.generation
        )

    def _arrange(self, now: float) -> None:
        """Close streams to others than the successors, open those that lack."""
        for stream in self._gone():
            self._part(stream, Parting.MOVED)
        kept: dict[str, None] = {}
        for stream in self._streams.watches():
            if stream.purpose == "watch" and stream.peer not in self._successors:
                self._part(stream, Parting.MOVED)
            elif stream.purpose == "watch":
                kept[stream.peer] = None
        waiting: list[float] = []
        for node_id in self._successors:
            member = self._members.get(node_id)
            if member is None or node_id in kept:
                continue
            retry = self._retries.get(node_id)
            if retry is not None and retry.generation == member.generation and retry.at > now:
                waiting.append(retry.at)
                continue
            self._counters.add("watches_opened")
            frame = self._outbox.frame(member.wire, [Watch()])
            opened = self._streams.open("watch", member.address, node_id, frame, now)
            if opened is not None:
                opened.generation = member.generation
        self._calm_at = min(waiting, default=None)

    def _part(self, stream: Stream, reason: Parting) -> None:
        member = self._members.get(stream.peer)
        if member is not None:
            self._outbox.send_frame(stream.id, member.wire, [Unwatch(reason)])
        self._streams.finish(stream.id)

    def _retry_later(self, stream: Stream, now: float, at_least: float = 0.0) -> None:
        previous = self._retries.pop(stream.peer, None)
        known = previous is not None and previous.generation == stream.generation
        attempts = previous.attempts if known and previous is not None else 0
        wait = max(at_least, min(_RETRY_SECONDS_MIN * 2.0**attempts, _RETRY_SECONDS_MAX))
        at = now + wait * self._rng.uniform(0.75, 1.5)
        self._retries[stream.peer] = _Retry(stream.generation, attempts + 1, at)
        if len(self._retries) > limits.WATCH_RETRIES_MAX:
            del self._retries[next(iter(self._retries))]
        if self._running and stream.peer in self._successors:
            self._calm_at = at if self._calm_at is None else min(self._calm_at, at)


def _ring_key(member: Member) -> tuple[str, bytes]:
    return member.metadata.zone, member.wire
