"""The pipe from whoever has started this node: its end stops the node, and a line may part it.

``cut 127.0.0.1:8105 127.0.0.1:8205`` has the node exchange no gossip with these from then on, and
``cut`` alone with all again: that is how the demo plays a partition. Neither configuration nor
network leads here: only a process that started this one with ``--lifeline-fd`` holds the other end,
and it could stop the node as well. Anything else that comes is logged and passed over.
"""

import os
from collections.abc import Callable

from gossip.address import Address
from node import logs
from node.config.listen import parse_host_port

log = logs.get("node")
LINE_BYTES_MAX = 64 * 1024
_READ_BYTES = 4096


class Lifeline:
    """Reads the pipe when it is readable; ``ended`` is called once, at its end."""

    def __init__(
        self, descriptor: int, cut: Callable[[frozenset[Address]], None], ended: Callable[[], None]
    ) -> None:
        self._descriptor = descriptor
        self._cut = cut
        self._ended = ended
        self._rest = b""

    def readable(self) -> None:
        """There is something, or the end."""
        data = os.read(self._descriptor, _READ_BYTES)
        if not data:
            self._ended()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._obey(line)
        self._rest = self._rest[:LINE_BYTES_MAX]

    def _obey(self, line: bytes) -> None:
        try:
            word, *texts = line.decode().split()
            if word != "cut":
                raise ValueError("no such order")
            addresses = frozenset((host, port) for host, port in map(_address, texts))
        except ValueError as error:
            log.warning("an order on the lifeline isn't understood", why=str(error))
            return
        self._cut(addresses)
        log.notice("gossip is cut off, as told by whoever started this node", from_=len(addresses))


def _address(text: str) -> Address:
    address = parse_host_port(text, default_port=0)
    return address.host, address.port
