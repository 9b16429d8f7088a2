"""A replica that is served: ``node.agent.serving`` around the real one, and its file."""

from collections.abc import Callable, Sequence

from gossip.replica import Changeset as Spread
from gossip.replica import Giving, Installation, Reconciliation, Step, Verdict, Version
from gossip.replica import Head as SpreadHead
from node.agent.serving import Serving
from simulations.authority import EntityReplica
from simulations.whole.insider import Liar, Log
from simulations.whole.kept import KeptFile
from store.authority import State
from store.changeset import Change, Changeset, decode_body
from store.limits import SKETCH_SYMBOLS_MAX
from store.reconcile_words import Entities, Ranges, Symbols, read_question
from store.replica import Applied
from store.version import Head
from store.version import Version as StoreVersion


class _Serving(Serving):
    """What was replaced is let go of at once: that takes no virtual time."""

    def _tidy(self) -> None:
        while self.replica.tidy():
            pass


class _Watched:
    """A reconciliation: did its sketch show what differs, or did ranges have to (DESIGN 5)?"""

    def __init__(self, of: Reconciliation, found: Callable[[str], None]) -> None:
        self._of = of
        self._found = found
        self._sketched = self._settled = False
        self.finish, self.abandon = of.finish, of.abandon

    def proceed(self, answer: bytes = b"") -> bytes | Step:
        asked = self._of.proceed(answer)
        question = read_question(asked) if isinstance(asked, bytes) else asked
        if isinstance(question, Symbols):
            self._sketched = True
        elif self._sketched and not self._settled and question != "working":
            self._settled = True
            if isinstance(question, Ranges):
                self._found("sketch_overflowed")
            elif isinstance(question, Entities) or question == "ready":
                self._found("sketch_decoded")
        return asked


class ServedReplica(EntityReplica):
    """That of one process. ``reborn`` is the next one's."""

    def __init__(self, file: KeptFile | None = None, symbols_max: int = SKETCH_SYMBOLS_MAX) -> None:
        super().__init__(symbols_max)
        self._symbols_max = symbols_max
        self.file = file or KeptFile()
        self.on_found: Callable[[str], None] = lambda name: None
        """Told how it was found what differs from a peer's state."""
        self.liar: Liar | None = None
        """Makes of what others are given what isn't so."""
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
        reborn = ServedReplica(self.file, self._symbols_max)
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

    def changesets(self, after: Version, digest: bytes, max_bytes: int) -> Log | None:
        found = super().changesets(after, digest, max_bytes)
        return found if self.liar is None else self.liar.log(found)

    def give(self) -> Giving:
        given = super().give()
        return given if self.liar is None else self.liar.giving(given)

    def begin_install(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> Installation:
        return self.serving.begin_install(version, digest, state_hash, renew=renew)

    def begin_reconcile(
        self, version: Version, digest: bytes, state_hash: bytes, *, renew: bool = False
    ) -> Reconciliation:
        begun = self.serving.begin_reconcile(version, digest, state_hash, renew=renew)
        return _Watched(begun, self.on_found)

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
        return ServedReplica(self.file.copy(), self._symbols_max).reborn()

    def forget(self, count: int) -> None:
        if count:
            self.file.unwrite()

    def _is_poison(self, version: Version, predecessor: bytes) -> bool:
        return version == self.refuses and predecessor == self.head()[1]
