"""Entities as clients see them: with what is read of other kinds, without what is internal."""

import time

from node.admin.node_view import NodeView
from node.admin.reads import read_page
from store.authority import Entity, Query
from store.limits import PAGE_SIZE_MAX
from store.schema import Schema
from store.schema.parts import Collected


async def shown(node: NodeView, schema: Schema, entity: Entity) -> Entity:
    """What a client sees of a stored entity. Raises AuthorityUnavailable."""
    answer = dict(schema.show(entity, time.time()))
    for name, collected in schema.collected.items():
        if name not in answer:
            answer[name] = await _collected(node, collected, entity["id"])
    return answer


async def _collected(node: NodeView, collected: Collected, entity_id: str) -> list[str]:
    """The texts of a transient list, in order."""
    references = {collected.reference: entity_id}
    query = Query(collected.kind, size=PAGE_SIZE_MAX, references=references)
    texts: list[str] = []
    while True:
        page = (await read_page(node, query)).page
        texts += (item[collected.field] for item in page.entities)
        if page.next_id is None:
            return sorted(texts)
        query = Query(
            collected.kind, size=PAGE_SIZE_MAX, references=references, after_id=page.next_id
        )
