"""The endpoints of a kind: its collection and its entities, the same for every schema.

Shapes and statuses are those of Kong's generated endpoints (api/endpoints.lua): POST 201, PUT an
upsert that answers 200, DELETE 204 whether or not there was something to delete.
"""

from dataclasses import dataclass

from aiohttp import web

from node.admin.answers import entity_answer, json_answer
from node.admin.bodies import read_fields
from node.admin.errors import Refusal, not_found
from node.admin.node_view import NodeView
from node.admin.paging import page_body, page_query
from node.admin.reads import read_entity, read_page
from node.admin.writes import commit, revision_headers
from store.authority import Committed, Create, Delete, Entity, Patch, Put
from store.schema import Schema


def written_answer(committed: Committed, status: int = 200) -> web.Response:
    """The answer to a write whose first mutation was to the entity asked about."""
    entity = committed.entities[0]
    if entity is None:  # what the key's write left behind is not what this one was about
        raise Refusal(
            422,
            f"this Idempotency-Key names another write (revision {committed.head.version}); "
            "send a new one",
        )
    return entity_answer(entity, status, revision_headers(committed))


@dataclass(frozen=True, slots=True)
class Collection:
    """``/{kind}`` and ``/{kind}/{key}``, where key is an id or an endpoint key (a name)."""

    node: NodeView
    schema: Schema

    @property
    def path(self) -> str:
        return f"/{self.schema.kind}"

    @property
    def entity_path(self) -> str:
        return f"/{self.schema.kind}/{{{self.schema.kind}}}"

    def key(self, request: web.Request) -> str:
        """The key in a request's path."""
        return request.match_info[self.schema.kind]

    async def find(self, request: web.Request) -> Entity:
        """The entity that a request's path names. Raises Refusal 404."""
        found = await read_entity(self.node, self.schema.kind, self.key(request))
        if found.entity is None:
            raise not_found()
        return found.entity

    async def list(self, request: web.Request) -> web.Response:
        query = page_query(self.schema.kind, request.query)
        page, headers = await read_page(self.node, query)
        return json_answer(page_body(page, self.path, request.query), headers=headers)

    async def create(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.schema)
        committed = await commit(request, self.node, Create(self.schema.kind, fields))
        return written_answer(committed, 201)

    async def read(self, request: web.Request) -> web.Response:
        entity, headers = await read_entity(self.node, self.schema.kind, self.key(request))
        if entity is None:
            raise not_found()
        return entity_answer(entity, headers=headers)

    async def patch(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.schema)
        patch = Patch(self.schema.kind, self.key(request), fields)
        return written_answer(await commit(request, self.node, patch))

    async def put(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.schema)
        put = Put(self.schema.kind, self.key(request), fields)
        return written_answer(await commit(request, self.node, put))

    async def delete(self, request: web.Request) -> web.Response:
        delete = Delete(self.schema.kind, self.key(request))
        committed = await commit(request, self.node, delete)
        return web.Response(status=204, headers=revision_headers(committed))
