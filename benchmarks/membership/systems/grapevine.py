"""Grapevine: a whole node with neither listener nor worker, on an authority that all share."""

import re
import sys
from pathlib import Path
from typing import cast

import node
from benchmarks.membership.programs import run
from benchmarks.membership.systems import Kind, Launch, Said, Seat
from node.version import VERSION

_MEMBER = re.compile(r" notice node member name=(\S+) status=(alive|suspect|failed|left)\b")
_STARTED = re.compile(r" notice cluster gossip started ")
_ROOT = Path(node.__file__).parents[1]
"""The checkout whose code is measured, wherever this interpreter finds other copies."""


class Grapevine:
    """Satisfies System. It begins to join when it says that gossip has started."""

    name = "grapevine"
    tells_recovery = True

    async def prepare(self) -> str:
        return VERSION

    async def found(self, home: Path) -> None:
        conf = self._configure(Seat("founder", "127.0.0.1", 1, 1, home), [], None)
        command = [*_program(), "migrations", "bootstrap", "-c", str(conf)]
        await run(command, environment=_environment())

    def launch(self, seat: Seat, seeds: list[str], key: str | None) -> Launch:
        conf = self._configure(seat, seeds, key)
        return Launch([*_program(), "run", "-c", str(conf)], _environment())

    def read(self, line: str) -> Said | None:
        if found := _MEMBER.search(line):
            return Said(cast(Kind, found[2]), found[1])
        return Said("joining") if _STARTED.search(line) else None

    def _configure(self, seat: Seat, seeds: list[str], key: str | None) -> Path:
        settings = {
            "prefix": str(seat.home / seat.name),
            "node_name": seat.name,
            "database": "sqlite",
            "sqlite_path": str(seat.home / "authority.db"),
            "proxy_listen": "off",
            "admin_listen": "off",
            "admin_gui_listen": "off",
            "status_listen": "off",
            "cluster_listen": seat.address,
            "cluster_profile": "lan",
            "proxy_error_log": "/dev/stdout",
        }
        if seeds:
            settings["cluster_seeds"] = ", ".join(seeds)
        if key is not None:
            settings["cluster_encrypt_key"] = key
        conf = seat.home / f"{seat.name}.conf"
        conf.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
        return conf


def _program() -> list[str]:
    return [sys.executable, "-P", "-m", "node"]


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": str(_ROOT)}
