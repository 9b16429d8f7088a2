"""Decides what of the replica is written to its file, and when: no clock, no task, no disk.

The replica runs ahead of the file. What it applies waits here, bounded; one batch of whole
changesets is written at a time, and the next gathers meanwhile. Beyond the bound, and whenever the
file can't be led on change by change, everything is written anew.

======== ==============================================================================
state    what follows
======== ==============================================================================
idle     ``Batch`` when changesets wait, ``Whole`` when they wouldn't do
writing  nothing, until ``written`` or ``failed``
pausing  nothing, until the pause after a batch or a failure is over
======== ==============================================================================

A disk that fails is tried again, ever less often, with the same batch while it is in bounds. A file
that is damaged is set aside and written anew.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from store.changeset import Changeset
from store.replica_file.limits import (
    BATCH_BYTES_MAX,
    BATCH_CHANGESETS_MAX,
    BATCH_PAUSE_SECONDS,
    FULL_BATCH_PAUSE_SECONDS,
    PENDING_BYTES_MAX,
    PENDING_CHANGESETS_MAX,
    RETRY_SECONDS,
)
from store.version import Head

Problem = Literal["disk", "damage", "step"]
"""``disk``: no room, no right, an I/O error. ``damage``: the file isn't what was written.
``step``: it holds another version than was thought."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Write these changesets, which follow ``base``, in one transaction; none: note the authority
    id alone."""

    base: Head
    changesets: tuple[Changeset, ...]
    authority_id: str


@dataclass(frozen=True, slots=True)
class Whole:
    """Write everything that the replica holds at this moment."""

    authority_id: str
    set_aside: bool
    """Set the file aside first."""


Job = Batch | Whole


class Persister:
    """``held`` is the head of the file at the start; None when there is nothing of use in it."""

    def __init__(self, held: Head | None, authority_id: str) -> None:
        self.held = held
        """The head that the file is known to be at."""
        self.failures = 0
        """In a row."""
        self.overflows = 0
        """How often more waited than may."""
        self._authority_id = authority_id
        self._noted_id = authority_id if held is not None else None
        self._waiting: deque[Changeset] = deque()
        self._waiting_bytes = 0
        self._whole = False
        self._aside = False
        self._job: Job | None = None
        self._not_before = float("-inf")

    @property
    def waiting(self) -> int:
        """Changesets that aren't written yet."""
        return len(self._waiting)

    def identified(self, authority_id: str) -> None:
        """The authority that this is a copy of is known (now)."""
        self._authority_id = authority_id

    def applied(self, changeset: Changeset) -> None:
        """The replica has applied the next changeset."""
        if self._whole:
            return  # the state that is going to be written has it
        if self.held is None and not isinstance(self._job, Whole):
            self.replaced()
            return
        self._waiting.append(changeset)
        self._waiting_bytes += len(changeset.body)
        if len(self._waiting) > PENDING_CHANGESETS_MAX or self._waiting_bytes > PENDING_BYTES_MAX:
            self.overflows += 1
            self.replaced()

    def replaced(self) -> None:
        """The replica holds another whole state (or its changesets are too many to keep)."""
        self._whole = True
        self._forget_waiting()

    def abandon(self) -> None:
        """The file is of another authority, or damaged: set it aside before anything is written."""
        self._aside = True
        self.held = None
        self.replaced()

    def deadline(self) -> float | None:
        """When to ask ``next`` again; None while nothing is to be done."""
        if self._job is not None or not self._wants():
            return None
        return self._not_before

    def next(self, now: float) -> Job | None:
        """What to write now. Whoever gets a job tells ``written`` or ``failed`` of it.

        After a ``Whole`` the replica's state is pinned by the caller before anything else is
        applied: what comes later waits for the next batch.
        """
        if self._job is not None or now < self._not_before or not self._wants():
            return None
        if self._whole:
            self._job = Whole(self._authority_id, self._aside)
            self._whole = False
            self._forget_waiting()
        else:
            assert self.held is not None
            self._job = Batch(self.held, self._first_batch(), self._authority_id)
        return self._job

    def written(self, now: float, head: Head) -> None:
        """The job was done, and the file is at this head."""
        job, self._job = self._job, None
        assert job is not None, "nothing was to be written"
        if isinstance(job, Batch):
            for changeset in job.changesets:
                if self._waiting and self._waiting[0] is changeset:
                    self._waiting.popleft()
                    self._waiting_bytes -= len(changeset.body)
        else:
            self._aside = False
        self.held, self._noted_id, self.failures = head, job.authority_id, 0
        much = len(self._waiting) >= BATCH_CHANGESETS_MAX
        self._not_before = now + (FULL_BATCH_PAUSE_SECONDS if much else BATCH_PAUSE_SECONDS)

    def failed(self, now: float, problem: Problem) -> None:
        """The job was not done, or not wholly; the file is what it was, or damaged."""
        job, self._job = self._job, None
        assert job is not None, "nothing was to be written"
        if isinstance(job, Whole) or problem != "disk":
            self.replaced()
        if problem == "damage":
            self._aside = True
            self.held = None
        pause = RETRY_SECONDS[min(self.failures, len(RETRY_SECONDS) - 1)]
        self.failures += 1
        # Nothing is wrong with the disk when the file is only elsewhere, or only damaged once.
        at_once = problem != "disk" and self.failures == 1
        self._not_before = now if at_once else now + pause

    def _wants(self) -> bool:
        return self._whole or (
            self.held is not None and (bool(self._waiting) or self._noted_id != self._authority_id)
        )

    def _first_batch(self) -> tuple[Changeset, ...]:
        batch: list[Changeset] = []
        size = 0
        for changeset in self._waiting:
            size += len(changeset.body)
            if batch and (len(batch) >= BATCH_CHANGESETS_MAX or size > BATCH_BYTES_MAX):
                break
            batch.append(changeset)
        return tuple(batch)

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0
