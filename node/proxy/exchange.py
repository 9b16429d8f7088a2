"""One request and its answer, on a client connection.

The life of an exchange: it is decided where its request leads (``node.proxy.dispatch``); plugins
may change the request, or answer it; its passage takes it to an upstream and the response back
(``node.proxy.passage``), or it is answered here; and at the end it is counted and logged, and the
client connection goes on with its next request.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from node.plugins.chain import NOTHING, Chain
from node.plugins.context import Asker, Context, Facts
from node.plugins.interface import Exit
from node.plugins.limits import BODY_BYTES_MAX
from node.plugins.phases import Phases, PluginFailed
from node.proxy import buffering, dispatch, errors, fields, filtering, limits, revision
from node.proxy.dispatch import Answer, Decision, Found, Plan
from node.proxy.heads import RequestHead
from node.proxy.passage import Passage
from node.proxy.request_body import RequestBody
from node.proxy.response import LAST_CHUNK
from node.proxy.upstream import Upstream

if TYPE_CHECKING:
    from node.proxy.downstream import Downstream

CLIENT_GONE = 499
"""nginx's status for the log when the client left before its answer."""


class Exchange:
    """See the module's text. All its methods run on the loop's thread and none of them blocks."""

    __slots__ = (
        "_continued",
        "_decision",
        "_found",
        "_passage",
        "body",
        "client",
        "finished",
        "gateway",
        "head",
        "identity",
        "phases",
        "request_complete",
        "request_id",
        "started",
    )

    def __init__(
        self, client: "Downstream", decision: Decision, started: float, request_id: bytes
    ) -> None:
        self.client = client
        self.gateway = client.gateway
        self.head = head = decision.head
        self.request_complete = decision.is_short or not (head.length or head.chunked)
        self.finished = False
        self.started = started
        self.request_id = request_id
        self.body: RequestBody | None = None
        """None as long as nothing of one has come."""
        self.phases: Phases | None = None
        """None while no plugin has anything to do with it."""
        self.identity = ""
        """The id of the consumer that was authenticated, else of the credential."""
        self._continued = False
        """100 Continue was sent."""
        self._decision = decision
        self._found: Found | None = None
        """Where it leads, once plugins may know."""
        self._passage: Passage | None = None
        """None as long as nothing goes to an upstream, and when it is over."""

    # The request

    def start(self) -> None:
        """Perform what was decided; the request's head, and what came with it, is here."""
        gateway, decision = self.gateway, self._decision
        if decision.is_short:
            assert decision.plan is not None
            self._send(decision.plan, self.head)
            return
        bound = gateway.settings.client_max_body_size
        if bound and max(self.head.length or 0, self._received) > bound:
            self.fail(413)
            return
        wanted = self.head.special.get(fields.MIN_REVISION)
        if wanted is not None:
            self._wait_for_revision(wanted)
        elif decision.is_free and self.request_complete and not self.head.chunked:
            assert decision.plan is not None
            self._send(decision.plan, self.head)
        else:
            self._dispatch()

    @property
    def _received(self) -> int:
        """Bytes of the request's body, so far."""
        return 0 if self.body is None else self.body.received

    def _wait_for_revision(self, value: bytes) -> None:
        try:
            wanted = revision.parse(value)
        except ValueError as error:
            self.answer(Answer(400, f"Grapevine-Min-Revision: {error}"))
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
            self._decision = self.gateway.decide(self.head, self.client.peer)
            self._dispatch()
            return
        epoch, _, number = self.gateway.table.version
        text = f"this node is at version {epoch}.{number}, not yet at the one asked for; try again"
        self.answer(Answer(503, text, (("Retry-After", "1"),)))

    def _dispatch(self) -> None:
        first = self._decision.first
        if first is NOTHING:
            self._follow(self._decision)
        else:
            self.phases = self._begin_phases(first)
            self.phases.rewrite(self._rewritten)

    def _rewritten(self, outcome: Exit | None) -> None:
        assert self.phases is not None
        if outcome is not None:
            self._exit(outcome)
            return
        gateway = self.gateway
        self._decision = dispatch.decide_where(
            self.phases.context.edited_head(),
            self.client.peer,
            gateway.table,
            gateway.trust,
            gateway.annotations.product,
        )
        self._follow(self._decision)

    def _follow(self, decision: Decision) -> None:
        found, chain = decision.found, decision.chain
        if isinstance(found, Answer):
            if found is dispatch.NO_ROUTE:
                self.gateway.stats.routes_missed += 1
            self.answer(found)
            return
        self._found = found
        phases = self.phases
        if phases is None:
            if chain is NOTHING:
                self._proceed(found, None)
                return
            gateway = self.gateway
            context = Context(self.head, self, gateway.plugins)  # as _begin_phases does it
            phases = self.phases = Phases(context, gateway.table_plugins, chain)
        else:
            phases.chain = chain
        context = phases.context
        context.route, context.service = found.route, found.service
        phases.access(self._accessed)

    def _accessed(self, outcome: Exit | None) -> None:
        phases, found, decision = self.phases, self._found, self._decision
        assert phases is not None
        assert found is not None
        if outcome is not None:
            self._exit(outcome)
            return
        context, edit = phases.context, decision.edit
        if (
            edit is not None
            and context.only_edit is edit
            and self.request_complete
            and not self.head.chunked
        ):
            assert decision.plan is not None
            assert decision.sent is not None
            consumer = context.consumer
            self.identity = context.credential_id or "" if consumer is None else consumer.id
            self._send(decision.plan, decision.sent)
        else:
            self._proceed(found, context)

    def _proceed(self, found: Found, context: Context | None) -> None:
        """Send the request on, at once or when its body is whole."""
        if found.service is None:
            self.answer(dispatch.NO_SERVICE)
        elif self.head.has_body and found.route.request_buffering:
            self._gather(found, context)
        else:
            self._send_on(found, context)

    def _gather(self, found: Found, context: Context | None) -> None:
        """Read the body whole before the upstream hears of the request, if that isn't too much."""
        replaced = context is not None and context.outgoing.body is not None
        if self.request_complete or replaced:
            self._send_on(found, context)
        elif not buffering.is_awaited(self.head):
            self.gateway.stats.requests_streamed += 1
            self._send_on(found, context)
        else:
            body = self.body = self.body or RequestBody(self.head.chunked)
            self.let_continue()
            self.client.release()
            body.early.gather(self.gateway.buffers, lambda: self._gathered(body, found, context))

    def _gathered(self, body: RequestBody, found: Found, context: Context | None) -> None:
        if self.request_complete:
            body.replay_max = limits.REQUEST_BUFFER_BYTES_MAX
        else:
            self.gateway.stats.requests_streamed += 1
        self._send_on(found, context)

    def _send_on(self, found: Found, context: Context | None) -> None:
        """Send the request on, as plugins have left it."""
        decision, head, outgoing = self._decision, self.head, None
        if context is not None:
            head, outgoing = context.edited_head(decision.sent), context.outgoing
            self.identity = context.consumer_id or context.credential_id or ""
        if outgoing is not None and outgoing.body is not None:
            head = head.of_length(len(outgoing.body))
            self.body = self.body or RequestBody(False)
            self.body.replace(outgoing.body)
        elif head.chunked and self.request_complete and found.route.request_buffering:
            head = head.of_length(self._received)  # as nginx sends it
        plan = decision.plan
        as_told = context is None or context.changes_only_head
        if plan is None or head is not decision.sent or not as_told:
            via = self.gateway.annotations.product
            plan = dispatch.compose(found, head, self.client.peer, via, outgoing)
            if as_told:
                decision.sent, decision.plan, decision.edit = head, plan, None
        if context is not None and head is decision.sent and not head.chunked:
            decision.edit = context.only_edit
        self._send(plan, head)

    def _send(self, plan: Plan, head: RequestHead) -> None:
        """Nothing stands between the request and its upstream any more."""
        body = self.body
        if body is not None:
            body.chunked = head.chunked
            body.begin(self.request_complete)
        self._passage = passage = Passage(self, plan, head)
        passage.begin()

    def goes_on(self, plan: Plan, upstream: Upstream) -> Passage:
        """The request was sent over that connection; its passage."""
        self._passage = passage = Passage(self, plan, self.head)
        passage.goes_on(upstream)
        return passage

    # Its body

    def request_data(self, payload: bytes) -> None:
        """The next piece of the request's body."""
        body = self.body
        if body is None:
            body = self.body = RequestBody(self.head.chunked)
        body.received += len(payload)
        bound = self.gateway.settings.client_max_body_size
        if bound and body.received > bound and self.head.chunked:
            self.fail(413)
        elif self._passage is not None:
            self._passage.send_body(body, body.frame(payload))
        elif not body.early.add(payload):
            self.client.hold()

    def request_end(self) -> None:
        """The request's body is complete."""
        self.request_complete = True
        body = self.body
        if body is None:  # of no length
            body = self.body = RequestBody(self.head.chunked)
        passage = self._passage
        if passage is None:
            body.early.complete()
            return
        if body.chunked:
            passage.send_body(body, LAST_CHUNK)
        passage.request_ended()

    async def read_body(self) -> bytes | None:
        """The whole body for a plugin; None when it is too large."""
        if (self.head.length or 0) > BODY_BYTES_MAX:
            return None
        body = self.body = self.body or RequestBody(self.head.chunked)
        if not self.request_complete and body.early.joined() is not None:
            self.let_continue()
            self.client.release()
            await body.early.wait()
        return body.early.joined()

    def let_continue(self) -> None:
        """nginx answers at once, too: an upstream that knows no 100 would leave both waiting."""
        if self.head.expects_continue and not (self.request_complete or self._continued):
            self._continued = True
            self.client.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # The client's connection

    def client_full(self) -> None:
        """The client takes no more for now."""
        if self._passage is not None:
            self._passage.client_full()

    def client_drained(self) -> None:
        """The client takes bytes again."""
        if self._passage is not None:
            self._passage.client_drained()

    def pipe(self, data: bytes) -> None:
        """Raw bytes from the client of an upgraded connection."""
        if self._passage is not None:
            self._passage.pipe(data)

    def pipe_ended(self) -> None:
        """The client has closed its side of an upgraded connection."""
        if self._passage is not None:
            self._passage.pipe_ended()

    def client_lost(self) -> None:
        """The client's connection is gone."""
        if self.finished:
            return
        switched, sent = (False, 0) if self._passage is None else self._passage.drop()
        if not switched:
            self.gateway.stats.clients_aborted += 1
        self.finish(101 if switched else CLIENT_GONE, sent)

    # Answers of our own

    def fail(self, status: int) -> None:
        """Answer with an error that in Kong comes from nginx; in the form that its rules pick."""
        if self._passage is not None and self._passage.answering:
            self._passage.truncate(errors.TEXTS[status])
            return
        accept, own = self.first(b"accept"), self.first(b"content-type")
        kind = errors.default_type(accept, own)
        self.answer(Answer(status, errors.TEXTS[status]), kind)

    def plugin_failed(self) -> None:
        """A plugin has failed at the answer, and has said so in the log."""
        if self._passage is not None and self._passage.answering:
            self._passage.truncate("a plugin failed at it")
        else:
            self.answer(Answer(500, errors.TEXTS[500]), filtered=False)

    def _exit(self, outcome: Exit) -> None:
        """A plugin answers."""
        answer = Answer(outcome.status, outcome.message, outcome.headers, outcome.body)
        self.answer(answer, source="exit")

    def answer(
        self,
        answer: Answer,
        kind: str | None = None,
        source: str = "error",
        filtered: bool = True,
    ) -> None:
        """Answer the request here."""
        if self._passage is not None:
            self._passage.drop()
        status, message, own_fields, ready = answer
        if kind is None:
            kind = errors.content_type((self.first(b"accept") or b"*/*").decode("latin-1"))
        keep = self.client.may_keep_alive()
        body = errors.body(message, self.request_id, kind) if message else b""
        if ready is not None:
            body, kind = ready, ""
        phases = self._all_phases()
        if phases is not None and filtered:
            try:
                status, own_fields, body = filtering.filter_answer(
                    phases, status, own_fields, body, kind, source
                )
            except PluginFailed:
                self.plugin_failed()
                return
            kind = ""
        data = self.gateway.annotations.answer(
            status,
            own_fields,
            body,
            kind,
            self.gateway.loop.time() - self.started,
            self.request_id,
            keep,
            self.head.method == b"HEAD",
        )
        self.finish(status, len(body), len(data))
        self.client.write(data)
        self.client.exchange_done(keep)

    # Plugins

    def _begin_phases(self, chain: Chain) -> Phases:
        gateway = self.gateway
        return Phases(Context(self.head, self, gateway.plugins), gateway.table_plugins, chain)

    def asker(self) -> Asker:
        """Where the request came from."""
        return filtering.asker(self.client.peer, self.head, self.gateway.trust)

    def captures(self) -> Mapping[str | int, str]:
        """What the groups of the route's expression matched."""
        found = self._found
        return {} if found is None else dispatch.captures(found.match, found.path)

    def _all_phases(self) -> Phases | None:
        """Those of the route, or those of global plugins for a request that leads nowhere."""
        if self.phases is None and self._found is None and self._passage is None:
            chain = self.gateway.table.plugins.chain("", "")
            if chain is not NOTHING:
                self.phases = self._begin_phases(chain)
        return self.phases

    def _facts(self, status: int, passage: Passage | None, written: int) -> Facts:
        sent_at, answered_at = self.started, None
        if passage is not None:
            sent_at, answered_at = passage.sent_at, passage.answered_at
            written += passage.bytes_written
        return filtering.facts(
            status,
            self.started,
            sent_at,
            answered_at,
            self.gateway.loop.time(),
            filtering.size_of(self.head) + self._received,
            written,
            self.gateway.wall_clock(),
        )

    # The end

    def first(self, name: bytes) -> bytes | None:
        """The first value of a field of the request, by its lower-cased name."""
        values = self.head.values(name)
        return values[0] if values else None

    def finish(
        self, status: int, body_bytes: int, written: int = 0, now: float | None = None
    ) -> None:
        """Count and log; whoever calls this lets the client connection go on. ``written`` is the
        size of an answer that was made here."""
        self.finished = True
        gateway, passage = self.gateway, self._passage
        if passage is not None:
            passage.end()
        phases = self._all_phases() if passage is None else self.phases
        if phases is not None:
            facts = self._facts(status, passage, written) if phases.chain.log else None
            self.phases = None  # it refers to this exchange: no collection is due
            phases.end(facts)
        self._passage = None
        if self.body is not None:
            self.body.let_go()
            gateway.stats.bytes_received += self.body.received
        if passage is not None:
            client = passage.plan.client
        else:
            client = self._found.client if self._found else self.client.peer.address
        if now is None:
            now = gateway.loop.time()
        entry = (self.head, client, status, body_bytes, self.request_id, now)
        gateway.answered(entry, self.started)
