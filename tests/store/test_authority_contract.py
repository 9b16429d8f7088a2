"""What every engine of the authority does alike."""

import uuid

import pytest

from store import read as reads
from store.authority import Authority, Create, Delete, Mutation, Patch, Put, Query
from store.changeset import decode_body
from store.errors import EntityError
from store.limits import ENTITY_BYTES_MAX
from store.version import EMPTY, GENESIS, Head, Version
from tests.store.conftest import EVERY_ENGINE, Engine
from tests.store.history import check_history

pytestmark = EVERY_ENGINE

SERVICE = {"name": "s", "host": "example.com"}
A_WRITE = bytes(range(16))


async def create(authority: Authority, kind: str, **fields: object) -> dict[str, object]:
    (entity,) = (await authority.write([Create(kind, fields)], origin="n1")).entities
    assert entity is not None
    return entity


async def test_a_new_authority_is_empty_at_revision_0_of_epoch_1(authority: Authority) -> None:
    state = await authority.state()
    assert state.entities == ()
    assert (state.head.version.epoch, state.head.version.revision) == (1, 0)
    assert await authority.log(EMPTY) == ()


async def test_opening_again_answers_the_same_authority(engine: Engine) -> None:
    infos = [await (await engine.connect()).open() for _ in range(2)]
    assert infos[0] == infos[1]
    assert uuid.UUID(infos[0].id).version == 4
    assert len(infos[0].cluster_key) == 32


async def test_a_create_takes_the_next_revision_and_names_its_change(authority: Authority) -> None:
    committed = await authority.write([Create("services", SERVICE)], origin="n1")
    assert committed.changeset is not None
    body = decode_body(committed.changeset.body)
    (change,) = body.changes
    (entity,) = committed.entities
    assert entity is not None
    assert (change.kind, change.id) == ("services", entity["id"])
    assert body.origin == "n1"
    assert committed.head == await authority.head()
    assert committed.head.version.revision == 1
    assert (await authority.state()).entities == (change,)


async def test_an_entity_is_found_by_id_and_by_name(authority: Authority) -> None:
    entity = await create(authority, "services", **SERVICE)
    assert await authority.get("services", str(entity["id"])) == entity
    assert await authority.get("services", str(entity["id"]).upper()) == entity
    assert await authority.get("services", "s") == entity
    assert await authority.get("services", "other") is None
    assert await authority.get("routes", str(entity["id"])) is None


async def test_several_mutations_are_one_changeset(authority: Authority) -> None:
    committed = await authority.write(
        [
            Create("services", SERVICE),
            Create("routes", {"paths": ["/a"], "service": {"name": "s"}}),
            Patch("services", "s", {"retries": 1}),
            Patch("services", "s", {"retries": 2}),
        ],
        origin="",
    )
    assert committed.changeset is not None
    changes = decode_body(committed.changeset.body).changes
    assert [change.kind for change in changes] == ["services", "routes"]
    service, route, _, patched = committed.entities
    assert service is not None
    assert route is not None
    assert patched is not None
    assert route["service"] == {"id": service["id"]}
    assert patched["retries"] == 2
    assert await check_history(authority) == 1


async def test_a_refused_mutation_undoes_the_whole_write(authority: Authority) -> None:
    with pytest.raises(EntityError):
        await authority.write([Create("services", SERVICE), Create("services", {})], origin="")
    assert (await authority.head()).version.revision == 0
    assert (await authority.state()).entities == ()


async def test_what_a_write_made_and_deleted_again_leaves_no_trace(authority: Authority) -> None:
    committed = await authority.write(
        [Create("services", SERVICE), Delete("services", "s")], origin=""
    )
    assert committed.changeset is None
    assert committed.head.version.revision == 0
    assert committed.entities[1] is None


async def test_patch_merges_and_put_replaces(authority: Authority) -> None:
    entity = await create(authority, "services", **SERVICE, retries=1, path="/x")
    await authority.write([Patch("services", "s", {"path": "/y"})], origin="")
    patched = await authority.get("services", "s")
    assert patched is not None
    assert (patched["path"], patched["retries"]) == ("/y", 1)
    await authority.write([Put("services", "s", {"host": "h"})], origin="")
    replaced = await authority.get("services", "s")
    assert replaced is not None
    assert replaced["id"] == entity["id"]
    assert (replaced["host"], replaced["path"], replaced["retries"]) == ("h", None, 5)
    assert await check_history(authority) == 3


async def test_put_creates_under_the_id_or_name_of_its_key(authority: Authority) -> None:
    key = str(uuid.uuid4())
    await authority.write([Put("services", key, {"host": "h"})], origin="")
    await authority.write([Put("services", "new", {"host": "h"})], origin="")
    assert await authority.get("services", key) is not None
    assert await authority.get("services", "new") is not None


