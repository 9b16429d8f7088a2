"""The messages of the protocol, and how their fields are read and written.

On the wire a message is a kind byte and a msgpack array of its fields, in the order given here.
Fields are only ever added at the end, with a default; readers ignore fields beyond those they know,
and skip kinds they don't know. Everything read is checked: what gets past ``read_message`` is
within the bounds of ``gossip.limits``.
"""

import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from gossip import limits
from gossip.address import Address, reachable_host
from gossip.identity import node_id_bytes, node_id_text
from gossip.keyring import Keyring, KeyringRefused, decode, encode
from gossip.member import METADATA_BYTES_MAX, Metadata, Status
from gossip.replica import Changeset, Head, Version

CHECK_BYTES = 4
TABLE_DIGEST_BYTES = 16


class Ping(NamedTuple):
    """Are you there? Answered by an Ack with the same sequence."""

    sequence: int
    clock: int = 0
    """The sender's cluster clock, whole milliseconds (``gossip.schedule``)."""


class Ack(NamedTuple):
    """I am here; or, from a helper: the member you asked for is there."""

    sequence: int


class PingRequest(NamedTuple):
    """Ping this member for me, and tell me with an Ack or a Nack."""

    sequence: int
    target: str


class Nack(NamedTuple):
    """From a helper: no answer from your member yet, but I am here (Lifeguard)."""

    sequence: int


class Alive(NamedTuple):
    """A node's own word that it lives, as whoever knows it passes it on."""

    node_id: str
    generation: int
    tag: int
    incarnation: int
    address: Address
    metadata: Metadata


class Verdict(NamedTuple):
    """A claim that a node is suspect, failed, leaving or has left."""

    node_id: str
    generation: int
    incarnation: int
    status: Status
    accuser: str
    """Who says so: confirmations count distinct accusers. The node itself when it leaves."""


class Heartbeat(NamedTuple):
    """Rides on pings, acks, pushes and push-pulls: what the sender serves, and how fresh it is."""

    version: Version
    check: bytes
    """The first 4 bytes of the head's digest, by which two that are at one version find that their
    histories differ. They differ at every version from there on, so 32 bits find it in the end."""
    confirmation_age: float | None
    """Seconds since a member last compared its head with the authority's; None: never heard.
    Travels in whole milliseconds, rounded up."""
    keyring: int = 0
    """The counter of the keyring that the sender holds; 0 in clear, too."""
    keyring_check: int = 0
    """A byte of its digest, by which two that changed it at once find that they differ."""

    @classmethod
    def of(
        cls, head: Head, confirmation_age: float | None, keyring: tuple[int, int] = (0, 0)
    ) -> "Heartbeat":
        """What is said of a head that is served, and of the keyring (its ``mark``)."""
        return cls(head.version, head.digest[:CHECK_BYTES], confirmation_age, *keyring)

    def agrees(self, mine: Head) -> bool:
        """Whether nothing says that this is another history than that of a head of ours."""
        return self.version != mine.version or self.check == mine.digest[:CHECK_BYTES]


class Push(NamedTuple):
    """A changeset, whole."""

    changeset: Changeset
    residence: float | None
    """Seconds from the push at its origin to the sending of this packet; None when unknown."""
    hops: int
    """Nodes between the origin and the sender; 0 when the origin sends."""


class Announce(NamedTuple):
    """I hold this head; pull what you lack by stream, for it doesn't fit packets."""

    head: Head


class Request(NamedTuple):
    """Push me what follows this head of mine."""

    after: Head


class Pull(NamedTuple):
    """On a stream: send me what follows this head of mine."""

    after: Head


class Missing(NamedTuple):
    """What follows that head is not in the log here, or that head never was."""

    after: Head


class PushPull(NamedTuple):
    """On a stream: last part of a frame that carries the sender's whole member table."""

    answer: bool
    """False: send me yours."""


