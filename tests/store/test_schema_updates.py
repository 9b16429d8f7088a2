"""PATCH and PUT: what is merged, what is replaced, what can't be changed."""

import pytest

from store.authority import Entity
from store.errors import EntityError
from store.schema import schema
from store.schema.entity import Schema
from store.schema.field import Field
from store.schema.typedefs import UPDATED_AT, UUID

SERVICES = schema("services")
ID = "5fd1b1e0-0000-4000-8000-00000000000c"
OTHER_ID = "5fd1b1e0-0000-4000-8000-00000000000d"


@pytest.fixture
def current() -> Entity:
    fields = {"name": "s", "host": "h", "path": "/x", "retries": 1}
    return SERVICES.validate_new(fields, 10, lambda: ID)


def test_a_patch_changes_what_it_names_and_the_time(current: Entity) -> None:
    patched = SERVICES.validate_patch(current, {"path": None}, 20)
    assert patched == {**current, "path": None, "updated_at": 20}


def test_a_patch_by_url_changes_all_that_it_stands_for(current: Entity) -> None:
    patched = SERVICES.validate_patch(current, {"url": "https://other"}, 20)
    assert [patched[name] for name in ("protocol", "host", "port", "path")] == [
        "https",
        "other",
        443,
        None,
    ]


def test_a_patch_is_checked_against_the_whole_entity(current: Entity) -> None:
    with pytest.raises(EntityError, match="path: value must be null"):
        SERVICES.validate_patch(current, {"protocol": "tcp"}, 20)
    with pytest.raises(EntityError, match="host: required field missing"):
        SERVICES.validate_patch(current, {"host": None}, 20)
    with pytest.raises(EntityError, match="foo: unknown field"):
        SERVICES.validate_patch(current, {"foo": 1}, 20)


def test_a_patch_keeps_fields_that_only_a_newer_version_knows(current: Entity) -> None:
    newer = {**current, "balancer": {"kind": "p2c"}}
    assert SERVICES.validate_patch(newer, {"retries": 2}, 20)["balancer"] == {"kind": "p2c"}


def test_the_id_can_not_be_changed(current: Entity) -> None:
    changed = {"id": OTHER_ID, "host": "h"}
    with pytest.raises(EntityError) as patched:
        SERVICES.validate_patch(current, changed, 20)
    with pytest.raises(EntityError) as replaced:
        SERVICES.validate_put(current, "s", changed, 20)
    with pytest.raises(EntityError) as created:
        SERVICES.validate_put(None, ID, changed, 20)
    for caught in (patched, replaced, created):
        assert caught.value.fields == {"id": "immutable field cannot be updated"}
    assert SERVICES.validate_patch(current, {"id": ID.upper()}, 10) == current


def test_a_put_keeps_only_id_and_creation_time(current: Entity) -> None:
    put = SERVICES.validate_put(current, ID, {"host": "new"}, 20)
    assert put == {**SERVICES.validate_new({"host": "new", "id": ID}, 20), "created_at": 10}


def test_a_put_of_nothing_creates_under_its_key() -> None:
    by_id = SERVICES.validate_put(None, ID.upper(), {"host": "h"}, 20)
    by_name = SERVICES.validate_put(None, "s", {"host": "h", "name": "ignored"}, 20, lambda: ID)
    assert (by_id["id"], by_id["name"], by_id["created_at"]) == (ID, None, 20)
    assert (by_name["id"], by_name["name"]) == (ID, "s")


def test_records_are_merged_and_lists_are_replaced() -> None:
    kind = Schema(
        kind="things",
        entity_name="thing",
        endpoint_key=None,
        fields={
            "id": UUID,
            "updated_at": UPDATED_AT,
            "config": Field(
                "record",
                required=True,
                default={},
                fields={
                    "level": Field("integer", default=1),
                    "names": Field("array", elements=Field("string")),
                },
            ),
        },
    )
    made = kind.validate_new({"config": {"names": ["a"]}}, 1, lambda: ID)
    assert made["config"] == {"names": ["a"], "level": 1}
    patched = kind.validate_patch(made, {"config": {"names": ["b"]}}, 2)
    assert patched["config"] == {"names": ["b"], "level": 1}