async def test_patch_of_nothing_is_not_found(authority: Authority) -> None:
    with pytest.raises(EntityError) as caught:
        await authority.write([Patch("services", "none", {})], origin="")
    assert caught.value.code == 6
    assert caught.value.message == "could not find the entity with '{name=\"none\"}'"


async def test_deleting_nothing_is_no_error_and_no_revision(authority: Authority) -> None:
    keys = ("none", str(uuid.uuid4()))
    committed = await authority.write([Delete("services", key) for key in keys], origin="")
    assert (committed.changeset, committed.entities) == (None, (None, None))


async def test_a_deletion_is_a_change_without_an_entity(authority: Authority) -> None:
    entity = await create(authority, "services", **SERVICE)
    committed = await authority.write([Delete("services", "s")], origin="")
    assert committed.changeset is not None
    assert decode_body(committed.changeset.body).changes == (("services", entity["id"], None),)
    assert await authority.get("services", "s") is None
    await create(authority, "services", **SERVICE)  # the name is free again
    assert await check_history(authority) == 3


async def test_a_taken_name_is_a_unique_violation(authority: Authority) -> None:
    await create(authority, "services", **SERVICE)
    other = await create(authority, "services", name="t", host="h")
    for mutation in (Create("services", SERVICE), Patch("services", "t", {"name": "s"})):
        with pytest.raises(EntityError) as caught:
            await authority.write([mutation], origin="")
        assert caught.value.code == 5
        assert caught.value.message == "UNIQUE violation detected on '{name=\"s\"}'"
        assert caught.value.fields == {"name": "s"}
    await create(authority, "routes", name="s", paths=["/"])  # each kind has names of its own
    assert (await authority.get("services", "t")) == other


async def test_a_taken_id_is_a_primary_key_violation(authority: Authority) -> None:
    entity_id = (await create(authority, "services", host="h"))["id"]
    with pytest.raises(EntityError) as caught:
        await create(authority, "services", host="h", id=entity_id)
    assert caught.value.code == 3
    assert caught.value.message == f"primary key violation on key '{{id=\"{entity_id}\"}}'"


async def test_a_reference_must_exist(authority: Authority) -> None:
    missing = str(uuid.uuid4())
    with pytest.raises(EntityError) as caught:
        await create(authority, "routes", paths=["/"], service={"id": missing})
    assert caught.value.code == 4
    assert caught.value.message == (
        f"the foreign key '{{id=\"{missing}\"}}' does not reference an existing 'services' entity."
    )
    assert caught.value.fields == {"service": {"id": missing}}
    with pytest.raises(EntityError) as caught:
        await create(authority, "routes", paths=["/"], service={"name": "none"})
    assert caught.value.code == 13
    assert caught.value.message == (
        "foreign key unresolved (service.name: the foreign key cannot be resolved with "
        "'{name=\"none\"}' for an existing 'services' entity)"
    )


async def test_what_is_referred_to_can_not_be_deleted(authority: Authority) -> None:
    service = await create(authority, "services", **SERVICE)
    await create(authority, "routes", name="r", paths=["/"], service={"id": service["id"]})
    with pytest.raises(EntityError) as caught:
        await authority.write([Delete("services", "s")], origin="")
    assert caught.value.code == 4
    assert caught.value.message == "an existing 'routes' entity references this 'services' entity"
    assert caught.value.fields == {"@referenced_by": "routes"}
    await authority.write([Patch("routes", "r", {"service": None})], origin="")
    await authority.write([Delete("services", "s")], origin="")
    assert await check_history(authority) == 4


async def test_a_repeated_write_id_answers_the_first_outcome(authority: Authority) -> None:
    mutations: list[Mutation] = [
        Create("services", {"host": "a"}),
        Create("services", {"host": "b"}),
        Put("services", "c", {"host": "c"}),
    ]
    first = await authority.write(mutations, origin="", write_id=A_WRITE)
    await create(authority, "services", **SERVICE)
    again = await authority.write(mutations, origin="", write_id=A_WRITE)
    assert again == first
    assert [item["host"] for item in again.entities if item] == ["a", "b", "c"]
    assert (await authority.head()).version.revision == 2


async def test_a_repeated_rename_answers_the_renamed_entity(authority: Authority) -> None:
    await create(authority, "services", **SERVICE)
    rename = [Patch("services", "s", {"name": "t"})]
    first = await authority.write(rename, origin="", write_id=A_WRITE)
    assert await authority.write(rename, origin="", write_id=A_WRITE) == first
    assert first.entities[0] is not None


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "'; DROP TABLE entity; --", ""])
async def test_keys_that_no_entity_can_have_find_nothing(authority: Authority, text: str) -> None:
    await create(authority, "services", **SERVICE)
    assert await authority.get("services", text) is None
    assert (await authority.list(Query("services", tags_all=(text,)))).entities == ()
    assert (await authority.list(Query("services", references={"x": text}))).entities == ()
    with pytest.raises(EntityError) as caught:
        await authority.write([Patch("services", text, {})], origin="")
    assert caught.value.code == 6
    assert await check_history(authority) == 1


