"""One request and its response, between a client connection and an upstream connection.

The life of an exchange: its request is dispatched; it takes an idle connection or waits for a new
one; request bytes go up as they come and response bytes down as they come, each side pausing the
other when its buffer is full; and at the end the upstream goes back to the pool and the client
connection goes on with its next request. Until the first byte of a response, a try that fails can
be repeated: the request's bytes are kept that long, up to a bound.
"""

from typing import TYPE_CHECKING

from node.config.listen import HostPort
from node.plugins.chain import NOTHING, Chain
from node.plugins.context import Context
from node.plugins.interface import Exit
from node.plugins.limits import BODY_BYTES_MAX
from node.plugins.phases import Phases, PluginFailed
from node.proxy import (
    annotations,
    buffering,
    dispatch,
    errors,
    fields,
    filtering,
    heads,
    limits,
    revision,
)
from node.proxy.access_log import entry_of
from node.proxy.connector import ConnectFailed
from node.proxy.cookies import with_cookie
from node.proxy.deadlines import NEVER
from node.proxy.early_body import EarlyBody
from node.proxy.framing import FramingError, ResponseHead
from node.proxy.heads import RequestHead
from node.proxy.response import LAST_CHUNK, BodyFilter, ResponseRelay, chunk
from node.proxy.tries import TIMED_OUT, Tries
from node.proxy.upstream import PoolKey, Upstream
from node.proxy.upstream_tls import TlsRefused

if TYPE_CHECKING:
    from node.proxy.downstream import Downstream

CLIENT_GONE = 499
"""nginx's status for the log when the client left before its answer."""
_IDEMPOTENT = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"))
"""Methods whose request may be sent a second time (RFC 9110, 9.2.2; nginx's proxy_next_upstream
leaves out POST, LOCK and PATCH)."""


