"""Registers: small values by name that every member knows, newcomers included (DESIGN 4, point 7).

Theory of operation
-------------------

Whoever sets a register gives it a counter one above the highest that it has seen in any register.
Of two claims the one with the greater (counter, node id, process tag) holds, wherever and in what
order they arrive, so all members come to the same; of two setters at once the same one wins
everywhere. A set one goes to all members at once (``gossip.tree``), whoever adopts it passes it to
two more, and push-pulls compare all registers by a digest and exchange them where it differs. The
application keeps them across restarts (``kept``, ``recall``).

A deleted register is one without a value: it must be known, or an old value would come back. The
latest of those are kept. One that ends by itself carries the seconds that are left, and each member
ends it by its own clock; what is over is as good as deleted, at the same rank.
"""

import hashlib
import math
import random
from collections.abc import Iterable, Sequence

from gossip import limits
from gossip.counters import Counters
from gossip.events import RegisterChanged
from gossip.identity import Identity
from gossip.member import Member
from gossip.members import Members
from gossip.messages import Message
from gossip.messages.registers import Register
from gossip.outbox import Outbox
from gossip.roles import may_originate
from gossip.tree import Tree


class Registers:
    """All registers, as this node knows them."""

    def __init__(
        self,
        identity: Identity,
        members: Members,
        tree: Tree,
        outbox: Outbox,
        rng: random.Random,
        counters: Counters,
    ) -> None:
        self._identity = identity
        self._members = members
        self._tree = tree
        self._outbox = outbox
        self._rng = rng
        self._counters = counters
        self._held: dict[str, Register] = {}
        """By name; those without a value, too. Without what is left of their time."""
        self._ends: dict[str, float] = {}
        """Of those that end by themselves."""
        self._next_end = math.inf
        """No later than any of them."""
        self._highest = 0
        self._news: dict[str, None] = {}
        self._tell_at: float | None = None

    def set(self, name: str, value: str | None, seconds: float | None, now: float) -> Register:
        """Set a register everywhere, or delete it (None). ``seconds``: for so long only.

        Raises ValueError for what can't be set: too long, too many, or on a data plane.
        """
        self._check(name, value, seconds)
        counter = self._highest + 1
        register = Register(
            name, counter, self._identity.node_id, self._identity.tag, value, seconds
        )
        self._counters.add("registers_set")
        self._tree.spread([register], now)
        self._adopt(register, now)
        return register

    def received(self, message: Register, sender: Member, now: float, *, by_stream: bool) -> None:
        """A member passes a register on."""
        held = self._held.get(message.name)
        if held is not None and message.rank <= held.rank:
            if message.rank == held.rank:
                self._shorten(message, now)
            elif not by_stream:
                self._outbox.send_all([sender], [self._as_message(held, now)])
        elif not may_originate(self._members, message.node_id):
            self._counters.add("registers_refused")
        else:
            self._counters.add("registers_adopted")
            self._adopt(message, now)

    def recall(self, kept: Iterable[Register], now: float) -> None:
        """What this node had when it was stopped; ``RegisterChanged`` tells of those that hold."""
        for register in kept:
            held = self._held.get(register.name)
            if held is None or register.rank > held.rank:
                self._put(register, now)

    def live(self, now: float) -> list[Register]:
        """Those that have a value, by name."""
        return [one for one in self.kept(now) if one.value is not None]

    def kept(self, now: float) -> list[Register]:
        """All that must be kept, by name: deleted ones, too."""
        return [self._as_message(self._held[name], now) for name in sorted(self._held)]

    def digest(self) -> bytes:
        """Stands for all registers; empty while there are none."""
        if not self._held:
            return b""
        whole = hashlib.blake2b(digest_size=limits.BESIDE_DIGEST_BYTES)
        for name in sorted(self._held):
            whole.update(repr((name, *self._held[name].rank)).encode())
        return whole.digest()

    def messages(self, now: float) -> Sequence[Message]:
        """All registers, for push-pulls."""
        return self.kept(now)

    def advance(self, now: float) -> None:
        """End what is over, and pass on what is new."""
        if self._next_end <= now:
            for name in [name for name, end in self._ends.items() if end <= now]:
                self._end(name)
            self._next_end = min(self._ends.values(), default=math.inf)
        if self._tell_at is not None and self._tell_at <= now:
            self._tell_at = None
            self._pass_on(now)

    def next_deadline(self) -> float | None:
        deadline = min(self._next_end, math.inf if self._tell_at is None else self._tell_at)
        return None if deadline == math.inf else deadline

    def _check(self, name: str, value: str | None, seconds: float | None) -> None:
        if not may_originate(self._members, self._members.me.node_id):
            raise ValueError("a data plane can't set registers")
        size = len(name.encode())
        if not 1 <= size <= limits.REGISTER_NAME_BYTES_MAX:
            most = limits.REGISTER_NAME_BYTES_MAX
            raise ValueError(f"register '{name[:40]}': a name of {size} bytes; 1 to {most} can be")
        size = len((value or "").encode())
        if size > limits.REGISTER_VALUE_BYTES_MAX:
            most = limits.REGISTER_VALUE_BYTES_MAX
            raise ValueError(f"register '{name}': {size} bytes; {most} are allowed")
        longest = limits.REGISTER_SECONDS_MAX
        if seconds is not None and not 0 <= seconds <= longest:
            raise ValueError(f"register '{name}': {seconds:g} s; 0 to {longest:g} can be")
        is_new = name not in self._held or self._held[name].value is None
        if value is not None and is_new and len(self._valued()) >= limits.REGISTERS_MAX:
            raise ValueError(f"register '{name}': there are {limits.REGISTERS_MAX} already")
        if self._highest >= limits.COUNTER_MAX:
            raise ValueError("registers can't be set any more: a member has used up their counters")

    def _adopt(self, register: Register, now: float) -> None:
        self._put(register, now)
        if self._members.reachable() and len(self._news) < limits.REGISTER_NEWS_MAX:
            self._news[register.name] = None
            if self._tell_at is None:
                self._tell_at = now + limits.REGISTER_NEWS_SECONDS

    def _put(self, register: Register, now: float) -> None:
        name, remaining = register.name, register.remaining
        self._highest = max(self._highest, register.counter)
        if remaining is not None and remaining <= 0:
            register = register._replace(value=None)
        self._held[name] = register._replace(remaining=None)
        self._ends.pop(name, None)
        if remaining is not None and register.value is not None:
            self._ends[name] = now + remaining
            self._next_end = min(self._next_end, now + remaining)
        self._outbox.notify(
            RegisterChanged(name, register.value, remaining if name in self._ends else None)
        )
        self._trim()

    def _trim(self) -> None:
        """Within the bounds the ones of the highest rank stay: the same everywhere."""
        if len(self._held) <= min(limits.REGISTERS_MAX, limits.REGISTERS_DELETED_MAX):
            return
        valued = self._valued()
        if len(valued) > limits.REGISTERS_MAX:
            lowest = min(valued, key=lambda one: one.rank)
            self._counters.add("registers_dropped")
            self._forget(lowest.name)
            self._outbox.notify(RegisterChanged(lowest.name, None, None))
        if len(self._held) - len(valued) > limits.REGISTERS_DELETED_MAX:
            deleted = [one for one in self._held.values() if one.value is None]
            self._forget(min(deleted, key=lambda one: one.rank).name)

    def _valued(self) -> list[Register]:
        return [one for one in self._held.values() if one.value is not None]

    def _forget(self, name: str) -> None:
        del self._held[name]
        self._ends.pop(name, None)

    def _shorten(self, message: Register, now: float) -> None:
        """The same register from another member: each has measured what is left of its time, and on
        the way nothing was taken off, so the least is nearest to the truth."""
        end = self._ends.get(message.name)
        if end is None:
            return
        left = message.remaining if message.value is not None else 0.0
        if left is not None and now + left < end:
            self._ends[message.name] = now + left
            self._next_end = min(self._next_end, now + left)

    def _end(self, name: str) -> None:
        del self._ends[name]
        self._held[name] = self._held[name]._replace(value=None)
        self._outbox.notify(RegisterChanged(name, None, None))
        self._trim()

    def _as_message(self, held: Register, now: float) -> Register:
        end = self._ends.get(held.name)
        return held if end is None else held._replace(remaining=max(0.0, end - now))

    def _pass_on(self, now: float) -> None:
        reachable = self._members.reachable()
        peers = self._rng.sample(reachable, min(limits.REGISTER_NEWS_PEERS, len(reachable)))
        names, self._news = self._news, {}
        held = [self._held[name] for name in names if name in self._held]
        self._outbox.send_all(peers, [self._as_message(one, now) for one in held])
