"""Waiting for a condition of real processes, with a deadline instead of a sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp

POLL_SECONDS = 0.02


async def until(
    condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float = 20.0
) -> None:
    """Return once the condition holds; a refused connection counts as not yet.

    Fails with ``what`` when it doesn't come about in time.
    """
    deadline = time.monotonic() + seconds
    problem = ""
    while time.monotonic() < deadline:
        try:
            if await condition():
                return
            problem = ""
        except (aiohttp.ClientError, OSError) as error:
            problem = f" ({error!r})"
        await asyncio.sleep(POLL_SECONDS)
    raise AssertionError(f"not in {seconds:g} s: {what}{problem}")
