"""The verdict on a history, carried out: what is read, asked, raised, and told to who waits."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence

import pytest

from node.agent.histories import AuthoritySplit, Histories
from store.authority import Committed
from store.changeset import Changeset
from store.errors import AuthorityUnavailable
from store.history import Epoch, Server, Standing
from store.off import NoAuthority
from store.replica import Replica
from store.verdict import Stance
from store.version import Head, Version

HERE, THERE = Server("10.0.0.1:5432", 1), Server("10.0.0.2:5432", 2)
CONFIRMED = Head(Version(1, 7, 12), b"c" * 32)
LEFT = Head(Version(1, 7, 10), b"l" * 32)
RAISED = Head(Version(2, 9, 11), b"r" * 32)
LACKS = Standing(LEFT, HERE, "below")


class HasLost(NoAuthority):
    """An authority that lacks the newest commits."""

    def __init__(self) -> None:
        self.readings = 0
        self.raises: list[Head] = []
        self.away = False

    async def standing(self, confirmed: Head) -> Standing:
        self.readings += 1
        if self.away:
            raise AuthorityUnavailable("gone")
        return LACKS

    async def raise_epoch(
        self,
        confirmed: Head,
        *,
        origin: str,
        known: Sequence[Head] = (),
        epochs: Sequence[Epoch] = (),
        forced: bool = False,
    ) -> Committed:
        if self.away:
            raise AuthorityUnavailable("gone")
        self.raises.append(confirmed)
        return Committed(RAISED, Changeset(RAISED.version, LEFT.digest, RAISED.digest, b""), ())


class Case:
    """A node's part, and what it did."""

    def __init__(self) -> None:
        self.authority = HasLost()
        self.members: list[str] = []
        self.asked: list[Stance] = []
        self.answers: list[tuple[str, int, Stance | None]] = []
        self.raised: list[Committed] = []
        self.lost: list[str] = []
        self.other: str = ""
        """Why the authority isn't the one it was."""
        self.histories = Histories(
            self.authority,
            lambda: "n",
            lambda: CONFIRMED,
            Replica("a"),
            self._still_ours,
            self._ask,
            lambda *answer: self.answers.append(answer),
            lambda: 1 + len(self.members),
            self.raised.append,
            self.lost.append,
            random.Random(1),
        )

    async def _still_ours(self) -> None:
        if self.other:
            raise AuthorityUnavailable(self.other)

    def _ask(self, at_least: Version, mine: Stance) -> list[str]:
        self.asked.append(mine)
        return self.members


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    case = Case()
    running = asyncio.create_task(case.histories.run())
    yield case
    running.cancel()
    await asyncio.wait({running})


async def test_a_write_that_found_proof_waits_until_the_epoch_is_raised(case: Case) -> None:
    await case.histories.settle(LACKS, CONFIRMED, to_write=True)
    assert case.authority.raises == [CONFIRMED]
    assert [committed.head for committed in case.raised] == [RAISED]


async def test_nothing_is_asked_or_raised_at_another_authority(case: Case) -> None:
    case.other = "authority changed: …"
    with pytest.raises(AuthorityUnavailable, match="authority changed"):
        await case.histories.settle(LACKS, CONFIRMED, to_write=True)
    assert (case.asked, case.authority.raises) == ([], [])


async def test_nothing_is_concluded_before_others_were_met(case: Case) -> None:
    case.histories.has_met = lambda: False
    with pytest.raises(AuthorityUnavailable, match="no other node has been met yet"):
        await case.histories.settle(LACKS, CONFIRMED, to_write=True)
    assert (case.asked, case.authority.raises) == ([], [])
    case.histories.has_met = lambda: True
    await case.histories.settle(LACKS, CONFIRMED, to_write=True)
    assert case.authority.raises == [CONFIRMED]


async def test_where_somebody_has_it_elsewhere_the_lower_side_refuses_writes(case: Case) -> None:
    case.members = ["b"]
    write = asyncio.create_task(case.histories.settle(LACKS, CONFIRMED, to_write=True))
    while not case.asked:
        await asyncio.sleep(0)
    case.histories.answered("b", Stance(THERE, CONFIRMED, CONFIRMED, True))
    with pytest.raises(AuthoritySplit, match=r"authority split: .*10\.0\.0\.1.*10\.0\.0\.2"):
        await write
    assert case.authority.raises == []
    await case.histories.settle(LACKS, CONFIRMED)  # a read goes on: what is served is served
    assert case.histories.refusal().startswith("authority split: ")


async def test_an_authority_that_is_gone_before_it_was_raised_is_told_lost(case: Case) -> None:
    case.members = ["b"]
    read = asyncio.create_task(case.histories.settle(LACKS, CONFIRMED))
    while not case.asked:
        await asyncio.sleep(0)
    case.authority.away = True
    case.histories.answered("b", None)
    await read
    assert case.lost == ["gone"]
    assert case.raised == []


async def test_one_reading_answers_all_who_ask_at_once(case: Case) -> None:
    theirs = Stance(HERE, LEFT, CONFIRMED, False)
    for number in range(5):
        case.histories.asked(f"m{number}", number, theirs)
    while len(case.answers) < 5:
        await asyncio.sleep(0)
    assert case.authority.readings == 1
    assert {answer[2] for answer in case.answers} == {Stance(HERE, LEFT, CONFIRMED, False)}
    assert case.asked == [], "who asked sees to it"


async def test_who_can_not_read_its_authority_says_so(case: Case) -> None:
    case.authority.away = True
    case.histories.asked("b", 7, Stance(THERE, LEFT, CONFIRMED, False))
    while not case.answers:
        await asyncio.sleep(0)
    assert case.answers == [("b", 7, None)]


async def test_a_server_whose_name_fits_no_packet_gets_a_short_one(case: Case) -> None:
    with contextlib.suppress(AuthorityUnavailable):
        long = Standing(LEFT, Server("/far/" * 200, 0), "below")
        await case.histories.settle(long, CONFIRMED)
    assert len(case.asked[0].server.address) == 64
