"""Repairing one replica towards another's: what is found, what is refused, what is replaced."""

import contextlib
import itertools
import random
import uuid
from collections.abc import Callable, Iterator

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip.replica import Replica as WantedByGossip
from store.authority import State
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.giving import Giving
from store.limits import CHANGES_AT_ONCE_MAX, RANGE_ENTITIES, SKETCH_SYMBOLS_MAX
from store.reconcile import Reconciliation
from store.replica import Replica
from store.version import Head, Version
from tests.store.replica_history import is_sound

IDS = [str(uuid.UUID(int=number, version=4)) for number in range(20_000)]
OLD, NEW = (Head(Version(1, 7, revision), bytes([revision]) * 32) for revision in (10, 20))

Texts = dict[tuple[str, str], str]
Answer = Callable[[bytes, bytes], bytes]
"""What the peer says to a question: its honest answer, or something else."""

texts = st.dictionaries(
    st.tuples(st.sampled_from(["routes", "services", "newer", ""]), st.sampled_from(IDS[:30])),
    st.sampled_from(["{}", '{"name":"a"}', '{"name":"b","tags":["x"]}']),
    max_size=30,
)


def holding(texts: Texts, head: Head, symbols_max: int = SKETCH_SYMBOLS_MAX) -> Replica:
    replica = Replica("a", symbols_max=symbols_max)
    replica.load(State(head, tuple(Change(*key, text) for key, text in texts.items())))
    return replica


def services(count: int, *changed: int) -> Texts:
    return {
        ("services", IDS[number]): f'{{"name":"{number}{"*" * (number in changed)}"}}'
        for number in range(count)
    }


def content(replica: Replica) -> Texts:
    return {change[:2]: change.entity or "" for change in replica.changes()}


def following(replica: Replica, *changes: Change) -> Changeset:
    head = Head(*replica.head())
    body = encode_body(Body(bytes(16), 1.0, "n", changes))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)


class Talk:
    """A replica asks a peer until it knows what to do."""

    def __init__(self, target: Replica, source: Replica, *, renew: bool = False) -> None:
        self.source = source.give()
        self.target = target.begin_reconcile(*self.source.head, self.source.state_hash, renew=renew)
        self.questions: list[list[object]] = []

    def run(self, answer: Answer = lambda question, honest: honest) -> str:
        step = self.target.proceed()
        while True:
            if isinstance(step, bytes):
                self.questions.append(msgpack.unpackb(step))
                honest = b""  # where a lie leads to a question that makes no sense
                with contextlib.suppress(ValueError):
                    honest = honest_answer(self.source, step)
                step = self.target.proceed(answer(step, honest))
            elif step == "working":
                step = self.target.proceed()
            else:
                return step

    def asked(self, name: str) -> int:
        return sum(question[0] == name for question in self.questions)


def honest_answer(source: Giving, question: bytes) -> bytes:
    while (answer := source.answer(question)) is None:
        assert source.work()
    return answer


def test_gossip_can_reconcile() -> None:
    source: WantedByGossip = holding(services(3), NEW)
    target: WantedByGossip = holding(services(2), OLD)
    assert source.digest(NEW.version) == NEW.digest
    giving = source.give()
    reconciliation = target.begin_reconcile(*giving.head, giving.state_hash, renew=False)
    assert isinstance(reconciliation.proceed(), bytes)


@given(texts, texts)
def test_what_a_peer_holds_is_held_afterwards_and_nothing_else(ours: Texts, theirs: Texts) -> None:
    target, source = holding(ours, OLD), holding(theirs, NEW)
    talk = Talk(target, source)
    assert talk.run() == "ready"
    assert content(target) == ours, "nothing is changed before the end"
    assert talk.target.finish() == "installed"
    assert (target.head(), content(target)) == (NEW, theirs)
    assert target.state_hash() == source.state_hash()
    assert target.changesets(*NEW, max_bytes=1) == []
    assert list(target.audit()) == []


def test_a_small_difference_is_changed_in_place_and_told() -> None:
    target, source = holding(services(600), OLD), holding(services(601, 7), NEW)
    talk = Talk(target, source)
    assert talk.run() == "ready"
    assert talk.target.finish() == "installed"
    applied = talk.target.applied
    assert applied is not None
    assert sorted(change.id for change in applied) == [IDS[7], IDS[600]]
    assert talk.asked("ranges") == 0


