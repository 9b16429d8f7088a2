"""Writers that follow one authority which loses commits, is put back to old images, and fails over.

Each keeps a copy, remembers what it knows to be confirmed and tells others, compares with every
write, and raises the epoch on proof. At the end there is one history: all copies are at its head,
nothing that the authority holds is missing from them, only what the authority lost is abandoned,
and each raised epoch was needed and says no more to be shared than is.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from simulations.authority.families import SCHEMAS
from simulations.authority.follower import Follower
from simulations.authority.writers import Run, Writer
from store.authority import Committed, Mutation, State
from store.changeset import Changeset, decode_body
from store.errors import HistoryForked
from store.history import Proof
from store.lineage import decode_record
from store.version import EMPTY, Head

_WRITTEN_OVER_MAX = 30
"""Lost commits that a newcomer will write over."""


class FollowingWriter(Writer):
    """A process with a copy of the authority."""

    def __init__(self, run: "Histories", name: str, writes: int) -> None:
        super().__init__(run, name, writes)
        self.follower = Follower(name, lambda head: run.tell(self, head), run.proved)
        self._histories = run

    def sources(self) -> dict[str, Any]:
        rng = self._histories.rng
        return {
            **super().sources(),
            "confirmed": lambda: self.follower.confirmed,
            "draw_tag": lambda: rng.getrandbits(64),
        }

    def start(self) -> None:
        if self._histories.rng.random() < self._histories.forgets:
            self.follower.forget()
        super().start()

    def write_more(self, writes: int) -> None:
        """Before it is done."""
        self._left += writes

    def _draw_write_id(self) -> bytes:
        """A write's, or else one for a raise."""
        drawn, self._drawn = self._drawn, b""
        return drawn or self._histories.rng.randbytes(16)

    async def _once(
        self, write_id: bytes, mutations: tuple[Mutation, ...], *, named: bool
    ) -> Committed | Exception:
        confirmed, hearings = self.follower.confirmed, self.follower.hearings
        answer = await super()._once(write_id, mutations, named=named)
        if isinstance(answer, HistoryForked):
            self._histories.proved(answer.standing.proof)
            await self.follower.settle(self.engine)
        elif isinstance(answer, Committed):
            if answer.changeset is not None and not named and hearings == self.follower.hearings:
                self._histories.written.append((confirmed, answer.changeset))
            self.follower.committed(answer)
        return answer

    async def _opened(self) -> None:
        await super()._opened()
        self.loop.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            await self.follower.follow(self.engine)
            await asyncio.sleep(self._histories.looks * self._histories.rng.uniform(0.5, 1.5))


