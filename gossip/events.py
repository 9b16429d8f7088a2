"""What the core tells the application."""

from typing import Literal, NamedTuple

from gossip.address import Address
from gossip.invalidation import Invalidation
from gossip.keyring import Keyring
from gossip.member import MemberView
from gossip.messages.history import Stance
from gossip.replica import Changeset, Head, Version


class MemberChanged(NamedTuple):
    """A member appeared, or its status or record changed."""

    member: MemberView
    previous: str | None
    """Its status before; None for one that wasn't known (or had left the listing)."""


class MemberForgotten(NamedTuple):
    """A member is no longer listed: it had failed or left, or follows another authority."""

    member: MemberView


class PathChanged(NamedTuple):
    """Packets no longer reach a running member, or do again; streams reach it (``path``)."""

    member: MemberView


class ChangesetApplied(NamedTuple):
    """The replica applied a changeset that came from a peer."""

    changeset: Changeset
    delay: float | None
    """Estimated seconds since its origin pushed it: the residence in each node on the way plus half
    of each round trip (of a typical one where it isn't measured yet). None for an old one, repaired
    from a log that doesn't know."""
    hops: int
    """1 when it came from its origin; 0 when unknown (``delay`` is None)."""


class Behind(NamedTuple):
    """Peers hold a newer head and their logs don't lead there: load from the authority or, while it
    is away, a peer's whole state (``Gossip.fetch_snapshot``). Repeated while it stays so."""

    version: Version
    """The newest version heard of; of poison, the one that can't be applied."""
    reason: Literal["log", "silent", "forked", "distant", "poison"]
    """``log``: no peer's log reaches back to here. ``silent``: peers don't answer. ``forked``: a
    peer holds another history at the same version. ``distant``: a peer's log would, but a whole
    state is less work than so many changes: a peer's, even while the authority is there.
    ``poison``: a changeset can't be applied here."""


class EpochHeard(NamedTuple):
    """A member follows a higher epoch than this node. It counts once this node's own authority
    confirms it, or while that is away. Told once for each."""

    version: Version


class HistoryAsked(NamedTuple):
    """A member asks how this node's authority stands: read it now, and call
    ``Gossip.answer_history``."""

    asker: str
    """Node id."""
    sequence: int
    theirs: Stance
    """How that member's authority stands."""


class HistoryAnswered(NamedTuple):
    """A member that was asked (``Gossip.ask_history``) has read its authority."""

    member: str
    """Node id."""
    theirs: Stance | None
    """None when it can't reach an authority."""


class StateDiffers(NamedTuple):
    """A member holds another state at the same head, so one of the two is damaged, and it isn't
    known to be that member."""

    version: Version
    member: str
    """Its node id."""
    verdict: Literal["damaged", "outvoted", "undecided"]
    """``damaged``: this node's objects don't give its own state hash. ``outvoted``: most of the
    members that were asked hold another state than this node. ``undecided``: as many do as
    don't."""


class SnapshotInstalled(NamedTuple):
    """The replica was replaced by a peer's whole state at this head, or what differed from it was
    made good. Changesets that waited for it follow as ChangesetApplied."""

    head: Head


class SnapshotFailed(NamedTuple):
    """No peer's whole state could be installed. ``Behind`` comes again while one is needed."""

    reason: Literal["busy", "silent", "broken", "oversized", "corrupt", "overtaken"]
    """The gravest among the peers tried. ``busy``: they give as many as they may. ``silent``: the
    stream ended or brought nothing in time. ``broken``: slices that didn't follow one another, or
    of a head that isn't above ours. ``oversized``: more than ``limits.SNAPSHOT_BYTES_MAX``.
    ``corrupt``: the replica refused it. ``overtaken``: this replica got as far by itself."""


class IdentityTaken(NamedTuple):
    """Another process answers under this node's id and outranks this one: a copied prefix. This
    process takes no part any more; the way out is to begin anew with a new node id."""

    address: Address
    """Where the other one is."""


