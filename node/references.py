"""References to secrets that are kept elsewhere: ``{vault://env/NAME}``, read where they are used.

What is stored, and what the Admin API shows, is the reference. Rules and syntax are Kong 3.9's
(``pdk/vault.lua``, ``vaults/env``): ``{vault://NAME/RESOURCE/KEY?prefix=P#VERSION}``, where NAME is
``env`` or the ``prefix`` of a vault entity, and KEY is looked up in the secret, which is then JSON.
The variable is the vault's prefix and the resource, in capitals, with ``_`` for ``-``.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from store.schema.field import Field
from store.schema.values import is_reference

ENVIRONMENT = "env"
"""The one kind of vault, and the name by which it is there without an entity."""
SCHEME = "{vault://"
PREVIOUS = 2
"""Version of a secret that stands in ``<VARIABLE>_PREVIOUS``."""


class Vault(NamedTuple):
    """Where references of one name lead."""

    kind: str = ENVIRONMENT
    variable_prefix: str = ""
    """What the names of the variables begin with (``config.prefix``)."""


class Reference(NamedTuple):
    """The parts of a reference."""

    vault: str
    resource: str
    key: str | None
    """Of the JSON object that the secret is; None: the secret is the whole text."""
    options: Mapping[str, str]
    """What it says in place of the vault's own settings."""
    version: int | None


class Unresolvable(ValueError):
    """A reference that leads nowhere; the message says why, and holds no secret."""


Vaults = Mapping[str, Vault]
"""By the name that references call them."""
Told = Callable[[str, str], None]
"""Told of a reference that leads nowhere, and why."""


def parse_reference(text: str) -> Reference:
    """The parts of a text for which ``is_reference`` holds. Raises Unresolvable."""
    body, sharp, fragment = text[len(SCHEME) : -1].partition("#")
    body, _, query = body.partition("?")
    name, _, path = body.partition("/")
    if not name or not path:
        raise Unresolvable("it names no vault, or no secret: write {vault://env/NAME}")
    if sharp and not (fragment.isascii() and fragment.isdigit() and len(fragment) < 10):
        raise Unresolvable("its version is no number")
    *before, last = path.split("/")
    resource = unquote("/".join(before)) if before else unquote(last)
    if not resource:
        raise Unresolvable("it names no secret")
    return Reference(
        vault=name,
        resource=resource,
        key=(unquote(last) or None) if before else None,
        options=dict(parse_qsl(query)),
        version=int(fragment) if sharp else None,
    )


def resolve(text: str, vaults: Vaults, environ: Mapping[str, str]) -> str:
    """The secret that a reference leads to. Raises Unresolvable."""
    reference = parse_reference(text)
    vault = vaults.get(reference.vault)
    if vault is None and reference.vault == ENVIRONMENT:
        vault = Vault()
    if vault is None or vault.kind != ENVIRONMENT:
        raise Unresolvable(f"there is no vault '{reference.vault}'")
    prefix = reference.options.get("prefix", vault.variable_prefix)
    variable = f"{prefix}{reference.resource}".replace("-", "_").upper()
    if reference.version == PREVIOUS:
        variable = f"{variable}_PREVIOUS"
    secret = environ.get(variable)
    if secret is None:
        raise Unresolvable(f"the variable {variable} isn't set")
    if any("\ud800" <= character <= "\udfff" for character in secret):
        raise Unresolvable(f"the variable {variable} is no UTF-8")
    return secret if reference.key is None else _part(variable, secret, reference.key)


def _part(variable: str, secret: str, key: str) -> str:
    try:
        values = json.loads(secret)
    except (ValueError, RecursionError):
        raise Unresolvable(f"the variable {variable} is no JSON, in which to find a key") from None
    value = values.get(key) if isinstance(values, dict) else None
    if not isinstance(value, str):
        raise Unresolvable(f"the variable {variable} has no text under the key '{key}'")
    return value


def ignore(reference: str, reason: str) -> None:
    """For who isn't interested in what leads nowhere."""


def resolve_value(
    value: Any, vaults: Vaults, environ: Mapping[str, str], told: Told = ignore
) -> Any:
    """A value with the secrets in place of all references in it, in lists and objects, too.

    What leads nowhere becomes an empty text, as in Kong, and ``told`` hears of it. A value without
    references is answered itself, not a copy. See ``resolve_fields`` for the values of entities.
    """
    if isinstance(value, str):
        return _text(value, vaults, environ, told)
    if isinstance(value, dict):
        found = {name: resolve_value(item, vaults, environ, told) for name, item in value.items()}
        return found if any(found[name] is not value[name] for name in value) else value
    if isinstance(value, list):
        items = [resolve_value(item, vaults, environ, told) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    return value


def resolve_fields(
    fields: Mapping[str, Field],
    values: Mapping[str, Any],
    vaults: Vaults,
    environ: Mapping[str, str],
    told: Told = ignore,
) -> Mapping[str, Any]:
    """The same of an entity or a record, but only where its schema takes references.

    A text elsewhere that looks like one stays what it is, as in Kong: else a message that a plugin
    answers with could show any variable of the node.
    """
    found = {
        name: _resolve_field(fields[name], value, vaults, environ, told)
        for name, value in values.items()
        if name in fields and value is not None
    }
    changed = {name: value for name, value in found.items() if value is not values[name]}
    return {**values, **changed} if changed else values


def _resolve_field(
    field: Field, value: Any, vaults: Vaults, environ: Mapping[str, str], told: Told
) -> Any:
    if field.referenceable:
        return resolve_value(value, vaults, environ, told)
    if field.type == "record" and field.fields is not None and isinstance(value, dict):
        return resolve_fields(field.fields, value, vaults, environ, told)
    if field.values is not None and isinstance(value, dict):
        each = dict.fromkeys(value, field.values)
        return resolve_fields(each, value, vaults, environ, told)
    if field.elements is not None and isinstance(value, list):
        part = field.elements
        items = [_resolve_field(part, item, vaults, environ, told) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else items
    return value


def _text(text: str, vaults: Vaults, environ: Mapping[str, str], told: Told) -> str:
    if not text.startswith(SCHEME) or not is_reference(text):
        return text
    try:
        return resolve(text, vaults, environ)
    except Unresolvable as error:
        told(text, str(error))
        return ""
