"""Rows of the state table that were changed by hand: found, and written as a changeset."""

import asyncio
import json
import uuid
from typing import Any

import pytest

from store import audit
from store.amendment import Auditor, read_row
from store.audit import Amended, Difference, Walk, referrers
from store.authority import Authority, Create, Delete, Mutation, Patch, State
from store.canonical import decode_entity, encode_entity
from store.changeset import Change, decode_body
from store.errors import EntityError, HistoryForked
from store.limits import AUDIT_SLICE_ROWS
from store.postgres_address import PostgresAddress
from store.replica import Replica
from store.schema import schema
from store.version import Head
from tests.store.conftest import EVERY_ENGINE, Engine
from tests.store.history import check_history
from tests.store.pems import pair
from tests.store.writer_process import write_at_random

pytestmark = EVERY_ENGINE

Entity = dict[str, Any]
INDEXES = ("entity_reference", "entity_unique", "entity_tag")


class Audited:
    """An authority, a node's replica of it, and somebody with a database client."""

    def __init__(self, engine: Engine, authority: Authority) -> None:
        self.engine = engine
        self.authority = authority
        self.replica = Replica("a")

    async def follow(self) -> None:
        self.replica.load(await self.authority.state())

    async def catch_up(self) -> None:
        """By the log, as nodes do: the state would show what was done by hand."""
        while changesets := await self.authority.log(self.replica.pin().head):
            for changeset in changesets:
                assert self.replica.offer(*changeset) == "applied"

    async def write(self, *mutations: Mutation) -> list[Entity]:
        committed = await self.authority.write(mutations, origin="n1")
        assert committed.changeset is not None
        assert self.replica.offer(*committed.changeset) == "applied"
        return [entity for entity in committed.entities if entity is not None]

    async def make(self, kind: str, **fields: Any) -> Entity:
        (entity,) = await self.write(Create(kind, fields))
        return entity

    async def change(self, kind: str, entity_id: str, text: str) -> None:
        """By hand."""
        assert "'" not in text
        await self.engine.sql(
            f"UPDATE entity SET body = '{text}' WHERE kind = '{kind}' AND id = '{entity_id}'"
        )

    async def edit(self, kind: str, entity: Entity, **fields: Any) -> str:
        """By hand, leaving the rest of it as it is; the new text."""
        text = encode_entity({**entity, **fields})
        await self.change(kind, entity["id"], text)
        return text

    async def insert(self, kind: str, text: str, entity_id: str) -> None:
        """By hand, without a thought of indexes."""
        await self.engine.sql(
            f"INSERT INTO entity (kind, id, body) VALUES ('{kind}', '{entity_id}', '{text}')"
        )

    async def remove(self, kind: str, entity_id: str) -> None:
        """By hand; where foreign keys are checked, one has to begin with those that refer to it. In
        a SQLite file, the indexes are left behind."""
        checked = self.engine.model is not None or isinstance(self.engine.address, PostgresAddress)
        for table in INDEXES if checked else ():
            await self.engine.sql(
                f"DELETE FROM {table} WHERE kind = '{kind}' AND id = '{entity_id}'"
            )
        if checked:
            await self.engine.sql(
                f"DELETE FROM entity_reference WHERE target_kind = '{kind}'"
                f" AND target_id = '{entity_id}'"
            )
        await self.engine.sql(f"DELETE FROM entity WHERE kind = '{kind}' AND id = '{entity_id}'")

    async def walk(self, replica: Replica | None = None) -> Walk:
        walk = Walk((replica or self.replica).pin())
        await self.authority.walk(walk, AUDIT_SLICE_ROWS)
        walk.end()
        return walk

    async def is_as_history_says(self) -> bool:
        walk = await self.walk()
        return walk.state_hash() == self.replica.state_hash(walk.head.version)

    async def difference(self) -> Difference:
        held = self.replica.pin()
        walk = await self.walk()
        told = {key: referrers(self.replica, key) for key in walk.missing}
        return Difference(held, walk.differing, told)

    async def amend(self) -> Amended:
        amended = await self.authority.amend(await self.difference(), origin="n1")
        if amended.changeset is not None:
            assert self.replica.offer(*amended.changeset) == "applied"
        assert amended.head == self.replica.head()
        return amended

    async def spread(self) -> tuple[Change, ...]:
        """What one audit writes, nothing being refused."""
        assert not await self.is_as_history_says()
        amended = await self.amend()
        assert amended.refused == ()
        assert amended.is_whole
        assert amended.changeset is not None
        body = decode_body(amended.changeset.body)
        assert (body.mark, body.origin) == ("audit", "n1")
        assert await self.is_as_history_says()
        assert await self.amend() == (amended.head, None, (), True)
        await check_history(self.authority)
        return body.changes

    async def refusals(self) -> list[str]:
        """Why nothing of what differs is written."""
        before = await self.authority.head()
        amended = await self.amend()
        assert amended.changeset is None
        assert await self.authority.head() == before
        return [reason for _, _, reason in amended.refused]


