"""What must hold of every authority after whatever happened to it."""

from collections.abc import Callable

from store.authority import Authority
from store.canonical import decode_entity, encode_entity
from store.changeset import Changeset, chain, decode_body
from store.history import EPOCHS
from store.replica import Replica
from store.schema import Schema
from store.schema import schema as schema_of
from store.version import EMPTY, GENESIS_DIGEST, Head


async def check_history(authority: Authority, schemas: Callable[[str], Schema] = schema_of) -> int:
    """Replaying the log over nothing gives the state; answers how many revisions there are."""
    state = await authority.state()
    changesets: list[Changeset] = []
    point = EMPTY
    while following := await authority.log(point, limit=100):
        changesets.extend(following)
        point = Head(following[-1].version, following[-1].digest)
    assert point == state.head or not changesets
    assert [item.version.revision for item in changesets] == list(range(1, len(changesets) + 1))

    replica = Replica("test")
    digest = GENESIS_DIGEST
    write_ids = set()
    for item in changesets:
        assert item.predecessor == digest
        assert item.digest == chain(digest, item.body)
        digest = item.digest
        write_ids.add(decode_body(item.body).write_id)
        assert replica.offer(*item) == "applied"
    assert len(write_ids) == len(changesets)
    assert tuple(replica.changes()) == state.entities
    versions = [item.version for item in changesets]
    assert versions == sorted(versions)
    texts = {
        (change.kind, change.id): change.entity or ""
        for change in state.entities
        if change.kind != EPOCHS
    }
    check_references(texts, schemas)
    return len(changesets)


def check_references(texts: dict[tuple[str, str], str], schemas: Callable[[str], Schema]) -> None:
    """No entity refers to one that isn't there, and no two have the same unique value."""
    claimed = set()
    for (kind, entity_id), text in texts.items():
        entity = decode_entity(text)
        assert entity["id"] == entity_id
        assert encode_entity(entity) == text
        for field, target in schemas(kind).references.items():
            assert entity[field] is None or (target, entity[field]["id"]) in texts
        for field in schemas(kind).unique:
            claim = (kind, field, entity[field])
            assert entity[field] is None or claim not in claimed
            claimed.add(claim)
