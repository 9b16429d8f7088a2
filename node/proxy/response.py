"""An upstream's response, turned into the bytes that the client gets: framed anew, annotated.

Pure: bytes in, bytes out. The exchange reads from the attributes what happened.
"""

from collections.abc import Callable
from typing import Protocol

from node.proxy import framing, limits
from node.proxy.framing import (
    Body,
    FramingError,
    Layout,
    LengthBody,
    ResponseHead,
    UntilClose,
)
from node.proxy.heads import RequestHead


def chunk(payload: bytes) -> bytes:
    """A payload as one chunk (RFC 9112, 7.1); nothing for an empty one: it would end the body."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


LAST_CHUNK = b"0\r\n\r\n"


class HeadReader:
    """Reads the response heads of one upstream connection.

    An upstream that answers several requests within a second often does it with one and the same
    head, Date included; more often it sends the same fields with other values. The first costs a
    comparison here, the second a look-up of what is where (``framing``).
    """

    __slots__ = ("_layout", "block", "head", "size", "start")

    def __init__(self) -> None:
        self.block = b""
        """The latest head that was read, with the empty line that ends it; empty before that."""
        self.head = _NO_HEAD
        self._layout: Layout | None = None
        self.start = b""
        """The same for the client, as far as it can be said without knowing the request."""
        self.size = 0
        """Of the response from the first to the last byte, if it can be passed on in one piece:
        a final one, of known length, after which the connection can be kept. Else 0."""

    def forget(self) -> None:
        """Keep nothing of what was read."""
        self.block = self.start = b""
        self.head = _NO_HEAD
        self.size = 0

    def read(self, data: bytes) -> bool:
        """Whether a head is there from beginning to end; then the attributes are about it. Raises
        FramingError."""
        if self.block and data.startswith(self.block):
            return True
        known = None if self._layout is None else self._layout.read(data)
        if known is not None and known[1] <= limits.RESPONSE_HEAD_BYTES_MAX:
            head, end = known
        else:
            end = data.find(b"\r\n\r\n")
            if (end if end >= 0 else len(data)) > limits.RESPONSE_HEAD_BYTES_MAX:
                raise FramingError("the response head is too large")
            if end < 0:
                return False
            head, self._layout = framing.parse_response_head(data[:end])
            end += 4
        self.head = head
        self.block = data[:end]
        if head.length is not None and head.keep_alive and head.status not in _BODILESS:
            self.size = end + head.length
            self.start = b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n" % (
                head.status_line,
                head.block,
                head.length,
            )
        else:
            self.size = 0
            self.start = b""
        return True

    def is_whole(self, data: bytes) -> bool:
        """Whether these are all bytes of a response that takes nothing but passing on; its head is
        read then."""
        try:
            return self.read(data) and self.size == len(data)
        except FramingError:
            return False  # the relay will meet it, too


_BODILESS = frozenset((*range(100, 200), 204, 304))
_NO_HEAD = ResponseHead(0, b"", b"", None, False, False, b"")


BodyFilter = Callable[[bytes, bool], bytes]
"""What becomes of a piece of a body; the flag says that it is the last one."""


class Circumstances(Protocol):
    """What a relay asks its exchange when the final head has come."""

    def may_keep_alive(self) -> bool:
        """Whether the client connection can go on after this response."""

    def filter_head(self, head: ResponseHead) -> tuple[ResponseHead, BodyFilter | None]:
        """What plugins make of a final head, and what they do with the body."""

    def annotate(self, status: int) -> bytes:
        """Our field lines for a final status."""


class ResponseRelay:
    """The response to one request.

    It holds no reference to its exchange, so that a finished one is freed without a collection.
    """

    __slots__ = (
        "_asked",
        "_body",
        "_buffer",
        "_chunked",
        "_interim",
        "_request",
        "body_bytes",
        "body_filter",
        "client_keep_alive",
        "done",
        "head",
        "interim_relayed",
        "rest",
        "started",
        "switched",
    )

    def __init__(self, request: RequestHead, asked: bytes) -> None:
        """``asked`` is the method that the upstream was asked with."""
        self._request = request
        self._asked = asked
        self.body_filter: BodyFilter | None = None
        """To be let go of at the end of the exchange."""
        self._buffer = b""
        self._body: Body | None = None
        self._chunked = False
        self._interim = 0
        self.head: ResponseHead | None = None
        """The final head."""
        self.started = False
        """A byte of a response has come."""
        self.interim_relayed = False
        self.done = False
        self.switched = False
        """It was 101 Switching Protocols, as asked for: ``rest`` and all that follows is raw."""
        self.client_keep_alive = False
        self.body_bytes = 0
        """Payload passed on."""
        self.rest = b""
        """What came after the response's end."""

    def feed(self, data: bytes, reader: HeadReader, circumstances: Circumstances) -> bytes:
        """What the client gets for these bytes. Raises FramingError."""
        self.started = True
        if self._body is not None:
            return self._relay(self._body, data)
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        out = b""
        while data:
            if not reader.read(data):
                self._buffer = data
                break
            head = reader.head
            data = data[len(reader.block) :]
            if head.status == 101:
                return out + self._switch(head, data, circumstances)
            if head.status >= 200:
                return out + self._begin(head, data, circumstances)
            out += self._interim_head(head)
        return out

    def end(self) -> bytes:
        """The upstream closed its side cleanly: for some bodies this is the end.

        Raises FramingError when it wasn't time yet.
        """
        if not isinstance(self._body, UntilClose):
            raise FramingError("the connection was closed before the response was complete")
        self._body.done = self.done = True
        payload = b"" if self.body_filter is None else self.body_filter(b"", True)
        self.body_bytes += len(payload)
        return chunk(payload) + LAST_CHUNK if self._chunked else payload

    @property
    def upstream_reusable(self) -> bool:
        """Whether the connection can serve another request after this response."""
        return (
            self.done
            and self.head is not None
            and self.head.keep_alive
            and not self.rest
            and not isinstance(self._body, UntilClose)
        )

    def _interim_head(self, head: ResponseHead) -> bytes:
        """1xx ends nothing (RFC 9110, 15.2). 100 isn't passed on: it was answered already."""
        self._interim += 1
        if self._interim > limits.INTERIM_RESPONSES_MAX:
            raise FramingError("interim responses without end")
        if head.status == 100 or self._request.version == 10:
            return b""
        self.interim_relayed = True
        return b"HTTP/1.1 %b\r\n%b\r\n" % (head.status_line, head.block)

    def _switch(self, head: ResponseHead, rest: bytes, circumstances: Circumstances) -> bytes:
        asked = self._request.upgrade
        if not asked or head.upgrade.lower() != asked.lower():
            raise FramingError("protocols switched unasked")
        head, _ = circumstances.filter_head(head)
        self.head = head
        self.switched = True
        self.rest = rest
        return b"HTTP/1.1 %b\r\n%bConnection: Upgrade\r\nUpgrade: %b\r\n%b\r\n" % (
            head.status_line,
            head.block,
            head.upgrade,
            circumstances.annotate(101),
        )

    def _begin(self, head: ResponseHead, data: bytes, circumstances: Circumstances) -> bytes:
        body = framing.response_body(head, self._asked)
        status, length = head.status, head.length
        head, self.body_filter = circumstances.filter_head(head)
        bodiless = status in (204, 304) or self._request.method == b"HEAD"
        if self._asked != self._request.method and b"HEAD" in (self._asked, self._request.method):
            length = None if bodiless else 0  # what there is of a body isn't what was asked for
        if self.body_filter is not None and (bodiless or body.done):
            self.body_filter, length = None, (length if bodiless else 0)
        keep = circumstances.may_keep_alive()
        framed = b""
        if bodiless or (isinstance(body, LengthBody) and self.body_filter is None):
            if length is not None and status != 204:  # RFC 9110, 8.6
                framed = b"Content-Length: %d\r\n" % length
        elif self._request.version == 11:
            self._chunked = True
            framed = b"Transfer-Encoding: chunked\r\n"
        else:
            keep = False  # the end of the connection is all that HTTP/1.0 has to end such a body
        out = self._relay(body, data)
        self._body = body
        self.head = head
        self.client_keep_alive = keep
        return b"HTTP/1.1 %b\r\n%b%bConnection: %b\r\n%b\r\n%b" % (
            head.status_line,
            head.block,
            framed,
            b"keep-alive" if keep else b"close",
            circumstances.annotate(status),
            out,
        )

    def _relay(self, body: Body, data: bytes) -> bytes:
        payload = body.feed(data)
        if self._request.method == b"HEAD":
            payload = b""  # a plugin has asked for more than the client
        elif self.body_filter is not None and (payload or body.done):
            payload = self.body_filter(payload, body.done)
        self.body_bytes += len(payload)
        if body.done:
            self.done = True
            self.rest = body.rest
        if not self._chunked:
            return payload
        return chunk(payload) + LAST_CHUNK if body.done else chunk(payload)
