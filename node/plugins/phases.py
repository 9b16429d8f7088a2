"""The plugins of one request, run phase by phase, with nothing left to chance when one fails."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, cast

from node.plugins.chain import Chain, Step
from node.plugins.context import Context, Facts
from node.plugins.fields import Pair
from node.plugins.holding import Plugins
from node.plugins.interface import Exit
from node.proxy import errors
from node.proxy.cold import ColdUnavailable

Then = Callable[[Exit | None], None]
"""Called once all have run, or with what the request is to be answered with."""

_ERROR_CHARS_MAX = 300
_RAISED = (Exception, SystemExit)
"""What a plugin may raise; even one that wants to end the process only fails its request."""


_NO_STEPS: Iterator[Step] = iter(())


class PluginFailed(Exception):
    """A filter has failed, and that was logged: the answer can't go on as it is."""


@types.coroutine
def _resumed(work: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, None]:
    """Go on, in a task, with a coroutine that has been driven to its first wait by hand."""
    while True:
        try:
            try:
                sent = yield waits_for
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:
                waits_for = work.throw(error)
            else:
                waits_for = work.send(sent)
        except StopIteration:
            return


class Phases:
    """Runs them, ``chain`` once it is known.

    ``plugins()`` gives those of the state that is served: while a plugin waits, another state may
    have taken the place of the one that the request began with, of which little is left.
    """

    __slots__ = ("_ended", "_plugins", "_steps", "_task", "_then", "chain", "context")

    def __init__(self, context: Context, plugins: Callable[[], Plugins], chain: Chain) -> None:
        self.context = context
        self.chain = chain
        self._plugins = plugins
        self._steps: Iterator[Step] = _NO_STEPS
        """Still to run in this phase."""
        self._then: Then | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    def rewrite(self, then: Then) -> None:
        """Run the phase; ``then`` may be called before this returns."""
        self._steps = iter(self.chain.rewrite)
        self._then = then
        self._go()

    def access(self, then: Then) -> None:
        """The same."""
        self._steps = iter(self.chain.access)
        self._then = then
        self._go()

    def _go(self) -> None:
        context = self.context
        steps = self._steps
        for step in steps:
            before = context.consumer
            try:
                work = step.call(context)
                if work is not None and isinstance(work, Coroutine):
                    try:
                        waits_for = work.send(None)
                    except StopIteration:
                        pass
                    else:
                        self._wait(step, work, waits_for)
                        return
            except _RAISED as error:
                self._end_phase(self._outcome(step, error))
                return
            if context.consumer is not before and not self.chain.is_for_all:
                self._turn(step)
                if self._steps is not steps:
                    self._go()
                    return
        then, self._then = self._then, None  # as _end_phase does it
        if then is not None and not self._ended:
            then(None)

    def _end_phase(self, outcome: Exit | None) -> None:
        then, self._then = self._then, None
        self._steps = _NO_STEPS
        if then is not None and not self._ended:
            then(outcome)

    def _turn(self, step: Step) -> None:
        """It has become known who asks: the plugins after this one are those for that consumer."""
        context = self.context
        consumer, route = context.consumer, context.route
        if consumer is None or route is None:
            return
        plugins = self._plugins()
        if not plugins.has_own(consumer.id):
            return
        other = plugins.chain(route.id, route.service_id, consumer.id)
        self.chain = self.chain.turned(step.rank, other)
        self._steps = iter([each for each in self.chain.access if each.rank < step.rank])

    def _wait(self, step: Step, work: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._task = asyncio.get_running_loop().create_task(self._continue(step, work, waits_for))
        self._task.add_done_callback(self._continued)

    async def _continue(self, step: Step, work: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        before = self.context.consumer
        try:
            await cast("Coroutine[Any, Any, None]", _resumed(work, waits_for))
        except _RAISED as error:
            self._end_phase(self._outcome(step, error))
            return
        if self._ended:
            return
        if self.context.consumer is not before:
            self._turn(step)
        self._go()

    def _continued(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log("a request failed behind its plugins", error)

    # The answer

    def filter_head(self, status: int, pairs: Callable[[], list[Pair]], source: str) -> None:
        """The answer's head is there; what becomes of it stands in ``context.response``.

        Raises PluginFailed.
        """
        self.context.response.begin(status, pairs, source)
        for step in self.chain.header_filter:
            try:
                step.call(self.context)
            except _RAISED as error:
                self._outcome(step, error)
                raise PluginFailed(step.plugin) from error

    def filter_body(self, data: bytes, last: bool) -> bytes:
        """What becomes of a piece of its body. Raises PluginFailed."""
        for step in self.chain.body_filter:
            try:
                data = step.call(self.context, data, last)
                if not isinstance(data, bytes):
                    raise TypeError(f"body_filter returned {type(data).__name__} for bytes")
            except _RAISED as error:
                self._outcome(step, error)
                raise PluginFailed(step.plugin) from error
        return data

    def end(self, facts: Facts | None) -> None:
        """The request is over: whatever still runs is stopped, and the phase ``log`` runs, for
        which there are ``facts``."""
        self._ended = True
        self._then = None
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        self.context.facts = facts
        for step in self.chain.log:
            try:
                work = step.call(self.context)
                if isinstance(work, Coroutine):
                    self._log_later(step, work)
            except _RAISED as error:
                self._outcome(step, error)

    def _log_later(self, step: Step, work: Coroutine[Any, Any, Any]) -> None:
        try:
            waits_for = work.send(None)
        except StopIteration:
            return
        self.context.worker.spawn(self._logged(step, work, waits_for))

    async def _logged(self, step: Step, work: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        try:
            await cast("Coroutine[Any, Any, None]", _resumed(work, waits_for))
        except _RAISED as error:
            self._outcome(step, error)

    # Failures

    def _outcome(self, step: Step, error: BaseException) -> Exit:
        """What a request is answered with when a plugin has raised this."""
        if isinstance(error, Exit):
            return error
        if isinstance(error, ColdUnavailable):
            self._log(f"plugin {step.plugin} can't look up who asks", error)
            return Exit(
                503,
                None,
                (("Retry-After", "1"),),
                "consumers and credentials can't be looked up just now; try again",
            )
        self._log(f"plugin {step.plugin} failed", error)
        return Exit(500, None, (), errors.TEXTS[500])

    def _log(self, message: str, error: BaseException) -> None:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        at = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        self.context.worker.log.error(
            message,
            reason=repr(error)[:_ERROR_CHARS_MAX],
            at=at,
            request_id=self.context.request_id,
        )
