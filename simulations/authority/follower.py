"""One process's copy of the authority, and what it does when the authority has lost commits.

As DESIGN 3 has it, but for the question whether there are two authorities: here there is one, so
who has proof raises at once.
"""

from collections.abc import Callable
from contextlib import suppress

from store.authority import Committed
from store.changeset import Changeset
from store.engine import Engine
from store.errors import AuthorityUnavailable
from store.history import Proof
from store.replica import Replica
from store.version import EMPTY, Head

KNOWN_MAX = 1_000


class Follower:
    """``moved`` is called whenever it knows a newer head to be confirmed, ``proved`` when it finds
    one lost."""

    def __init__(
        self, name: str, moved: Callable[[Head], None], proved: Callable[[Proof], None]
    ) -> None:
        self.confirmed = EMPTY
        """The newest head that it knows to be the authority's, its own or one that was heard."""
        self.replica = Replica("simulated")
        self.raised: list[Changeset] = []
        self.informed: list[Changeset] = []
        """Those raised by who held the history that was left, down to where the authority was."""
        self.hearings = 0
        """How often a head that was heard took the place of what it knew itself."""
        self.name = name
        self._moved = moved
        self._proved = proved

    def forget(self) -> None:
        """Begin anew on an empty disk."""
        self.confirmed = EMPTY
        self.replica = Replica("simulated")

    def hear(self, head: Head) -> None:
        """A member knows it to be confirmed; another content of the same version is not newer."""
        if head.version > self.confirmed.version:
            self.confirmed = head
            self.hearings += 1

    def committed(self, answer: Committed) -> None:
        """An own write was answered."""
        if answer.changeset is not None:
            self._offer(answer.changeset)
        self._confirm(answer.head)

    async def follow(self, engine: Engine) -> None:
        """Compare, raise if need be, and catch up."""
        with suppress(AuthorityUnavailable):
            standing = await engine.standing(self.confirmed)
            if standing.proof:
                self._proved(standing.proof)
                await self.settle(engine)
            await self._catch_up(engine)

    async def settle(self, engine: Engine) -> None:
        """There is proof that the authority has lost commits: begin a new epoch."""
        with suppress(AuthorityUnavailable):
            confirmed = self.confirmed
            heads = self.replica.heads(KNOWN_MAX)
            informed = confirmed in heads
            raised = await engine.raise_epoch(
                confirmed,
                origin=self.name,
                known=heads if informed else (),
                epochs=self.replica.epochs(),
            )
            if raised.changeset is not None:
                self.raised.append(raised.changeset)
                lowest = min((head.version.revision for head in heads), default=0)
                if informed and lowest < raised.changeset.version.revision:
                    self.informed.append(raised.changeset)
            self._confirm(raised.head)

    async def _catch_up(self, engine: Engine) -> None:
        asked = self.replica.head()
        following = await engine.log(Head(*asked))
        if self.replica.head() != asked:
            return  # an own write came in between, perhaps of another history
        if following is not None:
            for changeset in following:
                verdict = self._offer(changeset)
                assert verdict in ("applied", "known"), f"{self.name}: the log is {verdict}"
        else:
            state = await engine.state()
            if state.head.version > self.replica.head()[0]:
                self.replica.load(state)
        self._confirm(Head(*self.replica.head()))

    def _offer(self, changeset: Changeset) -> str:
        before = self.replica.head()
        verdict = self.replica.apply(changeset)
        assert self.replica.head()[0] >= before[0], f"{self.name}: it went back"
        return verdict

    def _confirm(self, head: Head) -> None:
        if head.version > self.confirmed.version:
            self.confirmed = head
            self._moved(head)
