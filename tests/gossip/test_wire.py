"""The envelope and the messages in it: what is read, skipped and refused."""

import struct

import msgpack
import pytest

from gossip import limits
from gossip.identity import NOBODY, Identity
from gossip.invalidation import By
from gossip.keyring import configured, install
from gossip.member import METADATA_BYTES_MAX, Metadata, Status
from gossip.messages import Message
from gossip.messages.changes import (
    Announce,
    Distant,
    Fetch,
    Heartbeat,
    Missing,
    NoSlice,
    Pull,
    Push,
    Request,
    Slice,
)
from gossip.messages.fence import FenceAnswer, FenceQuestion, Standing
from gossip.messages.history import Answer, Question, Stance
from gossip.messages.keys import Keys, KeysWanted
from gossip.messages.membership import (
    Ack,
    Alive,
    Check,
    Checked,
    Identified,
    Identify,
    Nack,
    Outcome,
    Parting,
    Ping,
    PingRequest,
    PushPull,
    TableDigest,
    Unwatch,
    Watch,
)
from gossip.messages.observations import Observation
from gossip.messages.purges import Purge, PurgeMark, PurgesWanted, Source
from gossip.messages.registers import Register
from gossip.messages.repair import Compare, Confirmed, Reconcile, Reconciled, Unreconciled
from gossip.messages.spreading import Holds, Relay, Relayed, Run
from gossip.replica import Changeset, Head
from gossip.wire import (
    PROTOCOL_HIGHEST,
    PROTOCOL_LOWEST,
    Rejected,
    Versions,
    check_versions,
    cluster_digest,
    decode_header,
    decode_parts,
    encode_header,
    encode_part,
    encode_parts,
    pad,
)
from tests.gossip.drive import alive, node_id, packet, verdict, wire

HEAD = Head((3, 2**64 - 1, 2**63 - 1), b"d" * 32)
CHANGESET = Changeset(HEAD.version, b"p" * 32, b"d" * 32, b"body")
KEYRING = install(configured(b"k" * 32), b"l" * 32, Identity(node_id(1), 1, 7))
SOURCE = Source(node_id(3), limits.COUNTER_MAX, limits.TAG_MAX, "entities")
STANCE = Stance("h" * 255, 2**32 - 1, HEAD, HEAD, holds=False)
EVERY_KIND: list[Message] = [
    Ping(0),
    Ping(1, limits.CLOCK_MS_MAX),
    Ack(2**32 - 1),
    PingRequest(7, node_id(3)),
    Nack(7),
    alive(2)._replace(address=("2001:db8::1", 8005)),
    verdict(2, Status.LEAVING),
    Heartbeat.of(HEAD, 1.5),
    Heartbeat.of(HEAD, None),
    Push(CHANGESET, 0.25, 3),
    Push(CHANGESET, None, 0),
    Announce(HEAD),
    Request(HEAD),
    Pull(HEAD),
    Missing(HEAD),
    Distant(HEAD),
    PushPull(True),
    Watch(),
    Unwatch(Parting.FULL),
    Check(node_id(3), 2),
    Checked(node_id(3), 2, Outcome.REFUSED),
    TableDigest(b"t" * 16, False),
    Fetch(0),
    Fetch(1, HEAD, b"on"),
    Slice(HEAD, limits.SNAPSHOT_SLICES_MAX, b"slice", True),
    Slice(HEAD, 0, b"slice", True, b"s" * 32),
    Compare(HEAD, b"s" * 32, answer=True),
    Compare(HEAD, b"", False, Confirmed(HEAD.version, b"s" * 32)),
    Reconcile(None, b""),
    Reconcile(HEAD, b"question"),
    Reconciled(HEAD, b"s" * 32, b"answer"),
    Unreconciled(),
    NoSlice(1),
    Identify(2**32 - 1, 1, 0, ("2001:db8::1", 8005)),
    Identified(0, limits.COUNTER_MAX, limits.TAG_MAX),
    Heartbeat.of(HEAD, 1.5, KEYRING.mark),
    Keys(KEYRING),
    KeysWanted(),
    TableDigest(b"t" * 16, True, b"b" * limits.BESIDE_BYTES_MAX),
    Purge(SOURCE, limits.COUNTER_MAX, By.TAG, "t" * limits.PURGE_TEXT_BYTES_MAX, HEAD.version),
    PurgeMark(SOURCE, 1),
    Register("r" * limits.REGISTER_NAME_BYTES_MAX, 1, node_id(3), 0, "", 0.0),
    Register("r", limits.COUNTER_MAX, node_id(3), limits.TAG_MAX, None, None),
    Observation(b"o" * limits.OBSERVATION_BYTES_MAX),
    PurgesWanted(SOURCE, tuple(range(1, limits.PURGES_WANTED_MAX + 1))),
    Question(2**32 - 1, STANCE),
    Answer(7, STANCE._replace(holds=True)),
    Answer(7, None),
    FenceQuestion(node_id(3), limits.TAG_MAX, 2**32 - 1, HEAD.version, 2.0),
    FenceAnswer(0, 0, Standing.WAITING),
    Relay((wire(1), wire(2))),
    Relayed(wire(1), 0.25),
    Relayed(wire(1), None),
    Holds(HEAD.version, ()),
    Holds(HEAD.version, (Run(3, 2**64 - 1, 5, 2**63 - 1), Run(4, 0, 1, 1))),
]


