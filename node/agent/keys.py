"""The cluster's keys as this node knows them, and where they are kept.

What the configuration names, else what the authority's bootstrap drew, holds until the first change
by ``grapevine cluster keys``. From then on the newest change holds, wherever it is found: in the
authority, in the prefix, or at a peer. What is older is brought up to date.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from gossip.identity import Identity
from gossip.keyring import Keyring, KeyringRefused, configured, key_id
from node import logs
from node.admin.node_view import Conflict, NotAvailable
from node.agent.keeper import Keeper
from node.agent.kept_keyring import KeptKeyring
from node.agent.limits import KEY_UNKNOWN_LOG_SECONDS, KEYRING_ATTEMPTS_MAX, KEYRING_STORERS
from node.agent.wrapping import is_wrapped_for, open_with, wrap_for
from store.authority import AuthorityInfo, KeyringRow
from store.errors import AuthorityUnavailable
from store.keyring import KEYRING_SCHEMA

log = logs.get("keys")

CLEAR = (
    "this cluster talks in clear, as it does on loopback without a key; set cluster_encrypt_key on "
    "every node and restart them to encrypt it"
)

ALONE = "this node takes no part in gossip; its log says why"


class KeyHolder(NamedTuple):
    """A member, as far as keys go."""

    id: str
    name: str
    status: str
    counter: int | None
    """Of the keyring that it has told last; None before."""
    is_self: bool


class KeyringGossip(Protocol):
    """The keyring's way to and from the other members."""

    def identity(self) -> Identity | None:
        """Who makes a change here; None while this node takes no part in gossip."""

    def keyring(self) -> Keyring | None:
        """What is sent and read under; None in clear."""

    def offer_keyring(self, keyring: Keyring) -> bool:
        """Adopt and spread it if it is newer."""

    def key_holders(self) -> Sequence[KeyHolder]:
        """All listed members."""


class KeyringStore(Protocol):
    """Where the cluster's keyring lives. Both raise AuthorityUnavailable."""

    async def keyring(self) -> KeyringRow | None: ...

    async def store_keyring(self, row: KeyringRow, expected_counter: int) -> bool: ...


