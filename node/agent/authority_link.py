"""This node's tie to the authority: opened with backoff, written to, and read to catch up."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from node import logs
from node.agent.histories import AuthoritySplit, Histories
from node.agent.limits import (
    EARLY_PATIENCE_SECONDS,
    LOG_READ_CHANGESETS,
    LOG_TURN_CHANGESETS,
    PEERS_PAUSE_CHANGESETS,
    PEERS_PAUSE_SECONDS,
    REACHED_ELSEWHERE_SECONDS,
)
from node.agent.serving import Serving
from store.audit import Amended, Difference
from store.authority import Authority, AuthorityInfo, Committed, KeyringRow, Mutation
from store.changeset import Changeset
from store.errors import (
    AuthorityUnavailable,
    EntityError,
    HistoryForked,
    Overloaded,
    SchemaMismatch,
)
from store.read import Visitor
from store.reconnect import Reconnect
from store.version import EMPTY, Head

log = logs.get("authority")

Answer = TypeVar("Answer")


class CantFollow(Exception):
    """The authority was read, but what it holds can't be taken over here: the message says why."""


class Others(Protocol):
    """The other nodes, as far as this one's tie to the authority concerns them."""

    def committed(self, early: Sequence[Changeset], shown: Head | None = None) -> None:
        """This node's own commit was offered to the replica just now; ``early`` is the changeset
        if something before it is missing here, ``shown`` the head that the authority has shown
        with it."""

    def confirmed(self, head: Head) -> None:
        """The authority itself has shown its head."""

    def running_count(self) -> int:
        """How many nodes run, this one included."""

    def confirmation_age(self) -> float:
        """Seconds since any of them has read the authority."""

    def write_pause(self) -> float:
        """Seconds that a write is to wait because the others are behind."""


