"""Changesets on their way to the workers: those of one turn of the event loop go together.

A lone one goes at once. What is applied after it in the same turn (a burst, or a node that catches
up) waits for the turn's end, or until there is enough of it, and goes as one frame: a worker goes
through all of them between two requests anyway, and frames cost more than changes do. What workers
serve is whole versions, as ever: they skip those in between.
"""

import asyncio
from collections.abc import Callable

from node import channel
from node.agent.limits import SNAPSHOT_SLICE_BYTES, SNAPSHOT_SLICE_CHANGES
from node.channel import Change, Version


class Gathering:
    """``send(frame)`` gives an encoded frame to all workers that have the state before it."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._version: Version | None = None
        """Of the last changeset that waits."""
        self._changes: list[Change] = []
        self._bytes = 0
        self._in_turn = False
        """Whether one has gone in this turn."""

    def add(self, version: Version, changes: tuple[Change, ...]) -> None:
        """The next changeset."""
        if not self._in_turn:
            self._in_turn = True
            asyncio.get_running_loop().call_soon(self._end_turn)
            self._send(channel.encode(channel.Apply(version, changes)))
            return
        self._version = version
        self._changes += changes
        self._bytes += sum(len(entity or "") for _, _, entity in changes)
        enough = len(self._changes) >= SNAPSHOT_SLICE_CHANGES
        if enough or self._bytes >= SNAPSHOT_SLICE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Let what waits go: something is to be sent that must not overtake it."""
        if self._version is not None:
            frame = channel.encode(channel.Apply(self._version, tuple(self._changes)))
            self._version, self._bytes = None, 0
            self._changes.clear()
            self._send(frame)

    def _end_turn(self) -> None:
        self._in_turn = False
        self.flush()
