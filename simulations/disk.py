"""What a simulated node keeps on its disk, and what crashes and power cuts leave of it.

A small file is written as production does (``node.agent.prefix.store_json``): beside the old one,
synced, renamed over it. That promises the old content or the new one after a crash, whenever it
comes, and nothing more: a write takes its time, fails on a full disk, and a disk that lies loses
the content altogether, which the reader notices. Most files are written behind the process' back
(``node.agent.keeper``): the newest content, one write at a time, and a failed one isn't repeated
before something changes again.
"""

import random
from dataclasses import dataclass, field, replace
from typing import Generic, NamedTuple, TypeVar

from gossip.address import Address
from gossip.keyring import Keyring
from gossip.messages.registers import Register
from simulations.authority import LogReplica, SimulatedReplica

Content = TypeVar("Content")

_WRITE_SECONDS = 0.005


class DiskFull(Exception):
    """No room for a write."""


class Damaged(Exception):
    """A file holds neither its old content nor its new one."""


class StoredIdentity(NamedTuple):
    """``identity.json``: the node id, and the highest generation that it has used."""

    node_id: str
    generation: int
    incarnation: int = 1


@dataclass(slots=True)
class File(Generic[Content]):
    """One small file. Times are the world's."""

    stored: Content
    damaged: bool = False
    seconds: float = _WRITE_SECONDS
    """How long a write takes."""
    full: bool = False
    failed: int = 0
    """Writes for which there was no room."""
    _writing: tuple[Content, float] | None = None
    """What is being written, and until when."""
    _next: tuple[Content] | None = None

    def put(self, content: Content, now: float) -> None:
        """Have this written soon."""
        self.settle(now)
        if self._writing is None:
            self._writing = (content, now + self.seconds)
        else:
            self._next = (content,)

    def store(self, content: Content) -> None:
        """Write this now. Raises DiskFull."""
        if self.full:
            self.failed += 1
            raise DiskFull
        self.stored, self.damaged = content, False

    def read(self) -> Content:
        """Raises Damaged."""
        if self.damaged:
            raise Damaged
        return self.stored

    def settle(self, now: float) -> None:
        """Writes that are done by now have happened."""
        while self._writing is not None and self._writing[1] <= now:
            content, done = self._writing
            self._write(content)
            self._writing = None if self._next is None else (*self._next, done + self.seconds)
            self._next = None

    def interrupt(self, now: float, rng: random.Random) -> bool:
        """The process dies: a write under way has happened, or hasn't. Answers whether there was
        one."""
        self.settle(now)
        under_way, self._writing, self._next = self._writing, None, None
        if under_way is not None and rng.random() < 0.5:
            self._write(under_way[0])
        return under_way is not None

    def copy(self) -> "File[Content]":
        return File(self.stored, self.damaged, self.seconds)

    def _write(self, content: Content) -> None:
        if self.full:
            self.failed += 1
        else:
            self.stored, self.damaged = content, False


class Peers(NamedTuple):
    """``peers.json``: where the other members were. So many entries of a list that only grows, or
    each change would copy all."""

    seen: list[tuple[str, Address]]
    length: int

    def by_id(self) -> dict[str, Address]:
        return dict(self.seen[: self.length])


SmallFile = File[StoredIdentity] | File[Keyring | None] | File[Peers] | File[tuple[Register, ...]]


@dataclass(slots=True)
class Disk:
    """Survives the process. ``snapshot`` is a copy as a backup or an old image holds it."""

    identity: File[StoredIdentity]
    keyring: File[Keyring | None]
    removals: dict[str, int] = field(default_factory=dict)
    """Who was forced out here that the authority hasn't been told of, up to which generation."""
    peers: File[Peers] = field(default_factory=lambda: File(Peers([], 0)))
    registers: "File[tuple[Register, ...]]" = field(default_factory=lambda: File(()))
    replica: SimulatedReplica = field(default_factory=LogReplica)

    def files(self) -> "dict[str, SmallFile]":
        """The small ones, by name."""
        return {
            "identity": self.identity,
            "keyring": self.keyring,
            "peers": self.peers,
            "registers": self.registers,
        }

    def interrupt(self, now: float, rng: random.Random) -> int:
        """The process dies. Answers how many writes were under way."""
        return sum(file.interrupt(now, rng) for file in self.files().values())

    def fill(self, now: float, *, full: bool) -> int:
        """There is no room any more for small files, or there is again. Answers how many writes
        have failed."""
        for file in self.files().values():
            file.settle(now)
            file.full = full
        return sum(file.failed for file in self.files().values())

    def slow_down(self, seconds: float, now: float) -> None:
        """From now on a write takes so long."""
        for file in self.files().values():
            file.settle(now)
            file.seconds = seconds

    def say(self, node_id: str, generation: int) -> None:
        """It is the disk of that node after so many lives."""
        self.identity.stored = StoredIdentity(node_id, generation)

    def snapshot(self, now: float) -> "Disk":
        for file in self.files().values():
            file.settle(now)
        return replace(
            self,
            identity=self.identity.copy(),
            keyring=self.keyring.copy(),
            removals=dict(self.removals),
            peers=self.peers.copy(),
            registers=self.registers.copy(),
            replica=self.replica.copy(),
        )
