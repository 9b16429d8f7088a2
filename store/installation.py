"""Taking in a whole state beside the one that is served, slice by slice, to be swapped in whole."""

from collections.abc import Iterable
from typing import Literal, Protocol

from store.changelog import Changelog
from store.changeset import Change, Changeset, decode_body
from store.contents import Contents, PinnedState
from store.snapshot_slices import SliceReader
from store.version import Head, Version

Outcome = Literal["installed", "stale", "corrupt"]


class Holder(Protocol):
    """The replica that is to hold it."""

    def head(self) -> tuple[Version, bytes]: ...

    def replace(self, head: Head, contents: Contents, log: Changelog | None = None) -> None: ...

    def release(self, contents: Contents) -> None: ...


class Loading:
    """A state read at the authority; its version may be any."""

    def __init__(self, holder: Holder, head: Head) -> None:
        self.head = head
        self._holder = holder
        self._contents = Contents()

    def add(self, entities: Iterable[Change]) -> None:
        """Take in some. Raises ValueError for one that can't be read; then there is no going on."""
        for change in entities:
            if change.entity is None:
                raise ValueError(f"a state with a deletion ({change.kind} {change.id})")
            self._contents.apply((self._contents.prepare(change),))

    def follow(self, changesets: Iterable[Changeset]) -> None:
        """All is there, and these have followed it meanwhile. Raises ValueError as ``add``."""
        for version, _, digest, body in changesets:
            changes = decode_body(body).changes
            self._contents.apply([self._contents.prepare(change) for change in changes])
            self.head = Head(version, digest)

    def pin(self) -> PinnedState:
        """What has been taken in so far."""
        return self._contents.pin(self.head)

    def state_hash(self) -> bytes:
        """Of what has been taken in so far (32 bytes)."""
        return self._contents.state_hash()

    def finish(self, log: Changelog | None = None) -> None:
        """All is there: hold it from now on. ``log`` has the changesets that led to it."""
        self._holder.replace(self.head, self._contents, log)

    def abandon(self) -> None:
        """Nothing comes of it."""
        self._holder.release(self._contents)


class Installation:
    """A peer's snapshot; satisfies ``gossip.replica.Installation``."""

    def __init__(self, holder: Holder, head: Head, state_hash: bytes | None) -> None:
        self._holder = holder
        self._expected = state_hash
        self._slices = SliceReader(head)
        self._loading = Loading(holder, head)

    def feed(self, data: bytes) -> bool:
        """Take in the next slice. False when it is damaged or not the next one of a snapshot at
        this head, or when it holds what can't be read: then there is no going on."""
        try:
            self._loading.add(self._slices.read(data))
        except ValueError:
            return False
        return True

    def finish(self) -> Outcome:
        """All slices are there: hold the state from now on, if it is whole and above what is held.

        ``stale``: the version isn't above the head. ``corrupt``: slices are missing, or the state
        hash is another. Afterwards the log kept begins at that head.
        """
        outcome = self._judge()
        if outcome == "installed":
            self._loading.finish()
        else:
            self.abandon()
        return outcome

    def abandon(self) -> None:
        """Nothing comes of it."""
        self._loading.abandon()

    def _judge(self) -> Outcome:
        if self._loading.head.version <= self._holder.head()[0]:
            return "stale"
        right = self._expected in (None, self._loading.state_hash())
        return "installed" if self._slices.complete and right else "corrupt"
