"""Sealing under a key of the cluster: what is bound to what, and which counters are new."""

from typing import Any

import pytest

from gossip.keyring import Keyring, configured
from gossip.limits import CHALLENGE_BYTES, HEADER_BYTES, PROOF_BYTES, SEAL_BYTES
from gossip.seal import (
    COUNTER_LAST,
    SALT_BYTES,
    WINDOW,
    Envelope,
    Freshness,
    Seal,
    Window,
    salt_id,
    unseal,
)
from gossip.wire import (
    ASKING,
    CHALLENGE,
    PROOF,
    SEALED,
    Rejected,
    cluster_binding,
    cluster_digest,
    decode_header,
    encode_header,
)
from tests.gossip.drive import CLUSTER, wire

K1, K2 = b"1" * 32, b"2" * 32
SALT = b"s" * SALT_BYTES


def seal_of(number: int, keyring: Keyring | None = None, cluster: str = CLUSTER) -> Seal:
    return Seal(keyring or configured(K1), wire(number), cluster_binding(cluster), SALT)


def envelope(
    seal: Seal, form: int = SEALED, *, sender: int = 2, receiver: int = 1, **options: Any
) -> bytes:
    header = encode_header(form, cluster_digest(CLUSTER), wire(sender), wire(receiver))
    options = {"frame": False, "answering": b"n" * 16 if form == PROOF else b"", **options}
    return seal.seal(form, header, wire(receiver), b"body", **options)


def taken_apart(seal: Seal, data: bytes, *, frame: bool = False) -> Envelope:
    return seal.take_apart(decode_header(data), data, HEADER_BYTES, frame)


def opened(reader: Seal, data: bytes, *, frame: bool = False, answering: bytes = b"") -> bytes:
    parts = taken_apart(reader, data, frame=frame)
    return unseal(reader.derive(parts.key_id, parts.sender, SALT), parts, answering)


@pytest.mark.parametrize("form", [SEALED, ASKING, CHALLENGE])
@pytest.mark.parametrize("frame", [False, True])
def test_what_is_sealed_is_opened(form: int, frame: bool) -> None:
    data = envelope(seal_of(2), form, frame=frame)
    assert opened(seal_of(1), data, frame=frame) == b"body"
    assert b"body" not in data


@pytest.mark.parametrize(
    ("form", "rest"),
    [
        (SEALED, "0c3a0206 000000000001 2013ab88 00606a752941332f79a0ef91666f9b4d"),
        (ASKING, "0c3a0206 000000000001 2013ab88 180503180502776a0cf0d4197b410f39"),
        (
            CHALLENGE,
            "73737373737373737373737373737373 000000000001 00000007 2013ab88"
            "65e4de593c061df4bb67061b7a59a945",
        ),
        (
            PROOF,
            "73737373737373737373737373737373 000000000001 2013ab88"
            "19b823bc2d2fc16fdc17f7574540b967",
        ),
    ],
    ids=["sealed", "asking", "challenge", "proof"],
)
def test_golden_envelopes_of_protocol_1_are_still_made_and_read(form: int, rest: str) -> None:
    golden = bytes.fromhex(f"4756 0{form} 11 9c040732 8000000000000002 00000001 d8d6 {rest}")
    assert envelope(seal_of(2), form, question=7 if form == CHALLENGE else 0) == golden
    assert opened(seal_of(1), golden, answering=b"n" * 16 if form == PROOF else b"") == b"body"


def test_the_sizes_are_those_of_the_limits() -> None:
    assert len(envelope(seal_of(2))) == HEADER_BYTES + SEAL_BYTES + 4
    assert len(envelope(seal_of(2), PROOF)) == HEADER_BYTES + PROOF_BYTES - 16 + 4
    assert len(envelope(seal_of(2), CHALLENGE)) == CHALLENGE_BYTES - 16 + 4


@pytest.mark.parametrize("form", [SEALED, ASKING, CHALLENGE, PROOF])
def test_a_changed_byte_anywhere_is_refused(form: int) -> None:
    reader = seal_of(1)
    genuine = envelope(seal_of(2), form)
    answering = b"n" * 16 if form == PROOF else b""
    assert opened(reader, genuine, answering=answering) == b"body"
    own_salt = (SALT, salt_id(SALT))
    for position in range(len(genuine)):
        data = bytearray(genuine)
        data[position] ^= 1
        try:
            parts = taken_apart(reader, bytes(data))
            if not reader.knows(parts.key_id) or parts.salt not in own_salt:
                continue
            unseal(reader.derive(parts.key_id, parts.sender, SALT), parts, answering)
        except Rejected:
            continue
        pytest.fail(f"opened although byte {position} was changed")


