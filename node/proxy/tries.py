"""The tries of one request: which address is next, over which connection, and what came of those
before.

A request has one try and ``service.retries`` more. Each goes to an address that is picked anew;
what comes of it is told to the health checks, and to the algorithm that picked it.
"""

import asyncio
import uuid
from typing import TYPE_CHECKING

from node.proxy import dispatch, outlines
from node.proxy.balancing.entities import Upstream
from node.proxy.balancing.hashing import HashInput, value_of
from node.proxy.balancing.peer import Peer, Try, headers_for
from node.proxy.connector import ConnectFailed
from node.proxy.heads import RequestHead
from node.proxy.upstream import PoolKey
from node.proxy.upstream_tls import TlsRefused

if TYPE_CHECKING:
    from node.proxy.balancing.algorithm import Algorithm
    from node.proxy.gateway import Gateway
    from node.proxy.passage import Passage

TIMED_OUT = 504
"""The status of a try that took too long; every other failure has 502."""
_ALL_FAILED = "failure to get a peer from the ring-balancer"


class Tries:
    """All its methods run on the loop's thread. What waits is told to the passage."""

    __slots__ = (
        "_algorithm",
        "_balancer",
        "_gateway",
        "_plan",
        "_service",
        "_value",
        "began",
        "cookie",
        "failed",
        "left",
        "peer",
    )

    def __init__(
        self, gateway: "Gateway", plan: dispatch.Plan, head: RequestHead, identity: str
    ) -> None:
        service, table = plan.service, gateway.table
        self._gateway = gateway
        self._plan = plan
        self._service = service
        self._balancer = None
        self._algorithm: Algorithm | None = None
        self._value = b""
        self.cookie = ""
        """A Set-Cookie that the response needs; empty without one."""
        self.left = service.retries
        """Further tries that may be made."""
        self.failed: tuple[Try, ...] = ()
        self.peer: Peer | None = None
        """Where the latest try goes."""
        self.began = 0.0
        """When it began, in the loop's seconds."""
        if plan.address is not None:
            return
        upstream = table.upstreams.named(service.host)
        if upstream is not None:
            self._balancer = gateway.balancers[upstream.id]
            if upstream.algorithm == "consistent-hashing":
                self._hash(upstream, plan, head, identity)

    @property
    def upstream(self) -> Upstream | None:
        """The upstream that balances the request; None when none does."""
        return None if self._balancer is None else self._balancer.upstream

    def all(self) -> tuple[Try, ...]:
        """Every try, for the log; the latest one last."""
        if self.peer is None or (self.failed and self.failed[-1].began == self.began):
            return self.failed
        return (*self.failed, Try(self.peer, self.began, 0))

    # Connections

    def next(self, passage: "Passage") -> None:
        """The next try, at an address that is picked anew."""
        before = self.peer
        peer = self.choose()
        if peer is None:
            passage.client.hold()
            self._gateway.spawn(self._next_when_resolved(passage))
        else:
            self.acquire(passage, pooled=peer != before)

    async def _next_when_resolved(self, passage: "Passage") -> None:
        await self.resolved()
        if passage.over:
            return
        if self.choose() is None:
            passage.nowhere(self)
        else:
            self.acquire(passage, pooled=True)

    def acquire(self, passage: "Passage", pooled: bool) -> None:
        """A connection to the address that was picked: one that is idle, or a new one."""
        try:
            key = self._key()
        except TlsRefused as refusal:
            passage.refused(str(refusal))
            return
        upstream = self._gateway.pool.take(key) if pooled else None
        if upstream is not None:
            passage.attach(upstream, self._head_of(passage.request_id))
        else:
            passage.client.hold()
            self._gateway.spawn(self._connect(passage, key))

    async def _connect(self, passage: "Passage", key: PoolKey) -> None:
        gateway = self._gateway
        try:
            upstream = await gateway.connector.connect(key, self._service.connect_timeout)
        except ConnectFailed as failure:
            if not passage.over:
                status = TIMED_OUT if failure.timed_out else 502
                passage.failed(str(failure), status, repeatable=True)
            return
        if passage.over:
            gateway.pool.put(upstream, gateway.loop.time())
        else:
            passage.attach(upstream, self._head_of(passage.request_id))

    def _key(self) -> PoolKey:
        """The connections that the latest one can go over. Raises TlsRefused."""
        peer, service = self.peer, self._service
        assert peer is not None
        if not service.ssl:
            return (peer.host, peer.port, None)
        host = self._plan.host if self._plan.host_stays else peer.headers[True]
        certificate = "" if self.upstream is None else self.upstream.client_certificate_id
        return (peer.host, peer.port, self._gateway.upstream_tls.to(service, host, certificate))

    def _head_of(self, request_id: bytes) -> bytes:
        """The request's head, with the Host that the address of the latest one is called by."""
        plan, peer = self._plan, self.peer
        assert peer is not None
        head = plan.head(request_id)
        host = peer.headers[plan.service.ssl]
        return head if plan.host_stays or host == plan.host else outlines.with_host(head, host)

    # Addresses

    def choose(self) -> Peer | None:
        """Where the next try goes; None when nothing can be tried now."""
        gateway = self._gateway
        now = gateway.loop.time()
        peer = self._plan.address
        if peer is None:
            peer = self._named() if self._balancer is None else self._balanced(now)
            if peer is None:
                return None
        gateway.stats.upstream_tries += 1
        self.peer = peer
        self.began = now
        return peer

    def went(self, at: float) -> None:
        """The first one went to the service's own address, when all was well."""
        self.peer, self.began = self._plan.address, at

    async def resolved(self) -> None:
        """Wait for names of which nothing is known yet."""
        resolver = self._gateway.resolver
        names = [self._service.host] if self._balancer is None else self._balancer.unresolved()
        await asyncio.gather(*map(resolver.resolve, names), return_exceptions=True)

    def without_peer(self) -> str:
        """What the client is told when there is nothing to try."""
        return "name resolution failed" if self._balancer is None else _ALL_FAILED

    def answered(self, status: int) -> None:
        """The head of a final response has come."""
        peer = self.peer
        if peer is not None and peer.address is not None:
            self._gateway.health.responded(peer.address, status)

    def fail(self, status: int) -> None:
        """The latest try came to nothing: TIMED_OUT, or 502."""
        peer = self.peer
        assert peer is not None
        self.failed += (Try(peer, self.began, status),)
        if peer.address is not None:
            if status == TIMED_OUT:
                self._gateway.health.timed_out(peer.address)
            else:
                self._gateway.health.tcp_failed(peer.address)
        self.end(status == TIMED_OUT)

    def end(self, timed: bool) -> None:
        """The latest try is over; ``timed`` is whether it says how fast its address is."""
        algorithm, self._algorithm = self._algorithm, None
        if algorithm is not None:
            assert self.peer is not None
            now = self._gateway.loop.time()
            algorithm.ended(self.peer, now - self.began if timed else None, now)

    def _balanced(self, now: float) -> Peer | None:
        balancer = self._balancer
        assert balancer is not None
        peer = balancer.choose(tuple(one.peer for one in self.failed), self._value, now)
        if peer is not None:
            self._algorithm = balancer.algorithm
            self._algorithm.began(peer)
        return peer

    def _named(self) -> Peer | None:
        service = self._service
        record = self._gateway.resolver.next_of(service.host)
        if record is None:
            return None
        if record.port:
            return Peer(record.host, record.port, headers_for(service.host, record.port))
        return Peer(record.host, service.port, (service.host_header, service.host_header))

    def _hash(
        self, upstream: Upstream, plan: dispatch.Plan, head: RequestHead, identity: str
    ) -> None:
        request = HashInput(
            head,
            plan.client,
            plan.path,
            lambda: dispatch.captures(plan.match, plan.path),
            identity,
        )
        self._value, self.cookie = value_of(upstream, request, lambda: str(uuid.uuid4()))
