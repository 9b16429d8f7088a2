"""What a client is told of its write, whatever becomes of the authority right after it."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from node.agent import authority_link
from node.agent.authority_link import CantFollow
from node.agent.serving import Serving
from store.authority import AuthorityInfo, Committed, Create, Mutation, State
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.errors import EntityError, HistoryForked, OutcomeUnknown, PreconditionFailed
from store.history import Server, Standing
from store.off import NoAuthority
from store.replica import Replica
from store.version import EMPTY, GENESIS_DIGEST, Head, Version
from tests.agent.links import Nobody, link_to


def following(revision: int, digest: bytes) -> Changeset:
    change = Change("services", f"{revision:036d}", "{}")
    body = encode_body(Body(b"%016d" % revision, 1.0, "n", (change,)))
    return Changeset(Version(1, 7, revision), digest, chain(digest, body), body)


class Holds(NoAuthority):
    """Has a log, or a state, that the test gives it."""

    def __init__(self) -> None:
        self.changesets: list[Changeset] | None = None
        self.whole: State | None = None
        self.states = 0

    async def open(self) -> AuthorityInfo:
        return AuthorityInfo("5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a", bytes(32), 3)

    async def log(self, after: Head, limit: int = 1_000) -> Sequence[Changeset] | None:
        if self.changesets is None:
            return None
        return [one for one in self.changesets if one.version > after.version]

    async def standing(self, confirmed: Head) -> Standing:
        return Standing(confirmed, Server("a", 1), "")

    async def state(self) -> State:
        self.states += 1
        assert self.whole is not None
        return self.whole


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


class LosesTheAnswer(CommitsAndIsGone):
    """Its connection dies in COMMIT, and the write can't be looked up."""

    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        raise OutcomeUnknown("connection lost", bytes(16))


class LostItToASplit(CommitsAndIsGone):
    """COMMIT went to one server; the one asked now is another, and lacks what was confirmed;
    there it is refused."""

    def __init__(self) -> None:
        self.unknown: OutcomeUnknown | None = OutcomeUnknown("it may have", bytes(16))
        self.asked = 0

    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        self.asked += 1
        if self.asked > 1:
            raise PreconditionFailed
        forked = HistoryForked(Standing(EMPTY, Server("db2", 2), "below"))
        forked.unknown = self.unknown
        raise forked


def serving() -> Serving:
    return Serving(Replica("a"), lambda *_: None, lambda: None)


async def test_a_write_waits_as_long_as_the_other_nodes_need() -> None:
    others = Nobody()
    others.pauses.append(0.001)
    link = link_to(CommitsAndIsGone(), serving(), others)
    assert await link.open()
    begun = time.monotonic()
    await link.commit([Create("services", {"host": "a"})])
    assert time.monotonic() - begun >= 0.001
    assert others.pauses == []


async def test_a_commit_is_told_though_the_authority_vanishes_right_after_it() -> None:
    others = Nobody()
    lost: list[None] = []
    link = link_to(CommitsAndIsGone(), serving(), others, lambda: lost.append(None))
    assert await link.open()
    committed = await link.commit([Create("services", {"host": "a"})])
    assert committed.head.version.revision == 2
    assert [changeset.version.revision for changeset in others.early] == [2], (
        "it waits for the first"
    )
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
    others = Nobody()
    authority, here = CommitsAfterAnother(), serving()
    link = link_to(authority, here, others)
    assert await link.open()
    committing = asyncio.create_task(link.commit([Create("services", {"host": "a"})]))
    while not others.early:
        await asyncio.sleep(0)
    for changeset in (following(1, GENESIS_DIGEST), *others.early):
        here.take(changeset)  # by gossip
    await committing
    assert here.version.revision == 2
    assert authority.reads == 0


async def test_what_another_node_has_committed_and_not_told_is_read() -> None:
    authority, here = CommitsAfterAnother(), serving()
    link = link_to(authority, here, Nobody())
    assert await link.open()
    await link.commit([Create("services", {"host": "a"})])
    assert here.version.revision == 2
    assert authority.reads == 1


