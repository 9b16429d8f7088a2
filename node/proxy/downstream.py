"""Client connections: requests in, one after another, answers out in the same order.

llhttp can't be paused, so it is only ever given the bytes of one head; whatever a client sends
ahead (pipelining) waits in a bounded backlog until the request before it has been answered.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from node.proxy import errors, limits
from node.proxy.buffering import ReadAhead
from node.proxy.deadlines import NEVER, NOWHERE
from node.proxy.dispatch import Decision
from node.proxy.exchange import Exchange
from node.proxy.fast_path import FastPath
from node.proxy.forwarded import Peer
from node.proxy.framing import ChunkedBody, FramingError, LengthBody
from node.proxy.heads import HeadParser, RequestHead, RequestRefused

if TYPE_CHECKING:
    from node.proxy.gateway import Gateway
    from node.proxy.settings import Listener

_NO_PEER = Peer(b"-", False, False, b"", 0)


def _body_of(head: RequestHead) -> LengthBody | ChunkedBody | None:
    return ChunkedBody() if head.chunked else LengthBody(head.length or 0)


class Downstream(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_ahead",
        "_backlog",
        "_blank_bytes",
        "_body",
        "_consuming",
        "_decision",
        "_eof",
        "_exchange",
        "_fast_path",
        "_head_bytes",
        "_held",
        "_known_head",
        "_lingering",
        "_listener",
        "_parser",
        "_paused",
        "_piping",
        "_served",
        "_tail",
        "_transport",
        "_unsent",
        "deadline",
        "full",
        "gateway",
        "peer",
        "turn",
        "write",
    )

    def __init__(self, gateway: "Gateway", listener: "Listener") -> None:
        self.gateway = gateway
        self.peer = _NO_PEER
        self.full = False
        """The client takes no more for now."""
        self.deadline = NEVER
        self.turn = NOWHERE
        self._listener = listener
        self._transport: asyncio.Transport
        self.write: Callable[[bytes], None]
        """The transport's."""
        self._parser = HeadParser()
        self._exchange: Exchange | FastPath | None = None
        self._fast_path = None if gateway.settings.allow_debug_header else FastPath(self)
        """For requests that take the fast path."""
        self._body: LengthBody | ChunkedBody | None = None
        """The request body that is being read."""
        self._backlog = b""
        self._blank_bytes = 0
        """Of empty lines since the request before, in however many pieces they came."""
        self._head_bytes = 0
        """Size of the head that has begun but isn't complete."""
        self._tail = b""
        """Its last bytes, where its end may have begun."""
        self._known_head = b""
        """The latest head that came whole, and what was decided about it: most clients that keep a
        connection say the same again, but for the target."""
        self._decision: Decision | None = None
        self._served = 0
        self._consuming = False
        self._held = False
        """Reading waits for the exchange."""
        self._paused = False
        self._eof = False
        self._lingering = False
        self._piping = False
        self._ahead: ReadAhead | None = None
        """What it holds up of answers; None while it takes them."""
        self._unsent = 0
        """Of what waits in the write buffer: the part by which is told whether any of it moves."""

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        gateway = self.gateway
        self._transport = cast("asyncio.Transport", transport)
        self.write = self._transport.write
        gateway.stats.connections_accepted += 1
        if len(gateway.clients) >= gateway.clients_max:
            gateway.stats.clients_refused += 1
            self._transport.abort()
            return
        gateway.clients.add(self)
        gateway.stats.connections_active += 1
        self._transport.set_write_buffer_limits(limits.WRITE_BUFFER_HIGH, limits.WRITE_BUFFER_LOW)
        self.peer = self._peer()
        gateway.wheel.arm(self, gateway.loop.time() + limits.REQUEST_HEAD_SECONDS)

    def _peer(self) -> Peer:
        name = self._transport.get_extra_info("peername")
        address = str(name[0]).removeprefix("::ffff:").encode() if name else b"-"
        tls = self._transport.get_extra_info("ssl_object")
        sni = getattr(tls, "requested_name", None) or ""
        trusted = self.gateway.trust.trusts(address)
        return Peer(address, trusted, tls is not None, sni.lower().encode(), self._listener.port)

    def connection_lost(self, error: Exception | None) -> None:
        gateway = self.gateway
        if self in gateway.clients:
            gateway.clients.discard(self)
            gateway.stats.connections_active -= 1
        gateway.wheel.disarm(self)
        self._parser.close()
        self._backlog = b""
        self._let_go()
        exchange = self._exchange
        if exchange is not None:
            exchange.client_lost()
        self._exchange = self._fast_path = None  # no garbage collection is due

    def eof_received(self) -> bool:
        """A client may close its side and still want its answers (RFC 9112, 9.6)."""
        self._eof = True
        if self._piping and isinstance(self._exchange, Exchange):
            self._exchange.pipe_ended()
        elif self._exchange is None or not self._exchange.request_complete:
            return False
        return not self.peer.ssl  # TLS transports can't stay half open

    @property
    def state(self) -> str:
        """What nginx's status calls it: ``reading`` a head, ``writing`` an answer, ``waiting``."""
        if self._exchange is not None:
            return "writing"
        return "reading" if self._head_bytes else "waiting"

    @property
    def remembers(self) -> bool:
        """Whether a decision is kept for the next request."""
        return self._decision is not None

    # Bytes in

    def data_received(self, data: bytes) -> None:
        # First the way of a request that is all that came, and whose head is known: nearly always,
        # on a kept connection. `_consume` would do the same.
        exchange = self._exchange
        if (
            exchange is None
            and not (self._head_bytes or self.full or self._lingering or self._piping)
            and not self._transport.is_closing()
        ):
            known = data == self._known_head
            decision = self._known_decision() if known else self._said_again(data)
            if decision is not None:
                self._begin(decision, b"", self.gateway.loop.time())
                return
        if self._lingering:
            return
        if self._piping:
            if isinstance(exchange, Exchange):
                exchange.pipe(data)
        elif self.full if exchange is None else exchange.request_complete:
            self._backlog += data
            if len(self._backlog) > limits.BACKLOG_BYTES_MAX:
                self._steer_reading()
        else:
            self._consume(data)

    def _said_again(self, data: bytes) -> Decision | None:
        """The decision about a head that is known but for its target, if that is all that came."""
        head = self._parser.again(data)
        if head is None:
            return None
        decision = self.gateway.decide(head, self.peer)
        self._remember(data, decision)
        return decision

    def _remember(self, head: bytes, decision: Decision) -> None:
        if len(head) <= limits.KNOWN_HEAD_BYTES_MAX:
            self._known_head, self._decision = head, decision
        else:
            self._known_head, self._decision = b"", None

    def _consume(self, data: bytes) -> None:
        """Take in bytes until a request waits for its answer, and keep the rest for later."""
        self._consuming = True
        try:
            while data and not self._transport.is_closing() and not self._lingering:
                exchange = self._exchange
                if exchange is None and not self.full:
                    data = self._take_head(data)
                elif isinstance(exchange, Exchange) and self._body is not None:
                    data = self._take_body(exchange, data)
                else:
                    self._backlog = data
                    break
        except RequestRefused as refusal:
            self._refuse(refusal)
        finally:
            self._consuming = False
        if self._eof and self._exchange is None and not (self._backlog or self._lingering):
            self._transport.close()
        self._steer_reading()

    def _take_head(self, data: bytes) -> bytes:
        """Feed the head that ``data`` begins or continues; returns what follows it."""
        now = self.gateway.loop.time()
        if self._head_bytes:
            end = (self._tail + data).find(b"\r\n\r\n")
            end = end + 4 - len(self._tail) if end >= 0 else -1
        else:
            stripped = data.lstrip(b"\r\n")
            if len(data) > len(stripped):
                self._blank_bytes += len(data) - len(stripped)
                if self._blank_bytes > 2 * limits.BLANK_LINES_MAX:
                    raise RequestRefused(400, "blank lines instead of a request")
                data = stripped
            end = data.find(b"\r\n\r\n") + 4 if b"\r\n\r\n" in data else -1
            if not data:
                return b""
        piece = data if end < 0 or end == len(data) else data[:end]
        self._head_bytes += len(piece)
        if self._head_bytes > limits.REQUEST_HEAD_BYTES_MAX:
            raise RequestRefused(431, f"a head of over {limits.REQUEST_HEAD_BYTES_MAX} bytes")
        if self._head_bytes == len(piece) and end < 0:
            self.gateway.wheel.arm(self, now + limits.REQUEST_HEAD_SECONDS)
        whole = end >= 0 and self._head_bytes == len(piece)
        if whole and piece == self._known_head:
            decision = self._known_decision()
        else:
            head = self._parser.whole(piece) if whole else self._parser.feed(piece)
            if head is None:
                self._tail = (self._tail + piece)[-3:]
                return data[len(piece) :]
            decision = self.gateway.decide(head, self.peer)
            if whole:
                self._remember(piece, decision)
            else:
                self._known_head, self._decision = b"", None
        self._head_bytes = 0
        self._tail = b""
        return self._begin(decision, data[len(piece) :], now)

    def _known_decision(self) -> Decision:
        """The decision about the head that was the latest, too."""
        decision = self._decision
        assert decision is not None
        gateway = self.gateway
        if decision.edition is not gateway.table.edition:
            decision = self._decision = gateway.renew(decision, self.peer)
        return decision

    def _begin(self, decision: Decision, data: bytes, now: float) -> bytes:
        """Start the exchange, with the part of its body that is already here."""
        self._served += 1
        self._blank_bytes = 0
        self.deadline = NEVER
        gateway = self.gateway
        gateway.stats.total_requests += 1
        request_id = gateway.new_request_id()
        fast_path = self._fast_path
        if fast_path is not None and decision.fast_plan is not None:
            self._exchange = fast_path
            if fast_path.begin(decision, request_id, now):
                return data
        head = decision.head
        self._exchange = exchange = Exchange(self, decision, now, request_id)
        if not decision.is_short and head.has_body:
            self._body = _body_of(head)
            if data:
                data = self._take_body(exchange, data)
            if self._body is not None:
                self.gateway.wheel.arm(self, now + limits.REQUEST_BODY_SECONDS)
        if not exchange.finished:
            exchange.start()
        return data

    def _take_body(self, exchange: Exchange, data: bytes) -> bytes:
        body = self._body
        assert body is not None
        try:
            payload = body.feed(data)
        except FramingError:
            self.gateway.stats.requests_malformed += 1
            exchange.fail(400)
            return b""
        if payload:
            exchange.request_data(payload)
        if exchange.finished:
            return b""
        if body.done:
            self._body = None
            self.deadline = NEVER
            exchange.request_end()
            return body.rest
        self.gateway.wheel.arm(self, self.gateway.loop.time() + limits.REQUEST_BODY_SECONDS)
        return b""

    # For the exchange

    def may_keep_alive(self) -> bool:
        """Whether another request can follow on this connection."""
        exchange = self._exchange
        return (
            exchange is not None
            and exchange.head.keep_alive
            and exchange.request_complete
            and self.may_go_on()
        )

    def may_go_on(self) -> bool:
        """The same, as far as the request has no say in it."""
        return (
            self._served < limits.KEEPALIVE_REQUESTS_MAX
            and not self.gateway.draining
            and not (self._eof and not self._backlog)
        )

    def hold(self) -> None:
        """Read no more of the request's body until `release`."""
        self._held = True
        if not self._consuming:
            self._steer_reading()

    def release(self) -> None:
        self._held = False
        if not self._consuming:
            self._steer_reading()

    def exchange_done(self, keep_alive: bool, now: float | None = None) -> None:
        """The answer is written; the next request may come."""
        exchange, self._exchange = self._exchange, None
        self._held = False
        # Draining may have begun after the answer's head promised more.
        if not keep_alive or (self.gateway.draining and not self._backlog):
            self._finish(exchange is not None and not exchange.request_complete)
            return
        if not self.full:
            if now is None:
                now = self.gateway.loop.time()
            self.gateway.wheel.arm(self, now + limits.KEEPALIVE_SECONDS)
        if self._consuming:
            return  # the loop there goes on with what it has
        if self._backlog or self._eof or self._paused:
            data, self._backlog = self._backlog, b""
            self._consume(data)

    def goes_on(self, exchange: Exchange) -> None:
        """This one takes the place of the fast path."""
        self._exchange = exchange

    def become_pipe(self) -> None:
        """From here on all bytes go to the exchange as they are."""
        self._piping = True
        self._held = False
        data, self._backlog = self._backlog, b""
        if data and isinstance(self._exchange, Exchange):
            self._exchange.pipe(data)
        self._steer_reading()

    def cut(self) -> None:
        """End a response that can't be finished: what was written goes out, then the connection."""
        self._exchange = None
        self._transport.close()

    # Flow control

    def may_read_ahead(self, written: int) -> bool:
        """Whether more of an answer may be read although it is full; so many bytes were added."""
        if self._ahead is None:
            self._ahead = ReadAhead(self.gateway.buffers, self.gateway.stats)
        self._unsent += written
        return self._ahead.may_go_on(self._transport.get_write_buffer_size())

    def _let_go(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.let_go()

    def pause_writing(self) -> None:
        self.full = True
        self._unsent = self._transport.get_write_buffer_size()
        self.gateway.wheel.arm(self, self.gateway.loop.time() + limits.SEND_SECONDS)
        if self._exchange is not None:
            self._exchange.client_full()

    def resume_writing(self) -> None:
        self.full = False
        self._let_go()
        self.deadline = NEVER
        if self._exchange is not None:
            self._exchange.client_drained()
        else:
            now = self.gateway.loop.time()
            self.gateway.wheel.arm(self, now + limits.KEEPALIVE_SECONDS)
            data, self._backlog = self._backlog, b""
            self._consume(data)

    def _steer_reading(self) -> None:
        """Read unless the exchange takes nothing, or too much has been sent ahead."""
        exchange = self._exchange
        reading_body = exchange is not None and not exchange.request_complete
        pause = (self._held and (reading_body or self._piping)) or (
            len(self._backlog) > limits.BACKLOG_BYTES_MAX
        )
        if pause == self._paused or self._transport.is_closing():
            return
        self._paused = pause
        if pause:
            self._transport.pause_reading()
            if reading_body:
                self.deadline = NEVER
        else:
            self._transport.resume_reading()
            if reading_body:
                now = self.gateway.loop.time()
                self.gateway.wheel.arm(self, now + limits.REQUEST_BODY_SECONDS)

    # The end

    def expire(self, now: float) -> None:
        """Called when the deadline has passed; what it was for shows in the state."""
        if self.full and not self._lingering and self._takes_some():
            self.gateway.wheel.arm(self, now + limits.SEND_SECONDS)
        elif self._lingering or self.full:
            self._transport.abort()
        elif self._exchange is not None:
            self.gateway.stats.requests_timed_out += 1
            self._exchange.fail(408)
        elif self._head_bytes:
            self.gateway.stats.requests_timed_out += 1
            self._refuse(RequestRefused(408, "the head took too long"))
        else:
            self._transport.close()

    def _takes_some(self) -> bool:
        """Whether a full client has taken anything since this was last asked."""
        before, self._unsent = self._unsent, self._transport.get_write_buffer_size()
        return self._unsent < before

    def _refuse(self, refusal: RequestRefused) -> None:
        """Answer what is no request, and close: nobody knows where the next one would begin."""
        gateway = self.gateway
        exchange = self._exchange
        if exchange is not None:
            exchange.client_lost()
        self._exchange = None
        if refusal.status != 408:
            gateway.stats.requests_malformed += 1
        request_id = gateway.new_request_id()
        status = 400 if refusal.status == 431 else refusal.status  # nginx's 494 shows as 400
        kind = errors.default_type(None, None)
        body = errors.body(errors.TEXTS[refusal.status], request_id, kind)
        self._transport.write(
            gateway.annotations.answer(status, (), body, kind, 0.0, request_id, False, False)
        )
        gateway.stats.count_response(status)
        if gateway.access_log.enabled:
            now = gateway.loop.time()
            gateway.access_log.add((None, self.peer.address, status, len(body), request_id, now))
        self._finish(True)

    def _finish(self, unread: bool) -> None:
        """Close; when the client may still be sending, only after it saw the answer.

        Closing a socket with unread input sends a reset, which can destroy the answer on its way
        (RFC 9112, 9.6).
        """
        if not unread or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._lingering = True
        with contextlib.suppress(OSError, RuntimeError):
            self._transport.write_eof()
        self._held = False
        self._backlog = b""
        self._body = None
        self._steer_reading()
        self.gateway.wheel.arm(self, self.gateway.loop.time() + limits.LINGER_SECONDS)

    def drain(self) -> None:
        """Close if idle; else the answer that is due closes the connection.

        A request may be on its way even then: closing at once would lose it, and its client can't
        know whether it took effect (nginx: keepalive_min_timeout).
        """
        if self._exchange is None and not self._head_bytes:
            grace = limits.NEXT_REQUEST_SECONDS if self._served else limits.FIRST_REQUEST_SECONDS
            self.gateway.wheel.arm(self, self.gateway.loop.time() + grace)

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()