def test_a_large_difference_goes_through_a_shadow() -> None:
    changed = range(CHANGES_AT_ONCE_MAX + 1)
    target, source = holding(services(600), OLD), holding(services(600, *changed), NEW)
    talk = Talk(target, source)
    assert talk.run() == "ready"
    assert talk.target.finish() == "installed"
    assert talk.target.applied is None
    assert content(target) == content(source)


def test_a_sketch_that_shows_nothing_is_left_for_ranges() -> None:
    changed = range(0, 3_000, 30)
    ours, theirs = services(3_000), services(2_990, *changed)
    target, source = holding(ours, OLD, 20), holding(theirs, NEW)
    talk = Talk(target, source)
    assert talk.run() == "ready"
    assert talk.asked("symbols") > 1
    assert talk.asked("ranges") == 1
    assert talk.target.finish() == "installed"
    assert content(target) == theirs


@given(texts, texts)
def test_ranges_show_what_differs(ours: Texts, theirs: Texts) -> None:
    target, source = holding(ours, OLD, 0), holding(theirs, NEW)
    talk = Talk(target, source)
    assert talk.run() == "ready"
    assert talk.target.finish() == "installed"
    assert content(target) == theirs


@pytest.mark.parametrize("count", [0, 1, RANGE_ENTITIES, RANGE_ENTITIES + 1, 3 * RANGE_ENTITIES])
@pytest.mark.parametrize("other", [0, 1, RANGE_ENTITIES, 3 * RANGE_ENTITIES - 1])
def test_ranges_end_where_they_end(count: int, other: int) -> None:
    target, source = holding(services(count), OLD, 0), holding(services(other), NEW)
    talk = Talk(target, source)
    assert talk.run() == "ready"
    assert talk.target.finish() == "installed"
    assert content(target) == services(other)