class Keys:
    """``named`` is what the configuration names; ``store`` is None when there is no database;
    ``draw`` gives n random bytes."""

    def __init__(
        self,
        prefix: Path,
        named: Keyring | None,
        store: KeyringStore | None,
        gossip: KeyringGossip,
        draw: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._named = named
        self._store = store
        self._gossip = gossip
        self._draw = draw
        self._kept = KeptKeyring(prefix, draw)
        self._authority_id = self._kept.content.authority_id
        self._cluster_key = self._kept.content.cluster_key
        self._held = self._first()
        kept = self._kept.open(self._opening_keys())
        if kept is not None and (self._held is None or kept.newer_than(self._held)):
            self._held = kept
        self._unopened: tuple[int, str, int] | None = None
        """The authority's keyring that was complained of."""
        self._put_by_look: tuple[int, str, int] | None = None
        """The last keyring that ``look`` has put into the authority."""
        self._told_at: float | None = None
        self._changing = asyncio.Lock()
        self._file = Keeper("the keyring", self._write)
        self._look_again = False
        self._looking: asyncio.Task[None] | None = None

    @property
    def authority_id(self) -> str:
        """Of the authority that the keys are from; empty before it was first reached."""
        return self._authority_id

    def current(self) -> Keyring | None:
        """The newest keyring that is known; None when no source has told a key yet."""
        return self._held

    def gossip_started(self) -> None:
        """Gossip has begun, with what ``current`` answered some time before."""
        if self._held is not None:
            self._gossip.offer_keyring(self._held)
        self._keep()

    async def settle(self) -> None:
        """Wait until what is under way is done and everything is written."""
        if self._looking is not None:
            await asyncio.wait({self._looking})
        await self._file.finish()

    async def finish(self) -> None:
        """The node ends: look no more, and write what there is to write."""
        if self._looking is not None:
            self._looking.cancel()
        await self.settle()

    # What is heard of keys

    def authority_opened(self, info: AuthorityInfo) -> None:
        """The authority was reached, and has told what it keeps."""
        if info.schema_version < KEYRING_SCHEMA:
            log.warning(
                "the database has no place for the cluster's keyring: keys can't be changed; "
                "run 'grapevine migrations up'"
            )
        if self._authority_id not in ("", info.id):
            log.notice("the keyring in the prefix is of another authority and left out")
            self._held = self._named
            self._kept.forget()
        self._authority_id, self._cluster_key = info.id, info.cluster_key
        self._held = self._held or self._first()
        self._saw(info.keyring)
        self._keep()
        if self._wanted_in_place_of(info.keyring) is not None:
            self.look()

    def adopted(self, keyring: Keyring) -> None:
        """A newer keyring came from a peer. Few of the nodes see to it that the authority has it:
        who made the change has stored it there, unless that went wrong."""
        if self._take(keyring) and self._is_storer():
            self.look()

    def unknown(self, shown_id: str) -> None:
        """Others use a key that this node doesn't have, or don't have one that it uses; anyone can
        make it believe so."""
        now = asyncio.get_running_loop().time()
        if self._told_at is None or now - self._told_at >= KEY_UNKNOWN_LOG_SECONDS:
            self._told_at = now
            log.warning(
                "peers use keys that this node lacks, or lack its own; it asks the authority",
                key=shown_id,
            )
        self.look()

    def look(self) -> None:
        """Compare with the authority's keyring, and bring the older one up to date."""
        self._look_again = self._store is not None
        if self._look_again and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look())

    async def change(
        self, rule: Callable[[Keyring], Keyring], *, replace_unopened: bool = False
    ) -> Keyring:
        """Make a change, keep it and spread it: in the authority first, so that of two at once one
        is made upon the other. ``rule`` answers its argument when there is nothing to change.

        ``replace_unopened`` lets it take the place of one in the authority that can't be opened
        here. Raises Conflict, NotAvailable, AuthorityUnavailable, and what the rule raises.
        """
        if self._gossip.identity() is None:
            raise NotAvailable(ALONE)
        if self._gossip.keyring() is None:
            raise Conflict(CLEAR)
        async with self._changing:
            for _ in range(KEYRING_ATTEMPTS_MAX):
                row = None if self._store is None else await self._store.keyring()
                self._saw(row)
                current = self._base(row, replace_unopened)
                changed = rule(current)
                if changed is current:
                    return changed
                if await self._put(changed, row):
                    await self._keep_own(changed)
                    self._gossip.offer_keyring(changed)
                    return changed
        raise NotAvailable("other nodes change the keys at the same time; try again")

    def _base(self, row: KeyringRow | None, replace_unopened: bool) -> Keyring:
        if self._held is None:
            raise NotAvailable(ALONE)
        if row is None or not _register(row) > self._held[:3]:
            return self._held
        # It is newer and was not taken: none of the keys that are known here opens it.
        if not replace_unopened:
            raise Conflict(
                f"the authority's keyring (change {row.counter}) is wrapped under other keys than "
                "this node knows; set cluster_encrypt_key to a key of the cluster, or force it to "
                "be replaced by this node's"
            )
        return self._held._replace(counter=row.counter)

    async def _put(self, keyring: Keyring, row: KeyringRow | None) -> bool:
        """Store a change in the authority, in the place of what it was made from."""
        if self._store is None:
            return True
        expected = 0 if row is None else row.counter
        return await self._store.store_keyring(self._row(keyring), expected)

    async def _keep_own(self, changed: Keyring) -> None:
        """Write an own change to the prefix. With a database, a disk that is full does no harm."""
        before = self._held
        self._take(changed)
        await self._file.finish()
        if self._store is None and self._file.problem and self._held is changed:
            self._held = before
            raise NotAvailable(f"the keyring can't be written: {self._file.problem}")

    def _take(self, keyring: Keyring) -> bool:
        """Whether this keyring is newer than the one that is held, which it then replaces."""
        if self._held is not None and not keyring.newer_than(self._held):
            return False
        self._held = keyring
        self._file.changed()
        ids = [key_id(key) for key in keyring.keys]
        log.notice("the cluster's keys", change=keyring.counter, use=ids[0], known=",".join(ids))
        return True

    def _saw(self, row: KeyringRow | None) -> None:
        """What the authority keeps."""
        if row is None or (self._held is not None and not _register(row) > self._held[:3]):
            return
        try:
            keyring = open_with(row.wrapped, self._opening_keys())
        except KeyringRefused as error:
            if self._unopened != _register(row):
                log.error(
                    "the authority's keyring can't be opened; set cluster_encrypt_key to a key "
                    "of the cluster",
                    change=row.counter,
                    reason=str(error),
                )
            self._unopened = _register(row)
            return
        if self._take(keyring):
            self._gossip.offer_keyring(keyring)

    async def _look(self) -> None:
        assert self._store is not None
        while self._look_again:
            self._look_again = False
            try:
                row = await self._store.keyring()
                self._saw(row)
                wanted = self._wanted_in_place_of(row)
                if wanted is not None:
                    # When another node's is there by now, that one is as good.
                    await self._store.store_keyring(wanted, 0 if row is None else row.counter)
                    self._put_by_look = _register(wanted)
            except AuthorityUnavailable as error:
                log.info("the authority's keyring can't be compared", reason=str(error))

    def _wanted_in_place_of(self, row: KeyringRow | None) -> KeyringRow | None:
        """What the authority should keep; None when that is what it does.

        One and the same keyring is wrapped anew when it isn't for the keys that this node would
        take, but only once in a process' life: nodes that are configured with different keys
        must not go on correcting one another.
        """
        if self._held is None or self._held.counter == 0:
            return None
        if row is None or self._held[:3] > _register(row):
            return self._row(self._held)
        if self._held[:3] < _register(row) or self._put_by_look == self._held[:3]:
            return None
        if is_wrapped_for(row.wrapped, self._wrapping_keys(self._held)):
            return None
        return self._row(self._held)

    def _is_storer(self) -> bool:
        live = sorted(
            (holder.id, holder.is_self)
            for holder in self._gossip.key_holders()
            if holder.status == "alive"
        )
        return any(is_self for _, is_self in live[:KEYRING_STORERS])

    # The prefix

    def _keep(self) -> None:
        """Bring the prefix up to date, soon."""
        if not self._kept.holds(*self._content()):
            self._file.changed()

    def _write(self) -> None:
        """Called off the event loop, never twice at once."""
        self._kept.write(*self._content())

    def _content(self) -> tuple[str, bytes | None, Keyring | None, tuple[bytes, ...]]:
        held = self._held
        keys = () if held is None else self._wrapping_keys(held)
        return self._authority_id, self._cluster_key, held, keys

    # Wrapping

    def _row(self, keyring: Keyring) -> KeyringRow:
        wrapped = wrap_for(keyring, self._wrapping_keys(keyring), self._draw)
        return KeyringRow(keyring.counter, keyring.author, keyring.tag, wrapped)

    def _wrapping_keys(self, keyring: Keyring) -> tuple[bytes, ...]:
        return tuple(dict.fromkeys((*self._given()[:1], *keyring.keys)))

    def _opening_keys(self) -> tuple[bytes, ...]:
        held = self._held.keys if self._held is not None else ()
        return tuple(dict.fromkeys((*self._given(), *held)))

    def _given(self) -> tuple[bytes, ...]:
        """The keys of before the first change. Those that are configured leave out the authority's
        own: whoever sets a key wants what that opens, and nothing that the database gives away."""
        first = self._first()
        return () if first is None else first.keys

    def _first(self) -> Keyring | None:
        """The keyring before the first change."""
        if self._named is not None or self._cluster_key is None:
            return self._named
        return configured(self._cluster_key)


def _register(row: KeyringRow) -> tuple[int, str, int]:
    return row.counter, row.author, row.tag
