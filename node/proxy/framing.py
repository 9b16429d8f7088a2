"""How bodies and response heads are delimited on the wire, read strictly (RFC 9112, 4 to 7).

Whoever reads a length differently from the server behind it can be made to smuggle a request
through it. So nothing of a peer's framing is passed on: bodies are taken out of it here and framed
anew, and whatever the grammar doesn't allow is an error that ends the connection.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from node.proxy import fields, limits


class FramingError(Exception):
    """A peer sent what the grammar doesn't allow; the message names it."""


class LengthBody:
    """A body of known length."""

    __slots__ = ("done", "remaining", "rest")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.done = length == 0
        self.rest = b""
        """What followed the body in the data that ended it."""

    def feed(self, data: bytes) -> bytes:
        """The payload in ``data``."""
        size = len(data)
        if size < self.remaining:
            self.remaining -= size
            return data
        self.done = True
        payload, self.rest = data[: self.remaining], data[self.remaining :]
        self.remaining = 0
        return payload


class UntilClose:
    """A response body that ends with the connection (RFC 9112, 6.3, rule 8)."""

    __slots__ = ("done", "rest")

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """All of it is payload; ``done`` is for whoever sees the end of the connection to set."""
        return data


_SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,%d})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)" % limits.CHUNK_SIZE_DIGITS_MAX
)
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class ChunkedBody:
    """A chunked body (RFC 9112, 7.1). Extensions and trailers are checked and dropped."""

    __slots__ = ("_buffer", "_remaining", "_state", "_trailer_bytes", "done", "rest")

    _SIZE = 0
    _DATA = 1
    _DATA_END = 2
    _TRAILER = 3

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._buffer = b""
        self._state = self._SIZE
        self._remaining = 0
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """The payload in ``data``, of all chunks in it. Raises FramingError."""
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        payload: list[bytes] = []
        position = 0
        while not self.done:
            if self._state == self._DATA:
                piece = data[position : position + self._remaining]
                if not piece:
                    break
                payload.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if self._remaining == 0:
                    self._state = self._DATA_END
                continue
            line, after = self._line(data, position)
            if line is None:
                self._buffer = data[position:]
                break
            position = after
            self._take(line)
        if self.done:
            self.rest = data[position:]
        return payload[0] if len(payload) == 1 else b"".join(payload)

    def _line(self, data: bytes, start: int) -> tuple[bytes | None, int]:
        """The line at ``start`` without its CRLF, and where the next begins; None if incomplete."""
        bound = limits.CHUNK_LINE_BYTES_MAX
        if self._state == self._DATA_END:
            bound = 0
        elif self._state == self._TRAILER:
            bound = limits.TRAILER_BYTES_MAX - self._trailer_bytes
        end = data.find(b"\r\n", start, start + bound + 2)
        if end >= 0:
            return data[start:end], end + 2
        if len(data) - start >= bound + 2:
            raise FramingError("a line of a chunked body is too long or has no end")
        stray = data.find(b"\n", start)
        if stray >= 0:
            raise FramingError("a line of a chunked body ends with a bare LF")
        return None, start

    def _take(self, line: bytes) -> None:
        if self._state == self._DATA_END:
            self._state = self._SIZE  # the line is empty: its bound is 0
        elif self._state == self._SIZE:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise FramingError("a chunk's size is not 1 to 15 hexadecimal digits")
            self._remaining = int(match[1], 16)
            self._state = self._DATA if self._remaining else self._TRAILER
        elif line:
            self._trailer_bytes += len(line) + 2
            if _TRAILER_LINE.fullmatch(line) is None:
                raise FramingError("a trailer is not a field")
        else:
            self.done = True


Body = LengthBody | ChunkedBody | UntilClose


class ResponseHead(NamedTuple):
    """An upstream's response head, without framing and hop-by-hop fields."""

    status: int
    status_line: bytes
    """``200 OK``: status and reason."""
    block: bytes
    """The fields to pass on, as lines that end with CRLF."""
    length: int | None
    """Content-Length."""
    chunked: bool
    keep_alive: bool
    upgrade: bytes
    """The Upgrade field; empty without one."""
    names: frozenset[bytes] = frozenset()
    """Of its fields, lower-cased; those that aren't passed on may be among them."""

    @property
    def lines(self) -> list[bytes]:
        """The fields to pass on, each as ``Name: value``."""
        return self.block.split(b"\r\n")[:-1]

    def with_lines(self, lines: list[bytes]) -> "ResponseHead":
        """The same head with these."""
        return self._replace(block=block_of(lines))


def block_of(lines: list[bytes]) -> bytes:
    """Lines with their ends."""
    return b"\r\n".join([*lines, b""])


_OF_THE_CONNECTION = frozenset(
    (
        fields.CONTENT_LENGTH,
        fields.TRANSFER_ENCODING,
        fields.CONNECTION,
        fields.UPGRADE,
        fields.HOP,
        fields.OURS,
    )
)
"""Kinds that aren't passed on."""


