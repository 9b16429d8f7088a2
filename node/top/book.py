"""What is known of a cluster: takes answers as they come, and gives a picture of it at any time.

Knows no clock and no socket.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from node.top.answers import Listing, Member, Numbers
from node.top.snapshot import Delays, Place, Sight, State


@dataclass(slots=True)
class _Page:
    """What one node that is asked has said last."""

    name: str
    state: State = "not asked"
    problem: str = ""
    members: tuple[Member, ...] = ()
    delays: Delays | None = None
    numbers: Numbers | None = None
    numbers_at: float = 0.0
    rates: tuple[float, float] | None = None


@dataclass(slots=True)
class _Heard:
    """What those that answer say of a member."""

    opinions: Counter[str] = field(default_factory=Counter)
    place: Place | None = None


class Book:
    """``sources`` name the nodes that are asked, in the order in which they are shown; a name is
    replaced by the node's own once it has answered, unless ``named`` says that it is right."""

    def __init__(self, sources: tuple[str, ...], *, named: bool = False) -> None:
        self._named = named
        self._pages = {source: _Page(source) for source in sources}

    def answered(self, source: str, listing: Listing, numbers: Numbers, now: float) -> None:
        """A node has answered; ``now`` in seconds of any clock that goes on evenly."""
        page = self._pages[source]
        page.state = "serving" if numbers.ready else "not ready"
        page.problem = ""
        page.members, page.delays = listing.members, listing.delays
        if not self._named:
            page.name = listing.members[0].name
        page.rates = None
        if page.numbers is not None and now > page.numbers_at:
            passed = now - page.numbers_at
            requests = (numbers.responses - page.numbers.responses) / passed
            errors = (numbers.errors - page.numbers.errors) / passed
            # Below zero: it has been started anew since, or a worker has.
            page.rates = (max(0.0, requests), max(0.0, errors))
        page.numbers, page.numbers_at = numbers, now

    def failed(self, source: str, state: State, problem: str) -> None:
        """A node didn't answer, or with garbage. What it said before isn't held against anybody."""
        kept = self._pages[source].name
        self._pages[source] = _Page(kept, state, problem)

    def name_of(self, source: str) -> str:
        """What a node that is asked is called."""
        return self._pages[source].name

    def problem(self) -> str:
        """Of the first node that is asked and doesn't answer as it should: who and why."""
        for page in self._pages.values():
            if page.problem:
                return f"{page.name}: {page.problem}"
        return ""

    def sights(
        self,
        arrivals: Mapping[str, float],
        sides: Mapping[str, str],
        ended: Mapping[str, str],
    ) -> tuple[Sight, ...]:
        """All nodes: those that are asked, then those that they list besides.

        ``arrivals`` has the seconds of the latest change, ``sides`` the sides of a
        partition, ``ended`` why nodes are known not to run, each by name.
        """
        heard = self._hearsay()
        sights = [
            self._sight(page, heard.pop(page.name, _Heard()), arrivals.get(page.name), sides, ended)
            for page in self._pages.values()
        ]
        sights += [
            Sight(name, "not asked", opinions=one.opinions, version=one.place)
            for name, one in heard.items()
        ]
        return tuple(sights)

    def _sight(
        self,
        page: _Page,
        heard: _Heard,
        arrival: float | None,
        sides: Mapping[str, str],
        ended: Mapping[str, str],
    ) -> Sight:
        down = page.name in ended
        own = None if page.numbers is None or down else page.numbers.place
        requests, errors = page.rates if page.rates is not None and not down else (None, None)
        return Sight(
            page.name,
            "ended" if down else page.state,
            ended[page.name] if down else page.problem,
            heard.opinions,
            own or heard.place,
            requests,
            errors,
            None if down else arrival,
            None if down else page.delays,
            sides.get(page.name, ""),
        )

    def _hearsay(self) -> dict[str, _Heard]:
        heard: dict[str, _Heard] = {}
        for page in self._pages.values():
            for member in page.members:
                one = heard.setdefault(member.name, _Heard())
                one.opinions[member.status] += 1
                if member.place is not None and (one.place is None or member.place > one.place):
                    one.place = member.place
        return heard
