"""The channel between agent and worker: in whatever pieces bytes arrive, the same frames come out,
and the same error ends them. Frames that were taken read the same when they are written again."""

from collections.abc import Iterable

from node import channel
from node.channel import ChannelError, Decoder, Frame, encode
from tests.fuzz.cutting import pieces, planned, uncut
from tests.fuzz.target import Target

VERSION = (1, 2**64 - 1, 7)
ROW = ("services", "0c3f4b52-4d0a-4b2e-9a55-6a3c0a4f6f11", '{"host":"h"}')
EVERY: list[Frame] = [
    channel.Configure({"a": [1, "b", None, {"c": True}]}),
    channel.Snapshot(VERSION, (ROW,), last=False, first=True),
    channel.Apply(VERSION, (ROW, ("routes", "x", None))),
    channel.Part(VERSION, (ROW,), 3, last=True, first=False),
    channel.Audit((ROW,), {"services": 1}),
    channel.Listen(),
    channel.Listening(),
    channel.Drain(None),
    channel.Drain(2.5),
    channel.Kept(b"fill", VERSION),
    channel.Told(1, None, ()),
    channel.Told(1, VERSION, (("id", "{}"),)),
    channel.Ask(1, "consumers", "username", "u"),
    channel.Purge("cache", 1, "key", VERSION),
    channel.Peek(1, "key"),
    channel.Peeked(1, None),
    channel.Peeked(1, ("{}",)),
    channel.Judged((("u", "t", "h", 80, 1),)),
    channel.Doubted("u", "t", "h", 80, 2.0),
    channel.Observed((("u", "t", "h", 80, 1, True),)),
    channel.Level("debug"),
    channel.Ready(77),
    channel.Applied(VERSION, 1.5),
    channel.Differs("services"),
    channel.Stats({"total_requests": 1}),
    channel.Labelled({"a{b}": 1}),
]


def attack(data: bytes) -> None:
    """A plan of pieces, then what arrives."""
    plan, stream = planned(data)
    frames, ended = _read([stream])
    assert (frames, ended) == _read(pieces(plan, stream))
    assert _read([frames]) == (frames, "")


def _read(arriving: Iterable[bytes]) -> tuple[bytes, str]:
    """The frames, written again (of what is no number none equals another), and what ended them."""
    decoder, frames = Decoder(), list[Frame]()
    try:
        for piece in arriving:
            for frame in decoder.feed(piece):
                _is_of_use(frame)
                frames.append(frame)
    except ChannelError as error:
        return b"".join(map(encode, frames)), str(error)
    return b"".join(map(encode, frames)), ""


def _is_of_use(frame: Frame) -> None:
    """What the agent does with some of what workers tell."""
    if isinstance(frame, channel.Stats | channel.Labelled):
        assert sum(frame.counters.values()) is not None
        assert all(name.encode("utf-8", "surrogatepass") for name in frame.counters if name)
    elif isinstance(frame, channel.Applied):
        assert frame.version < (2**65, 0, 0)
    elif isinstance(frame, channel.Observed):
        assert all(
            port + result + doubted >= -(2**70) for *_, port, result, doubted in frame.results
        )


TARGET = Target(
    attack,
    seeds=[*uncut(*map(encode, EVERY)), b"\3\5\1\x09" + b"".join(map(encode, EVERY[:4]))],
    words=[b"\x05\0\0\0", b"\x05\0\0\1", b"\xc0", b"\xdf\xff\xff\xff\xff", b"\xdd\0\xff\xff\xff"],
)
