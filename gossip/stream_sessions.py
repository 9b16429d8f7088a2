"""The same conversation on streams, where nothing need be sent twice to a known process.

    opener                                    acceptor
    asking: nonce a, question     ------>     admitted: reads it
                                  <------     proof of a: answer
    sealed                        <----->     sealed, while the stream lives

    asking: nonce a, question     ------>     an unknown salt: unreadable
                                  <------     challenge: nonce b
    proof of b: nonce a, question ------>     the opener is admitted; reads it
                                  <------     proof of a: answer

Who opens a stream always asks, so an answer can't be a recording, and a peer that restarted is
admitted on the way. A question to whoever is there, as to a seed, could be a recording of what went
to another node: it is challenged in any case. An acceptor challenges once per stream. Admissions
are those of packets. The opener keeps its question until it is answered.
"""

from gossip import limits
from gossip.counters import Counters
from gossip.effects import Effect, SendFrame
from gossip.hints import hinted
from gossip.identity import WireId
from gossip.seal import NO_NONCE, NONCE_BYTES, Envelope, counter_end
from gossip.sessions import Opened, Sessions
from gossip.wire import ASKING, CHALLENGE, PROOF, SEALED, UNKNOWN_KEY, Header, Rejected


class _Conversation:
    """What is open on one stream."""

    __slots__ = ("challenged", "counter", "debt", "key_id", "nonce", "question")

    def __init__(self, nonce: bytes, question: bytes | None) -> None:
        self.nonce: bytes | None = nonce
        """Ours, until it is answered."""
        self.question = question
        """On an opened stream: what to say again when challenged."""
        self.counter = 0
        """Of the frame that asked it."""
        self.challenged = False
        """A challenge was sent, or answered."""
        self.debt: bytes | None = None
        """The opener's nonce, until it is answered."""
        self.key_id: bytes | None = None
        """The key under which to answer it."""