class TableDigest(NamedTuple):
    """On a stream: what stands for the sender's whole member table. Last part of its frame."""

    digest: bytes
    answer: bool
    """True: yours is alike. False: tell me yours, or that it is."""


class Fetch(NamedTuple):
    """On a stream: send me this slice of your whole state. Slices are asked for one after another,
    from 0; that question pins the state as it is then, for as long as the stream lives."""

    cursor: int


class Slice(NamedTuple):
    """One slice of the whole state at a head."""

    head: Head
    cursor: int
    body: bytes
    last: bool


class NoSlice(NamedTuple):
    """That slice isn't to be had here now: too many are being served, this node holds nothing, or
    it doesn't follow the one before. Ask another node."""

    cursor: int


class Identify(NamedTuple):
    """Who are you? From a process that finds its node id or its name claimed by whoever is there.
    The one message, with its answer, that processes of one node id exchange."""

    sequence: int
    generation: int
    """The asker's, and its tag: the one that is asked may have to yield."""
    tag: int
    address: Address
    """Where the asker can be asked back."""


class Identified(NamedTuple):
    """This is who I am. Never longer than the question."""

    sequence: int
    generation: int
    tag: int


class Watch(NamedTuple):
    """On a stream: keep it open, idle, so that its end tells whoever remains (``gossip.watch``).
    Answered by the same where it is kept."""


class Parting(IntEnum):
    """Why a watch stream is closed on purpose. The numbers are on the wire."""

    MOVED = 0
    """Another member is watched instead."""
    LEAVING = 1
    FULL = 2
    """As many watch streams are kept as may be."""


class Unwatch(NamedTuple):
    """On a watch stream: I close this on purpose; it means nothing about me."""

    reason: Parting


class Outcome(IntEnum):
    """What a knock at a member has shown. The numbers are on the wire."""

    REACHED = 0
    REFUSED = 1
    SILENT = 2


class Check(NamedTuple):
    """This life of a member was refused to me: knock there, and tell me what you see."""

    target: str
    generation: int


class Checked(NamedTuple):
    """What my own knock at that life of a member has shown."""

    target: str
    generation: int
    outcome: Outcome


class Keys(NamedTuple):
    """The keyring that I hold. Only ever sealed."""

    keyring: Keyring


class KeysWanted(NamedTuple):
    """Send me your keyring: its counter is above mine."""


Message = (
    Ping
    | Ack
    | PingRequest
    | Nack
    | Alive
    | Verdict
    | Heartbeat
    | Push
    | Announce
    | Request
    | Pull
    | Missing
    | PushPull
    | TableDigest
    | Fetch
    | Slice
    | NoSlice
    | Identify
    | Identified
    | Watch
    | Unwatch
    | Check
    | Checked
    | Keys
    | KeysWanted
)


class Malformed(ValueError):
    """A field that is missing, of the wrong type or out of range."""


Field = tuple[Callable[[Any], object], Callable[[object], Any]]
"""(to msgpack, from msgpack; raises Malformed)."""


def _integer(low: int, high: int) -> Field:
    def read(raw: object) -> int:
        if type(raw) is not int or not low <= raw <= high:
            raise Malformed(f"{type(raw).__name__} is not an integer from {low} to {high}")
        return raw

    return (lambda value: int(value)), read


def _real(high: float) -> Field:
    def read(raw: object) -> float | None:
        if raw is None:
            return None
        if type(raw) is not float or not 0.0 <= raw <= high:
            raise Malformed(f"{type(raw).__name__} is not a number of seconds from 0 to {high}")
        return raw

    def write(value: float | None) -> float | None:
        return None if value is None else min(max(float(value), 0.0), high)

    return write, read


def _milliseconds(high: float) -> Field:
    def read(raw: object) -> float | None:
        if raw is None:
            return None
        if type(raw) is not int or not 0 <= raw <= high * 1000:
            raise Malformed(f"{type(raw).__name__} is not a number of ms up to {high} s")
        return raw / 1000

    def write(value: float | None) -> int | None:
        return None if value is None else math.ceil(min(max(value, 0.0), high) * 1000)

    return write, read


