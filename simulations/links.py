"""Links between simulated machines: what becomes of a packet on its way, UDP and TCP apart.

A link is one way. All pairs share one kind unless a pair has its own; cuts, clogs and bad spells
are per pair. Every choice is drawn from the world's randomness.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

Protocol = Literal["udp", "tcp"]

BOTH: tuple[Protocol, Protocol] = ("udp", "tcp")

_RETRANSMISSION_SECONDS = 0.2
"""What a lost segment costs TCP: Linux' shortest retransmission time-out."""


@dataclass(frozen=True, slots=True)
class Link:
    """How packets fare on their way. Times in seconds, probabilities from 0 to 1."""

    latency: float = 0.000_2
    jitter: float = 0.000_1
    """Mean of the exponential time that comes on top: reorders packets."""
    spike: float = 0.0
    """Probability that a packet is held up, for ``spike_seconds`` on average (exponential)."""
    spike_seconds: float = 0.05
    loss: float = 0.0
    burst: float = 0.0
    """Probability per packet that a bad spell begins in which this pair loses everything."""
    burst_seconds: float = 0.5
    """Mean length of a bad spell (exponential)."""
    duplication: float = 0.0
    replay: float = 0.0
    """Probability that a copy turns up again later, up to ``replay_seconds``."""
    replay_seconds: float = 300.0
    corruption: float = 0.0
    """Probability that one byte changes. In clear the kernel's checksum drops such a packet; a
    sealed one is delivered, for the seal to find out."""
    truncation: float = 0.0
    """Probability that the end of a packet is missing."""
    bandwidth: float = 0.0
    """Bytes a second that a sender can put on the wire; 0 is no bound. What would wait longer than
    ``backlog_seconds`` is dropped."""
    backlog_seconds: float = 0.1
    calm: bool = field(init=False, default=False)
    """Whether nothing but latency, jitter and loss happens here."""

    def __post_init__(self) -> None:
        rough = (
            self.spike, self.burst, self.duplication, self.replay, self.corruption,
            self.truncation, self.bandwidth,
        )  # fmt: skip
        object.__setattr__(self, "calm", not any(rough))


Arrivals = Sequence[tuple[float, bytes, bool]]
"""(seconds from now, the bytes then, whether it is a replay): nothing when a packet is lost,
several when it is doubled."""


