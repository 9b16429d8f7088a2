"""One node compares the database with what the nodes hold, and brings the two together."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.agent.cluster_audit import ClusterAudit
from node.agent.serving import Serving
from store.authority import Create, Patch
from store.canonical import encode_entity
from store.changeset import Changeset, decode_body
from store.errors import AuthorityUnavailable
from store.migrations.sqlite_runner import SqliteMigrations
from store.replica import Applied, Replica
from store.sqlite import SqliteAuthority
from tests.agent.links import Nobody, link_to

INTERVAL = 3600.0


class Audited:
    """A node with its authority, and what it tells the others."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.applied: list[Changeset] = []
        self.others = Nobody()
        self.due = True
        self.now = 0.0
        self.pauses: list[float] = []
        self.serving = Serving(Replica("a"), self._applied, lambda: None)
        self.authority = SqliteAuthority(path)
        self.link = link_to(self.authority, self.serving, self.others)
        self.audit = ClusterAudit(
            self.link, self.serving, lambda: self.due, INTERVAL, self._sleep, lambda: self.now
        )

    def _applied(self, applied: Applied) -> None:
        self.applied.append(applied.changeset)

    async def start(self) -> None:
        await SqliteMigrations(self.path).bootstrap()
        await self.link.open()
        await self.link.catch_up()
        await self.make("s")

    async def make(self, name: str) -> dict[str, object]:
        created = Create("services", {"name": name, "host": "h"})
        (entity,) = (await self.link.commit([created])).entities
        assert entity is not None
        return entity

    def by_hand(self, sql: str, *values: str) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(sql, values)
        connection.close()

    def change(self, entity: dict[str, object], **fields: object) -> str:
        text = encode_entity({**entity, **fields})
        self.by_hand("UPDATE entity SET body = ? WHERE id = ?", text, str(entity["id"]))
        return text

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    async def until_slept(self, count: int) -> None:
        running = asyncio.create_task(self.audit.run())
        async with asyncio.timeout(20):
            while len(self.pauses) < count and not running.done():
                await asyncio.sleep(0.001)
        running.cancel()

    def counted(self) -> dict[str, int]:
        return {name: count for name, count in self.audit.counters.items() if count}


@pytest.fixture
async def audited(tmp_path: Path) -> AsyncIterator[Audited]:
    audited = Audited(tmp_path / "authority.db")
    await audited.start()
    yield audited
    await audited.authority.close()


async def test_a_database_that_nobody_touched_is_the_same(audited: Audited) -> None:
    before = audited.serving.head()
    assert await audited.audit.audit() == "same"
    assert audited.serving.head() == before
    assert audited.counted() == {"cluster_audits": 1}


async def test_a_row_changed_by_hand_is_served_and_pushed(audited: Audited) -> None:
    service = await audited.make("changed")
    text = audited.change(service, host="by-hand.test")
    assert await audited.audit.audit() == "spread"
    (change,) = decode_body(audited.applied[-1].body).changes
    assert change.entity == text
    assert audited.others.heads[-1] == audited.serving.head()
    assert audited.counted() == {
        "cluster_audits": 1,
        "cluster_audits_failed": 1,
        "cluster_audit_rows_spread": 1,
    }
    assert await audited.audit.audit() == "same"


async def test_a_row_that_does_not_validate_is_an_alarm_until_it_is_put_right(
    audited: Audited,
) -> None:
    service = await audited.make("bad")
    audited.change(service, port=-1)
    for _ in range(2):
        assert await audited.audit.audit() == "refused"
    status = audited.audit.status()
    assert status["rows_refused"] == 1
    assert status["refused"][0].startswith(f"services {service['id']}: ")
    assert audited.audit.counters["cluster_audit_rows_refused"] == 2
    audited.change(service)
    assert await audited.audit.audit() == "same"
    assert audited.audit.status()["refused"] == []


async def test_rows_that_validate_are_spread_beside_one_that_does_not(audited: Audited) -> None:
    audited.change(await audited.make("bad"), port=-1)
    good = await audited.make("good")
    text = audited.change(good, port=81)
    assert await audited.audit.audit() == "refused"
    assert audited.serving.replica.pin().get("services", str(good["id"])) == text.encode()
    assert audited.audit.counters["cluster_audit_rows_spread"] == 1


async def test_a_node_that_is_behind_catches_up_before_it_judges(audited: Audited) -> None:
    other = SqliteAuthority(audited.path)
    await other.open()
    await other.write([Create("services", {"name": "other", "host": "h"})], origin="n2")
    await other.close()
    assert await audited.audit.audit() == "same"
    assert audited.serving.version.revision == 2


async def test_a_replica_whose_own_sum_is_wrong_blames_nobody(audited: Audited) -> None:
    audited.serving.replica._hashes.note(audited.serving.version, bytes(32))
    before = audited.serving.head()
    assert await audited.audit.audit() == "inconclusive"
    assert await audited.authority.head() == before


async def test_damaged_memory_is_not_taken_for_a_change_in_the_database(audited: Audited) -> None:
    rows = audited.serving.replica._contents._tables["services"]._rows
    rows._chunks[0].texts[0] = b"{}"
    before = audited.serving.head()
    assert await audited.audit.audit() == "same"
    assert await audited.authority.head() == before


async def test_it_is_done_every_interval_by_whoever_is_due(audited: Audited) -> None:
    await audited.until_slept(3)
    assert set(audited.pauses) == {INTERVAL}
    assert audited.audit.counters["cluster_audits"] >= 2
    done = audited.audit.counters["cluster_audits"]
    audited.due = False
    await audited.until_slept(10)
    assert audited.audit.counters["cluster_audits"] == done


async def test_an_interval_of_0_is_never(audited: Audited) -> None:
    never = ClusterAudit(audited.link, audited.serving, lambda: True, 0.0)
    async with asyncio.timeout(5):
        await never.run()
    assert never.status()["finished_at"] is None


async def test_an_authority_that_is_away_is_told_and_tried_again(audited: Audited) -> None:
    await audited.authority.close()
    with pytest.raises(AuthorityUnavailable):
        await audited.audit.audit()
    await audited.until_slept(3)
    assert audited.audit.counters["cluster_audits_inconclusive"] >= 1


async def test_a_table_that_can_not_be_read_does_not_end_the_node(audited: Audited) -> None:
    audited.by_hand("UPDATE entity SET body = CAST(X'ff' AS TEXT)")
    await audited.until_slept(3)
    assert audited.audit.counters["cluster_audits_inconclusive"] >= 2


async def test_writes_go_on_while_the_database_is_audited(audited: Audited) -> None:
    service = await audited.make("busy")
    changed = await audited.make("changed")

    async def write() -> None:
        for port in range(1, 30):
            await audited.link.commit([Patch("services", str(service["id"]), {"port": port})])

    writing = asyncio.create_task(write())
    text = audited.change(changed, port=81)
    while not writing.done():
        assert await audited.audit.audit() in ("same", "spread")
    await writing
    assert audited.serving.replica.pin().get("services", str(changed["id"])) == text.encode()
    assert await audited.audit.audit() == "same"