class Histories(Run):
    """One seed."""

    def __init__(self, seed: int, writers: int, writes: int) -> None:
        self._followers: list[FollowingWriter] = []
        super().__init__(seed, writers, writes)
        self.pause = self.rng.choice((0.01, 0.1, 0.5))  # so that histories grow between faults
        self._faults = self.rng.choice((0.1, 0.3, 1.0))
        self.forgets = self.rng.choice((0.1, 0.5, 0.9))
        """How often a process begins on an empty disk."""
        self.looks = self.rng.choice((0.1, 0.5, 5.0))
        """Mean seconds between two looks at the authority."""
        self._newcomers = self.rng.choice((0, 2, 6))
        """How often one that knows nothing will be alone after a rewind."""
        self._calm_until = 0.0
        self._tells = self.rng.choice((0.0, 0.2, 1.0))
        """How often what one knows to be confirmed is heard by another."""
        self.written: list[tuple[Head, Changeset]] = []
        """What was written by who knew what to be confirmed."""

    def new_writer(self, name: str, writes: int) -> Writer:
        writer = FollowingWriter(self, name, writes)
        self._followers.append(writer)
        return writer

    def tell(self, teller: FollowingWriter, head: Head) -> None:
        """One of them knows a newer head to be confirmed."""
        for other in self._followers:
            if other is not teller and self.rng.random() < self._tells:
                self.clock.after(self.rng.choice((0.001, 0.5)), other.follower.hear, head)

    def proved(self, proof: Proof) -> None:
        """One of them has found that the authority lost commits."""
        self.count(f"found_{proof}")

    def harm(self, victim: Writer) -> None:
        if self.clock.now < self._calm_until:
            return  # a restart, say, would wake one that stands still
        match self.rng.randrange(4):
            case 0:
                self.ground.remember()
            case 1:
                self.trace.add(self.clock.now, 3, 0, b"")
                before = len(self.ground.log)
                self.ground.rewind()
                lost = before - len(self.ground.log)
                if self._newcomers and 0 < lost <= _WRITTEN_OVER_MAX:
                    self._newcomers -= 1
                    self._let_one_newcomer_write(victim, lost)
            case _:
                super().harm(victim)

    def _let_one_newcomer_write(self, newcomer: Writer, lost: int) -> None:
        """One that knows nothing is alone with the authority, mostly until what was lost has been
        written over."""
        alone = self.rng.uniform(2.0, 6.0) + lost * self.pause
        self._calm_until = self.clock.now + alone
        for writer in self._followers:
            if writer is newcomer:
                writer.follower.forget()
                writer.restart()
                writer.write_more(lost + 8)
            else:
                writer.loop.pause()
                self.clock.after(alone * self.rng.uniform(1.0, 1.5), writer.loop.resume)

    def judge(self) -> list[Changeset]:
        log, state, tables = self.read()
        ground = self.ground
        lost = self.ledger.check(log, state, tables, SCHEMAS, ground.lost.returned)
        for item in lost:
            assert item.digest in ground.lost.rows, f"{item.version} is abandoned, and wasn't lost"
        rows = (*ground.lost.rows.values(), *ground.log)
        past = Past({row["chain"]: row for row in rows})
        for writer in self._followers:
            _check_copy(writer.follower, state)
            for raised in writer.follower.raised:
                past.check_raise(raised, informed=raised in writer.follower.informed)
        for confirmed, changeset in self.written:
            past.check_write(confirmed, changeset)
        for what, number in (
            ("epochs_kept", state.head.version.epoch - 1),
            ("raised", sum(len(writer.follower.raised) for writer in self._followers)),
        ):
            self.counts[what] = number
        return lost


def _check_copy(follower: Follower, state: State) -> None:
    head = state.head if state.head.version.revision else EMPTY  # an empty log tells nobody of it
    assert follower.replica.head() == head, f"{follower.name} isn't at the authority's head"
    held = tuple(follower.replica.changes())
    assert held == state.entities, f"{follower.name} doesn't hold what the authority holds"


class Past:
    """All that was ever committed and is kept, or was lost: log rows by their chain."""

    def __init__(self, rows: Mapping[bytes, Mapping[str, Any]]) -> None:
        self._rows = rows

    def line(self, digest: bytes) -> dict[bytes, int]:
        """A point of history and all that led to it, with their revisions."""
        line = {}
        while (row := self._rows.get(digest)) is not None:
            line[digest] = int(row["revision"])
            digest = row["predecessor"]
        return line

    def check_raise(self, raised: Changeset, *, informed: bool) -> None:
        """It was needed, and tells the truth."""
        (change,) = decode_body(raised.body).changes
        epoch = decode_record(change.entity or "")
        kept, abandoned = self.line(epoch.kept.digest), self.line(epoch.abandoned.digest)
        what = f"{raised.version} was raised above {epoch.abandoned.version}"
        assert epoch.abandoned.digest not in kept, f"{what}, which isn't lost"
        assert epoch.kept.version.epoch <= epoch.abandoned.version.epoch, f"{what} in vain"
        assert raised.version > max(epoch.kept.version, epoch.abandoned.version), what
        shared = max(
            (revision for digest, revision in kept.items() if digest in abandoned), default=0
        )
        if informed:
            assert epoch.fork_revision <= shared, f"{what} with more shared than is"

    def check_write(self, confirmed: Head, changeset: Changeset) -> None:
        """It follows what its writer knew, or an epoch above that."""
        what = f"{changeset.version} was written by who knew {confirmed.version}"
        assert changeset.version > confirmed.version, what
        if changeset.version[:2] == confirmed.version[:2] and confirmed.version.revision:
            assert confirmed.digest in self.line(changeset.digest), f"{what}, and doesn't follow it"
