"""One request, as plugins see it: what it asks for, who asks, and what is sent on and back."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar, cast

from node.plugins.fields import (
    Arguments,
    Edit,
    EditedFields,
    Headers,
    Index,
    Pair,
    bytes_of,
    fields_of,
    index_of,
    text_of,
)
from node.plugins.interface import Exit, Plugin, Worker
from node.plugins.limits import ENTITIES_REMEMBERED_MAX, PLUGINS_KEPT_MAX
from node.proxy import fields, paths
from node.proxy.entities import Route, Service
from node.proxy.heads import RequestHead

Result = TypeVar("Result")

_JSON = "application/json; charset=utf-8"
_READABLE = {
    fields.CONNECTION: b"connection",
    fields.CONTENT_LENGTH: b"content-length",
    fields.TRANSFER_ENCODING: b"transfer-encoding",
    fields.UPGRADE: b"upgrade",
    fields.EXPECT: b"expect",
    fields.X_FORWARDED_FOR: b"x-forwarded-for",
    fields.X_FORWARDED_PROTO: b"x-forwarded-proto",
    fields.X_FORWARDED_HOST: b"x-forwarded-host",
    fields.X_FORWARDED_PORT: b"x-forwarded-port",
    fields.X_FORWARDED_PATH: b"x-forwarded-path",
    fields.X_FORWARDED_PREFIX: b"x-forwarded-prefix",
    fields.X_REAL_IP: b"x-real-ip",
}
"""Fields of a request that aren't passed on as they are, and can be read all the same."""


class Consumer(NamedTuple):
    """Whom a request was authenticated as."""

    id: str
    username: str
    """Empty: none."""
    custom_id: str
    """Empty: none."""


class Asker(NamedTuple):
    """Where a request came from."""

    ip: str
    """The client's address; a trusted proxy's word for it counts."""
    scheme: str
    """``http`` or ``https``; a trusted proxy's word for it counts."""
    port: int
    """The listener's."""


class Asked(Protocol):
    """A request, as far as it is seldom asked about."""

    @property
    def request_id(self) -> bytes: ...

    def asker(self) -> Asker: ...

    def captures(self) -> Mapping[str | int, str]: ...

    async def read_body(self) -> bytes | None: ...


_NO_NAMES: frozenset[bytes] = frozenset()


class Response:
    """The answer: before it is there, headers can be set that it will have."""

    __slots__ = ("_lines", "_made", "_names", "source", "status")

    def __init__(self) -> None:
        self.status = 0
        """0: not there yet. ``header_filter`` may change it."""
        self.source = ""
        """Who answered: ``service``, ``exit`` (a plugin) or ``error``."""
        self._names = _NO_NAMES
        self._lines = b""
        """What was put, as long as it is all that there is."""
        self._made: Headers | None = None

    @property
    def _headers(self) -> Headers:
        if self._made is None:
            self._made = Headers(())
            if self._names:
                self._made.apply(self._names, fields_of(self._lines))
        return self._made

    def get_header(self, name: str) -> str | None:
        """The first value; None without any. Before the answer is there, of what was set."""
        return self._headers.get(name)

    def set_header(self, name: str, *values: str) -> None:
        """Put these in place of all values."""
        self._headers.set(name, *values)

    def add_header(self, name: str, *values: str) -> None:
        """Put these behind what is there."""
        self._headers.add(name, *values)

    def clear_header(self, name: str) -> None:
        """Take all values out."""
        self._headers.remove(name)

    def put(self, names: frozenset[bytes], lines: bytes) -> None:
        """Put lines that are ready to be sent, ``Name: value`` with CR and LF, in place of all
        values of these names, lower-cased."""
        if self._made is None and not self._names:
            self._names, self._lines = names, lines
        else:
            self._headers.apply(names, fields_of(lines))

    @property
    def edited(self) -> bool:
        """Whether its headers differ from what they would be without plugins."""
        return bool(self._names) if self._made is None else self._made.edited

    def lines_beside(self, names: frozenset[bytes]) -> bytes | None:
        """What was set or added, as lines to go with fields of these (lower-cased) names; None when
        some of those were taken out."""
        headers = self._made
        if headers is None:
            return self._lines if self._names.isdisjoint(names) else None
        if not headers.edited:
            return b""
        if not headers.removed.isdisjoint(names):
            return None
        return b"".join([b"%b: %b\r\n" % (name, value) for _, name, value in headers.added])

    @property
    def pairs(self) -> Sequence[Pair]:
        """Its fields."""
        return self._headers.pairs

    def begin(self, status: int, pairs: Callable[[], Sequence[Pair]], source: str) -> None:
        """It is there; ``pairs`` takes its fields apart."""
        self.status, self.source = status, source
        self._headers.rebase(pairs)


