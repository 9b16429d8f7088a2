"""The node's part in the cluster: one object, no I/O, no clock (DESIGN 2, sans-IO decisions).

Inputs are method calls with the time as an argument; what is to be done comes out of ``effects()``;
``next_deadline()`` says when ``advance`` must be called if nothing else happens before. This file
assembles the parts; ``router`` sends each message to the one it concerns.
"""

import math
import random
from collections.abc import Iterable, Sequence

from gossip.address import Address, check_advertised
from gossip.allegiance import Allegiance
from gossip.beside import Beside
from gossip.claims import Claims
from gossip.contest import Contests
from gossip.counters import Counters
from gossip.departure import Departure
from gossip.detection import Detection
from gossip.dissemination import Dissemination
from gossip.doubt import Doubt
from gossip.effects import Effect
from gossip.fence import Fences
from gossip.fence_questions import Answer
from gossip.health import Health
from gossip.history import HistoryInquiry
from gossip.identity import Identity, check_identity
from gossip.invalidation import Invalidation
from gossip.keyring import Keyring
from gossip.limits import COUNTER_MAX
from gossip.member import Member, MemberView, Metadata, Status, check_metadata, view
from gossip.members import Members
from gossip.messages.history import Stance
from gossip.messages.membership import Alive, Verdict
from gossip.messages.purges import Purge
from gossip.messages.registers import Register
from gossip.observations import Observations
from gossip.outbox import Origin, Outbox
from gossip.own_record import OwnRecord
from gossip.probe import Prober
from gossip.profiles import Profile
from gossip.purges import Purges
from gossip.pushpull import TableExchange
from gossip.reader import Reader
from gossip.refusal import Refusals, TcpOutcome, UdpOutcome
from gossip.registers import Registers
from gossip.relaying import Relaying
from gossip.replica import Changeset, Head, Replica, Version
from gossip.rotation import Rotation
from gossip.router import Router
from gossip.sessions import Sessions
from gossip.strays import Strays
from gossip.streams import Stream, Streams
from gossip.transfer import Transfer
from gossip.tree import Tree
from gossip.updates import Updates
from gossip.watch import Watches
from gossip.wire import (
    SPOKEN,
    Versions,
    check_cluster_name,
    check_versions,
    cluster_binding,
    cluster_digest,
)


