"""Services: inputs and the texts that Kong 3.9 answers."""

from typing import Any

import pytest

from store.errors import EntityError
from store.limits import STRING_CHARS_MAX, UNIQUE_CHARS_MAX
from store.schema import schema

SERVICES = schema("services")
UUID = "5fd1b1e0-0000-4000-8000-00000000000a"
CONDITIONAL = "failed conditional validation given value of field 'protocol'"


def test_a_new_service_has_kongs_defaults() -> None:
    assert SERVICES.validate_new({"host": "h"}, 12.9, lambda: UUID) == {
        "id": UUID,
        "created_at": 12,
        "updated_at": 12,
        "name": None,
        "retries": 5,
        "protocol": "http",
        "host": "h",
        "port": 80,
        "path": None,
        "connect_timeout": 60000,
        "write_timeout": 60000,
        "read_timeout": 60000,
        "tags": None,
        "client_certificate": None,
        "tls_verify": None,
        "tls_verify_depth": None,
        "ca_certificates": None,
        "enabled": True,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "host: required field missing"),
        ({"host": None}, "host: required field missing"),
        ({"host": ""}, "host: length must be at least 1"),
        ({"host": 1}, "host: expected a string"),
        ({"host": True}, "host: expected a string"),
        ({"host": "/x"}, "host: invalid value: /x"),
        ({"host": "a..b"}, "host: invalid value: a..b"),
        ({"host": "a-.b"}, "host: invalid value: a-.b"),
        ({"host": "h:80"}, "host: must not have a port"),
        ({"host": "h:99999999"}, "host: must not have a port"),
        ({"host": "256.1.1.1"}, "host: invalid value: 256.1.1.1"),
        ({"host": "::g"}, "host: invalid value: ::g"),
        ({"host": "[::1]:80"}, "host: must not have a port"),
        ({"host": "h\ud800"}, "host: invalid utf-8 character sequence detected at position 2"),
        ({"host": "h\0"}, "host: must not contain a NUL character"),
        ({"host": "h" * (STRING_CHARS_MAX + 1)}, "host: length must be at most 65536"),
        ({"host": "h", "foo": 1}, "foo: unknown field"),
        ({"host": "h", "foo": None}, "foo: unknown field"),
        ({"host": "h", "port": 65536}, "port: value should be between 0 and 65535"),
        ({"host": "h", "port": -1}, "port: value should be between 0 and 65535"),
        ({"host": "h", "port": "x"}, "port: expected an integer"),
        ({"host": "h", "port": 1.5}, "port: expected an integer"),
        ({"host": "h", "port": True}, "port: expected an integer"),
        ({"host": "h", "port": float("nan")}, "port: expected an integer"),
        ({"host": "h", "port": None}, "port: required field missing"),
        ({"host": "h", "retries": 32768}, "retries: value should be between 0 and 32767"),
        (
            {"host": "h", "read_timeout": 0},
            "read_timeout: value should be between 1 and 2147483646",
        ),
        (
            {"host": "h", "protocol": "ftp"},
            "protocol: expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp",
        ),
        ({"host": "h", "path": "x"}, "path: should start with: /"),
        ({"host": "h", "path": "/a//b"}, "path: must not have empty segments"),
        (
            {"host": "h", "path": "/a b"},
            "path: invalid path: '/a b'"
            " (characters outside of the reserved list of RFC 3986 found)",
        ),
        ({"host": "h", "path": "/a%2"}, "path: invalid url-encoded value: '%2'"),
        (
            {"host": "h", "name": "a b"},
            "name: invalid value 'a b': "
            "the only accepted ascii characters are alphanumerics or ., -, _, and ~",
        ),
        (
            {"host": "h", "name": "n" * (UNIQUE_CHARS_MAX + 1)},
            f"name: length must be at most {UNIQUE_CHARS_MAX}",
        ),
        ({"host": "h", "enabled": "yes"}, "enabled: expected a boolean"),
        ({"host": "h", "tags": "a"}, "tags: expected a set"),
        ({"host": "h", "tags": {}}, "tags: expected a set"),
        ({"host": "h", "tags": ["a", None]}, "tags.2: required field missing"),
        (
            {"host": "h", "tags": ["a,b"]},
            "tags.1: invalid tag 'a,b': "
            "expected printable ascii (except `,` and `/`) or valid utf-8 sequences",
        ),
        ({"host": "h", "id": "x"}, "id: expected a valid UUID"),
        ({"host": "h", "id": 5}, "id: expected a string"),
        ({"host": "h", "created_at": -1}, "created_at: expected a valid timestamp"),
        (
            {"host": "h", "protocol": "tls", "client_certificate": {}},
            "client_certificate.id: missing primary key",
        ),
        (
            {"host": "h", "protocol": "tls", "client_certificate": {"id": "x"}},
            "client_certificate.id: expected a valid UUID",
        ),
        (
            {"host": "h", "protocol": "tls", "client_certificate": {"foo": "x"}},
            "client_certificate.foo: unknown field",
        ),
    ],
)
def test_what_is_wrong_is_said_in_kongs_words(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(EntityError) as caught:
        SERVICES.validate_new(fields, 1)
    assert (caught.value.code, caught.value.name) == (2, "schema violation")
    assert caught.value.message == f"schema violation ({expected})"


def test_everything_wrong_is_said_at_once_entity_errors_first() -> None:
    with pytest.raises(EntityError) as caught:
        SERVICES.validate_new({"protocol": "tcp", "path": "/x", "port": -1, "foo": 1}, 1)
    assert caught.value.message == (
        f"5 schema violations ({CONDITIONAL}; foo: unknown field; host: required field missing; "
        "path: value must be null; port: value should be between 0 and 65535)"
    )
    assert caught.value.fields == {
        "@entity": [CONDITIONAL],
        "foo": "unknown field",
        "host": "required field missing",
        "path": "value must be null",
        "port": "value should be between 0 and 65535",
    }


def test_errors_of_elements_stand_at_their_place() -> None:
    with pytest.raises(EntityError) as caught:
        SERVICES.validate_new(
            {"host": "h", "protocol": "https", "ca_certificates": [UUID, "x", UUID, 1, UUID]}, 1
        )
    wrong = "expected a valid UUID"
    assert caught.value.fields == {"ca_certificates": [None, wrong, None, "expected a string"]}
    assert caught.value.message == (
        f"2 schema violations (ca_certificates.2: {wrong}; ca_certificates.4: expected a string)"
    )


@pytest.mark.parametrize("protocol", ["tcp", "tls", "udp", "grpc", "grpcs"])
def test_only_http_services_have_a_path(protocol: str) -> None:
    with pytest.raises(EntityError, match="path: value must be null"):
        SERVICES.validate_new({"host": "h", "protocol": protocol, "path": "/"}, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_certificate", {"id": UUID}),
        ("tls_verify", False),
        ("tls_verify_depth", 0),
        ("ca_certificates", []),
    ],
)
def test_only_tls_services_have_tls_fields(field: str, value: object) -> None:
    for protocol in ("https", "tls"):
        SERVICES.validate_new({"host": "h", "protocol": protocol, field: value}, 1)
    with pytest.raises(EntityError) as caught:
        SERVICES.validate_new({"host": "h", field: value}, 1)
    assert (
        caught.value.message == f"2 schema violations ({CONDITIONAL}; {field}: value must be null)"
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h", ("http", "h", 80, None)),
        ("https://h", ("https", "h", 443, None)),
        ("https://h:80/p?q=1#f", ("https", "h", 80, "/p")),
        ("//h:443/x", ("https", "h", 443, "/x")),
        ("http://user:secret@h/", ("http", "h", 80, "/")),
        ("http://[::1]:9000/p", ("http", "::1", 9000, "/p")),
        ("http://10.0.0.1", ("http", "10.0.0.1", 80, None)),
        ("grpc://h:50051", ("grpc", "h", 50051, None)),
    ],
)
def test_url_stands_for_protocol_host_port_and_path(url: str, expected: tuple[Any, ...]) -> None:
    entity = SERVICES.validate_new({"url": url, "port": 1}, 1)
    assert (entity["protocol"], entity["host"], entity["port"], entity["path"]) == expected
    assert "url" not in entity


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "example.com",
            "2 schema violations (host: required field missing; path: should start with: /)",
        ),
        ("http://", "schema violation (host: required field missing)"),
        ("http://h:x", "schema violation (port: expected an integer)"),
        ("http://h:70000", "schema violation (port: value should be between 0 and 65535)"),
        (5, "2 schema violations (host: required field missing; url: expected a string)"),
    ],
)
def test_a_url_that_lacks_something_says_what(url: Any, expected: str) -> None:
    with pytest.raises(EntityError) as caught:
        SERVICES.validate_new({"url": url}, 1)
    assert caught.value.message == expected