class Outgoing:
    """What the upstream gets in place of what the client sent; None: the same."""

    __slots__ = ("body", "host", "method", "path")

    def __init__(self) -> None:
        self.method: bytes | None = None
        self.path: bytes | None = None
        """Escaped."""
        self.host: bytes | None = None
        self.body: bytes | None = None


_UNCHANGED = Outgoing()
_NO_EDIT = Edit({})


class Context:
    """What plugins are called with. One per request; phases share it.

    Reading headers and the query takes them apart once, whichever plugin comes first. Their edits
    are what the upstream gets, and what the plugins after it read.
    """

    __slots__ = (
        "_arguments",
        "_asked",
        "_edit",
        "_headers",
        "consumer",
        "credential",
        "facts",
        "head",
        "outgoing",
        "response",
        "route",
        "service",
        "shared",
        "worker",
    )

    def __init__(self, head: RequestHead, asked: Asked, worker: Worker) -> None:
        self.head = head
        self.worker = worker
        self.route: Route | None = None
        self.service: Service | None = None
        self.consumer: Consumer | None = None
        self.credential: Mapping[str, Any] | None = None
        """As stored; it has an ``id``."""
        self.shared: dict[str, Any] = {}
        """For plugins to tell one another."""
        self.response = Response()
        self.outgoing = _UNCHANGED
        self.facts: Facts | None = None
        """How it went, for the phase ``log``."""
        self._asked = asked
        self._headers: Headers | None = None
        self._arguments: Arguments | None = None
        self._edit: Edit | None = None
        """What was changed of the headers, as long as nobody has looked at them."""

    # The request

    @property
    def request_id(self) -> str:
        return self._asked.request_id.decode()

    @property
    def asker(self) -> Asker:
        return self._asked.asker()

    @property
    def method(self) -> str:
        return text_of(self.outgoing.method or self.head.method)

    @property
    def path(self) -> str:
        """Normalised, without the query; as the client sent it."""
        return text_of(paths.normalise(self.head.path))

    @property
    def headers(self) -> Headers:
        """To read and to edit; Host is among them, and can't be changed here."""
        if self._headers is None:
            index = self.head.remembered.index
            if index is None:
                index = self.head.remembered.index = _index_of(self.head)
            self._headers = Headers(self.head.plain, index)
            edit, self._edit = self._edit, None
            if edit is not None:
                self._headers.apply(edit.removed, edit.added)
        return self._headers

    @property
    def query(self) -> Arguments:
        """To read and to edit."""
        if self._arguments is None:
            self._arguments = Arguments.parse(self.head.query[1:])
        return self._arguments

    @property
    def client_ip(self) -> str:
        return self.asker.ip

    async def body(self) -> bytes | None:
        """The whole body as the upstream will get it; None when it is larger than plugins may
        see (BODY_BYTES_MAX), or the client went."""
        if self.outgoing.body is not None:
            return self.outgoing.body
        return await self._asked.read_body()

    @property
    def captures(self) -> Mapping[str | int, str]:
        """What the groups of the route's path expression matched, by name and by number."""
        return self._asked.captures()

    # What the upstream gets

    def set_upstream_header(self, name: str, *values: str) -> None:
        """Put these in place of all values of a field. ``Host`` may be set, too."""
        if name.lower() == "host":
            self.set_upstream_host(values[0])
        else:
            self.headers.set(name, *values)

    def clear_upstream_header(self, name: str) -> None:
        self.headers.remove(name)

    def set_upstream_method(self, method: str) -> None:
        self._own_outgoing().method = method.encode("ascii")

    def set_upstream_path(self, path: str) -> None:
        """``path`` begins with a slash and isn't escaped, or only in part."""
        self._own_outgoing().path = paths.escape(bytes_of(path))

    def set_upstream_host(self, host: str) -> None:
        self._own_outgoing().host = bytes_of(host)

    def set_upstream_body(self, body: bytes) -> None:
        """Only once ``body()`` has given the one that it takes the place of."""
        self._own_outgoing().body = body

    def edit_upstream_headers(self, edit: Edit) -> None:
        """Change fields as it was prepared."""
        if self._headers is None and self._edit is None:
            self._edit = edit
        else:
            self.headers.apply(edit.removed, edit.added)

    # What is made of a head once

    def kept(self, plugin: Plugin) -> Any:
        """What this plugin has kept for requests on this connection that have exactly the header
        fields of this one; None for nothing, and once any plugin has changed the fields. Method,
        path and query may be others."""
        kept = self.head.remembered.kept
        if kept is None or self._edit is not None:
            return None
        headers = self._headers
        return kept.get(plugin) if headers is None or not headers.edited else None

    def keep(self, plugin: Plugin, what: object) -> None:
        """Keep something, other than None, in place of what was kept before. It goes with the
        connection, or earlier; whether it still holds, the plugin itself has to find out."""
        headers = self._headers
        if self._edit is not None or (headers is not None and headers.edited):
            return
        remembered = self.head.remembered
        if remembered.kept is None or len(remembered.kept) >= PLUGINS_KEPT_MAX:
            remembered.kept = {}
        remembered.kept[plugin] = what

    def _own_outgoing(self) -> Outgoing:
        if self.outgoing is _UNCHANGED:
            self.outgoing = Outgoing()
        return self.outgoing

    # Who asks

    @property
    def consumer_id(self) -> str | None:
        return self.consumer.id if self.consumer is not None else None

    @property
    def credential_id(self) -> str | None:
        return str(self.credential["id"]) if self.credential is not None else None

    def authenticate(self, consumer: Consumer | None, credential: Mapping[str, Any] | None) -> None:
        """Say who asks. Which of a plugin's configurations runs may depend on it from here on."""
        self.consumer, self.credential = consumer, credential

    async def find(self, kind: str, field: str, value: str) -> list[Mapping[str, Any]]:
        """Consumers or credentials by their id, a unique field or a reference, not to be changed;
        expired ones aren't there. Raises node.proxy.cold.ColdUnavailable, which is answered with
        503."""
        found = self.find_now(kind, field, value)
        if found is not None:
            return found
        texts = await self.wait(self.worker.lookups.find(kind, field, value))
        return [_entity_of(text) for text in texts]

    def find_now(self, kind: str, field: str, value: str) -> list[Mapping[str, Any]] | None:
        """The same; None when that takes waiting."""
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                return []  # stored text is UTF-8: what isn't is nobody's
        texts = self.worker.lookups.find_now(kind, field, value)
        if texts is None:
            return None
        return [_entities.get(text) or _entity_of(text) for text in texts]

    async def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Await something that has to run in a task."""
        return await asyncio.get_running_loop().create_task(work)

    # Answering at once

    def exit(
        self,
        status: int,
        body: Mapping[str, Any] | Sequence[Any] | str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> NoReturn:
        """Answer the request here: no later plugin's ``access`` runs, and no upstream is asked.

        What isn't text or bytes is sent as JSON.
        """
        fields = dict(headers or {})
        if body is None:
            data = b""
        elif isinstance(body, bytes):
            data = body
        elif isinstance(body, str):
            data = bytes_of(body)
        else:
            data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            if not any(name.lower() == "content-type" for name in fields):
                fields["Content-Type"] = _JSON
        raise Exit(status, data, tuple(fields.items()))

    def error(
        self, status: int, message: str, headers: Mapping[str, str] | None = None
    ) -> NoReturn:
        """The same with a message, in the form of Kong's errors that the client accepts."""
        raise Exit(status, None, tuple((headers or {}).items()), message)

    # For whoever drives the phases

    @property
    def only_edit(self) -> Edit | None:
        """All that plugins have changed, if that is one edit; nothing is one, too."""
        arguments, headers = self._arguments, self._headers
        if self.outgoing is not _UNCHANGED or (arguments is not None and arguments.edited):
            return None
        if headers is None:
            return self._edit or _NO_EDIT
        return None if headers.edited else _NO_EDIT

    def edited_head(self, before: RequestHead | None = None) -> RequestHead:
        """The head with what plugins have changed of it. ``before`` is what an earlier request with
        the same head came to: it is returned if this one comes to the same."""
        head, edited = self.head, None
        if self._edit is not None:
            edited = self._fields_by(self._edit)
        elif self._headers is not None and self._headers.edited:
            edited = self._edited_fields(self._headers)
        if edited is not None:
            if (
                before is not None
                and before.remembered is edited.remembered
                and before.query == head.query
                and before.method == head.method
            ):
                head = before
            else:
                # Nothing of what was made of the client's fields holds for these.
                head = head._replace(plain=edited.plain, remembered=edited.remembered)
        if self._arguments is not None and self._arguments.edited:
            encoded = self._arguments.encode()
            head = head._replace(query=b"?" + encoded if encoded else b"")
        if self.outgoing.method is not None:
            head = head._replace(method=self.outgoing.method)
        return head

    def _fields_by(self, edit: Edit) -> EditedFields:
        known = self.head.remembered.edited
        if known is None or known.edit is not edit:
            headers = Headers(self.head.plain)
            headers.apply(edit.removed, edit.added)
            known = self._edited_fields(headers)
            known.edit = edit
        return known

    def _edited_fields(self, headers: Headers) -> EditedFields:
        """What the fields come to; often that is what they came to the last time."""
        remembered = self.head.remembered
        known = remembered.edited
        if known is None or known.removed != headers.removed or known.added != headers.added:
            known = remembered.edited = EditedFields(headers)
        return known

    @property
    def changes_only_head(self) -> bool:
        """Whether plugins have changed nothing but what ``edited_head`` tells."""
        return self.outgoing is _UNCHANGED


