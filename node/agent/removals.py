"""Members that were forced out here, until the authority knows: it makes that a fact.

``<prefix>/removals.json`` keeps those that it hasn't been told of, since it may be away for longer
than this process lives.
"""

import asyncio
from pathlib import Path

from node import logs
from node.agent.limits import KEEPSAKE_BYTES_MAX, REMOVALS_PENDING_MAX
from node.agent.prefix import load_json, store_json
from store.authority import Authority, Removal

log = logs.get("cluster")


class Removals:
    """What is still to be told to the authority."""

    def __init__(self, prefix: Path, authority: Authority) -> None:
        self._path = prefix / "removals.json"
        self._authority = authority
        self._pending = {removal.id: removal for removal in _load(self._path)}
        self._telling = asyncio.Lock()

    def pending(self) -> list[Removal]:
        """Oldest first."""
        return list(self._pending.values())

    async def add(self, removal: Removal) -> None:
        """Keep one, so that nothing but the loss of the prefix makes it forgotten."""
        self._pending.pop(removal.id, None)
        self._pending[removal.id] = removal
        if len(self._pending) > REMOVALS_PENDING_MAX:
            del self._pending[next(iter(self._pending))]
        await self._store()

    async def tell(self) -> None:
        """Tell the authority of all that it doesn't know yet. Raises AuthorityUnavailable."""
        async with self._telling:
            for removal in self.pending():
                await self._authority.remove(removal)
                log.notice(
                    "the authority knows that a node was forced out",
                    id=removal.id,
                    generation=removal.generation,
                )
                if self._pending.get(removal.id) == removal:
                    del self._pending[removal.id]
                    await self._store()

    async def _store(self) -> None:
        content = {"removals": [list(removal) for removal in self._pending.values()]}
        try:
            await asyncio.to_thread(store_json, self._path, content)
        except OSError as error:
            log.error("who was forced out can't be written", reason=str(error))


def _load(path: Path) -> list[Removal]:
    stored = load_json(path, KEEPSAKE_BYTES_MAX)
    if stored is None:
        return []
    try:
        found = [Removal(str(one), int(generation)) for one, generation in stored["removals"]]
    except (KeyError, TypeError, ValueError) as error:
        log.warning("the list of who was forced out is damaged and left out", reason=str(error))
        return []
    return found[:REMOVALS_PENDING_MAX]
