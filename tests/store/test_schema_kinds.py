"""What holds for the schema of every kind."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.schema import cold_kinds, kinds, schema
from store.schema.__main__ import page
from store.schema.completion import complete
from store.schema.field import UNSET, Field
from store.schema.values import errors_of


def test_kinds_stand_after_those_they_refer_to() -> None:
    for number, kind in enumerate(kinds()):
        assert set(schema(kind).references.values()) <= set(kinds()[: number + 1])


@pytest.mark.parametrize("kind", kinds())
def test_descriptions_are_json(kind: str) -> None:
    assert json.loads(json.dumps(schema(kind).describe())) == schema(kind).describe()


@pytest.mark.parametrize("kind", kinds())
def test_keys_in_urls_are_unique(kind: str) -> None:
    known = schema(kind)
    assert known.endpoint_key is None or known.endpoint_key in known.unique
    assert known.scoped_key is None or known.scoped_key in known.unique_together


@pytest.mark.parametrize("kind", kinds())
def test_defaults_are_valid(kind: str) -> None:
    for field in fields_in(schema(kind).fields.values()):
        if field.default not in (UNSET, None):
            assert errors_of(field, complete(field, field.default)) is None


def fields_in(fields: object) -> Iterator[Field]:
    assert hasattr(fields, "__iter__")
    for field in fields:
        yield field
        yield from fields_in((field.fields or {}).values())


def test_consumers_and_what_plugins_keep_of_them_are_cold() -> None:
    assert cold_kinds() == {
        "consumers",
        "keyauth_credentials",
        "basicauth_credentials",
        "hmacauth_credentials",
        "jwt_secrets",
        "acls",
        "oauth2_credentials",
        "oauth2_authorization_codes",
        "oauth2_tokens",
        "sessions",
        "acme_storage",
    }


def test_unique_values_are_short_enough_for_an_index() -> None:
    for kind in kinds():
        for name in schema(kind).unique:
            assert schema(kind).fields[name].len_max or name == "cert_digest", (kind, name)


def test_the_page_of_entities_is_current() -> None:
    assert Path("docs/entities.md").read_text() == page(), (
        "run: python -m store.schema > docs/entities.md"
    )