@pytest.fixture
async def audited(engine: Engine, authority: Authority) -> Audited:
    audited = Audited(engine, authority)
    await audited.follow()
    return audited


async def test_a_table_that_nobody_touched_is_as_history_says(audited: Audited) -> None:
    await audited.make("services", name="s", host="h", tags=["a"])
    await audited.make("consumers", username="bob")
    assert await audited.is_as_history_says()
    assert (await audited.walk()).differing == []


async def test_a_row_changed_by_hand_is_spread(audited: Audited) -> None:
    service = await audited.make("services", name="s", host="h")
    await audited.make("services", name="other", host="h")
    text = await audited.edit("services", service, host="by-hand.test")
    assert await audited.spread() == (Change("services", service["id"], text),)


async def test_a_row_inserted_by_hand_is_spread_and_can_be_found(audited: Audited) -> None:
    service = await audited.make("services", name="s", host="h")
    entity = {**service, "id": str(uuid.uuid4()), "name": "by-hand", "tags": ["t"]}
    await audited.insert("services", encode_entity(entity), entity["id"])
    assert await audited.authority.get("services", "by-hand") is None
    (change,) = await audited.spread()
    assert change == Change("services", entity["id"], encode_entity(entity))
    assert await audited.authority.get("services", "by-hand") == entity
    assert [tagged.id for tagged in await audited.authority.tags("t", 10)] == [entity["id"]]
    with pytest.raises(EntityError):
        await audited.write(Create("services", {"name": "by-hand", "host": "h"}))


async def test_a_row_deleted_by_hand_is_gone_everywhere_and_its_name_is_free(
    audited: Audited,
) -> None:
    service = await audited.make("services", name="s", host="h")
    await audited.remove("services", service["id"])
    assert await audited.spread() == (Change("services", service["id"], None),)
    await audited.make("services", name="s", host="h")


async def test_all_that_was_done_by_hand_becomes_one_changeset(audited: Audited) -> None:
    entities = [await audited.make("services", name=f"s{n}", host="h") for n in range(4)]
    entities.sort(key=lambda entity: str(entity["id"]))
    await audited.edit("services", entities[0], port=81)
    await audited.remove("services", entities[1]["id"])
    made = {**entities[2], "id": str(uuid.uuid4()), "name": "new"}
    await audited.insert("services", encode_entity(made), made["id"])
    changes = await audited.spread()
    assert {(change.id, change.entity is None) for change in changes} == {
        (entities[0]["id"], False),
        (entities[1]["id"], True),
        (made["id"], False),
    }


async def test_a_row_renamed_by_hand_is_found_by_its_new_name_alone(audited: Audited) -> None:
    service = await audited.make("services", name="old", host="h")
    await audited.edit("services", service, name="new")
    await audited.spread()
    assert await audited.authority.get("services", "old") is None
    assert (await audited.authority.get("services", "new") or {})["id"] == service["id"]


