"""How values look inside messages: as Penlight prints Lua tables."""

from typing import Any

import pytest

from store.schema.violations import lua_text, schema_violation, unique_violation


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "x"}, '{name="x"}'),
        ({"b": 1, "a": True}, "{a=true,b=1}"),
        ({"a-b": None}, '{["a-b"]=null}'),
        ({"name": 'say "hi" \\'}, '{name="say \\"hi\\" \\\\"}'),
        (["a", ["b"]], '{"a",{"b"}}'),
        ({}, "{}"),
    ],
)
def test_tables_on_one_line(value: Any, expected: str) -> None:
    assert lua_text(value) == expected


def test_tables_inside_schema_violations_are_indented() -> None:
    assert (
        lua_text({"a": {"b": [1]}}, indent="  ") == "{\n  a = {\n    b = {\n      1\n    }\n  }\n}"
    )


def test_violations_are_sorted_and_counted() -> None:
    error = schema_violation({"b": {"d": "2", "c": "1"}, "a": "0", "@entity": ["first"]})
    assert error.message == "4 schema violations (first; a: 0; b.c: 1; b.d: 2)"
    assert (error.code, error.name) == (2, "schema violation")


def test_unique_violations_name_the_value() -> None:
    error = unique_violation({"name": "s"})
    assert error.message == "UNIQUE violation detected on '{name=\"s\"}'"
    assert (error.code, error.name) == (5, "unique constraint violation")


def test_unique_violations_of_several_fields_name_them_all() -> None:
    error = unique_violation({"name": "p", "route": None, "service": {"id": "1"}})
    assert error.message == (
        'UNIQUE violation detected on \'{name="p",route=null,service={id="1"}}\''
    )
