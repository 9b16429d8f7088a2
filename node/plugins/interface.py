"""What a plugin is.

A plugin is a class with a ``schema``, which gives it its name, its priority and what its
configuration may say (``store.schema.plugins``; one declaration, shared with the Admin API), a
``version``, and methods for the phases that it takes part in. Of each configuration of a plugin a
worker makes one object, when the configuration changes: what can be prepared is prepared there, so
that little is left for each request. The phases, in the order of a request (Kong's):

``rewrite(context)``
    Before the route is known; only of global plugins.
``access(context)``
    The route, and once one has authenticated somebody the consumer, are known.
``header_filter(context)``
    The head of the answer is there, ours or the upstream's: ``context.response``.
``body_filter(context, data, last) -> bytes``
    A piece of the answer's body; what is returned takes its place.
``log(context)``
    The answer has been sent, or has failed.

``rewrite``, ``access`` and ``log`` may be ``async``. Such a method runs like any other until it
waits for something; only then a task is made of it; a plain method may also return a coroutine when
it has to wait. What itself needs to be in a task, such as
``asyncio.timeout`` or an HTTP client, is awaited through ``context.wait(...)``.

Phases of one request run one after another, on the loop's thread: they mustn't block. A phase that
raises, other than by ``context.exit`` and ``context.error``, is answered with 500.
"""

import inspect
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, Protocol

from store.schema.plugins.plugin import PluginSchema

if TYPE_CHECKING:
    from node.plugins.counters import SharedCounters
    from node.plugins.series import Series

ENTRY_POINTS = "grapevine.plugins"
"""The group of entry points under which packages offer plugins: name = module:class."""

PHASES = ("rewrite", "access", "header_filter", "body_filter", "log")
SYNCHRONOUS = frozenset(("header_filter", "body_filter"))
"""Nothing can wait while an answer is on its way, as in Kong."""


class PluginRefused(Exception):
    """A plugin, or a configuration of one, that can't be used here; the message says why."""


class Bound(NamedTuple):
    """What a configuration of a plugin is bound to; empty: not bound."""

    id: str
    """The plugin entity's."""
    route_id: str = ""
    service_id: str = ""
    consumer_id: str = ""


class Log(Protocol):
    """The worker's log, bounded per second."""

    def warning(self, message: str, **fields: object) -> None: ...

    def error(self, message: str, **fields: object) -> None: ...


class Lookups(Protocol):
    """Consumers and credentials, as stored (node.proxy.cold)."""

    def find_now(self, kind: str, field: str, value: str) -> tuple[str, ...] | None:
        """JSON texts; None when that takes waiting."""

    async def find(self, kind: str, field: str, value: str) -> tuple[str, ...]:
        """The same. Raises node.proxy.cold.ColdUnavailable."""


class Worker(Protocol):
    """What a plugin may use of the worker that it runs in."""

    @property
    def log(self) -> Log: ...

    @property
    def lookups(self) -> Lookups: ...

    @property
    def counters(self) -> "SharedCounters":
        """Shared by all workers of the node."""

    @property
    def series(self) -> "Series":
        """Metrics with labels, for ``/metrics``."""

    def now(self) -> float:
        """Unix seconds."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the requests."""


class Plugin:
    """The base of all plugins. A subclass sets ``schema`` and ``version``, and defines phases."""

    schema: ClassVar[PluginSchema]
    version: ClassVar[str]
    name: ClassVar[str]
    """The schema's."""
    priority: ClassVar[int]
    """The schema's."""

    def __init_subclass__(cls) -> None:
        declared = cls.__dict__.get("schema")
        if declared is not None:
            cls.name, cls.priority = declared.name, declared.priority

    def __init__(self, config: Mapping[str, Any], bound: Bound, worker: Worker) -> None:
        """``config`` is valid and complete, its references resolved. Raises PluginRefused."""

    @classmethod
    def problem(cls, config: Mapping[str, Any]) -> str | None:
        """What of a valid configuration isn't served here; the Admin API refuses it with that."""
        return None


class Exit(Exception):
    """Raised by ``context.exit`` and ``context.error``: the request is answered with this."""

    def __init__(
        self,
        status: int,
        body: bytes | None,
        headers: tuple[tuple[str, str], ...],
        message: str = "",
    ) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        """None: ``message`` in Kong's form of errors."""
        self.headers = headers
        self.message = message


def check_class(name: str, found: object) -> type[Plugin]:
    """What an entry point gave, as a plugin of that name. Raises PluginRefused."""

    def refuse(reason: str) -> NoReturn:
        raise PluginRefused(f"plugin '{name}': {reason}")

    if not isinstance(found, type) or not issubclass(found, Plugin):
        refuse(f"{found!r} is no subclass of node.plugins.interface.Plugin")
    if not isinstance(getattr(found, "schema", None), PluginSchema):
        refuse("it has no schema (store.schema.plugins.plugin.PluginSchema)")
    if found.name != name:
        refuse(f"its schema names it '{found.name}'")
    if not isinstance(getattr(found, "version", None), str):
        refuse("it has no version")
    for phase in PHASES:
        method = getattr(found, phase, None)
        if method is not None and not callable(method):
            refuse(f"its {phase} is no method")
        if phase in SYNCHRONOUS and inspect.iscoroutinefunction(method):
            refuse(f"its {phase} is async, and nothing can wait there")
    return found
