"""A document's errors as one list, an item an entity."""

import json
from typing import Any

import pytest

from store.declarative.document import read_document
from store.declarative.flattened import flatten
from store.errors import EntityError

ID = "11111111-1111-4111-8111-111111111111"


def flattened(values: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    text = json.dumps({"_format_version": "3.0", **values})
    with pytest.raises(EntityError) as error:
        read_document(text)
    return flatten(json.loads(text), error.value.fields)


def test_each_entity_with_errors_is_an_item_with_all_of_them() -> None:
    service = {"name": "one", "id": ID, "tags": ["a"], "port": "x"}
    flat, rest = flattened({"services": [{"name": "well", "host": "h"}, service]})
    assert rest == {}
    assert flat == [
        {
            "entity_name": "one",
            "entity_id": ID,
            "entity_tags": ["a"],
            "entity_type": "service",
            "entity": service,
            "errors": [
                {"type": "field", "field": "host", "message": "required field missing"},
                {"type": "field", "field": "port", "message": "expected an integer"},
            ],
        }
    ]


def test_what_is_nested_is_an_item_of_its_own_that_refers_to_its_parent() -> None:
    route = {"name": "r", "methods": ["get"]}
    service = {"id": ID, "name": "s", "host": "h", "port": -1, "routes": [{"paths": ["/"]}, route]}
    flat, _ = flattened({"services": [service]})
    assert [(item["entity_type"], item["entity"]) for item in flat] == [
        ("route", {"service": {"id": ID}, **route}),
        ("service", {"id": ID, "name": "s", "host": "h", "port": -1}),
    ]
    assert flat[0]["errors"] == [
        {"type": "field", "field": "methods.1", "message": "invalid value: get"}
    ]


def test_fields_within_records_have_paths_and_whole_entities_have_none() -> None:
    plugin = {"name": "http-log", "config": {"queue": {"max_batch_size": 0}}}
    flat, _ = flattened({"plugins": [plugin], "routes": [{"name": "r"}]})
    fields = {error.get("field") for item in flat for error in item["errors"]}
    assert {"config.http_endpoint", "config.queue.max_batch_size"} <= fields
    (route,) = [item for item in flat if item["entity_type"] == "route"]
    assert route["errors"][0]["type"] == "entity"
    assert "must set one of" in route["errors"][0]["message"]


def test_a_name_that_is_given_twice_is_an_error_of_the_entity() -> None:
    twice = {"name": "one", "host": "h"}
    flat, _ = flattened({"services": [twice, twice]})
    (item,) = flat
    assert item["errors"][0]["type"] == "entity"
    assert "uniqueness violation" in item["errors"][0]["message"]


def test_what_is_no_entitys_stays() -> None:
    flat, rest = flattened({"nonsense": 1, "services": ["x", {"name": "a"}], "routes": {}})
    assert [item["entity_name"] for item in flat] == ["a"]
    assert rest == {
        "nonsense": "unknown field",
        "routes": "expected an array",
        "services": ["expected a record", None],
    }
    oddly = flatten({"services": [{"snis": ["a"]}]}, {"services": [{"snis": [{"name": "odd"}]}]})
    assert oddly[0][0]["errors"][0]["field"] == "snis.1.name"


def test_invalid_names_ids_and_tags_are_left_out_of_the_head() -> None:
    flat, _ = flattened({"services": [{"name": 1, "id": "x", "tags": [1]}]})
    assert flat[0].keys() == {"entity_type", "entity", "errors"}
