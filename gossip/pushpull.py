"""Push-pull: exchanging whole member tables by stream, to join, to repair, to heal partitions.

Three occasions: joining (every seed is tried until one answers), a random member now and then, and
reconnecting to whoever is missing (``contacts``). Members whose tables are alike, which is the
rule, exchange no more than digests of them:

    opener    own record, TableDigest             own record, table, PushPull(False)   (a stranger)
    acceptor  own record, TableDigest if alike     own record, table, PushPull(True)
              else table, PushPull(False)
    opener    table, PushPull(True)
"""

import hashlib
import math
import random
from collections.abc import Callable, Iterable, Sequence

from gossip import limits
from gossip.address import Address
from gossip.beside import Beside
from gossip.contacts import Contacts
from gossip.counters import Counters
from gossip.effects import ResolveSeeds
from gossip.events import Isolated
from gossip.identity import NOBODY, WireId
from gossip.member import Member, Status
from gossip.members import Members, alive_claim
from gossip.messages import Message
from gossip.messages.changes import Heartbeat
from gossip.messages.membership import TABLE_DIGEST_BYTES, Alive, PushPull, TableDigest, Verdict
from gossip.outbox import Origin, Outbox
from gossip.profiles import Profile
from gossip.streams import Streams

_AT_ONCE = 5
"""Addresses that are called at once: a node with a long list of peers must not call them all, or a
restart of the whole cluster would be n squared whole tables."""


