"""Latency: of two addresses picked at random, the one that has answered sooner lately.

How soon is an exponentially weighted moving average of answer times, decaying within 10 s, over the
weight (Kong: runloop/balancer/latency.lua, after Finagle's PeakEwma). An address that is new begins
at the mean of the others: it is neither flooded nor shunned.
"""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

from node.proxy.balancing.address import TargetAddress
from node.proxy.balancing.algorithm import Usable
from node.proxy.balancing.peer import Peer

DECAY_SECONDS = 10.0
_DRAWS = 6


class Average(NamedTuple):
    """The answer time of one address, in seconds, as of when it was last looked at."""

    seconds: float
    at: float

    def with_sample(self, seconds: float, now: float) -> float:
        """The average with one more answer time."""
        kept = math.exp(-max(now - self.at, 0.0) / DECAY_SECONDS)
        return self.seconds * kept + seconds * (1.0 - kept)


class Latency:
    """Satisfies Algorithm."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._peers: list[Peer] = []
        self._averages: dict[TargetAddress | None, Average] = {}

    def update(self, peers: Sequence[Peer], now: float) -> None:
        self._peers = [peer for peer in peers if peer.weight > 0]
        averages = self._averages
        known = [averages[peer.address].seconds for peer in self._peers if peer.address in averages]
        begin = Average(sum(known) / len(known) if known else 0.0, now)
        self._averages = {peer.address: averages.get(peer.address, begin) for peer in self._peers}

    def choose(self, usable: Usable, value: bytes, now: float) -> Peer | None:
        candidates = self._drawn(usable)
        if len(candidates) < 2:
            candidates = [peer for peer in self._peers if usable(peer)]
            candidates = self._rng.sample(candidates, min(2, len(candidates)))
        return min(candidates, key=lambda peer: self._score(peer, now), default=None)

    def _drawn(self, usable: Usable) -> list[Peer]:
        """Two at random, or fewer where the first draws hit what can't be used: so that not all
        have to be looked at."""
        drawn: list[Peer] = []
        for _ in range(_DRAWS if self._peers else 0):
            peer = self._rng.choice(self._peers)
            if peer not in drawn and usable(peer):
                drawn.append(peer)
                if len(drawn) == 2:
                    break
        return drawn

    def _score(self, peer: Peer, now: float) -> float:
        return self._averages[peer.address].with_sample(0.0, now) / peer.weight

    def began(self, peer: Peer) -> None:
        pass

    def ended(self, peer: Peer, seconds: float | None, now: float) -> None:
        average = self._averages.get(peer.address)
        if average is not None and seconds is not None:
            sample = average.with_sample(seconds, now)
            self._averages[peer.address] = Average(sample, now)
