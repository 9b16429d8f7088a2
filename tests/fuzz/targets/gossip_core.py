"""An encrypted core: whoever has no key changes nothing of what a node believes, whatever it
replays, alters and puts together; whoever has one but breaks the rules crashes nothing and moves no
record backwards. The tables stay within their bounds."""

from gossip.events import KeyUnknown
from gossip.wire import encode_parts
from tests.fuzz.messages import EVERY
from tests.fuzz.target import Target
from tests.gossip.drive import alive
from tests.gossip.hostile import Insider, Outsider, Victim, cluster, just_started

RECORDED = cluster()
_INSIDER, _MET = 1, 2


def attack(data: bytes) -> None:
    """The first byte says who attacks whom."""
    start = data[0] if data else 0
    victim = just_started(RECORDED)
    if start & _MET:
        _meet(victim)
    before = victim.table()
    if start & _INSIDER:
        Insider(victim, RECORDED, EVERY).attack(data[1:])
        known = {row[0]: row[2:] for row in before}
        for member_id, _, *precedence in victim.table():
            assert tuple(precedence) >= known.get(member_id, (0, 0)), "no record moves backwards"
        return
    victim.events.clear()
    Outsider(victim, RECORDED.tape).attack(data[1:])
    assert victim.table() == before
    assert all(isinstance(event, KeyUnknown) for event in victim.events)


def _meet(victim: Victim) -> None:
    """One of the cluster, and another through it, make themselves known."""
    honest = Insider(victim, RECORDED, [])
    honest.tell(encode_parts([alive(2), alive(3)]))


TARGET = Target(
    attack,
    seeds=[bytes([start, step, *range(20)]) for start in range(4) for step in range(8)],
    bytes_max=80,
)
