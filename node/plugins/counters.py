"""Counters that all workers of a node share, for limits that hold for the node (policy ``local``).

They lie in memory that the agent has made and every worker has inherited. Each worker writes to a
region of its own and reads all of them: so nobody waits for anybody, and no count is lost. Two
workers that read at once may both let a request pass that only one should have; Kong's workers,
which read first and count later, do so, too. After a reload an old worker may share its region with
a new one while it finishes its requests, and of two counts at the same instant one may be lost.

A region is a table of buckets with a few places each. A place is two words: a key's hash; and the
end of the period that it counts, with the count above it, so that both are read and written at
once. A key that finds no free place in its bucket takes the one
whose period ends first; that is counted. The hash is keyed with bytes drawn by the agent, so that
nobody can choose what shares a bucket.
"""

import mmap
import os
import struct
import tempfile
from hashlib import blake2b

from node.plugins import limits

_BUCKET = struct.Struct("=" + limits.RATE_WAYS * "QQ")
_BUCKET_WORDS = limits.RATE_WAYS * 2
_END_BITS = 32
_END = 2**_END_BITS - 1
_ONE = 1 << _END_BITS
_FULL = _END * _ONE
_KEY_BYTES = 16
_HEADER_BYTES = mmap.PAGESIZE
_REGION_BYTES = limits.RATE_BUCKETS * _BUCKET.size
_WORD_BYTES = 8
_NOWHERE = _KEY_BYTES // _WORD_BYTES
"""A place that is nobody's: both words are always 0."""


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
        self._words = memoryview(self._memory).cast("Q")
        self._key = self._memory[:_KEY_BYTES]
        self._regions = (len(self._memory) - _HEADER_BYTES) // _REGION_BYTES
        self._own = worker % self._regions
        self.evictions = 0

    def key(self, text: str) -> int:
        """A key's hash, never 0."""
        data = text.encode("utf-8", "surrogateescape")
        digest = blake2b(data, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "little") or 1

    def counter(self, key: int) -> "Counter":
        """The counter of a key, for whoever needs it again and again."""
        return Counter(self, self._words, key, self._regions, self._own)

    def count(self, key: int, end: int) -> int:
        """What all workers have counted under a key in the period that ends then (Unix
        seconds)."""
        return self.counter(key).count(end)

    def find(self, region: int, key: int) -> int:
        """Where a key's place in a region is: the word of its hash. If it has none: a word that
        isn't it, followed by one that counts nothing."""
        at = self._bucket(region, key)
        keys = _BUCKET.unpack_from(self._memory, at * _WORD_BYTES)[::2]
        return at + keys.index(key) * 2 if key in keys else _NOWHERE

    def add(self, key: int, end: int, now: float, amount: int = 1) -> int:
        """Count in this worker. Returns where that stands: the word of the key's hash."""
        words = self._words
        at = self._bucket(self._own, key)
        places = _BUCKET.unpack_from(self._memory, at * _WORD_BYTES)
        keys = places[::2]
        if key in keys:
            at += keys.index(key) * 2
            if words[at + 1] & _END == end:
                amount += words[at + 1] >> _END_BITS
        else:
            ends = [word & _END for word in places[1::2]]
            way = ends.index(min(ends))
            if ends[way] > now:
                self.evictions += 1
            at += way * 2
            words[at] = 0  # nobody may read the old key's with the new one's count
        words[at + 1] = min(amount, _END) << _END_BITS | end
        words[at] = key
        return at

    def _bucket(self, region: int, key: int) -> int:
        """The first word of a key's bucket."""
        bucket = region * limits.RATE_BUCKETS + (key & (limits.RATE_BUCKETS - 1))
        return _HEADER_BYTES // _WORD_BYTES + bucket * _BUCKET_WORDS

    def close(self) -> None:
        """Let go of the memory."""
        self._words.release()
        self._memory.close()


class Counter:
    """The counter of one key, which knows where it stands. It may be given up at any time: what it
    has counted is in the shared memory."""

    __slots__ = ("_at", "_elsewhere", "_key", "_own", "_shared", "_words")

    def __init__(
        self, shared: SharedCounters, words: memoryview, key: int, regions: int, own: int
    ) -> None:
        self._shared = shared
        self._words = words
        self._key = key
        self._own = own
        self._at = _NOWHERE
        """Where it stood the last time; another key may have taken the place since."""
        self._elsewhere = {region: _NOWHERE for region in range(regions) if region != own}
        """The same for the regions of other workers."""

    def count(self, end: int) -> int:
        """What all workers have counted in the period that ends then (Unix seconds)."""
        words, at = self._words, self._at
        if words[at] != self._key:
            at = self._at = self._shared.find(self._own, self._key)
        word: int = words[at + 1]
        total = word >> _END_BITS if word & _END == end else 0
        return total + self._counted_elsewhere(end) if self._elsewhere else total

    def take(self, most: float, end: int, now: float) -> int:
        """Count one more, unless there are as many as this. Returns how many there were."""
        words, at = self._words, self._at
        if words[at] == self._key and not self._elsewhere:
            word: int = words[at + 1]
            if word & _END == end and word < _FULL:
                counted = word >> _END_BITS
                if counted < most:
                    words[at + 1] = word + _ONE
                return counted
        counted = self.count(end)
        if counted < most:
            self.add(end, now)
        return counted

    def _counted_elsewhere(self, end: int) -> int:
        words, key, total = self._words, self._key, 0
        for region, at in self._elsewhere.items():
            if words[at] != key:
                at = self._elsewhere[region] = self._shared.find(region, key)
            word: int = words[at + 1]
            if word & _END == end:
                total += word >> _END_BITS
        return total

    def add(self, end: int, now: float) -> None:
        """See `SharedCounters.add`."""
        words, at = self._words, self._at
        if words[at] == self._key:
            word: int = words[at + 1]
            if word & _END == end and word < _FULL:
                words[at + 1] = word + _ONE
                return
        self._at = self._shared.add(self._key, end, now)
