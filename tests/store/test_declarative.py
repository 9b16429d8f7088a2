"""Declarative documents: what is read, what is refused, and that it comes back the same."""

import json
import uuid

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from store import limits
from store.declarative.document import MADE_AT, read_document
from store.declarative.export import export, export_changes
from store.declarative.text import TextRefused, parse
from store.errors import EntityError
from tests.store.pems import pair

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
        ("a: !!python/object:os.system x", "a value that JSON doesn't have, tag:yaml.org,2002:py"),
        ("a: !!binary aGk=", "a value that JSON doesn't have, tag:yaml.org,2002:binary (line 1"),
        ("a: !!set {b}", "a value that JSON doesn't have, tag:yaml.org,2002:set"),
        ("a: !!timestamp x", "a value that JSON doesn't have, tag:yaml.org,2002:timestamp"),
        ('a: !!int ""', "'' is no integer (line 1, column 4)"),
        ('a: !!float ""', "'' is no number (line 1, column 4)"),
        ("a: !!bool x", "'x' is no boolean (line 1, column 4)"),
        ("a: .inf", "a number that JSON doesn't have (line 1, column 4)"),
        ("a: 9223372036854775808", "a number beyond 9223372036854775807 (line 1, column 4)"),
        ('{"a": 1e999}', "a number that JSON doesn't have"),
        ('{"a": NaN}', "NaN, a number that JSON doesn't have"),
        ('{"a": -9223372036854775808}', "a number beyond 9223372036854775807"),
        ('{"a": ' + "1" * 5_000 + "}", "a number beyond 9223372036854775807"),
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


# Kinds with more to them

PEOPLE = """
_format_version: "3.0"
consumers:
- username: bob
  keyauth_credentials:
  - key: k
    expires_at: 2000000000
  basicauth_credentials:
  - username: u
    password: p
  acls:
  - group: g
  plugins:
  - name: request-termination
    config: {status_code: 418}
upstreams:
- name: u
  targets:
  - target: h.test
"""


def test_entities_nested_in_others_belong_to_them() -> None:
    found = dict(read_document(PEOPLE).entities)
    bob = {"id": found["consumers"]["id"]}
    for kind in ("keyauth_credentials", "basicauth_credentials", "acls", "plugins"):
        assert found[kind]["consumer"] == bob
    assert found["plugins"]["config"]["status_code"] == 418
    assert found["targets"]["target"] == "h.test:8000"
    assert found["keyauth_credentials"]["expires_at"] == 2_000_000_000


def test_what_was_transformed_is_not_transformed_again() -> None:
    document = read_document(PEOPLE)
    by_kind = {kind: [entity] for kind, entity in document.entities}
    assert by_kind["basicauth_credentials"][0]["password"] != "p"
    again = read_document("".join(export(by_kind)))
    assert again.changes() == document.changes()


def test_a_target_keeps_its_id_whatever_else_is_said_of_it() -> None:
    heavier = PEOPLE + "    weight: 7\n"
    ids = [dict(read_document(text).entities)["targets"]["id"] for text in (PEOPLE, heavier)]
    assert ids[0] == ids[1]


