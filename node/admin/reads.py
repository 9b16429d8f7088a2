"""Reads: from the authority, and from this node's replica while it is away (DESIGN 10).

An answer from the replica says so (``Grapevine-Source: replica``) and which revision it shows.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

from node.admin.node_view import NodeView, ReplicaView
from store import off
from store.authority import Authority, Entity, Page, Query
from store.errors import AuthorityUnavailable
from store.schema import schema
from store.version import GENESIS

T = TypeVar("T")
Headers = dict[str, str]


class EntityRead(NamedTuple):
    """What a look-up found."""

    entity: Entity | None
    headers: Headers
    """To be sent with the answer: where it was read."""


class PageRead(NamedTuple):
    """What a list found."""

    page: Page
    headers: Headers


async def read_entity(node: NodeView, kind: str, key: str) -> EntityRead:
    """One entity by id or endpoint key. Raises AuthorityUnavailable when nothing here knows."""
    entity, headers = await _read(
        node,
        lambda authority: authority.get(kind, key),
        lambda replica: replica.get(kind, key),
    )
    if entity is not None and not schema(kind).is_live(entity, time.time()):
        entity = None
    return EntityRead(entity, headers)


async def read_page(node: NodeView, query: Query) -> PageRead:
    """One page of a list. Raises AuthorityUnavailable when nothing here knows.

    What has expired is left out, so that a page may be shorter than asked for.
    """
    page, headers = await _read(
        node,
        lambda authority: authority.list(query),
        lambda replica: replica.list(query),
    )
    own, now = schema(query.kind), time.time()
    live = tuple(entity for entity in page.entities if own.is_live(entity, now))
    return PageRead(replace(page, entities=live), headers)


async def _read(
    node: NodeView,
    from_authority: Callable[[Authority], Awaitable[T]],
    from_replica: Callable[[ReplicaView], T],
) -> tuple[T, Headers]:
    status = node.authority_status()
    reason = status.reason
    if status.reachable:
        try:
            return await from_authority(node.authority), {}
        except AuthorityUnavailable as error:
            reason = str(error)
    version = node.head().version
    if version == GENESIS and node.documents is None:
        # An empty replica would claim that there are no entities, which it doesn't know.
        raise AuthorityUnavailable(reason)
    if node.documents is not None:
        return from_replica(node.replica), {"Grapevine-Revision": off.shown(version)}
    headers = {"Grapevine-Source": "replica", "Grapevine-Revision": str(version)}
    return from_replica(node.replica), headers
