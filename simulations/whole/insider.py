"""A member that holds the key and lies: what a key can't keep out, and what holds all the same.

It is a node like the others, whose own core goes on as it should; but beside what that says it
says, under its own name and sealed as it must be, what isn't so: changesets whose digest doesn't
fit or that lack what they follow, heads that nobody has written, states that it doesn't hold,
fences that nobody began. Asked for its log or its state it may give what is damaged.

What it says is at odds with itself, or with what others can look up. A changeset that fits its
predecessor is another matter: P8 of DESIGN 1 keeps out who has no key, not who has it. Of a higher
epoch one is read at the authority; while that is away nobody can (decision 0013), so it isn't
``raising`` then.
"""

import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gossip.limits import EARLY_COUNT_MAX
from gossip.member import Member
from gossip.messages import Message
from gossip.messages.changes import Announce, Heartbeat, Push
from gossip.messages.fence import FenceAnswer, FenceQuestion, Standing
from gossip.messages.repair import Compare
from gossip.messages.spreading import Holds, Run
from gossip.outbox import Outbox
from gossip.replica import Changeset, Giving, Head, Version
from store.changeset import Body, chain, encode_body

if TYPE_CHECKING:
    from simulations.whole.node import WholeNode
    from simulations.whole.world import WholeWorld

_FAR = 1_000
"""Revisions that nobody has written yet."""
Log = Sequence[tuple[Version, bytes, bytes, bytes]]


class Insider:
    """One such node, from now until ``stop``."""

    def __init__(
        self, world: "WholeWorld", node: "WholeNode", gap: float, *, raising: bool
    ) -> None:
        self._world = world
        self._node = node
        self._gap = gap
        self._raising = raising
        self._rng = random.Random(world.rng.getrandbits(64))
        self._done = False
        self.told = 0
        """How many lies it has told."""
        node.lies = True
        world.schedule(gap, self._act)

    def stop(self) -> None:
        """It tells the truth from now on."""
        self._done = True
        self._node.lies = False
        self._node.served.liar = None

    def _act(self) -> None:
        if self._done:
            return
        node = self._node
        self._world.schedule(self._rng.expovariate(1 / self._gap), self._act)
        if not node.running or node.paused:
            return
        node.served.liar = Liar(self._rng)
        others = [one for one in others_of(node) if one.serving is not None]
        if others:
            self.told += 1
            victim = self._rng.choice(others)
            outbox_of(node).send(victim, self._lie(victim))
            node.flush()

    def _lie(self, victim: Member) -> list[Message]:
        rng, node = self._rng, self._node
        version, digest = node.replica.head()
        epoch, tag, revision = version
        far: Version = (epoch, tag, revision + rng.randrange(2, _FAR))
        history: Version = (epoch + 1, rng.getrandbits(64), revision + 1)
        elsewhere = (epoch, tag, revision + 1)
        body = made_up(rng)
        head = Head(rng.choice([far, version, history]), rng.randbytes(32))
        me = node.core.members(node.now())[0]
        number = rng.randrange(1, 8)
        lies: list[list[Message]] = [
            [Push(Changeset(elsewhere, digest, rng.randbytes(32), body), 0.0, 0)],
            [Push(Changeset(elsewhere, rng.randbytes(32), rng.randbytes(32), body), 0.0, 0)],
            [Push(Changeset(far, digest, chain(digest, body), body), 0.0, 0)],
            [Heartbeat.of(head, 0.0)],
            [Announce(head)],
            [Holds(far, (Run(*far, far[2] + 5),))],
            [Compare(head, rng.randbytes(32), answer=rng.random() < 0.5)],
            [Compare(Head(version, digest), rng.randbytes(32), answer=rng.random() < 0.5)],
            [FenceAnswer(victim.tag, number, rng.choice([*Standing]))],
            [FenceAnswer(rng.getrandbits(64), number, Standing.REACHED)],
            [FenceQuestion(me.id, rng.getrandbits(64), number, far, 60.0)],
        ]
        if self._raising:
            lies.append([Push(Changeset(history, digest, chain(digest, body), body), 0.0, 0)])
        return rng.choice(lies)


class Liar:
    """What a replica gives to others that ask it."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def log(self, log: "Log | None") -> "Log | None":
        """Its changesets: whole, or with a body or a digest that doesn't fit; or none at all."""
        if not log or self._rng.random() < 0.3:
            return log
        place = self._rng.randrange(len(log))
        version, predecessor, digest, body = log[place]
        wrong = self._rng.choice(
            [
                (version, predecessor, self._rng.randbytes(32), body),
                (version, predecessor, digest, made_up(self._rng)),
                (version, self._rng.randbytes(32), digest, body),
            ]
        )
        return self._rng.choice([None, [*log[:place], wrong, *log[place + 1 :]]])

    def giving(self, giving: Giving) -> Giving:
        """Its state, of which each slice and answer may be damaged."""
        return _Damaged(giving, self._rng)


class _Damaged:
    """Satisfies ``gossip.replica.Giving``."""

    def __init__(self, giving: Giving, rng: random.Random) -> None:
        self._giving = giving
        self._rng = rng
        self.head = giving.head
        self.state_hash = rng.choice([giving.state_hash, rng.randbytes(32)])

    def slices(self, slice_bytes: int, resume: bytes = b"") -> Iterator[bytes]:
        return map(self._damage, self._giving.slices(slice_bytes, resume))

    def answer(self, question: bytes) -> bytes | None:
        answer = self._giving.answer(question)
        return None if answer is None else self._damage(answer)

    def work(self) -> bool:
        return self._giving.work()

    def _damage(self, data: bytes) -> bytes:
        place = self._rng.randrange(len(data))
        return self._rng.choice(
            [data, data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :], data[:place]]
        )


def flood(node: "WholeNode", victim: "WholeNode", rng: random.Random) -> None:
    """A member sends another one more changesets that have to wait than may wait there."""
    found = [one for one in others_of(node) if one.node_id == victim.id]
    (epoch, tag, revision), _ = node.replica.head()
    body = made_up(rng)
    lies: list[Message] = []
    for number in range(2, EARLY_COUNT_MAX + 50):
        version = (epoch, tag, revision + number)
        predecessor = rng.randbytes(32)
        lies.append(Push(Changeset(version, predecessor, chain(predecessor, body), body), 0.0, 0))
    outbox_of(node).send_all(found, lies)
    node.flush()


def others_of(node: "WholeNode") -> list[Member]:
    """The members that its core knows and that run."""
    return [*node.core._members.reachable()]


def outbox_of(node: "WholeNode") -> Outbox:
    """What its core sends by: whoever holds the key may say anything by it."""
    return node.core._outbox


def made_up(rng: random.Random) -> bytes:
    """The body of a changeset that nobody has written."""
    return encode_body(Body(rng.randbytes(16), 0.0, "made up", ()))
