"""How an authority stands, from the store's terms to gossip's and back."""

from gossip.messages.history import Stance as Told
from gossip.replica import Head as ToldHead
from store.history import Server
from store.verdict import Stance
from store.version import Head, Version


def told(mine: Stance) -> Told:
    """As gossip carries it."""
    return Told(
        mine.server.address,
        mine.server.timeline,
        ToldHead(*mine.head),
        ToldHead(*mine.confirmed),
        mine.holds,
    )


def heard(theirs: Told) -> Stance:
    """As the verdict takes it."""
    return Stance(
        Server(theirs.server, theirs.timeline),
        Head(Version(*theirs.head.version), theirs.head.digest),
        Head(Version(*theirs.confirmed.version), theirs.confirmed.digest),
        theirs.holds,
    )
