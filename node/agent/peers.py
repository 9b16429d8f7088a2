"""``<prefix>/peers.json``: where other members were, and when somebody ran there last.

With it a node finds the others after any outage, with the authority away and every seed moved. The
times are the wall clock's and no more than a hint: they order the addresses, and let old ones go.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gossip.address import Address, format_address, parse_address
from node import logs
from node.agent.keeper import Keeper
from node.agent.limits import (
    KEEPSAKE_BYTES_MAX,
    PEERS_FRESH_SECONDS,
    PEERS_KEPT_MAX,
    PEERS_KEPT_MIN,
    PEERS_KEPT_SECONDS,
)
from node.agent.prefix import load_json, store_json

log = logs.get("node")


class Peers:
    """``running()`` are the addresses at which other members run now; ``clock`` gives Unix
    seconds."""

    def __init__(
        self,
        prefix: Path,
        running: Callable[[], Sequence[Address]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = prefix / "peers.json"
        self._running = running
        self._clock = clock
        self._seen = _load(self._path, clock())
        self._present: Sequence[Address] = ()
        self._file = Keeper("the list of peers", self._write)

    def known(self) -> list[Address]:
        """Where members are or were, the latest first."""
        return list(self._seen)

    def changed(self) -> None:
        """A member came or went: note who runs, and keep that."""
        present = self._running()
        # Whoever has just gone was there until now, however long ago that was written last.
        now = self._clock()
        seen = dict.fromkeys([*present, *self._present], now)
        seen = {**seen, **{one: at for one, at in self._seen.items() if one not in seen}}
        self._present = present
        self._seen = _worth_keeping(seen, now)
        self._file.changed()

    async def keep_fresh(self) -> None:
        """Note who runs now and then; until cancelled."""
        while True:
            await asyncio.sleep(PEERS_FRESH_SECONDS)
            self.changed()

    async def finish(self) -> None:
        """Wait until everything is written."""
        await self._file.finish()

    def _write(self) -> None:
        peers = [
            {"address": format_address(address), "seen": round(seen)}
            for address, seen in self._seen.items()
        ]
        store_json(self._path, {"peers": peers})


def _worth_keeping(seen: Mapping[Address, float], now: float) -> dict[Address, float]:
    """The latest first; a clock that was ahead makes nobody younger than now."""
    ordered = sorted(seen.items(), key=lambda entry: -min(entry[1], now))[:PEERS_KEPT_MAX]
    return {
        address: min(at, now)
        for place, (address, at) in enumerate(ordered)
        if place < PEERS_KEPT_MIN or now - at < PEERS_KEPT_SECONDS
    }


def _load(path: Path, now: float) -> dict[Address, float]:
    """What was kept; nothing when it is damaged. Earlier versions kept addresses alone."""
    stored = load_json(path, KEEPSAKE_BYTES_MAX)
    if stored is None:
        return {}
    seen: dict[Address, float] = {}
    try:
        for peer in stored["peers"][:PEERS_KEPT_MAX]:
            if isinstance(peer, str):
                seen[parse_address(peer)] = now
            else:
                seen[parse_address(peer["address"])] = float(peer["seen"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning("the list of peers is damaged and left out", reason=str(error))
        return {}
    return _worth_keeping(seen, now)
