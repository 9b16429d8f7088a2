"""Links between simulated nodes: latency, loss, duplication and cuts, for UDP and TCP apart."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Protocol = Literal["udp", "tcp"]

_RETRANSMISSION_SECONDS = 0.2
"""What a lost segment costs TCP: Linux' shortest retransmission time-out."""


@dataclass(frozen=True, slots=True)
class Link:
    """How packets fare on their way. Times in seconds, probabilities from 0 to 1."""

    latency: float = 0.000_2
    jitter: float = 0.000_1
    """Mean of the exponential time that comes on top: reorders packets."""
    loss: float = 0.0
    duplication: float = 0.0


class Network:
    """Decides what becomes of each packet. All nodes share one kind of link; cuts are per pair."""

    def __init__(self, link: Link, rng: random.Random) -> None:
        self.link = link
        self._rng = rng
        self._cuts: dict[tuple[int, int, Protocol], None] = {}

    def cut(
        self,
        senders: Iterable[int],
        receivers: Iterable[int],
        protocols: Iterable[Protocol] = ("udp", "tcp"),
    ) -> None:
        """Let nothing through from these senders to these receivers (one way)."""
        receivers = list(receivers)
        protocols = list(protocols)
        for sender in senders:
            for receiver in receivers:
                for protocol in protocols:
                    self._cuts[sender, receiver, protocol] = None

    def partition(self, *sides: Iterable[int]) -> None:
        """Cut both ways between each two sides."""
        groups = [list(side) for side in sides]
        for side in groups:
            for other in groups:
                if side is not other:
                    self.cut(side, other)

    def heal(self) -> None:
        """Lift all cuts."""
        self._cuts.clear()

    def passes(self, sender: int, receiver: int, protocol: Protocol) -> bool:
        return (sender, receiver, protocol) not in self._cuts

    def datagram(self, sender: int, receiver: int) -> list[float]:
        """Delays of the copies that arrive: none when it is lost, two when it is duplicated."""
        lost = self._rng.random() < self.link.loss
        twice = self._rng.random() < self.link.duplication
        if lost or not self.passes(sender, receiver, "udp"):
            return []
        return [self._delay() for _ in range(2 if twice else 1)]

    def segment(self) -> float:
        """Delay of what is written to a stream. TCP makes up for loss with time."""
        delay = self._delay()
        while self._rng.random() < self.link.loss:
            delay += _RETRANSMISSION_SECONDS
        return delay

    def _delay(self) -> float:
        return self.link.latency + self._rng.expovariate(1.0) * self.link.jitter
