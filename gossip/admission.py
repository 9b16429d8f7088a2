"""The processes that have proved themselves: their salts, keys and replay windows.

A process is admitted, by its salt, once it has answered a nonce of ours: then nothing that it
sealed before can be passed off as new, whatever this process has forgotten or never knew. Packets
and streams share the admission. The least recently heard goes first, and is challenged anew when it
comes back.
"""

from collections import OrderedDict

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gossip import limits
from gossip.identity import WireId
from gossip.seal import Envelope, Freshness, Seal, Window, salt_id, unseal


class _Channel:
    """A sending key of another process, and what was seen under it."""

    __slots__ = ("frames", "key", "packets")

    def __init__(self, key: AESGCM, floor: int) -> None:
        self.key = key
        self.packets = Window(floor)
        self.frames = Window(floor)


class Admitted:
    """A process that has proved itself."""

    __slots__ = ("at", "channels", "floor", "nonce", "salt")

    def __init__(self, salt: bytes, floor: int, nonce: bytes, at: float) -> None:
        self.salt = salt
        self.floor = floor
        """The counter of its proof."""
        self.nonce = nonce
        """Which nonce of ours it answered."""
        self.at = at
        self.channels: dict[bytes, _Channel] = {}
        """By key id. Windows are apart, or whoever stole a key could still spoil them when it is
        long replaced, by one packet with the highest counter."""


class Admissions:
    """All that are admitted, by sender and salt id."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._admitted: OrderedDict[tuple[WireId, bytes], Admitted] = OrderedDict()

    def __len__(self) -> int:
        return len(self._admitted)

    def find(self, envelope: Envelope) -> Admitted | None:
        """Whoever sealed this, if it is admitted."""
        salt = envelope.salt
        if len(salt) > 4:
            admitted = self._admitted.get((envelope.sender, salt_id(salt)))
            return admitted if admitted is not None and admitted.salt == salt else None
        return self._admitted.get((envelope.sender, salt))

    def open(
        self, admitted: Admitted, envelope: Envelope, *, frame: bool, answering: bytes = b""
    ) -> tuple[bytes, Freshness]:
        """What an admitted process sealed, and whether it is new. Raises Rejected."""
        channel = admitted.channels.get(envelope.key_id)
        if channel is None:
            key = self._seal.derive(envelope.key_id, envelope.sender, admitted.salt)
            channel = admitted.channels[envelope.key_id] = _Channel(key, admitted.floor)
        plain = unseal(channel.key, envelope, answering)
        short = envelope.salt if len(envelope.salt) == 4 else salt_id(envelope.salt)
        self._admitted.move_to_end((envelope.sender, short))
        window = channel.frames if frame else channel.packets
        return plain, window.admit(envelope.counter)

    def open_stranger(self, envelope: Envelope, answering: bytes = b"") -> bytes:
        """What a process sealed that may not be admitted. Raises Rejected."""
        key = self._seal.derive(envelope.key_id, envelope.sender, envelope.salt)
        return unseal(key, envelope, answering)

    def admit(self, envelope: Envelope, nonce: bytes, now: float) -> None:
        """This proof answered that nonce of ours. An earlier admission of its salt is replaced."""
        admitted = Admitted(envelope.salt, envelope.counter, nonce, now)
        self._admitted[envelope.sender, salt_id(envelope.salt)] = admitted
        if len(self._admitted) > limits.SALTS_ADMITTED_MAX:
            self._admitted.popitem(last=False)

    def adopt(self) -> None:
        """The keyring has changed: forget the keys that are no longer in it."""
        for admitted in self._admitted.values():
            for key_id in [key for key in admitted.channels if not self._seal.knows(key)]:
                del admitted.channels[key_id]
