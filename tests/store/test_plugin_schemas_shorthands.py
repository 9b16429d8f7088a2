"""Older names of settings: taken on input, turned into the newer ones, shown where Kong shows them.

Facts of Kong's ``spec/03-plugins/23-rate-limiting/06-shorthand_fields_spec.lua`` and its schemas.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from store.schema.field import Field
from store.schema.plugins import plugin_names
from tests.store.plugin_instances import (
    PLUGINS,
    complaints,
    config_of,
    known,
    shown_config,
    validated,
)

OLD = {
    "minute": 100,
    "policy": "redis",
    "redis_host": "custom-host.example.test",
    "redis_port": 55000,
    "redis_username": "test1",
    "redis_password": "testX",
    "redis_database": 1,
    "redis_timeout": 1100,
    "redis_ssl": True,
    "redis_ssl_verify": True,
    "redis_server_name": "example.test",
}
OLD_NAMES = {name: value for name, value in OLD.items() if name.startswith("redis_")}
NEW = {name.removeprefix("redis_"): value for name, value in OLD_NAMES.items()}


def test_older_names_are_kept_under_the_newer_ones() -> None:
    config = config_of("rate-limiting", OLD)
    assert config["redis"] == NEW
    assert not set(config) & set(OLD_NAMES)


def test_answers_show_older_names_too() -> None:
    answer = shown_config("rate-limiting", {"minute": 1, "redis": NEW})
    assert {name: answer[name] for name in OLD_NAMES} == OLD_NAMES
    assert answer["redis"] == NEW


def test_unset_older_names_are_shown_with_the_newer_ones_values() -> None:
    answer = shown_config("response-ratelimiting", {"limits": {"video": {"minute": 1}}})
    assert (answer["redis_host"], answer["redis_port"]) == (None, 6379)


def test_what_an_answer_shows_can_be_written_back() -> None:
    assert config_of("rate-limiting", shown_config("rate-limiting", OLD)) == config_of(
        "rate-limiting", OLD
    )


def test_a_change_by_an_older_name_changes_the_newer_one_alone() -> None:
    stored = validated("rate-limiting", OLD)
    changed = PLUGINS.validate_patch(stored, {"config": {"redis_host": "testhost"}}, 2.0)
    assert changed["config"]["redis"] == NEW | {"host": "testhost"}
    assert changed["config"]["minute"] == 100


def test_a_change_within_a_record_leaves_its_other_fields() -> None:
    stored = validated("rate-limiting", OLD)
    changed = PLUGINS.validate_patch(stored, {"config": {"redis": {"port": 1}}}, 2.0)
    assert changed["config"]["redis"] == NEW | {"port": 1}


def test_a_change_may_set_a_field_to_null() -> None:
    stored = validated("rate-limiting", {"minute": 1, "hour": 2})
    changed = PLUGINS.validate_patch(stored, {"config": {"minute": None}}, 2.0)
    assert (changed["config"]["minute"], changed["config"]["hour"]) == (None, 2)


def test_both_names_may_be_given_when_they_agree() -> None:
    both = {"minute": 1, "redis_host": "h", "redis": {"host": "h"}}
    assert config_of("rate-limiting", both)["redis"]["host"] == "h"


def test_names_that_disagree_are_refused() -> None:
    both = {"minute": 1, "redis_ssl": True, "redis": {"ssl": False}}
    assert complaints("rate-limiting", both) == {
        "config": {
            "redis_ssl": (
                "both deprecated and new field are used but their values mismatch: "
                "redis_ssl = true vs redis.ssl = false"
            )
        }
    }


@pytest.mark.parametrize(
    ("config", "host"),
    [
        ({"redis_host": None, "redis": {"host": "h"}}, "h"),
        ({"redis_host": "h", "redis": {"host": None}}, "h"),
        ({"redis_host": "h", "redis": None}, "h"),
        ({"redis_host": None}, None),
    ],
)
def test_the_name_that_has_a_value_counts(config: dict[str, Any], host: str | None) -> None:
    assert config_of("rate-limiting", {"minute": 1, **config})["redis"]["host"] == host


def test_an_older_name_has_a_type_of_its_own() -> None:
    wrong = {"minute": 1, "redis_port": "x", "redis_host": 5}
    assert complaints("rate-limiting", wrong) == {
        "config": {"redis_port": "expected an integer", "redis_host": "expected a string"}
    }


def test_the_newer_fields_rules_hold_for_what_an_older_name_brings() -> None:
    assert complaints("rate-limiting", {"minute": 1, "redis_port": 70000}) == {
        "config": {"redis": {"port": "value should be between 0 and 65535"}}
    }


def test_forms_bring_older_names_as_text() -> None:
    form = {"redis_port": "6380", "redis": {"ssl": "true"}}
    inferred = PLUGINS.infer({"name": "rate-limiting", "config": form})
    assert inferred["config"] == {"redis_port": 6380, "redis": {"ssl": True}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cookie_lifetime": 10}, {"rolling_timeout": 10}),
        ({"cookie_idletime": 11}, {"idling_timeout": 11}),
        ({"cookie_idletime": None}, {"idling_timeout": 0}),
        ({"cookie_discard": 12}, {"stale_ttl": 12}),
        ({"cookie_samesite": "off"}, {"cookie_same_site": "Lax"}),
        ({"cookie_samesite": "None"}, {"cookie_same_site": "None"}),
        ({"cookie_httponly": False}, {"cookie_http_only": False}),
        ({"cookie_persistent": True}, {"remember": True}),
        ({"cookie_renew": 600}, {}),
    ],
)
def test_older_names_of_sessions(given: dict[str, Any], expected: dict[str, Any]) -> None:
    config = config_of("session", {"secret": "s", **given})
    assert config == config_of("session", {"secret": "s"}) | expected
    assert set(shown_config("session", {"secret": "s"})) == set(config)


def test_the_older_name_of_a_traces_endpoint() -> None:
    config = config_of("opentelemetry", {"endpoint": "http://h/"})
    assert config["traces_endpoint"] == "http://h/"
    both = {"endpoint": "http://old/", "traces_endpoint": "http://new/"}
    assert config_of("opentelemetry", both)["traces_endpoint"] == "http://new/"


def test_older_names_in_a_record_within() -> None:
    given = {"auth": "p", "ssl_server_name": "n.test", "namespace": "ns", "scan_count": 5}
    storage = {"account_email": "a@b", "storage_config": {"redis": given}}
    redis = config_of("acme", storage)["storage_config"]["redis"]
    assert (redis["password"], redis["server_name"]) == ("p", "n.test")
    assert redis["extra_options"] == {"namespace": "ns", "scan_count": 5}
    assert shown_config("acme", storage)["storage_config"]["redis"] == redis | given


def older_names(field: Field) -> Iterator[tuple[Field, Field]]:
    """The fields of older names in a record, each with the one that it stands for."""
    for shorthand in (field.shorthands or {}).values():
        newer = field
        for name in shorthand.path:
            newer = (newer.fields or {})[name]
        if shorthand.path:
            yield shorthand.field, newer
    for part in (field.fields or {}).values():
        yield from older_names(part)


@pytest.mark.parametrize("name", plugin_names())
def test_an_older_name_takes_whatever_it_may_show(name: str) -> None:
    for older, newer in older_names(known(name).config):
        assert (older.type, older.one_of) == (newer.type, newer.one_of)
        assert older.between is None or older.between == newer.between
        assert (older.len_min or 0) <= (newer.len_min or 0)
