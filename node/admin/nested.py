"""The endpoints that follow a foreign key, in both directions (Kong's api/endpoints.lua).

Down: ``/services/{services}/routes`` and ``/services/{services}/routes/{routes}``.
Up: ``/routes/{routes}/service``.
"""

import uuid
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from node.admin.answers import entity_answer, json_answer
from node.admin.bodies import read_fields
from node.admin.collections import Collection, written_answer
from node.admin.errors import not_found
from node.admin.paging import page_body, page_query
from node.admin.reads import Headers, read_entity, read_page
from node.admin.writes import commit, revision_headers
from store.authority import Create, Delete, Entity, Patch, Put


@dataclass(frozen=True, slots=True)
class Children:
    """The entities of one kind that refer to a parent by ``field``.

    A parent that is missing is 404, and so is a child that refers to another one.
    """

    parent: Collection
    child: Collection
    field: str

    @property
    def path(self) -> str:
        return f"{self.parent.entity_path}{self.child.path}"

    @property
    def entity_path(self) -> str:
        return f"{self.parent.entity_path}{self.child.entity_path}"

    async def list(self, request: web.Request) -> web.Response:
        parent = await self.parent.find(request)
        kind = self.child.schema.kind
        query = page_query(kind, request.query, {self.field: parent["id"]})
        page, headers = await read_page(self.child.node, query)
        key = quote(self.parent.key(request), safe="")
        # Of the arguments, Kong's nested lists repeat none in ``next``.
        body = page_body(page, f"{self.parent.path}/{key}/{kind}", {})
        return json_answer(body, headers=headers)

    async def create(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.child.schema)
        parent = await self.parent.find(request)
        create = Create(self.child.schema.kind, {**fields, self.field: _reference(parent)})
        return written_answer(await commit(request, self.child.node, create), 201)

    async def read(self, request: web.Request) -> web.Response:
        entity, headers = await self._own_child(request)
        return entity_answer(entity, headers=headers)

    async def patch(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.child.schema)
        await self._own_child(request)
        patch = Patch(self.child.schema.kind, self.child.key(request), fields)
        return written_answer(await commit(request, self.child.node, patch))

    async def put(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.child.schema)
        parent = await self.parent.find(request)
        put = Put(
            self.child.schema.kind,
            self.child.key(request),
            {**fields, self.field: _reference(parent)},
        )
        return written_answer(await commit(request, self.child.node, put))

    async def delete(self, request: web.Request) -> web.Response:
        entity, _ = await self._own_child(request)
        delete = Delete(self.child.schema.kind, entity["id"])
        committed = await commit(request, self.child.node, delete)
        return web.Response(status=204, headers=revision_headers(committed))

    async def _own_child(self, request: web.Request) -> tuple[Entity, Headers]:
        """The child that the path names. Raises Refusal 404 when it isn't this parent's."""
        parent = await self.parent.find(request)
        kind, key = self.child.schema.kind, self.child.key(request)
        entity, headers = await read_entity(self.child.node, kind, key)
        if entity is None or entity[self.field] != _reference(parent):
            raise not_found()
        return entity, headers


@dataclass(frozen=True, slots=True)
class Parent:
    """The entity that a child's foreign key ``field`` names. It can't be deleted from here."""

    child: Collection
    parent: Collection
    field: str

    @property
    def path(self) -> str:
        return f"{self.child.entity_path}/{self.field}"

    async def read(self, request: web.Request) -> web.Response:
        kind = self.parent.schema.kind
        entity, headers = await read_entity(
            self.parent.node, kind, await self._existing_id(request)
        )
        if entity is None:
            raise not_found()
        return entity_answer(entity, headers=headers)

    async def patch(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.parent.schema)
        patch = Patch(self.parent.schema.kind, await self._existing_id(request), fields)
        return written_answer(await commit(request, self.parent.node, patch))

    async def put(self, request: web.Request) -> web.Response:
        """Replace the parent; where there is none yet, make one and refer to it, in one write."""
        fields = await read_fields(request, self.parent.schema)
        child = await self.child.find(request)
        parent_id = _id_in(child, self.field)
        if parent_id is not None:
            put = Put(self.parent.schema.kind, parent_id, fields)
            return written_answer(await commit(request, self.parent.node, put))
        parent_id = str(uuid.uuid4())
        committed = await commit(
            request,
            self.parent.node,
            Put(self.parent.schema.kind, parent_id, fields),
            Patch(self.child.schema.kind, child["id"], {self.field: {"id": parent_id}}),
        )
        return written_answer(committed)

    async def _existing_id(self, request: web.Request) -> str:
        parent_id = _id_in(await self.child.find(request), self.field)
        if parent_id is None:
            raise not_found()
        return parent_id


def _reference(entity: Entity) -> dict[str, str]:
    return {"id": entity["id"]}


def _id_in(entity: Entity, field: str) -> str | None:
    reference = entity.get(field)
    return reference["id"] if reference else None
