"""Work for the processor that has no end, until it is stopped."""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import AsyncIterator

LOOP = "while True: pass"


@contextlib.asynccontextmanager
async def busy(count: int) -> AsyncIterator[None]:
    """So many processes that compute without pause."""
    bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    processes: list[asyncio.subprocess.Process] = []
    try:
        for _ in range(count):
            processes.append(
                await asyncio.create_subprocess_exec(*bound, sys.executable, "-c", LOOP)
            )
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in processes:
            await process.wait()
