"""The model of the authority for whole nodes: commits hold entities, and the truth hears of all.

``LogAuthority`` with a log that may be trimmed, records of raised epochs that a real replica reads,
and a count of what is asked of it.
"""

from typing import Literal

from gossip.replica import Changeset, Head, Version
from simulations.authority import EMPTY, LogAuthority
from simulations.authority.log import stored
from simulations.whole.truth import Truth
from store.changeset import Body, Change, encode_body
from store.history import EPOCHS, Epoch, Server
from store.lineage import encode_record

AtCommit = Literal["", "done", "undone", "killed"]
"""The connection is lost in COMMIT, which happens or doesn't; or it does, and the writer dies."""
FIRST_SERVER = Server("db-1", 1)


class EntityAuthority(LogAuthority):
    """See the module."""

    def __init__(self, truth: Truth, tag: int = 1, server: Server = FIRST_SERVER) -> None:
        super().__init__(tag, server)
        self._truth = truth
        self.lost: dict[bytes, None] = {}
        """Digests of what it had committed and forgot."""
        self.looks = 0
        """How often somebody has read what follows a head."""
        self.at_commit: AtCommit = ""
        """What becomes of the next commit."""
        self.seconds = 0.0
        """How long an answer to a commit takes."""

    def after(self, head: Head) -> list[Changeset] | None:
        self.looks += 1
        if head == EMPTY and self.trimmed:
            return None
        return super().after(head)

    def lose(self, count: int, server: Server | None = None) -> None:
        if count:
            self.lost.update((changeset.digest, None) for changeset in self.log[-count:])
            # A standby has a log of its own length; a restored image begins with what it holds.
            self.trimmed = min(self.trimmed, len(self.log) - count)
        super().lose(count, server)

    def trim(self, kept: int) -> None:
        """Its log tells the last changesets only."""
        self.trimmed = max(self.trimmed, len(self.log) - kept)

    def _epoch_body(self, epoch: int, tag: int, confirmed: Head) -> bytes:
        head = self.head()
        record_id = f"{epoch:08x}-0000-4000-8000-{tag % 2**48:012x}"
        shared = self._truth.shared(head.digest, confirmed.digest)
        record = Epoch(epoch, tag, shared, stored(head), stored(confirmed), 0.0, "simulated")
        change = Change(EPOCHS, record_id, encode_record(record_id, record))
        return encode_body(Body(tag.to_bytes(8, "big") * 2, 0.0, "simulated", (change,), "epoch"))

    def twin(self, server: Server) -> "EntityAuthority":
        twin = EntityAuthority(self._truth, self._tag, server)
        twin.log, twin.trimmed, twin.lost = list(self.log), self.trimmed, self.lost
        return twin

    def _append(self, version: Version, body: bytes) -> Changeset:
        changeset = super()._append(version, body)
        self._truth.note(changeset)
        self.lost.pop(changeset.digest, None)
        return changeset
