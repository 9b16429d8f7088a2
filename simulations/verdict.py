"""One node's verdict on its authority, driven in virtual time as ``node.agent.histories`` does."""

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gossip.events import HistoryAnswered, HistoryAsked
from gossip.messages.history import Stance as Told
from gossip.replica import Head
from simulations.authority.log import LogAuthority, stored
from store.history import Server
from store.verdict import (
    Ask,
    Compare,
    Effect,
    HistoryVerdict,
    Look,
    Raise,
    Reading,
    Split,
    Stance,
    reading_of,
    stance_of,
)
from store.version import Head as StoredHead

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World


_STANDSTILL_SECONDS = 0.1
"""How often it is looked whether a process that stands still goes on."""


class History:
    """That of one node. ``load()`` reads the authority; it is called after a raise."""

    def __init__(self, world: "World", node: "Node", load: Callable[[], None]) -> None:
        self._world = world
        self._node = node
        self._load = load
        self._rng = random.Random(0)
        self._verdict = HistoryVerdict(self._rng)

    def begin(self) -> None:
        """A process begins."""
        self._rng = random.Random(self._node.tag)
        self._verdict = HistoryVerdict(self._rng)

    @property
    def split(self) -> Split | None:
        return self._verdict.split

    def is_apart(self) -> bool:
        """Whether the authority lacks what is held here, and that isn't settled at once."""
        if self._authority.standing(self._confirmed).proof:
            self._stood()
        return bool(self._authority.standing(self._confirmed).proof)

    def may_write(self) -> bool:
        """Whether a write may be made now; what stands in its way is looked into."""
        if self._verdict.refuses:
            return False
        if self._authority.standing(self._confirmed).proof:
            self._stood(to_write=True)
        return not self._authority.standing(self._confirmed).proof

    def heard(self) -> None:
        """A member follows another history."""
        self._do(self._verdict.heard(self._now))

    def asked(self, event: HistoryAsked) -> None:
        """A member asks how the authority stands."""
        node, authority = self._node, self._authority
        if not authority.available:
            node.core.answer_history(event.asker, event.sequence, None)
            return
        mine = stance_of(self._read(self._confirmed), stored(self._confirmed))
        node.core.answer_history(event.asker, event.sequence, _told(mine))
        self._verdict.noted(self._read(self._confirmed), stored(self._confirmed))
        self._do(self._verdict.faced(_heard(event.theirs)))

    def answered(self, event: HistoryAnswered) -> None:
        """A member that was asked has answered."""
        theirs = None if event.theirs is None else _heard(event.theirs)
        self._do(self._verdict.answered(event.member, theirs, self._now))

    def adopt(self) -> None:
        """An operator keeps this side of a split."""
        split = self._verdict.split
        assert split is not None
        tag = self._rng.getrandbits(64)
        self._authority.raise_epoch(_plain(split.theirs.head), tag, forced=True)
        self._tell()
        self._do(self._verdict.renew(self._now))

    @property
    def _authority(self) -> LogAuthority:
        return self._world.authority_of(self._node)

    @property
    def _confirmed(self) -> Head:
        return Head(*self._node.replica.head())

    @property
    def _now(self) -> float:
        return self._node.now()

    def _stood(self, *, to_write: bool = False) -> None:
        confirmed = self._confirmed
        reading = self._read(confirmed)
        self._do(self._verdict.stood(reading, stored(confirmed), self._now, to_write=to_write))

    def _read(self, head: Head) -> Reading:
        logged = self._authority.after(head) is not None
        return reading_of(self._authority.standing(head), stored(head), logged=logged)

    def _do(self, effects: Sequence[Effect]) -> None:
        self._verdict.members = self._node.core.size()
        for effect in effects:
            if isinstance(effect, Ask):
                asked = self._node.core.ask_history(effect.at_least, _told(effect.mine), self._now)
                self._do(self._verdict.asked(asked, self._now))
            elif not self._authority.available:
                self._do(self._verdict.lost(self._now))
            elif isinstance(effect, Look):
                self._stood()
            elif isinstance(effect, Compare):
                reading = self._read(_plain(effect.head))
                self._do(self._verdict.compared(reading, self._now))
            elif isinstance(effect, Raise):
                self._raise()
        self._schedule()

    def _raise(self) -> None:
        raised = self._authority.raise_epoch(self._confirmed, self._rng.getrandbits(64))
        self._verdict.raised()
        if raised is not None:
            self._tell()

    def _tell(self) -> None:
        """The epoch was raised: serve it, and let the others know."""
        self._load()
        self._node.core.committed(self._now)
        self._node.flush()

    def _schedule(self) -> None:
        deadline = self._verdict.deadline
        if deadline is not None:
            life = self._node.life
            self._world.schedule(max(0.0, deadline - self._now), self._wake, deadline, life)

    def _wake(self, deadline: float, life: int) -> None:
        if self._node.paused:
            # It finds its timers due when it goes on.
            self._world.schedule(_STANDSTILL_SECONDS, self._wake, deadline, life)
            return
        if self._node.is_idle(life) or self._verdict.deadline != deadline:
            return
        self._do(self._verdict.advance(max(deadline, self._now)))
        self._node.flush()


def _plain(head: StoredHead) -> Head:
    """In gossip's terms."""
    epoch, tag, revision = head.version
    return Head((epoch, tag, revision), head.digest)


def _told(mine: Stance) -> Told:
    server, head, confirmed, holds = mine
    return Told(
        server.address,
        server.timeline,
        _plain(head),
        _plain(confirmed),
        holds,
    )


def _heard(theirs: Told) -> Stance:
    server = Server(theirs.server, theirs.timeline)
    return Stance(server, stored(theirs.head), stored(theirs.confirmed), theirs.holds)
