"""Who may be believed that a packet is new: the conversation by which salts are admitted.

A process that has just started holds no replay windows, so a recorded packet would be as good as a
new one. Hence nothing is read from a process that hasn't answered a nonce drawn here:

    A                                       B
    sealed (ping)               ------>     an unknown salt: unreadable
                                <------     challenge: nonce b, and which packet it is about
    proof of b: nonce a, ping   ------>     A is admitted; the ping is read
    B is admitted               <------     proof of a: ack
    sealed (…)                  <----->     28 bytes above clear from here on

So a restart of either side costs one round trip, and its first ping is answered. No step is worth
anything to someone who replays it:

* A challenge is answered once, and only if it names a packet that this process sent to that node
  lately. It is no longer than that packet (which is padded), so it can't be used to flood anyone.
* A proof is bound to the nonce it answers, and a nonce serves once. What was sealed before the
  proof isn't read afterwards either: it is challenged, too.
* The packets that couldn't be read are sent again by their sender, in and after the proof. The
  receiver keeps nothing of them: released by an honest proof, a held recording would be read.

All of it is sealed under the key of the ring under which the other side has just spoken, so that
it works in the middle of a rotation. What isn't an answer goes under the ring's first key.

An unknown key id is answered by a hint in clear (form 5), which makes the other side look for the
keyring where it is kept (``gossip.events.KeyUnknown``), and never changes what is sent.
"""

import math
import random
from typing import NamedTuple

from gossip import limits
from gossip.address import Address
from gossip.admission import Admissions
from gossip.challenge import Challenges
from gossip.counters import Counters
from gossip.effects import Effect, SendDatagram
from gossip.hints import KeyHints, hinted
from gossip.identity import WireId
from gossip.keyring import Keyring
from gossip.recent import Recent, Sent
from gossip.seal import NO_NONCE, NONCE_BYTES, SALT_BYTES, Envelope, Seal, counter_end, salt_id
from gossip.wire import (
    CHALLENGE,
    PROOF,
    SEALED,
    SPOKEN,
    UNKNOWN_KEY,
    Header,
    Rejected,
    Versions,
    encode_header,
    pad,
)


class Opened(NamedTuple):
    """What became of a sealed packet or frame."""

    body: bytes | None
    """Its parts; None when it was a step of the conversation and held none."""
    effects: tuple[Effect, ...] = ()
    """What is to be sent or told in turn."""
    refused: str = ""
    """The counter of the reason why it isn't read; on a stream, nothing that follows would be."""


class Debt(NamedTuple):
    """A nonce that another node waits to have answered."""

    nonce: bytes
    key_id: bytes
    source: Address


