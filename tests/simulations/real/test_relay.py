"""What the relay does to packets and streams between two nodes."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from simulations.real.relay import FAIR, Relay, Weather, free_port

HOST = "127.0.0.1"
PACKETS = 200


@dataclass
class Pair:
    """Two nodes' own sockets, and a relay between them."""

    relay: Relay
    one: socket.socket
    other: socket.socket
    advertised: dict[int, tuple[str, int]]

    async def send(self, data: bytes) -> None:
        """From node 1 to where node 2 is reached."""
        await asyncio.get_running_loop().sock_sendto(self.one, data, self.advertised[2])

    async def receive(self) -> tuple[bytes, tuple[str, int]]:
        """What comes to node 2 next, and as if from where."""
        async with asyncio.timeout(10):
            return await asyncio.get_running_loop().sock_recvfrom(self.other, 2_000)


def bound() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind((HOST, 0))
    return made


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    relay = Relay(random.Random(7))
    one, other = bound(), bound()
    advertised = {}
    with one, other:
        for number, home in ((1, one), (2, other)):
            advertised[number] = (HOST, free_port(HOST))
            await relay.lay(number, home.getsockname(), advertised[number])
        yield Pair(relay, one, other, advertised)
        await relay.close()


async def test_a_packet_arrives_as_if_from_its_senders_advertised_port(pair: Pair) -> None:
    await pair.send(b"hello")
    assert await pair.receive() == (b"hello", pair.advertised[1])


async def test_what_nobody_known_sends_is_counted_and_dropped(pair: Pair) -> None:
    with bound() as stranger:
        stranger.sendto(b"who", pair.advertised[2])
        await pair.send(b"hello")
        assert (await pair.receive())[0] == b"hello"
    assert pair.relay.happened["packets from nobody"] == 1


async def test_packets_are_lost_while_the_weather_is_bad_and_no_longer(pair: Pair) -> None:
    pair.relay.blow(Weather(loss=1.0), [1])
    await pair.send(b"lost")
    while not pair.relay.happened["packets lost"]:
        await asyncio.sleep(0)
    pair.relay.blow(FAIR, [1])
    await pair.send(b"hello")
    assert (await pair.receive())[0] == b"hello"


async def test_packets_are_doubled_and_damaged(pair: Pair) -> None:
    pair.relay.blow(Weather(duplication=1.0), [2])
    await pair.send(b"twice")
    assert [(await pair.receive())[0] for _ in range(2)] == [b"twice", b"twice"]
    pair.relay.blow(Weather(corruption=1.0), [2])
    await pair.send(bytes(100))
    assert (await pair.receive())[0] != bytes(100)


async def test_packets_that_are_held_back_are_overtaken(pair: Pair) -> None:
    pair.relay.blow(Weather(delay=0.5, delay_max=0.2), [1, 2])
    order = [b"%d" % number for number in range(PACKETS)]
    for data in order:
        await pair.send(data)
        await asyncio.sleep(0)
    came = [(await pair.receive())[0] for _ in range(PACKETS)]
    assert sorted(came) == sorted(order)
    assert came != order


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1_000):
        writer.write(data)
    writer.close()


@pytest.mark.parametrize(
    ("weather", "outcome"),
    [
        (FAIR, "same"),
        (Weather(stream_corruption=1.0), "other"),
        (Weather(stream_reset=1.0), "reset"),
    ],
)
async def test_a_stream_passes_whole_damaged_or_is_reset(weather: Weather, outcome: str) -> None:
    relay = Relay(random.Random(7))
    server = await asyncio.start_server(echo, HOST, 0)
    advertised = (HOST, free_port(HOST))
    await relay.lay(1, server.sockets[0].getsockname(), advertised)
    relay.blow(weather, [1])
    reader, writer = await asyncio.open_connection(*advertised)
    sent = bytes(range(256))
    try:
        writer.write(sent)
        writer.write_eof()
        async with asyncio.timeout(10):
            came = await reader.read()
        assert outcome == ("same" if came == sent else "other")
    except ConnectionResetError:
        assert outcome == "reset"
    finally:
        writer.close()
        await relay.close()
        server.close()
