"""References to secrets: what they lead to, and what becomes of those that lead nowhere."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.references import (
    Reference,
    Unresolvable,
    Vault,
    parse_reference,
    resolve,
    resolve_fields,
    resolve_value,
)
from store.schema import schema
from store.schema.field import Field

VAULTS = {"my-vault": Vault("env", "APP_"), "other": Vault("hcv", "")}
ENVIRON = {
    "SECRET": "s3cret",
    "MY_SECRET": "dashed",
    "MY_SECRET_PREVIOUS": "older",
    "APP_SECRET": "of the vault",
    "P_SECRET": "by the query",
    "PAIR": '{"user": "bob", "pass/word": "p", "n": 1}',
    "A/B": "a path",
    "BROKEN": "\udcff",
    "EMPTY": "",
}


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("{vault://env/SECRET}", "s3cret"),
        ("{vault://env/secret}", "s3cret"),
        ("{vault://env/my-secret}", "dashed"),
        ("{vault://env/my-secret#1}", "dashed"),
        ("{vault://env/my-secret#2}", "older"),
        ("{vault://env/secret/}", "s3cret"),
        ("{vault://my-vault/secret}", "of the vault"),
        ("{vault://env/secret?prefix=P_}", "by the query"),
        ("{vault://my-vault/secret?prefix=P-}", "by the query"),
        ("{vault://env/pair/user}", "bob"),
        ("{vault://env/pair/pass%2Fword}", "p"),
        ("{vault://env/a/b/}", "a path"),
        ("{vault://env/empty}", ""),
    ],
)
def test_a_reference_leads_to_a_variable_or_a_part_of_one(text: str, secret: str) -> None:
    assert resolve(text, VAULTS, ENVIRON) == secret


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{vault://env/NOWHERE}", "the variable NOWHERE isn't set"),
        ("{vault://nobody/secret}", "there is no vault 'nobody'"),
        ("{vault://other/secret}", "there is no vault 'other'"),
        ("{vault://}", "it names no vault, or no secret"),
        ("{vault://env}", "it names no vault, or no secret"),
        ("{vault://env/}", "it names no vault, or no secret"),
        ("{vault://env//key}", "it names no secret"),
        ("{vault://env/secret#x}", "its version is no number"),
        ("{vault://env/secret/key}", "the variable SECRET is no JSON"),
        ("{vault://env/pair/nobody}", "the variable PAIR has no text under the key 'nobody'"),
        ("{vault://env/pair/n}", "the variable PAIR has no text under the key 'n'"),
        ("{vault://env/broken}", "the variable BROKEN is no UTF-8"),
    ],
)
def test_what_leads_nowhere_says_why_and_no_secret(text: str, why: str) -> None:
    with pytest.raises(Unresolvable) as error:
        resolve(text, VAULTS, ENVIRON)
    assert why in str(error.value)
    assert not any(secret in str(error.value) for secret in ENVIRON.values() if secret)


def test_a_reference_has_its_parts() -> None:
    assert parse_reference("{vault://env/cert/key?prefix=SSL_#1}") == Reference(
        "env", "cert", "key", {"prefix": "SSL_"}, 1
    )


def test_the_prefix_of_the_configuration_is_that_of_the_vault_without_an_entity() -> None:
    vaults = {"env": Vault("env", "APP_")}
    assert resolve("{vault://env/secret}", vaults, ENVIRON) == "of the vault"


def test_secrets_stand_in_place_of_references_however_deep() -> None:
    told: list[tuple[str, str]] = []
    value = {"a": ["{vault://env/secret}", 1, None], "b": {"c": "{vault://env/gone}"}, "d": "x"}
    found = resolve_value(value, VAULTS, ENVIRON, lambda *what: told.append(what))
    assert found == {"a": ["s3cret", 1, None], "b": {"c": ""}, "d": "x"}
    assert told == [("{vault://env/gone}", "the variable GONE isn't set")]
    assert value["a"] == ["{vault://env/secret}", 1, None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_has_no_reference_is_answered_itself(value: Any) -> None:
    assert resolve_value(value, VAULTS, ENVIRON) is value


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
def test_no_text_is_too_odd(inner: str, environ: Mapping[str, str]) -> None:
    assert isinstance(resolve_value(f"{{vault://{inner}}}", {}, environ), str)


def test_only_fields_that_take_references_are_resolved() -> None:
    fields = {
        "secret": Field("string", referenceable=True),
        "message": Field("string"),
        "headers": Field("map", keys=Field("string"), values=Field("string", referenceable=True)),
        "keys": Field("array", elements=Field("string", referenceable=True)),
        "labels": Field("array", elements=Field("string")),
        "redis": Field("record", fields={"password": Field("string", referenceable=True)}),
        "nodes": Field(
            "array",
            elements=Field("record", fields={"token": Field("string", referenceable=True)}),
        ),
    }
    text = "{vault://env/secret}"
    value = {
        "secret": text,
        "message": text,
        "headers": {"Authorization": text, "Accept": "*/*"},
        "keys": [text, "plain"],
        "labels": [text],
        "redis": {"password": text, "host": text},
        "nodes": [{"token": text, "name": text}],
        "newer": text,
    }
    assert resolve_fields(fields, value, VAULTS, ENVIRON) == {
        "secret": "s3cret",
        "message": text,
        "headers": {"Authorization": "s3cret", "Accept": "*/*"},
        "keys": ["s3cret", "plain"],
        "labels": [text],
        "redis": {"password": "s3cret", "host": text},
        "nodes": [{"token": "s3cret", "name": text}],
        "newer": text,
    }
    plain = {"secret": "x", "keys": ["y"], "redis": None}
    assert resolve_fields(fields, plain, VAULTS, ENVIRON) is plain


def test_a_certificate_and_a_plugins_settings_have_fields_that_take_them() -> None:
    text = "{vault://env/secret}"
    certificate = {"cert": text, "key": text, "tags": [text]}
    fields = schema("certificates").fields
    found = resolve_fields(fields, certificate, VAULTS, ENVIRON)
    assert found == {"cert": "s3cret", "key": "s3cret", "tags": [text]}
    plugin = {"name": "session", "config": {"secret": text, "cookie_name": text}}
    found = resolve_fields(schema("plugins").fields_of(plugin), plugin, VAULTS, ENVIRON)
    assert found["config"] == {"secret": "s3cret", "cookie_name": text}
