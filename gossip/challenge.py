"""Challenges by packet: which nonces are out, and how many may be drawn."""

import random
from typing import NamedTuple

from gossip import limits
from gossip.identity import WireId
from gossip.seal import NONCE_BYTES


class Allowance:
    """So many a second in the long run, and as many at once."""

    def __init__(self, per_second: float) -> None:
        self._per_second = self._left = per_second
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Use one up, if there is one."""
        gained = max(0.0, now - self._at) * self._per_second
        self._left = min(self._per_second, self._left + gained)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class _Outstanding(NamedTuple):
    nonce: bytes
    drawn_at: float
    asked_at: float


class Challenges:
    """Nonces that await a proof, by the sender and the id of its salt. Oldest first."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._allowance = Allowance(limits.CHALLENGES_PER_SECOND)
        self._outstanding: dict[tuple[WireId, bytes], _Outstanding] = {}

    def __len__(self) -> int:
        return len(self._outstanding)

    def draw(self) -> bytes:
        """16 random bytes. They never travel in clear, so nobody learns the generator's state."""
        return self._rng.getrandbits(8 * NONCE_BYTES).to_bytes(NONCE_BYTES, "big")

    def ask(self, sender: WireId, salt_id: bytes, now: float) -> bytes | None:
        """The nonce to challenge this process with; None when that was just done, or done too often
        for others."""
        nonce = self.outstanding(sender, salt_id, now)
        if nonce is not None:
            held = self._outstanding[sender, salt_id]
            if now - held.asked_at < limits.CHALLENGE_INTERVAL:
                return None
        if not self._allowance.take(now):
            return None
        return self.nonce(sender, salt_id, now)

    def nonce(self, sender: WireId, salt_id: bytes, now: float) -> bytes:
        """The nonce that is out for this process, or a new one."""
        key = (sender, salt_id)
        nonce = self.outstanding(sender, salt_id, now)
        if nonce is not None:
            self._outstanding[key] = self._outstanding[key]._replace(asked_at=now)
            return nonce
        self._outstanding.pop(key, None)
        while len(self._outstanding) >= limits.CHALLENGES_MAX:
            del self._outstanding[next(iter(self._outstanding))]
        nonce = self.draw()
        self._outstanding[key] = _Outstanding(nonce, now, now)
        return nonce

    def outstanding(self, sender: WireId, salt_id: bytes, now: float) -> bytes | None:
        """The nonce that this process may answer."""
        held = self._outstanding.get((sender, salt_id))
        if held is None or now - held.drawn_at > limits.CHALLENGE_SECONDS_MAX:
            return None
        return held.nonce

    def drawn_at(self, sender: WireId, salt_id: bytes) -> float:
        """When the nonce that is out for this process was drawn."""
        return self._outstanding[sender, salt_id].drawn_at

    def answered(self, sender: WireId, salt_id: bytes) -> None:
        """It has: a nonce serves once."""
        self._outstanding.pop((sender, salt_id), None)
