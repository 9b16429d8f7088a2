"""How changesets reach this replica, and how it notices that one didn't (DESIGN 4 and 5).

A commit is pushed straight to everybody at once, so one hop of latency is the rule. Everything else
here is for the packet that was lost: heads ride on every probe, ack and push; a head above ours
with nothing on the way is asked for; and when peers' logs don't lead there, the application is told
to load the whole state, from the authority or a peer.
"""

import math
import random
from collections.abc import Sequence

from gossip import limits
from gossip.announcements import Announcements
from gossip.burst import Burst
from gossip.comparison import Comparison
from gossip.confirmation import Confirmation
from gossip.counters import Counters
from gossip.early import Arrival, EarlyBuffer, Lineage
from gossip.events import Behind, ChangesetApplied, EpochHeard
from gossip.identity import wire_id
from gossip.member import Member, record_mark
from gossip.members import Members
from gossip.messages.changes import Announce, Distant, Heartbeat, Missing, Pull, Push, Request
from gossip.messages.spreading import Holds
from gossip.outbox import Origin, Outbox
from gossip.pace import Pace
from gossip.profiles import Profile
from gossip.repair import Ask, GiveUp, Repair
from gossip.replica import GENESIS, Changeset, Head, Replica, Verdict, Version
from gossip.rotation import Rotation
from gossip.streams import Stream, Streams
from gossip.supply import Supply, is_distant
from gossip.tree import Tree

_PUSH_BYTES = 256
"""More than what a packet holds beside a changeset's body."""