def _text(raw: object, size_max: int) -> str:
    if type(raw) is not str or len(raw.encode("utf-8", "surrogatepass")) > size_max:
        raise Malformed(f"{type(raw).__name__} is not a text of at most {size_max} bytes")
    return raw


def _bytes(raw: object, low: int, high: int) -> bytes:
    if type(raw) is not bytes or not low <= len(raw) <= high:
        raise Malformed(f"{type(raw).__name__} is not {low} to {high} bytes")
    return raw


def _array(raw: object, length_min: int) -> tuple[object, ...]:
    if type(raw) is not tuple or len(raw) < length_min:
        raise Malformed(f"{type(raw).__name__} is not an array of at least {length_min}")
    return raw


def _read_node_id(raw: object) -> str:
    node_id = node_id_text(_bytes(raw, 16, 16))
    if not node_id:
        raise Malformed("an empty node id")
    return node_id


def _read_bool(raw: object) -> bool:
    if type(raw) is not bool:
        raise Malformed(f"{type(raw).__name__} is not true or false")
    return raw


def _read_address(raw: object) -> Address:
    host, port = _array(raw, 2)[:2]
    try:
        numeric = reachable_host(_text(host, limits.HOST_BYTES_MAX))
    except ValueError as error:
        raise Malformed(str(error)) from error
    if type(port) is not int or not 0 < port < 65_536:
        raise Malformed(f"{type(port).__name__} is not a port")
    return numeric, port


def _read_metadata(raw: object) -> Metadata:
    texts = _array(raw, len(METADATA_BYTES_MAX) - len(Metadata._field_defaults))
    return Metadata(
        *(_text(text, limit) for text, limit in zip(texts, METADATA_BYTES_MAX, strict=False))
    )


def _read_status(raw: object) -> Status:
    if type(raw) is not int or not Status.SUSPECT <= raw <= Status.LEFT:
        raise Malformed(f"{type(raw).__name__} is not a verdict")
    return Status(raw)


def _fixed(low: int, high: int) -> Field:
    """A number that takes the same room whatever it is."""

    def read(raw: object) -> int:
        value = int.from_bytes(_bytes(raw, 8, 8), "big")
        if not low <= value <= high:
            raise Malformed(f"a number that is not from {low} to {high}")
        return value

    return (lambda value: value.to_bytes(8, "big")), read


def _one_of(kinds: type[IntEnum]) -> Field:
    def read(raw: object) -> IntEnum:
        if type(raw) is not int or raw not in [*kinds]:
            raise Malformed(f"{type(raw).__name__} is not one of {kinds.__name__}")
        return kinds(raw)

    return int, read


def _read_version(raw: object) -> Version:
    parts = _array(raw, 3)[:3]
    bounds = (limits.REVISION_MAX, limits.TAG_MAX, limits.REVISION_MAX)
    for part, bound in zip(parts, bounds, strict=True):
        if type(part) is not int or not 0 <= part <= bound:
            raise Malformed(f"{type(raw).__name__} is not a version")
    epoch, tag, revision = parts
    return epoch, tag, revision  # type: ignore[return-value]


def _read_head(raw: object) -> Head:
    version, digest = _array(raw, 2)[:2]
    return Head(_read_version(version), _bytes(digest, 32, 32))


def _read_keyring(raw: object) -> Keyring:
    try:
        return decode(_bytes(raw, 1, limits.KEYRING_BYTES_MAX))
    except KeyringRefused as error:
        raise Malformed(str(error)) from error


def _read_changeset(raw: object) -> Changeset:
    version, predecessor, digest, body = _array(raw, 4)[:4]
    return Changeset(
        _read_version(version),
        _bytes(predecessor, 32, 32),
        _bytes(digest, 32, 32),
        _bytes(body, 0, limits.BODY_BYTES_MAX),
    )


