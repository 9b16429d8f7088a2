"""A real worker with plugins, and consumers and credentials to be looked up."""

import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from node.channel import Change, Kept, Listen, Snapshot
from store.canonical import encode_entity
from store.changeset import Change as StoreChange
from store.replica import Replica
from store.replica_file.file import ReplicaFile
from store.schema import cold_kinds, schema
from store.version import EMPTY, Head, Version
from tests.proxy.client import Client, connected
from tests.proxy.process import WorkerProcess
from tests.store.replica_history import changeset


def entity(kind: str, **fields: Any) -> Change:
    """An entity as the Admin API would store it."""
    fields = {"id": str(uuid.uuid4()), **fields}
    stored = schema(kind).validate_new(fields, time.time())
    return (kind, fields["id"], encode_entity(stored))


def plugin(name: str, config: dict[str, Any] | None = None, **scopes: Change | Any) -> Change:
    """A plugin, bound to what is given as ``route``, ``service`` and ``consumer``."""
    fields: dict[str, Any] = {
        scope: {"id": bound[1]} if isinstance(bound, tuple) else bound
        for scope, bound in scopes.items()
    }
    return entity("plugins", name=name, config=config or {}, **fields)


def consumer(username: str, **fields: Any) -> Change:
    return entity("consumers", username=username, **fields)


def key_of(owner: Change, key: str, **fields: Any) -> Change:
    """A key of a consumer."""
    return entity("keyauth_credentials", consumer={"id": owner[1]}, key=key, **fields)


def fields_of(change: Change) -> dict[str, Any]:
    assert change[2] is not None
    found: dict[str, Any] = json.loads(change[2])
    return found


def written(changes: Sequence[Change], path: Path) -> tuple[Snapshot, Kept]:
    """A state whose cold kinds are in a new replica file, as a worker is told of it."""
    cold = [StoreChange(*change) for change in changes if change[0] in cold_kinds()]
    hot = tuple(change for change in changes if change[0] not in cold_kinds())
    replica = Replica("a")
    filler = StoreChange("nothing", "0", "{}")
    replica.offer(*changeset(EMPTY, *(cold or [filler])))
    file = ReplicaFile(path)
    whole = file.begin_whole()
    whole.write(list(replica.changes()))
    whole.finish(Head(*replica.head()), "a")
    about = file.about()
    assert about is not None
    file.close()
    version = Version(*about.head.version)
    return Snapshot(version, hot, last=True, first=True), Kept(about.fill, version)


@asynccontextmanager
async def plugged(
    changes: Sequence[Change], folder: Path, **settings: Any
) -> AsyncIterator[WorkerProcess]:
    """A worker that serves ``changes``, those of cold kinds in a replica file."""
    path = folder / "replica.db"
    snapshot, kept = written(changes, path)
    worker = WorkerProcess()
    await worker.start(replica_file=str(path), **settings)
    try:
        worker.version = kept.version
        worker.send(snapshot)
        worker.send(kept)
        await worker.until(worker.ready.is_set)
        worker.send(Listen())
        await worker.until_listening()
        yield worker
    finally:
        await worker.stop()


@asynccontextmanager
async def asking(changes: Sequence[Change], folder: Path, **settings: Any) -> AsyncIterator[Client]:
    """A client of such a worker."""
    async with plugged(changes, folder, **settings) as worker, connected(worker.port) as client:
        yield client