class Gossip:
    """One process of one node in one cluster.

    ``address`` is what others are told to send to. ``rng`` decides whom to probe and when; seed it
    from the system's entropy in production (it also draws salts and nonces). With a ``keyring``
    nothing in clear is sent or read, without one nothing sealed. ``authority_access`` says whether
    this node can confirm its head at the authority. ``versions`` is what the software around this
    core speaks, told in every envelope; packets of none of these are dropped.

    Raises ValueError for an identity, metadata or address that others couldn't accept.
    """

    def __init__(
        self,
        identity: Identity,
        metadata: Metadata,
        address: Address,
        cluster_name: str,
        profile: Profile,
        replica: Replica,
        rng: random.Random,
        now: float,
        incarnation: int = 1,
        authority_access: bool = True,
        keyring: Keyring | None = None,
        versions: Versions = SPOKEN,
    ) -> None:
        check_identity(identity)
        check_metadata(metadata)
        check_advertised(address)
        check_cluster_name(cluster_name)
        check_versions(versions)
        me = Member(
            *identity[:1], identity.generation, identity.tag, incarnation,
            Status.ALIVE, address, metadata, now,
        )  # fmt: skip
        cluster = cluster_digest(cluster_name)
        self.counters = Counters()
        self._sessions = None
        if keyring is not None:
            binding = cluster_binding(cluster_name)
            self._sessions = Sessions(
                keyring, me.wire, cluster, binding, rng, self.counters, now, versions
            )  # fmt: skip
        self._profile = profile
        self._authority_access = authority_access
        self._me = me
        self._members = Members(me, profile)
        updates = Updates(profile.retransmit_mult)
        self._outbox = Outbox(
            self._members, updates, self.counters, cluster, self._sessions, versions
        )
        self._reader = Reader(
            me.wire, cluster, self._sessions, self._outbox, self.counters, versions
        )
        self._rotation = Rotation(self._sessions, self._members, self._outbox, self.counters)
        self._streams = Streams(self._outbox, profile, self.counters)
        self._health = Health(profile.health_score_max)
        self._tree = Tree(self._members, self._outbox, rng, self.counters)
        self._dissemination = Dissemination(
            replica, self._members, self._streams, self._outbox, self._tree, profile, rng,
            self.counters, self._rotation,
        )  # fmt: skip
        self._relaying = Relaying(
            self._members, self._outbox, profile, self.counters,
            lambda: self._dissemination.head().version,
        )  # fmt: skip
        self._transfer = Transfer(
            replica, self._members, self._streams, self._outbox, profile, rng, self.counters,
            self._dissemination.installed,
        )  # fmt: skip
        self._history = HistoryInquiry(self._members, self._outbox, rng, self.counters)
        heartbeat = self._dissemination.heartbeat
        prober = Prober(
            self._members, self._streams, self._outbox, self._health, profile, rng,
            self.counters, heartbeat,
        )  # fmt: skip
        self._purges = Purges(
            self._members, self._tree, self._outbox, profile, rng, self.counters,
            lambda: replica.head()[0], now,
        )  # fmt: skip
        self._registers = Registers(
            identity, self._members, self._tree, self._outbox, rng, self.counters
        )
        self._observations = Observations(self._tree, self._outbox, self.counters, now)
        self._exchange = TableExchange(
            self._members, self._streams, self._outbox, profile, rng, self.counters, heartbeat,
            Beside(self._purges, self._registers),
        )  # fmt: skip
        self._own = OwnRecord(self._members, updates, self._outbox, profile, rng)
        self._allegiance = Allegiance(self._members, self._own, self._outbox, self.counters)
        self._contests = Contests(
            self._members, self._own, self._streams, self._outbox, profile, rng, self.counters
        )
        self._strays = Strays(self._members, self._own, self._contests, self._outbox)
        self._departure = Departure(self._members, self._own, profile)
        self._claims = Claims(
            self._members, self._own, self._allegiance, self._contests, updates, self._outbox,
            self._health, profile, rng, self.counters,
        )  # fmt: skip
        self._detection = Detection(
            self._members,
            self._outbox,
            self._claims,
            prober,
            Refusals(
                self._members, self._outbox, profile, rng, self.counters,
                prober.take_sequence, prober.ping,
            ),
            Watches(self._members, self._streams, self._outbox, rng, self.counters),
            Doubt(profile, self.counters),
        )  # fmt: skip
        self._fences = Fences(
            self._members, self._tree, self._outbox, profile, self.counters, heartbeat
        )
        self._router = Router(
            self._members, self._own, self._allegiance, self._claims, self._contests,
            self._detection, self._exchange, self._dissemination,
            self._relaying, self._rotation, self._transfer, self._history, self._fences,
            self._purges, self._registers, self._observations, self._outbox, self.counters,
        )  # fmt: skip

    def start(self, now: float) -> None:
        """Begin to probe, and to look for the others."""
        self._own.introduce()
        self._detection.start(now)
        self._exchange.start(now)

    def seeds_resolved(self, addresses: Iterable[Address], now: float) -> None:
        """What the seeds' names lead to; asked for by the effect ResolveSeeds."""
        if self._running():
            self._exchange.seeds_resolved(addresses, now)

    def join(self, addresses: Iterable[Address], now: float) -> None:
        """Look for members at these addresses, now and whenever nobody runs there."""
        if self._running():
            self._exchange.join(list(addresses), now)

    def acquaint(self, claims: Iterable[Alive], now: float) -> None:
        """Begin among members that are known already: nothing is spread and no event told, as if
        their claims had come long ago."""
        if self._running():
            for claim in claims:
                if claim.node_id != self._me.node_id:
                    self._members.admit_alive(claim, now)

    def committed(self, now: float, early: Sequence[Changeset] = ()) -> None:
        """Changesets committed by this node have just been offered to the replica: push them.

        ``early`` are those of them that the replica answered ``early`` for, because another node's
        commit before them hasn't arrived yet. They are pushed all the same, and offered again (with
        the event ChangesetApplied, hops 0) when their predecessor is here.
        """
        if not self._own.ended:
            self._dissemination.committed(now, early)

    def authority_confirmed(self, head: Head, now: float, readers: Iterable[str] = ()) -> None:
        """This node has just read its head at the authority, or committed it there.

        Raises ValueError on a node without authority access. A head above the replica's is fine:
        the application is loading it. What it has loaded from there isn't pushed by ``committed``,
        but all members are told of the head at once: whoever lacks it asks a member, and not the
        authority, for it. Where nothing was new, ``readers`` alone are told, by node id: they would
        read it next, and probes take longer to reach them the more members there are.
        """
        if not self._authority_access:
            raise ValueError(f"version {head.version} confirmed by a node without authority access")
        is_new = self._dissemination.confirmed(now)
        if not self._running():
            return
        heartbeat = self._dissemination.heartbeat(now)
        if is_new:
            self._tree.spread([heartbeat], now)
        elif told := frozenset(readers):
            members = [each for each in self._members.reachable() if each.node_id in told]
            self._outbox.broadcast(members, [heartbeat])

    def state_confirmed(self) -> None:
        """What the replica holds now was compared with the authority's state, or is that."""
        self._transfer.forget()
        self._dissemination.comparison.damage.confirm(self._dissemination.head().version)

    def confirmation_age(self, now: float) -> float:
        """Seconds since any member is known to have compared its head with the authority's."""
        age = self._dissemination.confirmation.age(now)
        return math.inf if age is None else age

    def write_pause(self, now: float) -> float:
        """Seconds that a writer on this node should wait before its next commit, so that the others
        keep up: nearly always 0, at most ``limits.WRITE_PAUSE_SECONDS_MAX``."""
        return self._dissemination.write_pause(now)

    def fetch_snapshot(self, now: float, *, damaged: bool = False) -> bool:
        """Bring the replica to a peer's state, unless that is under way already: by what differs,
        or where that is much by the whole.

        For when peers' logs don't lead there (``Behind``) and, with ``damaged``, for when what is
        held isn't what it should be: then a peer of the same version will do, and everything is
        replaced, though nothing goes back. False when no peer that can be asked holds such a head;
        else SnapshotInstalled or SnapshotFailed tells the outcome.
        """
        return self._running() and self._transfer.begin(now, damaged=damaged)

    def purge(self, what: Invalidation, now: float) -> Purge:
        """Have every cache of the cluster forget something; ``Purged`` tells of it here, too.

        Raises ``gossip.purges.TooManyPurges``; ValueError for what can't be purged from here, and
        on a node that takes no part any more.
        """
        if self._own.ended:
            raise ValueError("this node takes no part in the cluster any more")
        return self._purges.originate(what, now)

    def set_register(
        self, name: str, value: str | None, now: float, seconds: float | None = None
    ) -> Register:
        """Set a register everywhere, for good or for so many seconds; None deletes it.
        ``RegisterChanged`` tells of it here, too. Raises ValueError for what can't be set, and on a
        node that takes no part any more."""
        if self._own.ended:
            raise ValueError("this node takes no part in the cluster any more")
        return self._registers.set(name, value, seconds, now)

    def registers(self, now: float) -> list[Register]:
        """All registers that have a value, by name."""
        return self._registers.live(now)

    def kept_registers(self, now: float) -> list[Register]:
        """What must be kept across restarts, deleted registers included."""
        return self._registers.kept(now)

    def recall_registers(self, kept: Iterable[Register], now: float) -> None:
        """What ``kept_registers`` gave before a restart."""
        self._registers.recall(kept, now)

    def tell_observation(self, body: bytes, now: float) -> bool:
        """Tell every member what this node has observed, once and without any assurance;
        ``Observed`` tells it there. False when that was too often lately, or this node takes no
        part.

        Raises ValueError for what is empty or above ``limits.OBSERVATION_BYTES_MAX``.
        """
        return self._running() and self._observations.tell(body, now)

    def ask_history(self, at_least: Version, mine: Stance, now: float) -> list[str]:
        """Tell some members that serve at least this version how this node's authority stands, and
        ask them for the same; their node ids. Each answers by HistoryAnswered, or not, within
        ``limits.HISTORY_SECONDS``."""
        return self._history.ask(at_least, mine, now) if self._running() else []

    def answer_history(self, asker: str, sequence: int, mine: Stance | None) -> None:
        """What was found for HistoryAsked; None when this node's authority can't be read."""
        if self._running():
            self._history.answer(asker, sequence, mine)

    def fence(self, version: Version, seconds: float, now: float) -> int:
        """Find out who has this version: the event FenceEnded with the number answered tells it, as
        soon as all have, and after ``seconds`` (above 0, at most ``limits.FENCE_SECONDS_MAX``).

        Raises ValueError for other seconds, and on a node that takes no part any more, and
        TooManyFences.
        """
        if self._own.ended:
            raise ValueError("this node takes no part in the cluster any more")
        return self._fences.begin(version, seconds, now)

    def fence_answered(self, token: int, answer: Answer, now: float) -> None:
        """This node's answer to the event FenceAsked."""
        if not self._own.ended:
            self._fences.answered(token, answer)

    @property
    def keyring(self) -> Keyring | None:
        """The keyring in use; None in clear."""
        return None if self._sessions is None else self._sessions.keyring

    def offer_keyring(self, keyring: Keyring, now: float) -> bool:
        """Adopt a keyring if it is newer than the one held, and send it to all members.

        False, and nothing is done, when it isn't newer, or this node talks in clear.
        """
        return not self._own.ended and self._rotation.offer(keyring, now)

    def members(self, now: float) -> list[MemberView]:
        """All listed members, this node first; only that once it has no part any more."""
        me = view(self._me, is_self=True)._replace(
            serving=self._dissemination.head().version, keyring=self._rotation.mark[0]
        )
        if self._own.ended:
            return [me]
        listed = self._members.listed()
        return [me if m is self._me else view(m, is_self=False, now=now) for m in listed]

    def member(self, node_id: str, now: float) -> MemberView | None:
        """One of ``members()``; None when it isn't listed there."""
        found = self._members.get(node_id)
        if found is None or found is self._me or self._own.ended:
            return next((one for one in self.members(now) if one.id == node_id), None)
        return view(found, is_self=False, now=now)

    def size(self) -> int:
        """How many members count as running, this node included: n of the protocol's formulas."""
        return self._members.running()

    def readvertise(self, address: Address, now: float) -> None:
        """Others are to send to this address from now on.

        Raises ValueError for one that they couldn't send to.
        """
        check_advertised(address)
        if self._running() and address != self._me.address:
            self._own.move(address)

    def force_leave(self, node_id: str, now: float) -> int:
        """Make a member leave: its process can't object, and only a later life brings the node
        back. Answers the generation up to which it is gone.

        Raises KeyError when none of that id is listed and ValueError for this node's own.
        """
        if node_id == self._me.node_id:
            raise ValueError("a node can't force itself out; it can leave")
        member = self._members.get(node_id)
        if member is None:
            raise KeyError(node_id)
        self.removed(node_id, member.generation, now)
        return member.generation

    def removed(self, node_id: str, generation: int, now: float) -> None:
        """The authority says that this node was forced out, up to this generation."""
        if self._running():
            verdict = Verdict(
                node_id, generation, COUNTER_MAX, Status.LEFT, accuser=self._me.node_id
            )
            self._claims.force_out(verdict, now)

    def follow(self, authority: str, now: float) -> None:
        """The replica is a copy of this authority: nodes of others are no members here.

        Until this is known, that of the first peer that tells one is followed (AuthorityAdopted).
        Raises ValueError for an id that is longer than it may be.
        """
        check_metadata(self._me.metadata._replace(authority=authority))
        if self._running():
            self._allegiance.follow(authority, now)

    def health_score(self) -> int:
        """This node's own health, from 0 (well) to ``health_score_max`` (``gossip.health``)."""
        return self._health.score

    def leave(self, now: float) -> None:
        """Tell everyone that this node goes; the event LeaveFinished says when it may."""
        if self._me.status is not Status.ALIVE:
            return
        self._detection.stop()
        self._exchange.stop()
        self._contests.stop()
        self._departure.begin(now)

    def datagram_received(self, data: bytes, source: Address, now: float) -> None:
        """A UDP packet has arrived. Whatever it is, this doesn't raise."""
        self.counters.add("datagrams_in")
        self.counters.add("datagram_bytes_in", len(data))
        if self._own.ended:
            self.counters.add("dropped_finished")
            return
        read = self._reader.packet(data, source, now)
        if read is not None:
            origin = Origin(read.sender, source, None, len(data))
            if read.stray:
                self._strays.received(read.stray, read.sender, now)
            elif read.parts is not None:
                self._router.received(read.parts, origin, now)
        self._outbox.settle()

    def stream_accepted(self, stream: int, source: Address, now: float) -> None:
        """Another node has connected; ``stream`` is an odd number, unused by open streams."""
        self._streams.accept(stream, source, now)

    def frame_received(self, stream: int, frame: bytes, now: float) -> None:
        """A whole frame has arrived on a stream. Whatever it is, this doesn't raise."""
        self.counters.add("frames_in")
        known = self._streams.get(stream)
        if known is None or self._own.ended:
            self.counters.add("dropped_stream" if known is None else "dropped_finished")
            return
        read = self._reader.frame(frame, stream, now, accepted=stream % 2 == 1)
        if read is None or read.stray:
            # Nothing that follows would make sense.
            self._abandon(known, now)
            self._streams.finish(stream)
            return
        if read.parts is None:
            return
        self._router.received(
            read.parts, Origin(read.sender, known.address, stream, len(frame)), now
        )
        if read.sender == self._me.wire:
            # Said is said: two processes of one node have no tables to exchange.
            self._streams.finish(stream)
            return
        if known.purpose == "accepted":
            self._streams.renew(known, now)
        elif known.purpose == "pull":
            self._dissemination.pull_answered(known, now)
        elif known.purpose in ("probe", "contest"):
            self._streams.finish(stream)

    def stream_closed(self, stream: int, now: float, refused: bool = False) -> None:
        """A stream has ended, or could not be opened.

        ``refused`` says that the other side's machine answers and the process may be gone: the
        connect was refused, the connection was reset, or a stream that stands has ended.
        """
        known = self._streams.closed(stream)
        self._outbox.stream_gone(stream)
        if known is not None and not self._own.ended:
            self._abandon(known, now, refused)

    def stands(self, stream: int) -> bool:
        """Whether a stream stays open without a deadline and without being read from: its end is
        what both sides wait for."""
        known = self._streams.get(stream)
        return known is not None and known.stood_since is not None

    def knocked(self, knock: int, udp: UdpOutcome, tcp: TcpOutcome, now: float) -> None:
        """What came of the effect Knock."""
        if not self._own.ended:
            self._detection.knocked(knock, udp, tcp, now)

    def advance(self, now: float) -> None:
        """Do what is due. To be called at ``next_deadline()``, and allowed at any time."""
        if self._own.ended:
            return
        if self._sessions is not None:
            self._sessions.now = now
        self._notice_stall(now)
        for stream in self._streams.expire(now):
            self._abandon(stream, now)
        self._detection.advance(now)
        self._claims.advance(now)
        self._exchange.advance(now)
        self._dissemination.advance(now)
        self._relaying.release(now)
        self._purges.advance(now)
        self._registers.advance(now)
        self._transfer.advance(now)
        self._history.advance(now)
        self._contests.advance(now)
        self._fences.advance(now)
        self._departure.advance(now)

    def next_deadline(self) -> float | None:
        """When ``advance`` must be called at the latest; None when never."""
        if self._own.ended:
            return None
        deadlines = (
            self._streams.next_deadline(),
            self._detection.next_deadline(),
            self._members.next_sweep(),
            self._exchange.next_deadline(),
            self._dissemination.next_deadline(),
            self._purges.next_deadline(),
            self._registers.next_deadline(),
            self._transfer.next_deadline(),
            self._history.deadline,
            self._contests.next_deadline(),
            self._fences.next_deadline(),
            self._departure.next_deadline(),
        )
        # Asked for after every packet.
        return min([deadline for deadline in deadlines if deadline is not None], default=None)

    def effects(self) -> list[Effect]:
        """What is to be done, oldest first; each is given once."""
        self._purges.moved()
        if self._own.ended:
            self._fences.stop()
        return self._outbox.drain()

    def _running(self) -> bool:
        return self._me.status is Status.ALIVE

    def _abandon(self, stream: Stream, now: float, refused: bool = False) -> None:
        """A stream ended before it had served its purpose."""
        if stream.id % 2 == 0 and stream.stood_since is None:
            self.counters.add("streams_failed")
        self._detection.stream_ended(stream, refused, now)
        if stream.purpose == "pull":
            self._dissemination.pull_ended(now)
        self._transfer.ended(stream, now)

    def _notice_stall(self, now: float) -> None:
        """A process that was stopped finds all its timers due, and its answers unread: it judges
        nobody for that, and doubts itself a little (DESIGN 6)."""
        due = self.next_deadline()
        if due is None or now - due <= self._profile.probe_timeout:
            return
        self.counters.add("stalls")
        self._health.add(1)
        self._detection.grant_time(now - due)
        self._contests.grant_time(now - due)