async def test_an_entity_too_big_is_refused_with_its_size(authority: Authority) -> None:
    values = ["v" * 60_000] * (ENTITY_BYTES_MAX // 60_000 + 1)
    with pytest.raises(EntityError, match=f"at most {ENTITY_BYTES_MAX} bytes are allowed"):
        await create(authority, "routes", headers={"x": values})


async def test_lists_are_paged_by_id(authority: Authority) -> None:
    mutations = [Create("services", {"host": f"h{number}"}) for number in range(5)]
    committed = await authority.write(mutations, origin="")
    ids = sorted(item["id"] for item in committed.entities if item)
    seen: list[str] = []
    after = None
    while True:
        page = await authority.list(Query("services", size=2, after_id=after))
        seen += [item["id"] for item in page.entities]
        if page.next_id is None:
            break
        after = page.next_id
    assert seen == ids
    exactly = await authority.list(Query("services", size=5))
    assert exactly.next_id is None


@pytest.mark.parametrize("size", [0, 1001])
async def test_a_page_size_out_of_range_is_refused(authority: Authority, size: int) -> None:
    with pytest.raises(EntityError) as caught:
        await authority.list(Query("services", size=size))
    assert (caught.value.code, caught.value.message) == (
        9,
        "size must be an integer between 1 and 1000",
    )


async def test_lists_are_filtered_by_reference_and_tags(authority: Authority) -> None:
    service = await create(authority, "services", **SERVICE)
    reference = {"id": service["id"]}
    await create(authority, "routes", name="ab", paths=["/"], tags=["a", "b"], service=reference)
    await create(authority, "routes", name="b", paths=["/"], tags=["b"], service=reference)
    await create(authority, "routes", name="c", paths=["/"], tags=["c"])
    await authority.write([Patch("routes", "c", {"tags": ["a"]})], origin="")

    async def names(**filters: object) -> set[str]:
        page = await authority.list(Query("routes", **filters))  # type: ignore[arg-type]
        return {item["name"] for item in page.entities}

    assert await names(references={"service": service["id"]}) == {"ab", "b"}
    assert await names(tags_all=("a", "b")) == {"ab"}
    assert await names(tags_any=("a", "b")) == {"ab", "b", "c"}
    assert await names(tags_any=("c",)) == set()
    assert await names(tags_all=("a",), references={"service": service["id"]}) == {"ab"}


async def test_the_state_is_read_whole_in_pieces(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "STATE_ROWS_MAX", 2)
    for count in range(1, 6):
        await create(authority, "services", host="h")
        entities = (await authority.state()).entities
        assert len(entities) == count
        assert list(entities) == sorted(entities)
    assert await check_history(authority) == 5


async def test_a_generation_may_be_of_any_size(authority: Authority) -> None:
    assert await authority.next_generation("n", floor=2**40) == 2**40 + 1


async def test_the_log_is_read_from_any_point_of_this_history(authority: Authority) -> None:
    heads = [EMPTY, await authority.head()]
    for number in range(3):
        await create(authority, "services", host=f"h{number}")
        heads.append(await authority.head())
    for head in heads:
        following = await authority.log(head)
        assert following is not None
        assert [item.version.revision for item in following] == list(
            range(head.version.revision + 1, 4)
        )
    assert len(await authority.log(EMPTY, limit=2) or ()) == 2


async def test_the_log_knows_no_point_of_another_history(authority: Authority) -> None:
    await create(authority, "services", host="h")
    head = await authority.head()
    other_tag = head.version._replace(tag=head.version.tag ^ 1)
    assert await authority.log(Head(head.version, bytes(32))) is None
    assert await authority.log(Head(other_tag, head.digest)) is None
    assert await authority.log(Head(Version(1, other_tag.tag, 0), bytes(32))) is None
    assert await authority.log(Head(GENESIS, b"x" * 32)) is None
    assert await authority.log(Head(Version(1, head.version.tag, 99), head.digest)) is None


async def test_the_log_is_read_in_pieces_that_fit_memory(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await create(authority, "services", host=f"h{number}")
    monkeypatch.setattr(reads, "LOG_BYTES_MAX", 1)
    assert await check_history(authority) == 3
    assert len(await authority.log(EMPTY) or ()) == 1


async def test_a_trimmed_log_says_that_it_can_not_tell(
    engine: Engine, authority: Authority
) -> None:
    heads = []
    for number in range(3):
        await create(authority, "services", host=f"h{number}")
        heads.append(await authority.head())
    await engine.sql("DELETE FROM log WHERE revision <= 2")
    assert await authority.log(EMPTY) is None
    assert await authority.log(heads[0]) is None
    assert await authority.log(heads[2]) == ()
