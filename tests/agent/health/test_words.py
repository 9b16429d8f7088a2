"""What nodes tell each other of targets' health, written and read."""

import msgpack
import pytest

from gossip.limits import OBSERVATION_BYTES_MAX
from node.agent.health.limits import WORDS_PER_OBSERVATION_MAX
from node.agent.health.words import Kind, NoWords, Words, bodies, read, write
from tests.proxy.health.upstreams import address

V6 = address(1, host="2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", port=65535)
GOOD = msgpack.unpackb(write(Words(Kind.PROBED, ((V6, True),))))


def test_words_come_out_as_they_went_in() -> None:
    words = Words(Kind.SERVED, ((address(1), False), (V6, True)))
    assert read(write(words)) == words


def test_many_words_take_several_observations_each_within_its_bound() -> None:
    said = [(V6._replace(port=1 + number), True) for number in range(25)]
    written = list(bodies(Kind.PROBED, said))
    assert all(len(body) <= OBSERVATION_BYTES_MAX for body in written)
    assert [one for body in written for one in read(body).said] == said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgpack.packb(7),
        msgpack.packb([7, []]),
        msgpack.packb([0, GOOD[1] * (WORDS_PER_OBSERVATION_MAX + 1)]),
        msgpack.packb([0, [[*GOOD[1][0][:4], 1]]]),
        msgpack.packb([0, [[*GOOD[1][0][:3], 0, True]]]),
        msgpack.packb([0, [[*GOOD[1][0][:2], "10.0.0.1", 80, True]]]),
        msgpack.packb([0, [[*GOOD[1][0][:2], 5, 80, True]]]),
        msgpack.packb([0, [[b"short", *GOOD[1][0][1:]]]]),
        msgpack.packb([0, [[]]]),
    ],
)
def test_what_is_no_word_is_refused(body: bytes) -> None:
    with pytest.raises(NoWords):
        read(body)
