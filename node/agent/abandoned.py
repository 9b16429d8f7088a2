"""``<prefix>/abandoned/``: what a raised epoch has left behind of what this node held.

A file for each time, with a changeset on each line (``store.abandoned``). They hold whatever the
configuration did, credentials too, so only their owner may read them; the newest ones stay.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

from node import logs
from node.agent.limits import ABANDONED_FILES_MAX
from store.abandoned import as_line
from store.changeset import Changeset

log = logs.get("authority")


class Abandoned:
    """That of one node. What is kept at once is bounded by the replica's log."""

    def __init__(self, prefix: Path) -> None:
        self._folder = prefix / "abandoned"
        self._writing: set[asyncio.Task[None]] = set()

    def keep(self, changesets: Sequence[Changeset]) -> None:
        """Write them to a file, off the loop, and say so in the log."""
        task = asyncio.create_task(self._keep(changesets))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def files(self) -> list[str]:
        """Paths of what is kept, oldest first."""
        return [str(path) for path in self._paths()]

    async def finish(self) -> None:
        """Wait until everything is written."""
        await asyncio.gather(*self._writing)

    async def _keep(self, changesets: Sequence[Changeset]) -> None:
        first, last = changesets[0].version, changesets[-1].version
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = self._folder / f"{now}-{first}-{last.revision}.jsonl"
        try:
            await asyncio.to_thread(self._write, path, changesets)
        except OSError as error:
            log.error(
                "what the database has lost can't be kept on disk",
                count=len(changesets), first=first, last=last, path=path, reason=str(error),
            )  # fmt: skip
            return
        log.warning(
            "the database has lost changes that had been confirmed; this node keeps what it had",
            count=len(changesets), first=first, last=last, path=path,
        )  # fmt: skip

    def _write(self, path: Path, changesets: Sequence[Changeset]) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for changeset in changesets:
                file.write(as_line(changeset) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        for old in self._paths()[:-ABANDONED_FILES_MAX]:
            old.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob("*.jsonl"))
