"""Taking in a whole state beside the one that is served, slice by slice, to be swapped in whole."""

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

from store.changelog import Changelog
from store.changeset import Change, Changeset, decode_body
from store.contents import Contents, PinnedState, Prepared
from store.limits import LOG_BYTES_MAX
from store.snapshot_slices import SliceReader
from store.version import Head, Version

Outcome = Literal["installed", "stale", "corrupt"]


class Holder(Protocol):
    """The replica that is to hold it."""

    def head(self) -> tuple[Version, bytes]: ...

    def replace(self, head: Head, contents: Contents, log: Changelog | None = None) -> None: ...

    def renew(self, contents: Contents) -> None: ...

    def mend(self, head: Head, changes: Iterable[Prepared]) -> None: ...

    def changesets(
        self, after: tuple[int, int, int], digest: bytes, max_bytes: int
    ) -> Sequence[tuple[Version, bytes, bytes, bytes]] | None: ...

    def release(self, contents: Contents) -> None: ...


class Loading:
    """A state read at the authority; its version may be any."""

    def __init__(self, holder: Holder, head: Head) -> None:
        self.head = head
        self._holder = holder
        self._contents = Contents()

    def add(self, entities: Iterable[Change]) -> None:
        """Take in some. Raises ValueError for one that can't be read; then there is no going on."""
        self._contents.fill(entities)

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

    def finish_above(self, *, renew: bool) -> Outcome:
        """Hold it from now on if its version is above what is held.

        With ``renew`` also in the place of what is held at that version or later: the changesets
        that followed it are applied to it first, so that nothing goes back. ``stale``: nothing of
        this; ``corrupt``: one of those changesets can't be applied to it.
        """
        outcome: Outcome = "stale"
        if self.head.version > self._holder.head()[0]:
            self.finish()
            return "installed"
        if renew:
            outcome = self._follow()
        if outcome == "installed":
            self._holder.renew(self._contents)
        else:
            self.abandon()
        return outcome

    def abandon(self) -> None:
        """Nothing comes of it."""
        self._holder.release(self._contents)

    def _follow(self) -> Outcome:
        """Apply what the holder has applied since."""
        following = self._holder.changesets(*self.head, LOG_BYTES_MAX)
        if following is None:
            return "stale"
        try:
            self.follow(Changeset(*changeset) for changeset in following)
        except ValueError:
            return "corrupt"
        return "installed" if self.head == self._holder.head() else "stale"


class Installation:
    """A peer's snapshot; satisfies ``gossip.replica.Installation``."""

    def __init__(self, holder: Holder, head: Head, state_hash: bytes, *, renew: bool) -> None:
        self._expected = state_hash
        self._renew = renew
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

    def pin(self) -> PinnedState:
        """What has been taken in so far: the beginning, by kind and id, of what it will be."""
        return self._loading.pin()

    def resume(self) -> bytes:
        """Where to go on after the slices that were taken in."""
        return self._slices.resume()

    def finish(self) -> Outcome:
        """All slices are there: hold the state from now on, if it is whole and above what is held,
        or renews it (``Loading.finish_above``).

        ``stale``: the version isn't above the head. ``corrupt``: slices are missing, or the state
        hash is another.
        """
        if not self._slices.complete or self._loading.state_hash() != self._expected:
            self.abandon()
            return "corrupt"
        return self._loading.finish_above(renew=self._renew)

    def abandon(self) -> None:
        """Nothing comes of it."""
        self._loading.abandon()
