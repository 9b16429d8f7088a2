"""Rules over several fields of a plugin's configuration, and how their errors are put together."""

from typing import Any

import pytest

from tests.store.plugin_instances import complaints, refusal

NO_PERIODS = "at least one of these fields must be non-empty: " + ", ".join(
    f"'config.{period}'" for period in ("second", "minute", "hour", "day", "month", "year")
)
MISSING = "required field missing"


def model(provider: str, **options: Any) -> dict[str, Any]:
    return {
        "route_type": "llm/v1/chat",
        "auth": {"header_name": "Authorization", "header_value": "Bearer token"},
        "model": {"name": "m", "provider": provider, "options": options},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            model("llama2", llama2_format="raw"),
            "must set 'model.options.upstream_url' for self-hosted providers/models",
        ),
        (model("anthropic"), "must set 'model.options.anthropic_version' for anthropic provider"),
        (
            model("azure", azure_deployment_id="d"),
            "must set 'model.options.azure_instance' for azure provider",
        ),
        (
            model("openai") | {"auth": {"header_name": "a"}},
            "all or none of these fields must be set: 'auth.header_name', 'auth.header_value'",
        ),
        (
            model("openai") | {"auth": {"param_name": "a", "param_value": "b"}},
            "all or none of these fields must be set: "
            "'auth.param_name', 'auth.param_value', 'auth.param_location'",
        ),
        (
            model("anthropic", anthropic_version="v")
            | {"route_type": "llm/v1/completions", "logging": {"log_statistics": True}},
            "anthropic does not support statistics when route_type is llm/v1/completions",
        ),
    ],
)
def test_rules_over_a_record_are_said_of_that_record(given: dict[str, Any], expected: str) -> None:
    assert complaints("ai-proxy", given) == {"config": {"@entity": [expected]}}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("rate-limiting", {}, {"@entity": [NO_PERIODS]}),
        (
            "rate-limiting",
            {"second": 10, "limit_by": "header"},
            {
                "@entity": ["failed conditional validation given value of field 'config.limit_by'"],
                "config": {"header_name": MISSING},
            },
        ),
        (
            "rate-limiting",
            {"second": 10, "policy": "redis"},
            {
                "@entity": ["failed conditional validation given value of field 'config.policy'"],
                "config": {"redis": {"host": MISSING}},
            },
        ),
        (
            "acl",
            {"allow": ["a"], "deny": ["b"]},
            {
                "@entity": [
                    "exactly one of these fields must be non-empty: 'config.allow', 'config.deny'"
                ]
            },
        ),
        (
            "ip-restriction",
            {},
            {
                "@entity": [
                    "at least one of these fields must be non-empty: 'config.allow', 'config.deny'"
                ]
            },
        ),
        (
            "jwt",
            {"maximum_expiration": 300, "claims_to_verify": ["nbf"]},
            {
                "@entity": [
                    "failed conditional validation given value of field 'config.maximum_expiration'"
                ],
                "config": {"claims_to_verify": "expected to contain: exp"},
            },
        ),
        (
            "acme",
            {"account_email": "a@b", "api_uri": "https://acme-v02.api.letsencrypt.org"},
            {
                "@entity": [
                    "terms of service must be accepted, see https://letsencrypt.org/repository/"
                ],
                "config": {"tos_accepted": "value must be true"},
            },
        ),
        (
            "aws-lambda",
            {"aws_secret": "xx"},
            {
                "@entity": [
                    "all or none of these fields must be set: 'config.aws_key', 'config.aws_secret'"
                ]
            },
        ),
        (
            "aws-lambda",
            {"proxy_url": "https://squid:3128"},
            {"@entity": ["proxy_url scheme must be http"]},
        ),
        (
            "ai-prompt-guard",
            {
                "deny_patterns": ["x"],
                "match_all_roles": True,
                "allow_all_conversation_history": True,
            },
            {
                "@entity": [
                    "failed conditional validation given value of field 'config.match_all_roles'"
                ],
                "config": {"allow_all_conversation_history": "value must be false"},
            },
        ),
        (
            "ai-request-transformer",
            {"prompt": "p", "llm": model("openai") | {"route_type": "preserve"}},
            {
                "@entity": [
                    "'config.llm.route_type' must be 'llm/v1/chat' for AI transformer plugins"
                ],
                "config": {"llm": {"route_type": "value must be llm/v1/chat"}},
            },
        ),
    ],
)
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
