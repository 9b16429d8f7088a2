"""``python -m tests.fuzz.one NAME …``: searches one target. The rest are libFuzzer's arguments.

Everything of ours that is imported here is instrumented, so that coverage guides the search.
"""

import sys

import atheris

with atheris.instrument_imports(include=["gossip", "store", "node"]):
    from tests.fuzz.target import load

    TARGET = load(sys.argv[1])

if __name__ == "__main__":
    sizes = [f"-max_len={TARGET.bytes_max}", "-len_control=0"]
    atheris.Setup([sys.argv[0], *sizes, *sys.argv[2:]], TARGET.attack)
    atheris.Fuzz()
