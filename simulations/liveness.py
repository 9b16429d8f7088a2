"""Liveness: once the faults end, a random core of nodes must become one cluster in bounded time.

The rest stays as bad as it is, for ever: dead, silent, or running behind a cut (TigerBeetle's
second phase; GOSSIP 6.6).
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from gossip.events import MemberChanged
from gossip.keyring import configured
from gossip.limits import NAMESAKE_SECONDS
from gossip.profiles import Profile
from simulations.links import Link
from simulations.node import Node
from simulations.software import FIRST, LAST, NEXT
from simulations.supervisor import begin
from simulations.world import World

_STEP_SECONDS = 0.25
_ROUNDS_OF_CALLS = 2
_AGREEMENT_ROUNDS = 8
_DRAINING_PACKETS = 15
"""After so many packets of a node its piggyback queue is empty, unless something refills it."""
_WATCHES_MAX = 5
QUIET_SECONDS = 20.0
"""How long the settled core is watched."""
PACKETS_PER_PROBE = 2
"""A cluster at rest sends a ping and an ack per node and probe interval, and no more."""
ECHO_SHARE = 1.1
"""Above this share of that, something echoes."""
ECHO_SIZE_SHARE = 1.3
"""Above this share of a packet's size at rest, claims ride that nobody needs. (A heartbeat grows by
a few bytes with the numbers in it.)"""


def bound(profile: Profile, nodes: int) -> float:
    """Seconds within which a healed core of a cluster of ``nodes`` has settled.

    Two things happen side by side. The dead are found: every member is probed once in an interval,
    but at first by nodes in so bad health that they try in every ``health_score_max + 1``-th only
    and wait as long for an answer; who hears nobody, as the only one left of two does, doubts
    itself for ``doubt_max``; then the longest suspicion runs. And the core finds itself together:
    each node calls one of the failed and one silent seed per 1.5 reconnect intervals at the latest,
    or all seeds if it is alone, and is called like that; whoever is reached tells the rest. That it
    takes several rounds is the rarer the more there are to call.
    """
    health = 2 * (profile.health_score_max + 1)
    probes = (health + longest_suspicion(profile, nodes)) * profile.probe_interval
    return probes + profile.doubt_max + _ROUNDS_OF_CALLS * 1.5 * profile.reconnect_interval


def agreement_bound(profile: Profile, nodes: int) -> float:
    """Seconds within which a settled core agrees on every record.

    A member's own record that was lost on the way is asked for when its mark is heard. A verdict
    that was lost isn't told by any packet later. Push-pulls tell it: each node exchanges tables
    with another one in at most 1.25 intervals, and then both hold the greater claim. Whoever has it
    passes it on to one more in every interval at least, and whoever lacks it finds somebody who
    doesn't with growing odds; ``_AGREEMENT_ROUNDS`` are for the luck. A death that a table tells is
    a suspicion at first, a departure ends after ``leaving_timeout``, and a namesake that was cut
    off is asked again after ``NAMESAKE_SECONDS``; what leaves the listing needn't be agreed upon.
    """
    suspicion = longest_suspicion(profile, nodes) * profile.probe_interval
    rounds = _AGREEMENT_ROUNDS * 1.25 * profile.push_pull_interval
    names = NAMESAKE_SECONDS + 2 * profile.probe_timeout
    return rounds + suspicion + profile.leaving_timeout + names


def longest_suspicion(profile: Profile, nodes: int) -> float:
    """In probe intervals."""
    return profile.suspicion_mult * profile.suspicion_max_mult * max(1.0, math.log10(nodes))


class Settled:
    """Whether the core holds exactly itself for alive, and its heads are the authority's."""

    def __init__(self, world: World, core: Sequence[Node]) -> None:
        self._world = world
        self._core = core

    def __call__(self) -> bool:
        expected = sorted(node.id for node in self._core)
        head = self._world.authority.head()
        for node in self._core:
            if not node.running or node.replica.head() != head:
                return False
            running = [m for m in node.members() if m.status in ("alive", "suspect")]
            if sorted(m.id for m in running) != expected:
                return False
            if any(m.status == "suspect" for m in running):
                return False
        return True


class Agreed:
    """Whether all of the core hold the same of every node that they list (GOSSIP 6.6): of one of
    their own its generation and incarnation as it has them itself, under a name of its own. That
    somebody failed, or has left, may be news to some, who then needn't list it."""

    def __init__(self, core: Sequence[Node]) -> None:
        self._core = core

    def __call__(self) -> bool:
        held = {node.id: (node.generation, node.incarnation, "alive") for node in self._core}
        for node in self._core:
            views = node.members()
            for view in views:
                record = (view.generation, view.incarnation, view.status)
                if held.setdefault(view.id, record) != record:
                    return False
            names = [view.name for view in views if view.status == "alive"]
            if len(set(names)) < len(names):
                return False
        return True


def finish_upgrade(world: World, core: Sequence[Node]) -> None:
    """Where one of the core no longer speaks the first version, none may speak that alone."""
    if all(LAST not in (node.installed, node.software) for node in core):
        return
    for node in core:
        if node.installed is FIRST:
            node.installed = NEXT
        if node.software is not node.installed:
            node.crash()
            begin(world, node)


