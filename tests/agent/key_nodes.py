"""Nodes as far as keys go: their gossip and their authority played, their files real."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from gossip.identity import Identity
from gossip.keyring import Keyring
from node.agent.key_changes import KeyChanges
from node.agent.keys import KeyHolder, Keys
from store.authority import AuthorityInfo, KeyringRow
from store.errors import AuthorityUnavailable
from store.read import SCHEMA_VERSION

K1, K2, K3, OWN = (bytes([number]) * 32 for number in (1, 2, 3, 9))
"""OWN is what the authority's bootstrap drew."""


def node_id(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


class Database:
    """The authority's keyring."""

    def __init__(self) -> None:
        self.id = "8c5d3c0e-1d7c-4a7e-9f3b-2c2f6a1f0b57"
        self.row: KeyringRow | None = None
        self.down = ""
        self.schema_version = SCHEMA_VERSION
        self.reads = 0
        self.others_first = 0
        """So many of the next changes come too late."""

    @property
    def info(self) -> AuthorityInfo:
        return AuthorityInfo(self.id, OWN, self.schema_version, self.row)

    async def keyring(self) -> KeyringRow | None:
        self.reads += 1
        if self.down:
            raise AuthorityUnavailable(self.down)
        return self.row

    async def store_keyring(self, row: KeyringRow, expected_counter: int) -> bool:
        if self.down:
            raise AuthorityUnavailable(self.down)
        if self.others_first:
            self.others_first -= 1
            return False
        if expected_counter != (self.row.counter if self.row else 0):
            return False
        self.row = row
        return True


class Node:
    """A node's keys; ``others`` are the members it sees beside itself."""

    def __init__(
        self, prefix: Path, named: Keyring | None, database: Database | None, number: int = 1
    ) -> None:
        prefix.mkdir(exist_ok=True)
        self.number = number
        self.database = database
        self.others: list[KeyHolder] = []
        self.started = False
        self.clear = False
        self.in_use: Keyring | None = None
        numbers = itertools.count(1000 * number)
        self.keys = Keys(prefix, named, database, self, lambda n: next(numbers).to_bytes(n, "big"))
        self.drawn: Iterator[bytes] = (bytes([100 + n]) * 32 for n in itertools.count())
        self.changes = KeyChanges(self.keys, self, lambda n: next(self.drawn)[:n])

    async def start(self) -> "Node":
        """As node.agent.node does: the authority first, then gossip."""
        if self.database is not None and not self.database.down:
            self.keys.authority_opened(self.database.info)
        self.started = True
        if not self.clear:
            self.in_use = self.keys.current()
        self.keys.gossip_started()
        return self

    async def settled(self) -> "Node":
        """What is under way has been written."""
        await self.keys.settle()
        return self

    def identity(self) -> Identity | None:
        return Identity(node_id(self.number), 1, self.number) if self.started else None

    def keyring(self) -> Keyring | None:
        return self.in_use

    def offer_keyring(self, keyring: Keyring) -> bool:
        if self.in_use is None or not keyring.newer_than(self.in_use):
            return False
        self.in_use = keyring
        return True

    def key_holders(self) -> list[KeyHolder]:
        counter = self.in_use.counter if self.in_use else None
        return [KeyHolder(node_id(self.number), "me", "alive", counter, True), *self.others]
