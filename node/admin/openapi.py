"""``GET /openapi.json``: the Admin API as an OpenAPI 3.1 document.

Paths and methods are those that the application serves, so that none is missing; what entities look
like comes from their declarations.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from node.admin.collections import Collection
from node.admin.json_schema import Json, entity_schema, input_schema
from node.admin.limits import OFFSET_CHARS_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX
from node.admin.nested import Children, Parent
from store import schema as schemas
from store.schema import Schema

_PARAMETER = re.compile(r"\{([^{}]+)\}")
_ANSWERS = {"list": 200, "create": 201, "read": 200, "patch": 200, "put": 200, "delete": 204}
_INPUTS = {"create": "new", "put": "new", "patch": "change"}
_LIST_PARAMETERS = ("size", "offset", "tags")
_WRITE_PARAMETERS = ("idempotency_key", "fence", "if_match")


class OpenApi:
    """The document of one application, which is made when it is first asked for."""

    def __init__(self, software: str) -> None:
        self._software = software
        self._document: bytes | None = None

    async def show(self, request: web.Request) -> web.Response:
        """``GET /openapi.json``: this document."""
        if self._document is None:
            self._document = json.dumps(document(request.app, self._software)).encode()
        return web.Response(body=self._document, content_type="application/json", charset="utf-8")


def document(app: web.Application, software: str) -> Json:
    """All that an application serves; ``software`` is its version."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "grapevine Admin API",
            "version": software,
            "description": "The Admin API of Kong 3.9 with additions for clusters.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(sorted(_paths(app).items())),
        "components": {
            "schemas": dict(_schemas()),
            "parameters": _parameters(),
            "responses": {"error": _answer_of("What is wrong.", "error")},
        },
    }


def _paths(app: web.Application) -> dict[str, Json]:
    paths: dict[str, Json] = {}
    for resource in app.router.resources():
        path = resource.canonical.rstrip("/") or "/"
        operations = {
            route.method.lower(): _operation(route.method, path, route.handler)
            for route in resource
            if route.method != "HEAD"
        }
        names = _PARAMETER.findall(path)
        described: Json = {**operations}
        if names:
            described["parameters"] = [_path_parameter(name) for name in names]
        paths[path] = described
    return paths


def _operation(method: str, path: str, handler: Any) -> Json:
    name = getattr(handler, "__name__", "")
    owner = getattr(handler, "__self__", None)
    operation: Json = {"operationId": f"{method.lower()} {path}"}
    schema = _schema_of(owner)
    if schema is None or name not in _ANSWERS:
        return operation | {
            "summary": _summary(handler),
            "responses": {"2XX": {"description": "As asked."}, "default": _error()},
        }
    status = _ANSWERS[name]
    answer: Json = {"description": f"{name} {schema.kind}"}
    if name != "delete":
        kind = f"{schema.kind}_page" if name == "list" else schema.kind
        answer = _answer_of(f"{name} {schema.kind}", kind)
    operation |= {
        "summary": f"{name} {schema.kind}",
        "tags": [schema.kind],
        "responses": {str(status): answer, "default": _error()},
    }
    if name == "list":
        operation["parameters"] = [_parameter(one) for one in _LIST_PARAMETERS]
    elif name != "read":
        wanted = _WRITE_PARAMETERS[:-1] if name == "create" else _WRITE_PARAMETERS
        operation["parameters"] = [_parameter(one) for one in wanted]
        partial = "Done, but its fence is partial: Grapevine-Fence names who doesn't have it."
        operation["responses"]["202"] = answer | {"description": partial}
    if name in _INPUTS:
        operation["requestBody"] = {
            "required": name == "create",
            "content": {"application/json": {"schema": _ref(f"{schema.kind}_{_INPUTS[name]}")}},
        }
    return operation


def _schema_of(owner: object) -> Schema | None:
    """What an endpoint is about: the child's kind below its parent, the parent's above it."""
    if isinstance(owner, Collection):
        return owner.schema
    if isinstance(owner, Children):
        return owner.child.schema
    return owner.parent.schema if isinstance(owner, Parent) else None


def _summary(handler: Any) -> str:
    """The first sentence of a handler's docstring, without its path."""
    text = (inspect.getdoc(handler) or "").partition("\n\n")[0].replace("\n", " ")
    return re.sub(r"^``[^`]*``:? ?", "", text)


def _schemas() -> Iterator[tuple[str, Json]]:
    message: Mapping[str, Any] = {"message": {"type": "string"}}
    yield "error", {"type": "object", "properties": message, "required": ["message"]}
    for kind in schemas.kinds():
        schema = schemas.schema(kind)
        yield kind, entity_schema(schema)
        yield f"{kind}_new", input_schema(schema, whole=True)
        yield f"{kind}_change", input_schema(schema, whole=False)
        items = {"type": "array", "items": _ref(kind)}
        properties = {
            "data": items,
            "next": {"type": ["string", "null"]},
            "offset": {"type": "string"},
        }
        yield (
            f"{kind}_page",
            {"type": "object", "properties": properties, "required": ["data", "next"]},
        )


def _parameters() -> Json:
    text: Json = {"type": "string"}
    size = {
        "type": "integer",
        "minimum": 1,
        "maximum": PAGE_SIZE_MAX,
        "default": PAGE_SIZE_DEFAULT,
    }
    return {
        "size": _described("size", "query", "How many at most.", size),
        "offset": _described(
            "offset",
            "query",
            "Of the page before.",
            {**text, "maxLength": OFFSET_CHARS_MAX, "pattern": "^[A-Za-z0-9+/]*$"},
        ),
        "tags": _described("tags", "query", "With all of a,b or with any of a/b.", text),
        "idempotency_key": _described(
            "Idempotency-Key", "header", "Names the write, so that it can be sent again.", text
        ),
        "fence": _described(
            "Grapevine-Fence",
            "header",
            "Answer once every member serves it; 202 when some don't in time (seconds).",
            {**text, "pattern": "^all(; timeout=[1-9])?$", "default": "all; timeout=2"},
        ),
        "if_match": _described(
            "If-Match", "header", "Only if the entity's ETag is one of these.", text
        ),
    }


def _described(name: str, place: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": place, "description": description, "schema": schema}


def _path_parameter(name: str) -> Json:
    described = _described(name, "path", "", {"type": "string", "minLength": 1})
    return described | {"required": True, "description": f"Which of {name}."}


def _answer_of(description: str, schema: str) -> Json:
    return {
        "description": description,
        "content": {"application/json": {"schema": _ref(schema)}},
    }


def _error() -> Json:
    return {"$ref": "#/components/responses/error"}


def _parameter(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
