"""What push-pulls carry besides the member table: in short where both sides have the same, else
whole."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

from gossip import limits
from gossip.messages import Message
from gossip.wire import encode_part

_NOTHING = bytes(limits.BESIDE_DIGEST_BYTES)


class Part(Protocol):
    """One thing that all members are to hold alike."""

    def digest(self) -> bytes:
        """Stands for all of it (BESIDE_DIGEST_BYTES); empty while there is nothing."""

    def messages(self, now: float) -> Sequence[Message]:
        """All of it."""


class Beside:
    """The parts, always the same ones."""

    def __init__(self, *parts: Part) -> None:
        self._parts = parts

    def whole(self, now: float) -> list[Message]:
        """All parts."""
        return [message for part in self._parts for message in part.messages(now)]

    def digest(self) -> bytes:
        """Stands for all parts; empty while there is nothing in any."""
        digests = [part.digest() for part in self._parts]
        return b"".join(digest or _NOTHING for digest in digests) if any(digests) else b""

    def differing(self, theirs: bytes, now: float) -> list[Message]:
        """The parts of which another node has something else, by its ``digest``."""
        size = limits.BESIDE_DIGEST_BYTES
        theirs = theirs or _NOTHING * len(self._parts)
        return [
            message
            for number, part in enumerate(self._parts)
            if (part.digest() or _NOTHING) != theirs[number * size : (number + 1) * size]
            for message in part.messages(now)
        ]


def digest_of(messages: Iterable[Message]) -> bytes:
    """Stands for messages in an order that is the same everywhere."""
    whole = hashlib.blake2b(digest_size=limits.BESIDE_DIGEST_BYTES)
    for message in messages:
        whole.update(encode_part(message))
    return whole.digest()
