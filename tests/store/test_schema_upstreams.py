"""Upstreams and targets: defaults, how algorithm and hash input go together, addresses."""

from typing import Any

import pytest

from store.schema import schema
from tests.store.refusals import ID, NOW, OTHER_ID, new, refusal, said

CONDITIONAL = "failed conditional validation given value of field"
ACTIVE_UNHEALTHY = [429, 404, 500, 501, 502, 503, 504, 505]
PASSIVE_HEALTHY = [200, 201, 202, 203, 204, 205, 206, 207, 208, 226]
PASSIVE_HEALTHY += [300, 301, 302, 303, 304, 305, 306, 307, 308]


def test_a_new_upstream_has_kongs_defaults() -> None:
    assert new("upstreams", name="u") == {
        "id": ID,
        "created_at": int(NOW),
        "updated_at": int(NOW),
        "name": "u",
        "algorithm": "round-robin",
        "hash_on": "none",
        "hash_fallback": "none",
        "hash_on_header": None,
        "hash_fallback_header": None,
        "hash_on_cookie": None,
        "hash_on_cookie_path": "/",
        "hash_on_query_arg": None,
        "hash_fallback_query_arg": None,
        "hash_on_uri_capture": None,
        "hash_fallback_uri_capture": None,
        "slots": 10000,
        "healthchecks": {
            "active": {
                "type": "http",
                "timeout": 1,
                "concurrency": 10,
                "http_path": "/",
                "https_sni": None,
                "https_verify_certificate": True,
                "headers": None,
                "healthy": {"interval": 0, "http_statuses": [200, 302], "successes": 0},
                "unhealthy": {
                    "interval": 0,
                    "http_statuses": ACTIVE_UNHEALTHY,
                    "tcp_failures": 0,
                    "timeouts": 0,
                    "http_failures": 0,
                },
            },
            "passive": {
                "type": "http",
                "healthy": {"http_statuses": PASSIVE_HEALTHY, "successes": 0},
                "unhealthy": {
                    "http_statuses": [429, 500, 503],
                    "tcp_failures": 0,
                    "timeouts": 0,
                    "http_failures": 0,
                },
            },
            "threshold": 0,
        },
        "tags": None,
        "host_header": None,
        "client_certificate": None,
        "use_srv_name": False,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "name: required field missing"),
        ({"name": "1.2.3.4"}, "name: Invalid name ('1.2.3.4'); no ip addresses allowed"),
        ({"name": "::1"}, "name: Invalid name ('::1'); no ip addresses allowed"),
        ({"name": "u:80"}, "name: Invalid name ('u:80'); no port allowed"),
        ({"name": "a b"}, "name: Invalid name ('a b'); must be a valid hostname"),
        (
            {"name": "u", "algorithm": "random"},
            "algorithm: expected one of: "
            "consistent-hashing, least-connections, round-robin, latency",
        ),
        ({"name": "u", "slots": 9}, "slots: value should be between 10 and 65536"),
        ({"name": "u", "host_header": "a b"}, "host_header: invalid hostname: a b"),
        (
            {"name": "u", "hash_on": "cookie", "hash_on_cookie": "a b"},
            f"{CONDITIONAL} 'hash_on'; hash_on_cookie: bad cookie name 'a b', "
            "allowed characters are A-Z, a-z, 0-9, '_', and '-'",
        ),
        (
            {"name": "u", "hash_on": "header"},
            f"{CONDITIONAL} 'hash_on'; hash_on_header: required field missing",
        ),
        (
            {"name": "u", "hash_on": "ip", "hash_fallback": "header"},
            f"{CONDITIONAL} 'hash_fallback'; hash_fallback_header: required field missing",
        ),
        (
            {"name": "u", "hash_on": "query_arg"},
            f"{CONDITIONAL} 'hash_on'; hash_on_query_arg: required field missing",
        ),
        (
            {"name": "u", "hash_on": "uri_capture"},
            f"{CONDITIONAL} 'hash_on'; hash_on_uri_capture: required field missing",
        ),
        (
            {"name": "u", "hash_on": "none", "hash_fallback": "ip"},
            f"{CONDITIONAL} 'hash_on'; hash_fallback: expected one of: none",
        ),
        (
            {"name": "u", "hash_on": "ip", "hash_fallback": "ip"},
            f"{CONDITIONAL} 'hash_on'; hash_fallback: expected one of: none, consumer, header, "
            "cookie, path, query_arg, uri_capture",
        ),
        (
            {
                "name": "u",
                "hash_on": "header",
                "hash_on_header": "x",
                "hash_fallback": "header",
                "hash_fallback_header": "x",
            },
            "values of these fields must be distinct: 'hash_on_header', 'hash_fallback_header'",
        ),
    ],
)
def test_what_is_wrong_is_said_in_kongs_words(fields: dict[str, Any], expected: str) -> None:
    shown = said("upstreams", fields)
    assert shown == expected


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ({"threshold": 101}, {"threshold": "value should be between 0 and 100"}),
        (
            {"active": {"timeout": -1}},
            {"active": {"timeout": "value should be between 0 and 65535"}},
        ),
        (
            {"active": {"healthy": {"http_statuses": [200, 99]}}},
            {
                "active": {
                    "healthy": {"http_statuses": [None, "value should be between 100 and 999"]}
                }
            },
        ),
        (
            {"passive": {"unhealthy": {"timeouts": 256}}},
            {"passive": {"unhealthy": {"timeouts": "value should be between 0 and 255"}}},
        ),
        ({"active": {"foo": 1}}, {"active": {"foo": "unknown field"}}),
        (
            {"active": {"type": "udp"}},
            {"active": {"type": "expected one of: tcp, http, https, grpc, grpcs"}},
        ),
    ],
)
def test_health_checks_are_validated_as_deep_as_they_go(
    checks: dict[str, Any], expected: dict[str, Any]
) -> None:
    fields = refusal("upstreams", {"name": "u", "healthchecks": checks}).fields
    assert fields == {"healthchecks": expected}


