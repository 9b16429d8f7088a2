"""The endpoints of a kind: its collection and its entities, the same for every schema.

Shapes and statuses are those of Kong's generated endpoints (api/endpoints.lua): POST 201, PUT an
upsert that answers 200, DELETE 204 whether or not there was something to delete.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from node.admin.answers import entity_answer, json_answer
from node.admin.bodies import read_fields
from node.admin.errors import Refusal, not_found
from node.admin.node_view import NodeView
from node.admin.paging import page_body, page_query
from node.admin.reads import Headers, read_entity, read_page
from node.admin.shown import shown
from node.admin.writes import commit, revision_headers
from store.authority import Committed, Create, Delete, Entity, Page, Patch, Put, Query
from store.schema import Schema
from store.schema.parts import random_id
from store.schema.values import errors_of, is_uuid
from store.schema.violations import invalid_unique


@dataclass(frozen=True, slots=True)
class Collection:
    """``/{collection}`` and ``/{collection}/{key}``, where key is an id or an endpoint key."""

    node: NodeView
    schema: Schema

    @property
    def path(self) -> str:
        return f"/{self.schema.collection_name}"

    @property
    def entity_path(self) -> str:
        return f"{self.path}/{{{self.schema.kind}}}"

    def key_in(self, request: web.Request) -> str:
        """The key as it stands in a request's path."""
        return request.match_info[self.schema.kind]

    async def key(self, request: web.Request) -> str:
        """The same as the store knows it. An entity may be named by what a transient list of it
        holds, too: a certificate by one of its server names. Raises EntityError code 10 for a key
        that none can have."""
        key = self.key_in(request)
        if is_uuid(key):
            return key
        if self.schema.endpoint_key is not None:
            wrong = errors_of(self.schema.fields[self.schema.endpoint_key], key)
            if wrong is not None:
                raise invalid_unique(self.schema.endpoint_key, wrong)
        else:
            for collected in self.schema.collected.values():
                named = (await read_entity(self.node, collected.kind, key)).entity
                if named is not None:
                    return str(named[collected.reference]["id"])
        return key

    async def find(self, request: web.Request) -> Entity:
        """The entity that a request's path names. Raises Refusal 404."""
        return (await self.read_one(request))[0]

    async def read_one(self, request: web.Request) -> tuple[Entity, Headers]:
        """The same, with what is to be said of where it was read."""
        found = await read_entity(self.node, self.schema.kind, await self.key(request))
        if found.entity is None:
            raise not_found()
        return found.entity, found.headers

    async def answer(
        self, entity: Entity, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> web.Response:
        """An entity of this kind as an answer."""
        answer = await shown(self.node, self.schema, entity)
        # A write answers with the list that it made; it is no part of what is stored.
        stored = {
            name: value for name, value in entity.items() if name not in self.schema.collected
        }
        return entity_answer(answer, status, headers, stored=stored)

    async def written(self, committed: Committed, status: int = 200) -> web.Response:
        """The answer to a write whose first mutation was to an entity of this kind."""
        entity = committed.entities[0]
        if entity is None:  # what the key's write left behind is not what this one was about
            raise Refusal(
                422,
                f"this Idempotency-Key names another write (revision {committed.head.version}); "
                "send a new one",
            )
        return await self.answer(entity, status, revision_headers(committed))

    async def page(self, query: Query, path: str, arguments: Mapping[str, str]) -> web.Response:
        """A page of this kind as an answer; see ``page_body``."""
        page, headers = await read_page(self.node, query)
        entities = [await shown(self.node, self.schema, entity) for entity in page.entities]
        body = page_body(Page(tuple(entities), page.next_id), path, arguments)
        return json_answer(body, headers=headers)

    async def list(self, request: web.Request) -> web.Response:
        name = self.schema.query_key
        if name and name in request.query:
            value = request.query[name]
            if not value:
                raise Refusal(400, f"{name} must be an unempty string")
            return await self.page(Query(self.schema.kind, claim=(name, value)), self.path, {})
        query = page_query(self.schema.kind, request.query)
        return await self.page(query, self.path, request.query)

    async def create(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.schema)
        create = Create(self.schema.kind, fields)
        return await self.written(await commit(request, self.node, create), 201)

    async def read(self, request: web.Request) -> web.Response:
        entity, headers = await self.read_one(request)
        return await self.answer(entity, headers=headers)

    async def patch(self, request: web.Request) -> web.Response:
        key = await self.key(request)

        async def current() -> Entity | None:
            return (await read_entity(self.node, self.schema.kind, key)).entity

        fields = await read_fields(request, self.schema, current)
        patch = Patch(self.schema.kind, key, fields)
        return await self.written(await commit(request, self.node, patch))

    async def put(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.schema)
        put = Put(self.schema.kind, *self._named(await self.key(request), fields))
        return await self.written(await commit(request, self.node, put))

    async def delete(self, request: web.Request) -> web.Response:
        delete = Delete(self.schema.kind, await self.key(request))
        committed = await commit(request, self.node, delete)
        return web.Response(status=204, headers=revision_headers(committed))

    def _named(self, key: str, fields: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The key and fields of a PUT. What nobody has in such a list yet, a new entity gets."""
        if is_uuid(key) or self.schema.endpoint_key is not None:
            return key, fields
        for name in self.schema.collected:
            given = fields.get(name)
            others = given if isinstance(given, list) else []
            return random_id(), {**fields, name: list(dict.fromkeys([key, *others]))}
        return key, fields
