"""The tries of one request: which address is next, and what came of those before.

A request has one try and ``service.retries`` more. Each goes to an address that is picked anew;
what comes of it is told to the health checks, and to the algorithm that picked it.
"""

import asyncio
import uuid
from typing import TYPE_CHECKING

from node.proxy import dispatch
from node.proxy.balancing.entities import Upstream
from node.proxy.balancing.hashing import HashInput, value_of
from node.proxy.balancing.peer import Peer, Try, headers_for
from node.proxy.heads import RequestHead

if TYPE_CHECKING:
    from node.proxy.balancing.algorithm import Algorithm
    from node.proxy.gateway import Gateway

TIMED_OUT = 504
"""The status of a try that took too long; every other failure has 502."""
_ALL_FAILED = "failure to get a peer from the ring-balancer"


class Tries:
    """All its methods run on the loop's thread; `resolved` alone waits."""

    __slots__ = (
        "_algorithm",
        "_balancer",
        "_gateway",
        "_literal",
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
        self._service = service
        self._balancer = None
        self._literal: Peer | None = None
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
        known = table.services.peers.get(service.id)
        if known is not None and known[0] is service:
            self._literal = known[1]
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

    def choose(self) -> Peer | None:
        """Where the next try goes; None when nothing can be tried now."""
        gateway = self._gateway
        now = gateway.loop.time()
        peer = self._literal
        if peer is None:
            peer = self._named() if self._balancer is None else self._balanced(now)
            if peer is None:
                return None
        gateway.stats.upstream_tries += 1
        self.peer = peer
        self.began = now
        return peer

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
