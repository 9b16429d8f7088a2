"""``<prefix>/registers.json``: the cluster's registers, as this node knew them last.

A file of its own, and not the replica's: that one is a copy of the authority at some version, set
aside or written anew as a whole when it isn't. Registers belong to no version, and no database.

Those that end by themselves are kept with the time of their end by the wall clock. That is a hint:
wherever it was set, nothing holds for longer than it was to hold when it was written.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gossip.limits import REGISTERS_DELETED_MAX, REGISTERS_MAX
from gossip.messages import message_fields, read_message
from gossip.messages.fields import Malformed
from gossip.messages.registers import Register
from node import logs
from node.agent.keeper import Keeper
from node.agent.limits import REGISTERS_FILE_BYTES_MAX
from node.agent.prefix import load_json, store_json

log = logs.get("node")


class KeptRegisters:
    """``held()`` are those of now; ``clock`` gives Unix seconds."""

    def __init__(
        self,
        prefix: Path,
        held: Callable[[], Sequence[Register]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = prefix / "registers.json"
        self._held = held
        self._clock = clock
        self._content: dict[str, Any] = {}
        self._file = Keeper("the list of registers", self._write)

    def load(self) -> list[Register]:
        """What was kept; nothing when it is damaged: other members know."""
        stored = load_json(self._path, REGISTERS_FILE_BYTES_MAX)
        if stored is None:
            return []
        most = REGISTERS_MAX + REGISTERS_DELETED_MAX
        try:
            return [_read(one, self._clock()) for one in stored["registers"][:most]]
        except (Malformed, KeyError, TypeError, ValueError) as error:
            log.warning("the list of registers is damaged and left out", reason=str(error))
            return []

    def changed(self) -> None:
        """One was set, deleted, or is over."""
        now = self._clock()
        self._content = {"registers": [_written(one, now) for one in self._held()]}
        self._file.changed()

    async def finish(self) -> None:
        """Wait until everything is written."""
        await self._file.finish()

    def _write(self) -> None:
        store_json(self._path, self._content)


def _written(register: Register, now: float) -> dict[str, Any]:
    fields = register._asdict()
    if register.remaining is not None:
        fields["ends_at"] = now + register.remaining
    return fields


def _read(stored: dict[str, Any], now: float) -> Register:
    """Raises Malformed, KeyError, TypeError or ValueError for what nobody could have sent."""
    remaining = stored["remaining"]
    if remaining is not None:
        remaining = min(float(remaining), max(0.0, float(stored["ends_at"]) - now))
    kept = [stored[name] for name in Register._fields[:-1]]
    kind, fields = message_fields(Register._make([*kept, remaining]))
    read = read_message(kind, fields)
    assert isinstance(read, Register)
    return read