def test_server_names_of_a_certificate_may_be_texts_or_entities() -> None:
    made = pair("a.test")
    for names in (["a.test", "b.test"], [{"name": "a.test"}, {"name": "b.test"}]):
        certificate = {"cert": made.cert, "key": made.key, "snis": names}
        document = {"_format_version": "3.0", "certificates": [certificate]}
        kinds = [kind for kind, _ in read_document(json.dumps(document)).entities]
        assert kinds == ["certificates", "snis", "snis"]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            "consumers: [{username: b, keyauth_credentials: [{key: k, ttl: 5}]}]",
            {
                "consumers": [
                    {
                        "keyauth_credentials": [
                            {
                                "ttl": "a document has no time to count from; "
                                "set expires_at (Unix seconds) instead"
                            }
                        ]
                    }
                ]
            },
        ),
        (
            "plugins: [{name: cors}, {name: cors}]",
            {
                "plugins": [
                    None,
                    "uniqueness violation: 'plugins' entity with primary key set to "
                    "'81f7b439-c3fa-5e45-815f-8de9d9afec12' already declared",
                ]
            },
        ),
        (
            "consumers: [{username: a, custom_id: c}, {username: b, custom_id: c}]",
            {
                "consumers": {
                    "b": "uniqueness violation: 'consumers' entity with custom_id set to 'c' "
                    "already declared"
                }
            },
        ),
        (
            "services: [{name: a, url: https://h, client_certificate: {cert: '', key: ''}}]",
            {
                "services": [
                    {
                        "client_certificate": {
                            "cert": "length must be at least 1",
                            "key": "length must be at least 1",
                        }
                    }
                ]
            },
        ),
        (
            "nonsense: 1\nservices: [{name: a, host: h, protocol: nope}]\nroutes: [{service: b}]",
            {
                "nonsense": "unknown field",
                "services": [
                    {
                        "protocol": "expected one of: grpc, grpcs, http, https, tcp, tls, "
                        "tls_passthrough, udp"
                    }
                ],
                "routes": [
                    {
                        "@entity": [
                            "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when "
                            "'protocols' is 'https'"
                        ]
                    }
                ],
            },
        ),
    ],
)
def test_what_a_document_cannot_say_is_told_where_it_stands(
    text: str, wrong: dict[str, object]
) -> None:
    assert refused(V3 + text).fields == wrong


ROUTES = """
services: [{name: s, host: h}, {name: idle, host: h}]
routes:
- {name: plain, service: s, paths: [/], protocols: [http]}
- {name: sealed, service: s, paths: [/], protocols: [https]}
"""
BY_ROUTE = "must match the associated route's protocols"
BY_SERVICE = "must match the protocols of at least one route pointing to this Plugin's service"


@pytest.mark.parametrize(
    ("bound", "protocols", "wrong"),
    [
        ("route: plain", "[https]", BY_ROUTE),
        ("route: plain", "[http, https]", None),
        ("service: s", "[grpc]", BY_SERVICE),
        ("service: s", "[https]", None),
        ("service: idle", "[grpc]", None),
        ("enabled: true", "[grpc]", None),
    ],
)
def test_a_plugins_protocols_have_one_in_common_with_what_it_is_bound_to(
    bound: str, protocols: str, wrong: str | None
) -> None:
    plugin = f"plugins: [{{name: key-auth, {bound}, protocols: {protocols}}}]"
    text = f"{V3}{ROUTES}{plugin}"
    if wrong is None:
        assert len(read_document(text).entities) == 5
    else:
        assert refused(text).fields == {"plugins": [{"protocols": wrong}]}


def test_default_protocols_agree_with_everything_also_once_exported() -> None:
    routes = "routes: [{name: r, paths: [/], protocols: [grpc]}]\n"
    document = read_document(f"{V3}{routes}plugins: [{{name: bot-detection, route: r}}]")
    again = read_document("".join(export_changes(document.changes())))
    assert dict(again.entities) == dict(document.entities)


def test_a_plugin_keeps_its_id_whatever_its_settings() -> None:
    text = V3 + "services: [{name: s, host: h, plugins: [{name: key-auth, config: {realm: %s}}]}]"
    first, second = (read_document(text % realm).entities[1][1] for realm in ("a", "b"))
    assert first["config"]["realm"] != second["config"]["realm"]
    assert first["id"] == second["id"]


def test_a_whole_entity_may_stand_where_its_key_does() -> None:
    given = "id: 0855b320-0dd2-547d-891d-601e9b38647f, name: s, host: h"
    routes = f"routes: [{{paths: [/], service: {{{given}}}}}]"
    ((_, service), (_, route)) = read_document(f"{V3}services: [{{{given}}}]\n{routes}").entities
    assert route["service"] == {"id": service["id"]}
