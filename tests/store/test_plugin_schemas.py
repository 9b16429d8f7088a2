"""Plugin configurations: defaults, and the texts that Kong 3.9 answers.

The cases are facts of Kong's own schema tests (``spec/03-plugins/*/…schema_spec.lua``) and of its
schemas' rules.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from node.config.plugins import BUILT, BUNDLED
from store.limits import STRING_CHARS_MAX
from store.schema.plugins import plugin_names, plugin_schema
from store.schema.plugins.__main__ import page
from tests.store.plugin_instances import complaints, config_of, known, refusal, validated

REDIS = {
    "host": None,
    "port": 6379,
    "timeout": 2000,
    "username": None,
    "password": None,
    "database": 0,
    "ssl": False,
    "ssl_verify": False,
    "server_name": None,
}
QUEUE = {
    "max_batch_size": 1,
    "max_coalescing_delay": 1,
    "max_entries": 10000,
    "max_bytes": None,
    "max_retry_time": 60,
    "initial_retry_delay": 0.01,
    "max_retry_delay": 60,
    "concurrency_limit": 1,
}


def test_every_bundled_plugin_has_a_schema_of_its_name() -> None:
    assert set(plugin_names()) == BUNDLED
    assert len(plugin_names()) == len(BUNDLED)
    assert [known(name).name for name in plugin_names()] == list(plugin_names())


def test_other_names_have_none() -> None:
    assert plugin_schema("plugin") is None
    assert plugin_schema("key_auth") is None
    assert plugin_schema("../key-auth") is None


def test_no_two_plugins_share_a_priority() -> None:
    priorities = {known(name).priority for name in plugin_names()}
    assert len(priorities) == len(plugin_names())


def test_a_plugins_module_is_imported_when_it_is_asked_for() -> None:
    program = (
        "import sys; from store.schema.plugins import plugin_schema; plugin_schema('acl');"
        "print(*(name for name in sys.modules if name.startswith('store.schema.plugins.')))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    imported = set(run.stdout.split())
    assert "store.schema.plugins.acl" in imported
    assert not imported & {f"store.schema.plugins.{name}" for name in ("jwt", "acme", "zipkin")}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        (
            "key-auth",
            {},
            {
                "key_names": ["apikey"],
                "hide_credentials": False,
                "anonymous": None,
                "key_in_header": True,
                "key_in_query": True,
                "key_in_body": False,
                "run_on_preflight": True,
                "realm": None,
            },
        ),
        ("basic-auth", {}, {"anonymous": None, "hide_credentials": False, "realm": "service"}),
        (
            "acl",
            {"allow": ["a"]},
            {
                "allow": ["a"],
                "deny": None,
                "hide_groups_header": False,
                "always_use_authenticated_groups": False,
            },
        ),
        (
            "jwt",
            {},
            {
                "uri_param_names": ["jwt"],
                "cookie_names": [],
                "key_claim_name": "iss",
                "secret_is_base64": False,
                "claims_to_verify": None,
                "anonymous": None,
                "run_on_preflight": True,
                "maximum_expiration": 0,
                "header_names": ["authorization"],
                "realm": None,
            },
        ),
        (
            "rate-limiting",
            {"minute": 5},
            {
                "second": None,
                "minute": 5,
                "hour": None,
                "day": None,
                "month": None,
                "year": None,
                "limit_by": "consumer",
                "header_name": None,
                "path": None,
                "policy": "local",
                "fault_tolerant": True,
                "redis": REDIS,
                "hide_client_headers": False,
                "error_code": 429,
                "error_message": "API rate limit exceeded",
                "sync_rate": -1,
            },
        ),
        (
            "correlation-id",
            {},
            {
                "header_name": "Kong-Request-ID",
                "generator": "uuid#counter",
                "echo_downstream": False,
            },
        ),
        (
            "http-log",
            {"http_endpoint": "http://myservice.com/path"},
            {
                "http_endpoint": "http://myservice.com/path",
                "method": "POST",
                "content_type": "application/json",
                "timeout": 10000,
                "keepalive": 60000,
                "retry_count": None,
                "queue_size": None,
                "flush_timeout": None,
                "headers": None,
                "queue": QUEUE,
                "custom_fields_by_lua": None,
            },
        ),
        (
            "response-transformer",
            {"add": {"headers": ["a:b"]}},
            {
                "remove": {"json": [], "headers": []},
                "rename": {"json": [], "headers": []},
                "replace": {"json": [], "json_types": [], "headers": []},
                "add": {"json": [], "json_types": [], "headers": ["a:b"]},
                "append": {"json": [], "json_types": [], "headers": []},
            },
        ),
        (
            "proxy-cache",
            {"strategy": "memory"},
            {
                "response_code": [200, 301, 404],
                "request_method": ["GET", "HEAD"],
                "content_type": ["text/plain", "application/json"],
                "cache_ttl": 300,
                "strategy": "memory",
                "cache_control": False,
                "ignore_uri_case": False,
                "storage_ttl": None,
                "memory": {"dictionary_name": "kong_db_cache"},
                "vary_query_params": None,
                "vary_headers": None,
                "response_headers": {"age": True, "X-Cache-Status": True, "X-Cache-Key": True},
            },
        ),
        (
            "ai-prompt-guard",
            {"deny_patterns": ["x"]},
            {
                "allow_patterns": None,
                "deny_patterns": ["x"],
                "allow_all_conversation_history": False,
                "max_request_body_size": 8192,
                "match_all_roles": False,
            },
        ),
    ],
)
def test_a_configuration_is_filled_with_kongs_defaults(
    name: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert config_of(name, given) == expected


def test_records_have_the_defaults_of_their_fields_unless_they_say_otherwise() -> None:
    traced = config_of("opentelemetry", {"traces_endpoint": "http://h/"})
    assert traced["queue"] == QUEUE | {"max_batch_size": 200}
    assert traced["propagation"] == {
        "extract": None,
        "clear": None,
        "inject": None,
        "default_format": "w3c",
    }
    zipkin = config_of("zipkin", {"queue": {"max_entries": 5}})
    assert zipkin["queue"] == QUEUE | {"max_entries": 5}
    assert zipkin["propagation"]["default_format"] == "b3"


def test_an_optional_record_stays_null_and_is_filled_once_it_is_given() -> None:
    model: dict[str, Any] = {"provider": "openai"}
    plain = config_of("ai-proxy", {"route_type": "llm/v1/chat", "model": model})
    assert plain["auth"] is None
    assert plain["model"] == {"provider": "openai", "name": None, "options": None}
    assert plain["logging"] == {"log_statistics": False, "log_payloads": False}
    model["options"] = {"upstream_url": "http://h/"}
    given = config_of("ai-proxy", {"route_type": "llm/v1/chat", "model": model})
    assert given["model"]["options"]["azure_api_version"] == "2023-05-15"
    assert given["model"]["options"]["gemini"] is None


def test_records_in_a_default_list_are_whole() -> None:
    metrics = config_of("statsd", {})["metrics"]
    assert len(metrics) == 13
    assert metrics[1] == {
        "name": "latency",
        "stat_type": "timer",
        "sample_rate": None,
        "consumer_identifier": None,
        "service_identifier": None,
        "workspace_identifier": None,
    }


def test_a_missing_configuration_is_all_defaults() -> None:
    assert config_of("cors", {}) == validated("cors", {})["config"]
    assert config_of("session", {})["cookie_same_site"] == "Strict"


@pytest.mark.parametrize(
    ("name", "scope", "taken"),
    [
        ("key-auth", "route", True),
        ("key-auth", "consumer", False),
        ("rate-limiting", "consumer", True),
        ("acme", "service", False),
        ("acme", "route", False),
    ],
)
def test_a_plugin_is_bound_to_what_it_allows(name: str, scope: str, taken: bool) -> None:
    config = {"account_email": "a@b"} if name == "acme" else {"minute": 1}
    bound = {scope: {"id": "5fd1b1e0-0000-4000-8000-00000000000a"}}
    given = {} if name == "key-auth" else config
    if taken:
        assert validated(name, given, **bound)[scope] == bound[scope]
    else:
        assert refusal(name, given, **bound).fields == {scope: "value must be null"}


def test_protocols_are_those_that_the_plugin_allows() -> None:
    assert validated("key-auth", {})["protocols"] == ["grpc", "grpcs", "http", "https"]
    assert refusal("key-auth", {}, protocols=["tcp"]).fields == {
        "protocols": ["expected one of: grpc, grpcs, http, https"]
    }
    addresses = {"allow": ["10.0.0.0/8"]}
    assert validated("ip-restriction", addresses, protocols=["tcp"])["protocols"] == ["tcp"]
    assert validated("ip-restriction", addresses)["protocols"] == [
        *("http", "https", "tcp", "tls", "grpc", "grpcs")
    ]


@pytest.mark.parametrize("value", ["", "a value with spaces; and punctuation!", "$(headers.x)"])
def test_headers_to_add_may_have_any_value_that_fits_a_line(value: str) -> None:
    for name in ("request-transformer", "response-transformer"):
        pair = f"X-Test:{value}"
        assert config_of(name, {"add": {"headers": [pair]}})["add"]["headers"] == [pair]


def test_a_vault_reference_meets_every_rule_of_a_referenceable_field() -> None:
    reference = "{vault://env/endpoint}"
    assert config_of("http-log", {"http_endpoint": reference})["http_endpoint"] == reference
    assert complaints("redirect", {"location": reference}) == {
        "config": {"location": "missing host in url"}
    }
    endless = "{vault://" + "x" * STRING_CHARS_MAX + "}"
    assert complaints("http-log", {"http_endpoint": endless}) == {
        "config": {"http_endpoint": "length must be at most 65536"}
    }
    secret = {"aws_key": "{vault://env/key}"}
    assert config_of("aws-lambda", secret)["aws_secret"] is None


def test_secrets_are_drawn_when_they_are_not_given() -> None:
    flows = {"enable_implicit_grant": True}
    keys = {config_of("oauth2", flows)["provision_key"] for _ in range(3)}
    assert len(keys) == 3
    assert all(len(key) == 32 and key.isalnum() for key in keys)
    assert config_of("oauth2", flows | {"provision_key": "k"})["provision_key"] == "k"
    assert len(config_of("session", {})["secret"]) == 32


def test_whole_numbers_are_integers_however_they_are_written() -> None:
    assert json.dumps(config_of("rate-limiting", {"minute": 5.0})["minute"]) == "5"
    assert complaints("rate-limiting", {"minute": float("inf")}) == {
        "config": {"minute": "expected a number"}
    }


def test_the_documentation_is_current() -> None:
    assert Path("docs/plugins.md").read_text() == page(), (
        "run: python -m store.schema.plugins > docs/plugins.md"
    )


def test_the_documentation_says_which_plugins_run() -> None:
    text = " ".join(page().split())
    assert f"This version runs these of them: {', '.join(sorted(BUILT))}." in text
