"""Request targets as logs may show them: keys in paths may be credentials."""

from urllib.parse import unquote

from aiohttp import web

from store.schema import kinds, schema
from store.schema.values import is_uuid

HIDDEN = "******"

SECRET_KINDS = frozenset(
    kind
    for kind in kinds()
    if (key := schema(kind).endpoint_key) and schema(kind).fields[key].encrypted
)
"""Kinds that are named in URLs by a secret: the key of key-auth, an access token."""

CACHE_KEY = "cache_key"
"""What ``/cache/{cache_key}`` calls its key, which has a credential's in it."""

_SECRET_NAMES = SECRET_KINDS | {CACHE_KEY}
"""Parts of paths that may be secrets."""


def shown_target(request: web.BaseRequest) -> str:
    """Path and query as they were sent, but for secrets that stand for an entity's id."""
    target: str = request.raw_path
    names = getattr(request, "match_info", None) or {}
    if _SECRET_NAMES.isdisjoint(names):
        return target
    secrets = {value for name, value in names.items() if name in _SECRET_NAMES}
    secrets = {value for value in secrets if not is_uuid(value)}
    if not secrets:
        return target
    path, mark, query = target.partition("?")
    shown = "/".join(HIDDEN if unquote(part) in secrets else part for part in path.split("/"))
    return shown + mark + query
