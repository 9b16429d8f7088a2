"""Plugins as entities: which ones may be configured, where, and with what."""

from typing import Any

import pytest

from store.errors import EntityError
from store.schema import schema, schemas_with_plugins
from tests.store.refusals import ID, NOW, OTHER_ID, new, said

PLUGINS = schema("plugins")
KEY_AUTH_DEFAULTS = {
    "key_names": ["apikey"],
    "hide_credentials": False,
    "anonymous": None,
    "key_in_header": True,
    "key_in_query": True,
    "key_in_body": False,
    "run_on_preflight": True,
    "realm": None,
}


def test_a_new_plugin_has_kongs_defaults() -> None:
    assert new("plugins", name="key-auth") == {
        "id": ID,
        "name": "key-auth",
        "instance_name": None,
        "created_at": int(NOW),
        "updated_at": int(NOW),
        "route": None,
        "service": None,
        "consumer": None,
        "config": KEY_AUTH_DEFAULTS,
        "protocols": ["grpc", "grpcs", "http", "https"],
        "enabled": True,
        "tags": None,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "name: required field missing"),
        (
            {"name": "nothing", "foo": 1},
            "name: plugin 'nothing' not enabled; add it to the 'plugins' configuration property",
        ),
        ({"name": 1}, "name: expected a string"),
        (
            {"name": "key-auth", "consumer": {"id": OTHER_ID}},
            "consumer: value must be null",
        ),
        ({"name": "key-auth", "config": {"foo": 1}}, "config.foo: unknown field"),
        ({"name": "key-auth", "config": 1}, "config: expected a record"),
        ({"name": "key-auth", "enabled": None}, "enabled: required field missing"),
        (
            {"name": "key-auth", "instance_name": "a b"},
            "instance_name: invalid value 'a b': "
            "the only accepted ascii characters are alphanumerics or ., -, _, and ~",
        ),
    ],
)
def test_what_is_wrong_is_said_in_kongs_words(fields: dict[str, Any], expected: str) -> None:
    assert said("plugins", fields) == expected


def test_a_patch_reaches_into_the_configuration() -> None:
    plugin = new("plugins", name="key-auth")
    patched = PLUGINS.validate_patch(plugin, {"config": {"hide_credentials": True}}, NOW)
    assert patched["config"] == {**KEY_AUTH_DEFAULTS, "hide_credentials": True}


def test_texts_of_a_form_become_the_types_of_the_plugins_settings() -> None:
    fields = {"config": {"hide_credentials": "true", "key_names": "k"}, "enabled": "false"}
    typed = {"config": {"hide_credentials": True, "key_names": ["k"]}, "enabled": False}
    assert PLUGINS.infer({"name": "key-auth", **fields}) == {"name": "key-auth", **typed}
    assert PLUGINS.infer(fields, {"name": "key-auth"}) == typed


def test_only_the_plugins_that_a_node_hands_in_can_be_configured() -> None:
    plugins = schemas_with_plugins(enabled=["cors"], unbuilt=["key-auth"])("plugins")
    assert plugins.validate_new({"name": "cors"}, NOW)["name"] == "cors"
    for name, wrong in (
        (
            "key-auth",
            "plugin 'key-auth' is not available: this version of grapevine doesn't run it yet",
        ),
        ("jwt", "plugin 'jwt' not enabled; add it to the 'plugins' configuration property"),
    ):
        with pytest.raises(EntityError) as caught:
            plugins.validate_new({"name": name}, NOW)
        assert caught.value.fields == {"name": wrong}


def test_one_instance_of_a_plugin_per_combination_of_what_it_runs_for() -> None:
    def claim(**fields: Any) -> str:
        return PLUGINS.claims({"name": "cors", **fields})["name+route+service+consumer"]

    everywhere = claim()
    assert everywhere == claim(route=None, service=None, consumer=None)
    assert claim(route={"id": ID}) not in (everywhere, claim(service={"id": ID}))