def test_a_packet_can_not_be_passed_off_as_a_frame() -> None:
    with pytest.raises(Rejected, match="dropped_forged"):
        opened(seal_of(1), envelope(seal_of(2)), frame=True)


def test_the_whole_cluster_name_is_bound_not_only_the_digest_in_the_header() -> None:
    data = envelope(seal_of(2, cluster="other"))
    with pytest.raises(Rejected, match="dropped_forged"):
        opened(seal_of(1), data)


def test_the_whole_receiver_is_bound_not_only_the_end_in_the_header() -> None:
    twin = b"\x01" + wire(1)[1:]
    reader = Seal(configured(K1), twin, cluster_binding(CLUSTER), SALT)
    data = envelope(seal_of(2))
    assert decode_header(data).is_for(twin)
    with pytest.raises(Rejected, match="dropped_forged"):
        opened(reader, data)


def test_a_proof_is_bound_to_the_nonce_that_it_answers() -> None:
    data = envelope(seal_of(2), PROOF)
    assert opened(seal_of(1), data, answering=b"n" * 16) == b"body"
    with pytest.raises(Rejected, match="dropped_forged"):
        opened(seal_of(1), data, answering=b"o" * 16)


def test_each_key_of_the_ring_opens_and_the_first_one_seals() -> None:
    old, new, both = configured(K1), configured(K2), configured(K2, K1)
    assert opened(seal_of(1, both), envelope(seal_of(2, old))) == b"body"
    assert opened(seal_of(1, new), envelope(seal_of(2, both))) == b"body"
    data = envelope(seal_of(2, both))
    assert not seal_of(1, old).knows(taken_apart(seal_of(1), data).key_id)


def test_an_answer_can_go_under_another_key_of_the_ring_but_no_other() -> None:
    seal = seal_of(2, configured(K2, K1))
    old = taken_apart(seal_of(1), envelope(seal_of(2, configured(K1)))).key_id
    assert opened(seal_of(1, configured(K1)), envelope(seal, under=old)) == b"body"
    seal.adopt(configured(K2))
    data = envelope(seal, under=old)
    assert opened(seal_of(1, configured(K2)), data) == b"body"


def test_one_counter_serves_all_keys_and_forms_and_never_repeats() -> None:
    seal = seal_of(2, configured(K1))
    counters = []
    for keyring in (configured(K1), configured(K2, K1), configured(K1)):
        seal.adopt(keyring)
        for form in (SEALED, CHALLENGE, PROOF, ASKING):
            for frame in (False, True):
                data = envelope(seal, form, frame=frame)
                counters.append(taken_apart(seal_of(1), data).counter)
    assert counters == list(range(1, len(counters) + 1))


def test_at_the_end_of_the_counter_a_new_salt_is_needed() -> None:
    seal = seal_of(2)
    seal.counter = COUNTER_LAST
    assert seal.exhausted
    with pytest.raises(AssertionError):
        envelope(seal)
    seal.renew(b"t" * SALT_BYTES)
    data = taken_apart(seal_of(1), envelope(seal))
    assert (data.counter, data.salt) == (1, salt_id(b"t" * SALT_BYTES))


@pytest.mark.parametrize(
    ("counters", "verdicts"),
    [
        ([11, 12, 13], ["new", "new", "new"]),
        ([13, 11, 12, 13, 11], ["new", "new", "new", "seen", "seen"]),
        ([10, 9, 1], ["unproven", "unproven", "unproven"]),
        ([11 + WINDOW, 12, 11], ["new", "new", "late"]),
        ([11, 11 + 2 * WINDOW, 12], ["new", "new", "late"]),
        ([COUNTER_LAST, COUNTER_LAST, 11], ["new", "seen", "late"]),
    ],
)
def test_a_window_knows_new_counters_from_seen_late_and_unproven_ones(
    counters: list[int], verdicts: list[Freshness]
) -> None:
    window = Window(10)
    assert [window.admit(counter) for counter in counters] == verdicts
