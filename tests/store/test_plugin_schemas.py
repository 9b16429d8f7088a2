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
NO_PERIODS = "at least one of these fields must be non-empty: " + ", ".join(
    f"'config.{period}'" for period in ("second", "minute", "hour", "day", "month", "year")
)
NO_FLOW = (
    "at least one of these fields must be true: enable_authorization_code, "
    "enable_implicit_grant, enable_client_credentials, enable_password_grant"
)
MISSING = "required field missing"
MISSING_FOR_CHECK = "field required for entity check"


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
    ("name", "given", "expected"),
    [
        ("rate-limiting", {"second": 20, "hour": 10}, "The limit for hour(10.0) cannot be lower than the limit for second(20.0)"),
        ("rate-limiting", {"second": 10, "minute": 20, "hour": 30, "day": 40, "month": 60, "year": 50}, "The limit for year(50.0) cannot be lower than the limit for month(60.0)"),
        ("rate-limiting", {"minute": 1, "sync_rate": 1}, "sync_rate can only be used with the redis policy"),
        ("rate-limiting", {"minute": 1, "sync_rate": 0.01, "policy": "redis", "redis": {"host": "h"}}, "sync_rate must be greater than 0.02, or -1 to disable"),
        ("rate-limiting", {"minute": "x"}, {"minute": "expected a number"}),
        ("rate-limiting", {"minute": 0}, {"minute": "value must be greater than 0"}),
        ("rate-limiting", {"minute": 1, "limit_by": "x"}, {"limit_by": "expected one of: consumer, credential, ip, service, header, path"}),
        ("rate-limiting", {"minute": 1, "foo": 1}, {"foo": "unknown field"}),
        ("rate-limiting", {"minute": 1, "redis": {"foo": 1}}, {"redis": {"foo": "unknown field"}}),
        ("rate-limiting", {"minute": 1, "redis": {"server_name": "1.2.3.4"}}, {"redis": {"server_name": "must not be an IP"}}),
        ("rate-limiting", {"minute": 1, "redis": {"server_name": "h:1"}}, {"redis": {"server_name": "must not have a port"}}),
        ("rate-limiting", {"minute": 1, "redis": {"server_name": "a..b"}}, {"redis": {"server_name": "invalid value: a..b"}}),
        ("rate-limiting", {"minute": 1, "redis": None}, {"redis": MISSING}),
        ("rate-limiting", {"minute": 1, "redis": 5}, {"redis": "expected a record"}),
        ("response-ratelimiting", {}, {"limits": MISSING}),
        ("response-ratelimiting", {"limits": {}}, {"limits": "length must be at least 1"}),
        ("response-ratelimiting", {"limits": {"second": 10}}, {"limits": "expected a record"}),
        ("response-ratelimiting", {"limits": {"video": {"second": 2, "minute": 1}}}, {"limits": "the limit for minute(1.0) cannot be lower than the limit for second(2.0)"}),
        ("cors", {"origins": [".*", "invalid_**regex("]}, {"origins": [None, "'invalid_**regex(' is not a valid regex"]}),
        ("cors", {"methods": ["FAKE"]}, {"methods": ["expected one of: GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS, TRACE, CONNECT"]}),
        ("request-transformer", {"http_method": "HELLO!"}, {"http_method": "invalid value: HELLO!"}),
        ("request-transformer", {"add": {"querystring": ["uri_param2:"]}}, {"add": {"querystring": ["key 'uri_param2' has no value"]}}),
        ("request-transformer", {"rename": {"headers": ["X-Test:not a header name"]}}, {"rename": {"headers": ["'not a header name' is not a valid header"]}}),
        ("request-transformer", {"add": {"headers": ["x"]}}, {"add": {"headers": ["invalid value: x"]}}),
        ("request-transformer", {"remove": {"headers": ["a b"]}}, {"remove": {"headers": ["'a b' is not a valid header"]}}),
        ("ip-restriction", {"allow": ["x"]}, {"allow": ["invalid ip or cidr range: 'x'"]}),
        ("request-termination", {"status_code": "abcd"}, {"status_code": "expected an integer"}),
        ("request-termination", {"status_code": 99}, {"status_code": "value should be between 100 and 599"}),
        ("request-termination", {"message": "error", "body": "test"}, "message cannot be used with content_type or body"),
        ("request-termination", {"message": "error", "content_type": "text/html"}, "message cannot be used with content_type or body"),
        ("request-termination", {"content_type": "text/html"}, "content_type requires a body"),
        ("request-termination", {"echo": True, "content_type": "text/html", "body": "b"}, "echo cannot be used with content_type and body"),
        ("bot-detection", {"deny": ["("]}, {"deny": ["not a valid regex: ("]}),
        ("correlation-id", {"generator": "x"}, {"generator": "expected one of: uuid, uuid#counter, tracker"}),
        ("key-auth", {"key_names": ["a b"]}, {"key_names": ["bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"]}),
        ("key-auth", {"hide_credentials": "x"}, {"hide_credentials": "expected a boolean"}),
        ("hmac-auth", {"algorithms": ["md5"]}, {"algorithms": ["expected one of: hmac-sha1, hmac-sha256, hmac-sha384, hmac-sha512"]}),
        ("hmac-auth", {"clock_skew": 0}, {"clock_skew": "value must be greater than 0"}),
        ("jwt", {"claims_to_verify": ["sub"]}, {"claims_to_verify": ["expected one of: exp, nbf"]}),
        ("jwt", {"maximum_expiration": 31536001}, {"maximum_expiration": "value should be between 0 and 31536000"}),
        ("oauth2", {}, NO_FLOW),
        ("ldap-auth", {"ldap_host": "h"}, {"base_dn": MISSING, "attribute": MISSING}),
        ("http-log", {"http_endpoint": "x"}, {"http_endpoint": "missing host in url"}),
        ("http-log", {"http_endpoint": "//h/p"}, {"http_endpoint": "missing scheme in url"}),
        ("http-log", {"http_endpoint": "http://h/", "headers": {"X-My-Header": ""}}, {"headers": "length must be at least 1"}),
        ("http-log", {"http_endpoint": "http://h/", "headers": {"X": "1", "Host": "MyHost"}}, {"headers": "cannot contain 'Host' header"}),
        ("http-log", {"http_endpoint": "http://h/", "headers": {"coNTEnt-Length": "123"}}, {"headers": "cannot contain 'Content-Length' header"}),
        ("http-log", {"http_endpoint": "http://h/", "headers": {"coNTEnt-Type": "bad"}}, {"headers": "cannot contain 'Content-Type' header"}),
        ("http-log", {"http_endpoint": "http://hi:there@h/", "headers": {"AuthoRIZATion": "bad"}}, "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed"),
        ("http-log", {"http_endpoint": "http://h/", "queue": {"concurrency_limit": 2}}, {"queue": {"concurrency_limit": "expected one of: -1, 1"}}),
        ("file-log", {"reopen": True}, {"path": MISSING}),
        ("file-log", {"path": "/ovo*"}, {"path": "not a valid filename"}),
        ("file-log", {"path": 5}, {"path": "expected a string"}),
        ("statsd", {"metrics": [{"name": "request_count", "sample_rate": 1}]}, {"metrics": [{"stat_type": MISSING_FOR_CHECK}]}),
        ("statsd", {"metrics": [{"stat_type": "counter", "sample_rate": 1}]}, {"metrics": [{"name": MISSING}]}),
        ("statsd", {"metrics": [{"name": "request_count", "stat_type": "counter"}]}, {"metrics": [{"@entity": ["failed conditional validation given value of field 'stat_type'"], "sample_rate": MISSING}]}),
        ("statsd", {"metrics": [{"name": "request_count", "stat_type": "invalid_stat"}]}, {"metrics": [{"stat_type": "expected one of: counter, gauge, histogram, meter, set, timer"}]}),
        ("statsd", {"allow_status_codes": ["test"]}, {"allow_status_codes": ["invalid value: test"]}),
        ("datadog", {"metrics": [{"name": "latency", "stat_type": "timer", "tags": ["T1:"]}]}, {"metrics": [{"tags": ["invalid value: T1:"]}]}),
        ("zipkin", {"static_tags": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}, {"static_tags": "repeated tags are not allowed: a"}),
        ("zipkin", {"traceid_byte_count": 4}, {"traceid_byte_count": "expected one of: 8, 16"}),
        ("opentelemetry", {}, {"@entity": ["at least one of these fields must be non-empty: 'traces_endpoint', 'logs_endpoint'"]}),
        ("proxy-cache", {}, {"strategy": MISSING}),
        ("proxy-cache", {"strategy": "redis"}, {"strategy": "expected one of: memory"}),
        ("proxy-cache", {"strategy": "memory", "response_code": []}, {"response_code": "length must be at least 1"}),
        ("redirect", {}, {"location": MISSING}),
        ("standard-webhooks", {"secret_v1": "x", "tolerance_second": -1}, {"tolerance_second": "value must be greater than -1"}),
        ("acme", {"account_email": "notaemail"}, {"account_email": "invalid value: notaemail"}),
        ("acme", {"account_email": "a@b", "storage_config": {"redis": {"extra_options": {"namespace": "kong_acme:cert_key:x"}}}}, {"storage_config": {"redis": {"extra_options": {"namespace": "namespace can't be prefixed with reserved word: kong_acme:cert_key:"}}}}),
        ("aws-lambda", {"unhandled_status": 99}, {"unhandled_status": "value should be between 100 and 999"}),
        ("azure-functions", {}, {"appname": MISSING, "functionname": MISSING}),
        ("ai-prompt-decorator", {"prompts": {"append": [{"content": "x" * 501}]}}, {"prompts": {"append": [{"content": "length must be at most 500"}]}}),
        ("ai-prompt-template", {"templates": [{"name": "x"}]}, {"templates": [{"template": MISSING}]}),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_configuration_is_said_in_kongs_words(
    name: str, given: dict[str, Any], expected: Any
) -> None:
    assert complaints(name, given) == {"config": expected}


def model(provider: str, **options: Any) -> dict[str, Any]:
    return {
        "route_type": "llm/v1/chat",
        "auth": {"header_name": "Authorization", "header_value": "Bearer token"},
        "model": {"name": "m", "provider": provider, "options": options},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (model("llama2", llama2_format="raw"), "must set 'model.options.upstream_url' for self-hosted providers/models"),
        (model("anthropic"), "must set 'model.options.anthropic_version' for anthropic provider"),
        (model("azure", azure_deployment_id="d"), "must set 'model.options.azure_instance' for azure provider"),
        (model("openai") | {"auth": {"header_name": "a"}}, "all or none of these fields must be set: 'auth.header_name', 'auth.header_value'"),
        (model("openai") | {"auth": {"param_name": "a", "param_value": "b"}}, "all or none of these fields must be set: 'auth.param_name', 'auth.param_value', 'auth.param_location'"),
        (model("anthropic", anthropic_version="v") | {"route_type": "llm/v1/completions", "logging": {"log_statistics": True}}, "anthropic does not support statistics when route_type is llm/v1/completions"),
    ],
)  # fmt: skip
def test_rules_over_a_record_are_said_of_that_record(given: dict[str, Any], expected: str) -> None:
    assert complaints("ai-proxy", given) == {"config": {"@entity": [expected]}}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("rate-limiting", {}, {"@entity": [NO_PERIODS]}),
        ("rate-limiting", {"second": 10, "limit_by": "header"}, {"@entity": ["failed conditional validation given value of field 'config.limit_by'"], "config": {"header_name": MISSING}}),
        ("rate-limiting", {"second": 10, "policy": "redis"}, {"@entity": ["failed conditional validation given value of field 'config.policy'"], "config": {"redis": {"host": MISSING}}}),
        ("acl", {"allow": ["a"], "deny": ["b"]}, {"@entity": ["exactly one of these fields must be non-empty: 'config.allow', 'config.deny'"]}),
        ("ip-restriction", {}, {"@entity": ["at least one of these fields must be non-empty: 'config.allow', 'config.deny'"]}),
        ("jwt", {"maximum_expiration": 300, "claims_to_verify": ["nbf"]}, {"@entity": ["failed conditional validation given value of field 'config.maximum_expiration'"], "config": {"claims_to_verify": "expected to contain: exp"}}),
        ("acme", {"account_email": "a@b", "api_uri": "https://acme-v02.api.letsencrypt.org"}, {"@entity": ["terms of service must be accepted, see https://letsencrypt.org/repository/"], "config": {"tos_accepted": "value must be true"}}),
        ("aws-lambda", {"aws_secret": "xx"}, {"@entity": ["all or none of these fields must be set: 'config.aws_key', 'config.aws_secret'"]}),
        ("aws-lambda", {"proxy_url": "https://squid:3128"}, {"@entity": ["proxy_url scheme must be http"]}),
        ("ai-prompt-guard", {"deny_patterns": ["x"], "match_all_roles": True, "allow_all_conversation_history": True}, {"@entity": ["failed conditional validation given value of field 'config.match_all_roles'"], "config": {"allow_all_conversation_history": "value must be false"}}),
        ("ai-request-transformer", {"prompt": "p", "llm": model("openai") | {"route_type": "preserve"}}, {"@entity": ["'config.llm.route_type' must be 'llm/v1/chat' for AI transformer plugins"], "config": {"llm": {"route_type": "value must be llm/v1/chat"}}}),
    ],
)  # fmt: skip
def test_rules_over_the_whole_plugin_are_said_of_the_entity(
    name: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert complaints(name, given) == expected


def test_a_rule_over_a_record_that_has_one_of_its_own() -> None:
    config = {"ldap_host": "h", "base_dn": "d", "attribute": "a", "ldaps": True, "start_tls": True}
    assert complaints("ldap-auth", config) == {
        "config": {
            "@entity": ["'ldaps' and 'start_tls' cannot be enabled simultaneously"],
            "start_tls": "value must be false",
        }
    }
    flows = {"enable_implicit_grant": True, "mandatory_scope": True}
    assert complaints("oauth2", flows) == {
        "config": {
            "@entity": ["failed conditional validation given value of field 'mandatory_scope'"],
            "scopes": MISSING,
        }
    }


def test_a_lists_errors_are_printed_with_their_places() -> None:
    error = refusal("cors", {"origins": [".*", "(("]})
    assert error.message == (
        "schema violation (config.origins: {\n  [2] = \"'((' is not a valid regex\"\n})"
    )


def test_the_message_names_the_path_of_what_is_wrong() -> None:
    assert refusal("rate-limiting", {"minute": "x"}).message == (
        "schema violation (config.minute: expected a number)"
    )
    assert refusal("rate-limiting", {"minute": 1, "policy": "redis"}).message == (
        "2 schema violations (failed conditional validation given value of field 'config.policy'; "
        'config.redis: {\n  host = "required field missing"\n})'
    )


@pytest.mark.parametrize("config", [5, "x", [], [1], None, True])
def test_a_configuration_that_is_no_record_is_refused(config: Any) -> None:
    wrong = MISSING if config is None else "expected a record"
    assert complaints("key-auth", config) == {"config": wrong}
    assert complaints("rate-limiting", config)["config"] == wrong


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


def test_a_vault_reference_meets_every_rule_of_a_referenceable_field() -> None:
    reference = "{vault://env/endpoint}"
    assert config_of("http-log", {"http_endpoint": reference})["http_endpoint"] == reference
    assert complaints("redirect", {"location": reference}) == {
        "config": {"location": "missing host in url"}
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
    assert ("None of these plugins runs yet." in page()) == (not BUILT)
