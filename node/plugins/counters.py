"""Counters that all workers of a node share, for limits that hold for the node (policy ``local``).

They lie in memory that the agent has made and every worker has inherited. Each worker writes to a
region of its own and reads all of them: so nobody waits for anybody, and no count is lost. Two
workers that read at once may both let a request pass that only one should have; Kong's workers,
which read first and count later, do so, too. After a reload an old worker may share its region with
a new one while it finishes its requests, and of two counts at the same instant one may be lost.

A region is a table of buckets with a few places each. A place holds a key's hash, the end of the
period that it counts, and the count. A key that finds no free place in its bucket takes the one
whose period ends first; that is counted. The hash is keyed with bytes drawn by the agent, so that
nobody can choose what shares a bucket.
"""

import mmap
import os
import struct
import tempfile
from hashlib import blake2b

from node.plugins import limits

_SLOT = struct.Struct("<QII")
_BUCKET = struct.Struct("<" + limits.RATE_WAYS * "QII")
_KEY_BYTES = 16
_HEADER_BYTES = mmap.PAGESIZE
_REGION_BYTES = limits.RATE_BUCKETS * _BUCKET.size


def shared_memory(workers: int) -> int:
    """A descriptor of memory for so many workers, to be inherited by them. Raises OSError."""
    regions = min(max(workers, 1), limits.RATE_WORKERS_MAX)
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("grapevine-counters")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.truncate(descriptor, _HEADER_BYTES + regions * _REGION_BYTES)
    os.pwrite(descriptor, os.urandom(_KEY_BYTES), 0)
    return descriptor


class SharedCounters:
    """The counters, as one worker sees them."""

    def __init__(self, descriptor: int, worker: int) -> None:
        """``descriptor`` -1: memory of its own, for a worker that is alone."""
        if descriptor < 0:
            self._memory = mmap.mmap(-1, _HEADER_BYTES + _REGION_BYTES)
            self._memory[:_KEY_BYTES] = os.urandom(_KEY_BYTES)
        else:
            self._memory = mmap.mmap(descriptor, 0)
        self._key = self._memory[:_KEY_BYTES]
        self._regions = (len(self._memory) - _HEADER_BYTES) // _REGION_BYTES
        self._own = worker % self._regions
        self.evictions = 0

    def key(self, text: str) -> int:
        """A key's hash, never 0."""
        data = text.encode("utf-8", "surrogateescape")
        digest = blake2b(data, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "little") or 1

    def count(self, key: int, end: int) -> int:
        """What all workers have counted under a key in the period that ends then (Unix
        seconds)."""
        total = 0
        at = self._place(0, key)
        for _ in range(self._regions):
            places = _BUCKET.unpack_from(self._memory, at)
            keys = places[::3]
            if key in keys:
                position = keys.index(key) * 3
                if places[position + 1] == end:
                    total += places[position + 2]
            at += _REGION_BYTES
        return total

    def add(self, key: int, end: int, now: float, amount: int = 1) -> None:
        """Count in this worker."""
        at = self._place(self._own, key)
        places = _BUCKET.unpack_from(self._memory, at)
        keys, ends = places[::3], places[1::3]
        if key in keys:
            way = keys.index(key)
            if ends[way] == end:
                amount += places[way * 3 + 2]
        else:
            way = ends.index(min(ends))
            if ends[way] > now:
                self.evictions += 1
            # Nobody may read the old key's with the new one's count.
            _SLOT.pack_into(self._memory, at + way * _SLOT.size, 0, 0, 0)
        _SLOT.pack_into(self._memory, at + way * _SLOT.size, key, end, min(amount, 2**32 - 1))

    def _place(self, region: int, key: int) -> int:
        bucket = key & (limits.RATE_BUCKETS - 1)
        return _HEADER_BYTES + region * _REGION_BYTES + bucket * _BUCKET.size

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()
