"""Declarative documents: what is read, what is refused, and that it comes back the same."""

import json
import uuid

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from store import limits
from store.declarative.document import MADE_AT, read_document
from store.declarative.export import export
from store.declarative.text import TextRefused, parse
from store.errors import EntityError

V3 = "_format_version: '3.0'\n"

DOCUMENT = """
_format_version: "3.0"
_comment: by hand
services:
- name: one
  url: http://a.test:8080/base
  routes:
  - name: first
    paths: [/one]
  - paths: [/unnamed]
- name: two
  host: b.test
routes:
- name: second
  service: two
  paths: ["~/regex/[0-9]+"]
- name: third
  service: {name: one}
  hosts: [c.test]
"""


def refused(text: str) -> EntityError:
    with pytest.raises(EntityError) as error:
        read_document(text)
    assert error.value.code == 14
    assert error.value.name == "invalid declarative configuration"
    return error.value


def by_name(text: str) -> dict[str, dict[str, object]]:
    return {str(entity["name"]): entity for _, entity in read_document(text).entities}


# Text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected an object"),
        ("just words", "expected an object"),
        ("[1, 2]", "expected an object"),
        ("a: b: c", "line 1, column 5"),
        ("a: 1\na: 2", "the key 'a' is given twice (line 2, column 1)"),
        ('{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ("1: a", "a key that is no text (line 1, column 1); put it in quotes"),
        ("a: &a [*a]", "a value that contains itself"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("a: " + "[" * 200 + "]" * 200, "nested deeper than 64 levels"),
        ('{"a":' + "[" * 200 + "]" * 200 + "}", "nested deeper than 64 levels"),
        ('{"a":' + "[" * 200_000 + "]" * 200_000 + "}", "nested deeper than 64 levels"),
    ],
)
def test_a_text_that_is_no_document_is_refused(text: str, why: str) -> None:
    with pytest.raises(TextRefused) as error:
        parse(text)
    assert why in str(error.value)


def test_aliases_of_aliases_are_counted_as_often_as_they_are_used() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(TextRefused, match="values, aliases included"):
        parse("\n".join(lines))


def test_a_text_larger_than_may_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.declarative.text.DOCUMENT_BYTES_MAX", 10)
    with pytest.raises(TextRefused, match="12 bytes; 10 are allowed"):
        parse("a: 'bbbbbbb'")


def test_merges_and_dates_are_taken_as_texts_mean_them() -> None:
    values = parse("base: &base {x: 1}\nhere: {<<: *base, y: 2020-01-02}")
    assert values["here"] == {"x": 1, "y": "2020-01-02"}


def test_flow_style_yaml_is_no_broken_json() -> None:
    assert parse("{a: b}") == {"a": "b"}


@given(st.text(max_size=200))
def test_whatever_the_text_it_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except TextRefused:
        pass


# Entities


def test_entities_nest_and_refer_by_name() -> None:
    found = by_name(DOCUMENT)
    one, two = found["one"], found["two"]
    assert (one["host"], one["port"], one["path"]) == ("a.test", 8080, "/base")
    assert found["first"]["service"] == {"id": one["id"]}
    assert found["second"]["service"] == {"id": two["id"]}
    assert found["third"]["service"] == {"id": one["id"]}
    assert one["retries"] == 5
    assert one["created_at"] == one["updated_at"] == MADE_AT


def test_ids_are_those_that_kong_makes() -> None:
    namespace = uuid.uuid5(uuid.UUID("fd02801f-0957-4a15-a55a-c8d9606f30b5"), "services")
    assert by_name(DOCUMENT)["one"]["id"] == str(uuid.uuid5(namespace, "one"))


def test_one_document_always_makes_the_same_bytes() -> None:
    assert read_document(DOCUMENT).changes() == read_document(DOCUMENT).changes()


def test_entities_without_a_name_differ_by_what_they_say() -> None:
    text = "_format_version: '3.0'\nroutes: [{paths: [/a]}, {paths: [/b]}, {paths: [/a]}]"
    ids = {entity["id"] for _, entity in read_document(text).entities}
    assert len(ids) == 3


def test_ids_that_are_given_are_kept() -> None:
    given_id = "7FCA84D6-7D37-4A74-A7B0-93E576089A41"
    text = f"_format_version: '3.0'\nservices: [{{id: {given_id}, name: s, host: h}}]"
    assert by_name(text)["s"]["id"] == given_id.lower()


def test_parents_come_before_their_children() -> None:
    text = V3 + "routes: [{paths: [/a], service: s}]\nservices: [{name: s, host: h}]"
    assert [kind for kind, _ in read_document(text).entities] == ["services", "routes"]


@pytest.mark.parametrize("version", ["1.1", "2.1"])
def test_before_3_0_a_path_that_looks_like_a_regex_is_one(version: str) -> None:
    text = f"_format_version: '{version}'\nroutes: [{{name: r, paths: ['/a/(b|c)', /plain, ~/x]}}]"
    assert by_name(text)["r"]["paths"] == ["~/a/(b|c)", "/plain", "~/x"]


def test_json_is_a_document_too() -> None:
    values = {"_format_version": "3.0", "services": [{"name": "j", "host": "h"}]}
    assert by_name(json.dumps(values))["j"]["host"] == "h"


# Errors


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("a: b", {"_format_version": "required field missing", "a": "unknown field"}),
        ("_format_version: 3.0", {"_format_version": "expected one of: 1.1, 2.1, 3.0"}),
        (V3 + "_transform: maybe", {"_transform": "expected a boolean"}),
        (V3 + "services: {}", {"services": "expected an array"}),
        (V3 + "services: [x]", {"services": ["expected a record"]}),
        (
            V3 + "services: [{name: a, host: h}, {name: b}]",
            {"services": [None, {"host": "required field missing"}]},
        ),
        (
            V3 + "services: [{name: a, host: h, routes: [{name: r, paths: [/], methods: x}]}]",
            {"services": [{"routes": [{"methods": "expected a set"}]}]},
        ),
        (
            V3 + "routes: [{paths: [/x], service: nobody}]",
            {
                "routes": [
                    {"service": "invalid reference 'service: nobody' (no such entry in 'services')"}
                ]
            },
        ),
        (
            V3 + "services: [{name: a, host: h}, {name: a, host: i}]",
            {
                "services": [
                    None,
                    "uniqueness violation: 'services' entity with name set to 'a' already declared",
                ]
            },
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(text: str, fields: object) -> None:
    assert refused(text).fields == fields


def test_the_message_shows_the_errors_as_kongs_does() -> None:
    error = refused("bobby tables")
    text = "failed parsing declarative configuration: expected an object"
    assert error.fields == {"error": text}
    assert error.message == f'declarative config is invalid: {{error="{text}"}}'


def test_errors_beyond_the_bound_are_counted_not_listed() -> None:
    entries = ", ".join(["{}"] * (limits.DOCUMENT_ERRORS_MAX + 5))
    error = refused(f"_format_version: '3.0'\nservices: [{entries}]")
    assert error.fields["@entity"] == [f"more than {limits.DOCUMENT_ERRORS_MAX} errors"]
    assert len(error.fields["services"]) == limits.DOCUMENT_ERRORS_MAX


# Export


def test_what_is_exported_is_read_back_as_it_was() -> None:
    document = read_document(DOCUMENT)
    by_kind: dict[str, list[dict[str, object]]] = {}
    for kind, entity in document.entities:
        by_kind.setdefault(kind, []).append(entity)
    text = "".join(export(by_kind))
    assert yaml.safe_load(text)["_transform"] is False
    assert read_document(text).changes() == document.changes()
