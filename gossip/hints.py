"""Keys that one side has and the other doesn't: who is told, and how rarely.

A hint can't be sealed, as there is no key for it, so anyone on the way can forge one. It is worth a
look where the keyring is kept, at most every few seconds, and nothing else.
"""

from gossip import limits
from gossip.address import Address
from gossip.challenge import Allowance
from gossip.counters import Counters
from gossip.effects import Notify
from gossip.events import KeyUnknown
from gossip.identity import WireId
from gossip.seal import COUNTER_BYTES, KEY_ID_BYTES, Envelope, Seal
from gossip.wire import SPOKEN, UNKNOWN_KEY, Rejected, Versions, encode_header

_HINT_BYTES = limits.HEADER_BYTES + KEY_ID_BYTES + COUNTER_BYTES


class KeyHints:
    """Hints to others, and reports to the application."""

    def __init__(
        self,
        wire: WireId,
        cluster: bytes,
        seal: Seal,
        counters: Counters,
        versions: Versions = SPOKEN,
    ) -> None:
        self._versions = versions
        self._wire = wire
        self._cluster = cluster
        self._seal = seal
        self._counters = counters
        self._allowance = Allowance(limits.HINTS_PER_SECOND)
        self._hinted: dict[str, float] = {}
        """Host -> when it was last sent a hint. Oldest first."""
        self._reported_at: float | None = None

    def __len__(self) -> int:
        return len(self._hinted)

    def may_answer(self, source: Address, now: float) -> bool:
        """Whether this source may be sent a hint now; counts as one that was."""
        host = source[0]
        last = self._hinted.get(host)
        if last is not None and now - last < limits.HINT_INTERVAL:
            return False
        if not self._allowance.take(now):
            return False
        self._hinted.pop(host, None)
        while len(self._hinted) >= limits.HINT_SOURCES_MAX:
            del self._hinted[next(iter(self._hinted))]
        self._hinted[host] = now
        return True

    def hint(self, envelope: Envelope) -> bytes:
        """Tell an envelope's sender that its key isn't known here. Shorter than any envelope."""
        self._counters.add("hints")
        header = encode_header(
            UNKNOWN_KEY, self._cluster, self._wire, envelope.sender, self._versions
        )
        return header + envelope.key_id + envelope.counter.to_bytes(COUNTER_BYTES, "big")

    def unknown(self, key_id: bytes, now: float) -> list[Notify]:
        """Report a key that only one side has, unless that was just done."""
        if self._reported_at is not None and (
            now - self._reported_at < limits.KEY_UNKNOWN_INTERVAL
        ):
            return []
        self._reported_at = now
        return [Notify(KeyUnknown(key_id.hex()))]


def hinted(data: bytes) -> tuple[bytes, int]:
    """The key id and the counter that a hint names. Raises Rejected."""
    if len(data) != _HINT_BYTES:
        raise Rejected("dropped_garbage")
    end = limits.HEADER_BYTES + KEY_ID_BYTES
    return data[limits.HEADER_BYTES : end], int.from_bytes(data[end:], "big")
