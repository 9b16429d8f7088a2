"""A job of the persister as transactions, one after another: for a thread, or for a simulation that
stops between any two of them."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

from store.changeset import Change
from store.replica import Replica
from store.replica_file.file import ReplicaFile, WholeWrite
from store.replica_file.limits import SLICE_ENTITIES
from store.replica_file.persister import Batch, Job
from store.version import Head


class Work(NamedTuple):
    """What a job comes to."""

    head: Head
    """Where the file is once it is done."""
    transactions: Iterator[Callable[[], object]]
    """To be called in order, each once."""


def work_of(job: Job, file: ReplicaFile, replica: Replica) -> Work:
    """Pins the replica's state if all of it is to be written: what is applied later isn't."""
    if isinstance(job, Batch):
        last = job.changesets[-1] if job.changesets else None
        write = partial(file.write_batch, job.base, job.changesets, job.authority_id)
        return Work(Head(last.version, last.digest) if last else job.base, iter((write,)))
    pinned = replica.pin()
    return Work(pinned.head, _whole(file, pinned.changes(), pinned.head, job.authority_id))


def _whole(
    file: ReplicaFile, pinned: Iterator[Change], head: Head, authority_id: str
) -> Iterator[Callable[[], object]]:
    begun: list[WholeWrite] = []
    yield lambda: begun.append(file.begin_whole())
    (whole,) = begun
    while part := list(islice(pinned, SLICE_ENTITIES)):
        yield partial(whole.write, part)
    yield partial(whole.finish, head, authority_id)