def part(kind: int, fields: object) -> bytes:
    packed: bytes = msgpack.packb(fields)
    return struct.pack(">BB", kind, len(packed)) + packed


@pytest.mark.parametrize("message", EVERY_KIND, ids=lambda message: type(message).__name__)
def test_every_message_is_read_as_it_was_written(message: Message) -> None:
    assert decode_parts(encode_part(message), 1).messages == (message,)


def test_every_kind_is_covered_by_the_test_above() -> None:
    covered = {type(message) for message in EVERY_KIND}
    assert covered == set(Message.__args__)


def test_saying_who_one_is_never_takes_more_room_than_the_question() -> None:
    question = Identify(2**32 - 1, 1, 0, ("::1", 1))
    answer = Identified(question.sequence, limits.COUNTER_MAX, limits.TAG_MAX)
    assert len(encode_part(answer)) <= len(encode_part(question))


def test_many_messages_share_a_packet_in_order() -> None:
    assert decode_parts(encode_parts(EVERY_KIND), 255).messages == tuple(EVERY_KIND)


def test_the_header_is_read_as_it_was_written() -> None:
    header = decode_header(encode_header(0, cluster_digest("x"), wire(1), NOBODY))
    assert (header.sender, header.receiver) == (wire(1), NOBODY)
    assert header.cluster == cluster_digest("x")
    assert header.versions == (PROTOCOL_LOWEST, PROTOCOL_HIGHEST)


def test_a_receiver_is_known_by_the_end_of_its_id() -> None:
    header = decode_header(packet(2, Ping(1), receiver=3))
    assert header.is_for(wire(3))
    assert not header.is_for(wire(4))
    assert decode_header(packet(2, Ping(1), receiver=0)).is_for(wire(4))


@pytest.mark.parametrize("size", range(1, 60))
def test_padding_brings_parts_to_a_size_and_means_nothing(size: int) -> None:
    body = encode_part(Ping(999))
    padded = pad(body, size)
    assert max(size, len(body)) <= len(padded) <= max(size, len(body)) + 1
    parts = decode_parts(padded, 2)
    assert parts.messages == (Ping(999),)
    assert parts.unknown == parts.malformed == 0


def test_a_heartbeat_of_an_earlier_version_is_read() -> None:
    heartbeat = Heartbeat.of(HEAD, 1.5)
    fields = [list(heartbeat.version), heartbeat.check, 1500]
    assert decode_parts(part(7, fields), 1).messages == (heartbeat,)


@pytest.mark.parametrize("size", [0, 254 - 5, 255 - 5, 256, 70_000])
def test_parts_of_any_size_are_read(size: int) -> None:
    message = Slice(Head((1, 2, 3), b"d" * 32), 7, b"x" * max(1, size), False)
    assert decode_parts(encode_part(message) * 2, 2).messages == (message, message)


