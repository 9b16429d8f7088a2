"""How an authority stands, from the store's terms to gossip's and back."""

from gossip.messages.history import Testimony as Told
from gossip.replica import Head as ToldHead
from store.history import Server
from store.verdict import Testimony
from store.version import Head, Version


def told(mine: Testimony) -> Told:
    """As gossip carries it."""
    return Told(
        mine.server.address,
        mine.server.timeline,
        ToldHead(*mine.head),
        ToldHead(*mine.confirmed),
        mine.holds,
    )


def heard(theirs: Told) -> Testimony:
    """As the verdict takes it."""
    return Testimony(
        Server(theirs.server, theirs.timeline),
        Head(Version(*theirs.head.version), theirs.head.digest),
        Head(Version(*theirs.confirmed.version), theirs.confirmed.digest),
        theirs.holds,
    )
