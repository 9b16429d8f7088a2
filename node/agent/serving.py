"""The replica as this node serves it: one door through which every change comes in.

Gossip offers changesets here, and so does the node with its own commits and with what it reads from
the authority. Whatever is applied goes to the workers at once and in order.
"""

from collections.abc import Callable, Iterator, Sequence

from gossip.replica import Installation, Outcome, Verdict
from store.authority import State
from store.changeset import Change, Changeset
from store.replica import Replica
from store.version import EMPTY, Head, Version


class Serving:
    """Satisfies gossip.replica.Replica around store.replica.Replica.

    ``on_applied(changeset)`` is called synchronously for each changeset, ``on_loaded()`` when the
    whole state was replaced.
    """

    def __init__(
        self,
        replica: Replica,
        on_applied: Callable[[Changeset], None],
        on_loaded: Callable[[], None],
    ) -> None:
        self.replica = replica
        self._on_applied = on_applied
        self._on_loaded = on_loaded

    @property
    def version(self) -> Version:
        """The version of the replica."""
        return self.head().version

    @property
    def loaded(self) -> bool:
        """Whether the replica holds a configuration (one without entities counts)."""
        return self.head() != EMPTY

    def head(self) -> Head:
        return Head(*self.replica.head())

    def offer(
        self, version: tuple[int, int, int], predecessor: bytes, digest: bytes, body: bytes
    ) -> Verdict:
        changeset = Changeset(Version(*version), predecessor, digest, body)
        verdict = self.replica.offer(*changeset)
        if verdict == "applied":
            self._on_applied(changeset)
        return verdict

    def changesets(
        self, after: tuple[int, int, int], digest: bytes, max_bytes: int
    ) -> Sequence[tuple[Version, bytes, bytes, bytes]] | None:
        return self.replica.changesets(Version(*after), digest, max_bytes)

    def load(self, state: State) -> None:
        """Replace everything by a state read at the authority."""
        self.replica.load(state)
        self._on_loaded()

    def snapshot(self, slice_bytes: int) -> Iterator[bytes]:
        return self.replica.snapshot(slice_bytes)

    def begin_install(
        self, version: tuple[int, int, int], digest: bytes, state_hash: bytes | None = None
    ) -> Installation:
        return _Announced(self.replica.begin_install(version, digest, state_hash), self._on_loaded)

    def state(self) -> tuple[Version, Sequence[Change]]:
        """Everything, at one version, for a worker."""
        return self.version, tuple(self.replica.changes())


class _Announced:
    """An installation whose success is told."""

    def __init__(self, installation: Installation, on_loaded: Callable[[], None]) -> None:
        self._installation = installation
        self._on_loaded = on_loaded

    def feed(self, data: bytes) -> bool:
        return self._installation.feed(data)

    def finish(self) -> Outcome:
        outcome = self._installation.finish()
        if outcome == "installed":
            self._on_loaded()
        return outcome

    def abandon(self) -> None:
        self._installation.abandon()
