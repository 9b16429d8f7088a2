"""Who probes which address when. Decides only; has no clock and no socket.

Theory of operation
-------------------

Each address is probed by the first ``PROBERS`` of the live nodes that serve traffic, ranked by a
hash of address and node (rendezvous hashing): all agree without a word, and when a node comes or
goes only its own share moves. A prober tells all nodes each change of state at once, and every
state again each ``WORDS_SECONDS``. So what an upstream gets of probes doesn't grow with the number
of nodes.

The others take over a change on which the probers that have spoken lately agree. That is a hint,
and a hint never takes out an upstream's last target. A node probes by itself

- when no prober has spoken for a while,
- when a prober's word has differed from this node's own state for ``DIFFERENCE_SECONDS``: because
  its own requests fail (passive checks), because the probers don't agree, or because what they say
  would take the last target out.

A prober that hears that another one (or a node's own traffic) has found a change probes at once and
in quick succession, until it has found the same or the opposite.
"""

import hashlib
import heapq
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from node.agent.health import limits
from node.proxy.balancing.address import TargetAddress
from node.proxy.health.counters import Result, State
from node.proxy.health.judgement import Judgement
from node.proxy.health.settings import Active

_HEAP_SHARE_MAX = 4
"""So many entries for each address, those that a later plan has replaced included."""


@dataclass(slots=True)
class _Watched:
    """An address of an upstream with active checks."""

    address: TargetAddress
    since: float
    due: float = math.inf
    running: bool = False
    probed_at: float = -math.inf
    words: dict[str, tuple[bool, float]] = field(default_factory=dict)
    """What probers have said: available or not, and when."""
    differs_since: float | None = None
    confirming: int = 0
    """Quick probes that are left."""
    wanted: bool = True
    """What those are to confirm."""
    ranked_of: Sequence[str] = ()
    ranked: frozenset[str] = frozenset()


def probers(address: TargetAddress, nodes: Iterable[str]) -> list[str]:
    """Who of these nodes probes an address."""
    subject = f"{address.upstream_id} {address.host} {address.port}"

    def rank(node_id: str) -> bytes:
        return hashlib.blake2b(f"{subject} {node_id}".encode(), digest_size=16).digest()

    return heapq.nsmallest(limits.PROBERS, nodes, key=rank)


