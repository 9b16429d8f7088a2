"""How many bytes of sketch tell two replicas of 100,000 entities what differs between them.

For 1, 10, 100 and 1,000 differing items (an entity that only one side has is one, a changed one is
two). Symbols of 26 bytes are given until all is read: one by one, which is what the theory counts,
and in batches as they would travel: up to the 16th, 64th, 256th and 512th, then 256 at a time.
Beside it stand the theory's limit for many items (Yang, Gilad, Alizadeh, SIGCOMM 2024: 1.35 symbols
for each) and what no method can be below, 16 bytes for each item. What both sides have cancels out
of every symbol, so the means are over many draws of the difference alone; one draw of each is made
with the whole sets, to show that.

    python -m benchmarks.sketches [--entities 100000] [--seed 1]
"""

import argparse
import json
import random
import statistics
import time
from itertools import repeat
from typing import NamedTuple

from store.limits import SKETCH_SYMBOLS_MAX
from store.sketch import ITEM_BYTES, SYMBOL_BYTES, Sketch
from store.sketch_decoder import Decoder

DIFFERING = (1, 10, 100, 1_000)
LIMIT = 1.35
"""Symbols for each differing item, when there are many."""
SYMBOLS = 2_048
BATCH_ENDS = (16, 64, 256, 512)
BATCH = 256


class Drawn(NamedTuple):
    """What one draw took."""

    symbols: int
    symbols_in_batches: int
    decoding_ms: float


def decode(theirs: Sketch, ours: Sketch, ends: list[int]) -> int:
    """Symbols given until all is read, when they are given up to each of these ends."""
    decoder = Decoder()
    for end in ends:
        span = len(decoder), end
        decoder.feed(theirs.encode(*span), ours.encode(*span))
        if decoder.peel(SYMBOLS) == "done":
            return end
    raise ValueError(f"{ends[-1]} symbols were not enough")


def draw(differing: int, common: list[bytes], rng: random.Random) -> Drawn:
    """Two sets that differ in so many items, and what it takes to tell which."""
    theirs, ours = Sketch(0, SYMBOLS), Sketch(0, SYMBOLS)
    for item in common:
        theirs.add(item)
        ours.add(item)
    for number in range(differing):
        (theirs if number % 2 else ours).add(rng.randbytes(ITEM_BYTES))
    ends = [*BATCH_ENDS, *range(BATCH_ENDS[-1] + BATCH, SYMBOLS + 1, BATCH)]
    one_by_one = decode(theirs, ours, list(range(1, SYMBOLS + 1)))
    began = time.thread_time()
    in_batches = decode(theirs, ours, ends)
    return Drawn(one_by_one, in_batches, (time.thread_time() - began) * 1e3)


def upkeep_us(items: list[bytes]) -> float:
    """Processor time for an item that comes, in the symbols that a replica keeps."""
    sketch = Sketch(0, SKETCH_SYMBOLS_MAX)
    began = time.thread_time()
    for item in items:
        sketch.add(item)
    return (time.thread_time() - began) / len(items) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    common = [rng.randbytes(ITEM_BYTES) for _ in range(options.entities)]
    rows = []
    heads = ["differ", "symbols", "per item", "bytes", "in batches", "limit", "at least"]
    heads += ["decoding ms", "whole sets"]
    widths = (6, 9, 10, 8, 12, 10, 10, 13, 12)
    print("".join(f"{each:>{width}}" for each, width in zip(heads, widths, strict=True)))
    for differing in DIFFERING:
        draws = [draw(differing, [], rng) for _ in repeat(None, max(20, 2_000 // differing))]
        whole = draw(differing, common, rng)
        symbols = statistics.mean(each.symbols for each in draws)
        row = {
            "differing": differing,
            "symbols": round(symbols, 1),
            "per_item": round(symbols / differing, 2),
            "bytes": round(symbols * SYMBOL_BYTES),
            "bytes_in_batches": round(
                statistics.mean(each.symbols_in_batches for each in draws) * SYMBOL_BYTES
            ),
            "bytes_limit": round(LIMIT * differing * SYMBOL_BYTES),
            "bytes_least": differing * ITEM_BYTES,
            "decoding_ms": round(statistics.median(each.decoding_ms for each in draws), 2),
            "whole_sets_bytes": whole.symbols * SYMBOL_BYTES,
        }
        rows.append(row)
        print(
            "".join(f"{each:>{width},}" for each, width in zip(row.values(), widths, strict=True))
        )
    upkeep = upkeep_us(common[:20_000])
    print(f"{upkeep:.1f} µs of upkeep for an item that comes or goes")
    print(
        json.dumps(
            {
                "benchmark": "sketches",
                "entities": options.entities,
                "rows": rows,
                "upkeep_us": round(upkeep, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
