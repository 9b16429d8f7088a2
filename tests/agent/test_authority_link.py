"""What a client is told of its write, whatever becomes of the authority right after it."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from node.agent.authority_link import AuthorityLink
from node.agent.serving import Serving
from store.authority import AuthorityInfo, Committed, Create, Mutation, State
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.off import NoAuthority
from store.replica import Replica
from store.version import GENESIS_DIGEST, Head, Version
from tests.agent.histories import idle_histories


def following(revision: int, digest: bytes) -> Changeset:
    change = Change("services", f"{revision:036d}", "{}")
    body = encode_body(Body(b"%016d" % revision, 1.0, "n", (change,)))
    return Changeset(Version(1, 7, revision), digest, chain(digest, body), body)


class CommitsAndIsGone(NoAuthority):
    """Commits the second changeset, the first being another node's, and can't be asked again."""

    async def open(self) -> AuthorityInfo:
        return AuthorityInfo("5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a", bytes(32), 3)

    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        others = following(1, GENESIS_DIGEST)
        mine = following(2, others.digest)
        return Committed(Head(mine.version, mine.digest), mine, ({},))


def linked(
    pushed: list[Changeset],
    lost: list[None],
    write_pause: Callable[[], float] = lambda: 0.0,
    authority: NoAuthority | None = None,
    serving: Serving | None = None,
) -> AuthorityLink:
    authority = authority or CommitsAndIsGone()
    return AuthorityLink(
        authority,
        serving or Serving(Replica("a"), lambda _: None, lambda: None),
        idle_histories(authority),
        lambda: "n",
        pushed.extend,
        lambda _: None,
        lambda _: None,
        lambda: lost.append(None),
        lambda: "",
        lambda: 1,
        lambda: 0.0,
        random.Random(1),
        1.0,
        write_pause,
    )


async def test_a_write_waits_as_long_as_the_other_nodes_need() -> None:
    paused: list[float] = []

    def write_pause() -> float:
        paused.append(0.001)
        return paused[-1]

    link = linked([], [], write_pause)
    assert await link.open()
    begun = time.monotonic()
    await link.commit([Create("services", {"host": "a"})])
    assert time.monotonic() - begun >= 0.001
    assert len(paused) == 1


async def test_a_commit_is_told_though_the_authority_vanishes_right_after_it() -> None:
    pushed: list[Changeset] = []
    lost: list[None] = []
    link = linked(pushed, lost)
    assert await link.open()
    committed = await link.commit([Create("services", {"host": "a"})])
    assert committed.head.version.revision == 2
    assert [changeset.version.revision for changeset in pushed] == [2], "it waits for the first"
    assert lost, "that the authority is gone is seen to"


class CommitsAfterAnother(CommitsAndIsGone):
    """The same, but it can be asked for what was committed."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    async def state(self) -> State:
        self.reads += 1
        mine = following(2, following(1, GENESIS_DIGEST).digest)
        return State(Head(mine.version, mine.digest), ())


async def test_what_another_node_has_just_committed_is_awaited_before_it_is_read() -> None:
    pushed: list[Changeset] = []
    authority, serving = CommitsAfterAnother(), Serving(Replica("a"), lambda _: None, lambda: None)
    link = linked(pushed, [], authority=authority, serving=serving)
    assert await link.open()
    committing = asyncio.create_task(link.commit([Create("services", {"host": "a"})]))
    while not pushed:
        await asyncio.sleep(0)
    for changeset in (following(1, GENESIS_DIGEST), *pushed):
        serving.take(changeset)  # by gossip
    await committing
    assert serving.version.revision == 2
    assert authority.reads == 0


async def test_what_another_node_has_committed_and_not_told_is_read() -> None:
    authority, serving = CommitsAfterAnother(), Serving(Replica("a"), lambda _: None, lambda: None)
    link = linked([], [], authority=authority, serving=serving)
    assert await link.open()
    await link.commit([Create("services", {"host": "a"})])
    assert serving.version.revision == 2
    assert authority.reads == 1