class Probing:
    """``own_id()`` is this node's id, ``nodes()`` those of the live ones that serve traffic: the
    same object while they don't change. ``active(upstream_id)`` are an upstream's active checks,
    None where there are none."""

    def __init__(
        self,
        own_id: Callable[[], str],
        nodes: Callable[[], Sequence[str]],
        active: Callable[[str], Active | None],
        judgement: Judgement,
        rng: random.Random,
    ) -> None:
        self._own_id = own_id
        self._nodes = nodes
        self._active = active
        self._judgement = judgement
        self._rng = rng
        self._watched: dict[TargetAddress, _Watched] = {}
        self._heap: list[tuple[float, TargetAddress]] = []
        self._differences_to: Sequence[str] = ()
        self._differences: dict[int, tuple[Sequence[str], frozenset[str], frozenset[str]]] = {}
        """By the id of the nodes before."""

    def __len__(self) -> int:
        return len(self._watched)

    def __contains__(self, address: TargetAddress) -> bool:
        return address in self._watched

    def watch(self, address: TargetAddress, now: float) -> bool:
        """Begin with an address; False when there are too many."""
        if address not in self._watched:
            if len(self._watched) >= limits.ADDRESSES_MAX:
                return False
            self._watched[address] = _Watched(address, now)
            self.plan(address, now)
        return True

    def unwatch(self, address: TargetAddress) -> None:
        """It is no address of any target any more."""
        self._watched.pop(address, None)

    def addresses(self) -> list[TargetAddress]:
        """All that are watched."""
        return list(self._watched)

    def plan(self, address: TargetAddress, now: float) -> None:
        """Its state, or its upstream's checks, may be others than before."""
        watched = self._watched.get(address)
        if watched is not None and not watched.running and not watched.confirming:
            self._plan(watched, now + self._interval(watched))

    def due(self, now: float) -> Iterator[TargetAddress]:
        """What is to be probed now by this node; each must be answered by ``probed``."""
        while self._heap and self._heap[0][0] <= now:
            due, address = heapq.heappop(self._heap)
            watched = self._watched.get(address)
            if watched is None or watched.due != due or watched.running:
                continue
            if watched.confirming or self._is_for_this_node(watched, now):
                watched.running, watched.due = True, math.inf
                yield address
            else:
                self._plan(watched, self._look_again(watched, now))

    def next_deadline(self) -> float:
        """When ``due`` should be asked next."""
        while self._heap:
            due, address = self._heap[0]
            watched = self._watched.get(address)
            if watched is not None and watched.due == due:
                return due
            heapq.heappop(self._heap)
        return math.inf

    def probed(self, address: TargetAddress, result: Result | None, now: float) -> None:
        """A probe has ended, and the judgement knows of its result (None: it said nothing)."""
        watched = self._watched.get(address)
        if watched is None:
            return
        watched.running, watched.probed_at = False, now
        if watched.confirming:
            opposite = result is not None and (result is Result.SUCCESS) != watched.wanted
            watched.confirming -= 1
            if opposite or self._available(address) == watched.wanted:
                watched.confirming = 0
        pause = limits.CONFIRM_SECONDS if watched.confirming else self._interval(watched)
        self._plan(watched, now + pause)

    def heard(
        self, address: TargetAddress, node_id: str, available: bool, now: float
    ) -> State | None:
        """A node says how what it probes stands; the state to take over, None for that of before.

        What only those say counts who probe it: of this node's judgement nobody else disposes.
        """
        watched = self._watched.get(address)
        if watched is None or node_id not in self._ranked(watched):
            return None
        before = watched.words.get(node_id)
        watched.words[node_id] = available, now
        own = self._available(address)
        if self._own_id() in self._ranked(watched):
            if available != own and (before is None or before[0] != available):
                self.confirm(address, available, now)
            return None
        agreed = self._agreed(watched, now)
        if agreed is not None and agreed == own:
            watched.differs_since = None
            return None
        changed = before is None or before[0] != available
        takes_last = not available and self._judgement.is_last(address)
        if agreed is not None and changed and not takes_last:
            watched.differs_since = None
            return State.HEALTHY if available else State.UNHEALTHY
        if watched.differs_since is None:
            watched.differs_since = now
            self._plan(watched, min(watched.due, now + limits.DIFFERENCE_SECONDS))
        return None

    def confirm(self, address: TargetAddress, available: bool, now: float) -> None:
        """Another node has found this: probe soon, if it is for this node to probe it."""
        watched = self._watched.get(address)
        if watched is None or self._available(address) == available or watched.confirming:
            return
        if self._own_id() not in self._ranked(watched):
            return
        watched.confirming, watched.wanted = limits.CONFIRM_PROBES_MAX, available
        if not watched.running:
            within = self._rng.random() * limits.CONFIRM_WITHIN_SECONDS
            self._plan(watched, min(watched.due, now + within))

    def words(self, now: float) -> list[TargetAddress]:
        """What this node probes for the others, and has probed lately."""
        own = self._own_id()
        return [
            watched.address
            for watched in self._watched.values()
            if now - watched.probed_at <= self._patience(watched) and own in self._ranked(watched)
        ]

    def tells(self, address: TargetAddress) -> bool:
        """Whether it is for this node to tell the others how an address stands."""
        watched = self._watched.get(address)
        return watched is not None and self._own_id() in self._ranked(watched)

    def _is_for_this_node(self, watched: _Watched, now: float) -> bool:
        nodes = self._nodes()
        if self._own_id() not in nodes:
            return False
        if self._own_id() in self._ranked(watched):
            return True
        fresh = self._fresh(watched, now)
        if not fresh:
            # Who has just come, or gone over to other probers, waits for their first words.
            last = max((at for _, at in watched.words.values()), default=watched.since)
            return now - last > self._patience(watched)
        own = self._available(watched.address)
        if all(available == own for available in fresh):
            watched.differs_since = None
            return False
        if watched.differs_since is None:
            watched.differs_since = now
        return now - watched.differs_since >= limits.DIFFERENCE_SECONDS

    def _look_again(self, watched: _Watched, now: float) -> float:
        if watched.differs_since is not None:
            return max(now, watched.differs_since + limits.DIFFERENCE_SECONDS)
        return now + self._interval(watched)

    def _agreed(self, watched: _Watched, now: float) -> bool | None:
        """What all probers say that have spoken lately; None when they don't say the same."""
        said = self._fresh(watched, now)
        return said[0] if said and all(one == said[0] for one in said) else None

    def _fresh(self, watched: _Watched, now: float) -> list[bool]:
        patience, ranked = self._patience(watched), self._ranked(watched)
        return [
            available
            for node_id, (available, at) in watched.words.items()
            if node_id in ranked and now - at <= patience
        ]

    def _ranked(self, watched: _Watched) -> frozenset[str]:
        nodes = self._nodes()
        if watched.ranked_of is not nodes:
            came, gone = self._difference(watched.ranked_of, nodes)
            # Whoever was ranked below the first ones still is: most changes concern few addresses.
            among: Sequence[str] = (*watched.ranked, *came)
            if gone & watched.ranked or not watched.ranked:
                among = nodes
            watched.ranked_of = nodes
            watched.ranked = frozenset(probers(watched.address, among))
            watched.words = {one: said for one, said in watched.words.items() if one not in gone}
        return watched.ranked

    def _difference(
        self, before: Sequence[str], nodes: Sequence[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Who came and who went, found out once for all addresses that were ranked alike."""
        if self._differences_to is not nodes:
            self._differences_to = nodes
            self._differences = {}
        known = self._differences.get(id(before))
        if known is None:
            came = frozenset(nodes).difference(before)
            gone = frozenset(before).difference(nodes)
            # With what it is about, or another object could come to have its id.
            known = self._differences[id(before)] = before, came, gone
        return known[1:]

    def _patience(self, watched: _Watched) -> float:
        """How long a word holds."""
        active = self._active(watched.address.upstream_id)
        interval = 0.0 if active is None else active.interval(self._available(watched.address))
        return max(limits.WORDS_SECONDS, interval) * limits.WORDS_MISSED_MAX

    def _interval(self, watched: _Watched) -> float:
        """Until the next look, with its jitter; infinite where there is none."""
        active = self._active(watched.address.upstream_id)
        interval = 0.0 if active is None else active.interval(self._available(watched.address))
        if not interval:
            return math.inf
        return interval * (1 + limits.JITTER * (2 * self._rng.random() - 1))

    def _available(self, address: TargetAddress) -> bool:
        return address not in self._judgement.out

    def _plan(self, watched: _Watched, at: float) -> None:
        watched.due = at
        if at == math.inf:
            return
        if len(self._heap) > _HEAP_SHARE_MAX * len(self._watched) + 64:
            self._heap = [
                (one.due, one.address) for one in self._watched.values() if one.due != math.inf
            ]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (at, watched.address))
