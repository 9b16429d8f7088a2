"""A replica whose memory has gone bad is found and replaced, whatever else goes on."""

import asyncio
from collections.abc import Callable

import pytest

from node.agent.replica_audit import ReplicaAudit
from node.agent.serving import Serving
from store.authority import AuthorityInfo, State
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.errors import AuthorityUnavailable
from store.limits import SKETCH_STEP_ENTITIES
from store.off import NoAuthority
from store.replica import Replica
from store.version import Head, Version
from tests.agent.links import Nobody, link_to

COUNT = 10 * SKETCH_STEP_ENTITIES
PERIOD = 600.0


def state(count: int = COUNT) -> State:
    changes = tuple(Change("services", f"{number:05d}", "{}") for number in range(count))
    return State(Head(Version(1, 7, 5), b"%032d" % 5), changes)


def following(head: Head) -> Changeset:
    change = Change("services", "00000", f'{{"revision": {head.version.revision}}}')
    body = encode_body(Body(bytes(16), 1.0, "n", (change,)))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)


def corrupt(replica: Replica, text: bytes = b'{"a": 1}') -> None:
    """Change an entity in memory, as no changeset does."""
    rows = replica._contents._tables["services"]._rows
    rows._chunks[0].texts[7] = text


class Audited:
    """A node's replica and its audit, in a time that passes while the audit sleeps."""

    def __init__(self, count: int = COUNT) -> None:
        self.serving = Serving(Replica("a"), lambda *_: None, self._loaded)
        self.now = 0.0
        self.pauses: list[float] = []
        self.replacements = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.audit = ReplicaAudit(
            self.serving, self._replace, PERIOD, self._sleep, lambda: self.now
        )
        self.serving.replica.load(state(count))

    def _loaded(self) -> None:
        self.audit.replaced()

    async def _replace(self) -> None:
        self.replacements += 1
        await self.serving.load(state(), anew=True)

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        self.meanwhile()
        await asyncio.sleep(0)


@pytest.fixture
async def audited() -> Audited:
    return Audited()


async def test_what_is_as_it_was_applied_is_sound(audited: Audited) -> None:
    assert await audited.audit.look() is True
    assert audited.audit.counters() == {"replica_audits": 1, "replica_audits_failed": 0}


async def test_a_pass_is_spread_over_the_period(audited: Audited) -> None:
    await audited.audit.look()
    assert len(audited.pauses) >= COUNT // SKETCH_STEP_ENTITIES
    assert len(set(audited.pauses)) == 1
    assert 0.8 * PERIOD < audited.now <= PERIOD


async def test_a_corrupted_entity_is_found_and_the_state_replaced(audited: Audited) -> None:
    corrupt(audited.serving.replica)
    running = asyncio.create_task(audited.audit.run())
    async with asyncio.timeout(20):
        while audited.audit.counters()["replica_audits"] < 2:
            await asyncio.sleep(0)
    running.cancel()
    assert audited.replacements == 1
    assert audited.audit.counters()["replica_audits_failed"] == 1
    assert audited.audit.status()["damaged"] is False
    assert tuple(audited.serving.replica.changes()) == state().entities
    assert audited.now <= 2 * PERIOD + 1


async def test_a_state_that_can_not_be_had_is_asked_for_again(audited: Audited) -> None:
    tries: list[float] = []

    async def fail() -> None:
        tries.append(audited.now)
        raise ValueError("not an entity")

    audited.audit._replace = fail
    corrupt(audited.serving.replica)
    running = asyncio.create_task(audited.audit.run())
    async with asyncio.timeout(20):
        while len(tries) < 3:
            await asyncio.sleep(0)
    running.cancel()
    assert audited.audit.status()["damaged"] is True
    assert tries[2] - tries[1] > 0.8 * PERIOD


async def test_damage_shows_until_it_is_repaired(audited: Audited) -> None:
    corrupt(audited.serving.replica)
    assert await audited.audit.look() is False
    status = audited.audit.status()
    assert status["damaged"] is True
    assert status["finished_at"] == audited.now


async def test_changes_that_come_meanwhile_are_no_damage(audited: Audited) -> None:
    def change() -> None:
        assert audited.serving.offer(*following(audited.serving.head())) == "applied"

    audited.meanwhile = change
    assert await audited.audit.look() is True
    assert audited.serving.version.revision > 5


async def test_damage_that_a_change_has_touched_still_shows(audited: Audited) -> None:
    rows = audited.serving.replica._contents._tables["services"]._rows
    rows._chunks[0].texts[0] = b"{}  "
    assert audited.serving.offer(*following(audited.serving.head())) == "applied"
    assert await audited.audit.look() is False


async def test_a_pass_ends_when_the_state_is_replaced(audited: Audited) -> None:
    corrupt(audited.serving.replica)
    audited.meanwhile = audited.audit.replaced
    assert await audited.audit.look() is None
    assert audited.audit.counters() == {"replica_audits": 0, "replica_audits_failed": 0}


async def test_a_small_replica_is_not_looked_at_all_the_time() -> None:
    audited = Audited(count=3)
    running = asyncio.create_task(audited.audit.run())
    while audited.audit.counters()["replica_audits"] < 3:
        await asyncio.sleep(0)
    running.cancel()
    assert set(audited.pauses) == {PERIOD}


async def test_a_node_that_holds_nothing_waits_for_something() -> None:
    audited = Audited()
    audited.serving.clear()
    assert await audited.audit.look() is None


async def test_a_damaged_replica_is_replaced_at_the_version_that_it_has_come_to(
    audited: Audited,
) -> None:
    """Writes go on while the authority's state is read; what is served never goes back."""
    corrupt(audited.serving.replica)
    loading = asyncio.create_task(audited.serving.load(state(), anew=True))
    for _ in range(4):
        assert audited.serving.offer(*following(audited.serving.head())) == "applied"
        await asyncio.sleep(0)
    head = audited.serving.head()
    assert head.version.revision == 9
    assert await loading == head == audited.serving.head()
    assert await audited.audit.look() is True
    assert audited.serving.replica.pin().get("services", "00000") == b'{"revision": 8}'


class Holds(NoAuthority):
    """An authority that can be opened and read, while it isn't gone."""

    gone = False

    async def open(self) -> AuthorityInfo:
        return AuthorityInfo("5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a", bytes(32), 3)

    async def state(self) -> State:
        if self.gone:
            raise AuthorityUnavailable("gone")
        return state()


async def test_the_authority_gives_the_same_version_anew(audited: Audited) -> None:
    corrupt(audited.serving.replica)
    others = Nobody()
    link = link_to(Holds(), audited.serving, others)
    await link.open()
    assert await link.reload()
    assert others.heads == [state().head]
    assert await audited.audit.look() is True


async def test_an_authority_that_is_gone_is_told_apart(audited: Audited) -> None:
    authority = Holds()
    link = link_to(authority, audited.serving, Nobody())
    with pytest.raises(AuthorityUnavailable):
        await link.reload()
    await link.open()
    authority.gone = True
    with pytest.raises(AuthorityUnavailable):
        await link.reload()
    assert not link.reachable
