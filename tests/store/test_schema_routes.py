"""Routes: inputs and the texts that Kong 3.9 answers."""

from typing import Any

import pytest

from store.errors import EntityError
from store.limits import ELEMENTS_MAX, REGEX_CHARS_MAX
from store.schema import schema

ROUTES = schema("routes")
UUID = "5fd1b1e0-0000-4000-8000-00000000000b"
STREAM_NAMES = "'tcp', 'tls', 'tls_passthrough' or 'udp'"
NO_LOOK_AROUND = "; look-around and backreferences are not supported"


def test_a_new_route_has_kongs_defaults() -> None:
    entity = ROUTES.validate_new({"paths": ["/a"]}, 5.5, lambda: UUID)
    assert {name: value for name, value in entity.items() if value is not None} == {
        "id": UUID,
        "created_at": 5,
        "updated_at": 5,
        "protocols": ["http", "https"],
        "https_redirect_status_code": 426,
        "strip_path": True,
        "preserve_host": False,
        "request_buffering": True,
        "response_buffering": True,
        "paths": ["/a"],
        "regex_priority": 0,
        "path_handling": "v0",
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {},
            "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis'"
            " when 'protocols' is 'https'",
        ),
        (
            {"protocols": ["http"], "paths": []},
            "must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http'",
        ),
        (
            {"protocols": ["grpc"]},
            "must set one of 'hosts', 'headers', 'paths' when 'protocols' is 'grpc'",
        ),
        (
            {"protocols": ["grpcs"]},
            "must set one of 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'grpcs'",
        ),
        (
            {"protocols": ["tcp"]},
            "must set one of 'sources', 'destinations', 'snis'"
            " when 'protocols' is 'tcp', 'tls' or 'udp'",
        ),
        (
            {"protocols": ["tls_passthrough"]},
            "must set snis when 'protocols' is 'tls_passthrough'",
        ),
        ({"protocols": None}, "protocols: required field missing"),
        ({"protocols": []}, "protocols: length must be at least 1"),
        (
            {"protocols": ["tcp", "http"]},
            "protocols: these sets are mutually exclusive: "
            "('tcp', 'tls', 'udp'), ('http', 'https')",
        ),
        ({"paths": "/a"}, "paths: expected an array"),
        ({"paths": ["a"]}, "paths.1: should start with: / (fixed path) or ~/ (regex path)"),
        ({"paths": ["~a"]}, "paths.1: should start with: / (fixed path) or ~/ (regex path)"),
        ({"paths": ["/a", "/b//c"]}, "paths.2: must not have empty segments"),
        (
            {"paths": ["/a/../b"]},
            "paths.1: non-normalized path, consider use '/b' instead",
        ),
        ({"paths": ["/a/."]}, "paths.1: non-normalized path, consider use '/a/' instead"),
        ({"paths": ["/%61%2f"]}, "paths.1: non-normalized path, consider use '/a%2F' instead"),
        ({"paths": ["/%c3%a9"]}, "paths.1: non-normalized path, consider use '/é' instead"),
        ({"paths": ["/%zz"]}, "paths.1: invalid url-encoded value: '%zz'"),
        (
            {"paths": ["~/(?=a)"]},
            "paths.1: invalid regex: '/(?=a)' (RE2 returned: invalid perl operator: (?="
            f"{NO_LOOK_AROUND})",
        ),
        (
            {"paths": ["~/(?<!a)b"]},
            "paths.1: invalid regex: '/(?<!a)b' (RE2 returned: invalid perl operator: (?<!"
            f"{NO_LOOK_AROUND})",
        ),
        (
            {"paths": ["~/(a)\\1"]},
            "paths.1: invalid regex: '/(a)\\1' (RE2 returned: invalid escape sequence: \\1"
            f"{NO_LOOK_AROUND})",
        ),
        ({"paths": ["~/("]}, "paths.1: invalid regex: '/(' (RE2 returned: missing ): /()"),
        (
            {"paths": ["~/" + "a" * REGEX_CHARS_MAX]},
            f"paths.1: length must be at most {REGEX_CHARS_MAX}",
        ),
        ({"paths": ["/a"] * (ELEMENTS_MAX + 1)}, f"paths: length must be at most {ELEMENTS_MAX}"),
        ({"methods": ["get"]}, "methods.1: invalid value: get"),
        ({"methods": ["GET\n"]}, "methods.1: invalid value: GET\n"),
        (
            {"hosts": ["*a.com"]},
            "hosts.1: invalid wildcard: must be placed at leftmost or rightmost label",
        ),
        ({"hosts": ["*.a.*"]}, "hosts.1: invalid wildcard: must have at most one wildcard"),
        ({"hosts": ["a_-.com"]}, "hosts.1: invalid hostname: a_-.com"),
        ({"hosts": ["a.com:99999"]}, "hosts.1: invalid port number"),
        ({"hosts": ["1.2.3"]}, "hosts.1: invalid ipv4 address: 1.2.3"),
        ({"hosts": ["1.2.:.4"]}, "hosts.1: invalid ipv4 address: 1.2.:.4"),
        ({"hosts": ["::g"]}, "hosts.1: invalid ipv6 address: ::g"),
        (
            {"headers": {"Host": ["x"]}},
            "headers: cannot contain 'host' header, which must be specified in the 'hosts'"
            " attribute",
        ),
        (
            {"headers": {"a b": ["x"]}},
            "headers: bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'",
        ),
        ({"headers": {"a": "x"}}, "headers: expected an array"),
        ({"headers": ["a"]}, "headers: expected a map"),
        ({"snis": ["10.0.0.1"]}, "snis.1: must not be an IP"),
        ({"snis": ["a.*.b"]}, "snis.1: wildcard must be leftmost or rightmost character"),
        ({"snis": ["a.b:443"]}, "snis.1: must not have a port"),
        (
            {"paths": ["/"], "sources": [{"port": 1}]},
            "sources: cannot set 'sources' when 'protocols' is 'http' or 'https'",
        ),
        (
            {"protocols": ["tcp"], "snis": None, "sources": [{"port": 1}], "paths": ["/"]},
            f"paths: cannot set 'paths' when 'protocols' is {STREAM_NAMES}",
        ),
        (
            {"protocols": ["udp"], "sources": [{"ip": "10.0.0.0/33"}]},
            "sources.1: {\n  ip = \"invalid ip or cidr range: '10.0.0.0/33'\"\n}",
        ),
        (
            {"protocols": ["udp"], "sources": [{}]},
            'sources.1: {\n  ["@entity"] = {\n    "at least one of these fields must be non-empty:'
            " 'ip', 'port'\"\n  }\n}",
        ),
        (
            {"protocols": ["grpc"], "paths": ["/"], "strip_path": True},
            "strip_path: cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'",
        ),
        (
            {"protocols": ["grpc"], "paths": ["/"], "methods": ["GET"]},
            "methods: cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'",
        ),
        (
            {"paths": ["/"], "https_redirect_status_code": 200},
            "https_redirect_status_code: expected one of: 426, 301, 302, 307, 308",
        ),
        ({"paths": ["/"], "path_handling": "v2"}, "path_handling: expected one of: v0, v1"),
        ({"paths": ["/"], "service": "s"}, "service.id: missing primary key"),
        ({"paths": ["/"], "service": {"id": "s"}}, "service.id: expected a valid UUID"),
        ({"paths": ["/"], "service": {"id": 7}}, "service.id: expected a string"),
        (
            {"paths": ["/"], "regex_priority": 2**60},
            "regex_priority: value should be between -9007199254740992 and 9007199254740992",
        ),
    ],
)
def test_what_is_wrong_is_said_in_kongs_words(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(EntityError) as caught:
        ROUTES.validate_new(fields, 1)
    assert caught.value.message == f"schema violation ({expected})"
    assert caught.value.code == 2


def test_snis_need_a_protocol_with_tls() -> None:
    with pytest.raises(EntityError) as caught:
        ROUTES.validate_new({"protocols": ["http"], "paths": ["/"], "snis": ["a.com"]}, 1)
    assert caught.value.message == (
        "2 schema violations ('snis' can only be set when 'protocols' is "
        "'grpcs', 'https', 'tls' or 'tls_passthrough'; snis: length must be 0)"
    )
    ROUTES.validate_new({"protocols": ["http"], "paths": ["/"], "snis": []}, 1)
    ROUTES.validate_new({"protocols": ["http", "https"], "snis": ["*.a.com"]}, 1)


@pytest.mark.parametrize(
    "paths",
    [
        ["/", "/a/b-c_d.e~f", "/é", "/a:@!$&'()*+,;="],
        ["~/(?<name>[a-z]+)$", "~/a|b", "~/\\d{3}", "~/[^/]+/x"],
    ],
)
def test_paths_that_are_fine(paths: list[str]) -> None:
    assert ROUTES.validate_new({"paths": paths}, 1)["paths"] == paths


@pytest.mark.parametrize(
    "hosts", [["a.com", "*.a.com", "a.*", "a.com:80", "[::1]:80", "::1", "10.0.0.1:80", "a.com."]]
)
def test_hosts_that_are_fine(hosts: list[str]) -> None:
    assert ROUTES.validate_new({"hosts": hosts}, 1)["hosts"] == hosts


def test_a_grpc_route_does_not_strip_its_path_by_default() -> None:
    assert ROUTES.validate_new({"protocols": ["grpc"], "paths": ["/"]}, 1)["strip_path"] is False


def test_records_in_a_set_are_completed_and_distinct() -> None:
    sources = [{"ip": "::1/128"}, {"ip": "::1/128", "port": None}, {"port": 80.0}]
    entity = ROUTES.validate_new({"protocols": ["tcp"], "sources": sources}, 1)
    assert entity["sources"] == [{"ip": "::1/128", "port": None}, {"ip": None, "port": 80}]


def test_texts_in_records_and_maps_become_their_fields_types() -> None:
    inferred = ROUTES.infer(
        {"sources": [{"port": "80"}], "headers": {"x": "v"}, "methods": "GET", "strip_path": "true"}
    )
    assert inferred == {
        "sources": [{"port": 80}],
        "headers": {"x": ["v"]},
        "methods": ["GET"],
        "strip_path": True,
    }


def test_routes_refer_to_services_and_have_unique_names() -> None:
    assert ROUTES.references == {"service": "services"}
    assert (ROUTES.endpoint_key, ROUTES.entity_name, ROUTES.unique) == ("name", "route", ("name",))