class Network:
    """Decides what becomes of each packet."""

    def __init__(self, link: Link, rng: random.Random) -> None:
        self.link = link
        self.own_links: dict[tuple[int, int], Link] = {}
        """Pairs (sender, receiver) with a link of their own."""
        self.hides_refusals: dict[int, None] = {}
        """Machines behind a firewall that swallows refusals: a closed port is silent there."""
        self.checksums = True
        """Whether corrupted packets end at the kernel's checksum."""
        self.replays = True
        """Whether the copies that were to turn up later still do."""
        self.spells = 0
        """How many bad spells have begun."""
        self._rng = rng
        self._cuts: dict[tuple[int, int, Protocol], None] = {}
        self._clogs: dict[tuple[int, int], float] = {}
        self._bad: dict[tuple[int, int], float] = {}
        self._sends_until: dict[int, float] = {}

    def cut(
        self,
        senders: Iterable[int],
        receivers: Iterable[int],
        protocols: Iterable[Protocol] = BOTH,
    ) -> None:
        """Let nothing through from these senders to these receivers (one way)."""
        self._cuts.update(dict.fromkeys(product(senders, receivers, protocols)))

    def mend(
        self,
        senders: Iterable[int],
        receivers: Iterable[int],
        protocols: Iterable[Protocol] = BOTH,
    ) -> None:
        """Lift the cuts from these senders to these receivers."""
        for route in product(senders, receivers, protocols):
            self._cuts.pop(route, None)

    def partition(self, *sides: Iterable[int]) -> None:
        """Cut both ways between each two sides."""
        groups = [list(side) for side in sides]
        for side in groups:
            for other in groups:
                if side is not other:
                    self.cut(side, other)

    def clog(self, senders: Iterable[int], receivers: Iterable[int], until: float) -> None:
        """Hold everything from these senders to these receivers up until a time."""
        receivers = list(receivers)
        for sender in senders:
            for receiver in receivers:
                self._clogs[sender, receiver] = until

    def heal(self) -> None:
        """Lift all cuts and clogs, and end bad spells."""
        self._cuts.clear()
        self._clogs.clear()
        self._bad.clear()

    def is_lopsided(self) -> bool:
        """Whether packets pass some way and not back."""
        return any((there, here, kind) not in self._cuts for here, there, kind in self._cuts)

    def passes(self, sender: int, receiver: int, protocol: Protocol) -> bool:
        return (sender, receiver, protocol) not in self._cuts

    def carry(self, sender: int, receiver: int, data: bytes, now: float) -> Arrivals:
        """What becomes of one datagram."""
        link = self.link_between(sender, receiver)
        rng = self._rng
        if link.loss and rng.random() < link.loss:
            return ()
        if self._cuts and (sender, receiver, "udp") in self._cuts:
            return ()
        delay = link.latency + rng.expovariate(1.0) * link.jitter
        if self._clogs:
            delay += self._clogged(sender, receiver, now)
        if link.calm:
            return ((delay, data, False),)
        return self._carry_roughly(link, sender, receiver, data, delay, now)

    def segment(self, sender: int, receiver: int, size: int, now: float) -> float:
        """Delay of what is written to a stream. TCP makes up for loss with time."""
        link = self.link_between(sender, receiver)
        delay = link.latency + self._rng.expovariate(1.0) * link.jitter
        while link.loss and self._rng.random() < link.loss:
            delay += _RETRANSMISSION_SECONDS
        if link.bandwidth:
            delay += size / link.bandwidth
        return delay + self._clogged(sender, receiver, now)

    def link_between(self, sender: int, receiver: int) -> Link:
        if self.own_links:
            return self.own_links.get((sender, receiver), self.link)
        return self.link

    def _carry_roughly(
        self, link: Link, sender: int, receiver: int, data: bytes, delay: float, now: float
    ) -> Arrivals:
        rng = self._rng
        if self._in_bad_spell(link, sender, receiver, now):
            return ()
        if link.bandwidth:
            begins = max(self._sends_until.get(sender, 0.0), now)
            if begins - now > link.backlog_seconds:
                return ()
            self._sends_until[sender] = begins + len(data) / link.bandwidth
            delay += self._sends_until[sender] - now
        if rng.random() < link.spike:
            delay += rng.expovariate(1.0) * link.spike_seconds
        if data and rng.random() < link.corruption:
            if self.checksums:
                return ()
            place = rng.randrange(len(data))
            flipped = data[place] ^ rng.randrange(1, 256)
            data = data[:place] + bytes((flipped,)) + data[place + 1 :]
        if data and rng.random() < link.truncation:
            data = data[: rng.randrange(len(data))]
        arrivals = [(delay, data, False)]
        if rng.random() < link.duplication:
            arrivals.append((delay + rng.expovariate(1.0) * link.jitter, data, False))
        if rng.random() < link.replay:
            arrivals.append((delay + rng.random() * link.replay_seconds, data, True))
        return arrivals

    def _in_bad_spell(self, link: Link, sender: int, receiver: int, now: float) -> bool:
        if not link.burst:
            return False
        pair = (sender, receiver)
        if self._bad.get(pair, 0.0) > now:
            return True
        if self._rng.random() < link.burst:
            self.spells += 1
            self._bad[pair] = now + self._rng.expovariate(1.0) * link.burst_seconds
            return True
        return False

    def _clogged(self, sender: int, receiver: int, now: float) -> float:
        until = self._clogs.get((sender, receiver), 0.0)
        return max(0.0, until - now)
