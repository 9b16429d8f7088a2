"""Which faults a round gets."""

import random
from collections import Counter

from simulations.real.faults import FAULTS
from simulations.real.rounds import AT_ONCE_MAX, Deck


def test_every_fault_gets_its_turn_before_any_gets_many_more() -> None:
    deck = Deck(FAULTS, random.Random(3))
    dealt = Counter(fault.name for _ in range(200) for fault in deck.hand(AT_ONCE_MAX, 3))
    assert set(dealt) == {fault.name for fault in FAULTS}
    assert max(dealt.values()) - min(dealt.values()) <= 2


def test_a_round_has_one_fault_of_the_network_and_one_of_the_authority_at_most() -> None:
    for seed in range(50):
        drawn = Deck(FAULTS, random.Random(seed)).hand(AT_ONCE_MAX, 3)
        scopes = Counter(fault.scope for fault in drawn)
        assert len(drawn) == len(set(drawn)) == AT_ONCE_MAX
        assert scopes["network"] <= 1
        assert scopes["authority"] <= 1


def test_a_round_has_no_more_faults_of_nodes_than_there_are_nodes() -> None:
    some = [fault for fault in FAULTS if fault.scope == "node"]
    assert len(Deck(some, random.Random(1)).hand(AT_ONCE_MAX, 2)) == 2


def test_one_seed_draws_one_order() -> None:
    def order(seed: int) -> list[str]:
        deck = Deck(FAULTS, random.Random(seed))
        return [fault.name for _ in range(20) for fault in deck.hand(2, 3)]

    assert order(5) == order(5)
    assert order(5) != order(6)