class Exchange:
    """See the module's text. All its methods run on the loop's thread and none of them blocks."""

    __slots__ = (
        "_answered_at",
        "_body_received",
        "_bytes_written",
        "_continued",
        "_early",
        "_found",
        "_pending",
        "_pending_bytes",
        "_phases",
        "_plan",
        "_replay_max",
        "_request_id",
        "_response",
        "_sent_at",
        "_started",
        "_upstream",
        "client",
        "finished",
        "gateway",
        "head",
        "identity",
        "request_complete",
        "tries",
    )

    def __init__(self, client: "Downstream", head: RequestHead, started: float) -> None:
        self.client = client
        self.gateway = client.gateway
        self.head = head
        self.request_complete = not head.has_body
        self.finished = False
        self._started = started
        self._request_id = self.gateway.new_request_id()
        self._found: dispatch.Found | None = None
        self._phases: Phases | None = None
        """None while no plugin has anything to do with it."""
        self._early: EarlyBody | None = None
        self._continued = False
        """100 Continue was sent."""
        self._answered_at: float | None = None
        self._bytes_written = 0
        self._plan: dispatch.Plan | None = None
        self._upstream: Upstream | None = None
        self.tries: Tries | None = None
        """Where it was sent; None before that."""
        self.identity = ""
        """The id of the consumer that was authenticated, else of the credential."""
        self._sent_at = started
        self._pending: list[bytes] | None = []
        """Body bytes, framed, kept for the connection to come or for another try; None when they
        have become too many to keep."""
        self._pending_bytes = 0
        self._replay_max = limits.REPLAY_BYTES_MAX
        self._body_received = 0
        self._response = ResponseRelay(head)
        self.gateway.stats.total_requests += 1

    # The request

    def start(self) -> None:
        """Decide what is done with the request; its head, and what came with it, is here."""
        gateway = self.gateway
        bound = gateway.settings.client_max_body_size
        if bound and max(self.head.length or 0, self._body_received) > bound:
            self.fail(413)
            return
        wanted = self.head.special.get(fields.MIN_REVISION)
        if wanted is None:
            self._dispatch()
        else:
            self._wait_for_revision(wanted)

    def _wait_for_revision(self, value: bytes) -> None:
        try:
            wanted = revision.parse(value)
        except ValueError as error:
            self._answer(dispatch.Answer(400, f"Grapevine-Min-Revision: {error}"))
            return
        if wanted.reached_by(self.gateway.table.version):
            self._dispatch()
        else:
            self.client.hold()
            self.gateway.waiters.wait(wanted, self._waited, self.gateway.loop.time())

    def _waited(self, reached: bool) -> None:
        if self.finished:
            return
        if reached:
            self._dispatch()
            return
        epoch, _, number = self.gateway.table.version
        text = f"this node is at version {epoch}.{number}, not yet at the one asked for; try again"
        self._answer(dispatch.Answer(503, text, (("Retry-After", "1"),)))

    def _dispatch(self) -> None:
        plugins = self.gateway.table.plugins
        if plugins.any and (everywhere := plugins.chain("", "")).rewrite:
            self._phases = self._begin_phases(everywhere)
            self._phases.rewrite(self._rewritten)
        else:
            self._find(self.head)

    def _rewritten(self, outcome: Exit | None) -> None:
        assert self._phases is not None
        if outcome is None:
            self._find(self._phases.context.edited_head())
        else:
            self._exit(outcome)

    def _find(self, head: RequestHead) -> None:
        gateway = self.gateway
        found = dispatch.find(head, self.client.peer, gateway.table, gateway.trust)
        if isinstance(found, dispatch.Answer):
            if found is dispatch.NO_ROUTE:
                gateway.stats.routes_missed += 1
            self._answer(found)
            return
        self._found = found
        plugins = gateway.table.plugins
        chain = plugins.chain(found.route.id, found.route.service_id) if plugins.any else NOTHING
        if chain is NOTHING and self._phases is None:
            self._proceed(None)
            return
        if self._phases is None:
            self._phases = self._begin_phases(chain)
        self._phases.chain = chain
        self._phases.context.found(
            found.route, found.service, lambda: dispatch.captures(found.match, found.path)
        )
        self._phases.access(self._accessed)

    def _accessed(self, outcome: Exit | None) -> None:
        assert self._phases is not None
        if outcome is None:
            self._proceed(self._phases.context)
        else:
            self._exit(outcome)

    def _proceed(self, context: Context | None) -> None:
        """Send the request on, at once or when its body is whole."""
        found = self._found
        assert found is not None
        if found.service is None:
            self._answer(dispatch.NO_SERVICE)
        elif self.head.has_body and found.route.request_buffering:
            self._gather(context)
        else:
            self._send_on(context)

    def _gather(self, context: Context | None) -> None:
        """Read the body whole before the upstream hears of the request, if that isn't too much."""
        replaced = context is not None and context.outgoing.body is not None
        if self.request_complete or replaced:
            self._send_on(context)
        elif not buffering.is_awaited(self.head):
            self.gateway.stats.requests_streamed += 1
            self._send_on(context)
        else:
            early = self._early = self._early or EarlyBody()
            self._let_continue()
            self.client.release()
            early.gather(self.gateway.buffers, lambda: self._gathered(context))

    def _gathered(self, context: Context | None) -> None:
        if self.request_complete:
            self._replay_max = limits.REQUEST_BUFFER_BYTES_MAX
        else:
            self.gateway.stats.requests_streamed += 1
        self._send_on(context)

    def _send_on(self, context: Context | None) -> None:
        """Send the request on, as plugins have left it."""
        assert self._found is not None
        head, outgoing = self.head, None
        if context is not None:
            head, outgoing = context.edited_head(), context.outgoing
            self._response.asked = head.method
            self.identity = context.consumer_id or context.credential_id or ""
        if head.chunked and self.request_complete and self._found.route.request_buffering:
            head = head._replace(length=self._body_received, chunked=False)  # as nginx sends it
        self._plan = dispatch.compose(
            self._found,
            head,
            self.client.peer,
            self.gateway.annotations.product,
            self._request_id,
            outgoing,
        )
        if outgoing is not None and outgoing.body is not None:
            if outgoing.body:
                self._send_body(outgoing.body)
        elif self.head.has_body:
            for payload in self._early.take() if self._early is not None else ():
                self._send_body(chunk(payload) if head.chunked else payload)
            if self.request_complete and head.chunked:
                self._send_body(LAST_CHUNK)
        self._send_upstream(head)

    def request_data(self, payload: bytes) -> None:
        """The next piece of the request's body."""
        self._body_received += len(payload)
        bound = self.gateway.settings.client_max_body_size
        if bound and self._body_received > bound and self.head.chunked:
            self.fail(413)
            return
        if self._plan is not None:
            self._send_body(chunk(payload) if self.head.chunked else payload)
            return
        if self._early is None:
            self._early = EarlyBody()
        if not self._early.add(payload):
            self.client.hold()

    def request_end(self) -> None:
        """The request's body is complete."""
        self.request_complete = True
        if self._plan is None:
            if self._early is not None:
                self._early.complete()
            return
        if self.head.chunked:
            self._send_body(LAST_CHUNK)
        upstream = self._upstream
        if upstream is not None and not upstream.full:
            self._await_response(upstream)

    async def _read_body(self) -> bytes | None:
        """The whole body for a plugin; None when it is too large."""
        if (self.head.length or 0) > BODY_BYTES_MAX:
            return None
        early = self._early = self._early or EarlyBody()
        if not self.request_complete and early.joined() is not None:
            self._let_continue()
            self.client.release()
            await early.wait()
        return early.joined()

    def _let_continue(self) -> None:
        """nginx answers at once, too: an upstream that knows no 100 would leave both waiting."""
        if self.head.expects_continue and not (self.request_complete or self._continued):
            self._continued = True
            self.client.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _send_body(self, data: bytes) -> None:
        if self._pending is not None:
            self._pending.append(data)
            self._pending_bytes += len(data)
            if len(self._pending) > limits.REPLAY_PIECES_MAX:
                self._pending = [b"".join(self._pending)]
        if self._upstream is None:
            self.client.hold()
            return
        if self._pending_bytes > self._replay_max:
            self._pending = None
        self._upstream.send(data)

    # The upstream connection

    def _send_upstream(self, head: RequestHead) -> None:
        """The plan is made: nothing stands between the request and its upstream any more."""
        assert self._plan is not None
        self.tries = Tries(self.gateway, self._plan, head, self.identity)
        self._try()

    def _try(self) -> None:
        """The next try, at an address that is picked anew."""
        assert self.tries is not None
        before = self.tries.peer
        peer = self.tries.choose()
        if peer is None:
            self.client.hold()
            self.gateway.spawn(self._try_when_resolved())
        else:
            self._acquire(pooled=peer != before)

    async def _try_when_resolved(self) -> None:
        tries = self.tries
        assert tries is not None
        await tries.resolved()
        if self.finished:
            return
        if tries.choose() is not None:
            self._acquire(pooled=True)
            return
        self.gateway.stats.upstream_no_peer += 1
        if tries.failed:  # Kong leaves it to nginx then
            self.fail(503)
        else:
            self._answer(dispatch.Answer(503, tries.without_peer()))

    def _acquire(self, pooled: bool) -> None:
        """A connection to the address that was picked: one that is idle, or a new one."""
        plan, tries, gateway = self._plan, self.tries, self.gateway
        assert plan is not None
        assert tries is not None
        assert tries.peer is not None
        service = plan.service
        host = plan.host if plan.host_stays else tries.peer.headers[service.ssl]
        try:
            key = gateway.connector.key(tries.peer, service, tries.upstream, host)
        except TlsRefused as refusal:
            self._complain(str(refusal))
            self.fail(502)
            return
        upstream = gateway.pool.take(key) if pooled else None
        if upstream is not None:
            self._attach(upstream)
        else:
            self.client.hold()
            gateway.spawn(self._connect(key, service.connect_timeout))

    async def _connect(self, key: PoolKey, seconds: float) -> None:
        try:
            upstream = await self.gateway.connector.connect(key, seconds)
        except ConnectFailed as failure:
            if not self.finished:
                self._failed(str(failure), TIMED_OUT if failure.timed_out else 502, True)
            return
        if self.finished:
            self.gateway.pool.put(upstream, self.gateway.loop.time())
        else:
            self._attach(upstream)

    def _head_for_peer(self) -> bytes:
        """The request's head, with the Host that the address of this try is called by."""
        plan, tries = self._plan, self.tries
        assert plan is not None
        assert tries is not None
        assert tries.peer is not None
        host = tries.peer.headers[plan.service.ssl]
        if plan.host_stays or host == plan.host:
            return plan.head
        return heads.with_host(plan.head, host)

    def _attach(self, upstream: Upstream) -> None:
        assert self._pending is not None
        self._upstream = upstream
        upstream.exchange = self
        upstream.served += 1
        self._sent_at = self.gateway.loop.time()
        self._let_continue()
        pending = self._pending
        head = self._head_for_peer()
        upstream.send(head + b"".join(pending) if pending else head)
        if self._pending_bytes > self._replay_max:
            self._pending = None
            if self._early is not None:
                self._early.let_go()
        if self.request_complete and not upstream.full:
            self._await_response(upstream)
        if self.client.full:
            upstream.pause_reading()
        if not upstream.full:
            self.client.release()

    def _await_response(self, upstream: Upstream) -> None:
        assert self._plan is not None
        now = self.gateway.loop.time()
        self.gateway.wheel.arm(upstream, now + self._plan.service.read_timeout)

    def upstream_full(self) -> None:
        """The upstream takes no more for now."""
        assert self._plan is not None
        assert self._upstream is not None
        self.client.hold()
        now = self.gateway.loop.time()
        self.gateway.wheel.arm(self._upstream, now + self._plan.service.write_timeout)

    def upstream_drained(self) -> None:
        """The upstream takes bytes again."""
        assert self._upstream is not None
        self._upstream.deadline = NEVER
        if self.request_complete:
            self._await_response(self._upstream)
        self.client.release()

    # The response

    def may_keep_alive(self) -> bool:
        """Whether the client connection can go on after this exchange."""
        return self.client.may_keep_alive()

    def filter_head(self, head: ResponseHead) -> tuple[ResponseHead, BodyFilter | None]:
        """What plugins make of the upstream's final head, and what they do with the body."""
        assert self.tries is not None
        if self.tries.cookie:
            head = head._replace(lines=with_cookie(head.lines, self.tries.cookie.encode()))
        return (head, None) if self._phases is None else filtering.filter_head(self._phases, head)

    def annotate(self, status: int) -> bytes:
        """Our field lines for the upstream's final response."""
        tries = self.tries
        assert tries is not None
        tries.answered(status)
        if self._early is not None:
            self._early.let_go()
        now = self._answered_at = self.gateway.loop.time()
        lines = self.gateway.annotations.proxied(
            status, now - self._sent_at, self._sent_at - self._started, self._request_id
        )
        if self.gateway.settings.allow_debug_header:
            lines += self._debug_lines()
        return lines

    def _debug_lines(self) -> bytes:
        """Kong's answer to ``Kong-Debug`` (kong/router/utils.lua, add_debug_headers)."""
        if not self._first(b"kong-debug"):
            return b""
        assert self._plan is not None
        return annotations.debug_lines(self._plan.route, self._plan.service)

    def upstream_data(self, data: bytes) -> None:
        """Bytes of the upstream's response."""
        upstream, response = self._upstream, self._response
        assert upstream is not None
        if response.switched:
            self._await_response(upstream)
            response.body_bytes += len(data)
            self.client.write(data)
            return
        try:
            out = response.feed(data, self)
        except FramingError as error:
            self._invalid(str(error))
            return
        except PluginFailed:
            self._plugin_failed()
            return
        if response.head is not None or response.interim_relayed:
            self._pending = None
        was_full = self.client.full
        if out:
            self._bytes_written += len(out)
            self.client.write(out)
        if response.switched:
            self._switch(upstream, response)
        elif response.done:
            self._complete(upstream)
        elif not self.client.full:
            self._await_response(upstream)
        elif was_full:
            self._read_ahead(len(out))

    def _complete(self, upstream: Upstream) -> None:
        """The response is whole: part with the upstream, then go on with the client."""
        response = self._response
        self._detach()
        if response.upstream_reusable and self.request_complete:
            upstream.resume_reading()
            self.gateway.pool.put(upstream, self.gateway.loop.time())
        else:
            upstream.close()
        assert response.head is not None
        self._finish(response.head.status, response.body_bytes)
        self.client.exchange_done(response.client_keep_alive)

    def _detach(self) -> Upstream | None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.exchange = None
            upstream.deadline = NEVER
        return upstream

    def client_full(self) -> None:
        """The client takes no more for now."""
        self._read_ahead(0)

    def _read_ahead(self, written: int) -> None:
        """Go on reading the answer of a client that is full, or, once that would be too much, let
        its upstream wait, whose deadline doesn't run then; so many bytes were added."""
        upstream = self._upstream
        if upstream is None:
            return
        assert self._plan is not None
        if (
            self._plan.route.response_buffering
            and not self._response.switched
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
            if self.request_complete or self._response.started:
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

    # Failures

    def upstream_lost(self, error: Exception | None) -> None:
        """The upstream's connection ended before the exchange did."""
        response = self._response
        self.gateway.stats.upstream_failures += 1
        if response.switched:
            self._detach()
            self._finish(101, response.body_bytes)
            self.client.exchange_done(False)
        elif response.head is None:
            self._try_again(f"it closed the connection{f': {error}' if error else ''}", 502)
        else:
            upstream = self._upstream
            assert upstream is not None
            try:
                if error is not None:
                    raise FramingError(f"the connection broke: {error}")
                self.client.write(response.end())
            except FramingError as reason:
                self._truncate(str(reason))
            except PluginFailed:
                self._plugin_failed()
            else:
                self._complete(upstream)

    def upstream_expired(self, now: float) -> None:
        """The upstream took or sent nothing for longer than the service allows."""
        self.gateway.stats.upstream_timeouts += 1
        if self._response.switched or self._response.head is not None:
            self._truncate("it sent nothing for too long")
        else:
            self._try_again("it sent no response in time", TIMED_OUT)

    def _try_again(self, reason: str, status: int) -> None:
        """Before a response: repeat the request on a new connection if that is safe, else fail.

        An idle connection that the upstream closed just as it was taken costs no try.
        """
        upstream = self._detach()
        assert upstream is not None
        upstream.close()
        repeatable = self._pending is not None and self._response.asked in _IDEMPOTENT
        repeatable = repeatable and not self._response.started
        if repeatable and upstream.served > 1 and status != TIMED_OUT:
            self.gateway.stats.upstream_retries += 1
            self._acquire(pooled=False)
        else:
            self._failed(reason, status, repeatable)

    def _failed(self, reason: str, status: int, repeatable: bool) -> None:
        """A try has failed before a response: make another one if that is safe, else answer."""
        tries = self.tries
        assert tries is not None
        self._complain(reason)
        tries.fail(status)
        if repeatable and tries.left > 0:
            tries.left -= 1
            self.gateway.stats.upstream_retries += 1
            self._try()
        else:
            self.fail(status)

    def _invalid(self, reason: str) -> None:
        """The upstream sent what is no HTTP."""
        self.gateway.stats.upstream_invalid += 1
        if self._response.head is not None or self._response.switched:
            self._truncate(reason)
            return
        self._complain(reason)
        if self.tries is not None:
            self.tries.answered(502)
        self.fail(502)

    def _truncate(self, reason: str) -> None:
        """A response that can't be finished: the client sees it by the end of its connection."""
        self._complain(reason)
        self.gateway.stats.responses_truncated += 1
        upstream = self._detach()
        if upstream is not None:
            upstream.close()
        head = self._response.head
        self._finish(head.status if head else 502, self._response.body_bytes)
        self.client.cut()

    def client_lost(self) -> None:
        """The client's connection is gone."""
        if self.finished:
            return
        if not self._response.switched:
            self.gateway.stats.clients_aborted += 1
        upstream = self._detach()
        if upstream is not None:
            upstream.close()
        self._finish(101 if self._response.switched else CLIENT_GONE, self._response.body_bytes)

    def fail(self, status: int) -> None:
        """Answer with an error that in Kong comes from nginx; in the form that its rules pick."""
        if self._response.head is not None:
            self._truncate(errors.TEXTS[status])
            return
        accept, own = self._first(b"accept"), self._first(b"content-type")
        kind = errors.default_type(accept, own)
        self._answer(dispatch.Answer(status, errors.TEXTS[status]), kind)

    def _plugin_failed(self) -> None:
        """A plugin has failed at the answer, and has said so in the log."""
        if self._response.head is not None:
            self._truncate("a plugin failed at it")
        else:
            self._answer(dispatch.Answer(500, errors.TEXTS[500]), filtered=False)

    def _exit(self, outcome: Exit) -> None:
        """A plugin answers."""
        answer = dispatch.Answer(outcome.status, outcome.message, outcome.headers, outcome.body)
        self._answer(answer, source="exit")

    def _answer(
        self,
        answer: dispatch.Answer,
        kind: str | None = None,
        source: str = "error",
        filtered: bool = True,
    ) -> None:
        """Answer the request here."""
        upstream = self._detach()
        if upstream is not None:
            upstream.close()
        status, message, own_fields, ready = answer
        if kind is None:
            kind = errors.content_type((self._first(b"accept") or b"*/*").decode("latin-1"))
        keep = self.client.may_keep_alive()
        body = errors.body(message, self._request_id, kind) if message else b""
        if ready is not None:
            body, kind = ready, ""
        phases = self._all_phases()
        if phases is not None and filtered:
            try:
                status, own_fields, body = filtering.filter_answer(
                    phases, status, own_fields, body, kind, source
                )
            except PluginFailed:
                self._plugin_failed()
                return
            kind = ""
        data = self.gateway.annotations.answer(
            status,
            own_fields,
            body,
            kind,
            self.gateway.loop.time() - self._started,
            self._request_id,
            keep,
            self.head.method == b"HEAD",
        )
        self._bytes_written += len(data)
        self._finish(status, len(body))
        self.client.write(data)
        self.client.exchange_done(keep)

    # Plugins

    def _begin_phases(self, chain: Chain) -> Phases:
        gateway, peer = self.gateway, self.client.peer
        asker = filtering.asker(peer, self.head, gateway.trust)
        context = Context(
            self.head, asker, self._request_id.decode(), gateway.plugins, self._read_body
        )
        return Phases(context, lambda: gateway.table.plugins, chain)

    def _all_phases(self) -> Phases | None:
        """Those of the route, or those of global plugins for a request that leads nowhere."""
        if self._phases is None and self._found is None:
            chain = self.gateway.table.plugins.chain("", "")
            if chain is not NOTHING:
                self._phases = self._begin_phases(chain)
        return self._phases

    def _end_phases(self, status: int) -> None:
        phases = self._all_phases()
        if phases is None:
            return
        now = self.gateway.loop.time()
        facts = filtering.facts(
            status,
            self._started,
            self._sent_at,
            self._answered_at,
            now,
            filtering.size_of(self.head) + self._body_received,
            self._bytes_written,
            self.gateway.wall_clock(),
        )
        # What refers to this exchange lets go of it: no collection is due.
        self._phases = self._response.body_filter = None
        phases.end(facts)

    # The end

    def _first(self, name: bytes) -> bytes | None:
        values = self.head.values(name)
        return values[0] if values else None

    def _complain(self, reason: str) -> None:
        """One line about an upstream that did not do its part."""
        assert self._plan is not None
        service = self._plan.service
        peer = self.tries.peer if self.tries else None
        self.gateway.log.error(
            "upstream failed",
            service=service.name or service.id,
            at=str(HostPort(peer.host, peer.port)) if peer else service.host_header.decode(),
            reason=reason,
            request_id=self._request_id.decode(),
        )

    def _finish(self, status: int, body_bytes: int) -> None:
        """Count and log; whoever calls this lets the client connection go on."""
        self.finished = True
        gateway = self.gateway
        if self.tries is not None:
            self.tries.end(timed=self._response.done)
        if self._early is not None:
            self._early.let_go()
        self._end_phases(status)
        gateway.stats.count_response(status)
        gateway.stats.bytes_sent += body_bytes
        gateway.stats.bytes_received += self._body_received
        if status >= 200:  # a pipe may live for days
            gateway.stats.latency.observe(gateway.loop.time() - self._started)
        if gateway.access_log.enabled:
            client = self._found.client if self._found else self.client.peer.address
            gateway.access_log.add(
                entry_of(self.head, client, status, body_bytes, self._request_id),
                gateway.wall_clock(),
            )
