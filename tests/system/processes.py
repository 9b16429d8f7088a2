"""Running the command line as a process of its own, and seeing what it leaves behind."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from pathlib import Path

from tests.system.waiting import until

ROOT = Path(__file__).resolve().parent.parent.parent


class Command:
    """``grapevine …`` in a process group of its own, its output read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while chunk := await self.process.stdout.read(4096):
            self.output += chunk.decode(errors="replace")

    async def until_output(self, pattern: str, *, seconds: float = 40.0) -> re.Match[str]:
        """Wait until the output matches a regular expression."""

        async def matches() -> bool:
            return bool(re.search(pattern, self.output))

        try:
            await until(matches, f"output matches {pattern!r}", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.output}") from None
        found = re.search(pattern, self.output)
        assert found
        return found

    async def end(self, *, seconds: float = 30.0) -> int:
        """Wait for the exit; answers its code."""
        code = await asyncio.wait_for(self.process.wait(), seconds)
        await self._reading
        return code

    def group_members(self) -> list[int]:
        """Processes, zombies aside, of the command's process group."""
        return processes_of_group(self.process.pid)


_started: list[Command] = []


async def end_all() -> None:
    """Kill what is left of every command that was started, its children included."""
    while _started:
        command = _started.pop()
        for pid in processes_of_group(command.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await command.end()


async def grapevine(*arguments: str, environment: dict[str, str] | None = None) -> Command:
    """Start ``grapevine`` with these arguments; standard error goes into the output."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("KONG_", "GRAPEVINE_"))
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "node", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        env={**inherited, **(environment or {})},
    )
    command = Command(process)
    _started.append(command)
    return command


def processes_of_group(group: int) -> list[int]:
    """Process ids in a process group, zombies aside."""
    members = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            members.append(int(entry.name))
    return members
