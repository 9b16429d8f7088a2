"""The documentation of the entities, made from their schemas: ``python -m store.schema``."""

from collections.abc import Iterator

from store.schema import Schema, kinds, schema
from store.schema.tables import entity_table

_HEAD = """\
# Entities

This page is made by `python -m store.schema`; a test compares the two.

The kinds of entities, their fields, defaults, rules and error texts are those of Kong 3.9. Where a
kind has a key beside its id, URLs take either. A field that is *required* can't be null. Fields
marked *secret* take a reference to a vault, `{vault://…}`, in place of the value. `GET
/schemas/{kind}` of the Admin API answers the same with all rules, and `POST
/schemas/{kind}/validate` tries one out.

What a plugin's `config` may say is on [its own page](plugins.md). Filter chains need WebAssembly,
which is always off here; workspaces have no endpoints.

Kong is a trademark of Kong Inc. Grapevine is an independent project, not affiliated with or
endorsed by Kong Inc.

| kind | paths | key |
|---|---|---|
"""


def page() -> str:
    """The whole of docs/entities.md."""
    schemas = [schema(kind) for kind in kinds()]
    index = "".join(
        f"| [{own.kind}](#{own.kind}) | {_paths(own)} | {_key(own)} |\n" for own in schemas
    )
    return _HEAD + index + "".join("".join(_section(own)) for own in schemas)


def _paths(own: Schema) -> str:
    if own.endpoints == "nowhere":
        return "none"
    paths = [f"`/{own.collection_name}`"] if own.endpoints == "everywhere" else []
    for target in dict.fromkeys(own.references.values()):
        paths.append(f"`/{schema(target).collection_name}/…/{own.collection_name_below}`")
    return ", ".join(paths)


def _key(own: Schema) -> str:
    if own.scoped_key:
        return f"`{own.scoped_key[1]}` below its {own.scoped_key[0]}"
    if own.endpoint_key:
        return f"`{own.endpoint_key}`"
    return ", ".join(f"any of its `{name}`" for name in own.collected)


def _section(own: Schema) -> Iterator[str]:
    yield f"\n## {own.kind}\n\n"
    notes = list(_notes(own))
    if notes:
        yield " ".join(notes) + "\n\n"
    shorthands = {name: item for name, (item, _) in own.shorthands.items()}
    yield entity_table(shorthands | dict(own.fields))


def _notes(own: Schema) -> Iterator[str]:
    for names in own.unique_together:
        yield f"Unique together: {', '.join(f'`{name}`' for name in names)}."
    if own.cold:
        yield "There may be millions: workers look them up and hold none."
    if own.ttl:
        yield "They may expire."
    if own.query_key:
        yield f"`?{own.query_key}=` finds one."


if __name__ == "__main__":
    print(page(), end="")