@pytest.mark.parametrize("may_have", [True, False])
async def test_what_is_refused_after_a_split_is_unknown_if_the_other_server_may_have_done_it(
    may_have: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = LostItToASplit()
    link = link_to(authority, serving(), Nobody())

    async def settled(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr(link.histories, "settle", settled)
    assert await link.open()
    if not may_have:
        authority.unknown = None
    wanted = OutcomeUnknown if may_have else EntityError
    with pytest.raises(wanted):
        await link.commit([Create("services", {"host": "a"})])
    assert authority.asked == 2


async def test_a_commit_of_unknown_outcome_is_neither_pushed_nor_taken_for_confirmed() -> None:
    others = Nobody()
    link = link_to(LosesTheAnswer(), serving(), others)
    assert await link.open()
    with pytest.raises(OutcomeUnknown):
        await link.commit([Create("services", {"host": "a"})])
    assert others.early == []
    assert link.confirmed_head() == EMPTY


async def test_what_the_disk_holds_is_confirmed_before_it_is_served() -> None:
    link = link_to(LosesTheAnswer(), serving(), Nobody())
    kept = Head(Version(1, 7, 362), b"k" * 32)
    link.on_disk = lambda: kept
    assert link.confirmed_head() == kept


def holding(revision: int) -> tuple[Serving, State]:
    serving = Serving(Replica("a"), lambda *_: None, lambda: None)
    state = State(Head(Version(1, 7, revision), bytes([revision]) * 32), ())
    serving.replica.load(state)
    return serving, state


async def test_what_peers_bring_meanwhile_is_not_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority_link, "PEERS_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(authority_link, "PEERS_PAUSE_CHANGESETS", 1)
    everything, digest = [], GENESIS_DIGEST
    for revision in range(1, 101):
        everything.append(following(revision, digest))
        digest = everything[-1].digest
    replica = serving()
    replica.replica.load(State(Head(Version(1, 7, 0), GENESIS_DIGEST), ()))
    reads: list[int] = []

    async def bring() -> None:
        for number, changeset in enumerate(everything, start=1):
            replica.offer(*changeset)
            if number % 10 == 0:
                await asyncio.sleep(0)

    class InPieces(Holds):
        async def log(self, after: Head, limit: int = 1_000) -> Sequence[Changeset] | None:
            reads.append(after.version.revision)
            if len(reads) == 1:
                tasks.append(asyncio.create_task(bring()))
                await asyncio.sleep(0)
            return everything[after.version.revision :][:10]

    tasks: list[asyncio.Task[None]] = []
    link = link_to(InPieces(), replica, Nobody())
    assert await link.open()
    await link.catch_up()
    assert replica.version.revision == 100
    assert reads == [0, 100]
    await tasks[0]


@pytest.mark.parametrize("helped", [True, False])
async def test_where_the_log_does_not_reach_peers_are_asked_before_the_whole_state(
    helped: bool,
) -> None:
    authority = Holds()
    serving, _ = holding(1)
    _, ahead = holding(9)
    authority.whole = ahead

    async def from_peers() -> bool:
        if helped:
            serving.replica.load(ahead)
            authority.changesets = []
        return helped

    link = link_to(authority, serving, Nobody())
    link.from_peers = from_peers
    assert await link.open()
    await link.catch_up()
    assert serving.head() == ahead.head
    assert authority.states == (0 if helped else 1)


async def test_a_changeset_that_can_not_be_applied_is_no_reason_to_read_everything() -> None:
    authority = Holds()
    serving, state = holding(1)
    body = encode_body(Body(bytes(16), 1.0, "n", (Change("services", "a", "{"),)))
    digest = chain(state.head.digest, body)
    authority.changesets = [Changeset(Version(1, 7, 2), state.head.digest, digest, body)]
    link = link_to(authority, serving, Nobody())
    assert await link.open()
    with pytest.raises(CantFollow, match=r"changeset 1\.2 can't be applied here"):
        await link.catch_up()
    assert (serving.head(), authority.states) == (state.head, 0)
    assert link.reachable, "nothing is wrong with the authority"


async def test_a_state_that_can_not_be_read_leaves_what_is_served() -> None:
    authority = Holds()
    serving, state = holding(1)
    broken = (Change("services", "a", "{"),)
    authority.whole = State(state.head, broken)
    link = link_to(authority, serving, Nobody())
    assert await link.open()
    for attempt in (link.catch_up, link.verify, link.reload):
        with pytest.raises(CantFollow, match="can't be read here"):
            await attempt()
    assert serving.head() == state.head


def large(revision: int, predecessor: bytes) -> Changeset:
    changes = tuple(Change("services", f"{number:05d}", "{}") for number in range(2_000))
    body = encode_body(Body(bytes(16), 1.0, "n", changes))
    return Changeset(Version(1, 7, revision), predecessor, chain(predecessor, body), body)


class CommitsMuch(CommitsAndIsGone):
    """A large changeset, then small ones, without end."""

    def __init__(self) -> None:
        super().__init__()
        self.committed: list[Changeset] = []

    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        if self.committed:
            last = self.committed[-1]
            mine = following(last.version.revision + 1, last.digest)
        else:
            mine = large(1, GENESIS_DIGEST)
        self.committed.append(mine)
        return Committed(Head(mine.version, mine.digest), mine, ({},))

    async def log(self, after: Head, limit: int = 1_000) -> Sequence[Changeset] | None:
        return [one for one in self.committed if one.version > after.version]


async def test_a_large_commit_is_told_at_once_and_served_by_and_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(authority_link, "EARLY_PATIENCE_SECONDS", 0.001)
    others, here = Nobody(), serving()
    link = link_to(CommitsMuch(), here, others)
    assert await link.open()
    first = await link.commit([Create("services", {"host": "a"})])
    second = await link.commit([Create("services", {"host": "a"})])
    assert [one.version for one in others.early] == [first.head.version, second.head.version]
    assert here.version == EMPTY.version, "no client waits for what it takes to serve it"
    while here.version < second.head.version:
        await asyncio.sleep(0)
    assert len(here.replica) >= 2_000