class TableExchange:
    """Begins and answers push-pulls."""

    def __init__(
        self,
        members: Members,
        streams: Streams,
        outbox: Outbox,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
        heartbeat: Callable[[float], Heartbeat],
        beside: Beside,
    ) -> None:
        self._beside = beside
        self._members = members
        self._streams = streams
        self._outbox = outbox
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._heartbeat = heartbeat
        self._contacts = Contacts(members, profile, rng)
        self._retry = profile.join_retry_min
        self._periodic_at: float | None = None
        self._reconnect_at: float | None = None
        self._resolve_at = 0.0
        self._alone_since: float | None = None
        self._isolation_told_at = -math.inf

    def start(self, now: float) -> None:
        self._periodic_at = now + self._rng.uniform(0.5, 1.0) * self._profile.push_pull_interval
        self._resolve(now)
        self._reconnect_at = now + self._retry

    def stop(self) -> None:
        """This node leaves: nothing is begun any more."""
        self._periodic_at = self._reconnect_at = None

    def seeds_resolved(self, addresses: Iterable[Address], now: float) -> None:
        """What the seeds' names lead to now."""
        self._contacts.set_seeds(addresses)
        if not self._members.reachable():
            self._call(self._contacts.silent(), now)

    def join(self, addresses: Sequence[Address], now: float) -> None:
        """Try some of these now, and all again whenever nobody runs there, like seeds."""
        self._contacts.add(addresses)
        silent = self._contacts.silent()
        self._call([address for address in addresses if address in silent], now)

    def advance(self, now: float) -> None:
        if self._periodic_at is not None and self._periodic_at <= now:
            self._periodic_at = now + self._interval() * self._rng.uniform(0.75, 1.25)
            alive = [m for m in self._members.reachable() if m.status is Status.ALIVE]
            if alive:
                self._compare(self._rng.choice(alive), now)
        if self._reconnect_at is not None and self._reconnect_at <= now:
            self._reconnect(now)

    def next_deadline(self) -> float | None:
        periodic, reconnect = self._periodic_at, self._reconnect_at
        if periodic is None or reconnect is None:
            return reconnect if periodic is None else periodic
        return min(periodic, reconnect)

    def received(self, message: PushPull, origin: Origin, now: float) -> None:
        """The end of a member's table: answer with ours, or be done."""
        if origin.stream is None:
            self._counters.add("messages_malformed")
            return
        if self._members.sender(origin.sender) is None:
            self._tell_buried(message, origin)
            return
        if message.answer:
            self._streams.finish(origin.stream)
            return
        self._counters.add("push_pulls_answered")
        self._outbox.answer(origin, self._table(now, answer=True))

    def refused(self, message: PushPull | TableDigest, origin: Origin) -> None:
        """The end of the table of a node that is none of this cluster's: tell it who this is, so
        that it finds out, too, and no more."""
        if origin.stream is None:
            self._counters.add("messages_malformed")
        elif message.answer:
            self._streams.finish(origin.stream)
        else:
            me = alive_claim(self._members.me)
            self._outbox.answer(origin, [me, PushPull(answer=True)])

    def compared(self, message: TableDigest, origin: Origin, now: float) -> None:
        """A member's table in short: alike, or each tells the other all."""
        if origin.stream is None:
            self._counters.add("messages_malformed")
            return
        if self._members.sender(origin.sender) is None:
            self._tell_buried(message, origin)
            return
        if message.answer:
            # What the other side has of that came before this.
            differing = self._beside.differing(message.beside, now)
            if differing:
                self._outbox.answer(origin, differing)
            self._streams.finish(origin.stream)
            return
        self._counters.add("push_pulls_answered")
        mine = self._digest()
        if message.digest == mine:
            self._counters.add("push_pulls_alike")
            me = alive_claim(self._members.me)
            differing = self._beside.differing(message.beside, now)
            digest = TableDigest(mine, answer=True, beside=self._beside.digest())
            self._outbox.answer(origin, [me, self._heartbeat(now), *differing, digest])
        else:
            self._outbox.answer(origin, self._table(now, answer=False))

    def _tell_buried(self, message: PushPull | TableDigest, origin: Origin) -> None:
        """A node whose record here says that its life is over, and that lives: tell it, so that it
        refutes. Two nodes that have buried each other settle both records on one stream."""
        verdict = self._members.held_claim(origin.sender)
        stream = None if origin.stream is None else self._streams.get(origin.stream)
        if verdict is None or stream is None:
            self._counters.add("dropped_stranger")
            return
        if message.answer and stream.asked_again:
            self._streams.finish(stream.id)
            return
        stream.asked_again = message.answer
        claims: list[Message] = [alive_claim(self._members.me), verdict]
        self._outbox.answer(origin, [*claims, PushPull(answer=not message.answer)])

    def _interval(self) -> float:
        """The protocol's load on the cluster stays flat: with n doubled, each does it less."""
        n = self._members.running()
        if n <= 32:
            return self._profile.push_pull_interval
        return (math.ceil(math.log2(n) - 5) + 1) * self._profile.push_pull_interval

    def _reconnect(self, now: float) -> None:
        alone = not self._members.reachable()
        if alone or now >= self._resolve_at:
            self._resolve(now)
        missing = self._contacts.to_call(now)
        if alone:
            self._retry = min(self._retry * 2, self._profile.reconnect_interval)
            missing += self._contacts.silent()
        else:
            self._retry = self._profile.reconnect_interval
        self._call(missing, now)
        self._notice_isolation(alone, now)
        self._reconnect_at = now + self._retry * self._rng.uniform(0.5, 1.5)

    def _notice_isolation(self, alone: bool, now: float) -> None:
        """A frozen view is an alarm, not a quiet state: a node that rejoined nothing and said
        nothing cost eleven hours of errors (grafana/mimir#16254)."""
        if not alone or not self._contacts.lost():
            self._alone_since = None
            self._isolation_told_at = -math.inf
            return
        if self._alone_since is None:
            self._alone_since = now
        lasting = now - self._alone_since
        quiet = now - self._isolation_told_at
        if lasting >= self._profile.isolation_alarm and quiet >= limits.ISOLATION_REPEAT_SECONDS:
            self._isolation_told_at = now
            self._outbox.notify(Isolated(lasting))

    def _resolve(self, now: float) -> None:
        self._resolve_at = now + self._profile.resolve_interval
        self._outbox.add(ResolveSeeds())

    def _call(self, addresses: Sequence[Address], now: float) -> None:
        """Exchange tables with whoever is at some of these."""
        addresses = list(dict.fromkeys(addresses))
        table = self._table(now, answer=False) if addresses else []
        for address in self._rng.sample(addresses, min(len(addresses), _AT_ONCE)):
            self._begin(address, NOBODY, "", table, now)

    def _compare(self, member: Member, now: float) -> None:
        """Exchange what differs with a member."""
        me = alive_claim(self._members.me)
        digest = TableDigest(self._digest(), answer=False, beside=self._beside.digest())
        messages: list[Message] = [me, self._heartbeat(now), digest]
        self._begin(member.address, member.wire, member.node_id, messages, now)

    def _begin(
        self,
        address: Address,
        receiver: WireId,
        peer: str,
        messages: Iterable[Message],
        now: float,
    ) -> None:
        if self._streams.leads_to("push-pull", address):
            return
        self._counters.add("push_pulls")
        frame = self._outbox.frame(receiver, messages)
        stream = self._streams.open("push-pull", address, peer, frame, now)
        if stream is not None and not peer:
            # Nobody may be there, and a host that is dead now may be back in a moment.
            stream.deadline = now + self._profile.call_timeout

    def _digest(self) -> bytes:
        """Stands for all claims of the table, whatever order they came in."""
        whole = hashlib.blake2b(digest_size=TABLE_DIGEST_BYTES)
        for member in sorted(self._members.listed(), key=lambda member: member.node_id):
            record = (member.node_id, *map(int, member.precedence))
            # Of those that don't run a table tells no more than that.
            told = (member.tag, member.address) if member.status <= Status.SUSPECT else ()
            whole.update(repr((record, told)).encode())
        return whole.digest()

    def _table(self, now: float, *, answer: bool) -> list[Message]:
        """This node's own record first: a stranger that reads it in order knows us by then."""
        me = self._members.me
        claims: list[Alive | Verdict] = [alive_claim(me)]
        if me.status is not Status.ALIVE:
            claims.append(self._members.verdict(me))
        for member in self._members.listed():
            if member is me:
                continue
            if member.status <= Status.SUSPECT:
                claims.append(alive_claim(member))
            if member.status is not Status.ALIVE:
                claims.append(self._members.verdict(member))
        return [*claims, self._heartbeat(now), *self._beside.whole(now), PushPull(answer)]
