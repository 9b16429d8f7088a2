"""The write rule's plan, run by the synchronous engine: what the entities of today don't show."""

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from store.authority import Committed, Create, Delete, Mutation, Patch, Put
from store.changeset import decode_body
from store.errors import EntityError
from store.limits import CASCADE_DEPTH_MAX, MUTATIONS_MAX
from store.migrations.sqlite_runner import SqliteMigrations
from store.plan import POSTGRES, SQLITE, Batch, Dialect, Plan, Result, Statement
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.typedefs import UTF8_NAME, UUID
from store.sqlite_connection import change, connect, execute
from store.write import Raced, WriteRequest, write, write_all

Write = Callable[..., Committed]

PARENTS = Schema("parents", "parent", "name", {"id": UUID, "name": UTF8_NAME})
CHILDREN = Schema(
    "children",
    "child",
    None,
    {
        "id": UUID,
        "parent": Field("foreign", reference="parents", on_delete="cascade"),
        "sibling": Field("foreign", reference="children", on_delete="cascade"),
        "guard": Field("foreign", reference="parents"),
    },
)
SCHEMAS = {"parents": PARENTS, "children": CHILDREN}
IDS = [str(uuid.UUID(int=number, version=4)) for number in range(9)]


@pytest.fixture
async def connection(tmp_path: Path) -> sqlite3.Connection:
    path = tmp_path / "authority.db"
    await SqliteMigrations(path).bootstrap()
    return connect(path)


@pytest.fixture
def commit(connection: sqlite3.Connection) -> Iterator[Write]:
    write_ids = iter(range(1000))

    def commit(*mutations: Mutation) -> Committed:
        write_id = next(write_ids).to_bytes(16, "big")
        request = WriteRequest(mutations, write_id, "", 1.0, schemas=SCHEMAS.__getitem__)
        return change(connection, lambda: write(request, SQLITE))

    yield commit
    connection.close()


def changes_of(committed: Committed) -> list[tuple[str, str, bool]]:
    assert committed.changeset is not None
    changes = decode_body(committed.changeset.body).changes
    return [(change.kind, change.id, change.entity is not None) for change in changes]


def test_a_cascade_names_every_row_that_went(commit: Write) -> None:
    commit(
        Create("parents", {"id": IDS[0], "name": "p"}),
        Create("children", {"id": IDS[1], "parent": {"name": "p"}}),
        Create("children", {"id": IDS[2], "sibling": {"id": IDS[1]}}),
        Create("children", {"id": IDS[3]}),
    )
    gone = sorted(changes_of(commit(Delete("parents", "p"))))
    assert gone == [
        ("children", IDS[1], False),
        ("children", IDS[2], False),
        ("parents", IDS[0], False),
    ]


def test_a_cascade_that_meets_a_restriction_deletes_nothing(commit: Write) -> None:
    commit(
        Create("parents", {"id": IDS[0], "name": "p"}),
        Create("children", {"id": IDS[1], "parent": {"id": IDS[0]}}),
        Create("children", {"id": IDS[2], "guard": {"id": IDS[0]}}),
    )
    with pytest.raises(EntityError, match="an existing 'children' entity references"):
        commit(Delete("parents", "p"))
    assert changes_of(commit(Delete("children", IDS[2]), Delete("parents", "p")))


def test_a_reference_to_itself_does_not_restrict(commit: Write) -> None:
    commit(
        Create("children", {"id": IDS[1]}),
        Create("children", {"id": IDS[2], "sibling": {"id": IDS[1]}}),
        Create("children", {"id": IDS[3]}),
    )
    commit(Patch("children", IDS[3], {"sibling": {"id": IDS[3]}}))
    assert changes_of(commit(Delete("children", IDS[3]))) == [("children", IDS[3], False)]


def test_references_in_a_circle_are_deleted_as_one(commit: Write) -> None:
    commit(
        Create("children", {"id": IDS[1]}),
        Create("children", {"id": IDS[2], "sibling": {"id": IDS[1]}}),
        Patch("children", IDS[1], {"sibling": {"id": IDS[2]}}),
    )
    gone = sorted(changes_of(commit(Delete("children", IDS[1]))))
    assert gone == [("children", IDS[1], False), ("children", IDS[2], False)]


def test_a_chain_of_references_too_deep_is_refused(commit: Write) -> None:
    ids = [str(uuid.UUID(int=number, version=4)) for number in range(CASCADE_DEPTH_MAX + 2)]
    commit(Create("children", {"id": ids[0]}))
    for before, entity_id in pairwise(ids):
        commit(Create("children", {"id": entity_id, "sibling": {"id": before}}))
    with pytest.raises(EntityError, match="an existing 'children' entity references"):
        commit(Delete("children", ids[0]))
    assert len(changes_of(commit(Delete("children", ids[1])))) == len(ids) - 1


def test_a_reference_of_a_kind_that_is_not_known_restricts(
    commit: Write, connection: sqlite3.Connection
) -> None:
    commit(Create("parents", {"id": IDS[0], "name": "p"}))
    connection.execute("INSERT INTO entity VALUES ('newer', ?, '{}')", (IDS[1],))
    connection.execute(
        "INSERT INTO entity_reference VALUES ('newer', ?, 'parent', 'parents', ?)",
        (IDS[1], IDS[0]),
    )
    with pytest.raises(EntityError, match="an existing 'newer' entity references"):
        commit(Delete("parents", "p"))