def heal(world: World, core: Sequence[Node]) -> None:
    """End all faults among the core. Outside it a node that runs goes on behind a cut, or not."""
    outside = [node for node in world.nodes if node not in core]
    network = world.network
    network.heal()
    network.own_links.clear()
    network.hides_refusals.clear()
    network.link = Link()
    world.outages += not world.authority.available
    world.authority.available = world.supervised = True
    inside = [node.index for node in core]
    for node in outside:
        node.retired = True
        if node.running and not node.paused and world.rng.random() < 0.3:
            network.partition(inside, [node.index])
        elif node.running:
            (node.silence if world.rng.random() < 0.5 else node.crash)()
    for node in core:
        if node.paused:
            node.resume()
        if node.running and node.left:
            node.crash()
        node.disk.fill(world.now, full=False)
        begin(world, node)
    finish_upgrade(world, core)


def agree(world: World, core: Sequence[Node]) -> float:
    """Let the settled core's tables become alike; answers how long that took. Raises
    TimeoutError."""
    begun = world.now
    within = agreement_bound(world.profile, len(world.nodes))
    agreed = Agreed(core)
    while not agreed():
        if world.now - begun > within:
            raise TimeoutError(f"tables differ {within:.0f} s after settling: {views(core)}")
        world.run(_STEP_SECONDS)
    return world.now - begun


def tell(world: World, core: Sequence[Node]) -> float:
    """Let the core tell each other what was purged and what registers are; answers how long that
    took. Raises TimeoutError.

    What was lost of it push-pulls tell, as they tell of members.
    """
    begun = world.now
    within = agreement_bound(world.profile, len(world.nodes))
    while differences := world.checks.rumors.differences(core):
        if world.now - begun > within:
            raise TimeoutError(f"untold {within:.0f} s after agreeing: {differences}")
        world.run(_STEP_SECONDS)
    return world.now - begun


def settle(world: World, core: Sequence[Node], also: float = 0.0) -> float:
    """Let the core become one; answers how long that took. Raises TimeoutError. ``also``: seconds
    beyond what membership needs."""
    begun = world.now
    within = bound(world.profile, len(world.nodes)) + also
    settled = Settled(world, core)
    while not settled():
        if world.now - begun > within:
            raise TimeoutError(f"not one cluster {within:.0f} s after healing: {views(core)}")
        world.run(_STEP_SECONDS)
    return world.now - begun


def stay(world: World, core: Sequence[Node]) -> float:
    """Watch the settled core: nothing changes any more, nothing echoes, and everybody serves the
    newest head. Answers packets per node and probe interval."""
    world.network.replays = False
    for _ in range(_WATCHES_MAX):
        # What is still in the queues, and late answers to earlier probes, has its chance.
        world.run(5 * world.profile.probe_interval)
        packets = _watch(world, core)
        if packets is not None:
            return packets
    raise AssertionError(f"no rest in a settled cluster: {views(core)}")


def _watch(world: World, core: Sequence[Node]) -> float | None:
    """One stretch of watching. None when some change came in, which is passed on and answered: the
    last word of somebody outside, or a refutation that one of the core had missed."""
    seen, sent, begun = len(world.observed), _packets(core), world.now
    world.run(QUIET_SECONDS / 2)
    sent_late, bytes_late = _packets(core), _bytes(core)
    world.run(QUIET_SECONDS / 2)
    if _changes(world, core, seen):
        return None
    assert Settled(world, core)(), f"no longer one cluster: {views(core)}"
    assert Agreed(core)(), f"no longer of one mind: {views(core)}"
    late = max(1, _packets(core) - sent_late)
    size, at_rest = (_bytes(core) - bytes_late) / late, packet_at_rest(world.keyring is not None)
    drained = (sent_late - sent) / len(core) >= _DRAINING_PACKETS
    echoes = drained and size > at_rest * ECHO_SIZE_SHARE
    assert not echoes, f"{size:.0f} bytes a packet, {at_rest:.0f} at rest: an echo"
    intervals = (world.now - begun) / world.profile.probe_interval
    packets = (_packets(core) - sent) / len(core) / intervals
    assert packets <= PACKETS_PER_PROBE * ECHO_SHARE, f"{packets:.2f} packets a probe: an echo"
    return packets


def _changes(world: World, core: Sequence[Node], seen: int) -> int:
    """How many changes the core has reported since then; none may concern its own status."""
    indices, ids = [node.index for node in core], [node.id for node in core]
    changes = 0
    for observed in world.observed[seen:]:
        event = observed.event
        if isinstance(event, MemberChanged) and observed.node in indices:
            changes += 1
            late_news = (event.previous, event.member.status) == ("alive", "alive")
            inside = event.member.id in ids
            assert late_news or not inside, f"a change in a settled cluster: {observed}"
    return changes


def views(core: Sequence[Node]) -> str:
    """What each node of the core holds of all, one letter per member (capitals for the core)."""
    ids = {node.id: None for node in core}
    lines = []
    for node in core:
        letters = [
            (
                member.name,
                (member.status[:2].upper() if member.id in ids else member.status[:2])
                + f"@{member.generation}.{member.incarnation}",
            )
            for member in node.members()
        ]
        head = node.replica.head()[0][2]
        lines.append(f"{node.index}@{head}:" + ",".join(f"{n[5:]}={s}" for n, s in sorted(letters)))
    return " ".join(lines)


@lru_cache
def packet_at_rest(sealed: bool) -> float:
    """The mean size of a packet in a cluster in which nothing ever happened."""
    world = World(2, seed=1, keyring=configured(bytes(32)) if sealed else None)
    world.form()
    world.run(30.0)
    sent, size = _packets(world.nodes), _bytes(world.nodes)
    world.run(30.0)
    return (_bytes(world.nodes) - size) / (_packets(world.nodes) - sent)


def _bytes(core: Sequence[Node]) -> int:
    return sum(node.core.counters["datagram_bytes_out"] for node in core)


def _packets(core: Sequence[Node]) -> int:
    return sum(node.core.counters["datagrams_out"] for node in core)
