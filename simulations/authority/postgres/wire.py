"""The connection between a client and a server: bytes that arrive late, in bursts, or never."""

from collections import deque
from collections.abc import Callable
from typing import Any

from simulations.clock import Clock


class Lane:
    """One direction: what is sent arrives in order, each after some delay."""

    def __init__(self, clock: Clock, delay: Callable[[], float]) -> None:
        self._clock = clock
        self._delay = delay
        self._last = 0.0
        self._held: deque[tuple[Callable[..., None], tuple[Any, ...]]] | None = None
        self._epoch = 0

    def send(self, action: Callable[..., None], *arguments: Any) -> None:
        """Call an action at the far end."""
        now = self._clock.now
        self._last = max(self._last, now + self._delay())
        self._clock.after(self._last - now, self._arrive, self._epoch, action, arguments)

    def hold(self) -> None:
        """Nothing arrives any more, and nobody is told; TCP keeps it for later."""
        if self._held is None:
            self._held = deque()

    def release(self) -> None:
        """What was held arrives now."""
        held, self._held = self._held, None
        for action, arguments in held or ():
            action(*arguments)

    def drop(self) -> None:
        """What is under way never arrives."""
        self._epoch += 1
        if self._held is not None:
            self._held.clear()

    def _arrive(self, epoch: int, action: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        if epoch != self._epoch:
            return
        if self._held is not None:
            self._held.append((action, arguments))
        else:
            action(*arguments)


class Wire:
    """Both directions."""

    def __init__(self, clock: Clock, delay: Callable[[], float]) -> None:
        self.to_server = Lane(clock, delay)
        self.to_client = Lane(clock, delay)

    def hold(self) -> None:
        self.to_server.hold()
        self.to_client.hold()

    def release(self) -> None:
        self.to_server.release()
        self.to_client.release()