async def test_two_rows_may_have_swapped_their_names(audited: Audited) -> None:
    one = await audited.make("services", name="one", host="h")
    two = await audited.make("services", name="two", host="h")
    await audited.edit("services", one, name="two")
    await audited.edit("services", two, name="one")
    assert len(await audited.spread()) == 2
    assert (await audited.authority.get("services", "one") or {})["id"] == two["id"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"port": 123456}, "port"),
        ({"host": None}, "host"),
        ({"id": "5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a"}, "id"),
        ({"name": 5}, "name"),
        ({"tags": "no list"}, "tags"),
    ],
)
async def test_a_row_that_does_not_validate_is_not_spread(
    audited: Audited, fields: Entity, reason: str
) -> None:
    service = await audited.make("services", name="s", host="h")
    await audited.edit("services", service, **fields)
    (refusal,) = await audited.refusals()
    assert reason in refusal
    assert await audited.refusals() == [refusal], "it stays an alarm"


@pytest.mark.parametrize("text", ["[]", "{", "5", "{}", ""])
async def test_a_row_that_is_no_entity_is_not_spread(audited: Audited, text: str) -> None:
    service = await audited.make("services", name="s", host="h")
    await audited.change("services", service["id"], text)
    assert len(await audited.refusals()) == 1


async def test_a_kind_that_nobody_knows_is_not_spread(audited: Audited) -> None:
    entity_id = str(uuid.uuid4())
    await audited.insert("gizmos", json.dumps({"id": entity_id}), entity_id)
    (refusal,) = await audited.refusals()
    assert "kind" in refusal


async def test_what_validates_is_spread_beside_what_does_not(audited: Audited) -> None:
    good = await audited.make("services", name="good", host="h")
    bad = await audited.make("services", name="bad", host="h")
    text = await audited.edit("services", good, port=81)
    await audited.edit("services", bad, port=-1)
    amended = await audited.amend()
    assert amended.changeset is not None
    assert decode_body(amended.changeset.body).changes == (Change("services", good["id"], text),)
    assert [refused.id for refused in amended.refused] == [bad["id"]]


async def test_a_name_that_another_one_has_is_not_spread(audited: Audited) -> None:
    await audited.make("services", name="taken", host="h")
    service = await audited.make("services", name="s", host="h")
    await audited.edit("services", service, name="taken")
    (refusal,) = await audited.refusals()
    assert "name" in refusal


async def test_of_two_inserted_with_one_name_one_is_spread(audited: Audited) -> None:
    service = await audited.make("services", name="s", host="h")
    for _ in range(2):
        made = {**service, "id": str(uuid.uuid4()), "name": "twice"}
        await audited.insert("services", encode_entity(made), made["id"])
    amended = await audited.amend()
    assert amended.changeset is not None
    assert len(decode_body(amended.changeset.body).changes) == len(amended.refused) == 1


async def test_a_reference_to_nothing_is_not_spread(audited: Audited) -> None:
    service = await audited.make("services", name="s", host="h")
    route = await audited.make("routes", service={"id": service["id"]}, paths=["/"])
    await audited.edit("routes", route, service={"id": str(uuid.uuid4())})
    (refusal,) = await audited.refusals()
    assert "refers to services" in refusal


async def test_a_service_and_its_route_that_were_inserted_are_spread_together(
    audited: Audited,
) -> None:
    service, route = await inserted_pair(audited, port=80)
    assert {change.id for change in await audited.spread()} == {service["id"], route["id"]}


async def test_a_route_is_not_spread_without_its_service(audited: Audited) -> None:
    _, route = await inserted_pair(audited, port=-1)
    amended = await audited.amend()
    assert amended.changeset is None
    assert {refused.kind for refused in amended.refused} == {"services", "routes"}
    assert await audited.authority.get("routes", route["id"]) == route, "the table keeps it"


async def inserted_pair(audited: Audited, port: int) -> tuple[Entity, Entity]:
    service = await audited.make("services", name="s", host="h")
    route = await audited.make("routes", service={"id": service["id"]}, paths=["/"])
    service = {**service, "id": str(uuid.uuid4()), "name": "new", "port": port}
    await audited.insert("services", encode_entity(service), service["id"])
    route = {**route, "id": str(uuid.uuid4()), "service": {"id": service["id"]}}
    await audited.insert("routes", encode_entity(route), route["id"])
    return service, route