@pytest.mark.parametrize(
    "host", ["h", "h.", "_a.b-c.d", "1991.io", "127.0.0.1", "::1", "HELLO.com", "x" * 300]
)
def test_hosts_that_are_fine(host: str) -> None:
    assert SERVICES.validate_new({"host": host}, 1)["host"] == host


def test_ids_and_references_are_stored_in_lower_case() -> None:
    entity = SERVICES.validate_new(
        {
            "id": UUID.upper(),
            "host": "h",
            "protocol": "tls",
            "client_certificate": {"id": UUID.upper(), "name": "ignored"},
        },
        1,
    )
    assert entity["id"] == UUID
    assert entity["client_certificate"] == {"id": UUID}


def test_whole_numbers_may_be_written_as_floats_and_sets_lose_duplicates() -> None:
    entity = SERVICES.validate_new({"host": "h", "port": 81.0, "tags": ["b", "a", "b"]}, 1)
    assert entity["port"] == 81
    assert isinstance(entity["port"], int)
    assert entity["tags"] == ["b", "a"]


def test_null_takes_no_default_where_null_is_allowed() -> None:
    assert SERVICES.validate_new({"host": "h", "retries": None}, 1)["retries"] is None


def test_texts_of_a_form_become_their_fields_types() -> None:
    inferred = SERVICES.infer(
        {
            "port": "81",
            "retries": "x",
            "enabled": "false",
            "tags": "one",
            "path": "",
            "host": "80",
            "url": "http://h",
            "foo": "1",
        }
    )
    assert inferred == {
        "port": 81,
        "retries": "x",
        "enabled": False,
        "tags": ["one"],
        "path": None,
        "host": "80",
        "url": "http://h",
        "foo": "1",
    }


@pytest.mark.parametrize("text", ["8_0", "\u0668\u0660", "nan", "inf", "81e9990", "0" * 33])
def test_a_text_of_a_form_that_only_python_takes_for_a_number_stays_a_text(text: str) -> None:
    assert SERVICES.infer({"port": text}) == {"port": text}


def test_the_schema_describes_itself_as_kong_does() -> None:
    described = SERVICES.describe()
    fields = {name: item for entry in described["fields"] for name, item in entry.items()}
    assert list(fields)[:4] == ["id", "created_at", "updated_at", "name"]
    assert fields["port"]["between"] == [0, 65535]
    assert fields["port"]["default"] == 80
    assert fields["host"]["required"] is True
    assert fields["client_certificate"]["reference"] == "certificates"
    assert fields["ca_certificates"]["elements"] == {"type": "string", "uuid": True}
    assert fields["tls_verify_depth"]["default"] is None
    assert described["entity_checks"][0] == {
        "conditional": {
            "if_field": "protocol",
            "if_match": {"one_of": ["tcp", "tls", "udp", "grpc", "grpcs"]},
            "then_field": "path",
            "then_match": {"eq": None},
        }
    }
    assert described["shorthand_fields"][0]["url"]["type"] == "string"
