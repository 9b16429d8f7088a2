"""A program that shows a cluster of its own making, to be driven through a terminal by a test.

Prints ``view ended: …`` once the view is gone; the key ``x`` has it crash while drawing.
"""

import asyncio
import signal
import sys

from node.top.screen import ViewFailed, show
from node.top.snapshot import Key, Place, Sight, Snapshot


async def main() -> None:
    loop = asyncio.get_running_loop()
    end: asyncio.Future[None] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set_result, None)
    pressed: list[str] = []

    def look() -> Snapshot:
        if "x" in pressed:
            raise RuntimeError("a crash on purpose")
        node = Sight("node1", "serving", version=Place(1, 42))
        return Snapshot("a cluster", "", (node,), keys=(Key("q", "quit"),), notice=str(pressed))

    try:
        await show(look, pressed.append, end)
    except ViewFailed as error:
        print(f"view ended: {error}")
    else:
        print("view ended: well")


if __name__ == "__main__":
    asyncio.run(main())
    sys.exit(0)
