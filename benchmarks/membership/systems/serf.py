"""Serf: `serf agent`, a Debian package; hashicorp/memberlist underneath."""

import re
import shutil
from pathlib import Path

from benchmarks.membership.programs import ProgramFailed, run
from benchmarks.membership.systems import Kind, Launch, Said, Seat, Unavailable

_EVENT = re.compile(r"\] serf: EventMember(Join|Failed|Leave): (\S+)")
_SUSPECT = re.compile(r"\] memberlist: Suspect (\S+) has failed, no acks received")
_KINDS: dict[str, Kind] = {"Join": "alive", "Failed": "failed", "Leave": "left"}


class Serf:
    """Satisfies System. Its log tells a suspicion at the accuser only, not where it is heard."""

    name = "serf"
    tells_recovery = False

    async def prepare(self) -> str:
        program = shutil.which("serf")
        if program is None:
            raise Unavailable("no serf on the PATH (Debian: apt-get install serf)")
        try:
            return (await run([program, "version"])).partition("\n")[0].strip()
        except ProgramFailed as error:
            raise Unavailable(str(error)) from error

    async def found(self, home: Path) -> None:
        pass

    def launch(self, seat: Seat, seeds: list[str], key: str | None) -> Launch:
        command = [
            *("serf", "agent", f"-node={seat.name}", f"-bind={seat.address}", "-profile=lan"),
            *(f"-rpc-addr=127.0.0.1:{seat.spare_port}", "-log-level=info"),
            # -join would hold the log back until the join is over
            *(f"-retry-join={seed}" for seed in seeds),
            "-retry-interval=1s",
        ]
        if key is not None:
            command.append(f"-encrypt={key}")
        return Launch(command, {})

    def read(self, line: str) -> Said | None:
        if found := _EVENT.search(line):
            return Said(_KINDS[found[1]], found[2])
        if found := _SUSPECT.search(line):
            return Said("suspect", found[1])
        if "] agent: joining: " in line:
            return Said("joining")
        return Said("up") if "] agent: Serf agent starting" in line else None