class Layout:
    """What is known of a head by the names of its fields, in their order.

    Once a layout has shown that it comes again and again, an expression is made of it, which checks
    and parts such a head in one go.
    """

    __slots__ = ("_match", "_met", "_names", "_own_at", "kinds", "names", "own")

    def __init__(self, names: tuple[bytes, ...]) -> None:
        kinds = [fields.kind_of(name) for name in names]
        self._names = names
        self.own = tuple(
            (place, kind, len(names[place]) + 1)
            for place, kind in reversed(list(enumerate(kinds)))
            if kind in _OF_THE_CONNECTION
        )
        """Of fields that aren't passed on: place among the lines, kind, and where the value begins;
        the last one first."""
        self.kinds = tuple(kind for _, kind, _ in self.own)
        self.names = frozenset(name.lower() for name in names)
        self._met = 0
        self._match: Callable[[bytes], re.Match[bytes] | None] | None = None
        self._own_at: tuple[int, ...] = ()
        """Groups of the expression that have the values of ``own``."""

    def met(self) -> None:
        """A head of this layout has been read."""
        global _patterns
        self._met += 1
        if self._met == limits.HEAD_PATTERN_AFTER and _patterns < limits.HEAD_PATTERNS_MAX:
            _patterns += 1
            self._match, self._own_at = self._expression()

    def _expression(self) -> tuple[Callable[[bytes], re.Match[bytes] | None], tuple[int, ...]]:
        own = {place for place, _, _ in self.own}
        pattern, group, at = _STATUS_LINE.pattern + rb"\r\n(", 3, []
        for place, name in enumerate(self._names):
            if place in own:
                pattern += rb")%b:(%b)\r\n(" % (re.escape(name), _VALUE)
                at.append(group + 1)
                group += 2
            else:
                pattern += rb"%b:%b\r\n" % (re.escape(name), _VALUE)
        return re.compile(pattern + rb")\r\n").match, tuple(reversed(at))

    def read(self, data: bytes) -> tuple[ResponseHead, int] | None:
        """The head that ``data`` begins with, and its size with the empty line that ends it; None
        for one that is to be read plainly. Raises FramingError."""
        found = None if self._match is None else self._match(data)
        if found is None:
            return None
        groups = found.groups()
        values = [groups[group - 1] for group in self._own_at]
        return _head(groups[0], groups[1], values, b"".join(groups[2::2]), self), found.end()


_VALUE = rb"[^\r\n\0]*+"
_patterns = 0
_layouts: dict[tuple[bytes, ...], Layout] = {}
"""By those names: an upstream sends the same ones again and again."""
_FIELD_NAMES = re.compile(rb"\r\n([!#$%&'*+\-.^_`|~0-9A-Za-z]+):")
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?)")


def _layout_of(names: tuple[bytes, ...]) -> Layout:
    layout = _layouts.get(names)
    if layout is None:
        layout = Layout(names)
        if len(_layouts) < limits.HEAD_LAYOUTS_MAX and len(names) <= limits.HEAD_LAYOUT_FIELDS_MAX:
            _layouts[names] = layout
    return layout


def parse_response_head(block: bytes) -> tuple[ResponseHead, Layout]:
    """Read a response head, given up to but without the empty line that ends it.

    Raises FramingError for whatever RFC 9112 doesn't allow, framing above all.
    """
    first, *lines = block.split(b"\r\n")
    ends = len(lines)
    if ends > limits.RESPONSE_FIELDS_MAX:
        raise FramingError(f"the response head has over {limits.RESPONSE_FIELDS_MAX} fields")
    if block.count(b"\n") != ends or block.count(b"\r") != ends or b"\0" in block:
        raise FramingError("the response head has a bare CR, a bare LF or a NUL")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise FramingError("the response does not begin with an HTTP/1 status line")
    names = tuple(_FIELD_NAMES.findall(block))
    if len(names) != ends:
        raise FramingError("a line of the response head is not a field")
    layout = _layout_of(names)
    layout.met()
    values = [lines.pop(place)[begin:] for place, _, begin in layout.own]
    return _head(match[1], match[2], values, block_of(lines), layout), layout


def _head(
    version: bytes, status_line: bytes, values: list[bytes], block: bytes, layout: Layout
) -> ResponseHead:
    """A head of these parts; ``values`` are those of ``layout.own``. Raises FramingError."""
    length: int | None = None
    chunked = False
    connection: frozenset[bytes] = frozenset()
    upgrade = b""
    for kind, value in zip(layout.kinds, values, strict=True):
        value = value.strip(b" \t")
        if kind == fields.CONTENT_LENGTH:
            if length is not None or (length := fields.parse_length(value)) is None:
                raise FramingError("the response's Content-Length is repeated or not a number")
        elif kind == fields.TRANSFER_ENCODING:
            if chunked or value.lower() != b"chunked":
                raise FramingError("the response's Transfer-Encoding is not 'chunked'")
            chunked = True
        elif kind == fields.CONNECTION:
            connection |= fields.tokens(value)
        elif kind == fields.UPGRADE:
            upgrade = value
    if chunked and (length is not None or version == b"0"):
        raise FramingError(
            "the response has a Transfer-Encoding that its version or length forbids"
        )
    named = connection - fields.CONNECTION_OPTIONS
    if named:
        lines = block.split(b"\r\n")[:-1]
        block = block_of([line for line in lines if line.partition(b":")[0].lower() not in named])
    keep_alive = b"close" not in connection and (version == b"1" or b"keep-alive" in connection)
    status = int(status_line[:3])
    return ResponseHead(
        status, status_line, block, length, chunked, keep_alive, upgrade, layout.names
    )


def response_body(head: ResponseHead, method: bytes) -> Body:
    """How the body of a final response is delimited (RFC 9112, 6.3)."""
    if method == b"HEAD" or head.status in (204, 304):
        return LengthBody(0)
    if head.chunked:
        return ChunkedBody()
    return UntilClose() if head.length is None else LengthBody(head.length)
