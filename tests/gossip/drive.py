"""Driving one core by hand: packets in and effects out, as messages instead of bytes."""

import random
from dataclasses import replace
from typing import TypeVar

from gossip import limits
from gossip.address import Address
from gossip.core import Gossip
from gossip.effects import Effect, Notify, OpenStream, SendDatagram, SendFrame
from gossip.events import Event
from gossip.identity import NOBODY, Identity, WireId, wire_id
from gossip.keyring import Keyring
from gossip.member import MemberView, Metadata, Status
from gossip.messages import Message
from gossip.messages.membership import Ack, Alive, Ping, Verdict
from gossip.profiles import LAN, Profile
from gossip.wire import (
    CLEAR,
    cluster_digest,
    decode_header,
    decode_parts,
    encode_header,
    encode_parts,
)
from simulations.authority import EntityReplica, LogAuthority, LogReplica

CLUSTER = "test"
PROFILE = replace(LAN, reconnect_interval=1e6, join_retry_min=1e6, push_pull_interval=1e6)
"""LAN without the periodic push-pulls, which would come in between."""

AnyMessage = TypeVar("AnyMessage", bound=Message)
AnyEffect = TypeVar("AnyEffect", bound=Effect)
AnyEvent = TypeVar("AnyEvent", bound=Event)


def node_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def wire(number: int) -> WireId:
    return wire_id(node_id(number))


def address(number: int) -> Address:
    return f"10.0.0.{number}", 8005


def metadata(name: str) -> Metadata:
    return Metadata(name, "traditional", "", "1.0", "", "")


def alive(number: int, incarnation: int = 1, generation: int = 1, *, at: int = 0) -> Alive:
    """Node ``number``'s word that it lives, at its own address unless ``at`` another's."""
    where = address(at or number)
    name = metadata(f"node-{number}")
    return Alive(node_id(number), generation, number, incarnation, where, name)


def verdict(
    number: int, status: Status, incarnation: int = 1, generation: int = 1, *, by: int = 9
) -> Verdict:
    return Verdict(node_id(number), generation, incarnation, status, node_id(by))


def packet(sender: int, *messages: Message, receiver: int = 1, cluster: str = CLUSTER) -> bytes:
    """What node ``sender`` puts on the wire."""
    to = wire(receiver) if receiver else NOBODY
    header = encode_header(CLEAR, cluster_digest(cluster), wire(sender), to)
    return header + encode_parts(messages)


def read(data: bytes) -> tuple[Message, ...]:
    decode_header(data)
    return decode_parts(data[limits.HEADER_BYTES :], limits.FRAME_PARTS_MAX).messages


class Driver:
    """One node, the first unless told otherwise, and a test that plays all others."""

    def __init__(
        self,
        profile: Profile = PROFILE,
        keyring: Keyring | None = None,
        number: int = 1,
        replica: LogReplica | None = None,
        holds: EntityReplica | None = None,
    ) -> None:
        self.now = 100.0
        self.number = number
        self.authority = LogAuthority()
        self.replica = replica or LogReplica()
        self.holds = holds
        self.core = Gossip(
            Identity(node_id(number), 1, number),
            metadata(f"node-{number}"),
            address(number),
            CLUSTER,
            profile,
            holds or self.replica,
            random.Random(number),
            self.now,
            keyring=keyring,
        )
        self.core.start(self.now)
        self.effects: list[Effect] = []

    def receive(self, sender: int, *messages: Message, receiver: int | None = None) -> None:
        """A packet from node ``sender`` arrives."""
        self.effects = []
        to = self.number if receiver is None else receiver
        data = packet(sender, *messages, receiver=to)
        self.core.datagram_received(data, address(sender), self.now)
        self.effects += self.core.effects()

    def meet(self, *numbers: int) -> None:
        """Let these nodes introduce themselves."""
        for number in numbers:
            self.receive(number, alive(number))

    def receive_table(self, sender: int, *messages: Message) -> None:
        """A frame from node ``sender`` arrives on a stream that it opened."""
        self.core.stream_accepted(1, address(sender), self.now)
        self.core.frame_received(1, packet(sender, *messages), self.now)
        self.core.stream_closed(1, self.now)
        self.effects = self.core.effects()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, punctually calling ``advance``."""
        end = self.now + seconds
        self.effects = []
        while (deadline := self.core.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.core.advance(self.now)
            self.effects += self.core.effects()
        self.now = end

    def pass_time_answering(self, seconds: float, *numbers: int) -> None:
        """Let time pass while these nodes answer every probe."""
        end = self.now + seconds
        answering = {address(number): number for number in numbers}
        effects: list[Effect] = []
        while (deadline := self.core.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.core.advance(self.now)
            self.effects = self.core.effects()
            effects += self.effects
            for where, message in self.sent(Ping):
                if where in answering:
                    self.receive(answering[where], Ack(message.sequence))
                    effects += self.effects
        self.now = end
        self.effects = effects

    def sent(self, kind: type[AnyMessage]) -> list[tuple[Address, AnyMessage]]:
        """Messages of a kind in the packets sent by the last input, with where they went."""
        return [
            (effect.address, message)
            for effect in self.effects
            if isinstance(effect, SendDatagram)
            for message in read(effect.data)
            if isinstance(message, kind)
        ]

    def framed(self, kind: type[AnyMessage]) -> list[AnyMessage]:
        """Messages of a kind in the frames sent by the last input."""
        return [
            message
            for effect in self.effects
            if isinstance(effect, OpenStream | SendFrame)
            for message in read(effect.frame)
            if isinstance(message, kind)
        ]

    def done(self, kind: type[AnyEffect]) -> list[AnyEffect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def events(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        return [
            effect.event
            for effect in self.effects
            if isinstance(effect, Notify) and isinstance(effect.event, kind)
        ]

    def member(self, number: int) -> MemberView | None:
        for member in self.core.members(self.now):
            if member.id == node_id(number):
                return member
        return None

    def status(self, number: int) -> str | None:
        member = self.member(number)
        return None if member is None else member.status
