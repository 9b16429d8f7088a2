"""The endpoints that follow a foreign key, in both directions (Kong's api/endpoints.lua).

Down: ``/services/{services}/routes`` and ``/services/{services}/routes/{routes}``.
Up: ``/routes/{routes}/service``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import web

from node.admin.bodies import read_fields
from node.admin.collections import Collection
from node.admin.errors import METHOD_NOT_ALLOWED, Refusal, not_found
from node.admin.paging import page_query
from node.admin.reads import Headers, read_entity, read_page
from node.admin.writes import commit, revision_headers
from store.authority import Create, Delete, Entity, Patch, Put, Query
from store.schema.parts import random_id
from store.schema.values import is_uuid


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
        return f"{self.parent.entity_path}/{self.child.schema.collection_name_below}"

    @property
    def entity_path(self) -> str:
        return f"{self.path}/{{{self.child.schema.kind}}}"

    async def list(self, request: web.Request) -> web.Response:
        parent = await self.parent.find(request)
        query = page_query(self.child.schema.kind, request.query, {self.field: parent["id"]})
        key = quote(self.parent.key_in(request), safe="")
        below = self.child.schema.collection_name_below
        # Of the arguments, Kong's nested lists repeat none in ``next``.
        return await self.child.page(query, f"{self.parent.path}/{key}/{below}", {})

    async def create(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.child.schema)
        parent = await self.parent.find(request)
        create = Create(self.child.schema.kind, {**fields, self.field: _reference(parent)})
        return await self.child.written(await commit(request, self.child.node, create), 201)

    async def read(self, request: web.Request) -> web.Response:
        entity, headers = await self._own_child(request)
        return await self.child.answer(entity, headers=headers)

    async def patch(self, request: web.Request) -> web.Response:
        found, _ = await self._own_child(request)

        async def current() -> Entity | None:
            return found

        fields = await read_fields(request, self.child.schema, current)
        patch = Patch(self.child.schema.kind, found["id"], fields)
        return await self.child.written(await commit(request, self.child.node, patch))

    async def put(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.child.schema)
        parent = await self.parent.find(request)
        key, named = await self._key_to_put(request, parent)
        put = Put(self.child.schema.kind, key, {**fields, **named, self.field: _reference(parent)})
        return await self.child.written(await commit(request, self.child.node, put))

    async def delete(self, request: web.Request) -> web.Response:
        entity, _ = await self._own_child(request)
        delete = Delete(self.child.schema.kind, entity["id"])
        committed = await commit(request, self.child.node, delete)
        return web.Response(status=204, headers=revision_headers(committed))

    async def find(self, request: web.Request) -> Entity:
        """The child that a request's path names. Raises Refusal 404 when it isn't this parent's."""
        return (await self._own_child(request))[0]

    async def _own_child(self, request: web.Request) -> tuple[Entity, Headers]:
        """The child that the path names. Raises Refusal 404 when it isn't this parent's."""
        return await self._child_of(request, await self.parent.find(request))

    async def _child_of(self, request: web.Request, parent: Entity) -> tuple[Entity, Headers]:
        schema = self.child.schema
        key = self.child.key_in(request)
        if self._is_scoped(key):
            query = Query(schema.kind, claim=schema.scoped_claim(parent["id"], key))
            page, headers = await read_page(self.child.node, query)
            entity = page.entities[0] if page.entities else None
        else:
            key = await self.child.key(request)
            entity, headers = await read_entity(self.child.node, schema.kind, key)
        if entity is None or entity[self.field] != _reference(parent):
            raise not_found()
        return entity, headers

    def _is_scoped(self, key: str) -> bool:
        """Whether it is a key that only means something below this parent: a target's address."""
        scoped = self.child.schema.scoped_key
        return scoped is not None and scoped[0] == self.field and not is_uuid(key)

    async def _key_to_put(
        self, request: web.Request, parent: Entity
    ) -> tuple[str, Mapping[str, Any]]:
        """The key for the store, and fields that the path names.

        Kinds that are nested only (targets) are never made by a PUT. Raises Refusal 404.
        """
        schema, key = self.child.schema, self.child.key_in(request)
        if schema.endpoints == "nested":
            return (await self._child_of(request, parent))[0]["id"], {}
        if schema.scoped_key is None or not self._is_scoped(key):
            return await self.child.key(request), {}
        query = Query(schema.kind, claim=schema.scoped_claim(parent["id"], key))
        page = (await read_page(self.child.node, query)).page
        found = page.entities[0]["id"] if page.entities else random_id()
        return found, {schema.scoped_key[1]: key}


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
        parent_id = await self._existing_id(request)
        entity, headers = await read_entity(self.parent.node, kind, parent_id)
        if entity is None:
            raise not_found()
        return await self.parent.answer(entity, headers=headers)

    async def patch(self, request: web.Request) -> web.Response:
        fields = await read_fields(request, self.parent.schema)
        patch = Patch(self.parent.schema.kind, await self._existing_id(request), fields)
        return await self.parent.written(await commit(request, self.parent.node, patch))

    async def put(self, request: web.Request) -> web.Response:
        """Replace the parent; where there is none yet, make one and refer to it, in one write."""
        fields = await read_fields(request, self.parent.schema)
        child = await self.child.find(request)
        parent_id = _id_in(child, self.field)
        if parent_id is not None:
            put = Put(self.parent.schema.kind, parent_id, fields)
            return await self.parent.written(await commit(request, self.parent.node, put))
        parent_id = random_id()
        committed = await commit(
            request,
            self.parent.node,
            Put(self.parent.schema.kind, parent_id, fields),
            Patch(self.child.schema.kind, child["id"], {self.field: {"id": parent_id}}),
        )
        return await self.parent.written(committed)

    async def refuse_delete(self, request: web.Request) -> web.Response:
        """Not from here; of a child that isn't there, that is what is said."""
        await self.child.find(request)
        raise Refusal(405, METHOD_NOT_ALLOWED)

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
