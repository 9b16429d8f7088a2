"""``GET /schemas/plugins/{name}``: a plugin's schema in Kong's schema language."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from store.schema.plugins import plugin_names
from tests.store.plugin_instances import PLUGINS

HTTP = ["grpc", "grpcs", "http", "https"]


def described(name: str) -> dict[str, dict[str, Any]]:
    """The fields of the answer by name."""
    fields = PLUGINS.describe_subschema(name)["fields"]
    assert all(len(field) == 1 for field in fields)
    return {key: value for field in fields for key, value in field.items()}


def settings(record: dict[str, Any], part: str = "fields") -> dict[str, Any]:
    """The fields of a described record by name."""
    return {key: value for field in record[part] for key, value in field.items()}


def test_the_answer_has_the_fields_that_a_plugin_decides() -> None:
    assert list(described("key-auth")) == ["consumer", "protocols", "config"]
    assert list(described("rate-limiting")) == ["protocols", "config"]
    assert list(described("acme")) == ["consumer", "service", "route", "protocols", "config"]
    assert PLUGINS.describe_subschema("key-auth")["entity_checks"] == []


def test_what_a_plugin_can_not_be_bound_to_must_be_null() -> None:
    assert described("key-auth")["consumer"] == {
        "type": "foreign",
        "reference": "consumers",
        "eq": None,
    }


def test_protocols_are_described_as_a_set_with_its_default() -> None:
    shown = described("key-auth")["protocols"]
    assert shown.pop("description")
    assert shown == {
        "type": "set",
        "required": True,
        "default": HTTP,
        "elements": {"type": "string", "one_of": HTTP},
    }
    assert described("ip-restriction")["protocols"]["elements"]["one_of"] == [
        *("grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp")
    ]


def test_the_configuration_is_a_required_record_of_fields() -> None:
    config = described("key-auth")["config"]
    assert (config["type"], config["required"]) == ("record", True)
    fields = settings(config)
    assert fields["key_names"]["default"] == ["apikey"]
    assert fields["key_names"]["elements"] == {"type": "string"}
    assert fields["hide_credentials"]["default"] is False


def test_rules_are_shown_with_their_paths() -> None:
    checks = PLUGINS.describe_subschema("rate-limiting")["entity_checks"]
    assert checks[0] == {
        "at_least_one_of": [
            f"config.{period}" for period in ("second", "minute", "hour", "day", "month", "year")
        ]
    }
    assert checks[1] == {
        "conditional": {
            "if_field": "config.policy",
            "if_match": {"eq": "redis"},
            "then_field": "config.redis.host",
            "then_match": {"required": True},
        }
    }
    assert described("ldap-auth")["config"]["entity_checks"] == [
        {
            "conditional": {
                "if_field": "ldaps",
                "if_match": {"eq": True},
                "then_field": "start_tls",
                "then_match": {"eq": False},
                "then_err": "'ldaps' and 'start_tls' cannot be enabled simultaneously",
            }
        }
    ]


def test_older_names_are_shown_with_what_replaces_them() -> None:
    shown = settings(described("rate-limiting")["config"], "shorthand_fields")
    assert shown["redis_host"] == {
        "type": "string",
        "translate_backwards": ["redis", "host"],
        "deprecation": {
            "message": (
                "rate-limiting: config.redis_host is deprecated, "
                "please use config.redis.host instead"
            ),
            "removal_in_version": "4.0",
            "replaced_with": [{"path": ["redis", "host"]}],
        },
    }
    assert shown["redis_password"]["len_min"] == 0


def test_deprecated_fields_say_which_value_is_no_reason_to_complain() -> None:
    fields = settings(described("http-log")["config"])
    assert fields["queue_size"]["deprecation"] == {
        "message": (
            "http-log: config.queue_size is deprecated, "
            "please use config.queue.max_batch_size instead"
        ),
        "removal_in_version": "4.0",
        "old_default": 1,
    }


def test_secrets_are_marked() -> None:
    redis = settings(settings(described("rate-limiting")["config"])["redis"])
    assert redis["password"]["referenceable"] is True
    assert redis["password"]["encrypted"] is True
    assert "encrypted" not in redis["username"]
    assert settings(described("session")["config"])["secret"]["auto"] is True


def test_bounds_and_options_are_shown() -> None:
    fields = settings(described("rate-limiting")["config"])
    assert fields["minute"]["gt"] == 0
    assert fields["limit_by"]["one_of"] == [
        *("consumer", "credential", "ip", "service", "header", "path")
    ]
    tag = settings(settings(described("zipkin")["config"])["static_tags"]["elements"])
    assert "http.method" in tag["name"]["not_one_of"]
    path = settings(described("file-log")["config"])["path"]
    assert (path["match"], path["err"]) == (r"^[^*&%%\`]+$", "not a valid filename")


@pytest.mark.parametrize("name", plugin_names())
def test_every_setting_says_what_it_is(name: str) -> None:
    def silent(record: dict[str, Any], path: str) -> Iterator[str]:
        for key, field in settings(record).items():
            if not field.get("description"):
                yield path + key
            for part in (field, field.get("elements", {}), field.get("values", {})):
                if part.get("type") == "record":
                    yield from silent(part, f"{path}{key}.")

    assert not list(silent(described(name)["config"], ""))


@pytest.mark.parametrize("name", plugin_names())
def test_every_schema_is_json(name: str) -> None:
    assert json.loads(json.dumps(PLUGINS.describe_subschema(name), allow_nan=False))
