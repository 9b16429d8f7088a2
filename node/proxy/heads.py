"""Request heads, read from a client's bytes.

llhttp parses, and refuses what RFC 9112 forbids; the rules it leaves to us are here: Host,
the forms of a request target, and which transfer codings we take. The head that the upstream gets
(``node.proxy.outlines``) is written from the same parse that was routed, never from the client's
bytes.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import httptools

from node.proxy import fields, limits
from node.proxy.entities import split_port

if TYPE_CHECKING:
    from node.plugins.context import Asker
    from node.plugins.fields import EditedFields
    from node.proxy.outlines import Outline


class RequestRefused(Exception):
    """A request that gets an error answer and the end of its connection."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Remembered:
    """What was made of some fields, for whoever needs it again: requests on one connection that
    repeat them share it."""

    __slots__ = ("asker", "edited", "index", "kept", "log_tail", "named_port", "outline", "plain")

    def __init__(self) -> None:
        self.asker: Asker | None = None
        """Where they came from."""
        self.edited: EditedFields | None = None
        """What plugins have made of them the last time."""
        self.index: dict[bytes, tuple[bytes, ...]] | None = None
        """Values by lower-cased name (``node.plugins``)."""
        self.kept: dict[object, Any] | None = None
        """What plugins keep for requests that have them."""
        self.log_tail: bytes | None = None
        """The end of a line of the access log."""
        self.named_port: int | None = None
        """The port in the Host; 0: none."""
        self.outline: Outline | None = None
        """The head for the upstream, as far as these fields decide it."""
        self.plain: bytes | None = None
        """The fields to pass on, as lines."""


class RequestHead(NamedTuple):
    """A request head, checked."""

    method: bytes
    target: bytes
    """As the client sent it; for the log."""
    path: bytes
    """Raw path of the target, beginning with a slash."""
    query: bytes
    """With its question mark; empty without one."""
    version: int
    """10 or 11."""
    host: bytes
    """As sent: the target's authority if it has one (RFC 9112, 3.2.2), else the Host field."""
    host_name: bytes
    """Lower-cased, without port; IPv6 in brackets."""
    plain: tuple[tuple[bytes, bytes], ...]
    """The fields to pass on untouched, in order."""
    special: Mapping[int, bytes]
    """Other fields by kind (node.proxy.fields); repeated ones are joined as a list."""
    keep_alive: bool
    length: int | None
    """Content-Length."""
    chunked: bool
    expects_continue: bool
    upgrade: bytes
    """The protocol that the client asks to switch to, as it is asked for of the upstream; empty
    when it asks for none, or for one that may not pass."""
    remembered: Remembered

    def values(self, name: bytes) -> list[bytes]:
        """All values of the field of that lower-cased name."""
        return [value for own, value in self.plain if own.lower() == name]

    @property
    def has_body(self) -> bool:
        return self.chunked or bool(self.length)

    def of_length(self, length: int) -> "RequestHead":
        """The same head of a body of that length."""
        return self._replace(length=length, chunked=False, remembered=Remembered())


_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~!$&'()*+,;=%]*)(:[0-9]{1,5})?")
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]*)(.*)", re.DOTALL)
_USUAL_LINE = re.compile(
    rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) "
    rb"((/[!$-;=@-\[\]-_a-z|~]*)(\?[!$-;=?-\[\]-_a-z|~]*)?) HTTP/1\.1"
)
"""A request line that every rule allows; others are left to llhttp."""
_LIST_KINDS = frozenset((fields.CONNECTION, fields.UPGRADE, fields.X_FORWARDED_FOR, fields.HOP))
_LAST_KINDS = frozenset((fields.OURS,))
_seen = fields.seen.get
_PLAIN = fields.PLAIN
_host_names: dict[bytes, bytes] = {}