def _index_of(head: RequestHead) -> Index:
    """The fields of a request by name: those that are passed on as they are, and the others."""
    special = {b"host": head.host} if head.host else {}
    for kind, value in head.special.items():
        if kind in _READABLE:
            special[_READABLE[kind]] = value
    return index_of(head.plain, special)


_entities: dict[str, Mapping[str, Any]] = {}


def _entity_of(text: str) -> Mapping[str, Any]:
    """An entity of its stored text. The same few are met again and again."""
    entity = _entities.get(text)
    if entity is None:
        entity = cast("dict[str, Any]", json.loads(text))
        if len(_entities) >= ENTITIES_REMEMBERED_MAX:
            _entities.clear()
        _entities[text] = entity
    return entity


class Facts(NamedTuple):
    """How a request went. Times are in milliseconds, sizes in bytes, heads included."""

    status: int
    request_ms: int
    """From the request's head to the end of its answer."""
    upstream_ms: int | None
    """From the request's being sent on to the first byte of the answer; None: no upstream
    answered."""
    own_ms: int
    """Up to the request's being sent on; without an upstream, all of it."""
    request_bytes: int
    response_bytes: int
    started_at: float
    """Unix seconds."""


def serialized(context: Context) -> dict[str, Any]:
    """What logging plugins write of a request: Kong's fields (``kong.log.serialize``)."""
    facts, head = context.facts, context.head
    assert facts is not None
    route, service, consumer = context.route, context.service, context.consumer
    own = {
        "request": {
            "id": context.request_id,
            "method": text_of(head.method),
            "uri": text_of(head.target),
            "url": f"{context.asker.scheme}://{text_of(head.host)}:{context.asker.port}"
            f"{text_of(head.path)}",
            "querystring": {name: context.query.get(name) for name in context.query},
            "headers": {name: context.headers.get(name) for name in context.headers.names()},
            "size": facts.request_bytes,
        },
        "response": {
            "status": facts.status,
            "headers": {
                text_of(name.lower()): text_of(value) for name, value in context.response.pairs
            },
            "size": facts.response_bytes,
        },
        "latencies": {
            "request": facts.request_ms,
            "kong": facts.own_ms,
            "proxy": -1 if facts.upstream_ms is None else facts.upstream_ms,
        },
        "client_ip": context.client_ip,
        "started_at": round(facts.started_at * 1000),
        "source": context.response.source,
        "workspace_name": "default",
    }
    if route is not None:
        own["route"] = {"id": route.id, "name": route.name or None}
    if service is not None:
        own["service"] = {
            "id": service.id,
            "name": service.name or None,
            "host": service.host,
            "port": service.port,
        }
    if consumer is not None:
        own["consumer"] = {
            "id": consumer.id,
            "username": consumer.username or None,
            "custom_id": consumer.custom_id or None,
        }
    if context.credential is not None:
        own["authenticated_entity"] = {"id": context.credential_id}
    return own