_SEQUENCE = _integer(0, 2**32 - 1)
_COUNTER = _integer(1, limits.COUNTER_MAX)
_NODE_ID: Field = (node_id_bytes, _read_node_id)
_HEAD: Field = (list, _read_head)
_PROCESS = (_SEQUENCE, _fixed(1, limits.COUNTER_MAX), _fixed(0, limits.TAG_MAX))
_CURSOR = _integer(0, limits.SNAPSHOT_SLICES_MAX)
_SLICE: Field = (bytes, lambda raw: _bytes(raw, 1, limits.SLICE_BYTES_MAX))

_KINDS: dict[int, tuple[type[Message], tuple[Field, ...]]] = {
    1: (Ping, (_SEQUENCE, _integer(0, limits.CLOCK_MS_MAX))),
    2: (Ack, (_SEQUENCE,)),
    3: (PingRequest, (_SEQUENCE, _NODE_ID)),
    4: (Nack, (_SEQUENCE,)),
    5: (
        Alive,
        (
            _NODE_ID,
            _COUNTER,
            _integer(0, limits.TAG_MAX),
            _COUNTER,
            (list, _read_address),
            (list, _read_metadata),
        ),
    ),
    6: (Verdict, (_NODE_ID, _COUNTER, _COUNTER, (int, _read_status), _NODE_ID)),
    7: (
        Heartbeat,
        (
            (list, _read_version),
            (bytes, lambda raw: _bytes(raw, CHECK_BYTES, CHECK_BYTES)),
            _milliseconds(limits.CONFIRMATION_AGE_MAX),
            _integer(0, limits.COUNTER_MAX),
            _integer(0, 255),
        ),
    ),
    8: (
        Push,
        ((list, _read_changeset), _real(limits.RESIDENCE_MAX), _integer(0, limits.HOPS_MAX)),
    ),
    9: (Announce, (_HEAD,)),
    10: (Request, (_HEAD,)),
    11: (Pull, (_HEAD,)),
    12: (Missing, (_HEAD,)),
    13: (PushPull, ((bool, _read_bool),)),
    14: (Fetch, (_CURSOR,)),
    15: (Slice, (_HEAD, _CURSOR, _SLICE, (bool, _read_bool))),
    16: (NoSlice, (_CURSOR,)),
    17: (
        TableDigest,
        (
            (bytes, lambda raw: _bytes(raw, TABLE_DIGEST_BYTES, TABLE_DIGEST_BYTES)),
            (bool, _read_bool),
        ),
    ),
    30: (Identify, (*_PROCESS, (list, _read_address))),
    31: (Identified, _PROCESS),
    20: (Watch, ()),
    21: (Unwatch, (_one_of(Parting),)),
    22: (Check, (_NODE_ID, _COUNTER)),
    23: (Checked, (_NODE_ID, _COUNTER, _one_of(Outcome))),
    40: (Keys, ((encode, _read_keyring),)),
    41: (KeysWanted, ()),
}
_NUMBERS = {message: kind for kind, (message, _) in _KINDS.items()}
CLAIMS = frozenset({_NUMBERS[Alive], _NUMBERS[Verdict]})
"""The kinds that say something of a node, and are passed on as they are."""


def message_fields(message: Message) -> tuple[int, list[object]]:
    """The kind's number and the fields as msgpack takes them."""
    kind = _NUMBERS[type(message)]
    writers = _KINDS[kind][1]
    return kind, [write(value) for value, (write, _) in zip(message, writers, strict=True)]


def is_known(kind: int) -> bool:
    """Whether this version knows a kind of message."""
    return kind in _KINDS


def read_message(kind: int, fields: Sequence[object]) -> Message:
    """The message of a known kind. Raises Malformed."""
    message, readers = _KINDS[kind]
    if len(fields) < len(readers) - len(message._field_defaults):
        raise Malformed(f"{message.__name__} with {len(fields)} fields of {len(readers)}")
    values = [read(raw) for raw, (_, read) in zip(fields, readers, strict=False)]
    return message(*values)