def test_a_golden_packet_of_protocol_1_is_still_read() -> None:
    """Its Ping had no clock; one with a clock is read the same way."""
    golden = bytes.fromhex("475600119c04073280000000000000020000000101 0491cd03e7")
    header = decode_header(golden)
    assert (header.sender, header.receiver) == (wire(2), wire(1)[-4:])
    assert decode_parts(golden[limits.HEADER_BYTES :], 1).messages == (Ping(999),)


def test_a_golden_ping_with_a_clock_is_read_and_written() -> None:
    golden = bytes.fromhex("475600119c04073280000000000000020000000101 0792cd03e7cd1388")
    assert decode_parts(golden[limits.HEADER_BYTES :], 1).messages == (Ping(999, 5_000),)
    assert packet(2, Ping(999, 5_000)) == golden


@pytest.mark.parametrize(
    ("message", "golden"),
    [
        (Fetch(0), "0e 05 93 00 c0 c400"),
        (
            Fetch(300, Head((1, 2, 3), b"d" * 32), b"on"),
            "0e 2f 93 cd012c 92 93010203 c420" + "64" * 32 + "c4026f6e",
        ),
        (
            Slice(Head((1, 2, 3), b"d" * 32), 7, b"abc", False, b"s" * 32),
            "0f 51 95 92 93010203 c420" + "64" * 32 + "07 c403616263 c2 c420" + "73" * 32,
        ),
        (NoSlice(0), "10 02 91 00"),
    ],
    ids=["Fetch", "Fetch on", "Slice", "NoSlice"],
)
def test_golden_messages_of_a_snapshot_are_still_read(message: Message, golden: str) -> None:
    assert decode_parts(bytes.fromhex(golden), 1).messages == (message,)
    assert encode_part(message) == bytes.fromhex(golden)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"", "dropped_garbage"),
        (lambda data: data[:19], "dropped_garbage"),
        (lambda data: b"XX" + data[2:], "dropped_garbage"),
        (lambda data: data[:8] + bytes(8) + data[16:], "dropped_garbage"),
        (lambda data: data[:3] + b"\x21" + data[4:], "dropped_garbage"),
        (lambda data: data[:2] + b"\x07" + data[3:], "dropped_version"),
        (
            lambda data: data[:3] + bytes([(PROTOCOL_HIGHEST + 1) * 0x11]) + data[4:],
            "dropped_version",
        ),
    ],
    ids=["empty", "truncated", "magic", "no sender", "range", "form", "too new"],
)
def test_what_is_no_envelope_of_ours_is_refused(change: object, reason: str) -> None:
    assert callable(change)
    with pytest.raises(Rejected) as refusal:
        decode_header(change(packet(2, Ping(1))))
    assert refusal.value.reason == reason


def test_a_later_protocol_that_still_speaks_ours_is_read() -> None:
    data = packet(2, Ping(1))
    assert decode_header(data[:3] + b"\x19" + data[4:]).versions.highest == 9


def test_unknown_kinds_and_later_fields_are_skipped() -> None:
    body = part(200, ["from", "the", "future"]) + part(2, [7, "a later field"])
    parts = decode_parts(body, 255)
    assert parts.messages == (Ack(7),)
    assert (parts.unknown, parts.malformed) == (1, 0)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (1, []),
        (1, ["7"]),
        (1, [True]),
        (1, [-1]),
        (1, [2**32]),
        (1, {"sequence": 1}),
        (3, [1, bytes(16)]),
        (3, [1, bytes(15)]),
        (6, [bytes(15) + b"1", 1, 1, 0, bytes(15) + b"1"]),
        (6, [bytes(15) + b"1", 1, 1, 5, bytes(15) + b"1"]),
        (6, [bytes(15) + b"1", 0, 1, 1, bytes(15) + b"1"]),
        (6, [bytes(15) + b"1", 1, 2**62 + 1, 1, bytes(15) + b"1"]),
        (7, [[1, 1, 1], bytes(5), None]),
        (7, [[1, 1, -1], bytes(4), None]),
        (7, [[1, 1, 1], bytes(4), -1]),
        (7, [[1, 1, 1], bytes(4), 1.5]),
        (7, [[1, 1, 1], bytes(4), 2**40]),
        (13, [1]),
        (14, [-1]),
        (14, [limits.SNAPSHOT_SLICES_MAX + 1]),
        (15, [[[1, 1, 1], bytes(32)], 0, b"", True]),
        (15, [[[1, 1, 1], bytes(32)], 0, "text", True]),
        (15, [[[1, 1, 1], bytes(32)], 0, b"x", 1]),
        (15, [[[1, 1, 1], bytes(32)], 0, b"x"]),
        (16, []),
    ],
)
def test_a_field_out_of_range_spoils_its_message_only(kind: int, fields: object) -> None:
    parts = decode_parts(part(kind, fields) + encode_part(Ping(7)), 255)
    assert parts.messages == (Ping(7),)
    assert parts.malformed == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "224.0.0.1", "gw1", "", "1.2.3", "x" * 100])
