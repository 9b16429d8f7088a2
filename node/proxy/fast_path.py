"""The fast path of a request: an idle connection is there, and the answer comes whole.

Nearly all requests take it, and need neither the state of an exchange nor that of a passage: the
decision about them, when they came and by which id, and where they were sent. So a client
connection keeps one ``FastPath`` for all of its requests. It does what an exchange and its passage
would do, and as soon as anything else happens they take its place, as far as it has come
(docs/decisions/0018-decided-once.md).
"""

from typing import TYPE_CHECKING, Final

from node.proxy.annotations import whole
from node.proxy.dispatch import Decision
from node.proxy.exchange import Exchange
from node.proxy.heads import RequestHead
from node.proxy.passage import Passage
from node.proxy.upstream import Upstream

if TYPE_CHECKING:
    from node.proxy.downstream import Downstream


class FastPath:
    """See the module's text. To its client connection it is an exchange, to its upstream connection
    a passage."""

    __slots__ = (
        "_client",
        "_decision",
        "_gateway",
        "_request_id",
        "_started",
        "_upstream",
    )

    finished: Final = False
    request_complete: Final = True

    def __init__(self, client: "Downstream") -> None:
        self._client = client
        self._gateway = client.gateway
        self._decision: Decision
        self._started = 0.0
        self._request_id = b""
        self._upstream: Upstream | None = None
        """Where the answer is awaited from."""

    @property
    def head(self) -> RequestHead:
        """The client's request."""
        return self._decision.head

    def begin(self, decision: Decision, request_id: bytes, now: float) -> bool:
        """Send a request that has a ``fast_plan`` over an idle connection; False when there is
        none."""
        gateway, plan = self._gateway, decision.fast_plan
        assert plan is not None
        assert plan.key is not None
        upstream = gateway.pool.take(plan.key)
        if upstream is None:
            return False
        self._decision = decision
        self._started = now
        self._request_id = request_id
        self._upstream = upstream
        gateway.stats.upstream_tries += 1
        upstream.passage = self
        upstream.served += 1
        upstream.send(plan.head(request_id))
        if not upstream.full:
            gateway.wheel.arm(upstream, now + plan.service.read_timeout)
        return True

    def upstream_data(self, upstream: Upstream, data: bytes) -> None:
        """Bytes of the upstream's response, nearly always all of it."""
        reader = upstream.reader
        if not reader.is_whole(data):
            self._enlarge(upstream).upstream_data(upstream, data)
            return
        client, gateway, decision = self._client, self._gateway, self._decision
        head, plan, request_id = decision.head, decision.fast_plan, self._request_id
        assert plan is not None
        keep = head.keep_alive and client.may_go_on()
        now = gateway.loop.time()
        status, body = reader.head.status, data[len(reader.block) :]
        lines = gateway.annotations.proxied(status, now - self._started, 0.0, request_id)
        self._upstream = None
        client.write(whole(reader.start, keep, lines, body))
        gateway.pool.put(upstream, now)
        entry = (head, plan.client, status, len(body), request_id, now)
        gateway.answered(entry, self._started)
        client.exchange_done(keep, now)

    def _enlarge(self, upstream: Upstream) -> Passage:
        """The passage that goes on with it from here."""
        self._upstream = None
        decision = self._decision
        assert decision.fast_plan is not None
        exchange = Exchange(self._client, decision, self._started, self._request_id)
        self._client.goes_on(exchange)
        return exchange.goes_on(decision.fast_plan, upstream)

    # What else may happen at the upstream's connection

    def upstream_full(self, upstream: Upstream) -> None:
        """The upstream takes no more for now."""
        self._enlarge(upstream).upstream_full(upstream)

    def upstream_drained(self, upstream: Upstream) -> None:
        """The upstream takes bytes again."""
        self._enlarge(upstream).upstream_drained(upstream)

    def upstream_lost(self, upstream: Upstream, error: Exception | None) -> None:
        """The upstream's connection ended before there was an answer."""
        self._enlarge(upstream).upstream_lost(upstream, error)

    def upstream_expired(self, upstream: Upstream) -> None:
        """The upstream took or sent nothing for longer than the service allows."""
        self._enlarge(upstream).upstream_expired(upstream)

    # At the client's. What happens while the answer is being written is of no account: the upstream
    # has done its part by then.

    def client_full(self) -> None:
        """The client takes no more for now."""
        if self._upstream is not None:
            self._enlarge(self._upstream).client_full()

    def client_drained(self) -> None:
        """The client takes bytes again: when it was full, this ended."""

    def client_lost(self) -> None:
        """The client's connection is gone."""
        if self._upstream is not None:
            self._enlarge(self._upstream).exchange.client_lost()

    def fail(self, status: int) -> None:
        """Answer with an error."""
        if self._upstream is not None:
            self._enlarge(self._upstream).exchange.fail(status)
