"""The health of targets as a worker knows it: what it found itself, and what its agent says.

The agent judges for the node, from the results of all its workers, its probes, and what other nodes
say. A worker counts its own results by the same rules, so that it stops at once; and it takes over
each state that the agent tells. A worker that sees nothing but successes of healthy addresses tells
nothing, and counts nothing.
"""

from collections.abc import Callable, Iterable, Sequence

from node.channel import Change, Doubted, Judged, Observed
from node.proxy import limits
from node.proxy.balancing.address import TargetAddress
from node.proxy.health.counters import Result, State, counts, result_of_status
from node.proxy.health.judgement import Judgement
from node.proxy.health.settings import CheckedUpstreams, Checks, Limits


class WorkerHealth:
    """Satisfies node.proxy.balancing.address.Health.

    ``clock`` gives seconds. ``on_news()`` is called when there is something to ``take``, once until
    that is done.
    """

    def __init__(self, clock: Callable[[], float], on_news: Callable[[], None]) -> None:
        self._clock = clock
        self._on_news = on_news
        self._judgement = Judgement(CheckedUpstreams())
        self._loading: CheckedUpstreams | None = None
        self._checks: dict[str, Checks] = {}
        """Of the upstreams that check anything."""
        self._enough: dict[str, tuple[list[tuple[TargetAddress, int]], int, bool]] = {}
        """Whether an upstream is available, for the list of addresses for which it was asked last:
        it is asked for each request. A list that has changed must be another one."""
        self._doubts: dict[TargetAddress, float] = {}
        """Addresses that another node has found unhealthy -> until when that counts."""
        self._news: list[tuple[TargetAddress, Result, bool]] = []
        self.dropped = 0
        """Results that weren't told because too many waited."""

    # What the balancer asks and tells

    def is_available(self, address: TargetAddress) -> bool:
        """Whether the address may be chosen."""
        return address not in self._judgement.out

    def is_upstream_available(
        self, upstream_id: str, addresses: Iterable[tuple[TargetAddress, int]]
    ) -> bool:
        """Whether more than the threshold's share of weight is available, as in Kong."""
        checks = self._checks.get(upstream_id)
        if checks is None:
            return True
        changes = self._judgement.changes
        known = self._enough.get(upstream_id)
        if known is not None and known[0] is addresses and known[1] == changes:
            return known[2]
        answer = enough(addresses, self._judgement.out, checks.threshold)
        if isinstance(addresses, list):
            self._enough[upstream_id] = addresses, changes, answer
        return answer

    def responded(self, address: TargetAddress, status: int) -> None:
        """A request there was answered with this status."""
        checks = self._checks.get(address.upstream_id)
        if checks is not None:
            is_well = status in checks.passive.healthy_statuses and not self._doubts
            if is_well and self._judgement.is_calm(address):
                return  # nearly always: there is nothing to set back
            result = result_of_status(checks.passive, status)
            if result is not None:
                self._count(address, result, checks.passive)

    def tcp_failed(self, address: TargetAddress) -> None:
        """A connection there failed, or broke off before an answer."""
        checks = self._checks.get(address.upstream_id)
        if checks is not None:
            self._count(address, Result.TCP_FAILURE, checks.passive)

    def timed_out(self, address: TargetAddress) -> None:
        """A connection or an answer took longer than the service allows."""
        checks = self._checks.get(address.upstream_id)
        if checks is not None:
            self._count(address, Result.TIMEOUT, checks.passive)

    # What the agent tells

    def load(self, changes: Sequence[Change], *, first: bool, last: bool) -> None:
        """Take a slice of a whole state. What is known of targets that stay, stays."""
        if self._loading is None or first:
            self._loading = CheckedUpstreams()
        for change in changes:
            self._loading.apply(*change)
        if last:
            self._judgement.upstreams, self._loading = self._loading, None
            self._changed()

    def apply(self, changes: Sequence[Change]) -> None:
        """Take a changeset."""
        if [change for change in changes if self._judgement.upstreams.apply(*change)]:
            self._changed()

    def judged(self, frame: Judged) -> None:
        """Take over how addresses stand."""
        for upstream_id, target_id, host, port, state in frame.states:
            address = TargetAddress(upstream_id, target_id, host, port)
            self._judgement.settle(address, State(state))

    def doubted(self, frame: Doubted) -> None:
        """Another node has found an address unhealthy: for a while one failure here suffices to."""
        now = self._clock()
        self._doubts = {one: until for one, until in self._doubts.items() if until > now}
        if len(self._doubts) < limits.DOUBTS_MAX:
            self._doubts[TargetAddress(*frame[:4])] = now + frame.seconds

    def take(self) -> Observed | None:
        """What the agent is to be told; None when nothing is."""
        if not self._news:
            return None
        told = self._news[: limits.RESULTS_TOLD_MAX]
        del self._news[: limits.RESULTS_TOLD_MAX]
        return Observed(
            tuple((*address, int(result), doubted) for address, result, doubted in told)
        )

    def _count(self, address: TargetAddress, result: Result, of: Limits) -> None:
        doubted = bool(self._doubts) and self._is_doubted(address, result)
        if doubted:
            of = at_once(of)
        if not counts(self._judgement.standing(address), result, of):
            return
        self._judgement.count(address, result, of)
        if len(self._news) >= limits.RESULTS_WAITING_MAX:
            self.dropped += 1
            return
        self._news.append((address, result, doubted))
        if len(self._news) == 1:
            self._on_news()

    def _is_doubted(self, address: TargetAddress, result: Result) -> bool:
        """Whether one failure suffices. Where it would take the upstream's last target out, more
        are needed; and a success is the end of the doubt."""
        until = self._doubts.get(address)
        if until is None:
            return False
        if result is Result.SUCCESS or until <= self._clock():
            del self._doubts[address]
            return False
        return not self._judgement.is_last(address)

    def _changed(self) -> None:
        upstreams = self._judgement.upstreams
        self._checks = upstreams.checked
        self._judgement.forget_strangers()
        self._enough.clear()


def at_once(of: Limits) -> Limits:
    """The same where one failure suffices; what isn't counted isn't then either."""
    successes, *failures = of.numbers
    http, tcp, timeouts = (min(number, 1) for number in failures)
    return of._replace(numbers=(successes, http, tcp, timeouts))


def enough(
    addresses: Iterable[tuple[TargetAddress, int]], out: set[TargetAddress], threshold: float
) -> bool:
    """Whether the share of weight that is available exceeds a percentage."""
    total = available = 0
    for address, weight in addresses:
        total += weight
        if address not in out:
            available += weight
    return bool(total) and available * 100 > threshold * total
