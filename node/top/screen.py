"""The loop of the view: at most four pictures a second, and the keys pressed in between."""

import asyncio
import io
import os
from collections import deque
from collections.abc import Callable

from rich.console import Console

from node.top import limits
from node.top.rendering import render
from node.top.snapshot import Snapshot
from node.top.terminal import Terminal


class ViewFailed(Exception):
    """The view can't go on; the terminal is as it was before. The message says why."""


async def show(
    look: Callable[[], Snapshot], press: Callable[[str], None], end: "asyncio.Future[None]"
) -> None:
    """Draw what ``look`` sees and pass keys to ``press`` until ``end`` is done, also by ``q``.

    Raises ViewFailed for whatever goes wrong here, in ``look`` or in ``press``.
    """
    pressed: deque[str] = deque(maxlen=limits.KEYS_WAITING_MAX)

    def finish() -> None:
        if not end.done():
            end.set_result(None)

    try:
        with Terminal(pressed.append, finish) as terminal:
            while not end.done():
                while pressed:
                    key = pressed.popleft()
                    finish() if key == "q" else press(key)
                columns, rows = terminal.size()
                terminal.show(picture(look(), columns, rows))
                await asyncio.wait({end}, timeout=limits.DRAW_SECONDS)
    except Exception as error:
        raise ViewFailed(f"{type(error).__name__}: {error}") from error


def picture(snapshot: Snapshot, columns: int, rows: int) -> str:
    """The text of a picture, coloured as the terminal is able to and NO_COLOR allows."""
    text = io.StringIO()
    console = Console(
        file=text,
        width=columns,
        height=rows,
        force_terminal=True,
        no_color="NO_COLOR" in os.environ,
        highlight=False,
        legacy_windows=False,
    )
    console.print(render(snapshot, rows), end="")
    return "\n".join(text.getvalue().splitlines()[:rows])
