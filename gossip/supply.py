"""Giving changesets to others: the push of our own, and answers to gap requests and pulls."""

from collections.abc import Iterable, Sequence

from gossip import limits
from gossip.counters import Counters
from gossip.early import EarlyBuffer, Lineage
from gossip.member import Member
from gossip.messages import Message
from gossip.messages.changes import Announce, Distant, Heartbeat, Missing, Pull, Push, Request
from gossip.outbox import Origin, Outbox
from gossip.replica import GENESIS, Changeset, Head, Replica
from gossip.tree import Tree
from gossip.wire import encode_part


class Supply:
    """Sends changesets, in as few packets as hold them."""

    def __init__(
        self,
        replica: Replica,
        outbox: Outbox,
        tree: Tree,
        early: EarlyBuffer,
        lineage: Lineage,
        counters: Counters,
    ) -> None:
        self._replica = replica
        self._outbox = outbox
        self._tree = tree
        self._early = early
        self._lineage = lineage
        self._counters = counters

    def push(self, changesets: Sequence[Changeset], heartbeat: Heartbeat, now: float) -> None:
        """Send this node's own commits to every running member, at once (``tree``).

        What doesn't fit a packet is announced in its place, and pulled by whoever lacks it.
        """
        for packet in self._packets(changesets, heartbeat, self._tree.room(), now):
            self._tree.spread_parts(packet)

    def announce(self, head: Head, heartbeat: Heartbeat, now: float) -> None:
        """Tell every running member this head; what led to it must be pulled."""
        self._counters.add("announcements")
        self._tree.spread([Announce(head), heartbeat], now)

    def requested(
        self, asker: Member, message: Request, head: Head, heartbeat: Heartbeat, now: float
    ) -> None:
        """Answer a gap request with packets, to the member's own address; with an announcement if
        that would take too many."""
        if is_distant(message.after, head, self._replica.size()):
            self._counters.add("repairs_distant")
            self._outbox.send(asker, [Distant(message.after), heartbeat])
            return
        if (prepared := self._early.prepared(message.after)) is not None:
            announced = Head(prepared.version, prepared.digest)
            self._outbox.send(asker, [Announce(announced), heartbeat])
            return
        changesets = self._after(message.after, limits.REPAIR_PACKETS_MAX * limits.PACKET_BYTES_MAX)
        if changesets is None:
            self._outbox.send(asker, [Missing(message.after), heartbeat])
            return
        self._counters.add("repairs_answered")
        whole = not changesets or changesets[-1].version == head.version
        if whole:
            spare = limits.REPAIR_PACKETS_MAX * limits.PACKET_BYTES_MAX // 2
            changesets += self._early.above(max(message.after.version, head.version), spare)
        room = limits.PACKET_BODY_BYTES_MAX
        packets = list(self._packets(changesets, heartbeat, room, now)) if whole else []
        if not whole or len(packets) > limits.REPAIR_PACKETS_MAX:
            self._outbox.send(asker, [Announce(head), heartbeat])
            return
        for packet in packets or [encode_part(heartbeat)]:
            self._outbox.broadcast_parts([asker], packet)

    def pulled(self, origin: Origin, message: Pull, heartbeat: Heartbeat, now: float) -> None:
        """Answer a pull on its stream, with a bounded frame; the asker pulls again for more.

        What waits here for a predecessor, or is being prepared, goes too: the asker may have that,
        and large commits made at once on many nodes would otherwise cross the cluster one after
        another.
        """
        if is_distant(message.after, Head(*self._replica.head()), self._replica.size()):
            self._counters.add("repairs_distant")
            self._outbox.answer(origin, [Distant(message.after), heartbeat])
            return
        prepared = self._early.prepared(message.after)
        changesets = (
            self._after(message.after, limits.PULL_BYTES_MAX) if not prepared else [prepared]
        )
        if changesets is None:
            self._outbox.answer(origin, [Missing(message.after), heartbeat])
            return
        self._counters.add("pulls_answered")
        room = limits.PULL_BYTES_MAX - sum(len(changeset.body) for changeset in changesets)
        changesets += self._early.above(max(message.after.version, heartbeat.version), room)
        pushes: list[Message] = [
            self._as_push(changeset, now) for changeset in changesets[: limits.PULL_COUNT_MAX]
        ]
        self._outbox.answer(origin, [*pushes, heartbeat])

    def since(self, head: Head) -> list[Changeset] | None:
        """All that the replica holds above a head; None when its log doesn't tell."""
        found: list[Changeset] = []
        while head != self._replica.head():
            held = self._replica.changesets(head.version, head.digest, 2**20)
            if held is None:
                return None
            if not held:
                break
            found += [Changeset(*changeset) for changeset in held]
            head = Head(found[-1].version, found[-1].digest)
        return found

    def _after(self, after: Head, max_bytes: int) -> list[Changeset] | None:
        if after.version > self._replica.head()[0]:
            # The asker is ahead: it hopes for what waits here. That our log never held its head
            # doesn't make us unable to help.
            return []
        held = self._replica.changesets(after.version, after.digest, max_bytes)
        if held is None:
            self._counters.add("repairs_missing")
            return None
        return [Changeset(*changeset) for changeset in held]

    def _packets(
        self, changesets: Iterable[Changeset], heartbeat: Heartbeat, room: int, now: float
    ) -> Iterable[bytes]:
        """Bodies of packets of at most ``room`` bytes, each with the heartbeat last: a head that
        its own packet leads to must not look like a gap."""
        tail = encode_part(heartbeat)
        room -= len(tail)
        body = b""
        for changeset in changesets:
            part = encode_part(self._as_push(changeset, now)) if len(changeset.body) < room else b""
            if not part or len(part) > room:
                # By itself: relays keep it back until they have what it is of.
                if body:
                    yield body + tail
                body = b""
                self._counters.add("announcements")
                part = encode_part(Announce(Head(changeset.version, changeset.digest)))
                yield part + tail
                continue
            if len(body) + len(part) > room:
                yield body + tail
                body = b""
            body += part
        if body:
            yield body + tail

    def _as_push(self, changeset: Changeset, now: float) -> Push:
        residence, hops = self._lineage.residence(changeset.version, now)
        return Push(changeset, residence, min(hops, limits.HOPS_MAX))


def is_distant(after: Head, head: Head, size: int = 0) -> bool:
    """Whether more lies between them than is worth sending one by one, where the whole state has so
    many entities: to take in a changeset costs about what an entity of a state does."""
    one_history = after.version == GENESIS or after.version[:2] == head.version[:2]
    return one_history and head.version[2] - after.version[2] > max(size, limits.GAP_CHANGESETS_MAX)