async def test_a_deleted_row_that_others_refer_to_is_kept_by_the_nodes(audited: Audited) -> None:
    service = await audited.make("services", name="s", host="h")
    route = await audited.make("routes", service={"id": service["id"]}, paths=["/"])
    await audited.remove("services", service["id"])
    (refusal,) = await audited.refusals()
    assert f"routes {route['id']} refers to it" in refusal
    await audited.remove("routes", route["id"])
    assert len(await audited.spread()) == 2


async def test_a_deleted_row_goes_when_those_that_referred_to_it_no_longer_do(
    audited: Audited,
) -> None:
    service = await audited.make("services", name="s", host="h")
    other = await audited.make("services", name="other", host="h")
    route = await audited.make("routes", service={"id": service["id"]}, paths=["/"])
    await audited.edit("routes", route, service={"id": other["id"]})
    await audited.remove("services", service["id"])
    assert len(await audited.spread()) == 2
    with pytest.raises(EntityError):
        await audited.authority.write([Delete("services", other["id"])], origin="")


async def test_what_was_written_meanwhile_is_no_difference(audited: Audited) -> None:
    service = await audited.make("services", name="s", host="h")
    gone = await audited.make("services", name="gone", host="h")
    other = Audited(audited.engine, await audited.engine.connect())
    await other.follow()
    await other.write(
        Patch("services", service["id"], {"port": 81}), Delete("services", gone["id"])
    )
    made = await other.make("services", name="made", host="h")
    difference = await audited.difference()
    keys = {service["id"], gone["id"], made["id"]}
    assert {entity_id for _, entity_id in difference.keys} == keys
    amended = await audited.authority.amend(difference, origin="n1")
    assert amended == (other.replica.head(), None, (), True)


async def test_a_write_upon_what_was_changed_by_hand_has_spread_it(audited: Audited) -> None:
    service = await audited.make("services", name="s", host="h")
    await audited.edit("services", service, host="by-hand.test")
    (patched,) = await audited.write(Patch("services", service["id"], {"port": 81}))
    assert patched["host"] == "by-hand.test"
    assert await audited.is_as_history_says()


async def test_a_replica_of_another_history_proves_nothing(audited: Audited) -> None:
    service = await audited.make("services", name="s", host="h")
    foreign = Replica("a")
    head, entities = audited.replica.pin().head, tuple(audited.replica.changes())
    foreign.load(State(head._replace(digest=bytes(32)), entities))
    await audited.edit("services", service, port=81)
    difference = Difference(foreign.pin(), [("services", service["id"])], {})
    amended = await audited.authority.amend(difference, origin="n1")
    assert (amended.changeset, amended.is_whole) == (None, False)


async def test_nothing_is_written_where_commits_were_lost(audited: Audited) -> None:
    """First it has to be settled which history goes on (DESIGN 3)."""
    service = await audited.make("services", name="s", host="h")
    head = await audited.authority.head()
    revision = head.version.revision + 5
    lost = Head(head.version._replace(revision=revision), bytes(32))
    behind = audited.engine.authority(confirmed=lambda: lost)
    audited.engine.opened.append(behind)
    await behind.open()
    await audited.edit("services", service, port=81)
    with pytest.raises(HistoryForked):
        await behind.amend(await audited.difference(), origin="n1")
    assert await audited.authority.head() == head


async def test_twice_at_once_writes_it_once(audited: Audited) -> None:
    service = await audited.make("services", name="s", host="h")
    await audited.edit("services", service, port=81)
    second = await audited.engine.connect()
    difference = await audited.difference()
    outcomes = await asyncio.gather(
        audited.authority.amend(difference, origin="n1"),
        second.amend(difference, origin="n2"),
    )
    assert [outcome.changeset is not None for outcome in outcomes].count(True) == 1
    assert await check_history(audited.authority) == 2


