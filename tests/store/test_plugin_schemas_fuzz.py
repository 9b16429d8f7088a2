"""Any JSON as a plugin's configuration: it is refused in the store's words, or it is stable."""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.canonical import encode_entity
from store.errors import EntityError
from store.schema.field import UNSET, Field
from store.schema.plugins import plugin_names
from store.schema.values import errors_of
from tests.store.plugin_instances import PLUGINS, known

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(
        ("{vault://env/x}", "a:b", "http://h/", "http://u@h", "://", "*", "(", "10.0.0.0/8", "::1")
    )
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


WORDS = ("a", "a:b", "GET", "http://h/p", "host.test", "10.0.0.1", "/p", "a@b.c", "200-299", "iss")


def valid_mostly(field: Field) -> st.SearchStrategy[Any]:
    """Values of the field's type, and anything else now and then."""
    fitting = fitting_values(field)
    if field.default is not UNSET:
        fitting |= st.just(field.default)
    return st.integers(0, 19).flatmap(lambda dice: JSON if dice == 0 else fitting)


def fitting_values(field: Field) -> st.SearchStrategy[Any]:
    if field.one_of:
        return st.sampled_from(field.one_of)
    match field.type:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(1, 700)
        case "number":
            return st.integers(1, 700) | st.floats(0, 1)
        case "array" | "set":
            assert field.elements
            return st.lists(valid_mostly(field.elements), max_size=3)
        case "map":
            assert field.keys
            assert field.values
            keys = st.sampled_from(("X-A", "foo", "host", "Authorization"))
            return st.dictionaries(keys, valid_mostly(field.values), max_size=2)
        case "record":
            return records(field)
    return st.sampled_from([word for word in WORDS if errors_of(field, word) is None] or WORDS)


def records(field: Field) -> st.SearchStrategy[dict[str, Any]]:
    names: Mapping[str, Field] = {
        **(field.fields or {}),
        **{name: shorthand.field for name, shorthand in (field.shorthands or {}).items()},
    }
    some = {name: valid_mostly(item) for name, item in names.items()}
    required = {
        name: some.pop(name)
        for name, item in names.items()
        if item.required and item.default is UNSET
    }
    return st.fixed_dictionaries(required, optional=some)


@cache
def configurations(name: str) -> st.SearchStrategy[Any]:
    return records(known(name).config) | JSON


def refused(error: EntityError) -> None:
    """It is said in the store's words, and any client can read it."""
    assert re.match(r"schema violation \(|[0-9]+ schema violations \(", error.message)
    json.dumps(error.fields, allow_nan=False)
    assert error.fields


@pytest.mark.parametrize("name", plugin_names())
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_configuration_is_refused_or_stable(name: str, data: st.DataObject) -> None:
    try:
        entity = PLUGINS.validate_new({"name": name, "config": data.draw(configurations(name))}, 1)
    except EntityError as error:
        refused(error)
        return
    encode_entity(entity)
    assert PLUGINS.validate_new(entity, 1.0) == entity
    assert PLUGINS.validate_new(PLUGINS.show(entity, 1.0), 1.0) == entity
    assert PLUGINS.validate_patch(entity, {}, 1.0) == entity
    try:
        changed = PLUGINS.validate_patch(entity, {"config": data.draw(configurations(name))}, 1.0)
    except EntityError as error:
        refused(error)
    else:
        assert PLUGINS.validate_new(changed, 1.0) == changed


def test_what_is_nested_beyond_reason_is_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EntityError):
        PLUGINS.validate_new({"name": "jwt", "config": {"cookie_names": [deep, deep]}}, 1.0)