def test_ranges_list_only_what_differs() -> None:
    target, source = holding(services(5_000), OLD, 0), holding(services(5_000, 2_000), NEW)
    talk = Talk(target, source)
    assert talk.run() == "ready"
    assert [q[1] for q in talk.questions if q[0] == "items"] == [[2_000 // RANGE_ENTITIES]]


@pytest.mark.parametrize(("ours", "theirs"), [(0, 2_000), (4_000, 1_000), (1_000, 4_000)])
def test_what_is_mostly_another_state_is_better_taken_whole(ours: int, theirs: int) -> None:
    talk = Talk(holding(services(ours), OLD), holding(services(theirs), NEW))
    assert talk.run() == "large"
    assert len(talk.questions) == 1, "known by the number of entities"


def test_a_state_of_which_a_large_part_differs_is_better_taken_whole() -> None:
    talk = Talk(holding(services(3_000), OLD, 8), holding(services(3_000, *range(1_200)), NEW))
    assert talk.run() == "large"
    assert talk.asked("entities") == 0


def test_a_sketch_is_asked_for_in_growing_parts_up_to_its_bound() -> None:
    differing = range(7_000)
    talk = Talk(holding(services(14_000), OLD), holding(services(14_000, *differing), NEW))
    assert talk.run() == "large"
    spans = [question[1:] for question in talk.questions if question[0] == "symbols"]
    assert spans[0] == [0, 1]
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert spans[-1][1] == SKETCH_SYMBOLS_MAX


# Damage


def damage(replica: Replica, number: int, text: bytes | None) -> None:
    """Change an entity in memory, or lose it, as no code of ours does."""
    rows = replica._contents._tables["services"]._rows
    chunk = next(c for c in rows._chunks if IDS[number] in c.ids)
    place = chunk.ids.index(IDS[number])
    if text is not None:
        chunk.texts[place] = text
        return
    del chunk.ids[place], chunk.texts[place], chunk.keys[place]
    rows._count -= 1


@pytest.mark.parametrize("text", [None, b'{"name":"damaged"}', b"{", b"\xff"])
def test_a_damaged_replica_is_renewed_at_its_own_version(text: bytes | None) -> None:
    target, source = holding(services(700), NEW), holding(services(700), NEW)
    damage(target, 300, text)
    assert not is_sound(target)
    talk = Talk(target, source, renew=True)
    assert talk.run() == "ready"
    assert talk.target.finish() == "installed"
    assert content(target) == services(700)
    assert is_sound(target)
    assert target.state_hash() == source.state_hash()


def test_what_is_applied_while_it_is_renewed_stays() -> None:
    target, source = holding(services(700), NEW), holding(services(700), NEW)
    damage(target, 300, b"{}")
    talk = Talk(target, source, renew=True)
    assert talk.run() == "ready"
    changesets = []
    for change in (
        Change("services", IDS[300], '{"name":"later"}'),
        Change("services", IDS[1], None),
    ):
        changesets.append(following(target, change))
        assert target.offer(*changesets[-1]) == source.offer(*changesets[-1]) == "applied"
    head = target.head()
    assert talk.target.finish() == "installed"
    assert (target.head(), content(target)) == (head, content(source))
    assert is_sound(target)
    assert target.state_hash() == source.state_hash()
    assert target.changesets(*NEW, max_bytes=2**20) == changesets, "its log goes on"


def test_damage_that_its_own_sum_does_not_show_is_mended_on_the_way() -> None:
    target, source = holding(services(700), OLD), holding(services(700, 5), NEW)
    damage(target, 300, b"{}")
    talk = Talk(target, source)
    assert talk.run() == "ready"
    assert talk.target.finish() == "installed"
    assert talk.target.applied is None, "the whole is put in place"
    assert is_sound(target)
    assert content(target) == content(source)


def test_a_well_replica_is_not_replaced_by_what_is_not_above_it() -> None:
    for head in (OLD, NEW):
        target = holding(services(3), NEW)
        talk = Talk(target, holding(services(4), head))
        assert talk.run() == "ready"
        assert talk.target.finish() == "stale"
        assert content(target) == services(3)


def test_it_is_stale_when_the_replica_has_moved_meanwhile() -> None:
    target = holding(services(3), OLD)
    talk = Talk(target, holding(services(4), NEW))
    assert talk.run() == "ready"
    assert target.offer(*following(target, Change("services", IDS[0], None))) == "applied"
    before = content(target)
    assert talk.target.finish() == "stale"
    assert content(target) == before


def test_a_damaged_peer_is_refused() -> None:
    target, source = holding(services(700), OLD), holding(services(700, 3), NEW)
    damage(source, 300, b"{}")
    talk = Talk(target, source)
    assert talk.run() == "refused"
    assert content(target) == services(700)


# Lies


def lying(name: str, lie: Callable[[bytes], bytes]) -> Answer:
    def answer(question: bytes, honest: bytes) -> bytes:
        return lie(honest) if msgpack.unpackb(question)[0] == name else honest

    return answer


def repacked(change: Callable[[list[list[object]]], object]) -> Callable[[bytes], bytes]:
    def lie(honest: bytes) -> bytes:
        told = msgpack.unpackb(honest)
        change(told)
        packed: bytes = msgpack.packb(told)
        return packed

    return lie


LIES: dict[str, Answer] = {
    "no number": lying("count", lambda _: b"\xc0"),
    "a number out of bounds": lying("count", lambda _: msgpack.packb(2**40)),
    "no msgpack": lying("count", lambda _: b"\xc1"),
    "too few symbols": lying("symbols", lambda honest: honest[1:]),
    "no entities": lying("entities", lambda _: msgpack.packb([])),
    "entities that are none": lying("entities", lambda _: msgpack.packb([[1, 2, 3]])),
    "another text": lying("entities", repacked(lambda told: told[0].__setitem__(2, b"{ }"))),
    "another id": lying("entities", repacked(lambda told: told[0].__setitem__(1, IDS[9]))),
    "one entity twice": lying("entities", repacked(lambda told: told.append(told[0]))),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_peer_that_lies_is_refused(lie: Answer) -> None:
    target = holding(services(40), OLD)
    assert Talk(target, holding(services(40, 1, 2), NEW)).run(lie) == "refused"
    assert content(target) == services(40)


RANGE_LIES: dict[str, Answer] = {
    "no ranges": lying("ranges", lambda _: msgpack.packb([True, []])),
    "no end": lying("ranges", lambda _: msgpack.packb([False, [[None, None, b"f" * 16]]])),
    "an end at once": lying("ranges", lambda _: msgpack.packb([True, [["a", "b", b"f" * 16]]])),
    "a short fingerprint": lying("ranges", lambda _: msgpack.packb([True, [[None, None, b"f"]]])),
    "out of order": lying(
        "ranges",
        lambda _: msgpack.packb([False, [["b", "", b"f" * 16], ["a", "", b"f" * 16]]]),
    ),
    "for ever the same": lying("ranges", lambda _: msgpack.packb([False, [["b", "", b"f" * 16]]])),
    "items of too many ranges": lying("items", lambda _: msgpack.packb([b"i" * 16, b"i" * 16])),
    "items that are none": lying("items", lambda _: msgpack.packb([b"i" * 15])),
    "items that it doesn't have": lying("items", lambda _: msgpack.packb([b"i" * 16])),
}


@pytest.mark.parametrize("lie", RANGE_LIES.values(), ids=RANGE_LIES)
def test_a_peer_that_lies_about_ranges_is_refused(lie: Answer) -> None:
    target = holding(services(40), OLD, 0)
    assert Talk(target, holding(services(40, 1, 2), NEW)).run(lie) == "refused"
    assert content(target) == services(40)


@pytest.mark.parametrize("seed", range(3))
def test_random_symbols_end_in_another_way(seed: int) -> None:
    rng = random.Random(seed)
    target = holding(services(40), OLD, 200)
    lie = lying("symbols", lambda honest: rng.randbytes(len(honest)))
    talk = Talk(target, holding(services(40, 1), NEW))
    assert talk.run(lie) == "ready"
    assert talk.asked("ranges") == 1


# The peer's side


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"\xc1",
        *map(
            msgpack.packb,
            [
                None,
                ["what"],
                ["symbols", 0, 0],
                ["symbols", -1, 3],
                ["symbols", 0, SKETCH_SYMBOLS_MAX + 1],
                ["symbols", 0, 600],
                ["symbols", "0", 1],
                ["ranges", -1],
                ["ranges", 5],
                ["ranges", 2**40],
                ["items", []],
                ["items", [-1]],
                ["items", list(range(100))],
                ["entities", b""],
                ["entities", b"i" * 15],
                ["entities", b"i" * 16 * 600],
            ],
        ),
    ],
)
def test_what_is_no_question_is_refused(question: bytes) -> None:
    giving = holding(services(3), NEW).give()
    with pytest.raises(ValueError, match=r"."):
        honest_answer(giving, question)


def test_the_index_is_built_in_steps_when_somebody_asks() -> None:
    giving = holding(services(1_000), NEW).give()
    assert not giving.work()
    assert giving.answer(msgpack.packb(["count"])) == msgpack.packb(1_000)
    symbols = msgpack.packb(["symbols", 0, 1])
    steps = itertools.takewhile(lambda _: giving.answer(symbols) is None, _steps(giving))
    assert sum(1 for _ in steps) == 3
    assert giving.answer(symbols) is not None


def _steps(giving: Giving) -> Iterator[bool]:
    while True:
        yield giving.work()


def test_an_answer_with_entities_is_bounded() -> None:
    large = {("services", IDS[n]): '{"name":"%s"}' % ("x" * 40_000) for n in range(10)}
    source = holding(large, NEW)
    talk = Talk(holding({}, OLD), source)
    assert talk.run() == "ready"
    assert talk.asked("entities") == 3
    assert talk.target.finish() == "installed"


def test_searches_of_many_askers_go_on_side_by_side() -> None:
    giving = holding(services(10_000), NEW).give()
    targets = [Reconciling(giving, services(10_000, number)) for number in range(4)]
    while any(not target.done for target in targets):
        for target in targets:
            target.go_on()
        giving.work()
    assert all(target.step == "ready" for target in targets)


class Reconciling:
    """One of many that ask one peer at once."""

    def __init__(self, giving: Giving, texts: Texts) -> None:
        self._giving = giving
        self._target: Reconciliation = holding(texts, OLD).begin_reconcile(
            *giving.head, giving.state_hash
        )
        self.step = self._target.proceed()

    @property
    def done(self) -> bool:
        return self.step in ("ready", "refused", "large")

    def go_on(self) -> None:
        if isinstance(self.step, bytes):
            answer = self._giving.answer(self.step)
            if answer is not None:
                self.step = self._target.proceed(answer)
        elif not self.done:
            self.step = self._target.proceed()