@pytest.mark.parametrize("seed", range(2))
async def test_after_audits_among_writers_the_log_still_replays_to_the_state(
    audited: Audited, seed: int
) -> None:
    mine = [await audited.make("services", name=f"mine{number}", host="h") for number in range(8)]
    others = [await audited.engine.connect() for _ in range(3)]
    writing = asyncio.gather(
        *(
            write_at_random(other, 100 * seed + number, 30, show=False)
            for number, other in enumerate(others)
        )
    )
    audits = 0
    for number, entity in enumerate(mine):
        if number % 4 == 3:
            await audited.remove("services", entity["id"])
        else:
            await audited.edit("services", entity, port=1000 + number)
        await audited.catch_up()
        amended = await audited.authority.amend(await audited.difference(), origin="n1")
        assert amended.refused == ()
        audits += amended.changeset is not None
    await writing
    await audited.catch_up()
    assert audits > 0
    assert await audited.is_as_history_says()
    await check_history(audited.authority)


async def test_much_is_written_in_parts(audited: Audited, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "AUDIT_BYTES_MAX", 1_000)
    entities = [await audited.make("services", name=f"s{n}", host="h") for n in range(5)]
    for entity in entities:
        await audited.edit("services", entity, port=81)
    parts = 0
    whole = False
    while not whole:
        amended = await audited.amend()
        assert amended.changeset is not None
        whole = amended.is_whole
        parts += 1
    assert parts > 1
    assert await audited.is_as_history_says()


async def test_so_many_rows_are_looked_at_in_one_step(
    audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "AUDIT_ROWS_MAX", 2)
    for number in range(4):
        entity = await audited.make("services", name=f"s{number}", host="h")
        await audited.edit("services", entity, port=81)
    for left in (4, 2):
        assert len((await audited.walk()).differing) == min(left, 2)
        await audited.amend()
    assert await audited.is_as_history_says()


async def test_the_walk_goes_through_the_table_in_slices(audited: Audited) -> None:
    for number in range(5):
        await audited.make("services", name=f"s{number}", host="h")
    whole = await audited.walk()
    walk = Walk(audited.replica.pin())
    for slice_rows in (1, 2, 5, 100):
        await audited.authority.walk(walk, slice_rows)
        walk.end()
        assert walk.state_hash() == whole.state_hash()
        assert walk.differing == []


async def test_whatever_the_write_rule_has_made_validates(audited: Audited) -> None:
    """Else an audit would refuse what was touched and put right again."""
    made = pair("a.test")
    (service,) = await audited.write(Create("services", {"name": "s", "host": "h"}))
    (bob,) = await audited.write(Create("consumers", {"username": "bob"}))
    (upstream,) = await audited.write(Create("upstreams", {"name": "u.test"}))
    consumer = {"id": bob["id"]}
    wanted: list[tuple[str, Entity]] = [
        ("routes", {"service": {"id": service["id"]}, "paths": ["~/a", "/b"], "hosts": ["*.a"]}),
        ("certificates", {"cert": made.cert, "key": made.key, "snis": ["a.test"]}),
        ("plugins", {"name": "rate-limiting", "config": {"minute": 5}}),
        ("targets", {"target": "10.0.0.1:80", "upstream": {"id": upstream["id"]}}),
        ("keyauth_credentials", {"consumer": consumer, "ttl": 60}),
        ("basicauth_credentials", {"consumer": consumer, "username": "u", "password": "p"}),
        ("jwt_secrets", {"consumer": consumer}),
        ("acls", {"consumer": consumer, "group": "g"}),
        ("vaults", {"name": "env", "prefix": "my-vault", "config": {"prefix": "V_"}}),
    ]
    for kind, fields in wanted:
        await audited.make(kind, **fields)
    auditor = Auditor(bytes(16), "", 1_800_000_000.0, schema)
    for change in (await audited.authority.state()).entities:
        assert change.entity is not None
        entity = read_row(auditor, (change.kind, change.id), change.entity)
        assert entity == decode_entity(change.entity)
