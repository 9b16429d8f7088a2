"""Runs a module with a bound on the processor time that it may take.

python -m simulations.mutation.launch CPU_SECONDS MODULE ARGUMENT…
"""

import contextlib
import runpy
import sys


def launch(seconds: int, module: str, arguments: list[str]) -> None:
    """A mistake may well be a loop without end. Wall time would depend on who else is there."""
    with contextlib.suppress(ImportError):
        import resource  # not on Windows, where the wall clock has to do

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    launch(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
