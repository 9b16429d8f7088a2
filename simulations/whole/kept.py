"""The replica file of a node, as its worker and its next process find it.

It holds one version whole, some time behind what is served (``node.agent.replica_keeper``). What is
written anew after the state was replaced is of another fill. A power cut may take the last writes
back, a disk that lies all of them.
"""

from typing import NamedTuple

from store.canonical import decode_entity
from store.changeset import Change
from store.cold.reader import Reading
from store.contents import PinnedState
from store.replica_file.layout import term_value
from store.schema import cold_kinds
from store.version import EMPTY, Head


class Image(NamedTuple):
    """What it holds."""

    fill: bytes
    head: Head
    rows: tuple[Change, ...]


NOTHING = Image(b"", EMPTY, ())


class KeptFile:
    """Satisfies ``store.cold.reader.ColdFile``."""

    def __init__(self, image: Image = NOTHING) -> None:
        self.image = image
        self.damaged = False
        self._before = image

    def write(self, fill: bytes, pinned: PinnedState) -> None:
        """Bring it to this state, in one go."""
        self._before = self.image
        self.image = Image(fill, pinned.head, tuple(pinned.changes()))
        self.damaged = False

    def unwrite(self) -> None:
        """The last write wasn't synced when the power went."""
        self.image = self._before

    def copy(self) -> "KeptFile":
        """On an image of the disk."""
        copied = KeptFile(self.image)
        copied.damaged = self.damaged
        return copied

    def read(self, kind: str, field: str, value: str) -> Reading | None:
        if self.damaged or not self.image.fill:
            return None
        fill, head, rows = self.image
        assert kind in cold_kinds()
        found = tuple(
            (row.id, row.entity or "")
            for row in rows
            if row.kind == kind and term_value(decode_entity(row.entity or "").get(field)) == value
        )
        return Reading(fill, head.version, found)
