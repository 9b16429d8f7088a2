"""What was ever committed, and the state that each commit led to: the truth that no node knows."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from gossip.replica import GENESIS, Changeset, Version
from store.changeset import Change, decode_body
from store.schema import cold_kinds
from store.version import GENESIS_DIGEST

State = Mapping[tuple[str, str], str]
"""(kind, id) -> stored text."""


class Truth:
    """By chain digest: each stands for all the history that led to it. A version may stand for
    several, of which an authority that loses commits has all but one forgotten."""

    def __init__(self) -> None:
        self._states: dict[bytes, State] = {GENESIS_DIGEST: {}}
        self._digests: dict[Version, list[bytes]] = {GENESIS: [GENESIS_DIGEST]}
        self._versions: dict[bytes, Version] = {GENESIS_DIGEST: GENESIS}
        self._predecessors: dict[bytes, bytes] = {}

    def note(self, changeset: Changeset) -> None:
        """Some authority has committed this. What it follows must be known."""
        version, predecessor, digest, body = changeset
        if digest in self._states:
            return
        state = dict(self._states[predecessor])
        for kind, entity_id, text in decode_body(body).changes:
            if text is None:
                state.pop((kind, entity_id), None)
            else:
                state[kind, entity_id] = text
        self._states[digest] = state
        self._versions[digest] = version
        self._predecessors[digest] = predecessor
        self._digests.setdefault(version, []).append(digest)

    def is_committed(self, version: Version, digest: bytes) -> bool:
        """Whether some authority has ever been there."""
        return self._versions.get(digest) == tuple(version)

    def shared(self, one: bytes, other: bytes) -> int:
        """The last revision that two histories have in common."""
        line: dict[bytes, None] = {}
        while one in self._predecessors:
            line[one] = None
            one = self._predecessors[one]
        while other not in line and other in self._predecessors:
            other = self._predecessors[other]
        return self._versions[other][2]

    def state(self, digest: bytes) -> State:
        return self._states[digest]

    def states(self, version: Version) -> Sequence[State]:
        """All that this version may mean; none for a version that nobody has committed."""
        return [self._states[digest] for digest in self._digests.get(version, ())]


def hot(state: State) -> tuple[list[Change], dict[str, int]]:
    """What workers hold of a state, and how many of each kind."""
    cold = cold_kinds()
    rows = sorted(
        Change(kind, entity_id, text)
        for (kind, entity_id), text in state.items()
        if kind not in cold
    )
    counts = {kind: len([*same]) for kind, same in groupby(rows, lambda row: row.kind)}
    return rows, counts