class Dissemination:
    """The replica's side of the conversation."""

    def __init__(
        self,
        replica: Replica,
        members: Members,
        streams: Streams,
        outbox: Outbox,
        tree: Tree,
        profile: Profile,
        rng: random.Random,
        counters: Counters,
        rotation: Rotation,
    ) -> None:
        self._rotation = rotation
        self._replica = replica
        self._members = members
        self._streams = streams
        self._outbox = outbox
        self._profile = profile
        self._counters = counters
        self.confirmation = Confirmation()
        self._early = EarlyBuffer()
        self._lineage = Lineage()
        self._repair = Repair(profile, rng)
        self._announcements = Announcements(members, outbox, profile, rng, counters)
        self._burst = Burst()
        self._pace = Pace(members, counters)
        self._supply = Supply(replica, outbox, tree, self._early, self._lineage, counters)
        self._pushed = self.head()
        self._pulled_from: Head | None = None
        """Our head when the pull under way last asked."""
        self._poison: Version = GENESIS
        """The version that couldn't be applied here."""
        self.comparison = Comparison(replica, members, outbox, profile, rng, counters)
        self._answered: Stream | None = None
        """The stream of a pull whose answer is still being applied."""
        self._applying = (-math.inf, 0)
        """The call (its time) that last applied changesets, and how many."""
        self._slice_at: float | None = None
        """When the early buffer's next changesets, which fit, are to be applied."""
        self._epoch_told = (0, 0)

    def head(self) -> Head:
        """What the replica serves."""
        return Head(*self._replica.head())

    def heartbeat(self, now: float) -> Heartbeat:
        record = record_mark(self._members.me)
        head, age = self.head(), self.confirmation.age(now)
        check = self.comparison.check(head.version)
        assert check is not None, "what is held is remembered"
        return Heartbeat(head.version, check, age, *self._rotation.mark, record)

    def committed(self, now: float, early: Sequence[Changeset]) -> None:
        """Push what this node committed: what the replica applied since the last push, and
        ``early`` ones that it couldn't apply yet. Those of a burst share packets (``burst``)."""
        fresh = self._supply.since(self._pushed)
        if fresh is None or len(fresh) > limits.PUSHES_MAX:
            self._supply.announce(self.head(), self.heartbeat(now), now)
        else:
            own = [*fresh, *early]
            for changeset in own:
                self._lineage.record(changeset.version, now, hops=0)
            self._burst.add(own, now)
            self._push(now)
        me = self._members.me.node_id
        for changeset in early:
            self._offer(Arrival(changeset, now, 0.0, 0, me), now)
        self._moved(now)

    def pushed(self, message: Push, sender: Member, now: float) -> None:
        """A changeset arrived."""
        delay = None
        if message.residence is not None:
            rtt = self._members.typical_rtt if sender.rtt is None else sender.rtt
            delay = message.residence + (rtt or 0.0) / 2
        hops = 0 if delay is None else message.hops + 1
        self._offer(Arrival(message.changeset, now, delay, hops, sender.node_id), now)

    def heard(self, message: Heartbeat, sender: Member, now: float) -> None:
        """A member's head and how fresh the cluster's knowledge is."""
        slack = self._profile.probe_timeout if sender.rtt is None else sender.rtt
        if message.version >= self.head().version:
            # Who holds less has confirmed less. An authority that has lost commits would go on
            # putting those off who could prove it.
            self.confirmation.heard(message.confirmation_age, slack, now)
        self._saw(message.version, sender, now)
        if message.version > self.head().version:
            self._repair.behind(message.version, sender.node_id, now)
            self._heard_epoch(message.version)
        else:
            self.comparison.heard(message, sender, now)

    def told(self, message: Holds, sender: Member, now: float) -> None:
        """A member has something new: what of it is missing here is asked for, with patience."""
        self._counters.add("news_heard")
        self._saw(message.serving, sender, now)
        mine = self.head().version
        shown = [(run.epoch, run.tag, run.last) for run in message.waiting]
        lacking = [version for version in shown if version not in self._early]
        highest = max([message.serving, *lacking])
        if highest > mine:
            self._counters.add("news_missing")
            self._repair.told(highest, sender.node_id, now)

    def announced(self, message: Announce, sender: Member, now: float) -> None:
        """A member holds what doesn't fit a packet."""
        version = message.head.version
        self._saw(version, sender, now)
        if version > self.head().version:
            self._repair.announced(version, sender.node_id, now)

    def missing(self, message: Missing, sender: Member, now: float) -> None:
        """A member can't repair us from the head we asked for."""
        if message.after == self.head():
            self._repair.refused(sender.node_id, "log", now)

    def sent_away(self, message: Distant, sender: Member, now: float) -> None:
        """A member says that we lack too much. Its word alone doesn't have a state loaded: others
        must have shown such a head."""
        if message.after != self.head():
            return
        wanted = self._repair.wanted
        if wanted is None or not is_distant(self.head(), Head(wanted, b"")):
            self._repair.refused(sender.node_id, "silent", now)
            return
        self._counters.add("repairs_sent_away")
        self._repair.refused(sender.node_id, "distant", now)

    def write_pause(self, now: float) -> float:
        """Seconds that a writer here should wait."""
        return self._pace.pause(now)

    def requested(self, asker: Member, message: Request, now: float) -> None:
        """A member asks by packet for what follows its head."""
        self._supply.requested(asker, message, self.head(), self.heartbeat(now), now)

    def pulled(self, origin: Origin, message: Pull, now: float) -> None:
        """A member asks by stream for what follows its head."""
        self._supply.pulled(origin, message, self.heartbeat(now), now)

    def pull_answered(self, stream: Stream, now: float) -> None:
        """A whole answer has come on the stream of a pull: ask on, or be done."""
        if self._slice_at is not None:
            self._answered = stream
            return
        peer = self._members.get(stream.peer)
        mine = self.head()
        more = peer is not None and peer.serving is not None and peer.serving > mine.version
        if more and mine != self._pulled_from:
            self._pulled_from = mine
            stream.deadline = now + self._profile.stream_timeout
            self._outbox.send_frame(
                stream.id, wire_id(stream.peer), [Pull(mine), self.heartbeat(now)]
            )
            return
        self._streams.finish(stream.id)
        self._repair.stream_ended(now)

    def pull_ended(self, now: float) -> None:
        """The stream of a pull closed without an answer, or ran out of time."""
        self._answered = None
        self._repair.stream_ended(now)

    def advance(self, now: float) -> None:
        """Ask for what is missing, when it is time to."""
        self.comparison.damage.advance(now)
        self._push(now)
        if self._slice_at is not None:
            self._applying = (now, 0)
            self._moved(now)
            if self._slice_at is None and self._answered is not None:
                stream, self._answered = self._answered, None
                self.pull_answered(stream, now)
        self._announcements.tell(self.head().version, self._early, now)
        if self._slice_at is not None:
            return  # what is asked for may be in the next slice
        decision = self._repair.decide(
            self.head(), self._members.reachable(), now, self._members.typical_rtt
        )
        if isinstance(decision, Ask):
            self._ask(decision, now)
        elif isinstance(decision, GiveUp):
            self._counters.add("behind")
            poison = decision.reason == "poison"
            version = self._poison if poison else decision.version
            self._outbox.notify(Behind(version, decision.reason))

    def next_deadline(self) -> float | None:
        deadlines = (
            self._repair.deadline,
            self._announcements.deadline,
            self._burst.deadline,
            self._slice_at,
            self.comparison.damage.next_deadline(),
        )
        return min([deadline for deadline in deadlines if deadline is not None], default=None)

    def _ask(self, ask: Ask, now: float) -> None:
        peer = self._members.get(ask.peer)
        if peer is None:
            return
        mine = self.head()
        if not ask.by_stream:
            self._counters.add("repairs_requested")
            self._outbox.send(peer, [Request(mine), self.heartbeat(now)])
            return
        self._counters.add("pulls")
        self._pulled_from = mine
        frame = self._outbox.frame(peer.wire, [Pull(mine), self.heartbeat(now)])
        if self._streams.open("pull", peer.address, peer.node_id, frame, now) is None:
            self._repair.stream_ended(now)

    def _push(self, now: float) -> None:
        """Push what this node committed, if it is time to."""
        own = self._burst.take(now)
        if own:
            self._counters.add("pushes", len(own))
            if self._members.reachable():
                self._supply.push(own, self.heartbeat(now), now)

    def _offer(self, arrival: Arrival, now: float) -> None:
        changeset = arrival.changeset
        full = self._slice_at is not None or self._has_applied_enough(now)
        if full and changeset.version > self.head().version:
            self._keep(arrival, now)
            if self._slice_at is None:
                self._slice_at = now
            return
        verdict = self._replica.offer(*changeset)
        if verdict == "applied":
            self._applied(arrival, now)
            self._moved(now)
        elif verdict == "preparing":
            self._prepare(arrival, now)
        elif verdict == "known":
            self._counters.add("changesets_known")
        elif verdict == "early":
            self._counters.add("changesets_early")
            self._keep(arrival, now)
        elif verdict == "unconfirmed":
            self._counters.add("epochs_unconfirmed")
            self._heard_epoch(changeset.version)
        else:
            self._refused(arrival, verdict, now)

    def _refused(self, arrival: Arrival, verdict: Verdict, now: float) -> None:
        """The replica doesn't take it, and won't."""
        self._counters.add(f"changesets_{verdict}")
        version = arrival.changeset.version
        if verdict == "poison":
            self._poison = version
        reason = verdict if verdict in ("forked", "poison") else "silent"
        self._repair.behind(version, arrival.sender, now)
        self._repair.refused(arrival.sender, reason, now)

    def _applied(self, arrival: Arrival, now: float) -> None:
        version = arrival.changeset.version
        delay = None if arrival.delay is None else arrival.delay + now - arrival.at
        if delay is not None:
            self._lineage.record(version, now - delay, arrival.hops)
        self._counters.add("changesets_applied")
        call, count = self._applying
        self._applying = (now, count + 1) if call == now else (now, 1)
        if arrival.sender != self._members.me.node_id:
            self._announcements.learned(arrival.sender, now)
        self._outbox.notify(ChangesetApplied(arrival.changeset, delay, arrival.hops))

    def _prepare(self, arrival: Arrival, now: float) -> None:
        """The replica goes on with it soon; what comes meanwhile waits."""
        begins = self._early.preparing is not arrival
        if begins and arrival.sender != self._members.me.node_id:
            self._announcements.learned(arrival.sender, now)
        self._early.preparing = arrival
        self._slice_at = now + limits.WORK_PAUSE

    def _keep(self, arrival: Arrival, now: float) -> None:
        if arrival.sender != self._members.me.node_id:
            self._announcements.learned(arrival.sender, now)
        self._counters.add("changesets_early_dropped", self._early.add(arrival))
        if arrival.delay is not None:
            self._lineage.record(
                arrival.changeset.version, arrival.at - arrival.delay, arrival.hops
            )
        self._repair.behind(arrival.changeset.version, arrival.sender, now)

    def confirmed(self, now: float) -> bool:
        """The authority was read; whether that has brought the replica something new."""
        self.confirmation.confirmed(now)
        brought = self.head() != self._pushed
        if brought:  # else a rest of the repair would end with every reading
            self._moved(now)
        return brought

    def installed(self, now: float) -> None:
        """The replica was replaced, or mended."""
        self.comparison.damage.renewed()
        self._moved(now)

    def _moved(self, now: float) -> None:
        """Our head may have moved: what waited for it goes in."""
        self._take_early(now)
        # What others committed isn't ours to push.
        self._pushed = self.head()
        if self._early.preparing is None:
            self._repair.progressed(self._pushed, now)

    def _take_early(self, now: float) -> None:
        self._slice_at = None
        while self._early:
            if self._has_applied_enough(now):
                if self._early.follows(self.head().digest):
                    self._slice_at = now
                break
            arrival = self._early.take(*self.head())
            if arrival is None:
                break
            verdict = self._replica.offer(*arrival.changeset)
            if verdict == "preparing":
                self._prepare(arrival, now)
                break
            self._early.preparing = None
            if verdict == "known":  # it was offered by others, too
                continue
            if verdict == "unconfirmed":
                break
            if verdict != "applied":
                self._refused(arrival, verdict, now)
                break
            self._applied(arrival, now)
            own = arrival.sender == self._members.me.node_id
            if own and len(arrival.changeset.body) > limits.SPREAD_BYTES_MAX - _PUSH_BYTES:
                # Announced before we could serve it: whoever asked in vain asks again.
                self._supply.announce(self.head(), self.heartbeat(now), now)

    def _has_applied_enough(self, now: float) -> bool:
        """Whether one call has held the event loop for long."""
        call, count = self._applying
        return call == now and count >= limits.APPLIED_AT_ONCE_MAX

    def _heard_epoch(self, version: Version) -> None:
        """Of several (two that raised at once) each is told, once while no other is heard of."""
        mine = self.head().version
        if mine[0] and version[0] > mine[0] and version[:2] != self._epoch_told:
            self._epoch_told = version[:2]
            self._outbox.notify(EpochHeard(version))

    def _saw(self, version: Version, sender: Member, now: float) -> None:
        """Packets overtake each other, versions only rise."""
        if sender.serving is None or version >= sender.serving:
            sender.serving = version
            self._pace.heard(sender.node_id, version, self.head().version, now)
