"""A replica that is served: ``node.agent.serving`` around the real one, and its file."""

from collections.abc import Callable, Sequence

from gossip.replica import Changeset as Spread
from gossip.replica import Head as SpreadHead
from gossip.replica import Installation, Reconciliation, Verdict, Version
from node.agent.serving import Serving
from simulations.authority import EntityReplica
from simulations.whole.kept import KeptFile
from store.authority import State
from store.changeset import Change, Changeset, decode_body
from store.replica import Applied
from store.version import Head
from store.version import Version as StoreVersion


class _Serving(Serving):
    """What was replaced is let go of at once: that takes no virtual time."""

    def _tidy(self) -> None:
        while self.replica.tidy():
            pass


class ServedReplica(EntityReplica):
    """That of one process. ``reborn`` is the next one's."""

    def __init__(self, file: KeptFile | None = None) -> None:
        super().__init__()
        self.file = file or KeptFile()
        self.on_applied: Callable[[Applied], None] = lambda applied: None
        self.on_replaced: Callable[[], None] = lambda: None
        self.on_mended: Callable[[Version, tuple[Change, ...]], None] = lambda *_: None
        self.serving = _Serving(
            self._replica,
            lambda applied: self.on_applied(applied),
            lambda: self.on_replaced(),
        )
        self.serving.on_mended = lambda *mended: self.on_mended(*mended)
        self.serving.confirms = lambda version: not self.authority_answers()

    def reborn(self) -> "ServedReplica":
        """What a new process begins with: what was kept, unless that is damaged."""
        if self.file.damaged:
            self.file = KeptFile()
        reborn = ServedReplica(self.file)
        _, head, rows = self.file.image
        if rows or head.version.revision:
            reborn._replica.load(State(head, rows))
        return reborn

    def offer(self, version: Version, predecessor: bytes, digest: bytes, body: bytes) -> Verdict:
        if self._is_poison(version, predecessor):
            return "poison"
        return self.serving.offer(version, predecessor, digest, body)

    def take(self, version: Version, predecessor: bytes, digest: bytes, body: bytes) -> Verdict:
        if self._is_poison(version, predecessor):
            return "poison"
        return self.serving.take(Changeset(StoreVersion(*version), predecessor, digest, body))

    def begin_install(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> Installation:
        return self.serving.begin_install(version, digest, state_hash, renew=renew)

    def begin_reconcile(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> Reconciliation:
        return self.serving.begin_reconcile(version, digest, state_hash, renew=renew)

    def load(self, log: Sequence[Spread]) -> None:
        for changeset in log:
            while (verdict := self.take(*changeset)) == "preparing":
                pass
            if verdict not in ("applied", "known"):
                return

    def replace(self, head: SpreadHead, state: Sequence[bytes]) -> None:
        """As ``Serving.load`` with all that the authority has, at once."""
        entities: dict[tuple[str, str], Change] = {}
        for body in state:
            entities |= {change[:2]: change for change in decode_body(body).changes}
        kept = tuple(change for change in entities.values() if change.entity is not None)
        at = Head(StoreVersion(*head.version), head.digest)
        loading = self.serving.load(State(at, kept), anew=True)
        try:
            while True:
                loading.send(None)
        except StopIteration:
            pass

    def copy(self) -> "ServedReplica":
        """An image of the disk: what is in memory isn't on it."""
        return ServedReplica(self.file.copy()).reborn()

    def forget(self, count: int) -> None:
        if count:
            self.file.unwrite()

    def _is_poison(self, version: Version, predecessor: bytes) -> bool:
        return version == self.refuses and predecessor == self.head()[1]
