"""Push-pull: exchanging whole member tables by stream, to join, to repair, to heal partitions.

Three occasions: joining (every seed is tried until one answers), a random member now and then, and
reconnecting, in which failed members and seeds that no running member sits at are tried again for
as long as they are listed.
"""

import math
import random
from collections.abc import Callable, Iterable

from gossip import limits
from gossip.address import Address
from gossip.counters import Counters
from gossip.effects import ResolveSeeds
from gossip.identity import wire_id
from gossip.member import Status
from gossip.members import Members, alive_claim
from gossip.messages import Alive, Heartbeat, Message, PushPull, Verdict
from gossip.outbox import Origin, Outbox
from gossip.profiles import Profile
from gossip.streams import Streams

_SEEDS_AT_ONCE = 5


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
    ) -> None:
        self._members = members
        self._streams = streams
        self._outbox = outbox
        self._profile = profile
        self._rng = rng
        self._counters = counters
        self._heartbeat = heartbeat
        self._seeds: tuple[Address, ...] = ()
        self._joined: dict[Address, None] = {}
        self._retry = profile.join_retry_min
        self._periodic_at: float | None = None
        self._reconnect_at: float | None = None
        self._resolve_at = 0.0

    def start(self, now: float) -> None:
        self._periodic_at = now + self._rng.uniform(0.5, 1.0) * self._profile.push_pull_interval
        self._resolve(now)
        self._reconnect_at = now + self._retry

    def stop(self) -> None:
        """This node leaves: nothing is begun any more."""
        self._periodic_at = self._reconnect_at = None

    def seeds_resolved(self, addresses: Iterable[Address], now: float) -> None:
        """What the seeds' names lead to now."""
        self._seeds = tuple(addresses)[: limits.SEEDS_MAX]
        if not self._members.reachable():
            self._try_seeds(now)

    def join(self, addresses: Iterable[Address], now: float) -> None:
        """Try these now, and again whenever nobody runs there, like seeds."""
        for address in addresses:
            self._joined[address] = None
            if len(self._joined) > limits.SEEDS_MAX:
                del self._joined[next(iter(self._joined))]
            if address in self._silent_seeds():
                self._begin(address, "", now)

    def advance(self, now: float) -> None:
        if self._periodic_at is not None and self._periodic_at <= now:
            self._periodic_at = now + self._interval() * self._rng.uniform(0.75, 1.25)
            alive = [m for m in self._members.reachable() if m.status is Status.ALIVE]
            if alive:
                member = self._rng.choice(alive)
                self._begin(member.address, member.node_id, now)
        if self._reconnect_at is not None and self._reconnect_at <= now:
            self._reconnect(now)

    def next_deadline(self) -> float | None:
        deadlines = [at for at in (self._periodic_at, self._reconnect_at) if at is not None]
        return min(deadlines, default=None)

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

    def _tell_buried(self, message: PushPull, origin: Origin) -> None:
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
        failed = [m for m in self._members.listed() if m.status is Status.FAILED]
        if failed:
            member = self._rng.choice(failed)
            self._begin(member.address, "", now)
        if alone:
            self._try_seeds(now)
            self._retry = min(self._retry * 2, self._profile.reconnect_interval)
        else:
            silent = self._silent_seeds()
            if silent:
                self._begin(self._rng.choice(silent), "", now)
            self._retry = self._profile.reconnect_interval
        self._reconnect_at = now + self._retry * self._rng.uniform(0.5, 1.5)

    def _resolve(self, now: float) -> None:
        self._resolve_at = now + self._profile.resolve_interval
        self._outbox.add(ResolveSeeds())

    def _try_seeds(self, now: float) -> None:
        silent = self._silent_seeds()
        for address in self._rng.sample(silent, min(len(silent), _SEEDS_AT_ONCE)):
            self._begin(address, "", now)

    def _silent_seeds(self) -> list[Address]:
        """Seeds that no running member, this node included, sits at."""
        seeds = dict.fromkeys([*self._seeds, *self._joined])
        running = {member.address for member in self._members.reachable()}
        running.add(self._members.me.address)
        return [address for address in seeds if address not in running]

    def _begin(self, address: Address, peer: str, now: float) -> None:
        if self._streams.leads_to("push-pull", address):
            return
        self._counters.add("push_pulls")
        frame = self._outbox.frame(wire_id(peer), self._table(now, answer=False))
        self._streams.open("push-pull", address, peer, frame, now)

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
        return [*claims, self._heartbeat(now), PushPull(answer)]
