"""A large changeset on its way in: read and put together beside what is served, and swapped in at
once. What it costs, and what it takes of memory, grows with what it changes."""

from collections.abc import Generator
from typing import Literal

from blake3 import blake3

from store.changeset import (
    CHANGE_BYTES_MIN,
    Body,
    BodyReader,
    Changeset,
    chain_on,
    count_changes,
)
from store.contents import Contents, Shadow
from store.limits import (
    CHANGES_AT_ONCE_BYTES_MAX,
    CHANGES_AT_ONCE_MAX,
    HASHED_BYTES,
    PREPARED_BYTES,
    PREPARED_CHANGES,
)

Progress = Literal["preparing", "ready", "corrupt", "poison"]


def is_large(body: bytes) -> bool:
    """Whether a changeset is too much to be applied in one go."""
    if len(body) > CHANGES_AT_ONCE_BYTES_MAX:
        return True
    if len(body) < CHANGES_AT_ONCE_MAX * CHANGE_BYTES_MIN:
        return False
    count = count_changes(body)
    return count is not None and count > CHANGES_AT_ONCE_MAX


class Preparation:
    """``contents`` must stay as they are until ``swap``, or this comes to nothing."""

    def __init__(self, contents: Contents, changeset: Changeset) -> None:
        self.changeset = changeset
        self._contents = contents
        self._shadow: Shadow | None = None
        self._reader = BodyReader(changeset.body)
        self._steps = self._run()

    def proceed(self) -> Progress:
        """Do a piece of the work."""
        try:
            next(self._steps)
        except StopIteration as end:
            progress: Progress = end.value
            return progress
        return "preparing"

    def swap(self) -> None:
        """It is ready: let the contents be what they will be. They settle by and by
        (``Contents.settle``)."""
        assert self._shadow is not None, "nothing was prepared"
        self._contents.take_over(self._shadow)

    def told(self) -> tuple[Body, int]:
        """It is ready: the body with its first changes only, and how many there are."""
        return self._reader.beginning(), self._reader.total

    def _run(self) -> Generator[None, None, Progress]:
        _, predecessor, digest, body = self.changeset
        hasher = blake3()
        for begin in range(0, len(body), HASHED_BYTES):
            hasher.update(body[begin : begin + HASHED_BYTES])
            yield
        if chain_on(predecessor, hasher.digest()) != digest:
            return "corrupt"
        yield from self._contents.settle()  # of the one before, should nobody have seen to it
        shadow = self._shadow = self._contents.shadow()
        try:
            for part in self._reader.changes(PREPARED_CHANGES, PREPARED_BYTES):
                shadow.apply([self._contents.prepare(change) for change in part])
                yield
        except Exception:  # whatever the code of a kind makes of an entity that others could read
            return "poison"
        return "ready"
