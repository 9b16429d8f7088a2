"""A worker process: what it does with the channel's frames, and the look-ups of its requests.

The order of things is that of ``node.proxy.gateway`` and ``node.proxy.cold``, the parts are theirs.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from node.channel import (
    Applied,
    Apply,
    Ask,
    Audit,
    Configure,
    Decoder,
    Differs,
    Frame,
    Kept,
    Listen,
    Part,
    Ready,
    Snapshot,
    Told,
    Version,
    encode,
)
from node.proxy.staging import Staging
from node.proxy.table import Table
from simulations.whole.truth import State
from store.changeset import Change
from store.cold.reader import Ahead, Answer, ColdReader, Found, Reading
from store.version import GENESIS
from store.version import Version as StoreVersion

if TYPE_CHECKING:
    from simulations.whole.agent import Agent
    from simulations.whole.world import WholeWorld

_STEP_SECONDS = 0.000_5
"""A piece of what is staged."""
ASKED_SECONDS = 5.0
"""How long a request waits for a look-up (``node.proxy.limits.COLD_WAIT_SECONDS``)."""


class LookUp(NamedTuple):
    """A request's question for an entity of a cold kind."""

    kind: str
    field: str
    value: str
    since: float
    """By the world's time."""


class WorkerProcess:
    """One process. ``say`` writes to its agent."""

    def __init__(self, world: "WholeWorld", agent: "Agent", say: Callable[[bytes], None]) -> None:
        self._world = world
        self._say = say
        self._decoder = Decoder()
        self._ready = self._stepping = self._differs = False
        self._loading: Table | None = None
        self._staging: Staging | None = None
        self._asked: dict[int, tuple[LookUp, int]] = {}
        """(what, the reader's count of purges then) by the number of the question."""
        self._next_number = 0
        self._unanswered: dict[LookUp, None] = {}
        self._held_up: list[LookUp] = []
        """Look-ups that wait for a version."""
        self.agent = agent
        self.table = self._new_table()
        self.cold = ColdReader(agent.replica.file)
        self.listening = self.ended = False
        self.version: Version = GENESIS
        """What it serves, and the states that this may mean, by ``promises``."""
        self.states: list[State] = []

    def received(self, data: bytes) -> None:
        """Bytes from its agent."""
        if not self.ended:
            for frame in self._decoder.feed(data):
                self._handle(frame)

    def look_up(self, kind: str, field: str, value: str) -> None:
        """A request shows a key, or asks for a consumer."""
        what = LookUp(kind, field, value, self._world.now)
        self._unanswered[what] = None
        self._world.schedule(ASKED_SECONDS, self._give_up, what)
        self._look_up(what)

    def _give_up(self, what: LookUp) -> None:
        if what in self._unanswered and not self.ended:
            del self._unanswered[what]
            self._world.promises.unanswered(self, f"{what.field} {what.value}", what.since)

    def _handle(self, frame: Frame) -> None:
        match frame:
            case Configure():
                pass
            case Snapshot():
                self._load(frame)
            case Apply(version, changes):
                assert self._ready, "a changeset before the first snapshot"
                assert self._staging is None, f"{version} amid the parts of another"
                self.table.apply(version, changes)
                self.cold.apply(StoreVersion(*version), (Change(*one) for one in changes))
                self._serves(version)
            case Part():
                self._stage(frame)
            case Audit(rows, counts):
                difference = "" if self._differs else self.table.difference(rows, counts)
                if difference:
                    self._differs = True
                    self._say(encode(Differs(difference)))
            case Kept(fill, version):
                self.cold.vouched(fill, StoreVersion(*version))
                self._retry()
            case Told():
                self._told(frame)
            case Listen():
                self.listening = True
            case _:
                raise AssertionError(f"{type(frame).__name__} is nothing that a worker knows here")

    def _new_table(self) -> Table:
        def refused(reason: str) -> None:
            raise AssertionError(f"an entity can't be used: {reason}")

        return Table(refused)

    def _load(self, frame: Snapshot) -> None:
        if self._loading is None or frame.first:
            self._loading = self._new_table()
        self._staging = None
        self._loading.apply(frame.version, frame.changes)
        if frame.last:
            self.table, self._loading = self._loading, None
            self._differs = False
            self._world.happened("worker_fed_anew" if self._ready else "worker_fed")
            self.cold.loaded(StoreVersion(*frame.version))
            self._serves(frame.version)
            if not self._ready:
                self._ready = True
                self._say(encode(Ready(0)))

    def _stage(self, frame: Part) -> None:
        assert self._ready, "a changeset before the first snapshot"
        if frame.first:
            self._staging = Staging(frame, self.table, self._new_table)
        assert self._staging is not None, f"a part of {frame.version} that begins nothing"
        assert self._staging.version == frame.version
        self._staging.add(frame)
        if not self._stepping:
            self._stepping = True
            self._world.schedule(_STEP_SECONDS, self._step)

    def _step(self) -> None:
        staging = self._staging
        self._stepping = not self.ended and staging is not None and staging.step()
        if not self.ended and (staging is None or staging.outcome is None):
            self._world.promises.still(self, counts_only=True)
        if self._stepping:
            self._world.schedule(_STEP_SECONDS, self._step)
        elif staging is not None and staging.outcome is not None and not self.ended:
            self._staging = None
            self.table = staging.outcome
            self._world.happened("worker_staged")
            self.cold.loaded(StoreVersion(*staging.version))
            self._serves(staging.version)

    def _serves(self, version: Version) -> None:
        """From now on requests are answered at this version."""
        self._world.promises.served(self, version)
        self._say(encode(Applied(version, 0.0)))
        self._retry()

    # Look-ups

    def _retry(self) -> None:
        held_up, self._held_up = self._held_up, []
        for what in held_up:
            self._look_up(what)

    def _look_up(self, what: LookUp) -> None:
        if self.ended or what not in self._unanswered:
            return
        cached, read = self.cold.cached, self.cold.read
        answer = self.cold.find(*what[:3], now=0.0)
        if isinstance(answer, Found):
            name = "file" if self.cold.read > read else "overlay"
            self._world.happened(f"cold_{'cached' if self.cold.cached > cached else name}")
        self._settle(what, answer)

    def _settle(self, what: LookUp, answer: Answer) -> None:
        match answer:
            case Found(texts):
                self._unanswered.pop(what, None)
                self._world.promises.found(self, what.kind, what.field, what.value, texts)
            case Ahead():
                self._world.happened("cold_ahead")
                self._held_up.append(what)
            case _:
                number, self._next_number = self._next_number, self._next_number + 1
                self._asked[number] = what, self.cold.purges
                self._say(encode(Ask(number, *what[:3])))

    def _told(self, frame: Told) -> None:
        asked = self._asked.pop(frame.number, None)
        if asked is None or asked[0] not in self._unanswered:
            return
        if frame.version is None:  # the agent holds nothing: 503
            del self._unanswered[asked[0]]
            return
        what, begun = asked
        self._world.happened("cold_told")
        reading = Reading(None, StoreVersion(*frame.version), frame.rows)
        self._settle(what, self.cold.settle(*what[:3], reading, 0.0, begun=begun))
