"""The documentation of the keys, made from the table: ``python -m node.config.reference``."""

import textwrap
from collections.abc import Iterator

from node.config import kong_keys
from node.config.conf_file import SEARCHED_PATHS
from node.config.settings import SECTIONS, Key, keys

_WIDTH = 100

_HEAD = f"""\
# Configuration

This page is made by `python -m node.config.reference`; a test compares the two.

The file's syntax is kong.conf's: `key = value` lines; `#` begins a comment and `\\#` stands for the
sign itself; lists are separated by commas; `NONE` (or nothing) gives a key back to its default. Of
several sources the highest counts:

1. a flag, `--set key=value` (or `-p` for `prefix`);
2. the variable `GRAPEVINE_<KEY>`;
3. the variable `KONG_<KEY>`;
4. the file: the one that `-c` names, else the first that exists of
   {", ".join(f"`{path}`" for path in SEARCHED_PATHS)};
5. the default.

A secret may stand in a file of its own, named by `GRAPEVINE_<KEY>_FILE` or `KONG_<KEY>_FILE`. Any
value may be a [reference](operations.md#secrets-that-are-kept-elsewhere), `{{vault://env/NAME}}`.
`grapevine check` prints every problem of a configuration at once; with `--vv`, every key with its
value and where it comes from. Variables that name no key are a warning; keys that nobody knows, in
a file or a flag, an error. What Kubernetes and Docker put into the environment for services and
links (`KONG_PORT_8000_TCP` and so on) is left alone.

Kong is a trademark of Kong Inc. Grapevine is an independent project, not affiliated with or
endorsed by Kong Inc.
"""

_KONG_HEAD = """
## Keys of Kong 3.9 without an effect here

Each of these is accepted, and named in one warning. So are keys that begin with {namespaces}.

{harmless}

## Keys of Kong 3.9 that stop the start

They say who may do what, what is verified or encrypted, or where to listen. A node that passed
them over would not be the node that was asked for. `--ignore-unsupported KEY,…` passes them over
all the same. nginx's own directives of that kind (`allow`, `deny`, `ssl_verify_client`, …) in a
`nginx_*` key belong here too.

| key | accepted values | otherwise |
|---|---|---|
"""


def page() -> str:
    """The whole of docs/configuration.md."""
    return "".join((_HEAD, *_ours(), *_kongs()))


def _ours() -> Iterator[str]:
    for row in keys():
        if row.field in SECTIONS:
            yield f"\n## {SECTIONS[row.field]}\n\n| key | default | meaning |\n|---|---|---|\n"
        yield f"| `{row.name}` | {row.default_text} | {_meaning(row)} |\n"


def _meaning(row: Key) -> str:
    meaning = row.doc
    if row.unit:
        meaning += f" Unit: {row.unit}."
    if row.secret:
        meaning += " Secret."
    if row.aliases:
        meaning += f" Also known as {', '.join(f'`{alias}`' for alias in row.aliases)}."
    return meaning


def _kongs() -> Iterator[str]:
    harmless = ", ".join(f"`{key}`" for key in sorted(kong_keys.HARMLESS))
    yield _KONG_HEAD.format(
        namespaces=", ".join(f"`{name}`" for name in kong_keys.HARMLESS_NAMESPACES),
        harmless=textwrap.fill(harmless, _WIDTH, break_long_words=False, break_on_hyphens=False),
    )
    for key, row in kong_keys.MEANINGFUL.items():
        accepted = ", ".join(f"`{value}`" for value in row.neutral) or "unset"
        yield f"| `{key}` | {accepted} | {row.way_out} |\n"


if __name__ == "__main__":
    print(page(), end="")