class HeadParser:
    """Parses the request heads of one connection, one after another, with one llhttp parser.

    ``feed`` must never be given bytes beyond the end of a head: whatever follows belongs to a body,
    or to a request that is read when this one has been answered.
    """

    __slots__ = (
        "_complete",
        "_last",
        "_last_fields",
        "_parser",
        "_plain",
        "_special",
        "_spent",
        "_started",
        "_target",
    )

    def __init__(self) -> None:
        self._last_fields = b""
        self._last: tuple[Any, ...] = ()
        self._reset_parser()

    def again(self, data: bytes) -> RequestHead | None:
        """The head that these bytes are from beginning to end, if its fields are those of the head
        before, byte by byte; None as well for an unusual request line.

        Clients send the same fields again and again: then only that line is read. It holds no CR,
        so the fields begin where those of the other head did.
        """
        fields_text = self._last_fields
        if not fields_text or not data.endswith(fields_text):
            return None
        end = len(data) - len(fields_text)
        line = _USUAL_LINE.fullmatch(data, 0, end)
        if line is None or end > limits.REQUEST_TARGET_BYTES_MAX:
            return None
        method, target, path, query = line.groups(b"")
        return RequestHead(method, target, path, query, *self._last)

    def whole(self, data: bytes) -> RequestHead | None:
        """The head that these bytes are from beginning to end. Raises RequestRefused. (None can't
        happen for a whole head that isn't refused; it is llhttp that says so.)"""
        head = self.again(data)
        if head is not None:
            return head
        head = self.feed(data)
        if head is not None and head.version == 11 and head.target[:1] == b"/":
            fields_text = data[data.find(b"\r\n") :]
            if len(fields_text) > limits.KNOWN_HEAD_BYTES_MAX:
                self._last_fields, self._last = b"", ()
            else:
                self._last_fields, self._last = fields_text, head[4:]
        return head

    def _reset_parser(self) -> None:
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._started = False
        self._complete = False
        self._spent = False

    def on_message_begin(self) -> None:
        if self._started:
            raise RequestRefused(400, "a second request begins within a head")
        self._started = True
        self._target = b""
        self._plain: list[tuple[bytes, bytes]] = []
        self._special: list[tuple[int, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        kind = _seen(name)
        if kind is None:
            kind = fields.kind_of(name)
        if kind == _PLAIN:
            self._plain.append((name, value))
        else:
            self._special.append((kind, value))

    def on_headers_complete(self) -> None:
        self._complete = True

    def feed(self, data: bytes) -> RequestHead | None:
        """The head, once ``data`` completes it. Raises RequestRefused."""
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # A complete head that asks to leave HTTP; whether it may is decided later. Either way
            # this parser is done.
            self._spent = True
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            raise cause if isinstance(cause, RequestRefused) else error from error
        except httptools.HttpParserError as error:
            # llhttp stops at the HTTP/2 connection preface (RFC 9113, 3.4) with a pause of its own.
            preface = "PRI" in str(error)
            raise RequestRefused(505 if preface else 400, str(error)) from error
        if not self._complete:
            return None
        head = self._finish(parser)
        self._started = self._complete = False
        if head.has_body or self._spent:
            # Bodies are delimited by node.proxy.framing; this parser would wait for one here.
            self._reset_parser()
        return head

    def close(self) -> None:
        """Cut the cycle between this and llhttp's parser, so that no garbage collection is due."""
        self._parser = None

    def _finish(self, parser: httptools.HttpRequestParser) -> RequestHead:
        method: bytes = parser.get_method()
        http_version: str = parser.get_http_version()
        if http_version not in ("1.0", "1.1"):
            raise RequestRefused(505 if http_version > "1.1" else 400, f"HTTP/{http_version}")
        if len(self._plain) + len(self._special) > limits.REQUEST_FIELDS_MAX:
            raise RequestRefused(431, f"a head of over {limits.REQUEST_FIELDS_MAX} fields")
        version = 11 if http_version == "1.1" else 10
        if method in (b"CONNECT", b"TRACE"):
            raise RequestRefused(405, f"method {method.decode()} is not served")
        special = self._join_special()
        path, query, authority = _split_target(self._target)
        host = special.get(fields.HOST)
        if host is None and version == 11:  # RFC 9112, 3.2: whatever the target's form
            raise RequestRefused(400, "an HTTP/1.1 request without Host")
        host_name = _host_name(host or b"")
        if authority is not None:
            host, host_name = authority, _host_name(authority)
        connection = special.get(fields.CONNECTION, b"")
        keep_alive = version == 11
        plain = self._plain
        options: frozenset[bytes] = frozenset()
        if connection:
            options = fields.tokens(connection)
            keep_alive = b"close" not in options and (keep_alive or b"keep-alive" in options)
            named = options - fields.CONNECTION_OPTIONS
            if named:
                plain = [pair for pair in plain if pair[0].lower() not in named]
        length_field = special.get(fields.CONTENT_LENGTH)
        length = None if length_field is None else fields.parse_length(length_field)
        if length is None and length_field is not None:
            raise RequestRefused(400, "a Content-Length that is no number")
        chunked = self._is_chunked(special, version, length)
        return RequestHead(
            method,
            self._target,
            path,
            query,
            version,
            host or b"",
            host_name,
            tuple(plain),
            special,
            keep_alive,
            length,
            chunked,
            version == 11 and special.get(fields.EXPECT, b"").lower() == b"100-continue",
            fields.passing_upgrade(special.get(fields.UPGRADE, b""))
            if b"upgrade" in options and version == 11 and not (chunked or length)
            else b"",
            Remembered(),
        )

    def _join_special(self) -> dict[int, bytes]:
        special: dict[int, bytes] = {}
        for kind, value in self._special:
            value = value.strip(b" \t")  # llhttp leaves blanks at the end (RFC 9112, 5.1)
            if kind not in special or kind in _LAST_KINDS:
                special[kind] = value
            elif kind in (fields.HOST, fields.CONTENT_LENGTH, fields.TRANSFER_ENCODING):
                raise RequestRefused(400, "Host, Content-Length or Transfer-Encoding is repeated")
            elif kind in _LIST_KINDS:
                special[kind] += b", " + value
        return special

    @staticmethod
    def _is_chunked(special: dict[int, bytes], version: int, length: int | None) -> bool:
        coding = special.get(fields.TRANSFER_ENCODING)
        if coding is None:
            return False
        if version == 10 or length is not None:  # RFC 9112, 6.1
            raise RequestRefused(400, "a Transfer-Encoding that version or length forbids")
        if coding.lower() != b"chunked":
            raise RequestRefused(400, "a Transfer-Encoding other than 'chunked'")
        return True


def _split_target(target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Path, query and authority of a request target (RFC 9112, 3.2)."""
    if len(target) > limits.REQUEST_TARGET_BYTES_MAX:
        raise RequestRefused(414, f"a request target of {len(target)} bytes")
    authority: bytes | None = None
    if target[:1] != b"/":
        match = _ABSOLUTE.fullmatch(target)
        if match is None or not match[1]:
            raise RequestRefused(400, "a request target that is neither a path nor an http URL")
        authority, target = match[1], match[2]
        if target[:1] != b"/":
            target = b"/" + target
    if b"#" in target:
        raise RequestRefused(400, "a request target with a fragment")
    path, mark, query = target.partition(b"?")
    return path, mark + query, authority


def _host_name(host: bytes) -> bytes:
    """The name in a Host, lower-cased and without port; what is no Host is refused."""
    name = _host_names.get(host)
    if name is None:
        if _HOST.fullmatch(host) is None:
            raise RequestRefused(400, "a Host that is neither a name nor an address")
        name = split_port(host.lower())[0]
        if len(_host_names) < limits.FIELD_NAMES_MAX:
            _host_names[host] = name
    return name
