"""A process's asyncio loop in virtual time.

``store``'s asyncio side is little, but it decides: how often a transaction is tried, when a COMMIT
that wasn't answered is looked up, who shares a transaction with whom. So it runs here as it is, on
a loop whose callbacks are events of the world's clock. Nothing that needs a selector, a thread or a
signal exists on it: asking for it raises NotImplementedError.
"""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeVar

from simulations.clock import Clock

Result = TypeVar("Result")

_CANCELLATIONS_MAX = 100
"""Code that cleans up after itself may await something again."""


class ProcessLoop(asyncio.AbstractEventLoop):
    """One process: it may stand still, go on, and be killed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._soon: dict[asyncio.Handle, None] = {}
        """Callbacks that are to run at once."""
        self._timers: dict[asyncio.Handle, None] = {}
        self._due: deque[asyncio.Handle] | None = None
        """What fell due while it stood still."""
        self._dying = False
        self.errors: list[str] = []
        """What nobody else has caught; a simulation that ends with some has failed."""

    @classmethod
    def on(cls, clock: Clock) -> "ProcessLoop":
        """A new process's loop. (What it leaves out of a loop makes it abstract for checkers.)"""
        return cls(clock)

    # The process

    def spawn(
        self, work: Coroutine[Any, Any, Result], then: Callable[[asyncio.Task[Result]], None]
    ) -> asyncio.Task[Result]:
        """Run a coroutine; ``then`` is called when it is done, but not when it was cancelled."""
        task = self.create_task(work)
        task.add_done_callback(lambda done: None if done.cancelled() else then(done))
        return task

    def run(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Call something that expects to be called from a callback of this loop."""
        outer = events._get_running_loop()
        events._set_running_loop(self)
        try:
            return callback(*args)
        finally:
            events._set_running_loop(outer)

    def pause(self) -> None:
        if self._due is None:
            self._due = deque()

    def resume(self) -> None:
        due, self._due = self._due, None
        for handle in due or ():
            self._run(handle)

    def kill(self) -> None:
        """End all tasks at once, in no time. Cut its connections before: a dead process says
        nothing. It can be used again by the next life."""
        self._due = None
        self._timers.clear()
        self._dying = True
        for _ in range(_CANCELLATIONS_MAX):
            while self._soon:
                self._run(next(iter(self._soon)))
            for task in list(self._tasks):
                task.cancel()
            if not self._soon:
                break
        left = [task.get_coro() for task in self._tasks]
        assert not left, f"a task outlives its process: {left}"
        self._dying = False

    # What asyncio asks of a loop

    def time(self) -> float:
        return self._clock.now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._soon[handle] = None
        if not self._dying:
            self._clock.after(0.0, self._run, handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        if not self._dying:
            self._timers[handle] = None
            self._clock.after(max(0.0, when - self.time()), self._run, handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, Result] | Generator[Any, None, Result],
        **options: Any,
    ) -> asyncio.Task[Result]:
        task: asyncio.Task[Result] = asyncio.Task(coro, loop=self, **options)
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asked by TimerHandle. The clock's heap keeps it until it falls due."""
        self._timers.pop(handle, None)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def _run(self, handle: asyncio.Handle) -> None:
        if handle not in self._soon and handle not in self._timers:
            return  # cancelled, or of an earlier life
        if self._due is not None:
            self._due.append(handle)
            return
        self._soon.pop(handle, None)
        self._timers.pop(handle, None)
        if not handle.cancelled():
            self._call(handle)

    def _call(self, handle: asyncio.Handle) -> None:
        self.run(handle._run)
