"""What push-pulls carry besides the member table: in short where both sides have the same, else
whole. Each part is a list of messages in an order that is the same everywhere."""

import hashlib
from collections.abc import Callable, Sequence

from gossip import limits
from gossip.messages import Message
from gossip.wire import encode_part

Part = Callable[[], Sequence[Message]]

_NOTHING = bytes(limits.BESIDE_DIGEST_BYTES)


class Beside:
    """The parts, always the same ones."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts

    def whole(self) -> list[Message]:
        """All parts."""
        return [message for part in self._parts for message in part()]

    def digest(self) -> bytes:
        """Stands for all parts; empty while there is nothing in any."""
        digests = [_digest(part()) for part in self._parts]
        return b"".join(digests) if any(digest != _NOTHING for digest in digests) else b""

    def differing(self, theirs: bytes) -> list[Message]:
        """The parts of which another node has something else, by its ``digest``."""
        theirs = theirs or _NOTHING * len(self._parts)
        size = limits.BESIDE_DIGEST_BYTES
        return [
            message
            for number, part in enumerate(self._parts)
            if _digest(held := part()) != theirs[number * size : (number + 1) * size]
            for message in held
        ]


def _digest(messages: Sequence[Message]) -> bytes:
    if not messages:
        return _NOTHING
    whole = hashlib.blake2b(digest_size=limits.BESIDE_DIGEST_BYTES)
    for message in messages:
        whole.update(encode_part(message))
    return whole.digest()