@pytest.mark.parametrize(
    ("fields", "algorithm", "hash_on"),
    [
        ({"hash_on": "ip"}, "consistent-hashing", "ip"),
        ({"hash_on": "ip", "algorithm": "round-robin"}, "consistent-hashing", "ip"),
        ({"hash_on": "none", "algorithm": "latency"}, "round-robin", "none"),
        ({"hash_on": None, "algorithm": "latency"}, "latency", "none"),
        ({"hash_on": "ip", "algorithm": "least-connections"}, "least-connections", "none"),
        ({"algorithm": "consistent-hashing"}, "consistent-hashing", "none"),
    ],
)
def test_an_input_to_hashing_chooses_the_algorithm(
    fields: dict[str, Any], algorithm: str, hash_on: str
) -> None:
    entity = new("upstreams", name="u", **fields)
    assert (entity["algorithm"], entity["hash_on"]) == (algorithm, hash_on)


def test_a_patch_reaches_into_health_checks() -> None:
    upstream = new("upstreams", name="u")
    patch = {"healthchecks": {"active": {"healthy": {"interval": 5}}}}
    patched = schema("upstreams").validate_patch(upstream, patch, NOW)
    expected = new("upstreams", name="u")
    expected["healthchecks"]["active"]["healthy"]["interval"] = 5
    assert patched == expected


def test_a_new_target_has_kongs_defaults_and_times_in_milliseconds() -> None:
    assert new("targets", upstream={"id": OTHER_ID}, target="h.test") == {
        "id": ID,
        "created_at": NOW,
        "updated_at": NOW,
        "upstream": {"id": OTHER_ID},
        "target": "h.test:8000",
        "weight": 100,
        "tags": None,
    }


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("h.test:80", "h.test:80"),
        ("10.0.0.1", "10.0.0.1:8000"),
        ("10.0.0.01:90", "10.0.0.1:90"),
        ("::1", "[0000:0000:0000:0000:0000:0000:0000:0001]:8000"),
        ("[2001:DB8::1]:80", "[2001:0db8:0000:0000:0000:0000:0000:0001]:80"),
    ],
)
def test_a_target_has_one_spelling(given: str, stored: str) -> None:
    target = new("targets", upstream={"id": OTHER_ID}, target=given)
    assert target["target"] == stored
    index, value = schema("targets").scoped_claim(OTHER_ID, given)
    assert schema("targets").claims(target)[index] == value


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"target": "h"}, "upstream: required field missing"),
        (
            {"upstream": {"id": OTHER_ID}, "target": "a b"},
            "target: Invalid target ('a b'); not a valid hostname or ip address",
        ),
        (
            {"upstream": {"id": OTHER_ID}, "target": "h", "weight": 65536},
            "weight: value should be between 0 and 65535",
        ),
    ],
)
def test_a_bad_target_is_told_in_kongs_words(fields: dict[str, Any], expected: str) -> None:
    assert said("targets", fields) == expected
