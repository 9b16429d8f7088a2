"""Many rows at once, made from a state: what is written, and what may have come in between."""

import asyncio

import pytest

from store.authority import Authority, Create, Delete, Entity, Mutation, Patch, Replace
from store.canonical import encode_entity
from store.changeset import Change, decode_body
from store.errors import EntityError, StateMoved
from store.limits import REPLACE_SINCE_MAX
from store.schema import schema
from tests.store.conftest import EVERY_ENGINE
from tests.store.history import check_history

pytestmark = EVERY_ENGINE


async def make(authority: Authority, *mutations: Mutation) -> list[Entity]:
    entities = (await authority.write(mutations, origin="n1")).entities
    return [entity for entity in entities if entity is not None]


def service(number: int, name: str, **fields: object) -> Entity:
    entity_id = f"00000000-0000-4000-8000-{number:012}"
    return schema("services").validate_new(
        {"id": entity_id, "name": name, "host": "h.test", **fields}, 5
    )


def route(number: int, name: str, of: Entity) -> Entity:
    entity_id = f"00000000-0000-4000-8000-{number:012}"
    fields = {"id": entity_id, "name": name, "paths": ["/"], "service": {"id": of["id"]}}
    return schema("routes").validate_new(fields, 5)


def put(kind: str, entity: Entity) -> Change:
    return Change(kind, entity["id"], encode_entity(entity))


async def replace(authority: Authority, *changes: Change, **options: bytes) -> tuple[Change, ...]:
    """Done from the state as it is now; the changeset's changes."""
    rows = Replace(changes, await authority.head())
    committed = await authority.write([rows], origin="n1", **options)
    if committed.changeset is None:
        return ()
    return decode_body(committed.changeset.body).changes


async def test_rows_are_written_as_they_are_given_in_one_changeset(authority: Authority) -> None:
    one = service(1, "one")
    changes = (put("services", one), put("routes", route(2, "r", one)))
    assert await replace(authority, *changes) == changes
    assert await authority.get("services", "one") == one
    assert await replace(authority, *changes) == ()
    assert await check_history(authority) == 1


async def test_entities_may_exchange_their_names_and_take_those_of_what_goes(
    authority: Authority,
) -> None:
    one, two, three = service(1, "one"), service(2, "two"), service(3, "three")
    await replace(authority, *(put("services", item) for item in (one, two, three)))
    await replace(
        authority,
        put("services", {**one, "name": "two"}),
        put("services", {**two, "name": "three"}),
        Change("services", three["id"], None),
    )
    found = [await authority.get("services", name) for name in ("one", "two", "three")]
    assert [entity and entity["id"] for entity in found] == [None, one["id"], two["id"]]
    await check_history(authority)


async def test_a_parent_goes_while_its_children_are_given_to_another(authority: Authority) -> None:
    one, two = service(1, "one"), service(2, "one")
    await replace(authority, put("services", one), put("routes", route(3, "r", one)))
    await replace(
        authority,
        Change("services", one["id"], None),
        put("services", two),
        put("routes", route(3, "r", two)),
    )
    found = await authority.get("services", "one")
    assert found == two
    await check_history(authority)


async def test_what_others_wrote_meanwhile_stays_if_it_has_nothing_to_do_with_the_rows(
    authority: Authority,
) -> None:
    await make(authority, Create("services", {"name": "other", "host": "h"}))
    before = await authority.head()
    await make(authority, Patch("services", "other", {"host": "changed.test"}))
    rows = Replace((put("services", service(1, "one")),), before)
    await authority.write([rows], origin="n1")
    other = await authority.get("services", "other")
    assert other is not None
    assert other["host"] == "changed.test"
    assert await authority.get("services", "one")
    await check_history(authority)


@pytest.mark.parametrize(
    "between",
    [
        Patch("services", "one", {"retries": 1}),
        Delete("services", "one"),
        Create("routes", {"paths": ["/"], "service": {"name": "gone"}}),
        Delete("services", "parent"),
    ],
    ids=["the same row", "the row is gone", "refers to what goes", "what is referred to is gone"],
)
async def test_rows_that_have_to_do_with_what_others_wrote_meanwhile_are_refused(
    authority: Authority, between: Mutation
) -> None:
    one, gone, parent = service(1, "one"), service(2, "gone"), service(3, "parent")
    await replace(authority, *(put("services", item) for item in (one, gone, parent)))
    before = await authority.head()
    await make(authority, between)
    state = await authority.state()
    rows = (
        put("services", {**one, "retries": 3}),
        Change("services", gone["id"], None),
        put("routes", route(4, "r", parent)),
    )
    with pytest.raises(StateMoved):
        await authority.write([Replace(rows, before)], origin="n1")
    assert await authority.state() == state
    await check_history(authority)


async def test_a_state_of_another_history_or_of_long_ago_is_refused(authority: Authority) -> None:
    await make(authority, Create("services", {"host": "h"}))
    rows = (put("services", service(1, "one")),)
    head = await authority.head()
    elsewhere = head._replace(digest=b"elsewhere".ljust(32))
    with pytest.raises(StateMoved):
        await authority.write([Replace(rows, elsewhere)], origin="n1")
    for _ in range(REPLACE_SINCE_MAX // 64 + 1):
        await asyncio.gather(
            *(make(authority, Create("services", {"host": "h"})) for _ in range(64))
        )
    with pytest.raises(StateMoved):
        await authority.write([Replace(rows, head)], origin="n1")


async def test_a_value_that_another_took_meanwhile_is_told(authority: Authority) -> None:
    before = await authority.head()
    await make(authority, Create("services", {"name": "one", "host": "h"}))
    with pytest.raises(EntityError) as error:
        await authority.write([Replace((put("services", service(1, "one")),), before)], origin="n1")
    assert error.value.code == 5
    await check_history(authority)


async def test_rows_and_other_writes_at_once_are_in_one_order(authority: Authority) -> None:
    """They may share a transaction, and see each other there."""
    one = service(1, "one")
    await replace(authority, put("services", one))

    async def prolong(retries: int) -> bool:
        head = await authority.head()
        rows = (put("services", {**one, "retries": retries}),)
        try:
            await authority.write([Replace(rows, head)], origin="n1")
        except StateMoved:
            return False
        return True

    patches = [make(authority, Patch("services", "one", {"port": 1000 + n})) for n in range(8)]
    done, *_ = await asyncio.gather(
        asyncio.gather(*(prolong(number) for number in range(8))), *patches
    )
    found = await authority.get("services", "one")
    assert found is not None
    assert found["port"] in (80, *range(1000, 1008))
    assert isinstance(done, list)
    await check_history(authority)


async def test_a_retry_with_its_write_id_answers_what_was_done(authority: Authority) -> None:
    change = put("services", service(1, "one"))
    first = await replace(authority, change, write_id=bytes(16))
    assert first == (change,)
    again = await authority.write(
        [Replace((), await authority.head())], origin="n1", write_id=bytes(16)
    )
    assert again.changeset is not None
    assert decode_body(again.changeset.body).changes == first


async def test_no_rows_are_no_write(authority: Authority) -> None:
    await make(authority, Create("services", {"host": "h"}))
    head = await authority.head()
    committed = await authority.write([Replace((), head)], origin="n1")
    assert (committed.head, committed.changeset, committed.entities) == (head, None, (None,))
