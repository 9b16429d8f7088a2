"""The replica as this node serves it: one door through which every change comes in.

Gossip offers changesets here, and so does the node with its own commits and with what it reads from
the authority. Whatever is applied goes to the workers at once and in order. Whole states come in
slices, and what they replace is let go of by and by: neither holds up what else the node does.
"""

import asyncio
import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial

from gossip.replica import Giving, Installation, Reconciliation, Verdict
from node.agent.intake import Arriving, Installing, Left, Reconciling
from node.agent.limits import LOAD_SLICE_BYTES, LOAD_SLICE_ENTITIES
from node.channel import Ask, Told
from store.abandoned import abandoned
from store.authority import State
from store.changelog import Changelog
from store.changeset import Change, Changeset
from store.cold.limits import ROWS_MAX
from store.contents import PinnedState
from store.history import Reach
from store.installation import Loading
from store.replica import Applied, Replica
from store.state_hash import StateSum, element, identify
from store.version import EMPTY, Head, Version


class Serving:
    """Satisfies gossip.replica.Replica around store.replica.Replica.

    ``on_applied(applied)`` is called synchronously for each changeset, ``on_loaded()`` when the
    whole state was replaced.
    """

    def __init__(
        self,
        replica: Replica,
        on_applied: Callable[[Applied], None],
        on_loaded: Callable[[], None],
    ) -> None:
        self.replica = replica
        self._on_applied = on_applied
        self._on_loaded = on_loaded
        self.confirms: Callable[[tuple[int, int, int]], bool] = lambda version: True
        """Whether a version of a higher epoch that a member holds counts."""
        self.on_abandoned: Callable[[Sequence[Changeset]], None] = lambda changesets: None
        """Told of what a higher epoch has left behind of what was held."""
        self.on_broken: Callable[[str], None] = lambda reason: None
        """Told when what is held may have been damaged by what was to be applied."""
        self.on_arriving: Callable[[Arriving], None] = lambda arriving: None
        """Told of a state that begins to come in while nothing is held."""
        self.on_mended: Callable[[Version, tuple[Change, ...]], None] = lambda *_: on_loaded()
        """Told of the changes that led to a version without its changesets."""
        self._early: PinnedState | None = None
        self._waiting: list[tuple[Version, asyncio.Future[None]]] = []

    @property
    def version(self) -> Version:
        """The version of the replica."""
        return self.head().version

    @property
    def loaded(self) -> bool:
        """Whether the replica holds a configuration (one without entities counts)."""
        return self.head() != EMPTY

    def head(self) -> Head:
        return self.replica.head()

    def reach(self, version: tuple[int, int, int]) -> Reach:
        return self.replica.reach(version)

    def state_hash(self, version: tuple[int, int, int]) -> bytes | None:
        return self.replica.state_hash(version)

    def size(self) -> int:
        return len(self.replica)

    def digest(self, version: tuple[int, int, int]) -> bytes | None:
        return self.replica.digest(version)

    def audit(self) -> Generator[None, None, bool]:
        return self.replica.audit()

    def offer(
        self, version: tuple[int, int, int], predecessor: bytes, digest: bytes, body: bytes
    ) -> Verdict:
        """What gossip brings. A higher epoch counts only when confirmed: where the authority
        answers, it is read there, even if what a peer pushes would follow (DESIGN 3)."""
        if not self._counts(version):
            return "unconfirmed"
        return self.take(Changeset(Version(*version), predecessor, digest, body))

    def _counts(self, version: tuple[int, int, int]) -> bool:
        return not self.loaded or version[0] <= self.version.epoch or self.confirms(version)

    def take(self, changeset: Changeset) -> Verdict:
        """What the authority itself has shown, or confirmed."""
        try:
            verdict = self.replica.offer(*changeset)
        except Exception as error:
            # A mistake of ours in one changeset must not take the node down. Half of it may be in.
            self.on_broken(f"changeset {changeset.version} failed: {error!r}")
            return "poison"
        if (latest := self.replica.take_latest()) is not None:
            self._on_applied(latest)
            self._tidy()
            for wanted, waiter in self._waiting:
                if wanted <= latest.changeset.version and not waiter.done():
                    waiter.set_result(None)
        return verdict

    async def take_whole(self, changeset: Changeset) -> Verdict:
        """The same, however large it is; others have their turns meanwhile."""
        while (verdict := self.take(changeset)) == "preparing":
            await asyncio.sleep(0)
        return verdict

    @property
    def preparing(self) -> bool:
        """Whether a large changeset is on its way in."""
        return self.replica.preparing is not None

    async def until_prepared(self) -> None:
        """Go on with a large changeset that is on its way in until it is there, or isn't any more;
        others have their turns meanwhile."""
        while (changeset := self.replica.preparing) is not None:
            self.take(changeset)
            await asyncio.sleep(0)

    async def reached(self, version: Version, seconds: float) -> bool:
        """Whether the replica holds this version or a later one, now or before so long."""
        if self.version < version:
            entry = version, asyncio.get_running_loop().create_future()
            self._waiting.append(entry)
            try:
                async with asyncio.timeout(seconds):
                    await entry[1]
            except TimeoutError:
                pass
            finally:
                self._waiting.remove(entry)
        return self.version >= version

    def changesets(
        self, after: tuple[int, int, int], digest: bytes, max_bytes: int
    ) -> Sequence[tuple[Version, bytes, bytes, bytes]] | None:
        return self.replica.changesets(Version(*after), digest, max_bytes)

    async def load(self, state: State, *, anew: bool = False) -> Head | None:
        """Replace everything by a state read at the authority; its head.

        None, and nothing is replaced, when that isn't above what the replica holds then: a node
        never goes back, be it that it went on while the state was read, or that the authority did
        (which is for the verdict on its history). ``anew`` replaces a replica that is damaged all
        the same, brought to its version by the changesets since. Hand over the only reference: what
        has been taken in of the state is freed on the way.
        """
        before, head, entities = self.head(), state.head, list(state.entities)
        del state
        is_over = self.loaded and head != before and before.version >= head.version
        if is_over and not (anew and self._since(head)):
            return None  # (of the very head that is held, it heals a damaged one)
        loading = self.replica.begin_load(head)
        arriving = self._arriving(head, loading.pin)
        try:
            for part in _parts(entities):
                loading.add(part)
                gc.freeze()  # it lives long: the collector need never look at it, nor stop for it
                if arriving is not None:
                    arriving.has_come()
                await asyncio.sleep(0)
            while anew and (since := self._since(loading.head)):
                loading.follow(since)
                head = loading.head
                await asyncio.sleep(0)
        except BaseException:
            loading.abandon()
            self._tidy()
            raise
        finally:
            if arriving is not None:
                arriving.end()
        came_here = before != self.head() and not anew
        if self.loaded and (
            self.version > head.version or (came_here and self.version == head.version)
        ):
            loading.abandon()
            self._tidy()
            return None
        left = self._held()
        loading.finish()
        self._replaced(left)
        return head

    async def verify(self, state: State) -> bool:
        """Whether this node holds what the authority was read for, at that version, as far as it
        remembers; else it does afterwards. Raises ValueError when the state can't be read."""
        total = StateSum()
        for number, (kind, entity_id, text) in enumerate(state.entities, start=1):
            total.add(element(identify(kind, entity_id, (text or "").encode())))
            if number % LOAD_SLICE_ENTITIES == 0:
                await asyncio.sleep(0)
        ours = self.replica.state_hash(state.head.version)
        if ours in (None, total.digest()):
            return True
        await self.load(state, anew=True)
        return False

    def _held(self) -> Left:
        return self.head(), self.replica.changelog

    def _since(self, head: Head) -> Sequence[Changeset]:
        """What the replica has applied after a head; nothing when its log doesn't tell."""
        held = self.replica.changesets(head.version, head.digest, LOAD_SLICE_BYTES)
        return [Changeset(*changeset) for changeset in held or ()]

    def begin_with(self, hot: PinnedState) -> None:
        """This is what workers hold of a state, of which the rest is still being read."""
        self._early = hot

    def restore(self, loading: Loading, log: Changelog) -> None:
        """Replace everything by what was kept on disk, and the changesets that led there."""
        loading.finish(log)
        if self._early is None:
            self._replaced()
        self._early = None

    def give_up(self, loading: Loading) -> None:
        """Nothing comes of what was begun."""
        loading.abandon()
        self._early = None
        self._tidy()

    def clear(self) -> None:
        """Hold nothing: what was held is of another authority."""
        self.replica.begin_load(EMPTY).finish()
        self._tidy()

    def give(self) -> Giving:
        return self.replica.give()

    def begin_install(
        self,
        version: tuple[int, int, int],
        digest: bytes,
        state_hash: bytes,
        *,
        renew: bool = False,
    ) -> Installation:
        taken = self.replica.begin_install(version, digest, state_hash, renew=renew)
        counts = partial(self._counts, version)
        arriving = self._arriving(Head(Version(*version), digest), taken.pin)
        return Installing(taken, counts, self._held, self._replaced, self._tidy, arriving)

    def _arriving(self, head: Head, pin: Callable[[], PinnedState]) -> Arriving | None:
        """Let workers be fed ahead with a state that begins to come in, by kind and id; while
        something is held they serve that, and aren't."""
        if self.loaded:
            return None
        arriving = Arriving(head, pin)
        self.on_arriving(arriving)
        return arriving

    def begin_reconcile(
        self,
        version: tuple[int, int, int],
        digest: bytes,
        state_hash: bytes,
        *,
        renew: bool = False,
    ) -> Reconciliation:
        begun = self.replica.begin_reconcile(version, digest, state_hash, renew=renew)
        counts = partial(self._counts, version)
        return Reconciling(begun, counts, self._held, self._mended, self._replaced, self._tidy)

    def tell(self, question: Ask) -> Told:
        """Answer a worker's question at the version of now."""
        number, kind, field, value = question
        if not self.loaded:
            return Told(number, None, ())
        rows = self.replica.rows_by(kind, field, value, ROWS_MAX)
        return Told(number, self.version, rows)

    def for_workers(self) -> PinnedState | None:
        """At one version what workers hold, if not more; None while there is nothing."""
        return self.replica.pin() if self.loaded else self._early

    def _mended(self, left: Left, changes: tuple[Change, ...]) -> None:
        self._leave(left)
        self.on_mended(self.version, changes)
        self._tidy()

    def _replaced(self, left: Left | None = None) -> None:
        if left is not None:
            self._leave(left)
        self._on_loaded()
        self._tidy()

    def _leave(self, left: Left) -> None:
        if lost := abandoned(*left, self.replica.epochs()):
            self.on_abandoned(lost)

    def _tidy(self) -> None:
        """Let go of what was replaced or abandoned, some in each turn of the loop."""
        if self.replica.tidy():
            asyncio.get_running_loop().call_soon(self._tidy)


def _parts(entities: list[Change]) -> Iterator[list[Change]]:
    """All of them in order, some at a time; none is left in the list."""
    entities.reverse()
    while entities:
        part = entities[-LOAD_SLICE_ENTITIES:]
        del entities[-LOAD_SLICE_ENTITIES:]
        part.reverse()
        yield part