def test_a_member_at_an_address_of_nobody_is_refused(host: str) -> None:
    assert decode_parts(encode_part(alive(2)._replace(address=(host, 1))), 1).malformed == 1


@pytest.mark.parametrize("field", Metadata._fields)
def test_metadata_is_bounded_in_bytes(field: str) -> None:
    limit = METADATA_BYTES_MAX[Metadata._fields.index(field)]
    for text, malformed in (("ü" * (limit // 2), 0), ("ü" * (limit // 2 + 1), 1)):
        claim = alive(2)
        claim = claim._replace(metadata=claim.metadata._replace(**{field: text}))
        assert decode_parts(encode_part(claim), 1).malformed == malformed


def test_the_longest_record_fits_its_bound() -> None:
    """al8n/memberlist long ids: one that didn't fit a packet made its owner a suspect."""
    claim = Alive(
        node_id(2),
        limits.COUNTER_MAX,
        limits.TAG_MAX,
        limits.COUNTER_MAX,
        ("f" * limits.HOST_BYTES_MAX, 65_535),
        Metadata(*("x" * limit for limit in METADATA_BYTES_MAX)),
    )
    assert len(encode_part(claim)) <= limits.ALIVE_BYTES_MAX


def test_lengths_that_do_not_add_up_end_the_packet() -> None:
    good = encode_part(Ping(1))
    endless = b"\x01\xff" + bytes.fromhex("ffffffff") + b"x"
    for body in (good[:-1], good + b"\0", endless, b"\x01\xff\x00", b"\x01\x05"):
        with pytest.raises(Rejected):
            decode_parts(body, 255)


def test_the_number_of_parts_is_bounded() -> None:
    with pytest.raises(Rejected):
        decode_parts(encode_part(Ping(1)) * 3, 2)


def test_a_deep_or_wide_message_is_refused_before_it_is_built() -> None:
    """hashicorp/memberlist#357: lengths were believed until 2026."""
    deep = b"\x91" * 1_000 + b"\x01"
    wide = b"\xdd\xff\xff\xff\xff"
    for packed in (deep, wide, b"\xdc\x40\x00" * 400):
        body = struct.pack(">BBI", 1, 255, len(packed)) + packed
        assert decode_parts(body, 1).malformed == 1


@pytest.mark.parametrize(
    ("mine", "theirs", "common"),
    [((1, 1), (1, 1), 1), ((1, 2), (1, 1), 1), ((1, 3), (2, 5), 3), ((1, 1), (2, 2), None)],
)
def test_both_sides_speak_the_highest_version_that_they_share(
    mine: tuple[int, int], theirs: tuple[int, int], common: int | None
) -> None:
    assert Versions(*mine).common(Versions(*theirs)) == common
    assert Versions(*theirs).common(Versions(*mine)) == common
    header = encode_header(0, cluster_digest("x"), wire(1), NOBODY, Versions(*theirs))
    if common is None:
        with pytest.raises(Rejected, match="dropped_version"):
            decode_header(header, Versions(*mine))
    else:
        assert decode_header(header, Versions(*mine)).versions == theirs


@pytest.mark.parametrize("versions", [(0, 1), (2, 1), (1, 16)])
def test_a_range_that_an_envelope_cannot_tell_is_refused(versions: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="protocol versions"):
        check_versions(Versions(*versions))