class Renamed(NamedTuple):
    """Another node answers to this node's name and keeps it; this one goes on under another."""

    name: str
    """What it is called now."""
    wanted: str
    holder: Address
    """Where the other one is."""


class NameKept(NamedTuple):
    """Another node answers to this node's name, which stays with this one. Told once for each."""

    name: str
    address: Address
    """Where the other one is."""


class LedBack(NamedTuple):
    """What is sent to another node's address comes back to this one: nobody else is reached there
    from here. Told once for each address."""

    address: Address


class ForcedOut(NamedTuple):
    """This node was made to leave, and can't object: this process takes no part any more. A restart
    with a generation above this one brings it back."""

    accuser: str
    """Node id of the member that said so; empty when the authority did."""
    generation: int


class AuthorityAdopted(NamedTuple):
    """This node knew no authority and follows the one of the first peer that told one, until it has
    read its own."""

    authority: str
    address: Address
    """Where the peer is."""


class ForeignAuthority(NamedTuple):
    """A node that follows another authority was refused: two databases in one cluster. At most one
    each ``limits.FOREIGN_INTERVAL`` seconds, and each node once in
    ``limits.FOREIGN_REPEAT_SECONDS``."""

    name: str
    address: Address
    authority: str
    """Of that node."""


class Isolated(NamedTuple):
    """No other member has answered for a while, though there are addresses where some should be.
    Repeated every ``limits.ISOLATION_REPEAT_SECONDS`` while it lasts."""

    seconds: float


class KeyringChanged(NamedTuple):
    """A keyring that came from a peer was adopted: store it."""

    keyring: Keyring


class KeyUnknown(NamedTuple):
    """Others send under a key that this node doesn't have, or don't have one that it sends under:
    fetch the keyring from where it is kept. Anyone can cause this, so it changes nothing, and comes
    at most once in 5 s."""

    key_id: str
    """The first 4 digits of the key's id (``gossip.keyring.key_id``)."""


class Purged(NamedTuple):
    """Caches are to forget this now, and again when they have come to this version: what they are
    filled with before may be older than what the purge is about. Told again when the replica has
    come there."""

    what: Invalidation
    version: Version


class RegisterChanged(NamedTuple):
    """A register was set here or elsewhere, deleted, or is over. Keep them all
    (``Gossip.kept_registers``)."""

    name: str
    value: str | None
    """None: it has none any more."""
    seconds: float | None
    """How long it holds from now on; None: until it is set again."""


class Observed(NamedTuple):
    """A member tells what it has observed; ``Gossip.tell_observation`` says it."""

    node_id: str
    body: bytes


class FenceAsked(NamedTuple):
    """A fence waits for this node (of another member, or its own): answer with
    ``Gossip.fence_answered``. ``reached`` as soon as all here that can answer a request have the
    version or a descendant, ``forked`` as soon as what is held has left it, ``missing`` not before
    the time is over."""

    token: int
    version: Version
    seconds: float


class FenceEnded(NamedTuple):
    """The outcome of a fence that this node began: names of the members that counted."""

    number: int
    version: Version
    reached: tuple[str, ...]
    missing: tuple[str, ...]
    """They answered that they haven't got it yet."""
    unreachable: tuple[str, ...]
    """They didn't answer."""
    forked: tuple[str, ...]
    """They know a history without that version; it ended the fence."""


class LeaveFinished(NamedTuple):
    """The leave has been spread; the transport may be closed."""


Event = (
    MemberChanged
    | MemberForgotten
    | PathChanged
    | ChangesetApplied
    | Behind
    | StateDiffers
    | EpochHeard
    | HistoryAsked
    | HistoryAnswered
    | SnapshotInstalled
    | SnapshotFailed
    | IdentityTaken
    | Renamed
    | NameKept
    | LedBack
    | ForcedOut
    | AuthorityAdopted
    | ForeignAuthority
    | Isolated
    | KeyringChanged
    | KeyUnknown
    | Purged
    | RegisterChanged
    | Observed
    | FenceAsked
    | FenceEnded
    | LeaveFinished
)
