"""Running a program to its end, with a bound."""

import asyncio
import os
from collections.abc import Mapping, Sequence

SECONDS_MAX = 60.0
SHOWN_CHARS_MAX = 400


class ProgramFailed(Exception):
    """A program ended badly, or not in time, or isn't there."""


async def run(
    command: Sequence[str],
    *,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    seconds: float = SECONDS_MAX,
) -> str:
    """What the program prints. ``environment`` is added to the inherited. Raises ProgramFailed."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise ProgramFailed(f"{command[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate(stdin.encode())
    except TimeoutError as error:
        raise ProgramFailed(f"{' '.join(command)}: not done in {seconds:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    if process.returncode != 0:
        end = text.strip()[-SHOWN_CHARS_MAX:]
        raise ProgramFailed(f"{' '.join(command)}: exit code {process.returncode}: {end}")
    return text
