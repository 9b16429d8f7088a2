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
_KEY_BYTES = 16
_HEADER_BYTES = mmap.PAGESIZE
_REGION_BYTES = limits.RATE_BUCKETS * limits.RATE_WAYS * _SLOT.size


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
        for region in range(self._regions):
            for at in self._places(region, key):
                own, own_end, count = _SLOT.unpack_from(self._memory, at)
                if own == key:
                    if own_end == end:
                        total += count
                    break
        return total

    def add(self, key: int, end: int, now: float, amount: int = 1) -> None:
        """Count in this worker."""
        places = self._places(self._own, key)
        chosen, chosen_end = -1, 2**32
        for at in places:
            own, own_end, count = _SLOT.unpack_from(self._memory, at)
            if own == key:
                amount += count if own_end == end else 0
                _SLOT.pack_into(self._memory, at, key, end, min(amount, 2**32 - 1))
                return
            if own == 0:
                own_end = 0
            if own_end < chosen_end:
                chosen, chosen_end = at, own_end
        if chosen_end > now:
            self.evictions += 1
        _SLOT.pack_into(self._memory, chosen, 0, 0, 0)  # nobody reads the old key's new count
        _SLOT.pack_into(self._memory, chosen, key, end, amount)

    def _places(self, region: int, key: int) -> range:
        bucket = key & (limits.RATE_BUCKETS - 1)
        start = _HEADER_BYTES + region * _REGION_BYTES + bucket * limits.RATE_WAYS * _SLOT.size
        return range(start, start + limits.RATE_WAYS * _SLOT.size, _SLOT.size)

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()
