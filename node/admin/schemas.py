"""What entities look like: ``/schemas/{entity}`` and its validation without a write."""

import time

from aiohttp import web
from aiohttp.typedefs import Handler

from node.admin.answers import json_answer, message
from node.admin.audit_log import note_read
from node.admin.bodies import read_fields
from node.admin.errors import Refusal
from store import schema as schemas
from store.schema import Schema


async def describe(request: web.Request) -> web.Response:
    """``GET /schemas/{entity}``: fields and checks, in Kong's schema language."""
    return json_answer(_schema(request).describe())


def describe_subschema(kind: str) -> Handler:
    """``GET /schemas/{kind}/{name}``: what is special to one plugin or vault."""
    schema = schemas.schema(kind)

    async def describe(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in schema.subschemas:
            raise Refusal(404, f"No {schema.entity_name} named '{name}'")
        return json_answer(schema.describe_subschema(name))

    return describe


async def validate(request: web.Request) -> web.Response:
    """``POST /schemas/{entity}/validate``: what a POST would be told, references unresolved.

    A plugin counts as valid here whether or not this node runs it.
    """
    note_read(request)
    schema = _schema(request)
    schema.validate_new(await read_fields(request, schema), time.time())
    return message("schema validation successful", 200)


def _schema(request: web.Request) -> Schema:
    name = request.match_info["entity"]
    if name not in schemas.kinds():
        raise Refusal(404, f"No entity named '{name}'")
    return schemas.schema(name)
