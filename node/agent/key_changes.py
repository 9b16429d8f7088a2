"""Installing, using and removing the cluster's keys, with the checks that keep everyone reachable.

The order that drops no packet is hashicorp/serf's: install everywhere, use, remove. A key is sent
under only once every live member can read it, and goes only once nobody is left who might send
under it.
"""

import asyncio
import os
from collections.abc import Callable, Sequence

from gossip import keyring as keyrings
from gossip.identity import Identity
from gossip.keyring import KEY_BYTES, Keyring, KeyringRefused, key_id
from node.admin.node_view import Conflict, KeysStatus, NoSuchKey, NotAvailable
from node.agent.keys import ALONE, CLEAR, KeyringGossip, Keys
from node.agent.limits import NAMES_SHOWN_MAX

LIVE = ("alive", "suspect", "leaving")
DRAWS_MAX = 8
"""A drawn key's id meets another's once in 65,536 times (``gossip.keyring.wire_key_id``)."""


class KeyChanges:
    """Satisfies node.admin.node_view.KeysView. ``draw`` gives n random bytes."""

    def __init__(
        self, keys: Keys, gossip: KeyringGossip, draw: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._keys = keys
        self._gossip = gossip
        self._draw = draw

    def status(self) -> KeysStatus:
        """The keys that this node reads and sends under now."""
        if self._gossip.identity() is None:
            raise NotAvailable(ALONE)
        keyring = self._gossip.keyring()
        if keyring is None:
            raise Conflict(CLEAR)
        live = [holder for holder in self._gossip.key_holders() if holder.status in LIVE]
        behind = self._behind(keyring.counter, LIVE)
        return KeysStatus([key_id(key) for key in keyring.keys], keyring.counter, len(live), behind)

    async def install(self, key: bytes | None, *, replace_unopened: bool) -> tuple[str, bool]:
        """Add a key; what nobody named is drawn here and shown to nobody."""
        installed: list[tuple[bytes, bool]] = []

        def rule(keyring: Keyring) -> Keyring:
            if key is None:
                changed = self._with_a_new_key(keyring)
            else:
                changed = _refused_as_conflict(
                    lambda: keyrings.install(keyring, key, self._identity())
                )
            installed[:] = [(key or changed.keys[-1], changed is not keyring)]
            return changed

        # Shielded: what has been stored must be spread, whether or not the client still listens.
        await asyncio.shield(self._keys.change(rule, replace_unopened=replace_unopened))
        ((added, is_new),) = installed
        return key_id(added), is_new

    async def use(self, shown_id: str) -> None:
        """Send under a key that all live members have."""

        def rule(keyring: Keyring) -> Keyring:
            changed = keyrings.use(keyring, _find(keyring, shown_id), self._identity())
            if changed is not keyring:
                self._refuse_while_behind(keyring, LIVE, "can't read what is sent under it")
            return changed

        await asyncio.shield(self._keys.change(rule))

    async def remove(self, shown_id: str, *, force: bool) -> None:
        """Forget a key that nobody sends under any more."""

        def rule(keyring: Keyring) -> Keyring:
            key = _find(keyring, shown_id)
            changed = _refused_as_conflict(lambda: keyrings.remove(keyring, key, self._identity()))
            if not force:
                self._refuse_while_behind(
                    keyring,
                    (*LIVE, "failed"),
                    "may still send under it; force it to go all the same",
                )
            return changed

        await asyncio.shield(self._keys.change(rule))

    def _with_a_new_key(self, keyring: Keyring) -> Keyring:
        for _ in range(DRAWS_MAX - 1):
            try:
                return keyrings.install(keyring, self._draw(KEY_BYTES), self._identity())
            except KeyringRefused:
                continue
        return _refused_as_conflict(
            lambda: keyrings.install(keyring, self._draw(KEY_BYTES), self._identity())
        )

    def _refuse_while_behind(
        self, keyring: Keyring, statuses: Sequence[str], consequence: str
    ) -> None:
        behind = self._behind(keyring.counter, statuses)
        if behind:
            more = len(behind) - NAMES_SHOWN_MAX
            names = ", ".join(behind[:NAMES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
            raise Conflict(
                f"the last change of keys ({keyring.counter}) hasn't been told back by {names}, "
                f"which {consequence}"
            )

    def _behind(self, counter: int, statuses: Sequence[str]) -> list[str]:
        """Names of the other members in these states that haven't told this change or a later."""
        return [
            holder.name
            for holder in self._gossip.key_holders()
            if holder.status in statuses
            and not holder.is_self
            and (holder.counter is None or holder.counter < counter)
        ]

    def _identity(self) -> Identity:
        identity = self._gossip.identity()
        if identity is None:
            raise NotAvailable(ALONE)
        return identity


def _find(keyring: Keyring, shown_id: str) -> bytes:
    try:
        return keyring.find(shown_id)
    except KeyringRefused as error:
        raise NoSuchKey(str(error)) from None


def _refused_as_conflict(change: Callable[[], Keyring]) -> Keyring:
    try:
        return change()
    except KeyringRefused as error:
        raise Conflict(str(error)) from None