class Sessions:
    """Seals the packets of this process, and opens those of others. ``stream_sessions`` shares its
    parts to do the same for frames."""

    def __init__(
        self,
        keyring: Keyring,
        wire: WireId,
        cluster: bytes,
        binding: bytes,
        rng: random.Random,
        counters: Counters,
        now: float,
        versions: Versions = SPOKEN,
    ) -> None:
        self._wire = wire
        self._versions = versions
        self._cluster = cluster
        self._counters = counters
        self.challenges = Challenges(rng)
        self._rng = rng
        self.seal = Seal(keyring, wire, binding, self._draw_salt())
        self.admissions = Admissions(self.seal)
        self.hints = KeyHints(wire, cluster, self.seal, counters, versions)
        self._recent = Recent()
        self._debts: dict[WireId, Debt] = {}
        self._answered: dict[WireId, bytes] = {}
        """Who was last proved to, and which nonce: both sides may ask at once."""
        self.now = now
        """Of the last input: the age of what is sent is told by it, to within one probe."""
        self.last_key_id = b""
        """The key under which the envelope was sealed that was read last."""

    @property
    def keyring(self) -> Keyring:
        return self.seal.keyring

    def adopt(self, keyring: Keyring) -> None:
        """Go over to a keyring: at once, whatever is under way."""
        self.seal.adopt(keyring)
        self.admissions.adopt()

    def overhead(self, receiver: WireId) -> int:
        """Bytes that sealing adds to the next packet for a node."""
        return limits.PROOF_BYTES if receiver in self._debts else limits.SEAL_BYTES

    def packet(
        self, address: Address, receiver: WireId, body: bytes, under: bytes | None = None
    ) -> bytes:
        """Seal a packet: an answer owed goes with it."""
        debt = self._debts.pop(receiver, None)
        if debt is not None:
            return self._prove(address, receiver, debt.nonce, body, debt.key_id)
        padded = pad(body, limits.SEALED_BODY_BYTES_MIN)
        data = self.seal_as(SEALED, receiver, padded, under=under)
        self._recent.add(self.seal.counter, Sent(receiver, address, body, self.now))
        return data

    def open(self, header: Header, data: bytes, source: Address, now: float) -> Opened:
        """Read a packet, or take the next step of the conversation. Raises Rejected."""
        self.now = now
        if header.form == UNKNOWN_KEY:
            return self._hinted(header, data, source)
        envelope = self.seal.take_apart(header, data, limits.HEADER_BYTES, frame=False)
        if not self.seal.knows(envelope.key_id):
            return Opened(None, self._unknown_key(envelope, source), "dropped_unknown_key")
        if header.form == CHALLENGE:
            return Opened(None, self._challenged(envelope))
        if header.form == PROOF:
            return Opened(self._proved(envelope, source))
        if header.form == SEALED and header.receiver:
            return self._read(envelope, source, len(data))
        # A packet to whoever is there could be delivered to everybody else, too, and at any time.
        raise Rejected("dropped_garbage" if header.receiver else "dropped_receiver")

    def settle(self) -> list[SendDatagram]:
        """Answers owed that no packet took along. To be called after every input."""
        sent: list[SendDatagram] = []
        for receiver, debt in self._debts.items():
            proof = self._prove(debt.source, receiver, debt.nonce, b"", debt.key_id)
            sent.append(SendDatagram(debt.source, proof))
        self._debts.clear()
        return sent

    def seal_as(
        self,
        form: int,
        receiver: WireId,
        plain: bytes,
        *,
        frame: bool = False,
        under: bytes | None = None,
        question: int = 0,
        answering: bytes = b"",
    ) -> bytes:
        """An envelope of some form, with its header."""
        if self.seal.exhausted:
            # To the others this is a new process: it is challenged, and answers.
            self.seal.renew(self._draw_salt())
            self._recent.clear()
        header = encode_header(form, self._cluster, self._wire, receiver, self._versions)
        return self.seal.seal(
            form, header, receiver, plain, frame=frame, under=under, question=question,
            answering=answering,
        )  # fmt: skip

    def _read(self, envelope: Envelope, source: Address, size: int) -> Opened:
        admitted = self.admissions.find(envelope)
        if admitted is None:
            return self._challenge(envelope, source, size)
        body, freshness = self.admissions.open(admitted, envelope, frame=False)
        if freshness == "unproven":
            return self._challenge(envelope, source, size)
        if freshness != "new":
            raise Rejected("dropped_replayed")
        self.last_key_id = envelope.key_id
        return Opened(body)

    def _challenge(self, envelope: Envelope, source: Address, size: int) -> Opened:
        effects: tuple[Effect, ...] = ()
        if size < limits.CHALLENGE_BYTES:
            self._counters.add("amplification_prevented")
        else:
            nonce = self.challenges.ask(envelope.sender, envelope.salt, self.now)
            if nonce is not None:
                self._counters.add("challenges")
                challenge = self.seal_as(
                    CHALLENGE, envelope.sender, nonce,
                    under=envelope.key_id, question=envelope.counter,
                )  # fmt: skip
                effects = (SendDatagram(source, challenge),)
        return Opened(None, effects, "dropped_unproven")

    def _challenged(self, envelope: Envelope) -> tuple[Effect, ...]:
        """Prove ourselves, and send again what couldn't be read, to where it went before."""
        receiver = envelope.sender
        question = self.seal.counter - counter_end(self.seal.counter - envelope.question)
        packet = self._recent.get(question, receiver, self.now)
        if packet is None or packet.answered:
            raise Rejected("challenges_unexpected")
        admitted = self.admissions.find(envelope)
        if admitted is None:
            nonce = self.admissions.open_stranger(envelope)
        else:
            nonce, freshness = self.admissions.open(admitted, envelope, frame=False)
            if freshness != "new":
                raise Rejected("dropped_replayed")
        if len(nonce) != NONCE_BYTES:
            raise Rejected("dropped_garbage")
        asking = NO_NONCE
        if admitted is None:
            asking = self.challenges.nonce(receiver, salt_id(envelope.salt), self.now)
        self._counters.add("challenges_answered")
        first, *others = self._recent.take_again(question, receiver)
        address = packet.address
        sent = [self._prove(address, receiver, nonce, first, envelope.key_id, asking)]
        sent += [self.packet(address, receiver, body) for body in others]
        return tuple(SendDatagram(address, data) for data in sent)

    def _prove(
        self,
        address: Address,
        receiver: WireId,
        nonce: bytes,
        body: bytes,
        key_id: bytes,
        asking: bytes = NO_NONCE,
    ) -> bytes:
        self._answered.pop(receiver, None)
        while len(self._answered) >= limits.CHALLENGES_MAX:
            del self._answered[next(iter(self._answered))]
        self._answered[receiver] = nonce
        data = self.seal_as(PROOF, receiver, asking + body, under=key_id, answering=nonce)
        self._recent.add(self.seal.counter, Sent(receiver, address, body, self.now, proof=True))
        return data

    def _proved(self, envelope: Envelope, source: Address) -> bytes:
        sender, short = envelope.sender, salt_id(envelope.salt)
        admitted = self.admissions.find(envelope)
        fresh = self.challenges.outstanding(sender, short, self.now)
        if fresh is None and admitted is None:
            raise Rejected("dropped_unproven")
        if admitted is None:
            assert fresh is not None
            plain = self.admissions.open_stranger(envelope, fresh)
            self._counters.add("salts_admitted")
            self.admissions.admit(envelope, fresh, self.now)
        else:
            # Two proofs of one nonce may be under way, each with a packet of its own.
            nonce = admitted.nonce if fresh is None else fresh
            plain, freshness = self.admissions.open(
                admitted, envelope, frame=False, answering=nonce
            )
            if freshness == "seen" or (freshness != "new" and fresh is None):
                raise Rejected("dropped_replayed")
            drawn_at = -math.inf if fresh is None else self.challenges.drawn_at(sender, short)
            if freshness == "unproven" and drawn_at > admitted.at:
                # No process goes back in its counter: another one was admitted in its name, by
                # somebody who has, or had, a key.
                self.admissions.admit(envelope, nonce, self.now)
        if len(plain) < NONCE_BYTES:
            raise Rejected("dropped_garbage")
        self.challenges.answered(sender, short)
        asked = plain[:NONCE_BYTES]
        if asked not in (NO_NONCE, self._answered.get(sender)):
            self._debts[sender] = Debt(asked, envelope.key_id, source)
        self.last_key_id = envelope.key_id
        return plain[NONCE_BYTES:]

    def _unknown_key(self, envelope: Envelope, source: Address) -> tuple[Effect, ...]:
        effects: list[Effect] = [*self.hints.unknown(envelope.key_id, self.now)]
        if self.hints.may_answer(source, self.now):
            effects.append(SendDatagram(source, self.hints.hint(envelope)))
        return tuple(effects)

    def _hinted(self, header: Header, data: bytes, source: Address) -> Opened:
        key_id, counter = hinted(data)
        packet = self._recent.get(counter, header.sender, self.now)
        if packet is None or packet.address != source or not self.seal.knows(key_id):
            raise Rejected("hints_unexpected")
        return Opened(None, (*self.hints.unknown(key_id, self.now),))

    def _draw_salt(self) -> bytes:
        return self._rng.getrandbits(8 * SALT_BYTES).to_bytes(SALT_BYTES, "big")
