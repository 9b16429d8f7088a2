"""The passage of one request to its upstream, and of the response back.

It takes an idle connection or waits for a new one; request bytes go up as they come and response
bytes down as they come, each side pausing the other when its buffer is full; and at the end the
connection goes back to the pool. Until the first byte of a response, a try that fails can be
repeated: the request's bytes are kept that long, up to a bound.

Most requests take the short way through it, on which nothing is waited for and nothing is made that
only others need: an idle connection is there, and the response comes whole with a head of known
length. It is written out flat, since each call that it saves is saved for each request
(docs/decisions/0018-decided-once.md).
"""

from typing import TYPE_CHECKING

from node.config.listen import HostPort
from node.plugins.phases import PluginFailed
from node.proxy import annotations, filtering, limits
from node.proxy.cookies import with_cookie
from node.proxy.deadlines import NEVER
from node.proxy.dispatch import Answer, Plan
from node.proxy.framing import FramingError, ResponseHead
from node.proxy.heads import RequestHead
from node.proxy.request_body import RequestBody
from node.proxy.response import BodyFilter, ResponseRelay
from node.proxy.tries import TIMED_OUT, Tries
from node.proxy.upstream import Upstream

if TYPE_CHECKING:
    from node.proxy.exchange import Exchange

_IDEMPOTENT = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"))
"""Methods whose request may be sent a second time (RFC 9110, 9.2.2; nginx's proxy_next_upstream
leaves out POST, LOCK and PATCH)."""


