"""What the replica takes of memory: bytes for each entity, and the process with a million keys.

100,000 services and routes, then 1,000,000 credentials with a consumer each, are put into a replica
of an own process, slice by slice as a snapshot is. Counted is what the process has grown by (its
resident set, after the garbage collector), beside the bytes of the stored texts alone.

    python -m benchmarks.replica_memory [--entities 100000] [--credentials 1000000]
"""

import argparse
import gc
import json
import random
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from benchmarks.entities import credentials, pairs
from store.changeset import Change
from store.installation import Loading
from store.replica import Replica
from store.version import Head, Version

MIB = 1024 * 1024
SLICE = 256


def resident() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError("/proc/self/status has no VmRSS line")


def fill(loading: Loading, changes: Iterable[Change]) -> tuple[int, int]:
    """How many entities there were, and the bytes of their texts."""
    count = size = 0
    iterator = iter(changes)
    while part := list(islice(iterator, SLICE)):
        loading.add(part)
        count += len(part)
        size += sum(len(change.entity or "") for change in part)
    return count, size


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--credentials", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    replica = Replica("benchmark")
    loading = replica.begin_load(Head(Version(1, 7, 1), bytes(32)))
    fields: dict[str, int] = {"before_mib": resident() // MIB}
    print("                      entities      MiB  bytes each  of that text")
    for name, some in (
        ("services_and_routes", pairs(options.entities, rng)),
        ("credentials", credentials(options.credentials, rng)),
    ):
        before = resident()
        count, text = fill(loading, some)
        taken = resident() - before
        print(
            f"{name:20} {count:>9,} {taken / MIB:>8.0f} {taken / count:>11.0f}"
            f" {text / count:>13.0f}"
        )
        fields |= {f"{name}_bytes": taken // count, f"{name}_text_bytes": text // count}
    loading.finish()
    fields["process_mib"] = resident() // MIB
    print(f"the whole process: {fields['process_mib']} MiB")
    print(json.dumps({"benchmark": "replica_memory", "entities": len(replica), **fields}))


if __name__ == "__main__":
    main()
