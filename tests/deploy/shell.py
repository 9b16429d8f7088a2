"""An operator's shell on a machine."""

import os
import time
from collections.abc import Mapping

from tests.deploy.container import Spec
from tests.deploy.network import Machine
from tests.system.waiting import POLL_SECONDS

COMMAND_SECONDS = 60.0
END_MARK = "the-command-ended-with:"


class Shell:
    """``sh`` as the machine's first process, typed into line by line.

    What is started in the background lives on until the machine is switched off.
    """

    def __init__(self, machine: Machine, spec: Spec, environment: Mapping[str, str]) -> None:
        self.machine = machine
        assert list(spec.command) == ["sh"]
        theirs, self._input = os.pipe()
        machine.start(spec, environment, stdin=theirs)
        os.close(theirs)
        self._read = 0

    def type(self, commands: str) -> str:
        """Run commands up to the first that fails; answers what they print, errors included."""
        subshell = f"( set -e\n{commands.strip()}\n) 2>&1 </dev/null"
        os.write(self._input, f"{subshell}\ncode=$?; echo; echo {END_MARK}$code\n".encode())
        output, code = self._until_mark(commands)
        assert code == 0, f"{self.machine.name}: {commands.strip()!r} failed with {code}:\n{output}"
        return output

    def _until_mark(self, commands: str) -> tuple[str, int]:
        deadline = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < deadline:
            output, mark, rest = self.machine.output()[self._read :].partition(f"\n{END_MARK}")
            code, newline, _ = rest.partition("\n")
            if mark and newline:
                self._read += len(output) + len(mark) + len(code) + 1
                return output, int(code)
            assert self.machine.process is not None
            assert self.machine.process.poll() is None, f"{self.machine.name} is off:\n{output}"
            time.sleep(POLL_SECONDS)
        raise AssertionError(
            f"{self.machine.name}: {commands.strip()!r} took over {COMMAND_SECONDS:g} s:\n"
            f"{self.machine.output()[self._read :]}"
        )

    def close(self) -> None:
        """The end of the shell's input: the machine goes off."""
        os.close(self._input)
