"""``database = off``: no database, a cluster whose configuration is one declarative document.

Each document that any node accepts begins a new history: its epoch is one above the highest seen,
its tag the first eight bytes of the text's blake3, and it is revision 1 of it. Nothing orders two
documents that are accepted at once but (epoch, tag), and the higher wins everywhere, whole.
"""

import time
import uuid
from collections.abc import Callable, Sequence

from blake3 import blake3

from store.authority import (
    AuthorityInfo,
    Committed,
    Create,
    Delete,
    Mutation,
    Patch,
    Put,
    Replace,
    State,
)
from store.changeset import chain
from store.declarative.document import Document
from store.engine import Engine
from store.errors import AuthorityUnavailable, EntityError
from store.history import Epoch, Server, Standing
from store.plan import Plan, Result, Row
from store.version import GENESIS_DIGEST, Head, Version

NO_DATABASE = "there is no database (database = off)"

_NAMESPACE = uuid.UUID("9c2c1f1e-6a1f-5d0c-9b5e-6f0c7a3f4e52")

_OPERATIONS = {Create: "create", Patch: "update", Put: "create or update", Delete: "remove"}
"""As Kong words them."""


def authority_id(cluster_name: str) -> str:
    """What stands for the authority's id: nodes of one ``cluster_name`` follow one another."""
    return str(uuid.uuid5(_NAMESPACE, cluster_name))


def tag_of(text: bytes) -> int:
    """What tells one document from another."""
    return int.from_bytes(blake3(text).digest(length=8), "big")


def shown(version: Version) -> str:
    """``epoch.revision-tag``: of two documents of one epoch the tag tells which (DESIGN 3)."""
    return f"{version}-{version.tag:016x}"


def state_of(document: Document, text: bytes, epoch: int) -> State:
    """The state that a document is, as the first of an epoch."""
    head = Head(Version(epoch, tag_of(text), 1), chain(GENESIS_DIGEST, text))
    return State(head, document.changes())


def unsupported(mutation: Mutation) -> EntityError:
    """Code 12: entities aren't written one by one here."""
    assert not isinstance(mutation, Replace), "whole documents are loaded here, not written"
    operation = _OPERATIONS[type(mutation)]
    message = f"cannot {operation} '{mutation.kind}' entities when not using a database"
    return EntityError(12, "operation unsupported", message, {})


class NoAuthority(Engine):
    """``store.authority.Authority`` where there is none: it can't be reached, and never will be."""

    _clock = staticmethod(time.time)

    async def open(self) -> AuthorityInfo:
        raise AuthorityUnavailable(NO_DATABASE)

    async def close(self) -> None:
        """Nothing is open."""

    async def write(
        self, mutations: Sequence[Mutation], *, origin: str, write_id: bytes | None = None
    ) -> Committed:
        for mutation in mutations:
            raise unsupported(mutation)
        raise AuthorityUnavailable(NO_DATABASE)

    async def standing(self, confirmed: Head) -> Standing:
        raise AuthorityUnavailable(NO_DATABASE)

    async def raise_epoch(
        self,
        confirmed: Head,
        *,
        origin: str,
        known: Sequence[Head] = (),
        epochs: Sequence[Epoch] = (),
        forced: bool = False,
    ) -> Committed:
        raise AuthorityUnavailable(NO_DATABASE)

    async def watch(self, heard: Callable[[int], None]) -> None:
        raise AuthorityUnavailable(NO_DATABASE)

    async def _read(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        raise AuthorityUnavailable(NO_DATABASE)

    async def _change(self, make_plan: Callable[[], Plan[Result]]) -> Result:
        raise AuthorityUnavailable(NO_DATABASE)

    def _server(self, row: Row | None) -> Server:
        raise AuthorityUnavailable(NO_DATABASE)
