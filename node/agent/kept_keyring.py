"""The prefix's copy of the cluster's keys: wrapped, as the authority's is."""

from collections.abc import Callable, Sequence
from pathlib import Path

from gossip.keyring import Keyring, KeyringRefused
from node import logs
from node.agent.keepsakes import KeptKeys, load_keys, store_keys
from node.agent.wrapping import is_wrapped_for, open_with, wrap_for

log = logs.get("keys")


class KeptKeyring:
    """``<prefix>/keyring`` as it was read or written last. ``draw`` gives n random bytes."""

    def __init__(self, prefix: Path, draw: Callable[[int], bytes]) -> None:
        self._prefix = prefix
        self._draw = draw
        self._keyring: Keyring | None = None
        """What ``content.wrapped`` opens to."""
        self.content = load_keys(prefix)

    def open(self, keys: Sequence[bytes]) -> Keyring | None:
        """The keyring that is kept; None when there is none, or none of these keys opens it."""
        if self.content.wrapped is None:
            return None
        try:
            self._keyring = open_with(self.content.wrapped, keys)
        except KeyringRefused as error:
            log.error("the keyring in the prefix can't be opened", reason=str(error))
        return self._keyring

    def forget(self) -> None:
        """It is another cluster's."""
        self.content, self._keyring = KeptKeys(), None

    def holds(
        self,
        authority_id: str,
        cluster_key: bytes | None,
        keyring: Keyring | None,
        keys: Sequence[bytes],
    ) -> bool:
        """Whether this is what is kept, wrapped for these keys."""
        content = self.content
        if (content.authority_id, content.cluster_key) != (authority_id, cluster_key):
            return False
        if keyring is None or keyring.counter == 0:
            return True
        wrapped = content.wrapped
        return self._keyring == keyring and wrapped is not None and is_wrapped_for(wrapped, keys)

    def write(
        self,
        authority_id: str,
        cluster_key: bytes | None,
        keyring: Keyring | None,
        keys: Sequence[bytes],
    ) -> None:
        """Keep this, wrapped for these keys. Raises OSError.

        Before the first change the keyring that is there stays: a slip in the configuration must
        not cost the only copy of what it can't open.
        """
        wrapped, opened = self.content.wrapped, self._keyring
        if keyring is not None and keyring.counter > 0:
            wrapped, opened = wrap_for(keyring, keys, self._draw), keyring
        content = KeptKeys(authority_id, cluster_key, wrapped)
        store_keys(self._prefix, content)
        self.content, self._keyring = content, opened