def test_a_name_moves_from_one_entity_to_another_in_one_write(commit: Write) -> None:
    commit(Create("parents", {"id": IDS[0], "name": "p"}))
    moved = commit(
        Patch("parents", "p", {"name": "q"}),
        Create("parents", {"id": IDS[1], "name": "p"}),
        Patch("parents", "p", {}),
    )
    assert moved.entities[2] == {"id": IDS[1], "name": "p"}


def test_an_entity_that_ends_as_it_was_is_no_change(commit: Write) -> None:
    commit(Create("parents", {"id": IDS[0], "name": "p"}))
    same = commit(Patch("parents", "p", {"name": "q"}), Put("parents", IDS[0], {"name": "p"}))
    assert same.changeset is None
    assert same.head.version.revision == 1


def test_a_name_for_a_kind_without_names_is_no_primary_key(commit: Write) -> None:
    with pytest.raises(EntityError) as caught:
        commit(Put("children", "c", {}))
    assert (caught.value.code, caught.value.message) == (1, "invalid primary key: '{id=\"c\"}'")


def test_a_write_too_long_is_refused_before_it_begins() -> None:
    mutations = (Delete("parents", "p"),) * (MUTATIONS_MAX + 1)
    with pytest.raises(EntityError, match=f"at most {MUTATIONS_MAX} are allowed"):
        next(write(WriteRequest(mutations, b"w" * 16, "", 1.0), SQLITE))


def statements_of(
    connection: sqlite3.Connection, plan: Plan[Result], dialect: Dialect
) -> list[Statement]:
    """The statements of a plan that is fed from SQLite, whatever its dialect."""
    yielded: list[Statement] = []
    step: Statement | Batch = next(plan)
    while True:
        values = [step.parameters] if isinstance(step, Statement) else step.parameters
        yielded.extend(Statement(step.sql, item) for item in values)
        sql = step.sql
        for clause in (dialect.for_update, dialect.for_key_share):
            sql = sql.replace(clause, "") if clause else sql
        sql = SQLITE.append_log if sql == dialect.append_log else sql
        try:
            step = plan.send(execute(connection, Batch(sql, values)))
        except StopIteration:
            return yielded


def test_rows_are_locked_in_order_and_the_head_comes_last(
    commit: Write, connection: sqlite3.Connection
) -> None:
    commit(
        *(Create("parents", {"id": entity_id, "name": entity_id[-4:]}) for entity_id in IDS[:3]),
        Create("children", {"id": IDS[3]}),
    )
    mutations = (
        Patch("parents", IDS[2], {"name": "c"}),
        Patch("children", IDS[3], {"guard": {"id": IDS[1]}}),
        Patch("parents", IDS[0][-4:], {"name": "a"}),
    )
    dialect = Dialect(
        "other",
        " FOR UPDATE",
        " FOR KEY SHARE",
        "APPEND",
        appends_arrays=False,
        append_one="",
        server="",
    )
    request = WriteRequest(mutations, b"w" * 16, "", 1.0, schemas=SCHEMAS.__getitem__)
    connection.execute("BEGIN IMMEDIATE")
    yielded = statements_of(connection, write(request, dialect), dialect)
    locked = [item.parameters for item in yielded if item.sql.endswith(" FOR UPDATE")]
    assert locked == sorted(locked)
    assert len(locked) == 3
    shared = [item.parameters for item in yielded if item.sql.endswith(" FOR KEY SHARE")]
    assert shared == [("parents", IDS[1])]
    assert [index for index, item in enumerate(yielded) if item.sql == "APPEND"] == [
        len(yielded) - 1
    ]


def test_what_one_writer_made_and_another_one_undid_must_have_been_free() -> None:
    """Their changesets show it: it can't be another node's at the same time."""
    requests = [
        WriteRequest((mutation,), write_id, "", 1.0, is_new=True, schemas=SCHEMAS.__getitem__)
        for write_id, mutation in (
            (b"a" * 16, Create("parents", {"id": IDS[0], "name": "p"})),
            (b"b" * 16, Delete("parents", IDS[0])),
        )
    ]
    plan = write_all(requests, POSTGRES)
    statement = next(plan)
    while not statement.sql.startswith("INSERT INTO entity "):
        statement = plan.send(())  # nothing is found
    with pytest.raises(Raced) as caught:
        plan.send(())  # by now another node has made it
    assert caught.value.maker == 0


def test_a_child_that_came_after_it_was_missed_goes_with_its_parent() -> None:
    """It was asked for before the parent was locked; then another node made it."""
    mutations = (Delete("children", IDS[1]), Delete("parents", IDS[0]))
    request = WriteRequest(mutations, b"w" * 16, "", 1.0, is_new=True, schemas=SCHEMAS.__getitem__)
    plan = write_all([request], POSTGRES)
    statement = next(plan)
    texts = {
        ("parents", IDS[0]): f'{{"id":"{IDS[0]}","name":"p"}}',
        ("children", IDS[1]): f'{{"id":"{IDS[1]}","parent":{{"id":"{IDS[0]}"}}}}',
    }
    missed = False
    while not statement.sql.startswith("DELETE FROM entity "):
        rows: list[tuple[object, ...]] = []
        if "FOR UPDATE" in statement.sql:
            for key in statement.parameters:
                if key == ("children", IDS[1]) and not missed:
                    missed = True
                else:
                    rows.append((*key, texts[key]))
        elif "field, target_kind" in statement.sql and ("parents", IDS[0]) in statement.parameters:
            rows.append(("children", IDS[1], "parent", "parents", IDS[0]))
        statement = plan.send(rows)
    assert list(statement.parameters) == [("children", IDS[1]), ("parents", IDS[0])]