class AuthorityLink:
    """``histories`` judges what it is when the authority lacks what was confirmed before.
    ``origin()`` is this node's id; ``identified(info)`` is called when the authority was opened,
    ``lost()`` when it has failed to answer; ``serves()`` is the id of the authority whose state
    this node serves already, empty before it does. ``patience`` bounds one attempt to open it, in
    seconds.

    Confirmed is what this node has committed or read at the authority, or has from a member: nodes
    serve nothing else, and what the replica file holds was served. So the highest confirmed head is
    the replica's, or the file's while that is still being read, unless a commit of this node's own
    still waits for one before it. A COMMIT of unknown outcome is neither served nor pushed.
    """

    def __init__(
        self,
        authority: Authority,
        serving: Serving,
        histories: Histories,
        others: Others,
        origin: Callable[[], str],
        identified: Callable[[AuthorityInfo], None],
        lost: Callable[[], None],
        serves: Callable[[], str],
        rng: random.Random,
        patience: float,
    ) -> None:
        self.authority = authority
        self.info: AuthorityInfo | None = None
        self._openings = 0
        self.reason = "not connected yet"
        """Why the authority can't be used now; empty when it can."""
        self._serving = serving
        self.histories = histories
        self._others = others
        self._origin = origin
        self._identified = identified
        self._lost = lost
        self._serves = serves
        self._reconnect = Reconnect(rng)
        self._patience = patience
        self.from_peers: Callable[[], Awaitable[bool]] | None = None
        """Brings the replica to a peer's state, where the log doesn't lead on; False when it
        couldn't."""
        self.on_disk: Callable[[], Head] = lambda: EMPTY
        """The head of the replica file until it is served."""
        self._catching_up = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self.changed: tuple[str, str] | None = None
        """(id served here, id found) once another authority answers at the same place."""
        self._shown_epoch: tuple[int, int] = EMPTY.version[:2]
        """Epoch and tag, as the authority itself has shown them last."""
        self._newest = EMPTY
        """The newest head that was committed or read here."""
        self._raised_here = False
        """Others are to be told as soon as the new epoch is served here."""

    @property
    def reachable(self) -> bool:
        """Whether the last thing asked of the authority was answered."""
        return not self.reason

    @property
    def connection(self) -> int:
        """Which one this is, counted from 1; 0 while the authority can't be used."""
        return self._openings if self.reachable else 0

    def confirmed_head(self) -> Head:
        """The newest head that is known to be the authority's."""
        heads = (self._serving.head(), self._newest, self.on_disk())
        return max(heads, key=lambda head: head.version)

    async def open(self) -> bool:
        """Try once to connect; False, with the reason kept, when it failed."""
        try:
            info = await asyncio.wait_for(self.authority.open(), self._patience)
        except (AuthorityUnavailable, TimeoutError) as error:
            self._failed(str(error) or f"no answer in {self._patience:g} s")
            return False
        self._check_identity(info)
        return self.reachable

    async def keep_open(self) -> None:
        """Return once the authority can be used, however long it takes."""
        clock, others = time.monotonic, self._others
        while not await self.open():
            due = self._reconnect.failed(clock(), others.running_count())
            while clock() < due:
                await asyncio.sleep(min(due - clock(), REACHED_ELSEWHERE_SECONDS / 2))
                if others.confirmation_age() < REACHED_ELSEWHERE_SECONDS:
                    due = self._reconnect.reached_elsewhere(clock(), others.running_count(), due)
        self._reconnect.succeeded()

    async def commit(
        self, mutations: Sequence[Mutation], write_id: bytes | None = None
    ) -> Committed:
        """Write at the authority, then serve it here.

        Raises EntityError for what is refused and AuthorityUnavailable.
        """
        if self.changed or self.info is None:
            raise AuthorityUnavailable(self.reason)
        if refusal := self.histories.refusal():
            raise AuthoritySplit(refusal)
        if pause := self._others.write_pause():
            await asyncio.sleep(pause)
        try:
            committed = await self._write(mutations, write_id)
        except (Overloaded, AuthoritySplit, HistoryForked):
            raise  # the authority itself may be well
        except AuthorityUnavailable as error:
            self._failed(str(error))
            raise
        self._succeeded()
        await self._take_in(committed.head, committed.changeset)
        return committed

    async def walk(self, visitor: Visitor, slice_rows: int) -> None:
        """Show the authority's whole state at one head. Raises AuthorityUnavailable."""
        await self._asked(self.authority.walk(visitor, slice_rows))

    async def amend(self, difference: Difference) -> Amended:
        """Write what the authority's state table says and history doesn't, then serve it here.

        Raises AuthorityUnavailable.
        """
        if self.changed or self.info is None:
            raise AuthorityUnavailable(self.reason)
        if refusal := self.histories.refusal():
            raise AuthoritySplit(refusal)
        try:
            amended = await self.authority.amend(difference, origin=self._origin())
        except HistoryForked:
            raise  # to be settled before anything is written
        except AuthorityUnavailable as error:
            self._failed(str(error))
            raise
        self._succeeded()
        await self._take_in(amended.head, amended.changeset)
        return amended

    async def _take_in(self, head: Head, changeset: Changeset | None) -> None:
        """Serve what this node has just committed, and tell the others."""
        verdict = "known" if changeset is None else self._serving.take(changeset)
        if changeset is None:
            self._has_shown(head)
        else:
            # What can't be applied here, others can.
            waits = verdict in ("early", "preparing", "poison")
            self._note_shown(head)
            self._others.committed([changeset] if waits else [], head)
        if self._serving.preparing:
            # It goes in by and by, and what was committed after it then; no client waits for that.
            self._keep(self._go_on(head))
            await self._serving.reached(head.version, EARLY_PATIENCE_SECONDS)
        elif verdict not in ("applied", "known"):
            # Another node committed between our last change and this one. What is missing is on its
            # way by gossip; should that take long, the authority has it, and our own client waits.
            # Of several such writes the first one to read brings what the others need. Or an epoch
            # was raised, and what is held here isn't what that follows.
            if verdict == "early" and await self._serving.reached(
                head.version, EARLY_PATIENCE_SECONDS
            ):
                return
            with contextlib.suppress(AuthorityUnavailable, CantFollow):  # committed all the same
                await self.catch_up(head)

    async def _go_on(self, head: Head) -> None:
        """Have what is prepared come in; then this head, too, should it not come by gossip."""
        await self._serving.until_prepared()
        if not await self._serving.reached(head.version, EARLY_PATIENCE_SECONDS):
            with contextlib.suppress(AuthorityUnavailable, CantFollow):
                await self.catch_up(head)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, mutations: Sequence[Mutation], write_id: bytes | None) -> Committed:
        """Write; if the authority lacks what was confirmed, nothing is written before that is
        settled."""
        try:
            return await self.authority.write(mutations, origin=self._origin(), write_id=write_id)
        except HistoryForked as error:
            try:
                await self.histories.settle(error.standing, self.confirmed_head(), to_write=True)
                return await self.authority.write(
                    mutations, origin=self._origin(), write_id=write_id
                )
            except (EntityError, AuthorityUnavailable) as refusal:
                raise error.unknown or refusal from refusal

    async def keyring(self) -> KeyringRow | None:
        """The keyring that the authority keeps. Raises AuthorityUnavailable."""
        return await self._asked(self.authority.keyring())

    async def store_keyring(self, row: KeyringRow, expected_counter: int) -> bool:
        """Put a keyring in the place of the one with that counter; False when another is there.

        Raises AuthorityUnavailable.
        """
        return await self._asked(self.authority.store_keyring(row, expected_counter))

    async def _asked(self, asking: Coroutine[Any, Any, Answer]) -> Answer:
        if self.changed or self.info is None:
            asking.close()
            raise AuthorityUnavailable(self.reason)
        try:
            answer = await asking
        except SchemaMismatch:
            raise  # too old for this alone: everything else goes on
        except AuthorityUnavailable as error:
            self._failed(str(error))
            raise
        self._succeeded()
        return answer

    async def catch_up(self, wanted: Head | None = None) -> None:
        """Bring the replica to the authority's head, unless it has reached ``wanted`` meanwhile.

        Raises AuthorityUnavailable, and CantFollow when it is read but can't be applied here.
        """
        async with self._catching_up:
            if wanted is not None and self._serving.head().version >= wanted.version:
                return
            try:
                if self.changed:
                    raise AuthorityUnavailable(self.reason)
                head = await self._read()
            except AuthorityUnavailable as error:
                self._failed(str(error))
                raise
        self._succeeded()
        if head is not None:
            self._has_shown(head)
            if self._raised_here:
                self._raised_here = False
                self._others.committed([])

    async def verify(self) -> bool:
        """Whether the replica holds what the authority does; if not, it does afterwards.

        Reads the whole state. Raises AuthorityUnavailable, and CantFollow when it can't be taken.
        """
        async with self._catching_up:
            state = await self._asked(self.authority.state())
            try:
                return await self._serving.verify(state)
            except ValueError as error:
                raise CantFollow(f"the authority's state can't be read here: {error}") from error

    async def reload(self) -> bool:
        """Replace the replica by the authority's state, also at the very version that it has; False
        when the replica's log doesn't tell what it has applied while the state was read.

        Raises AuthorityUnavailable, and CantFollow when it can't be taken.
        """
        async with self._catching_up:
            state = await self._asked(self.authority.state())
            try:
                head = await self._serving.load(state, anew=True)
            except ValueError as error:
                raise CantFollow(f"the authority's state can't be read here: {error}") from error
        if head is None:
            return False
        self._has_shown(head)
        return True

    async def _read(self) -> Head | None:
        """The authority's head, which the replica has reached; None in a split, where there is
        nothing to follow."""
        asked_peers = False
        while True:
            if self._serving.loaded:
                head = await self._read_log()
                if head is not None:
                    return head
                if await self._is_apart():
                    return None
                log.notice(
                    "the log doesn't lead on from this node's version", at=self._serving.version
                )
                if self.from_peers is not None and not asked_peers:
                    # The whole state is much for a database that every node may ask at once.
                    asked_peers = True
                    if await self.from_peers():
                        continue
            try:
                head = await self._serving.load(await self.authority.state())
            except ValueError as error:
                raise CantFollow(f"the authority's state can't be read here: {error}") from error
            if head is not None:
                return head

    async def _is_apart(self) -> bool:
        """Whether the authority lacks what is served here, and that isn't to be changed."""
        await self.still_ours()  # of another authority nothing must be taken for a higher epoch
        confirmed = self.confirmed_head()
        standing = await self.authority.standing(confirmed)
        self._shown_epoch = standing.head.version[:2]
        if not standing.proof:
            return False
        await self.histories.settle(standing, confirmed)
        return self.histories.split is not None

    async def _read_log(self) -> Head | None:
        """The authority's head, once the replica is there; None when its log doesn't lead there.

        Raises CantFollow.
        """
        while True:
            head = self._serving.head()
            changesets = await self.authority.log(head, LOG_READ_CHANGESETS)
            if changesets is None:
                return None
            if not changesets:
                return head
            peers_bring = False
            for number, changeset in enumerate(changesets, start=1):
                verdict = await self._serving.take_whole(changeset)
                if verdict == "poison":
                    raise CantFollow(f"changeset {changeset.version} can't be applied here")
                if verdict not in ("applied", "known"):
                    log.error("the log doesn't fit what this node holds", at=head.version)
                    return None
                peers_bring = peers_bring or verdict == "known"
                if number % LOG_TURN_CHANGESETS == 0:
                    await asyncio.sleep(0)
            if peers_bring and len(changesets) >= PEERS_PAUSE_CHANGESETS:
                await self._until_peers_pause()

    async def _until_peers_pause(self) -> None:
        """Return once what is missing has to be read here: as long as peers bring it faster than
        that, it would only be read and looked through twice."""
        while True:
            before = self._serving.version.revision
            await asyncio.sleep(PEERS_PAUSE_SECONDS)
            if self._serving.version.revision - before < PEERS_PAUSE_CHANGESETS:
                return

    def _check_identity(self, info: AuthorityInfo) -> None:
        known = self.info.id if self.info is not None else self._serves()
        if known not in ("", info.id):
            self.changed = known, info.id
            self._failed(
                f"authority changed: this node serves that of {known}, and the database now holds"
                f" {info.id}; bring the former one back, restart this node, or take the new one:"
                " grapevine cluster authority adopt"
            )
            return
        self._take(info)

    def _take(self, info: AuthorityInfo) -> None:
        self.changed = None
        self.info = info
        self._openings += 1
        self._identified(info)
        self._succeeded()

    async def still_ours(self) -> None:
        """Look again who the authority is. Raises AuthorityUnavailable for another one."""
        info = await self.authority.open()
        if self.info is not None and info.id != self.info.id:
            self._check_identity(info)
            raise AuthorityUnavailable(self.reason)

    async def adopt(self) -> None:
        """Another authority answers in this one's place: follow that from now on. Raises
        AuthorityUnavailable."""
        info = await self.authority.open()
        self._newest = EMPTY
        self._take(info)

    def raised(self, committed: Committed) -> None:
        """This node has raised the epoch: others read it at the authority once they hear of it."""
        changeset = committed.changeset
        if changeset is not None and self._serving.take(changeset) == "applied":
            self._others.committed([])
        self._newest = max(self._newest, committed.head)
        self._raised_here = changeset is not None

    def failed(self, reason: str) -> None:
        """The authority has failed to answer somebody else."""
        self._failed(reason)

    def confirms(self, version: tuple[int, int, int]) -> bool:
        """Whether a version of a higher epoch than the one served counts, heard from a member: if
        the authority has shown that epoch itself, or while it can't be asked."""
        return not self.reachable or tuple(version[:2]) == self._shown_epoch

    def _has_shown(self, head: Head) -> None:
        self._note_shown(head)
        self._others.confirmed(head)

    def _note_shown(self, head: Head) -> None:
        self._shown_epoch = head.version[:2]
        if head.version > self._newest.version:
            self._newest = head

    def _failed(self, reason: str) -> None:
        if reason != self.reason:
            log.error("authority unavailable", reason=reason)
        self.reason = reason
        self._lost()

    def _succeeded(self) -> None:
        if self.reason:
            log.notice("authority reachable", id=self.info.id if self.info else "")
        self.reason = ""
