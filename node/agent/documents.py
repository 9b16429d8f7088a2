"""Declarative documents on a node without a database: which are loaded, and when.

A document comes by ``POST /config``, or from the file that ``declarative_config`` names, which is
looked at when the node starts and when it is told to reload. A file that this node hasn't loaded
yet counts as posted; but the first one ever seen only seeds a cluster that has no document, so that
a new node doesn't push the others back to what it was shipped with.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from node import logs
from node.admin.node_view import LoadedDocument
from node.agent.limits import (
    COMMIT_WORKERS_SECONDS,
    DOCUMENT_KEEPSAKE_BYTES_MAX,
    LOAD_SLICE_ENTITIES,
)
from node.agent.membership import Membership
from node.agent.prefix import load_json, store_json
from node.agent.serving import Serving
from store import off
from store.declarative.document import read_document
from store.declarative.export import export_changes
from store.errors import EntityError
from store.garbage import collected_later
from store.limits import DOCUMENT_BYTES_MAX
from store.version import GENESIS, Version

log = logs.get("config")

KEPT = "declarative.json"
"""In the prefix: which text this node has loaded last from its file."""


class Documents:
    """One node's part in it. ``live(version, seconds)`` waits until its workers serve a version."""

    def __init__(
        self,
        prefix: Path,
        serving: Serving,
        membership: Membership,
        live: Callable[[Version, float], Awaitable[object]],
    ) -> None:
        self._live = live
        self._kept = prefix / KEPT
        self._serving = serving
        self._membership = membership
        self._loading = asyncio.Lock()

    async def load(self, text: str, *, unless_served: bool = False) -> LoadedDocument:
        """Take a document as the cluster's whole configuration, and tell the others.

        With ``unless_served`` nothing is done when it is what is served. Raises EntityError code 14
        for one that can't be taken.
        """
        data = text.encode()
        async with self._loading:
            if unless_served and self._serving.version.tag == off.tag_of(data):
                return LoadedDocument(self._serving.version, None)
            # Tens of thousands of entities take seconds; the loop goes on meanwhile.
            with collected_later():
                document = await asyncio.to_thread(read_document, text)
            loaded = None
            while loaded is None:  # else somebody's document came in between, accepted before
                state = await asyncio.to_thread(off.state_of, document, data, self._epoch() + 1)
                loaded = await self._serving.load(state)
            self._membership.announce()
        await self._live(loaded.version, COMMIT_WORKERS_SECONDS)
        log.notice("a declarative document is loaded", version=off.shown(loaded.version))
        return LoadedDocument(loaded.version, document)

    async def shown(self) -> str:
        """What is served, as a document."""
        changes = []
        for change in self._serving.replica.pin().changes():
            changes.append(change)
            if len(changes) % LOAD_SLICE_ENTITIES == 0:
                await asyncio.sleep(0)
        return await asyncio.to_thread(lambda: "".join(export_changes(changes)))

    async def look_at(self, file: Path | None) -> None:
        """Load the file if that is to be done; what is wrong with it is logged."""
        if file is None:
            return
        try:
            text = await asyncio.to_thread(_read, file)
        except (OSError, ValueError) as error:
            log.error("declarative_config can't be read", file=file, reason=str(error))
            return
        tag = f"{off.tag_of(text.encode()):016x}"
        kept = (load_json(self._kept, DOCUMENT_KEEPSAKE_BYTES_MAX) or {}).get("tag")
        has_one = self._serving.loaded or self._seen() != GENESIS
        if kept == tag and has_one:
            return
        if kept is None and has_one:
            log.notice(
                "the cluster has a configuration already, so declarative_config isn't loaded; POST "
                "it to /config to put it in place",
                file=file,
            )
        else:
            try:
                await self.load(text, unless_served=True)
            except EntityError as error:
                log.error("declarative_config isn't loaded", file=file, reason=error.message)
                return
        await asyncio.to_thread(self._keep, tag)

    def _keep(self, tag: str) -> None:
        try:
            store_json(self._kept, {"tag": tag})
        except OSError as error:
            log.error("it can't be kept which file was loaded", reason=str(error))

    def _epoch(self) -> int:
        """The highest that was seen, here or at a member."""
        return max(self._serving.version.epoch, self._seen().epoch)

    def _seen(self) -> Version:
        return self._membership.newest_head() or GENESIS


def _read(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(DOCUMENT_BYTES_MAX + 1)
    if len(data) > DOCUMENT_BYTES_MAX:
        raise ValueError(f"it has more than {DOCUMENT_BYTES_MAX} bytes")
    return data.decode("utf-8")
