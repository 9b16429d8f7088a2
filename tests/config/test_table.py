"""The table of keys, and the page that is made from it."""

from pathlib import Path

from node.config import kong_keys
from node.config.reference import page
from node.config.settings import SECTIONS, keys

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_every_constant_default_is_a_value_of_its_key() -> None:
    for row in keys():
        if row.default is not None:
            row.parse(row.default)


def test_names_and_aliases_are_unique_and_no_other_keys_of_kongs() -> None:
    names = [name for row in keys() for name in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert not set(names) & kong_keys.HARMLESS
    assert not any(kong_keys.meaningful(name) for name in names)


def test_no_key_is_both_harmless_and_meaningful() -> None:
    assert not any(kong_keys.meaningful(key) for key in kong_keys.HARMLESS)


def test_every_section_begins_with_a_key() -> None:
    assert SECTIONS.keys() <= {row.field for row in keys()}
    assert keys()[0].field in SECTIONS


def test_the_documentation_is_the_tables() -> None:
    assert DOCS.read_text() == page(), (
        "run: python -m node.config.reference > docs/configuration.md"
    )
