"""What is said of plugin configurations that aren't valid.

The cases are facts of Kong's own schema tests (``spec/03-plugins/*/…schema_spec.lua``) and of its
schemas' rules.
"""

from typing import Any

import pytest

from tests.store.plugin_instances import complaints

NO_FLOW = (
    "at least one of these fields must be true: enable_authorization_code, "
    "enable_implicit_grant, enable_client_credentials, enable_password_grant"
)
MISSING = "required field missing"
MISSING_FOR_CHECK = "field required for entity check"


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        (
            "rate-limiting",
            {"second": 20, "hour": 10},
            "The limit for hour(10.0) cannot be lower than the limit for second(20.0)",
        ),
        (
            "rate-limiting",
            {"second": 10, "minute": 20, "hour": 30, "day": 40, "month": 60, "year": 50},
            "The limit for year(50.0) cannot be lower than the limit for month(60.0)",
        ),
        (
            "rate-limiting",
            {"minute": 1, "sync_rate": 1},
            "sync_rate can only be used with the redis policy",
        ),
        (
            "rate-limiting",
            {"minute": 1, "sync_rate": 0.01, "policy": "redis", "redis": {"host": "h"}},
            "sync_rate must be greater than 0.02, or -1 to disable",
        ),
        ("rate-limiting", {"minute": "x"}, {"minute": "expected a number"}),
        ("rate-limiting", {"minute": 0}, {"minute": "value must be greater than 0"}),
        (
            "rate-limiting",
            {"minute": 1, "limit_by": "x"},
            {"limit_by": "expected one of: consumer, credential, ip, service, header, path"},
        ),
        ("rate-limiting", {"minute": 1, "foo": 1}, {"foo": "unknown field"}),
        ("rate-limiting", {"minute": 1, "redis": {"foo": 1}}, {"redis": {"foo": "unknown field"}}),
        (
            "rate-limiting",
            {"minute": 1, "redis": {"server_name": "1.2.3.4"}},
            {"redis": {"server_name": "must not be an IP"}},
        ),
        (
            "rate-limiting",
            {"minute": 1, "redis": {"server_name": "h:1"}},
            {"redis": {"server_name": "must not have a port"}},
        ),
        (
            "rate-limiting",
            {"minute": 1, "redis": {"server_name": "a..b"}},
            {"redis": {"server_name": "invalid value: a..b"}},
        ),
        ("rate-limiting", {"minute": 1, "redis": None}, {"redis": MISSING}),
        ("rate-limiting", {"minute": 1, "redis": 5}, {"redis": "expected a record"}),
        ("response-ratelimiting", {}, {"limits": MISSING}),
        ("response-ratelimiting", {"limits": {}}, {"limits": "length must be at least 1"}),
        ("response-ratelimiting", {"limits": {"second": 10}}, {"limits": "expected a record"}),
        (
            "response-ratelimiting",
            {"limits": {"video": {"second": 2, "minute": 1}}},
            {"limits": "the limit for minute(1.0) cannot be lower than the limit for second(2.0)"},
        ),
        (
            "cors",
            {"origins": [".*", "invalid_**regex("]},
            {"origins": [None, "'invalid_**regex(' is not a valid regex"]},
        ),
        (
            "cors",
            {"methods": ["FAKE"]},
            {
                "methods": [
                    "expected one of: GET, HEAD, PUT, PATCH, POST, DELETE, OPTIONS, TRACE, CONNECT"
                ]
            },
        ),
        (
            "request-transformer",
            {"http_method": "HELLO!"},
            {"http_method": "invalid value: HELLO!"},
        ),
        (
            "request-transformer",
            {"add": {"querystring": ["uri_param2:"]}},
            {"add": {"querystring": ["key 'uri_param2' has no value"]}},
        ),
        (
            "request-transformer",
            {"rename": {"headers": ["X-Test:not a header name"]}},
            {"rename": {"headers": ["'not a header name' is not a valid header"]}},
        ),
        (
            "request-transformer",
            {"add": {"headers": ["x"]}},
            {"add": {"headers": ["invalid value: x"]}},
        ),
        (
            "request-transformer",
            {"append": {"headers": ["X-Test:a\r\nX-More:b"]}},
            {"append": {"headers": ["'a\r\nX-More:b' is not a valid header"]}},
        ),
        (
            "response-transformer",
            {"add": {"headers": ["X-Test:a\nb"]}},
            {"add": {"headers": ["'a\nb' is not a valid header"]}},
        ),
        (
            "request-transformer",
            {"remove": {"headers": ["a b"]}},
            {"remove": {"headers": ["'a b' is not a valid header"]}},
        ),
        ("ip-restriction", {"allow": ["x"]}, {"allow": ["invalid ip or cidr range: 'x'"]}),
        ("request-termination", {"status_code": "abcd"}, {"status_code": "expected an integer"}),
        (
            "request-termination",
            {"status_code": 99},
            {"status_code": "value should be between 100 and 599"},
        ),
        (
            "request-termination",
            {"message": "error", "body": "test"},
            "message cannot be used with content_type or body",
        ),
        (
            "request-termination",
            {"message": "error", "content_type": "text/html"},
            "message cannot be used with content_type or body",
        ),
        ("request-termination", {"content_type": "text/html"}, "content_type requires a body"),
        (
            "request-termination",
            {"echo": True, "content_type": "text/html", "body": "b"},
            "echo cannot be used with content_type and body",
        ),
        ("bot-detection", {"deny": ["("]}, {"deny": ["not a valid regex: ("]}),
        (
            "correlation-id",
            {"generator": "x"},
            {"generator": "expected one of: uuid, uuid#counter, tracker"},
        ),
        (
            "key-auth",
            {"key_names": ["a b"]},
            {
                "key_names": [
                    "bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
                ]
            },
        ),
        ("key-auth", {"hide_credentials": "x"}, {"hide_credentials": "expected a boolean"}),
        (
            "hmac-auth",
            {"algorithms": ["md5"]},
            {"algorithms": ["expected one of: hmac-sha1, hmac-sha256, hmac-sha384, hmac-sha512"]},
        ),
        ("hmac-auth", {"clock_skew": 0}, {"clock_skew": "value must be greater than 0"}),
        ("jwt", {"claims_to_verify": ["sub"]}, {"claims_to_verify": ["expected one of: exp, nbf"]}),
        (
            "jwt",
            {"maximum_expiration": 31536001},
            {"maximum_expiration": "value should be between 0 and 31536000"},
        ),
        ("oauth2", {}, NO_FLOW),
        ("ldap-auth", {"ldap_host": "h"}, {"base_dn": MISSING, "attribute": MISSING}),
        ("http-log", {"http_endpoint": "x"}, {"http_endpoint": "missing host in url"}),
        ("http-log", {"http_endpoint": "//h/p"}, {"http_endpoint": "missing scheme in url"}),
        (
            "http-log",
            {"http_endpoint": "http://h/", "headers": {"X-My-Header": ""}},
            {"headers": "length must be at least 1"},
        ),
        (
            "http-log",
            {"http_endpoint": "http://h/", "headers": {"X": "1", "Host": "MyHost"}},
            {"headers": "cannot contain 'Host' header"},
        ),
        (
            "http-log",
            {"http_endpoint": "http://h/", "headers": {"coNTEnt-Length": "123"}},
            {"headers": "cannot contain 'Content-Length' header"},
        ),
        (
            "http-log",
            {"http_endpoint": "http://h/", "headers": {"coNTEnt-Type": "bad"}},
            {"headers": "cannot contain 'Content-Type' header"},
        ),
        (
            "http-log",
            {"http_endpoint": "http://hi:there@h/", "headers": {"AuthoRIZATion": "bad"}},
            "specifying both an 'Authorization' header and user info in 'http_endpoint' "
            "is not allowed",
        ),
        (
            "http-log",
            {"http_endpoint": "http://h/", "queue": {"concurrency_limit": 2}},
            {"queue": {"concurrency_limit": "expected one of: -1, 1"}},
        ),
        ("file-log", {"reopen": True}, {"path": MISSING}),
        ("file-log", {"path": "/ovo*"}, {"path": "not a valid filename"}),
        ("file-log", {"path": 5}, {"path": "expected a string"}),
        (
            "statsd",
            {"metrics": [{"name": "request_count", "sample_rate": 1}]},
            {"metrics": [{"stat_type": MISSING_FOR_CHECK}]},
        ),
        (
            "statsd",
            {"metrics": [{"stat_type": "counter", "sample_rate": 1}]},
            {"metrics": [{"name": MISSING}]},
        ),
        (
            "statsd",
            {"metrics": [{"name": "request_count", "stat_type": "counter"}]},
            {
                "metrics": [
                    {
                        "@entity": [
                            "failed conditional validation given value of field 'stat_type'"
                        ],
                        "sample_rate": MISSING,
                    }
                ]
            },
        ),
        (
            "statsd",
            {"metrics": [{"name": "request_count", "stat_type": "invalid_stat"}]},
            {
                "metrics": [
                    {"stat_type": "expected one of: counter, gauge, histogram, meter, set, timer"}
                ]
            },
        ),
        (
            "statsd",
            {"allow_status_codes": ["test"]},
            {"allow_status_codes": ["invalid value: test"]},
        ),
        (
            "datadog",
            {"metrics": [{"name": "latency", "stat_type": "timer", "tags": ["T1:"]}]},
            {"metrics": [{"tags": ["invalid value: T1:"]}]},
        ),
        (
            "zipkin",
            {"static_tags": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]},
            {"static_tags": "repeated tags are not allowed: a"},
        ),
        ("zipkin", {"traceid_byte_count": 4}, {"traceid_byte_count": "expected one of: 8, 16"}),
        (
            "opentelemetry",
            {},
            {
                "@entity": [
                    "at least one of these fields must be non-empty: "
                    "'traces_endpoint', 'logs_endpoint'"
                ]
            },
        ),
        ("proxy-cache", {}, {"strategy": MISSING}),
        ("proxy-cache", {"strategy": "redis"}, {"strategy": "expected one of: memory"}),
        (
            "proxy-cache",
            {"strategy": "memory", "response_code": []},
            {"response_code": "length must be at least 1"},
        ),
        ("redirect", {}, {"location": MISSING}),
        (
            "standard-webhooks",
            {"secret_v1": "x", "tolerance_second": -1},
            {"tolerance_second": "value must be greater than -1"},
        ),
        ("acme", {"account_email": "notaemail"}, {"account_email": "invalid value: notaemail"}),
        (
            "acme",
            {
                "account_email": "a@b",
                "storage_config": {
                    "redis": {"extra_options": {"namespace": "kong_acme:cert_key:x"}}
                },
            },
            {
                "storage_config": {
                    "redis": {
                        "extra_options": {
                            "namespace": "namespace can't be prefixed with reserved word: "
                            "kong_acme:cert_key:"
                        }
                    }
                }
            },
        ),
        (
            "aws-lambda",
            {"unhandled_status": 99},
            {"unhandled_status": "value should be between 100 and 999"},
        ),
        ("azure-functions", {}, {"appname": MISSING, "functionname": MISSING}),
        (
            "ai-prompt-decorator",
            {"prompts": {"append": [{"content": "x" * 501}]}},
            {"prompts": {"append": [{"content": "length must be at most 500"}]}},
        ),
        (
            "ai-prompt-template",
            {"templates": [{"name": "x"}]},
            {"templates": [{"template": MISSING}]},
        ),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said_in_kongs_words(
    name: str, given: dict[str, Any], expected: Any
) -> None:
    assert complaints(name, given) == {"config": expected}
