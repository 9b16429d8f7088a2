"""Coverage-guided search for an attack on an encrypted core: ``make fuzz``.

The same attacks as in ``tests.gossip.test_fuzz``, for as long as one likes. Arguments are
libFuzzer's, such as ``-max_total_time=600`` or a folder that keeps what it has found.
"""

import sys

import atheris

with atheris.instrument_imports(include=["gossip"]):
    from gossip.events import KeyUnknown
    from tests.gossip.hostile import Insider, Outsider, cluster, just_started, living
    from tests.gossip.test_fuzz import MESSAGES

RECORDED = cluster()


def attack(data: bytes) -> None:
    """The first byte says who attacks whom."""
    insider, alive = bool(data[:1] and data[0] & 1), bool(data[:1] and data[0] & 2)
    world = cluster() if alive else RECORDED
    victim = living(world) if alive else just_started(world)
    before = victim.table()
    if insider:
        Insider(victim, world, MESSAGES).attack(data[1:])
        return
    Outsider(victim, world.tape).attack(data[1:])
    assert victim.table() == before
    assert all(isinstance(event, KeyUnknown) for event in victim.events)


if __name__ == "__main__":
    atheris.Setup([sys.argv[0], "-max_len=1000", "-len_control=0", *sys.argv[1:]], attack)
    atheris.Fuzz()