class Passage:
    """See the module's text. It belongs to an exchange, and ends by one of that one's `finish`,
    `fail` and `answer`."""

    __slots__ = (
        "_done",
        "_exchange",
        "_head",
        "_response",
        "_tries",
        "_upstream",
        "answered_at",
        "bytes_written",
        "client",
        "gateway",
        "plan",
        "sent_at",
    )

    def __init__(self, exchange: "Exchange", plan: Plan, head: RequestHead) -> None:
        self._exchange = exchange
        self._head = head
        """As plugins have left it."""
        self.gateway = exchange.gateway
        self.client = exchange.client
        self.plan = plan
        self._tries: Tries | None = None
        """None on the short way."""
        self._upstream: Upstream | None = None
        self._response: ResponseRelay | None = None
        """None as long as nothing of one has come, and on the short way."""
        self._done = False
        """The response was complete."""
        self.sent_at = exchange.started
        self.answered_at: float | None = None
        """When the head of the final response came."""
        self.bytes_written = 0

    @property
    def exchange(self) -> "Exchange":
        """Whose it is."""
        return self._exchange

    @property
    def over(self) -> bool:
        """Nobody waits for a connection any more."""
        return self._exchange.finished

    @property
    def request_id(self) -> bytes:
        return self._exchange.request_id

    @property
    def answering(self) -> bool:
        """Whether the client has the head of a final response, or of 101."""
        return self._response is not None and self._response.head is not None

    # The request

    def goes_on(self, upstream: Upstream) -> None:
        """The request was sent over that connection."""
        self._upstream = upstream
        upstream.passage = self

    def begin(self) -> None:
        """Find a connection, and send what there is of the request."""
        plan = self.plan
        if plan.key is not None:
            upstream = self.gateway.pool.take(plan.key)
            if upstream is not None:
                self.gateway.stats.upstream_tries += 1
                self.attach(upstream, plan.head(self._exchange.request_id))
                return
        self._tries = Tries(self.gateway, plan, self._head, self._exchange.identity)
        self._tries.next(self)

    def attach(self, upstream: Upstream, head: bytes) -> None:
        """The connection is there: send what there is of the request."""
        exchange, client = self._exchange, self.client
        self._upstream = upstream
        upstream.passage = self
        upstream.served += 1
        self.sent_at = now = self.gateway.loop.time()
        if not exchange.request_complete:
            exchange.let_continue()
        body = exchange.body
        if body is not None:
            assert body.kept is not None
            if body.early.size > limits.SMALL_BODY_BYTES:  # copies of it would cost more
                upstream.transport.writelines([head, *body.kept])
            else:
                upstream.transport.write(b"".join([head, *body.kept]))
            body.sent()
        else:
            upstream.transport.write(head)
        if client.full:
            upstream.pause_reading()
        if upstream.full:
            return
        if exchange.request_complete:
            self.gateway.wheel.arm(upstream, now + self.plan.service.read_timeout)
        if body is not None or not exchange.request_complete:
            client.release()

    def send_body(self, body: RequestBody, data: bytes) -> None:
        """The next piece of the request's body, framed."""
        body.keep(data)
        if self._upstream is None:
            self.client.hold()
        else:
            body.sent()
            self._upstream.send(data)

    def request_ended(self) -> None:
        """The request is complete."""
        upstream = self._upstream
        if upstream is not None and not upstream.full:
            self._await_response(upstream)

    def _await_response(self, upstream: Upstream) -> None:
        now = self.gateway.loop.time()
        self.gateway.wheel.arm(upstream, now + self.plan.service.read_timeout)

    def upstream_full(self, upstream: Upstream) -> None:
        """The upstream takes no more for now."""
        self.client.hold()
        now = self.gateway.loop.time()
        self.gateway.wheel.arm(upstream, now + self.plan.service.write_timeout)

    def upstream_drained(self, upstream: Upstream) -> None:
        """The upstream takes bytes again."""
        upstream.deadline = NEVER
        if self._exchange.request_complete:
            self._await_response(upstream)
        self.client.release()

    # The response

    def upstream_data(self, upstream: Upstream, data: bytes) -> None:
        """Bytes of the upstream's response."""
        response = self._response
        if response is None:
            if self._was_whole(upstream, data):
                return
            response = self._response = ResponseRelay(self._exchange.head, self._head.method)
        elif response.switched:
            self._await_response(upstream)
            response.body_bytes += len(data)
            self.client.write(data)
            return
        try:
            out = response.feed(data, upstream.reader, self)
        except FramingError as error:
            self._invalid(str(error))
            return
        except PluginFailed:
            self._exchange.plugin_failed()
            return
        body = self._exchange.body
        if body is not None and (response.head is not None or response.interim_relayed):
            body.kept = None
        was_full = self.client.full
        if out:
            self.bytes_written += len(out)
            self.client.write(out)
        if response.switched:
            self._switch(upstream, response)
        elif response.done:
            self._complete(upstream, response)
        elif not self.client.full:
            self._await_response(upstream)
        elif was_full:
            self._read_ahead(len(out))

    def _was_whole(self, upstream: Upstream, data: bytes) -> bool:
        """Whether the first bytes were a whole response that takes nothing but passing on, which
        then is done: exactly what the relay and `_complete` would do."""
        exchange, reader = self._exchange, upstream.reader
        if not reader.is_whole(data):
            return False
        if exchange.head.method == b"HEAD" or self._head.method == b"HEAD":
            return False
        if self._tries is not None and self._tries.cookie:
            return False
        start = reader.start
        if exchange.phases is not None:
            added = filtering.lines_to_add(exchange.phases, reader.head)
            if added is None:
                return False
            start += added
        client, gateway = self.client, self.gateway
        keep = client.may_keep_alive()
        status, size = reader.head.status, len(reader.block)
        out = annotations.whole(start, keep, self.annotate(status), data[size:])
        self.bytes_written += len(out)
        client.write(out)
        now = self.answered_at
        assert now is not None
        self._upstream = None
        if exchange.request_complete:
            if upstream.paused:
                upstream.resume_reading()
            gateway.pool.put(upstream, now)
        else:
            upstream.close()
        self._done = True
        exchange.finish(status, len(data) - size, now=now)
        client.exchange_done(keep, now)
        return True

    def may_keep_alive(self) -> bool:
        """Whether the client connection can go on after this exchange."""
        return self.client.may_keep_alive()

    def filter_head(self, head: ResponseHead) -> tuple[ResponseHead, BodyFilter | None]:
        """What plugins make of the upstream's final head, and what they do with the body."""
        phases = self._exchange.phases
        if self._tries is not None and self._tries.cookie:
            head = head.with_lines(with_cookie(head.lines, self._tries.cookie.encode()))
        return (head, None) if phases is None else filtering.filter_head(phases, head)

    def annotate(self, status: int) -> bytes:
        """Our field lines for the upstream's final response."""
        gateway, exchange, tries = self.gateway, self._exchange, self._tries
        now = self.answered_at = gateway.loop.time()
        lines = gateway.annotations.proxied(
            status, now - self.sent_at, self.sent_at - exchange.started, exchange.request_id
        )
        if tries is not None:
            tries.answered(status)
        if exchange.body is not None:
            exchange.body.let_go()
        if gateway.settings.allow_debug_header and exchange.first(b"kong-debug"):
            lines += annotations.debug_lines(self.plan.route, self.plan.service)
        return lines

    def _complete(self, upstream: Upstream, response: ResponseRelay) -> None:
        """The response is whole: part with the upstream, then go on with the client."""
        self._detach()
        if response.upstream_reusable and self._exchange.request_complete:
            upstream.resume_reading()
            self.gateway.pool.put(upstream, self.gateway.loop.time())
        else:
            upstream.close()
        assert response.head is not None
        self._done = True
        self._exchange.finish(response.head.status, response.body_bytes)
        self.client.exchange_done(response.client_keep_alive)

    def _detach(self) -> Upstream | None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.passage = None
            upstream.deadline = NEVER
        return upstream

    def client_full(self) -> None:
        """The client takes no more for now."""
        self._read_ahead(0)

    def _read_ahead(self, written: int) -> None:
        """Go on reading the answer of a client that is full, or, once that would be too much, let
        its upstream wait, whose deadline doesn't run then; so many bytes were added."""
        upstream, response = self._upstream, self._response
        if upstream is None:
            return
        if (
            self.plan.route.response_buffering
            and not (response is not None and response.switched)
            and self.client.may_read_ahead(written)
        ):
            self._await_response(upstream)
        else:
            upstream.deadline = NEVER
            upstream.pause_reading()

    def client_drained(self) -> None:
        """The client takes bytes again."""
        if self._upstream is not None:
            self._upstream.resume_reading()
            if self._exchange.request_complete or self._response is not None:
                self._await_response(self._upstream)

    # Upgraded connections

    def _switch(self, upstream: Upstream, response: ResponseRelay) -> None:
        """From here on both connections are one pipe of raw bytes."""
        self.gateway.stats.upgrades += 1
        self._await_response(upstream)
        if response.rest:
            self.client.write(response.rest)
            response.rest = b""
        self.client.become_pipe()

    def pipe(self, data: bytes) -> None:
        """Raw bytes from the client of an upgraded connection."""
        if self._upstream is not None:
            self._await_response(self._upstream)
            self._upstream.send(data)

    def pipe_ended(self) -> None:
        """The client has closed its side of an upgraded connection."""
        upstream = self._upstream
        if upstream is not None and upstream.transport.can_write_eof():
            upstream.transport.write_eof()

    # The end

    def end(self) -> None:
        """The exchange is over."""
        tries, response = self._tries, self._response
        if tries is not None:
            tries.end(timed=self._done)
        if response is not None:
            response.body_filter = None  # it refers to the exchange: no collection is due

    def drop(self) -> tuple[bool, int]:
        """Let go of the upstream's connection, whatever it does. Returns whether both had become
        one pipe, and how much of a body the client got."""
        upstream, response = self._detach(), self._response
        if upstream is not None:
            upstream.close()
        return (False, 0) if response is None else (response.switched, response.body_bytes)

    # Failures

    def upstream_lost(self, upstream: Upstream, error: Exception | None) -> None:
        """The upstream's connection ended before the exchange did."""
        response = self._response
        self.gateway.stats.upstream_failures += 1
        if response is None or response.head is None:
            reason = f"it closed the connection{f': {error}' if error else ''}"
            self._try_again(upstream, reason, 502)
        elif response.switched:
            self._detach()
            self._exchange.finish(101, response.body_bytes)
            self.client.exchange_done(False)
        else:
            try:
                if error is not None:
                    raise FramingError(f"the connection broke: {error}")
                self.client.write(response.end())
            except FramingError as broken:
                self.truncate(str(broken))
            except PluginFailed:
                self._exchange.plugin_failed()
            else:
                self._complete(upstream, response)

    def upstream_expired(self, upstream: Upstream) -> None:
        """The upstream took or sent nothing for longer than the service allows."""
        self.gateway.stats.upstream_timeouts += 1
        if self.answering:
            self.truncate("it sent nothing for too long")
        else:
            self._try_again(upstream, "it sent no response in time", TIMED_OUT)

    def _try_again(self, upstream: Upstream, reason: str, status: int) -> None:
        """Before a response: repeat the request on a new connection if that is safe, else fail.

        An idle connection that the upstream closed just as it was taken costs no try.
        """
        self._detach()
        upstream.close()
        body = self._exchange.body
        repeatable = self._response is None and self._head.method in _IDEMPOTENT
        repeatable = repeatable and (body is None or body.kept is not None)
        if repeatable and upstream.served > 1 and status != TIMED_OUT:
            self.gateway.stats.upstream_retries += 1
            self._all_tries().acquire(self, pooled=False)
        else:
            self.failed(reason, status, repeatable)

    def _all_tries(self) -> Tries:
        """The tries, of which the short way has made none."""
        if self._tries is None:
            self._tries = Tries(self.gateway, self.plan, self._head, self._exchange.identity)
            self._tries.went(self.sent_at)
        return self._tries

    def failed(self, reason: str, status: int, repeatable: bool) -> None:
        """A try has failed before a response: make another one if that is safe, else answer."""
        tries = self._all_tries()
        self.complain(reason)
        tries.fail(status)
        if repeatable and tries.left > 0:
            tries.left -= 1
            self.gateway.stats.upstream_retries += 1
            tries.next(self)
        else:
            self._exchange.fail(status)

    def refused(self, reason: str) -> None:
        """There can be no connection."""
        self.complain(reason)
        self._exchange.fail(502)

    def nowhere(self, tries: Tries) -> None:
        """There is nothing left to try."""
        self.gateway.stats.upstream_no_peer += 1
        if tries.failed:  # Kong leaves it to nginx then
            self._exchange.fail(503)
        else:
            self._exchange.answer(Answer(503, tries.without_peer()))

    def _invalid(self, reason: str) -> None:
        """The upstream sent what is no HTTP."""
        self.gateway.stats.upstream_invalid += 1
        if self.answering:
            self.truncate(reason)
            return
        self.complain(reason)
        if self._tries is not None:
            self._tries.answered(502)
        self._exchange.fail(502)

    def truncate(self, reason: str) -> None:
        """A response that can't be finished: the client sees it by the end of its connection."""
        self.complain(reason)
        self.gateway.stats.responses_truncated += 1
        response = self._response
        assert response is not None
        assert response.head is not None
        self.drop()
        self._exchange.finish(response.head.status, response.body_bytes)
        self.client.cut()

    def complain(self, reason: str) -> None:
        """One line about an upstream that did not do its part."""
        service = self.plan.service
        peer = self.plan.address if self._tries is None else self._tries.peer
        self.gateway.log.error(
            "upstream failed",
            service=service.name or service.id,
            at=str(HostPort(peer.host, peer.port)) if peer else service.host_header.decode(),
            reason=reason,
            request_id=self._exchange.request_id.decode(),
        )
