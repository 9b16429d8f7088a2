"""How all addresses stand, as one process knows it. Only what has got into trouble takes room."""

from collections.abc import Iterator

from node.proxy.balancing.address import TargetAddress
from node.proxy.health.counters import NEW, Result, Standing, State, after, forced
from node.proxy.health.settings import CheckedUpstreams, Limits

ADDRESSES_PER_TARGET_MAX = 64
"""Of one target, in trouble at once: a name that resolves to ever others can't take all memory."""


class Judgement:
    """``upstreams`` are those that there are; it is kept by somebody else."""

    def __init__(self, upstreams: CheckedUpstreams) -> None:
        self.upstreams = upstreams
        self.out: set[TargetAddress] = set()
        """Those that get no requests."""
        self.changes = 0
        """How often that was changed."""
        self._standings: dict[str, dict[TargetAddress, Standing]] = {}
        """By target; an address without trouble isn't in it."""

    def standing(self, address: TargetAddress) -> Standing:
        """How an address stands."""
        return self._standings.get(address.target_id, {}).get(address, NEW)

    def is_calm(self, address: TargetAddress) -> bool:
        """Whether its target has no address that isn't simply healthy."""
        return address.target_id not in self._standings

    def count(self, address: TargetAddress, result: Result, limits: Limits) -> bool:
        """Count a result; whether the state is another one now."""
        before = self.standing(address)
        return self._put(address, before, after(before, result, limits))

    def settle(self, address: TargetAddress, state: State) -> bool:
        """Take a state over; whether it is another one. Counters go on only within a state that was
        on the same side already."""
        before = self.standing(address)
        if before.state is state:
            return False
        goes_on = before.state.available is state.available and state in (
            State.MOSTLY_HEALTHY,
            State.MOSTLY_UNHEALTHY,
        )
        standing = before._replace(state=state) if goes_on else forced(state)
        return self._put(address, before, standing)

    def troubled(self) -> Iterator[tuple[TargetAddress, Standing]]:
        """All addresses that aren't simply healthy."""
        for below in self._standings.values():
            yield from below.items()

    def known(self, target_id: str) -> Iterator[TargetAddress]:
        """A target's addresses that aren't simply healthy."""
        yield from self._standings.get(target_id, ())

    def is_last(self, address: TargetAddress) -> bool:
        """Whether, were it not available, no other target of its upstream would be surely so: one
        that takes requests, and none of whose addresses are out."""
        for target in self.upstreams.below(address.upstream_id):
            if target.id == address.target_id or not target.weight:
                continue
            below = self._standings.get(target.id, {})
            if all(standing.state.available for standing in below.values()):
                return False
        return True

    def forget_target(self, target_id: str) -> None:
        """Nothing is known any more of a target's addresses."""
        gone = self._standings.pop(target_id, None)
        if gone is not None:
            self.changes += 1
            self.out.difference_update(gone)

    def forget_strangers(self) -> None:
        """Forget whatever is of no target, of one without weight, or of one whose upstream checks
        nothing any more."""
        for target_id in list(self._standings):
            target = self.upstreams.targets.get(target_id)
            if (
                target is None
                or not target.weight
                or target.upstream_id not in self.upstreams.checked
            ):
                self.forget_target(target_id)

    def _put(self, address: TargetAddress, before: Standing, standing: Standing) -> bool:
        if standing == before:
            return False
        below = self._standings.setdefault(address.target_id, {})
        if standing.state is State.HEALTHY:
            # What it has counted of successes means nothing: the next failure sets it back.
            below.pop(address, None)
        elif address in below or len(below) < ADDRESSES_PER_TARGET_MAX:
            below[address] = standing
        else:
            return False
        if not below:
            del self._standings[address.target_id]
        if standing.state.available is not before.state.available:
            self.changes += 1
            (self.out.discard if standing.state.available else self.out.add)(address)
        return standing.state is not before.state