class StreamSessions:
    """Seals and opens the frames of streams."""

    def __init__(self, sessions: Sessions, counters: Counters) -> None:
        self._sessions = sessions
        self._counters = counters
        self._conversations: dict[int, _Conversation] = {}

    def __len__(self) -> int:
        return len(self._conversations)

    def opening(self, stream: int, receiver: WireId, body: bytes) -> bytes:
        """The first frame on a stream that is to be opened."""
        nonce = self._sessions.challenges.draw()
        conversation = self._conversations[stream] = _Conversation(nonce, body)
        data = self._sessions.seal_as(ASKING, receiver, nonce + body, frame=True)
        conversation.counter = self._sessions.seal.counter
        return data

    def frame(self, stream: int, receiver: WireId, body: bytes) -> bytes:
        """A later frame, or the answer on an accepted stream."""
        conversation = self._conversations.get(stream)
        if conversation is None or conversation.debt is None:
            return self._sessions.seal_as(SEALED, receiver, body, frame=True)
        debt, conversation.debt = conversation.debt, None
        return self._sessions.seal_as(
            PROOF, receiver, NO_NONCE + body,
            frame=True, under=conversation.key_id, answering=debt,
        )  # fmt: skip

    def forget(self, stream: int) -> None:
        """The stream is closed."""
        self._conversations.pop(stream, None)

    def open(
        self, header: Header, data: bytes, stream: int, now: float, *, accepted: bool
    ) -> Opened:
        """Read a frame, or take the next step of the conversation. Raises Rejected."""
        sessions = self._sessions
        sessions.now = now
        conversation = self._conversations.get(stream)
        if header.form == UNKNOWN_KEY:
            return self._hinted(conversation, data)
        envelope = sessions.seal.take_apart(header, data, limits.HEADER_BYTES, frame=True)
        if not sessions.seal.knows(envelope.key_id):
            effects: list[Effect] = [*sessions.hints.unknown(envelope.key_id, now)]
            if accepted:
                effects.append(SendFrame(stream, sessions.hints.hint(envelope)))
            return Opened(None, tuple(effects), "dropped_unknown_key")
        if header.form == CHALLENGE:
            return self._challenged(conversation, envelope, stream)
        if header.form == PROOF:
            return self._proved(conversation, envelope, accepted=accepted)
        if not header.receiver:
            return self._challenge(envelope, stream, accepted=accepted)
        return self._read(envelope, stream, accepted=accepted)

    def _read(self, envelope: Envelope, stream: int, *, accepted: bool) -> Opened:
        admissions = self._sessions.admissions
        admitted = admissions.find(envelope)
        if admitted is None:
            return self._challenge(envelope, stream, accepted=accepted)
        plain, freshness = admissions.open(admitted, envelope, frame=True)
        if freshness in ("unproven", "late"):
            # A frame may be long under way. Whether this is one, only its sender knows.
            return self._challenge(envelope, stream, accepted=accepted)
        if freshness == "seen":
            raise Rejected("dropped_replayed")
        self._sessions.last_key_id = envelope.key_id
        if envelope.form == SEALED:
            return Opened(plain)
        if not accepted or len(plain) < NONCE_BYTES:
            raise Rejected("dropped_garbage")
        self._owe(stream, plain[:NONCE_BYTES], envelope)
        return Opened(plain[NONCE_BYTES:])

    def _challenge(self, envelope: Envelope, stream: int, *, accepted: bool) -> Opened:
        if not accepted or stream in self._conversations:
            raise Rejected("dropped_unproven")
        self._counters.add("challenges")
        nonce = self._sessions.challenges.draw()
        self._conversations[stream] = _Conversation(nonce, None)
        challenge = self._sessions.seal_as(
            CHALLENGE, envelope.sender, nonce,
            frame=True, under=envelope.key_id, question=envelope.counter,
        )  # fmt: skip
        return Opened(None, (SendFrame(stream, challenge),))

    def _challenged(
        self, conversation: _Conversation | None, envelope: Envelope, stream: int
    ) -> Opened:
        """Prove ourselves, and ask again."""
        if (
            conversation is None
            or conversation.question is None
            or conversation.nonce is None
            or conversation.challenged
            or counter_end(conversation.counter) != envelope.question
        ):
            raise Rejected("challenges_unexpected")
        # It names the frame that was sealed for this stream alone, so it is fresh in any case.
        nonce = self._sessions.admissions.open_stranger(envelope)
        if len(nonce) != NONCE_BYTES:
            raise Rejected("dropped_garbage")
        self._counters.add("challenges_answered")
        conversation.challenged = True
        proof = self._sessions.seal_as(
            PROOF, envelope.sender, conversation.nonce + conversation.question,
            frame=True, under=envelope.key_id, answering=nonce,
        )  # fmt: skip
        return Opened(None, (SendFrame(stream, proof),))

    def _proved(
        self, conversation: _Conversation | None, envelope: Envelope, *, accepted: bool
    ) -> Opened:
        if conversation is None or conversation.nonce is None:
            raise Rejected("dropped_unproven")
        admissions = self._sessions.admissions
        admitted = admissions.find(envelope)
        if admitted is None:
            plain = admissions.open_stranger(envelope, conversation.nonce)
            self._counters.add("salts_admitted")
            admissions.admit(envelope, conversation.nonce, self._sessions.now)
        else:
            # It answers a nonce of this stream: new, whatever the window says.
            plain, _ = admissions.open(admitted, envelope, frame=True, answering=conversation.nonce)
        if len(plain) < NONCE_BYTES:
            raise Rejected("dropped_garbage")
        conversation.nonce = conversation.question = None
        self._sessions.last_key_id = envelope.key_id
        if accepted and plain[:NONCE_BYTES] != NO_NONCE:
            conversation.debt, conversation.key_id = plain[:NONCE_BYTES], envelope.key_id
        return Opened(plain[NONCE_BYTES:])

    def _owe(self, stream: int, nonce: bytes, envelope: Envelope) -> None:
        conversation = self._conversations.get(stream)
        if conversation is None:
            conversation = self._conversations[stream] = _Conversation(nonce, None)
            conversation.nonce = None
        conversation.debt, conversation.key_id = nonce, envelope.key_id

    def _hinted(self, conversation: _Conversation | None, data: bytes) -> Opened:
        key_id, counter = hinted(data)
        sessions = self._sessions
        if (
            conversation is None
            or conversation.question is None
            or conversation.counter != counter
            or not sessions.seal.knows(key_id)
        ):
            raise Rejected("hints_unexpected")
        effects = tuple(sessions.hints.unknown(key_id, sessions.now))
        return Opened(None, effects, "dropped_unknown_key")
