"""kinship, from PyPI: a library; one process per agent that starts it and prints its events."""

import os
import sys
from pathlib import Path
from typing import get_args

from benchmarks.membership import kinship_agent
from benchmarks.membership.programs import ProgramFailed, run
from benchmarks.membership.systems import Kind, Launch, Said, Seat, Unavailable

VERSION = "0.4.0"
INSTALL_SECONDS_MAX = 180.0


class Kinship:
    """Satisfies System. An environment of its own is made in the user's cache when missing."""

    name = "kinship"
    tells_recovery = True

    def __init__(self) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        tag = sys.implementation.cache_tag
        self._environment = cache / "grapevine-benchmarks" / f"kinship-{VERSION}-{tag}"
        self._python = self._environment / "bin" / "python"

    async def prepare(self) -> str:
        try:
            if not self._python.exists():
                await run([sys.executable, "-m", "venv", str(self._environment)])
            try:
                return await self._installed()
            except ProgramFailed:
                pip = [str(self._python), "-m", "pip", "install", "--quiet", f"kinship=={VERSION}"]
                await run(pip, seconds=INSTALL_SECONDS_MAX)
                return await self._installed()
        except (ProgramFailed, OSError) as error:
            raise Unavailable(f"kinship {VERSION} can't be had: {error}") from error

    async def found(self, home: Path) -> None:
        pass

    def launch(self, seat: Seat, seeds: list[str], key: str | None) -> Launch:
        command = [str(self._python), "-P", kinship_agent.__file__, seat.name, seat.address]
        return Launch([*command, *seeds], {kinship_agent.KEY: key or ""})

    def read(self, line: str) -> Said | None:
        first, _, kind = line.partition(" ")
        if first != kinship_agent.MARK:
            return None
        kind, _, member = kind.partition(" ")
        for known in get_args(Kind):
            if kind == known:
                return Said(known, member)
        return None

    async def _installed(self) -> str:
        command = [str(self._python), "-c", "import kinship; print(kinship.__version__)"]
        return (await run(command)).strip()
