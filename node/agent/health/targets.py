"""The health of targets on one node: what its workers, its probes, the other nodes and operators
say comes together here, and goes to all of its workers."""

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, auto
from typing import Any

from gossip.events import Observed
from node import channel, logs
from node.admin.node_view import AddressReport, TargetReport
from node.agent.health import limits, words
from node.agent.health.addresses import Addresses
from node.agent.health.client_certificates import ClientCertificates, NoCertificate
from node.agent.health.manual import ManualHealth, SetRegister, Setting
from node.agent.health.probe import Prober
from node.agent.health.probing import Probing
from node.proxy.balancing.address import TargetAddress
from node.proxy.health.counters import Result, State
from node.proxy.health.health import at_once, enough
from node.proxy.health.judgement import Judgement
from node.proxy.health.settings import KINDS, Active, CheckedUpstreams, Checks, Target
from node.proxy.resolver import Lookup, ResolutionFailed
from store.changeset import Change
from store.contents import PinnedState

log = logs.get("health")

_JUDGED_AT_ONCE = 512


class Cause(Enum):
    """Why a state is another one."""

    PROBED = auto()
    SERVED = auto()
    TOLD = auto()
    """By the nodes that probe it."""
    SET = auto()
    """By hand."""


class TargetHealth:
    """Satisfies node.admin.node_view.TargetHealthView.

    ``say(frame)`` tells all workers. ``tell(body)`` tells all nodes, ``set_register`` as well.
    ``nodes()`` are ids of the live nodes that serve traffic. ``state()`` is what the replica holds,
    None while it holds nothing, and ``version()`` its version.
    """

    def __init__(
        self,
        own_id: Callable[[], str],
        nodes: Callable[[], tuple[str, ...]],
        say: Callable[[channel.Judged | channel.Doubted], object],
        tell: Callable[[bytes], bool],
        set_register: SetRegister,
        state: Callable[[], PinnedState | None],
        rng: random.Random,
        lookup: Lookup,
        clock: Callable[[], float] = time.monotonic,
        certificates: ClientCertificates | None = None,
    ) -> None:
        self._own_id = own_id
        self._look_for_nodes = nodes
        self._nodes: tuple[str, ...] = ()
        self._say = say
        self._tell = tell
        self._state = state
        self._clock = clock
        self._upstreams = CheckedUpstreams()
        self._judgement = Judgement(self._upstreams)
        self._probing = Probing(own_id, lambda: self._nodes, self._active, self._judgement, rng)
        self._prober = Prober()
        self._certificates = certificates or ClientCertificates(state)
        self._addresses = Addresses(clock, lookup, self._resolved)
        self._manual = ManualHealth(set_register, self._set)
        self._looking = False
        """Whether it will soon be looked who lives."""
        self._loaded = False
        self._later: list[Change] | None = None
        """Changes that came while a whole state was read; None while none is."""
        self._loading: asyncio.Task[None] | None = None
        self._news: dict[words.Kind, dict[TargetAddress, bool]] = {}
        self._wake = asyncio.Event()
        self._all_probes = asyncio.Semaphore(limits.PROBES_MAX)
        self._probes: dict[str, asyncio.Semaphore] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts = dict.fromkeys(COUNTERS, 0)

    # What the node tells

    def applied(self, changes: Sequence[Change]) -> None:
        """The replica has taken a changeset."""
        ours = [one for one in changes if one.kind in KINDS]
        if self._later is not None:
            self._later += ours
        elif len(ours) > limits.TAKEN_AT_ONCE:
            self.loaded()
        else:
            for change in ours:
                self._take(change)

    def loaded(self) -> None:
        """The replica holds another whole state."""
        self._loaded = True
        if self._loading is not None:
            self._loading.cancel()
        self._later = []
        self._loading = asyncio.get_running_loop().create_task(self._load())

    def worker_ready(self, send: Callable[[bytes], None]) -> None:
        """A worker begins: it is to know what the others know."""
        told = [(*address, int(standing.state)) for address, standing in self._judgement.troubled()]
        for first in range(0, len(told), _JUDGED_AT_ONCE):
            frame = channel.Judged(tuple(told[first : first + _JUDGED_AT_ONCE]))
            send(channel.encode(frame))

    def observed(self, send: Callable[[bytes], None], frame: channel.Observed) -> None:
        """A worker tells what came of requests; it hears what follows from all workers' results."""
        touched: dict[TargetAddress, None] = {}
        for upstream_id, target_id, host, port, result, doubted in frame.results:
            address = TargetAddress(upstream_id, target_id, host, port)
            checks = self._upstreams.checked.get(upstream_id)
            if checks is None or target_id not in self._upstreams.targets:
                continue
            touched[address] = None
            self._counts["target_results"] += 1
            of = at_once(checks.passive) if doubted else checks.passive
            was = address not in self._judgement.out
            if self._judgement.count(address, Result(result), of):
                self._changed(address, was, Cause.SERVED)
        if touched:
            states = [(*one, int(self._judgement.standing(one).state)) for one in touched]
            send(channel.encode(channel.Judged(tuple(states))))

    def heard(self, event: Observed) -> None:
        """Another node tells how addresses stand there."""
        try:
            heard = words.read(event.body)
        except words.NoWords:
            self._counts["target_words_malformed"] += 1
            return
        now = self._clock()
        for address, available in heard.said:
            self._counts["target_words_heard"] += 1
            if heard.kind is words.Kind.SERVED:
                self._hinted(address, available, now)
                continue
            state = self._probing.heard(address, event.node_id, available, now)
            was = address not in self._judgement.out
            if state is not None and self._judgement.settle(address, state):
                self._changed(address, was, Cause.TOLD)
        self._wake.set()

    def register_changed(self, event: Any) -> None:
        """A register has changed, of whatever kind."""
        self._manual.heard(event)

    def look_up_by(self, lookup: Lookup) -> None:
        """Names are looked up this way from now on."""
        self._addresses.look_up_by(lookup)

    def members_changed(self) -> None:
        """Who lives may be others than before: look soon, and once for all that change at a
        time."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(limits.MEMBERS_SECONDS, self._look_for_members)

    async def run(self) -> None:
        """Probe, resolve and repeat what is known, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._addresses.run())
                tasks.create_task(self._look())
                tasks.create_task(self._probe_on())
        finally:
            self._addresses.close()
            for task in [*self._tasks, *([self._loading] if self._loading else [])]:
                task.cancel()

    def counters(self) -> dict[str, int]:
        """What was counted, and how many addresses stand how."""
        return dict(self._counts)

    def addresses_by_state(self) -> Mapping[str, int]:
        """How many addresses of upstreams that check anything stand how, by a few words."""
        known = {
            address
            for checks in self._upstreams.checked
            for target in self._upstreams.below(checks)
            for address in self._addresses.of(target.id)
        }
        out = len(known & self._judgement.out)
        return {"healthy": len(known) - out, "unhealthy": out}

    # What the Admin API asks

    def set(self, upstream_id: str, target_id: str, host: str, port: int, *, healthy: bool) -> None:
        """Set a target's health, or with a host that of one address, on every node."""
        self._manual.set(Setting(upstream_id, target_id, host, port, healthy))

    def is_healthy(self, checks: Checks, reports: Iterable[TargetReport]) -> bool:
        """Whether an upstream as a whole is, by its threshold."""
        weighed = [
            (TargetAddress(checks.upstream_id, one.target.id, each.host, each.port), each.weight)
            for one in reports
            for each in one.addresses
        ]
        return enough(weighed, self._judgement.out, checks.threshold)

    async def report_upstream(self, upstream_id: str) -> list[TargetReport]:
        """How all targets of an upstream stand on this node."""
        return [await self.report(target) for target in list(self._upstreams.below(upstream_id))]

    async def report(self, target: Target) -> TargetReport:
        """How a target stands on this node."""
        try:
            async with asyncio.timeout(limits.REPORT_RESOLVE_SECONDS):
                found = await self._addresses.look_up(target)
        except (ResolutionFailed, TimeoutError) as error:
            return TargetReport(target, (), str(error) or f"'{target.host}': no answer in time")
        shown = tuple(
            AddressReport(one.host, one.port, weight, one not in self._judgement.out)
            for one, weight in found
        )
        return TargetReport(target, shown, "")

    # Changes of upstreams and targets

    async def _load(self) -> None:
        state = self._state()
        before, fresh = self._upstreams, CheckedUpstreams()
        if state is not None:
            leave_out = [kind for kind in state.counts() if kind not in KINDS]
            for number, change in enumerate(state.changes(leave_out), start=1):
                fresh.apply(*change)
                if number % limits.LOADED_AT_ONCE == 0:
                    await asyncio.sleep(0)
        self._upstreams = self._judgement.upstreams = fresh
        later, self._later = self._later or [], None
        for change in later:
            self._take(change)
        for number, target_id in enumerate([*before.targets, *fresh.targets], start=1):
            self._sync(target_id)
            if target_id not in self._upstreams.targets:
                self._manual.gone(target_id)
            if number % limits.LOADED_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._judgement.forget_strangers()

    def _take(self, change: Change) -> None:
        kind, entity_id, text = change
        if not self._upstreams.apply(kind, entity_id, text):
            return
        if kind == "targets":
            self._sync(entity_id)
            if text is None:
                self._manual.gone(entity_id)
        else:
            self._probes.pop(entity_id, None)
            for target in list(self._upstreams.below(entity_id)):
                self._sync(target.id)

    def _sync(self, target_id: str) -> None:
        """A target, or its upstream, may be another than before."""
        target = self._upstreams.targets.get(target_id)
        checked = target is not None and target.upstream_id in self._upstreams.checked
        if target is None or not checked or not target.weight:
            for address in self._addresses.of(target_id):
                self._probing.unwatch(address)
            self._addresses.forget(target_id)
            self._judgement.forget_target(target_id)
            return
        self._addresses.follow(target)
        self._watch(target, self._addresses.of(target_id))

    def _resolved(
        self, target: Target, known: frozenset[TargetAddress], addresses: tuple[TargetAddress, ...]
    ) -> None:
        for address in known.difference(addresses):
            self._probing.unwatch(address)
        self._watch(target, addresses)
        for setting in self._manual.kept(target.id):
            self._set_on(setting, [one for one in addresses if one not in known])

    def _watch(self, target: Target, addresses: tuple[TargetAddress, ...]) -> None:
        now = self._clock()
        is_active = self._active(target.upstream_id) is not None
        for address in addresses:
            if not is_active:
                self._probing.unwatch(address)
            elif address in self._probing:
                self._probing.plan(address, now)
            elif not self._probing.watch(address, now):
                self._counts["target_addresses_left_out"] += 1
        self._wake.set()

    def _active(self, upstream_id: str) -> Active | None:
        checks = self._upstreams.checked.get(upstream_id)
        return checks.active if checks is not None and checks.active.on else None

    # Changes of health

    def _changed(self, address: TargetAddress, was: bool, cause: Cause) -> None:
        """An address's state is another one; ``was``: whether it was available."""
        self._say(channel.Judged(((*address, int(self._judgement.standing(address).state)),)))
        self._probing.plan(address, self._clock())
        self._wake.set()
        available = address not in self._judgement.out
        if available == was:
            return
        checks = self._upstreams.upstreams.get(address.upstream_id)
        log.notice(
            "target",
            upstream=checks.name if checks else address.upstream_id,
            address=f"{address.host}:{address.port}",
            health="healthy" if available else "unhealthy",
            by=cause.name.lower(),
        )
        self._counts["target_changes"] += 1
        if cause in (Cause.PROBED, Cause.SERVED) or (
            # Who can delete a register but serves no traffic finds nothing out by itself.
            cause is Cause.TOLD and self._own_id() not in self._nodes
        ):
            self._manual.overridden(address.target_id, available)
        if self._probing.tells(address):
            self._tell_soon(words.Kind.PROBED, address, available)
        if cause is Cause.SERVED and not available:
            self._tell_soon(words.Kind.SERVED, address, available)

    def _hinted(self, address: TargetAddress, available: bool, now: float) -> None:
        """A node's requests have found an address unhealthy."""
        checks = self._upstreams.checked.get(address.upstream_id)
        known = self._addresses.of(address.target_id)
        if available or checks is None or address not in known or address in self._judgement.out:
            return
        self._counts["target_hints"] += 1
        self._probing.confirm(address, available, now)
        if any(checks.passive.numbers[1:]):
            self._say(channel.Doubted(*address, limits.DOUBT_SECONDS))

    def _set(self, setting: Setting) -> None:
        """It was set by hand, here or on another node."""
        known = {*self._addresses.of(setting.target_id), *self._judgement.known(setting.target_id)}
        self._set_on(setting, sorted(known))

    def _set_on(self, setting: Setting, addresses: Iterable[TargetAddress]) -> None:
        state = State.HEALTHY if setting.healthy else State.UNHEALTHY
        for address in addresses:
            if setting.host and (setting.host, setting.port) != (address.host, address.port):
                continue
            was = address not in self._judgement.out
            if self._judgement.settle(address, state):
                self._changed(address, was, Cause.SET)

    def _tell_soon(self, kind: words.Kind, address: TargetAddress, available: bool) -> None:
        if not self._news:
            asyncio.get_running_loop().call_soon(self._tell_news)
        self._news.setdefault(kind, {})[address] = available

    def _tell_news(self) -> None:
        news, self._news = self._news, {}
        for kind, said in news.items():
            self._tell_words(kind, list(said.items()))

    def _tell_words(self, kind: words.Kind, said: Sequence[tuple[TargetAddress, bool]]) -> None:
        for body in words.bodies(kind, said):
            self._counts["target_words_told"] += self._tell(body)

    # Probes

    def _look_for_members(self) -> None:
        self._looking = False
        nodes = self._look_for_nodes()
        if nodes != self._nodes:
            self._nodes = nodes
            self._wake.set()

    async def _look(self) -> None:
        """Once a second: who lives, whether the replica was loaded unheard; and words again."""
        words_at = self._clock() + limits.WORDS_SECONDS
        again: list[TargetAddress] = []
        share = 0
        while True:
            self._look_for_members()
            if not self._loaded and self._state() is not None:
                self.loaded()
            now = self._clock()
            if now >= words_at:
                words_at = now + limits.WORDS_SECONDS
                again = self._probing.words(now) if len(self._nodes) > 1 else []
                # As few packets as hold them, unless they are many: those are spread over the time.
                parts = math.ceil(limits.WORDS_SECONDS / limits.LOOK_SECONDS)
                share = max(limits.WORDS_PER_OBSERVATION_MAX, math.ceil(len(again) / parts))
            some, again = again[:share], again[share:]
            said = [(one, one not in self._judgement.out) for one in some]
            self._tell_words(
                words.Kind.PROBED, [word for word in said if self._probing.tells(word[0])]
            )
            await asyncio.sleep(limits.LOOK_SECONDS)

    async def _probe_on(self) -> None:
        while True:
            self._wake.clear()
            for address in self._probing.due(self._clock()):
                task = asyncio.get_running_loop().create_task(self._probe(address))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            wait = self._probing.next_deadline() - self._clock()
            try:
                async with asyncio.timeout(max(0.0, min(wait, limits.LOOK_SECONDS))):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _probe(self, address: TargetAddress) -> None:
        result: Result | None = None
        try:
            checks = self._upstreams.checked.get(address.upstream_id)
            target = self._upstreams.targets.get(address.target_id)
            if checks is None or target is None:
                return
            one_upstream = self._probes.get(checks.upstream_id)
            if one_upstream is None:
                one_upstream = asyncio.Semaphore(max(1, checks.active.concurrency))
                self._probes[checks.upstream_id] = one_upstream
            async with self._all_probes, one_upstream:
                self._counts["target_probes"] += 1
                result = await self._ask(address, target, checks)
            self._probed(address, result)
        finally:
            self._probing.probed(address, result, self._clock())
            self._wake.set()

    async def _ask(self, address: TargetAddress, target: Target, checks: Checks) -> Result | None:
        shown = None
        if checks.active.kind == "https":
            try:
                shown = self._certificates.of(checks.client_certificate_id)
            except NoCertificate as error:
                log.error("can't probe", upstream=checks.name, reason=str(error))
                return Result.TCP_FAILURE
        return await self._prober.probe(
            address, target.host, checks.host_header, checks.active, shown
        )

    def _probed(self, address: TargetAddress, result: Result | None) -> None:
        checks = self._upstreams.checked.get(address.upstream_id)
        if result:
            self._counts["target_probes_failed"] += 1
        if result is None or checks is None or address.target_id not in self._upstreams.targets:
            return
        was = address not in self._judgement.out
        if self._judgement.count(address, result, checks.active.limits):
            self._changed(address, was, Cause.PROBED)


COUNTERS = {
    "target_probes": "probes of targets by this node",
    "target_probes_failed": "of these, those that failed",
    "target_results": "results of requests to targets that workers told because they may count",
    "target_changes": "times that an address of a target became healthy or unhealthy",
    "target_words_told": "packets to the other nodes about targets' health",
    "target_words_heard": "words of other nodes about a target's health",
    "target_words_malformed": "packets of other nodes about targets' health that made no sense",
    "target_hints": "addresses that other nodes' requests have found unhealthy",
    "target_addresses_left_out": "addresses of targets that aren't probed: there are too many",
}
