"""``python -m tests.fuzz.one NAME …``: searches one target. The rest are libFuzzer's arguments.

Everything of ours that is imported here is instrumented, so that coverage guides the search.
"""

import shlex
import sys

import atheris

with atheris.instrument_imports(include=["gossip", "store", "node"]):
    from tests.fuzz.target import load

    TARGET = load(sys.argv[1])

if __name__ == "__main__":
    # By this libFuzzer starts itself again when it minimises.
    command = shlex.join([sys.executable, "-m", "tests.fuzz.one", sys.argv[1]])
    sizes = [f"-max_len={TARGET.bytes_max}", "-len_control=0"]
    atheris.Setup([command, *sizes, *sys.argv[2:]], TARGET.attack)
    atheris.Fuzz()
